"""Zhang, Bengio, Hardt, Recht, Vinyals 2017: rethinking generalization (arXiv 1611.03530v2).

The randomisation experiments: Figures 1 and 2, Tables 1, 2 and 4. ``runs`` lists every network that is trained, each
once; figures, tables and claims choose their runs from that list.
"""

from zeroloss.studies.contract import Study
from zeroloss.studies.zhang2017 import captions, claims, compute, runs, settings, tables

SUMMARY = """\
Networks that generalise on true labels also fit random labels and noise to zero training error, only somewhat later: \
what a network can fit does not tell how it generalises. The networks are the paper's, at the printed sizes on the paper \
scale and with fewer channels below it, on CIFAR-10 where it is at hand and on small digits elsewhere.

A network has overfitted, here, once the mean training loss of an epoch is at most 0.05: the paper prints no definition, \
and this one gives the 10 and 36 epochs of its Figure 1 b from the curves of its Figure 1 a. The ImageNet panel shows the \
published curves; the panel beside it is a stand-in on small images, labelled as such."""

STUDY = Study(
    name="zhang2017",
    paper="Zhang, Bengio, Hardt, Recht, Vinyals (2017), Understanding deep learning requires rethinking generalization",
    arxiv="1611.03530",
    summary=SUMMARY,
    settings=settings.Settings,
    recipes=runs.recipes,
    cells=runs.cells,
    run=compute.run,
    figures=captions.figures,
    tables=tables.tables,
    claims=claims.claims,
    published=(
        "zhang2017_fig1a", "zhang2017_fig1b", "zhang2017_fig1c", "zhang2017_fig2a", "zhang2017_fig2b",
        "zhang2017_table1", "zhang2017_table2", "zhang2017_table4",
    ),
)  # fmt: skip
