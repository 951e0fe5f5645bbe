"""Theorem 4.1 and Lemma 5.3 against the width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.arora2019_fine_grained.cues import LABELS
from zeroloss.studies.arora2019_fine_grained.experiment import Settings, present, samples_of
from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_STYLES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1)))


def gaps(metrics: pd.DataFrame) -> pd.DataFrame:
    """Largest | |y - u(k)| - prediction | / sqrt(n) over the recorded steps: the epsilon of Theorem 4.1 over |y|.

    Args:
        metrics: rows of one source.

    Returns:
        One row per width, kappa, label, seed with ``gap``, ``distance_ratio`` = |W(T) - W(0)| / sqrt(y' H^-1 y) and
        ``diverged``.
    """
    table = metrics[metrics["part"] == "width"]
    # Phi / n = |y - u|^2 / (2 n)
    gap = (np.sqrt(2 * table["loss"]) - np.sqrt(2 * table["predicted"])).abs()
    ratio = table["distance"] / np.sqrt(table["squared_norm"])
    return (
        table.assign(gap=gap, distance_ratio=ratio)
        .groupby(["width", "kappa", "label", "seed"], as_index=False)[["gap", "distance_ratio", "diverged"]]
        .max()
    )


def draw_widths(metrics: pd.DataFrame, settings: Settings, *, source: str) -> Canvas:
    """Left: the gap of Theorem 4.1. Right: the distance over the bound of Lemma 5.3."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    found = gaps(metrics[metrics["source"] == source])
    canvas, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.8), layout="constrained")
    kappas = settings.widths.kappas
    for axes, column in ((left, "gap"), (right, "distance_ratio")):
        for kappa, style in zip(kappas, _STYLES, strict=False):
            for label in ("true", "random"):
                colour, marker, _ = LABELS[label]
                by = found[(found["kappa"] == kappa) & (found["label"] == label)].groupby("width")[column]
                mean = by.mean()
                axes.errorbar(
                    mean.index, mean, bar_lengths(mean, by.min(), by.max()), color=colour, marker=marker,
                    linestyle=style, capsize=2, elinewidth=0.9,
                )  # fmt: skip
        axes.set(xscale="log", xlabel="width $m$")
        axes.set_xticks(settings.widths.widths, [str(m) for m in settings.widths.widths])
        axes.minorticks_off()
    widths = np.array([min(settings.widths.widths), max(settings.widths.widths)])
    level = found[found["width"] == widths[0]]["gap"].min() * 0.6
    left.plot(widths, level * (widths / widths[0]) ** -0.5, color="0.2", linewidth=0.8)
    left.annotate(r"$\propto m^{-1/2}$", (widths[0], level), (-2, -10), textcoords="offset points", va="top")
    left.set(yscale="log", ylabel=r"$\max_k\,|\,\|y-u(k)\|-\mathrm{predicted}\,|\,/\sqrt{n}$", title="(a) Theorem 4.1")
    right.axhline(1, color="0.2", linestyle=":", linewidth=1.3)
    right.set(
        ylim=(0, 1.1 * max(1.0, found["distance_ratio"].max())),
        ylabel=r"$\|W(k)-W(0)\|_F\,/\,\sqrt{y^\top(H^\infty)^{-1}y}$", title="(b) Lemma 5.3",
    )  # fmt: skip
    handles = [Line2D([], [], color=LABELS[x][0], marker=LABELS[x][1], label=LABELS[x][2]) for x in ("true", "random")]
    handles += [
        Line2D([], [], color="0.2", linestyle=style, label=rf"$\kappa={kappa:g}$")
        for kappa, style in zip(kappas, _STYLES, strict=False)
    ]
    handles += [
        Line2D([], [], color="0.2", linestyle=":", label="bound"),
        Line2D([], [], color="0.4", marker="|", markersize=9, linestyle="", label="range over seeds"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=7, columnspacing=1.4)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    widths = settings.widths
    return [
        Figure(
            name=f"arora2019_fine_grained_widths_{source}",
            items=("004-F9",),
            title=f"Prediction of the loss and distance from the start against the width: {source}",
            caption=f"{source}, n = {samples_of(task, widths)}, m = {listed(widths.widths)}, kappa = {listed(widths.kappas)}, "
            f"eta = {settings.relative_step:g} / lambda_max, {widths.steps} steps, {seeds_text(widths.seeds)}: mean and "
            "range. f - f(0) is trained in the place of f, so that the residual starts at -y at every kappa. "
            "(b) At the end of training; the bound of Lemma 5.3 without its lower-order terms.",
            alt="The gap between predicted and actual loss falls as the width grows, faster for large initial weights; "
            "the distance from the start approaches a level below the bound.",
            draw=draw_widths,
            options={"source": source},
        )
        for task in present(settings)
        for source in [str(task.images.found)]
    ]
