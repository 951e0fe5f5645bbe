"""Wu, Zhu, E 2017: towards understanding generalization of deep learning: perspective of loss landscapes (1706.10239).

Figure 1: curves through five points by ReLU networks of several depths and by polynomial kernels of several orders, and a
network that was made to overfit. Only the abstract and the caption were at hand, so every size is ours.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.wu_zhu_e2017 import claims, experiment, figures, tables

SUMMARY = """\
TO BE WRITTEN"""

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
