"""Final losses by width; the time to leave the saddle at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.contract import Figure
from zeroloss.studies.yu_chen1995.experiment import ZERO, Settings
from zeroloss.studies.yu_chen1995.tables import KINDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# losses below this are rounding: they are drawn at it
_FLOOR = 1e-32


def draw_starts(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Left: histogram of the final loss for each width. Right: what the starts ended at."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from zeroloss.plotting.style import ordered_cues

    starts = metrics[metrics["part"] == "starts"]
    units = settings.starts.units
    canvas, (left, right) = plt.subplots(1, 2, figsize=(12.5, 5.2), layout="constrained", width_ratios=(1.25, 1))
    edges = np.arange(-32, 1.01, 1.0)
    cues = ordered_cues(KINDS)  # type: ignore[arg-type]  # any hashable will do
    colours = [cues[kind].colour for kind in KINDS]  # type: ignore[index]
    for level, k in enumerate(units):
        here = starts[starts["units"] == k]
        logs = np.log10(here["relative_loss"].clip(lower=_FLOOR).dropna())
        counts, _ = np.histogram(logs, edges)
        # one row per width: heights are shares of the starts, the highest bar of all rows fits its row
        height = 0.85 * counts / max(len(here), 1)
        left.bar(edges[:-1], height, 1.0, bottom=level, align="edge", color="#31688e", linewidth=0, zorder=3)
        left.axhline(level, color="0.6", linewidth=0.6, zorder=2)
    left.axvline(np.log10(ZERO), color="0.2", linestyle=":", linewidth=1.3)
    left.set_yticks(
        np.arange(len(units)) + 0.4, [f"$k={k}$" + ("$=n$" if k == settings.starts.samples else "") for k in units]
    )
    left.set(
        xlabel=r"$\log_{10}$ of final loss $/\ \frac{1}{2}\|y\|^2$", title="(a) final loss of all starts, by width"
    )
    left.set_xlim(-32, 1)
    bottom = np.zeros(len(units))
    for kind, colour in zip(KINDS, colours, strict=True):
        share = np.array([(starts[starts["units"] == k]["kind"] == kind).mean() for k in units])
        right.bar(
            range(len(units)), share, 0.75, bottom=bottom, color=colour, edgecolor="white", linewidth=0.5, zorder=3
        )
        bottom += share
    per = starts.assign(zero=starts["kind"] == "zero").groupby(["units", "problem"])["zero"].mean().unstack()
    mean, low, high = (per.mean(axis=1), per.min(axis=1), per.max(axis=1))
    right.errorbar(
        range(len(units)),
        mean,
        bar_lengths(mean, low, high),
        color="black",
        linestyle="",
        marker="_",
        capsize=3,
        zorder=5,
    )
    right.set_xticks(range(len(units)), [str(k) for k in units])
    right.set(
        xlabel="hidden units $k$ (constant one included)", ylabel="share of the starts", title="(b) what they ended at"
    )
    right.set_ylim(0, 1.02)
    present = [kind for kind in KINDS if (starts["kind"] == kind).any()]
    handles: list[Line2D | Patch] = [Patch(color=cues[kind].colour, label=kind) for kind in present]  # type: ignore[index]
    handles.append(
        Line2D([], [], color="0.2", linestyle=":", label=f"counted as zero (${ZERO:g}$)".replace("1e-16", "10^{-16}"))
    )
    handles.append(
        Line2D([], [], color="black", marker="|", markersize=9, linestyle="", label="zero: range over problems")
    )
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def draw_escape(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Time to half the loss against the scale of the start, one line per depth, range over seeds."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    escape = metrics[metrics["part"] == "escape"].dropna(subset=["time"])
    cues = ordered_cues(settings.saddle.depths)
    canvas, axes = plt.subplots(figsize=(7, 4.8), layout="constrained")
    handles = []
    for depth in settings.saddle.depths:
        group, cue = escape[escape["depth"] == depth], cues[depth]
        by = group.assign(inverse=1 / group["scale"]).groupby("inverse")["time"]
        mean = by.mean()
        if mean.empty:
            continue
        axes.plot(mean.index, mean, color=cue.colour, marker=cue.marker, zorder=3)
        axes.fill_between(mean.index, by.min(), by.max(), color=cue.colour, alpha=0.25, linewidth=0)
        x = mean.index.to_numpy()
        guide = mean.iloc[0] * (x / x[0]) ** (depth - 2) if depth > 2 else mean.iloc[0] + np.log(x / x[0])
        axes.plot(x, guide, color=cue.colour, linestyle=":", linewidth=1.3)
        handles.append(Line2D([], [], color=cue.colour, marker=cue.marker, label=f"depth $L={depth}$"))
    handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    law = r"$\epsilon^{-(L-2)}$; $L=2$: $\ln(1/\epsilon)$"
    handles.append(Line2D([], [], color="0.2", linestyle=":", label=law))
    axes.set(xscale="log", yscale="log", xlabel=r"$1/\epsilon$, inverse scale of the start")
    axes.set_ylabel(r"time to half the loss, steps $\times\ \eta$")
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    starts, saddle = settings.starts, settings.saddle
    return [
        Figure(
            name="yu_chen1995_starts",
            items=("001-TH7",),
            title="Final losses of sigmoid networks, by width",
            caption=f"n = {starts.samples} patterns N(0, I) in d = {starts.dimension}, labels N(0, 1) (synthetic), seeds "
            f"{', '.join(map(str, starts.problems))}, {starts.starts} starts each; {starts.descent_steps} steps of gradient "
            f"descent, then at most {starts.newton_steps} of Levenberg-Marquardt, float64. (a) Heights: shares of the starts.",
            alt="Histograms of the final loss, one row per width: narrow networks end at losses between 0.001 and 1, wide "
            "ones at zero to rounding; on the right the share of starts at zero grows to one with the width.",
            draw=draw_starts,
        ),
        Figure(
            name="yu_chen1995_escape",
            items=("001-Q1",),
            title="How long gradient descent stays at the saddle at zero",
            caption=f"Deep linear networks, all widths {saddle.dimension}, whitened inputs, target with singular values "
            f"{saddle.decay:g}^k; every layer starts at epsilon times a random orthogonal matrix; step size {saddle.step:g}, "
            f"seeds {', '.join(map(str, saddle.seeds))}. Lines: mean over seeds; dotted: the power through the first point.",
            alt="Time to leave the saddle against one over epsilon: almost flat at depth 2, slope 1 at depth 3, slope 2 at "
            "depth 4 on double logarithmic axes.",
            draw=draw_escape,
        ),
    ]
