"""Jacot, Gabriel, Hongler 2018 (arXiv 1806.07572): the neural tangent kernel, its limit and training along it."""

from zeroloss.studies.contract import Study
from zeroloss.studies.jacot2018 import claims, compute, experiment, figures, tables

SUMMARY = """\
In the limit of infinite width the tangent kernel of a network is deterministic and stays constant during training, so the \
network function is Gaussian and its error decays along the kernel's principal components. The limit is in closed form; \
networks of several widths, and the published curves, are held against it.

The published kernels at n = 10000 have the closed form as their mean, and the published percentiles are those of the Gaussian \
limit to 0.02. Training changes the kernel by a share that falls like 1/n, in the published curves as in ours."""

STUDY = Study(
    name="jacot2018",
    paper="Jacot, Gabriel, Hongler (2018), Neural tangent kernel: convergence and generalization in neural networks",
    arxiv="1806.07572",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("jacot2018_fig1", "jacot2018_fig2"),
)
