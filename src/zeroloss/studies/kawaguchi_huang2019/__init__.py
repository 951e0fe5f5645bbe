"""Kawaguchi, Huang 2019: global minima for generalizable deep networks of practical sizes (arXiv 1908.02419).

Document 000 has the statements, TABLE I and the caption of the generalisation figure; no size of it was available, so
the sizes are ours.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.kawaguchi_huang2019 import claims, compute, experiment, figures, tables

SUMMARY = """\
The paper proves that networks of order n parameters, up to logarithms, are trained to a global minimum. The network of its \
proof is built here: random hidden layers, a bottleneck of logarithmic width, a last layer of order n, of which gradient \
descent moves the last layer alone. It fits natural and random labels, generalises on the former and not on the latter, \
and its weights end larger on the latter, as the caption of the paper's figure says.

Two things go beyond the paper. The constants that the orders hide matter: with all of them 1 random labels are not fitted. And \
the last layer has to start at zero: started at random, as the definition has it, it fits but does not generalise. TABLE I \
drops the depth: with it, Theorem 1 asks for more than ResNet-18 has at ResNet-18's depth, though not at small depths. The \
bound of the proposition holds; with the size of the features for its constant it is far above one at these n."""

STUDY = Study(
    name="kawaguchi_huang2019",
    paper="Kawaguchi, Huang (2019), Gradient descent finds global minima for generalizable deep networks of practical sizes",
    arxiv="1908.02419",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("kawaguchi_huang2019_table1", "network_sizes"),
    tests={
        "000-E1": "tests/test_kawaguchi_huang2019.py::test_parameters_are_counted_as_in_the_network",
        "000-E3": "tests/test_kawaguchi_huang2019.py::test_initial_weights_have_the_stated_variances",
        "000-E6": "tests/test_kawaguchi_huang2019.py::test_margin_loss_and_widths_as_defined",
    },
)
