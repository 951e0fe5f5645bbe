"""Curves over training, one per width, with what belongs beside them: seed range, published curve, bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from zeroloss.plotting.style import Cue


def draw_seed_curves(axes: Axes, table: pd.DataFrame, value: str, cues: Mapping[int | float, Cue]) -> None:
    """Mean over seeds of ``value`` against ``step``, the range over seeds as a band; columns width, seed, step."""
    for width, group in table.dropna(subset=[value]).groupby("width"):
        cue = cues[width]
        by_step = group.groupby("step")[value]
        mean, low, high = by_step.mean(), by_step.min(), by_step.max()
        every = max(1, len(mean) // 6) if len(mean) > 20 else 1
        axes.plot(mean.index, mean, color=cue.colour, marker=cue.marker, markevery=every, zorder=3)
        if group["seed"].nunique() > 1:
            axes.fill_between(mean.index, low, high, color=cue.colour, alpha=0.25, linewidth=0, zorder=2)


def draw_published(axes: Axes, curves: pd.DataFrame, cues: Mapping[int | float, Cue]) -> None:
    """The paper's digitised curves, thin and dashed in the colours of ours; columns width, step, value."""
    for width, curve in curves.groupby("width"):
        axes.plot(
            curve["step"], curve["value"], color=cues[width].colour, linestyle=(0, (5, 2)), linewidth=0.9, zorder=4
        )


def draw_bound(axes: Axes, steps: np.ndarray, values: np.ndarray, colour: tuple[float, float, float] | str) -> None:
    """A theoretical bound: dotted."""
    axes.plot(steps, values, color=colour, linestyle=":", linewidth=1.3, zorder=1)


def legend_entries(
    cues: Mapping[int | float, Cue], symbol: str, *, seeds: bool, published: bool, bound: str | None
) -> Sequence[Line2D]:
    """Handles for a figure legend: one per series, then the meanings of band, dash and dots."""
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"${symbol}={value}$") for value, cue in cues.items()
    ]
    if seeds:
        handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    if published:
        handles.append(Line2D([], [], color="0.2", linestyle=(0, (5, 2)), linewidth=0.9, label="published"))
    if bound:
        handles.append(Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label=bound))
    return handles
