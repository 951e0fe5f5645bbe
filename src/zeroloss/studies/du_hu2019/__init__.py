"""Du, Hu 2019: width provably matters in optimization for deep linear networks (arXiv 1901.08572v3), measured together
with the orthogonal start and the depth x width map of Hu, Xiao, Pennington 2020 (arXiv 2001.05992).

Neither paper's numbers are to be had: the first has no experiment, of the second's we know the sizes. Settings are ours.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.du_hu2019 import claims, compute, experiment, figures, tables

SUMMARY = """\
Du and Hu prove that gradient descent on a deep linear network with a Gaussian start converges linearly, in a number of \
steps that does not depend on the depth L, once the width m is of the order of L; Hu, Xiao and Pennington prove that an \
orthogonal start needs no such width, and that narrow Gaussian networks stay where they are. The first paper has no \
experiment; measured here are the loss against the bounds, the width from which on they hold, the eigenvalues of the Gram \
matrix P(t), products of Gaussian matrices, and the map of the final loss over depth and width."""

STUDY = Study(
    name="du_hu2019",
    paper="Du, Hu (2019), Width provably matters in optimization for deep linear neural networks",
    arxiv="1901.08572",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    tests={"004-E2": "tests/test_du_hu2019_engines.py::test_descent_is_that_of_the_printed_loss"},
)
