"""Arora, Du, Hu, Li, Salakhutdinov, Wang 2019 (arXiv 1904.11955): the neural tangent kernel, exactly computed."""

from zeroloss.studies.arora2019_ntk import claims, compute, experiment, figures, tables
from zeroloss.studies.contract import Study

SUMMARY = """\
The tangent kernel of an infinitely wide network follows a recursion over layers (eqs. 6 to 13). Gradient inner products of \
finite networks approach it like the inverse root of the width.

Theorem 3.2: a wide network trained by gradient descent predicts like kernel regression without ridge. We train networks and \
compare, over the width and over the scale κ of the output. With a start that is zero as a function the gap falls with the \
width; a random start leaves a floor proportional to κ, which the limiting kernels predict.

Tables 1 and 2: convolutional tangent kernels with and without global average pooling, by the recursion of the authors' code, \
on small images here and on CIFAR-10 at the scale "paper"; the printed accuracies stand beside them."""

STUDY = Study(
    name="arora2019_ntk",
    paper="Arora, Du, Hu, Li, Salakhutdinov, Wang (2019), On Exact Computation with an Infinitely Wide Neural Net",
    arxiv="1904.11955",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("arora2019_ntk_table1", "arora2019_ntk_table2"),
)
