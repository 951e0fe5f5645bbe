"""Error over n by dimension; exponents over dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.curse_of_dimension.claims import exponents
from zeroloss.studies.curse_of_dimension.experiment import Settings
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import curse_of_dimension as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def _errors(axes: Axes, table: pd.DataFrame, settings: Settings, smoothness: float) -> None:
    from zeroloss.plotting.style import ordered_cues

    cues = ordered_cues(settings.dimensions)
    for d in settings.dimensions:
        one, cue = table[(table["dimension"] == d) & table["resolved"].astype(bool)], cues[d]
        by = one.groupby("samples")["error"]
        mean = by.mean()
        if mean.empty:
            continue
        axes.plot(mean.index, mean, color=cue.colour, marker=cue.marker, zorder=3)
        axes.fill_between(mean.index, by.min(), by.max(), color=cue.colour, alpha=0.25, linewidth=0)
        drawn = one.groupby("samples")["drawn_error"]
        low, high = drawn.min(), drawn.max()
        axes.vlines(mean.index, low, high, color=cue.colour, alpha=0.35, linewidth=1)
        n = mean.index.to_numpy(float)
        law = mean.iloc[-1] * (n / n[-1]) ** -theory.rate(smoothness, d)
        axes.plot(n, law, color=cue.colour, linestyle=":", linewidth=1.3, zorder=2)
    axes.set(xscale="log", yscale="log", xlabel="sample size $n$", ylabel="root mean squared error")


def draw_errors(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """One panel for each smoothness: torus, no noise."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    count = len(settings.smoothness)
    canvas, panels = plt.subplots(1, count, figsize=(6.4 * count, 5.4), layout="constrained", squeeze=False)
    table = metrics[(metrics["domain"] == "torus") & metrics["noisy"].eq(False)]
    for axes, s, letter in zip(panels[0], settings.smoothness, "abc", strict=False):
        _errors(axes, table[table["smoothness"] == s], settings, s)
        axes.set_title(f"({letter}) smoothness $s={s:g}$")
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$d={d}$")
        for d, cue in ordered_cues(settings.dimensions).items()
    ]
    handles += [
        Line2D([], [], color="0.2", linestyle=":", label="$n^{-s/d}$ through the last"),
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"),
        Line2D([], [], color="0.4", alpha=0.5, marker="|", markersize=12, linestyle="", label="drawn functions, range"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=6)
    return canvas


def draw_exponents(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """One panel for each smoothness: exponents with intervals over d, the laws dotted."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullLocator

    parts = {
        "torus": (("torus", False, "error"), "#31688e", "o", "torus"),
        "cube": (("cube", False, "error"), "#35b779", "s", "cube"),
        "nearest": (("torus", False, "nearest_error"), "#b5367a", "D", "nearest neighbour, torus"),
        "noisy": (("torus", True, "error"), "#e08214", "^", "torus, noisy labels"),
    }
    count = len(settings.smoothness)
    canvas, panels = plt.subplots(1, count, figsize=(6.4 * count, 5.4), layout="constrained", squeeze=False)
    found = {name: exponents(metrics, settings, *which) for name, (which, *_) in parts.items()}
    fine = np.linspace(min(settings.dimensions), max(settings.dimensions))
    for axes, s, letter in zip(panels[0], settings.smoothness, "abc", strict=False):
        axes.plot(fine, s / fine, ":", color="0.2")
        if s > 1:
            axes.plot(fine, 1 / fine, ":", color=parts["nearest"][1])
        if s == settings.noisy_smoothness:
            axes.plot(fine, s / (2 * s + fine), ":", color=parts["noisy"][1])
        for number, (name, (_, colour, marker, _)) in enumerate(parts.items()):
            here = {d: one for (smooth, d), one in found[name].items() if smooth == s}
            if here:
                axes.errorbar(
                    [d * 1.02 ** (number - 1.5) for d in here], [one.mean for one in here.values()],
                    [one.half_width for one in here.values()], color=colour, marker=marker, linestyle="", capsize=3,
                )  # fmt: skip
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="dimension $d$",
            ylabel="exponent",
            title=f"({letter}) smoothness $s={s:g}$",
        )
        axes.set_xticks(settings.dimensions, [str(d) for d in settings.dimensions])
        axes.tick_params(axis="x", which="minor", labelbottom=False)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    handles = [Line2D([], [], color=c, marker=k, linestyle="", label=label) for _, c, k, label in parts.values()]
    handles += [
        Line2D([], [], color="0.2", linestyle=":", label="$s/d$"),
        Line2D([], [], color=parts["nearest"][1], linestyle=":", label="$1/d$"),
        Line2D([], [], color=parts["noisy"][1], linestyle=":", label="$s/(2s+d)$"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def setting_text(settings: Settings) -> str:
    return (
        f"Random functions with Matérn covariance of smoothness s = {listed(settings.smoothness)} and length {settings.length:g} "
        f"diameters, variance 1 (the class is ours); uniform points, {settings.test} test points, {seeds_text(settings.seeds)}; "
        "kernel regression with the same covariance; error over all such functions, exactly, float64"
    )


def figures(settings: Settings) -> list[Figure]:
    s = settings
    return [
        Figure(
            name="curse_of_dimension_errors",
            items=("004-E1",),
            title="Error against sample size in one to eight dimensions",
            caption=f"{setting_text(s)}. Torus, labels without noise, n = {min(s.samples)} to {max(s.samples)}; thin bars: "
            f"{s.functions} drawn functions for each seed. Left out: errors whose square is below 100 times the "
            f"jitter {s.jitter:g}.",
            alt="Error against sample size on logarithmic axes: steep lines in one dimension, nearly flat ones "
            "in eight, all along the "
            "dotted lines of slope s over d.",
            draw=draw_errors,
        ),
        Figure(
            name="curse_of_dimension_exponents",
            items=("004-E1",),
            title="The exponent against the dimension",
            caption=f"{setting_text(s)}. Slopes over n = {s.fitted_from} to {max(s.samples)}, 95 % t intervals "
            "over seeds, Bonferroni; noise of "
            f"standard deviation {s.noise:g} at s = {s.noisy_smoothness:g}. Dotted: the laws.",
            alt="Exponents against dimension on logarithmic axes, falling along the dotted line s over d at first "
            "and flattening beyond; with noise lower, the nearest neighbour's along one over d where functions are smoother.",
            draw=draw_exponents,
        ),
    ]
