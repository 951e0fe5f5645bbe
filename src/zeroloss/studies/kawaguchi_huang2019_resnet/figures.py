"""Figure 1 with the published curves under it, and test accuracy beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.kawaguchi_huang2019_resnet.experiment import (
    BROUGHT,
    PUBLISHED_AS,
    RANDOM,
    TITLES,
    Settings,
    absent,
    names,
    present,
    published_curves,
)
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import resnet_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from zeroloss.plotting.style import Cue

# places in the colour-blind safe palette: the figure's own order, so that colours resemble the published ones
PLACES = {
    "cifar100": 0, "cifar10": 1, "cifar10_lossy": 1, "svhn": 2, "mnist": 3, "kmnist": 4, "fashion_mnist": 5, RANDOM: 6,
    "semeion": 8, "digits": 9,
}  # fmt: skip
MARKERS = "os^Dv<Pp>X"
# the palette's pink and yellow are too light for thin lines
DARKER = {RANDOM: (0.1, 0.1, 0.1), "semeion": (0.6, 0.53, 0.0)}
DASHED = (0, (5, 2))


def cues(sources: Sequence[str]) -> dict[str, Cue]:
    """Colour and marker of each data set, the same whatever else is drawn."""
    import seaborn as sns

    from zeroloss.plotting.style import Cue

    palette = sns.color_palette("colorblind")
    found = {}
    for source in sources:
        place = PLACES.get(source, 7)
        found[source] = Cue(DARKER.get(source, palette[place]), MARKERS[place])
    return found


def _draw_ours(axes: Axes, metrics: pd.DataFrame, value: str, of: Mapping[str, Cue]) -> None:
    """Mean over seeds and their range."""
    for source, cue in of.items():
        by_epoch = metrics[metrics["source"] == source].groupby("epoch")[value]
        mean = by_epoch.mean()
        # evenly spaced on the logarithmic axis
        at = sorted({int(np.searchsorted(mean.index, e)) for e in np.geomspace(1, mean.index.max(), 8)})
        axes.plot(mean.index, mean, color=cue.colour, marker=cue.marker, markevery=at, zorder=3)
        axes.fill_between(mean.index, by_epoch.min(), by_epoch.max(), color=cue.colour, alpha=0.25, linewidth=0)


def spread_labels(values: Sequence[float], gap: float) -> list[float]:
    """Heights near ``values``, in the same order, at least ``gap`` apart: each is pushed up by the one below it."""
    heights: list[float] = []
    for value in sorted(values):
        heights.append(value if not heights else max(value, heights[-1] + gap))
    # a stack that was pushed up moves down by half of it
    heights = [height - (height - value) / 2 for height, value in zip(heights, sorted(values), strict=True)]
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + gap)
    order = np.argsort(values, kind="stable")
    placed = [0.0] * len(heights)
    for place, height in zip(order, heights, strict=True):
        placed[int(place)] = height
    return placed


def _draw_published(axes: Axes, curves: pd.DataFrame, of: Mapping[str, Cue], scale: float, gap: float) -> None:
    """The paper's curves dashed: in our colour where we ran the data set, else grey and named at their first epoch."""
    drawn = {PUBLISHED_AS.get(source): cue.colour for source, cue in of.items()}
    grey = []
    for source, curve in curves.groupby("source"):
        colour = drawn.get(str(source), "0.55")
        axes.plot(curve["epoch"], scale * curve["value"], color=colour, linestyle=DASHED, linewidth=0.9, zorder=2)
        if source not in drawn:
            grey.append((str(curve["title"].iloc[0]), scale * float(curve["value"].iloc[0])))
    for (title, value), height in zip(grey, spread_labels([value for _, value in grey], gap), strict=True):
        axes.annotate(
            title, (1, value), xytext=(0.88, height), ha="right", va="center", fontsize=8, color="0.4",
            arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.5, "shrinkA": 1, "shrinkB": 1},
        )  # fmt: skip


