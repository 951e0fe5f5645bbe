"""The least eigenvalue lambda_0 of H-infinity: the open questions of document 003, section 4, on the data.

Inputs uniform on the sphere over sample size and dimension; weights matched to the inputs (Xie, Liang, Song 2017,
arXiv 1611.03131v3, Table 2); inputs that stay delta apart.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.lambda_min import claims, experiment, figures, tables

SUMMARY = """\
Document 003 asks how large the least eigenvalue of H-infinity is. For inputs uniform on the sphere two mechanisms decide, \
and the smaller wins. The closest pair gives angle / (2 pi), which falls like n^(-2/(d-1)) and rules at fixed small d. The \
bulk of the spectrum has a lower edge that follows from the kernel's harmonics alone; it descends in steps, 1/2, 1/4, \
1/4 - 1/(2 pi), one each time n passes the number of harmonics of a degree, and rules when the dimension is more than a few.

Matching the weights to the inputs as Xie, Liang and Song do gains at most a factor 1 / (1 - 2^(1-d)), the inverse of the \
share of weights that split the data; matching by covariance, w ~ N(0, Cov(x)), lowers lambda_0.

Inputs that are delta apart do not bound lambda_0 from below at all, because antipodal pairs count: three of them in the \
plane make it zero. With lines delta apart, the least value found is within a factor of about two of delta / (2 pi): \
linear in delta, and hardly dependent on n."""

STUDY = Study(
    name="lambda_min",
    paper="Open questions of McCloskey (2022) on λ₀; Xie, Liang, Song (2017), Diverse neural network learns true target "
    "functions",
    arxiv="1611.03131",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("xie2017_table2",),
)
