"""Kawaguchi 2016: deep learning without poor local minima (arXiv 1605.07110), Theorem 2.3.

The theorem has no experiment. Here all critical points of a family are written down, their Hessians computed, and
gradient descent is watched as it leaves them.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.kawaguchi2016 import captions, claims, experiment, settings, tables

SUMMARY = """\
Summary follows."""

STUDY = Study(
    name="kawaguchi2016",
    paper="Kawaguchi (2016), Deep learning without poor local minima",
    arxiv="1605.07110",
    summary=SUMMARY,
    settings=settings.Settings,
    recipes=settings.recipes,
    cells=settings.cells,
    run=experiment.run,
    figures=captions.figures,
    tables=tables.tables,
    claims=claims.claims,
)
