"""The 1/n test: spread of independent particles about the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.rotskoff2018.captions import fluctuation_text
from zeroloss.studies.rotskoff2018.divergence import diverged
from zeroloss.studies.rotskoff2018.experiment import Settings
from zeroloss.studies.rotskoff2018.fluctuation_claims import flows, spread_at, steps
from zeroloss.studies.rotskoff2018.panels import draw_points, name_widths, say_diverged
from zeroloss.theory import rotskoff2018 as theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_SOURCES: dict[str, tuple[str, Any, str]] = {
    "start": ("0.55", (0, (2, 1)), "limit, $t=0$"),
    "limit": ("black", "-", "limit, last $t$"),
    "sgd": ("#b5367a", "-", "SGD, last $t$"),
}


def draw_fluctuations(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Variance, distance from the limit and distance of the law of charges, all by n and time; histograms of c."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = plt.subplots(2, 2, figsize=(12, 8.4), layout="constrained")
    found, part = steps(metrics), settings.fluctuations
    cues = ordered_cues(found)
    widths = np.array(part.widths, float)
    panels = (
        (axes[0, 0], "variance", r"mean over $\mu$ of $\mathrm{Var} f_n$", "(a) spread between realisations"),
        (axes[0, 1], "from_limit", r"$\|f_n-f_N\|^2_\mu$", f"(b) distance from $N={part.reference}$"),
        (axes[1, 0], "law_distance", r"$W_1$ of the charges", "(c) distance of the law of $c$"),
    )
    for one, value, label, title in panels:
        for number, step in enumerate(found):
            shift = 1 + 0.05 * (number - (len(found) - 1) / 2)
            draw_points(one, spread_at(metrics, step), value, cues[step].colour, cues[step].marker, shift=shift)
        name_widths(one, part.widths)
        one.set(ylabel=label, title=title)
        say_diverged(one, *diverged(flows(metrics)))
    axes[0, 0].plot(
        widths,
        theory.sigmoid_start_variance(part.dimension, 1.0) / widths,
        color="0.2",
        linestyle=":",
        linewidth=1.3,
        zorder=5,
    )
    for one, value, power in ((axes[0, 1], "from_limit", -1.0), (axes[1, 0], "law_distance", -0.5)):
        top = spread_at(metrics, found[-1])
        start = 2 * top[top["width"] == widths[0]][value].median()
        one.plot(widths, start * (widths / widths[0]) ** power, color="0.3", linestyle="-.", linewidth=1.0)
    last = axes[1, 1]
    charges = metrics[metrics["part"] == "charge"]
    for source, (colour, style, _) in _SOURCES.items():
        table = charges[charges["source"] == source]
        edges = [*table["low"], table["high"].iloc[-1]]
        if not np.isfinite(edges).all():
            continue  # the limit diverged: its charges span no range
        last.stairs(table["density"], edges, color=colour, linestyle=style, linewidth=1.4)
    # at the start c ~ N(0, 1), far above the spread-out laws: its peak is cut
    later = charges[charges["source"] != "start"]["density"].max()
    last.set(xlabel="charge $c$", ylabel="density", title="(d) law of the charges")
    if later > 0:
        last.set(ylim=(0, 1.6 * later))
    last.legend(
        handles=[Line2D([], [], color=c, linestyle=s, label=label) for c, s, label in _SOURCES.values()],
        loc="upper right",
    )
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$t={step * part.step:g}$")
        for step, cue in cues.items()
    ]
    handles += [
        Line2D([], [], color="0.2", linestyle=":", label="exact mean at $t=0$"),
        Line2D([], [], color="0.3", linestyle="-.", label="$n^{-1}$ (b), $n^{-1/2}$ (c)"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def figures(settings: Settings) -> list[Figure]:
    s = settings.fluctuations
    return [
        Figure(
            name="rotskoff2018_fluctuations",
            items=("004-L2",),
            title="A 1/n test: independent particles about their limit",
            caption=(
                f"{fluctuation_text(settings)}. A test of this project: the figures of Mei et al. and of Sirignano and "
                "Spiliopoulos were not available to us. Small markers: realisations, large: medians. (d) SGD: "
                f"n = {s.sgd_width}, batch {s.sgd_batch}, step {s.sgd_step:g}, all realisations together."
            ),
            alt=(
                "Variance between realisations and squared distance from the limit fall along lines of slope -1 over n at "
                "every time, the distance of the law of charges along slope -1/2; SGD's histogram of charges lies on the limit's."
            ),
            draw=draw_fluctuations,
        )
    ]
