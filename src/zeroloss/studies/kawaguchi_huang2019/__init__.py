from zeroloss.studies.contract import Study
from zeroloss.studies.kawaguchi_huang2019 import compute, experiment

STUDY = Study(
    name="kawaguchi_huang2019",
    paper="Kawaguchi, Huang (2019)",
    arxiv="1908.02419",
    summary="",
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=lambda s: [],
    tables=lambda s: [],
    claims=lambda s: [],
)
