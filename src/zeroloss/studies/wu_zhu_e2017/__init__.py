"""Wu, Zhu, E 2017: towards understanding generalization of deep learning: perspective of loss landscapes (1706.10239).

Figure 1: curves through five points by ReLU networks of several depths and by polynomial kernels of several orders, and a
network that was made to overfit. Only the abstract and the caption were at hand, so every size is ours.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.wu_zhu_e2017 import claims, experiment, figures, tables

SUMMARY = """\
Five points, fitted to the same error in every way. Trained ReLU networks stay close to the straight lines between the \
points, with one hidden layer as with six: depth does not make them overfit. Networks of the same size that were first \
trained with wrongly labelled points pass through the five points too and vary many times as much, and the Hessian of the \
loss is tens to hundreds of times larger there; over all solutions, more variation goes with a larger Hessian. Polynomial \
kernels do overfit as their order grows: beyond order 10 the curve overshoots like (6/5)^p, a law derived here.

Points, networks, construction and orders are ours: the paper's were not at hand."""

STUDY = Study(
    name="wu_zhu_e2017",
    paper="Wu, Zhu, E (2017), Towards understanding generalization of deep learning: perspective of loss landscapes",
    arxiv="1706.10239",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
)
