"""The one contract: what a study declares. Workflow, command line and page learn everything they know from it.

A study is one paper's numerical work. Its module ends with ``STUDY = Study(...)``; finding that name is all the
registration there is. Modules of studies import torch, seaborn and the like inside the functions that need them:
the workflow imports every study each time it starts, and drawing never loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas

    from zeroloss.datasets.recipes import Recipe

FIGURE_FORMATS = ("pdf", "svg", "png")
TABLE_FORMATS = ("csv", "md", "tex")
CLAIM_COLUMNS = (
    "id", "study", "items", "statement", "expected", "measured", "spread", "tolerance", "verdict", "note",
)  # fmt: skip

Verdict = Literal["reproduced", "differs", "undecided"]

GPU_START_SECONDS = 10.0
"""What a job on a GPU needs before it computes: imports, the CUDA context, the first call of each library. Estimated."""


class StudySettings(BaseModel):
    """Base of every study's settings: unknown keys are errors, numbers are finite, values cannot change after loading.

    A rule of several settings is a ``model_validator`` that raises ValueError; its message begins with the name of the
    setting to change (``widths must be ...``, ``digits.crop is 9: ...``), and the user reads it with the block before it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Cost:
    """What a cell is expected to need; used for planning and for where it runs, never for its key.

    Attributes:
        seconds: on one core of a current server processor.
        memory_mb: peak resident memory, imports included.
        disk_mb: size of what the cell writes.
        gpu_speedup: how many times as fast as one core a data-centre GPU (H100 class) is at this cell: an ESTIMATE,
            with its reason where it is given. 0 where the cell computes on the CPU whatever the device: it then gets
            no GPU.
    """

    seconds: float
    memory_mb: int
    disk_mb: float = 1.0
    gpu_speedup: float = 0.0

    @property
    def gpu_seconds(self) -> float:
        """Estimated seconds on one data-centre GPU, the start of the job included; 0 where it takes none."""
        return GPU_START_SECONDS + self.seconds / self.gpu_speedup if self.gpu_speedup else 0.0


@dataclass(frozen=True)
class Cell:
    """One job and one parquet file: a group of parameter points worth one process start.

    Attributes:
        name: file stem, made of lower-case letters, digits and underscores.
        parameters: everything ``run`` needs beside its data sets, as JSON values; a change reruns the cell.
        datasets: names of the recipes it reads.
        cost: what it is expected to need.
        resumable: whether ``run`` takes ``checkpoints`` (a ``zeroloss.checkpoint.Checkpoints``) and goes on from there;
            for cells of more than some five minutes.
    """

    name: str
    parameters: Mapping[str, Any]
    datasets: tuple[str, ...]
    cost: Cost
    resumable: bool = False


RunCell = Callable[..., "pd.DataFrame"]
"""``run(parameters, datasets, *, device, quiet)`` of a study: a tidy table, the same bits every time.

``parameters`` and ``datasets`` are the cell's; ``device`` is ``cpu`` or ``cuda``. Resumable cells get ``checkpoints`` too.
"""


@dataclass(frozen=True)
class Figure:
    """A picture: a pure function from the study's metrics to a matplotlib figure.

    Attributes:
        name: file stem, e.g. ``du2018a_fig1``.
        items: inventory ids it serves.
        title: a heading of a few words.
        caption: states data set, sizes, steps and seeds; goes under the picture on the page and in the report.
        alt: one sentence that says what is to be seen, for those who cannot see it.
        draw: ``draw(metrics, settings, **options)``.
        options: extra arguments of ``draw`` (JSON values), such as the data set of a family of figures.
    """

    name: str
    items: tuple[str, ...]
    title: str
    caption: str
    alt: str
    draw: Callable[..., Canvas]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table: a pure function ``make(metrics, settings)`` to a data frame, written as csv, md and tex."""

    name: str
    items: tuple[str, ...]
    title: str
    caption: str
    make: Callable[..., pd.DataFrame]


@dataclass(frozen=True)
class Judgement:
    """What a claim came to. ``measured`` and ``spread`` are texts: a number with its unit, or a short list."""

    expected: str
    measured: str
    spread: str
    tolerance: str
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper in our words and the pure function ``judge(metrics, settings)`` that decides it.

    The tolerance and the reason for it stand in the code of ``judge``, written before the numbers were seen.
    """

    name: str
    items: tuple[str, ...]
    statement: str
    judge: Callable[..., Judgement]


@dataclass(frozen=True)
class Study:
    """One paper.

    Attributes:
        name: module name and key of its block in ``config.yaml``.
        paper: authors, year, title.
        arxiv: identifier, e.g. ``1810.02054``.
        summary: what the study does and found, a few sentences (shown on the page).
        settings: the class of its settings.
        recipes: its data sets, from settings.
        cells: its jobs, from settings.
        run: computes one cell.
        figures, tables, claims: what it draws, tabulates and decides, from settings.
        published: names of the files of published numbers it reads.
        tests: inventory id of a definition -> the test that checks it (a pytest node id).
    """

    name: str
    paper: str
    arxiv: str
    summary: str
    settings: type[StudySettings]
    recipes: Callable[[Any], list[Recipe]]
    cells: Callable[[Any], list[Cell]]
    run: RunCell
    figures: Callable[[Any], list[Figure]]
    tables: Callable[[Any], list[Table]]
    claims: Callable[[Any], list[Claim]]
    published: tuple[str, ...] = ()
    tests: Mapping[str, str] = field(default_factory=dict)
