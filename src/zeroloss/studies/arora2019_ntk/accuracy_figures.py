"""Test accuracies: f_ntk over n, convolutional kernels over n and depth beside the printed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.arora2019_ntk.experiment import Settings, Tiles
from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed
from zeroloss.theory.binomial import fraction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from zeroloss.plotting.style import Cue

KERNELS = ("CNTK-V", "CNTK-GAP", "NTK")
PRINTED = {"CNTK-V": "cntk_v", "CNTK-GAP": "cntk_gap"}


def _accuracy(axes: Axes, table: pd.DataFrame, over: str, cue: Cue, shift: float = 0.0) -> None:
    """Per cent over ``over`` with the exact interval of each count as a bar."""
    table = table.sort_values(over)
    counts = [fraction(int(hits), int(trials)) for hits, trials in zip(table["hits"], table["test"], strict=True)]
    value = np.array([100 * c.value for c in counts])
    bars = [value - [100 * c.low for c in counts], [100 * c.high for c in counts] - value]
    x = table[over].to_numpy(float)
    axes.errorbar(
        x * (1 + shift), value, yerr=bars, color=cue.colour, marker=cue.marker, capsize=2.5, elinewidth=0.9, zorder=3
    )


def _cues(count: int) -> list[Cue]:
    from zeroloss.plotting.style import ordered_cues

    return list(ordered_cues(list(range(count))).values())


def draw_regression(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """(a) accuracy of f_ntk over n, (b) the condition number of its kernel; a line per depth."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    part = metrics[metrics["part"] == "regression"]
    part = part.assign(hits=(part["accuracy"] * part["test"]).round())
    depths = settings.regression.depths
    cues = dict(zip(depths, _cues(len(depths)), strict=True))
    canvas, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")
    for k, (depth, cue) in enumerate(cues.items()):
        here = part[part["depth"] == depth]
        _accuracy(left, here, "samples", cue, 0.03 * (k - (len(depths) - 1) / 2))
        solved = here.dropna(subset=["condition"])
        right.plot(solved["samples"], solved["condition"], color=cue.colour, marker=cue.marker)
    left.set(title="(a) test accuracy of $f_{ntk}$", ylabel="per cent", xlabel="training images $n$", xscale="log")
    right.set(
        title="(b) condition number of $\\Theta^{(L)}$", ylabel=r"$\lambda_{max}/\lambda_{min}$",
        xlabel="training images $n$", xscale="log", yscale="log",
    )  # fmt: skip
    for axes in (left, right):
        axes.set_xticks(settings.regression.samples, [str(n) for n in settings.regression.samples])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    handles = [Line2D([], [], color=c.colour, marker=c.marker, label=f"$L={depth}$") for depth, c in cues.items()]
    canvas.legend(
        handles=[*handles, Line2D([], [], color="0.3", linewidth=0.9, label="bars: 95 % Clopper-Pearson")],
        loc="outside upper center", ncols=len(handles) + 1,
    )  # fmt: skip
    return canvas


