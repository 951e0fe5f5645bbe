"""Pieces that several pictures of this study share: curves of medians, scatter over n, guides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.rotskoff2018.divergence import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import Cue


def say_diverged(axes: Axes, gone: int, runs: int) -> None:
    """The number of runs that diverged, in the middle of the panel: what is not finite is not drawn."""
    if gone:
        axes.text(
            0.5, 0.5, counted(gone, runs), transform=axes.transAxes, ha="center", va="center", color="#b22222",
            zorder=6, bbox={"facecolor": "white", "edgecolor": "#b22222", "alpha": 0.9},
        )  # fmt: skip


def draw_curve(axes: Axes, table: pd.DataFrame, x: str, cue: Cue, value: str = "loss") -> None:
    """Median over realisations against ``x``, their range as a band."""
    by = table.groupby(x)[value]
    middle = by.median()
    every = max(1, len(middle) // 6)
    axes.plot(middle.index, middle, color=cue.colour, marker=cue.marker, markevery=every, zorder=3)
    if table["seed"].nunique() > 1:
        axes.fill_between(middle.index, by.min(), by.max(), color=cue.colour, alpha=0.25, linewidth=0, zorder=2)


def draw_points(
    axes: Axes, table: pd.DataFrame, value: str, colour: Any, marker: str, *, shift: float = 1.0, filled: bool = True
) -> None:
    """Every realisation's magnitude as a small marker, the medians joined by a line; log-log over n, moved by ``shift``.

    Left linear where no value can stand on a logarithmic axis, which matplotlib would refuse.
    """
    size = table[value].abs()
    fill: Any = "full" if filled else "none"
    axes.plot(
        table["width"] * shift,
        size,
        color=colour,
        marker=marker,
        linestyle="",
        markersize=3,
        alpha=0.45,
        fillstyle=fill,
    )
    middle = size.groupby(table["width"]).median()
    axes.plot(
        middle.index * shift, middle, color=colour, marker=marker, markersize=7, linewidth=1.2, zorder=4, fillstyle=fill
    )
    axes.set(xscale="log")
    if (np.isfinite(size) & (size > 0)).any():
        axes.set(yscale="log")


def draw_guide(axes: Axes, table: pd.DataFrame, value: str, power: float, style: Any) -> None:
    """n^power through twice the median at the least n."""
    widths = np.array(sorted(table["width"].unique()), float)
    start = float(table[table["width"] == widths[0]][value].abs().median())
    axes.plot(widths, 2 * start * (widths / widths[0]) ** power, color="0.3", linestyle=style, linewidth=1.0, zorder=1)


def name_widths(axes: Axes, widths: Sequence[int]) -> None:
    """Ticks at the values of n."""
    from matplotlib.ticker import NullLocator

    axes.set_xlabel("particles $n$")
    axes.set_xticks(list(widths), [str(width) for width in widths])
    axes.xaxis.set_minor_locator(NullLocator())


def width_handles(cues: Mapping[int | float, Cue], band: bool = True) -> list[Line2D]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$n={width}$") for width, cue in cues.items()]
    if band:
        handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range"))
    return handles
