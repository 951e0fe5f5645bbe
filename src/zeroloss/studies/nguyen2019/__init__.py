"""Nguyen, Mukkamala, Hein 2019: networks with skip connections to the output have no bad local valleys (1809.10749)."""

from zeroloss.studies.contract import Study
from zeroloss.studies.nguyen2019 import claims, experiment, figures, tables
from zeroloss.studies.nguyen2019.settings import Settings

SUMMARY = """\
Wire as many hidden neurons to the output as there are samples, and the loss has no bad local valley (Theorem 3.4). \
What the proof rests on holds: the feature matrix has full rank for random weights with sigmoid and softplus, which for \
softplus takes more digits than float64 has, and loses it with ReLU and with linear neurons.

What training shows is clear: 150 layers of width 10 do not learn at all without skip connections and reach zero error with \
them, and so does a convolutional network with sigmoid. Random planes through the solution of a two-layer network, the \
paper's Figure 3, show no bad valley on either side by the criterion that we fixed beforehand, for any of five readings of \
how long the directions are, which the paper does not print. The reduced convolutional network does not train without skip \
connections with softplus either, where the paper's large one does."""

STUDY = Study(
    name="nguyen2019",
    paper="Nguyen, Mukkamala, Hein (2019), On the loss landscape of a class of deep neural networks with no bad local valleys",
    arxiv="1809.10749",
    summary=SUMMARY,
    settings=Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("nguyen2019_table1", "nguyen2019_table2", "nguyen2019_table4", "nguyen2019_fig3", "nguyen2019_fig5"),
)
