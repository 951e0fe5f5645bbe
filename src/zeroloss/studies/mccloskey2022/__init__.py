"""McCloskey 2022: review of Du et al. 2018a (document 003): its examples for lambda_0 and its questions on training.

The document has no experiment; every size here is ours. Questions on lambda_0 of random data and on deeper networks
belong to other studies.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.mccloskey2022 import captions, claims_drift, experiment, tables
from zeroloss.studies.mccloskey2022.settings import Settings

SUMMARY = """\
The review asks what its theorem leaves open. As one pair of inputs with different labels approaches, lambda_0 falls like \
eps / (2 pi). Only the difference of the pair's outputs trains slowly, but it trains more slowly than the theory of \
wide networks says: the few units that tell the two inputs apart move until they no longer do, so the least eigenvalue \
of H(k) drops far below lambda_0 / 2. To leading order a width of 4 pi^2 / eps^4 would prevent it, which is the power 4 of \
1 / lambda_0 in the theorem of Du et al. (the review prints 2).

On n random inputs the smallest width for which the theorem's rate holds grows with a small power of n, far from 6. \
Output weights uniform on [-1, 1] cost a factor 3 in the step size and nothing else to leading order. Hidden weights on \
a sphere of radius sqrt(d) do what Gaussian ones do, and on the unit sphere the theorem's picture still holds at the \
widths that were run. Other first-order methods train as well; with logistic loss the decay is 1 / k."""

STUDY = Study(
    name="mccloskey2022",
    paper="McCloskey (2022), Gradient descent provably optimizes over-parametrized neural networks: paper review",
    arxiv="",
    summary=SUMMARY,
    settings=Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=captions.figures,
    tables=tables.tables,
    claims=claims_drift.claims,
)
