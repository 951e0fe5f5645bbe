"""The curse of dimension: the classical error rate O(n^(-s/d)) of document 004, by kernel regression."""

from zeroloss.studies.contract import Study
from zeroloss.studies.curse_of_dimension import claims, experiment, figures, tables

SUMMARY = """\
Kernel regression with a Matérn kernel of smoothness s, for random functions of exactly this smoothness, in one to eight \
dimensions. The mean squared error over all these functions is computed exactly for every n from one factorisation, so slopes \
against n are sharp enough to be compared with s/d. On the torus the exponent is s/d up to five dimensions or so; in six to \
eight, sizes of a thousand points are before the limit and slopes are steeper. Noise makes it smaller while the dimension \
is low, and the nearest neighbour cannot use smoothness beyond 1.

The document names neither the class of functions nor the method: both are ours."""

STUDY = Study(
    name="curse_of_dimension",
    paper="The classical rate n^(-s/d), as in Wu's overview of 2019",
    arxiv="",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
)
