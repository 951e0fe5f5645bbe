"""Zhang et al. 2017 (placeholder while cells are tried)."""

from zeroloss.studies.contract import Study
from zeroloss.studies.zhang2017 import compute, runs, settings

STUDY = Study(
    name="zhang2017",
    paper="Zhang, Bengio, Hardt, Recht, Vinyals (2017), Understanding deep learning requires rethinking generalization",
    arxiv="1611.03530",
    summary="",
    settings=settings.Settings,
    recipes=runs.recipes,
    cells=runs.cells,
    run=compute.run,
    figures=lambda settings: [],
    tables=lambda settings: [],
    claims=lambda settings: [],
    published=("zhang2017_fig1a", "zhang2017_fig1b", "zhang2017_fig1c", "zhang2017_fig2a", "zhang2017_fig2b"),
)
