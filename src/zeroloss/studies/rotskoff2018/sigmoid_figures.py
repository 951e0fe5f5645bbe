"""Figures 2, 3 and 4: sigmoid units, SGD and quench."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Figure
from zeroloss.studies.rotskoff2018.captions import sigmoid_text
from zeroloss.studies.rotskoff2018.claims import final_table, sigmoid_curves
from zeroloss.studies.rotskoff2018.compute import CIRCLES
from zeroloss.studies.rotskoff2018.divergence import diverged
from zeroloss.studies.rotskoff2018.experiment import Settings
from zeroloss.studies.rotskoff2018.panels import (
    draw_curve,
    draw_guide,
    draw_points,
    name_widths,
    say_diverged,
    width_handles,
)  # fmt: skip
from zeroloss.studies.rotskoff2018.slopes import width_slope

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

ITEMS = ("004-F12",)
PHASES = {"sgd": ("#b5367a", "s", 0.96), "quench": ("#31688e", "o", 1.04)}
QUANTITIES = {
    "loss": r"$\ell(f,f_n)$",
    "above": r"$|\langle (f-f_n)\,\Theta(f)\rangle|$",
    "below": r"$|\langle (f_n-f)\,\Theta(-f)\rangle|$",
}


def _widths(settings: Settings) -> list[int]:
    return sorted({width for run in settings.sigmoid.runs for width in run.widths})


def draw_figure_2(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """ln of the loss over time, a panel for each dimension."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    runs = settings.sigmoid.runs
    canvas, axes = plt.subplots(1, len(runs), figsize=(4.8 * len(runs), 4.8), layout="constrained", squeeze=False)
    cues = ordered_cues(_widths(settings))
    paper = published.load("rotskoff2018_fig2").set_index("d")
    for one, run in zip(axes[0], runs, strict=True):
        table = sigmoid_curves(metrics, run.dimension)
        say_diverged(one, *diverged(table))
        table = table.assign(log_loss=np.log(table["loss"]))
        for width, group in table.groupby("width"):
            draw_curve(one, group, "time", cues[width], "log_loss")
        quench = run.steps * run.step
        one.axvline(quench, color="0.3", linestyle=":", linewidth=1.0)
        if run.dimension in paper.index:
            one.axhline(paper.loc[run.dimension, "ln_loss_end"], color="0.2", linestyle=(0, (5, 2)), linewidth=0.9)
        one.set(xlabel="time $t$", title=f"$d={run.dimension}$")
    axes[0, 0].set_ylabel(r"$\ln\,\ell(f,f_n)$")
    handles = [
        *width_handles(cues),
        Line2D([], [], color="0.3", linestyle=":", label="start of the quench"),
        Line2D([], [], color="0.2", linestyle=(0, (5, 2)), linewidth=0.9, label="published end, $n=256$"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4 if len(runs) == 1 else 8))
    return canvas


def draw_figure_3(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Rows: dimensions. Columns: the loss and the two one-sided errors, by n."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    runs = settings.sigmoid.runs
    canvas, axes = plt.subplots(len(runs), 3, figsize=(13, 3.4 * len(runs) + 0.6), layout="constrained", squeeze=False)
    for row, run in zip(axes, runs, strict=True):
        for one, (value, label) in zip(row, QUANTITIES.items(), strict=True):
            slopes = []
            for phase, (colour, marker, shift) in PHASES.items():
                table = final_table(metrics, run.dimension, phase)
                draw_points(one, table, value, colour, marker, shift=shift, filled=phase == "quench")
                slopes.append(f"{'SGD' if phase == 'sgd' else phase} {width_slope(table, value)}")
            draw_guide(one, final_table(metrics, run.dimension, "sgd"), value, -1, (0, (5, 2)))
            name_widths(one, run.widths)
            say_diverged(one, *diverged(sigmoid_curves(metrics, run.dimension)))
            one.set_title("\n".join(slopes), fontsize=9)
            one.set_ylabel(f"$d={run.dimension}$:  {label}" if value == "loss" else label)
    handles = [
        Line2D([], [], color=colour, marker=marker, fillstyle="full" if phase == "quench" else "none", label=label)
        for (phase, (colour, marker, _)), label in zip(PHASES.items(), ("after SGD", "after the quench"), strict=True)
    ]
    handles.append(Line2D([], [], color="0.3", linestyle=(0, (5, 2)), label="$n^{-1}$ (guide of the paper)"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def draw_figure_4(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """f and f_n of the largest n along three great circles; a row for each dimension."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    runs = settings.sigmoid.runs
    canvas, axes = plt.subplots(
        len(runs), len(CIRCLES), figsize=(13, 3.2 * len(runs) + 0.6), layout="constrained", squeeze=False, sharex=True
    )  # fmt: skip
    slices = metrics[metrics["part"] == "slice"]
    shown = sorted({width for run in runs for width in run.widths[-3:]})
    cues = ordered_cues(shown)
    for row, run in zip(axes, runs, strict=True):
        for circle, one in enumerate(row):
            table = slices[(slices["dimension"] == run.dimension) & (slices["circle"] == circle)]
            target = table.groupby("theta")["target"].first()
            one.plot(target.index, target, color="black", linewidth=2.0, zorder=2)
            for width in run.widths[-3:]:
                draw_curve(one, table[table["width"] == width], "theta", cues[width], "output")
            curves = sigmoid_curves(metrics, run.dimension)
            say_diverged(one, *diverged(curves[curves["width"].isin(run.widths[-3:])]))
            i, j = CIRCLES[circle]
            one.set_title(f"$d={run.dimension}$, $(x_{i + 1},x_{j + 1})$")
            one.set_xticks([0, np.pi, 2 * np.pi], ["$0$", r"$\pi$", r"$2\pi$"])
        row[0].set_ylabel("$f$, $f_n$")
    for one in axes[-1]:
        one.set_xlabel(r"$\theta$")
    handles = [Line2D([], [], color="black", linewidth=2.0, label="$f$"), *width_handles(cues)]
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def figures(settings: Settings) -> list[Figure]:
    text = sigmoid_text(settings)
    return [
        Figure(
            name="rotskoff2018_fig2",
            items=ITEMS,
            title="Figure 2: loss over time, SGD and quench",
            caption=(
                f"{text}. Lines: medians over realisations, band: range; loss on {settings.sigmoid.curve_points} points. The "
                "published level is of n = 256 after 2e6 + 2e5 steps, on another draw of the target."
            ),
            alt="A panel for each dimension: the log loss falls over time, lower for larger n, and drops at the quench.",
            draw=draw_figure_2,
        ),
        Figure(
            name="rotskoff2018_fig3",
            items=ITEMS,
            title="Figure 3: loss and one-sided errors against n",
            caption=(
                f"{text}. {settings.sigmoid.test_points} test points (the paper: 10^5). Small markers: realisations, large: "
                "medians. Titles: log-log slope over n, 95 % bootstrap interval; the last two columns as magnitudes."
            ),
            alt="Loss and errors fall with n, after SGD and lower after the quench, beside a dashed guide of slope -1.",
            draw=draw_figure_3,
        ),
        Figure(
            name="rotskoff2018_fig4",
            items=ITEMS,
            title="Figure 4: slices of target and networks",
            caption=(
                f"{text}. x_i = sqrt(d) cos th, x_j = sqrt(d) sin th, other coordinates 0; after the quench, the largest n. "
                "Lines: medians over realisations, band: range. The paper's pairs (i, j) are not known to us."
            ),
            alt="Slices along three great circles: networks follow the target closely in the least dimension, less beyond.",
            draw=draw_figure_4,
        ),
    ]
