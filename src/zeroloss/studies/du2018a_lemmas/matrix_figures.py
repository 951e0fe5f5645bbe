"""Lemmas 3.1 and 3.2: the Gram matrix at the start, and when every unit is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.du2018a_lemmas.experiment import DIRECTIONS, Settings
from zeroloss.studies.du2018a_lemmas.panels import DOTTED, draw_range, label_widths, line, name_at
from zeroloss.studies.du2018a_lemmas.tables import part, three_quarters
from zeroloss.theory import du2018a_lemmas as theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def draw_initial(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Lemma 3.1: distribution of lambda_min(H(0)) / lambda_0, fraction above 3/4, distance to the limit."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues
    from zeroloss.theory.statistics import slope_over_width

    table = part(metrics, "initial")
    table = table.assign(quotient=table["lambda_min"] / table["lambda_0"])
    widths = sorted(table["width"].unique())
    lambda_0, n, delta = table["lambda_0"].iloc[0], settings.initial.samples, settings.failure_probability
    dark, middle = (list(ordered_cues([0, 1]).values())[k].colour for k in (0, 1))
    canvas, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")

    first = axes[0]
    for width, group in table.groupby("width"):
        jitter = width * 2 ** (0.22 * np.linspace(-1, 1, len(group)))
        first.plot(jitter, group["quotient"], ".", color=middle, markersize=3, alpha=0.5, zorder=2)
        low, mid, high = group["quotient"].quantile([0.05, 0.5, 0.95])
        first.errorbar(width, mid, bar_lengths([mid], [low], [high]), color=dark, marker="o", capsize=3, zorder=3)
    first.axhline(0.75, color="0.2", **DOTTED)
    name_at(first, "3/4", (1.01, 0.75), xycoords=("axes fraction", "data"), va="center")
    first.axhline(1.0, color="0.75", linewidth=0.8)
    first.set_ylabel(r"$\lambda_{\min}(H(0))/\lambda_0$")
    first.set_title("a) least eigenvalue at the start")

    good = three_quarters(metrics)
    middles = np.array([one.value for one in good])
    ends = bar_lengths([one.value for one in good], [one.low for one in good], [one.high for one in good])
    axes[1].errorbar(good.index, middles, ends, color=dark, marker="o", capsize=3, zorder=3)
    axes[1].axhline(1 - delta, color="0.2", **DOTTED)
    name_at(
        axes[1],
        r"$1-\delta$ of the lemma",
        (0.97, 1 - delta - 0.03),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="top",
    )
    axes[1].set_ylim(-0.04, 1.04)
    axes[1].set_ylabel(r"fraction with $\lambda_{\min}(H(0))\geq\frac{3}{4}\lambda_0$")
    axes[1].set_title("b) how often Lemma 3.1 holds")

    gap = table.groupby("width")["gap"]
    axes[2].plot(gap.mean().index, gap.mean(), color=dark, marker="o", zorder=3)
    axes[2].fill_between(gap.mean().index, gap.quantile(0.05), gap.quantile(0.95), color=dark, alpha=0.25, linewidth=0)
    bound = n * np.asarray(theory.entry_deviation(np.array(widths), n, delta))
    axes[2].plot(widths, bound, color="0.2", **DOTTED)
    axes[2].axhline(lambda_0 / 4, color="0.2", **DOTTED)
    name_at(axes[2], r"$\lambda_0/4$", (1.01, lambda_0 / 4), xycoords=("axes fraction", "data"), va="center")
    name_at(axes[2], "bound of the proof", (widths[0], bound[0] * 1.15), xycoords="data", va="bottom")
    axes[2].set_yscale("log")
    axes[2].set_ylim(top=bound[0] * 3)
    axes[2].set_ylabel(r"$\|H(0)-H^\infty\|_2$")
    fitted = table[table["width"] >= 4 * n]
    title = "c) distance to the limit"
    if fitted["width"].nunique() > 1:
        title += f", slope {slope_over_width(fitted, 'gap').mean:.2f} from $m=4n$"
    axes[2].set_title(title)
    for one in axes:
        label_widths(one, widths, 1 if len(widths) < 7 else 2)
    handles = [
        line("one draw", color=middle, marker=".", linestyle="none"),
        line("median (a), mean (c), bars or band 5 to 95 %; b: 95 % interval", color=dark, marker="o"),
        line("bound", color="0.2", **DOTTED),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def draw_perturbed(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Lemma 3.2: flips, change of H and least eigenvalue against R, narrowest and widest network."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    table = part(metrics, "perturbed")
    table = table.assign(quotient=table["lambda_min"] / table["lambda_0"])
    cues = dict(zip(DIRECTIONS, ordered_cues(range(len(DIRECTIONS))).values(), strict=True))
    widths = sorted({table["width"].min(), table["width"].max()})
    n, delta = settings.perturbed.samples, settings.failure_probability
    safe = table.loc[table["safe"].astype(bool), "radius"].mean()
    swept = table[~table["safe"].astype(bool)]
    radii = np.geomspace(safe, table["radius"].max(), 200)
    canvas, axes = plt.subplots(len(widths), 3, figsize=(13, 3.9 * len(widths)), layout="constrained", squeeze=False)
    for row, width in zip(axes, widths, strict=True):
        here = swept[swept["width"] == width]
        for direction, cue in cues.items():
            one = here[here["direction"] == direction]
            for panel, value in zip(row, ("flipped", "gram_change", "quotient"), strict=True):
                shown = one if value == "quotient" else one[one.groupby("radius")[value].transform("min") > 0]
                draw_range(panel, shown, "radius", value, cue)
        reach = here.groupby("radius")["reachable"].mean()
        row[0].plot(reach[reach > 0].index, reach[reach > 0], color="0.45", linestyle="-.", linewidth=1.2)
        bounds = (theory.flip_probability_bound(radii), theory.gram_change_bound(radii, n, delta))
        for panel, bound in zip(row, bounds, strict=False):
            panel.plot(radii, bound, color="0.2", **DOTTED)
            panel.set_yscale("log")
        row[0].set_ylim(1e-5, 2)
        row[0].set_ylabel("fraction of patterns flipped")
        row[1].set_ylabel(r"$\|H-H(0)\|_2$")
        row[2].set_ylabel(r"$\lambda_{\min}(H)/\lambda_0$")
        row[2].axhline(0.5, color="0.2", **DOTTED)
        row[2].set_ylim(0, 1.25)
        for panel in row:
            panel.set_xscale("log")
            panel.set_xlabel("length $R$ of every unit's move")
            panel.axvline(safe, color="0.2", **DOTTED)
        name_at(row[2], "1/2", (1.01, 0.5), xycoords=("axes fraction", "data"), va="center")
        name_at(row[2], "lemma's $R$", (safe * 1.4, 0.06), xycoords=("data", "axes fraction"))
        row[0].set_title(f"a) flips, $m={width}$")
        row[1].set_title(f"b) change of $H$, $m={width}$")
        row[2].set_title(f"c) least eigenvalue, $m={width}$")
    handles = [line(name, color=cue.colour, marker=cue.marker) for name, cue in cues.items()]
    handles += [
        line("in reach of some move", color="0.45", linestyle="-.", linewidth=1.2),
        line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        line("bound of Lemma 3.2", color="0.2", **DOTTED),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=6, columnspacing=1.2, handlelength=1.8)
    return canvas
