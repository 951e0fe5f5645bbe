"""Wu, Wang, Ma 2019: deep linear networks from the zero-asymmetric start (arXiv 1911.00645v1).

The figures of the paper were not available to us: these are our instantiations of what it states.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.wu_wang_ma2019 import claims, experiment, figures, tables
from zeroloss.studies.wu_wang_ma2019.settings import Settings

SUMMARY = """\
A deep linear network can be started so that gradient descent reaches every target without meeting a saddle: all layers \
the identity, the last one zero (ZAS)."""

STUDY = Study(
    name="wu_wang_ma2019",
    paper="Wu, Wang, Ma (2019), Global convergence of gradient descent for deep linear residual networks",
    arxiv="1911.00645",
    summary=SUMMARY,
    settings=Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
)