def draw_samples(metrics: pd.DataFrame, settings: Settings, source: str) -> Canvas:
    """Accuracy over n: a panel per depth, a line per kernel."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    part = metrics[(metrics["part"] == "cntk") & (metrics["source"] == source) & (metrics["problem"] == "all classes")]
    cues = dict(zip(KERNELS, _cues(len(KERNELS)), strict=True))
    depths = settings.convolutional.depths
    canvas, panels = plt.subplots(
        1, len(depths), figsize=(max(8.0, 3.9 * len(depths)), 4.0), layout="constrained", sharey=True, squeeze=False
    )
    for axes, depth in zip(panels[0], depths, strict=True):
        here = part[part["depth"] == depth]
        for k, (name, cue) in enumerate(cues.items()):
            _accuracy(axes, here[here["kernel"] == name], "samples", cue, 0.04 * (k - 1))
        sizes = sorted(here["samples"].unique())
        axes.set(xscale="log", xlabel="training images $n$", title=f"depth {depth}")
        axes.set_xticks(sizes, [str(int(n)) for n in sizes])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    panels[0, 0].set_ylabel("test accuracy, per cent")
    handles = [Line2D([], [], color=c.colour, marker=c.marker, label=name) for name, c in cues.items()]
    canvas.legend(
        handles=[*handles, Line2D([], [], color="0.3", linewidth=0.9, label="bars: 95 % Clopper-Pearson")],
        loc="outside upper center", ncols=4,
    )  # fmt: skip
    return canvas


def _depth_axis(axes: Axes, depths: list[int]) -> None:
    axes.set(xscale="log", xlabel="depth (convolutions + 1)")
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)


def draw_depth(metrics: pd.DataFrame, settings: Settings, problem: str) -> Canvas:
    """Accuracy over depth at the largest n, a panel per source; a last panel with the printed values."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    part = metrics[(metrics["part"] == "cntk") & (metrics["problem"] == problem)]
    cues = dict(zip(KERNELS, _cues(len(KERNELS)), strict=True))
    sources = list(part["source"].unique())
    canvas, panels = plt.subplots(
        1, len(sources) + 1, figsize=(4.3 * (len(sources) + 1), 4.4), layout="constrained", squeeze=False
    )
    for axes, source in zip(panels[0], sources, strict=False):
        here = part[part["source"] == source]
        here = here[here["samples"] == here["samples"].max()]
        for k, (name, cue) in enumerate(cues.items()):
            _accuracy(axes, here[here["kernel"] == name], "depth", cue, 0.02 * (k - 1))
        first = here.iloc[0]
        axes.set_title(
            f"ours: {first['data_title']}\n{int(first['side'])}×{int(first['side'])} pixels, "
            f"n = {int(first['trained_on'])}"
        )
        _depth_axis(axes, settings.convolutional.depths)
    printed = published.load("arora2019_ntk_table1" if problem == "all classes" else "arora2019_ntk_table2")
    axes = panels[0, -1]
    for name, column in PRINTED.items():
        cue = cues[name]
        axes.plot(
            printed["depth"], printed[column], color=cue.colour, marker=cue.marker, linestyle=(0, (5, 2)), linewidth=0.9
        )
        if f"{column}_2k" in printed:
            axes.plot(
                printed["depth"], printed[f"{column}_2k"], color=cue.colour, marker=cue.marker, markerfacecolor="white",
                linestyle=(0, (5, 2)), linewidth=0.9,
            )  # fmt: skip
    axes.set_title(
        "published: CIFAR-10, 32×32 pixels\n"
        + ("50000 or 2000 training images" if problem == "all classes" else "first two classes")
    )
    _depth_axis(axes, list(printed["depth"]))
    panels[0, 0].set_ylabel("test accuracy, per cent")
    handles = [
        *(Line2D([], [], color=c.colour, marker=c.marker, label=name) for name, c in cues.items()),
        Line2D([], [], color="0.3", linewidth=0.9, label="bars: 95 % Clopper-Pearson"),
        Line2D([], [], color="0.2", marker="o", linestyle=(0, (5, 2)), linewidth=0.9, label="published, all images"),
    ]
    if problem == "all classes":
        handles.append(
            Line2D([], [], color="0.2", marker="o", markerfacecolor="white", linestyle=(0, (5, 2)), linewidth=0.9,
                   label="published, 2000 images")
        )  # fmt: skip
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def tiles_text(settings: Settings, tiles: Tiles) -> str:
    images = tiles.images
    return f"{images.found}, {tiles.side} x {tiles.side} pixels, n = {listed(tiles.samples)}; {images.test} test images"


def figures(settings: Settings) -> list[Figure]:
    part = settings.regression
    kernels = (
        "CNTK without (V) and with global average pooling (GAP), and the fully connected NTK with as many layers of "
        "weights; no ridge"
    )
    at_hand = settings.convolutional.at_hand
    data = "; ".join(tiles_text(settings, tiles) for tiles in at_hand)
    found = [
        Figure(
            name="arora2019_ntk_regression",
            items=("004-E5",),
            title="The kernel predictor without ridge",
            caption=f"f_ntk on {settings.source}, unit vectors, all classes, n = {listed(part.samples)}; {part.test} test "
            "images, ReLU with L hidden layers, float64. The same test images at every n.",
            alt="Accuracy of the kernel predictor rises with n; the condition number rises with n and falls with depth.",
            draw=draw_regression,
        )
    ]
    for tiles in at_hand:
        source = str(tiles.images.found)
        found.append(
            Figure(
                name=f"arora2019_ntk_samples_{source}",
                items=("004-T2",),
                title=f"Convolutional kernels over the sample size: {source}",
                caption=f"{kernels}. {tiles_text(settings, tiles)}; nested training sets, one draw.",
                alt="Accuracy of three kernels against the number of training images, one panel per depth.",
                draw=draw_samples,
                options={"source": source},
            )
        )
    for number, problem in ((1, "all classes"), (2, "first two classes")):
        found.append(
            Figure(
                name=f"arora2019_ntk_table{number}",
                items=("004-T2",),
                title=f"Table {number}: accuracy over depth ({problem})",
                caption=f"{kernels}. Ours, at the largest n: {data}. Right: the paper's values on CIFAR-10; another "
                "problem than ours, so shapes compare, not heights.",
                alt="Accuracy over depth, ours by data set and the published values in a panel of their own.",
                draw=draw_depth,
                options={"problem": problem},
            )
        )
    return found