def draw_figure1(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Training loss, training accuracy, and ours: test accuracy; against the epoch on a logarithmic axis."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    of, last = cues(names(settings)), max(15, settings.epochs)
    percent = metrics.assign(train=100 * metrics["train_accuracy"], test=100 * metrics["test_accuracy"])
    canvas, panels = plt.subplots(1, 3, figsize=(13.5, 5.0), layout="constrained")
    for axes, value in zip(panels, ("normalised_loss", "train", "test"), strict=True):
        _draw_ours(axes, percent, value, of)
        axes.axvline(settings.drop_after + 0.5, color="0.5", linewidth=0.8, linestyle="-.", zorder=1)
        axes.set(xlabel="epoch", xscale="log", xlim=(0.36, 1.06 * last))
        axes.set_xticks([t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= last])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    curves = published_curves()
    _draw_published(panels[0], curves[curves["panel"] == "a"], of, 1.0, 0.05)
    _draw_published(panels[1], curves[curves["panel"] == "b"], of, 100.0, 5.0)
    panels[0].set(title="(a) training loss", ylabel=r"cross-entropy / $\ln K$")
    panels[1].set(title="(b) training accuracy", ylabel="training accuracy, %", ylim=(0, 105))
    panels[2].set(title="(c) test accuracy (ours)", ylabel="test accuracy, %", ylim=(0, 105))
    panels[0].set_ylim(-0.02, 1.05 * max(1.0, float(metrics["normalised_loss"].max())))
    panels[2].set_xlim(left=0.9)
    panels[2].axhline(100 / settings.random.classes, color="0.2", linestyle=":", linewidth=1.3, zorder=1)
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=TITLES.get(source, source))
        for source, cue in of.items()
    ]
    if len(settings.seeds) > 1:
        handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    handles += [
        Line2D([], [], color="0.2", linestyle=DASHED, linewidth=0.9, label="published (grey: not run here)"),
        Line2D([], [], color="0.5", linestyle="-.", linewidth=0.8, label="learning rate / 10"),
        Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label="chance for ten classes"),
    ]
    if settings.random.classes != 10:
        handles[-1].set_label(f"chance for {settings.random.classes} classes")
    canvas.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 7))
    return canvas


def absent_text(settings: Settings) -> str:
    """Which data sets of the figure are left out, and why."""
    missing = absent(settings)
    if not missing:
        return ""
    brought = [title for title in missing if title in BROUGHT]
    how = f" ({' and '.join(BROUGHT[title] for title in brought)} in data.root bring their sets)" if brought else ""
    return f" Left out, for their files are not at hand: {', '.join(missing)}{how}."


def size_text(settings: Settings) -> str:
    """The net in words."""
    full = (settings.width, tuple(settings.blocks)) == (resnet_size.RESNET18_WIDTH, resnet_size.RESNET18_BLOCKS)
    count = resnet_size.parameters(settings.random.channels, settings.width, settings.blocks, settings.random.classes)
    kind = "ResNet-18 for small images" if full else (
        f"not ResNet-18 but a narrow net of its kind: width {settings.width} instead of {resnet_size.RESNET18_WIDTH}, "
        f"{listed(settings.blocks)} blocks a stage instead of {listed(resnet_size.RESNET18_BLOCKS)}"
    )  # fmt: skip
    return f"{kind}; {count:,} parameters on Random"


def figures(settings: Settings) -> list[Figure]:
    random = settings.random
    sizes = ", ".join(f"{TITLES.get(str(one.found), str(one.found))} {one.train:,}" for one in present(settings))
    kmnist = "kmnist" in names(settings)
    half = " KMNIST: official files at hand may be its test half only; the data table says it." if kmnist else ""
    few = (
        " The paper trains on whole data sets, so that its epochs hold more steps than ours."
        if _small(settings)
        else ""
    )
    caption = (
        f"Net: {size_text(settings)}. Training images n: {sizes}, Random {random.train:,} (uniform pixels "
        f"{random.channels}x{random.side}x{random.side}, random labels). SGD, batch {settings.batch}, momentum "
        f"{settings.momentum:g}, learning rate {settings.learning_rate:g}, a tenth after {settings.drop_after} of "
        f"{settings.epochs} epochs; {seeds_text(settings.seeds)}; no augmentation, grey images in one channel, float32 "
        f"without TF32. Loss and training accuracy: running means of the epoch. Optimiser and rate are ours (not "
        f"published); so is the reading of the published loss as cross-entropy / ln K.{few} Dashed: read from an image of the "
        f"paper's figure, ± 0.005 and ± 0.5 %.{half}{absent_text(settings)}"
    )
    return [
        Figure(
            name="kawaguchi_huang2019_resnet_fig1",
            items=("000-F2",),
            title="Figure 1: a residual net on natural and random data",
            caption=caption,
            alt=(
                "Three panels against the epoch on a logarithmic axis: training loss falls to zero and training accuracy "
                "rises to 100 % on every data set, Random last among them; test accuracy rises on natural data and stays "
                "at chance on Random."
            ),
            draw=draw_figure1,
        )
    ]


def _small(settings: Settings) -> bool:
    return settings.random.train < 50_000
