"""Error over frequency for depth 2 and 3; what each depth needs by dimension."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.daniely2017.claims import part
from zeroloss.studies.daniely2017.experiment import Settings
from zeroloss.studies.wording import listed, seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_TRAINED = ("#e08214", "#b35806", "#7f3b08")
_DEEP = ("#d6a5c9", "#b5367a", "#6a1b4d")


def _band(axes: Axes, table: pd.DataFrame, **look: Any) -> None:
    """Median over seeds against the frequency, the range as a band."""
    by = table.groupby("frequency")["relative_error"]
    median, low, high = by.median(), by.min(), by.max()
    axes.plot(median.index, median, **look)
    axes.fill_between(median.index, low, high, color=look["color"], alpha=0.2, linewidth=0)


def draw_frequencies(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """One panel for each d: relative error against k / pi; the printed frequency d^3 as a line."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullLocator

    from zeroloss.plotting.style import ordered_cues

    dimensions = settings.features.dimensions
    columns = min(len(dimensions), 4)
    canvas, panels = plt.subplots(
        math.ceil(len(dimensions) / columns), columns, figsize=(4.3 * columns, 5.6), layout="constrained", sharey=True,
        squeeze=False,
    )  # fmt: skip
    features, trained, curves = (part(metrics, name) for name in ("features", "trained", "curve"))
    cues = ordered_cues(settings.features.widths)
    for axes, d in zip(panels.flat, dimensions, strict=False):
        for m, cue in cues.items():
            one = features[(features["dimension"] == d) & (features["width"] == m)]
            _band(axes, one, color=cue.colour, marker=cue.marker)
        for m, colour, marker in zip(settings.trained.widths, _TRAINED, "dPX", strict=False):
            one = trained[(trained["dimension"] == d) & (trained["width"] == m)]
            if len(one):
                _band(axes, one, color=colour, marker=marker, linestyle="--")
                bound = one.assign(share=one["bound"] / one["variance"]).groupby("frequency")["share"].median()
                axes.plot(bound.index, bound.where(bound > 0), color=colour, linestyle=":", linewidth=1.4)
        for pieces, colour in zip(settings.constructed.pieces, _DEEP, strict=False):
            one = curves[(curves["dimension"] == d) & (curves["second"] == pieces[1])].sort_values("frequency")
            axes.plot(one["frequency"], one["relative_error"], color=colour, linestyle="-.", marker="*", markersize=7)
        axes.axvline(d**3, color="0.3", linewidth=0.9)
        axes.axhline(1, color="0.6", linewidth=0.8)
        axes.set(xscale="log", yscale="log", xlabel=r"frequency $k/\pi$", title=f"$d={d}$: the line is $d^3={d**3}$")
        axes.set_ylim(1e-9, 10)
        axes.xaxis.set_major_locator(LogLocator(base=4 if d > 3 else 2))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    for axes in panels[:, 0]:
        axes.set_ylabel("mean squared error / variance")
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"depth 2, random, $m={m}$")
        for m, cue in cues.items()
    ]
    handles += [
        Line2D([], [], color=c, marker=k, linestyle="--", label=f"depth 2, trained, $m={m}$")
        for m, c, k in zip(settings.trained.widths, _TRAINED, "dPX", strict=False)
    ]
    handles += [
        Line2D([], [], color=c, marker="*", markersize=7, linestyle="-.", label=f"depth 3, $(n_1,n_2)=({p[0]},{p[1]})$")
        for p, c in zip(settings.constructed.pieces, _DEEP, strict=False)
    ]
    handles += [
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"),
        Line2D([], [], color="0.2", linestyle=":", label="lower bound of the trained, where positive"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def draw_separation(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """(a) spectra; (b) what each depth needs; (c) error of depth 3 by size."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    dimensions = settings.constructed.dimensions
    cues = ordered_cues(dimensions)
    canvas, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5.4), layout="constrained")
    spectra = part(metrics, "spectrum")
    for d, cue in cues.items():
        one = spectra[spectra["dimension"] == d]
        left.plot(one["degree_over_frequency"], one["share"], color=cue.colour, marker=cue.marker, markevery=(3 * d, 30),
                  label=f"$d={d}$")  # fmt: skip
    left.set(xlabel="degree over frequency, $n/k$", ylabel="share of the variance up to degree $n$",
             title=r"(a) degrees of $\sin(\pi d^3\langle x,x'\rangle)$")  # fmt: skip
    needed = part(metrics, "needed").sort_values("dimension")
    d = needed["dimension"]
    accuracy = needed["accuracy"].iloc[0]
    middle.plot(d, 2.0 ** needed["log2_mass"], "o:", color="#31688e", label="depth 2: mass $A$, at least")
    middle.plot(
        d, 2.0 ** needed["log2_neurons"], "s:", color="#440154", label="depth 2: neurons, weights up to $2^d$, at least"
    )
    middle.plot(d, needed["units"], "*-.", color=_DEEP[1], label=f"depth 3: units for $\\epsilon={accuracy:g}$")
    middle.plot(d, d**2 * np.pi * d**3 / accuracy, ":", color=_DEEP[1], label=r"$d^2L/\epsilon$")
    middle.axhline(1, color="0.6", linewidth=0.8)
    middle.set(yscale="log", xlabel="dimension $d$", ylabel="size", title="(b) needed at $k=\\pi d^3$",
               ylim=(1e-3, None))  # fmt: skip
    table = metrics[metrics["part"].isin(["sized", "built"])].sort_values("units")
    for d_value, cue in cues.items():
        one = table[table["dimension"] == d_value]
        right.plot(one["units"], one["sup"], color=cue.colour, marker=cue.marker, label=f"$d={d_value}$")
        right.plot(one["units"], one["bound"], ":", color=cue.colour)
    right.set(
        xscale="log",
        yscale="log",
        xlabel="units of depth 3",
        ylabel="largest error",
        title="(c) depth 3; dotted: its bound",
    )
    for axes, columns in ((left, 5), (middle, 1), (right, 5)):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=columns, columnspacing=0.8, handlelength=1.5)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    f, t, c, b = settings.features, settings.trained, settings.constructed, settings.bound
    target = "Target sin(k <x, x'>), x and x' uniform on the unit sphere of R^d"
    return [
        Figure(
            name="daniely2017_frequency",
            items=("004-TH7",),
            title="Depth 2 and depth 3 over the frequency",
            caption=f"{target}; the theorem has k = pi d^3. Depth 2, random: {f.train} training points, least squares over m "
            f"ReLU neurons; trained: {t.steps} Adam steps on {t.batch} fresh points each, from {t.step_size:g} to 0, k / pi = "
            f"{listed(t.frequencies)}; both tested at {f.test} points, {seeds_text(settings.seeds)}, lines: "
            "medians. Above 1 least squares overfits what it cannot represent. "
            "Depth 3: written down, not trained. Sizes and the axis k are ours. That trained networks fail does not "
            "show that no depth-2 network can.",
            alt="Relative error against frequency in several dimensions: depth 2 is accurate at low frequencies "
            "and no better than a constant beyond a frequency that falls "
            "as the dimension grows; depth 3 is accurate at all of them.",
            draw=draw_frequencies,
        ),
        Figure(
            name="daniely2017_separation",
            items=("004-TH7",),
            title="What depth 2 and depth 3 need by dimension",
            caption=f"{target}, k = pi d^3. (b) Lower bounds for a mean squared error of {b.share:g} times the variance, d = "
            f"{min(b.dimensions)} to {max(b.dimensions)}: mass A = sum of |outer weight| times root mean square "
            "of the neuron; the number of neurons if all weights are at most 2^d. Below 1 they say nothing. (c) Largest error at "
            f"{c.points} points.",
            alt="Left: most of the variance sits at degrees just below the frequency, more so in high dimension. "
            "Middle: the lower bounds of depth 2 grow exponentially and cross the polynomial size of depth 3. Right: errors "
            "of depth 3 below their bounds.",
            draw=draw_separation,
        ),
    ]
