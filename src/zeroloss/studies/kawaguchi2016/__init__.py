"""Kawaguchi 2016: deep learning without poor local minima (arXiv 1605.07110), Theorem 2.3.

The theorem has no experiment. Here all critical points of a family are written down, their Hessians computed, and
gradient descent is watched as it leaves them.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.kawaguchi2016 import captions, claims, experiment, settings, tables

SUMMARY = """\
Theorem 2.3 says of deep linear networks: not convex, every local minimum global, every other critical point a saddle, with \
a negative Hessian eigenvalue where the middle matrices have full rank. It is checked on a family of critical points (every \
subset of kept singular directions, every rank of the middle) with exact Hessians, and on points that a search of the \
gradient's zeros finds from random starts.

The family shows what the theorem leaves open. The number of negative eigenvalues has a closed form in which the depth does \
not occur: below full rank many saddles still have one, and those without keep the largest directions and have no rank to \
spare. These are the bad saddles of the abstract: they need two hidden layers, zero is the one where the whole Hessian \
vanishes, and the loss still falls from them, with the power H + 1 of the distance.

Gradient descent leaves a strict saddle after ln(1/delta) / (eta |lambda_min|) steps, and one without negative eigenvalue \
after a multiple of delta^-(H-1)."""

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
