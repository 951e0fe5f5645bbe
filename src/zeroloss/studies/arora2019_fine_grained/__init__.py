"""Arora, Du, Hu, Li, Wang 2019 (arXiv 1901.08584): which labels are learned fast, and which generalise."""

from zeroloss.studies.arora2019_fine_grained import claims, compute, experiment, figures, tables
from zeroloss.studies.contract import Study

SUMMARY = """\
The eigenvalues of H-infinity and the projections of the labels on its eigenvectors tell how fast gradient descent fits the \
labels (Theorem 4.1), and sqrt(2 y' H^-1 y / n) bounds the test loss (Theorem 5.1). Spectrum, projections and complexity are \
closed forms; networks are trained beside them.

True labels lie on the top eigenvectors and are learned first, and the complexity measure orders label noise as the test error \
does. With the printed weights, kappa = 0.01, networks leave the limit: random labels and the worst case are learned more slowly \
than predicted, at every width that we train. The published curves do the same, and no single scale of time brings them to \
the prediction. With large weights it holds, as Theorem 4.1 says."""

STUDY = Study(
    name="arora2019_fine_grained",
    paper="Arora, Du, Hu, Li, Wang (2019), Fine-grained analysis of optimization and generalization for "
    "overparameterized two-layer neural networks",
    arxiv="1901.08584",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=compute.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("arora2019_finegrained_fig1ac", "arora2019_finegrained_fig1bd_eigs"),
)
