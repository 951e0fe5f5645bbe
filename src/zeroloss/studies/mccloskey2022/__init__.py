"""McCloskey 2022: review of Du et al. 2018a (document 003): its examples for lambda_0 and its questions on training.

The document has no experiment; every size here is ours. Questions on lambda_0 of random data and on deeper networks
belong to other studies.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.mccloskey2022 import claims_drift, experiment, figures, tables
from zeroloss.studies.mccloskey2022.settings import Settings

SUMMARY = """SUMMARY"""

STUDY = Study(
    name="mccloskey2022",
    paper="McCloskey (2022), Gradient descent provably optimizes over-parametrized neural networks: paper review",
    arxiv="",
    summary=SUMMARY,
    settings=Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims_drift.claims,
)
