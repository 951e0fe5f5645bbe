"""Theory and kernels of Zhang, Bengio, Hardt, Recht, Vinyals 2017 (arXiv 1611.03530): Theorem 1, eq. 1, Table 3."""

from zeroloss.studies.contract import Study
from zeroloss.studies.zhang2017_theory import claims, compute, experiment, figures, tables

SUMMARY = """\
Theorem 1: a two-layer ReLU network with 2n + d parameters fits any labels. We build it, and its deep variant (Corollary 1). \
Where the thresholds stand decides whether a computer can: nearer to the sample on their right, and the slopes grow \
exponentially in n; at the midpoint or further left, the condition number is a power of n, and float64 is enough.

The empirical Rademacher complexity (eq. 1) of norm balls, linear or of a kernel, falls like n^(-1/2); that of trained networks \
stays near 1 as long as they fit random signs, so it explains nothing.

Table 3: interpolation with a kernel, no regularisation, generalises; random labels take a larger norm. The published size, \
n = 60000, is at the scale "paper", by tiles of the kernel matrix."""

STUDY = Study(
    name="zhang2017_theory",
    paper="Zhang, Bengio, Hardt, Recht, Vinyals (2017), Understanding deep learning requires rethinking "
    "generalization: theory",
    arxiv="1611.03530",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("zhang2017_table3",),
)
