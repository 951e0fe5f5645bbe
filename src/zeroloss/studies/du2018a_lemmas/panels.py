"""What the pictures of this study share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

DOTTED = {"linestyle": ":", "linewidth": 1.3}


def line(label: str, **style: Any) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def draw_range(axes: Axes, table: pd.DataFrame, by: str, value: str, cue: Any) -> None:
    """Mean over seeds with the range as a band, against ``by``."""
    groups = table.groupby(by)[value]
    mean, low, high = groups.mean(), groups.min(), groups.max()
    every = max(1, len(mean) // 8) if len(mean) > 20 else 1
    axes.plot(mean.index, mean, color=cue.colour, marker=cue.marker, markevery=every, zorder=3)
    axes.fill_between(mean.index, low, high, color=cue.colour, alpha=0.25, linewidth=0, zorder=2)


def name_at(axes: Axes, text: str, at: tuple[float, float], **more: Any) -> None:
    """A short label of a bound, in axes coordinates unless told otherwise."""
    axes.annotate(text, at, **{"xycoords": "axes fraction", "fontsize": 10, **more})


def label_widths(axes: Axes, widths: Sequence[float], every: int = 1) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(widths)[::every], [f"{width:g}" for width in list(widths)[::every]])
    axes.tick_params(axis="x", which="minor", length=0)
    axes.set_xlabel("width $m$")
