"""How starts and targets are told apart: colour and marker together (Okabe and Ito's palette)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

START_CUES = {
    "zas": ("#0072B2", "o"),
    "near_identity": ("#D55E00", "s"),
    "xavier": ("#009E73", "^"),
    "haar": ("#CC79A7", "D"),
    "identity": ("#555555", "v"),
    "mzas": ("#0072B2", "o"),
    "he": ("#009E73", "^"),
}
DOTTED = (0, (1, 1.5))


def start_handles(labels: Mapping[str, str], markers: bool = True) -> list[Line2D]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=START_CUES[name][0], marker=START_CUES[name][1] if markers else None, label=label)
        for name, label in labels.items()
    ]


def dotted_handle(label: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color="0.2", linestyle=DOTTED, linewidth=1.2, label=label)


def mark_levels(axes: Axes, dimension: int, *, named: bool) -> None:
    """R = k/2, k = 1..d, dotted; with their k at the right edge."""
    for k in range(1, dimension + 1):
        axes.axhline(k / 2, color="0.35", linestyle=DOTTED, linewidth=0.9, zorder=1)
    if named:
        # in a logarithm the last levels lie close together
        for k in sorted({1, 2, dimension} if dimension >= 4 else {1, dimension}):
            axes.text(
                1.015, k / 2, f"$k={k}$", transform=axes.get_yaxis_transform(), va="center", fontsize=9, color="0.3"
            )
