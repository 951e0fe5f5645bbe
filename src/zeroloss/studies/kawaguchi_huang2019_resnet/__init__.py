"""Kawaguchi and Huang 2019, Figure 1: ResNet-18 on six data sets and on random images (arXiv 1908.02419).

The figure is known from an image: seven curves of training loss and training accuracy, epochs on a logarithmic axis.
Optimiser, batch and learning rate are not known. Every curve kinks at epoch 10, so a drop of the learning rate stands there.

At the default scale a narrow net of the same kind learns 1000 images of each data set that is at hand; the paper scale
is ResNet-18 on whole data sets.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.kawaguchi_huang2019_resnet import claims, experiment, figures, tables

SUMMARY = """\
The paper's Figure 1 shows ResNet-18, a net of practical size (about 10^7 parameters), fitting every data set in some \
fifteen epochs, random images with random labels included, where earlier theory asks for n^8, about 10^37 parameters. \
Optimiser and learning rate are not published and the loss is normalised; we read it as cross-entropy / ln K and the kink \
at epoch 10 as a drop of the learning rate. The published curves are drawn under ours. Test accuracy, which the figure \
does not show, tells natural from random data: both are fitted, only one is learnt."""

STUDY = Study(
    name="kawaguchi_huang2019_resnet",
    paper=(
        "Kawaguchi, Huang (2019), Gradient descent finds global minima for generalizable deep neural networks of "
        "practical sizes"
    ),
    arxiv="1908.02419",
    summary=SUMMARY,
    settings=experiment.Settings,
    recipes=experiment.recipes,
    cells=experiment.cells,
    run=experiment.run,
    figures=figures.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=("kawaguchi_huang2019_fig1",),
)
