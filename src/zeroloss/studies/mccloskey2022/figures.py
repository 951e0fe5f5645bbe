"""One figure per question: how it is drawn. Titles and captions are in ``captions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.mccloskey2022.settings import Settings
from zeroloss.studies.mccloskey2022.tables import SERIES, exponent, width_groups
from zeroloss.theory import mccloskey2022 as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

METHODS = ("gradient_descent", "heavy_ball", "nesterov", "adam", "rmsprop")
METHOD_NAMES = {
    "gradient_descent": "gradient descent", "heavy_ball": "heavy ball", "nesterov": "Nesterov", "adam": "Adam",
    "rmsprop": "RMSProp",
}  # fmt: skip
GUIDE: dict[str, Any] = {"color": "0.3", "linestyle": ":", "linewidth": 1.3}


def _part(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    return metrics[metrics["part"] == name]


def _line(axes: Axes, table: pd.DataFrame, x: str, y: str, cue: Any, label: str = "", **more: Any) -> None:
    """Mean over seeds with the range over seeds: a band along many points, error bars along few."""
    by = table.dropna(subset=[y]).groupby(x)[y]
    mean, low, high = by.mean(), by.min(), by.max()
    if len(mean) > 12:
        more = {"marker": cue.marker, "markevery": (len(mean) // 12, max(1, len(mean) // 5)), **more}
        axes.plot(mean.index, mean, color=cue.colour, label=label, **more)
        axes.fill_between(mean.index, low, high, color=cue.colour, alpha=0.2, linewidth=0)
        return
    spread = bar_lengths(mean, low, high)
    axes.errorbar(mean.index, mean, spread, color=cue.colour, marker=cue.marker, capsize=3, label=label, **more)


def _panels(columns: int, rows: int = 1, **more: Any) -> tuple[Canvas, Any]:
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(4.4 * columns, 3.5 * rows + 0.7), layout="constrained", **more)


def _legend(canvas: Canvas, axes: Axes, columns: int, extra: list[Any] | None = None) -> None:
    handles, _ = axes.get_legend_handles_labels()
    canvas.legend(handles=[*handles, *(extra or [])], loc="outside upper center", ncols=columns)


def draw_examples(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Gershgorin's bound on random sets; lambda_0 as one pair approaches, and as antipodal pairs do."""
    from zeroloss.plotting.style import ordered_cues

    canvas, axes = _panels(3)
    dimensions = settings.examples.dimensions
    for dimension, cue in ordered_cues(dimensions).items():
        here = _part(metrics, "gershgorin")
        here = here[here["dimension"] == dimension]
        axes[0].plot(
            here["gershgorin"],
            here["lambda_0"],
            linestyle="",
            color=cue.colour,
            marker=cue.marker,
            label=f"$d={dimension}$",
        )
    low = min(-0.2, float(_part(metrics, "gershgorin")["gershgorin"].min()))
    axes[0].plot([0, 0.5], [0, 0.5], **GUIDE)
    axes[0].annotate(r"$\lambda_0=\delta$", (0.12, 0.06), ha="left", va="bottom", fontsize=10)
    axes[0].plot([0.5], [0.5], marker="*", color="0.1", markersize=12, clip_on=False, zorder=5)
    axes[0].annotate("orthogonal", (0.44, 0.497), ha="right", va="center", fontsize=10)
    axes[0].set(xlim=(low * 1.05, 0.52), ylim=(0, 0.52), xlabel=r"Gershgorin margin $\delta$", ylabel=r"$\lambda_0$")
    axes[0].set_title("(a) row sums: the bound says nothing for $\\delta<0$")
    axes[0].legend(loc="upper left", fontsize=9, bbox_to_anchor=(0.0, 0.97))
    names = {
        "pair_in_set": "one close pair in a set",
        "pair": "a close pair alone",
        "antipodal_pairs": "$d+1$ nearly antipodal pairs",
        "antipode_in_set": "one nearly antipodal pair in a set",
    }
    for (name, label), cue in zip(names.items(), ordered_cues(range(4)).values(), strict=True):
        table = _part(metrics, name)
        table = table.assign(ratio=table["lambda_0"] / table["distance"])
        _line(axes[1], table, "distance", "lambda_0", cue, label)
        if name != "antipode_in_set":
            _line(axes[2], table, "distance", "ratio", cue)
    eps = np.geomspace(min(settings.examples.distances), max(settings.examples.distances), 50)
    axes[1].plot(eps, eps * theory.CLOSE_PAIR_SLOPE, label=r"$\epsilon/(2\pi)$", **GUIDE)
    axes[2].axhline(theory.CLOSE_PAIR_SLOPE, **GUIDE)
    axes[1].set(xscale="log", yscale="log", xlabel=r"distance $\epsilon$", ylabel=r"$\lambda_0$")
    axes[2].set(xscale="log", xlabel=r"distance $\epsilon$", ylabel=r"$\lambda_0/\epsilon$")
    axes[2].set_ylim(bottom=0)
    axes[1].set_title(r"(b) $\lambda_0$ as inputs approach")
    axes[2].set_title(r"(c) the limit of $\lambda_0/\epsilon$")
    _legend(canvas, axes[1], 5)
    return canvas


def draw_approach(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Q1: steps against lambda_0, where the error is left, and what becomes of lambda_min(H(k))."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = _panels(3)
    table = _part(metrics, "approach")
    table = table.assign(
        x=table.groupby("distance")["lambda_0"].transform("mean"), kept=table["lambda_min"] / table["lambda_0"]
    )
    cues = ordered_cues(settings.approach.widths)
    for width, cue in cues.items():
        here = table[table["width"] == width]
        reached = here[~here.groupby("x")["steps_to_threshold"].transform(lambda one: one.isna().any())]
        _line(axes[0], reached, "x", "steps_to_threshold", cue, f"$m={width}$")
        lazy = here.assign(lazy=width / theory.lazy_pair_width(here["distance"]))
        _line(axes[2], lazy, "lazy", "kept", cue)
    one = table[table["width"] == max(cues)].groupby("x")[["steps_bound", "steps_linear"]].mean()
    axes[0].plot(one.index, one["steps_bound"], **GUIDE)
    axes[0].plot(one.index, one["steps_linear"], color="0.3", linestyle="-.", linewidth=1.3)
    axes[0].axhline(settings.approach.most_steps, color="0.7", linewidth=0.8)
    axes[0].annotate(
        "given up", (1, settings.approach.most_steps), xycoords=("axes fraction", "data"), ha="right", va="bottom",
        fontsize=9, color="0.45",
    )  # fmt: skip
    axes[0].set(xscale="log", yscale="log", xlabel=r"$\lambda_0$", ylabel="steps to the threshold")
    axes[0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[0].xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_title("(a) steps as the pair approaches")
    curves = _part(metrics, "approach_curve")
    curves = curves[curves["width"] == max(cues)]
    ends = (min(settings.approach.distances), max(settings.approach.distances))
    for distance, cue in zip(ends, ordered_cues(range(2)).values(), strict=True):
        here = curves[curves["distance"] == distance]
        for column, dash in (("pair_error", "-"), ("rest_error", "--")):
            for _, seed in here.groupby("seed"):
                shown = seed[(seed["step"] > 0) & (seed[column] > 1e-10)]
                axes[1].plot(shown["step"], shown[column], color=cue.colour, linestyle=dash, linewidth=1)
    axes[1].legend(
        handles=[
            *(
                Line2D([], [], color=cue.colour, label=rf"$\epsilon={distance:g}$")
                for distance, cue in zip(ends, ordered_cues(range(2)).values(), strict=True)
            ),
            Line2D([], [], color="0.3", label="the pair's difference"),
            Line2D([], [], color="0.3", linestyle="--", label="all the rest"),
        ],
        fontsize=9,
        loc="lower left",
    )
    axes[1].set(xscale="log", yscale="log", xlabel="step $k$", ylabel=r"part of $\|u(k)-y\|^2/\|u(0)-y\|^2$")
    axes[1].set_title(f"(b) where the error is left, $m={max(cues)}$, each seed")
    axes[2].axhline(0.5, **GUIDE)
    axes[2].set(
        xscale="log",
        xlabel=r"width $m$ in units of $4\pi^2/\epsilon^4$",
        ylabel=r"$\lambda_{\min}(H(k))/\lambda_0$ at the end",
    )
    axes[2].set_ylim(bottom=0)
    axes[2].set_title(r"(c) least eigenvalue after training; dotted: 1/2")
    _legend(
        canvas,
        axes[0],
        6,
        [
            Line2D([], [], label=r"bound $(1-\eta\lambda_0/2)^k$", **GUIDE),
            Line2D([], [], color="0.3", linestyle="-.", linewidth=1.3, label=r"constant $H^\infty$"),
        ],
    )
    return canvas


def draw_widths(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Q2: the smallest width that trains against n, with the fitted exponent and the theorem's."""
    from zeroloss.plotting.style import ordered_cues

    canvas, axes = _panels(2, sharey=True)
    titles = {"square": "$d=n$", "fixed": f"$d={settings.smallest_width.fixed_dimension}$"}
    cue = next(iter(ordered_cues(range(2)).values()))
    for axis, series in zip(axes, SERIES, strict=True):
        groups = width_groups(metrics, settings, series)
        axis.set(xscale="log", yscale="log", xlabel="inputs $n$")
        axis.set_title(titles[series])
        if len(groups) < 2:
            continue
        n = np.array(list(groups))
        seeds = np.concatenate([np.full(len(values), one) for one, values in groups.items()])
        axis.plot(seeds, np.concatenate(list(groups.values())), ".", color="0.6", label="one seed")
        medians = np.array([np.median(values) for values in groups.values()])
        axis.plot(n, medians, linestyle="", marker=cue.marker, color=cue.colour, markersize=7, label="median")
        fit = exponent(metrics, settings, series)
        line = np.exp(np.log(medians).mean()) * (n / np.exp(np.log(n).mean())) ** fit.value
        axis.plot(n, line, color=cue.colour, label="fit")
        axis.plot(n, medians[0] * (n / n[0]) ** 6, label="$n^6$ (the theorem's exponent)", **GUIDE)
        least, most = (f(np.concatenate(list(groups.values()))) for f in (np.min, np.max))
        axis.set_ylim(least / 3, 40 * most)
        axis.annotate(
            f"exponent {fit.value:.2f} [{fit.low:.2f}, {fit.high:.2f}]",
            (0.97, 0.05),
            xycoords="axes fraction",
            ha="right",
        )
        axis.set_xticks(n, [f"{one:g}" for one in n])
        axis.minorticks_off()
    axes[0].set_ylabel("smallest width $m$ that trains")
    _legend(canvas, axes[0], 4)
    return canvas


def draw_output_law(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Q3: loss curves, the limit of H(0), and changed patterns with both laws of a_r."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = _panels(3)
    runs = {
        ("signs", 1.0): r"$a_r=\pm1$, step $\eta$",
        ("uniform", 1.0): r"$a_r$ uniform on $[-1,1]$, step $\eta$",
        ("uniform", 3.0): r"$a_r$ uniform on $[-1,1]$, step $3\eta$",
    }
    curve, table = _part(metrics, "output_law_curve"), _part(metrics, "output_law")
    shown = curve.loc[curve["step"].isin(np.unique(np.linspace(0, curve["step"].max(), 81).astype(int)))]
    for ((law, factor), label), cue in zip(runs.items(), ordered_cues(range(3)).values(), strict=True):
        here = table[(table["law"] == law) & (table["step_factor"] == factor)]
        _line(axes[0], shown[(shown["law"] == law) & (shown["step_factor"] == factor)], "step", "loss", cue, label)
        if factor == 1.0:
            _line(axes[1], here, "width", "gram_deviation", cue)
        _line(axes[2], here, "width", "pattern_change", cue)
    axes[0].axhline(settings.output_law.threshold, **GUIDE)
    axes[0].set(yscale="log", xlabel="step $k$", ylabel=r"$\|u(k)-y\|^2/\|u(0)-y\|^2$")
    axes[0].set_ylim(bottom=1e-8)
    widths = np.array(settings.output_law.widths, float)
    start = table[(table["law"] == "signs") & (table["width"] == widths[0])]["gram_deviation"].mean()
    axes[1].plot(widths, start * (widths / widths[0]) ** -0.5, **GUIDE)
    axes[1].annotate(r"$m^{-1/2}$", (widths[0], 0.8 * start), ha="left", va="top")
    axes[1].set_ylabel(r"$\|H(0)/\mathbb{E}a^2-H^\infty\|_2$")
    axes[2].set_ylabel("changed patterns (fraction)")
    for axis in axes[1:]:
        axis.set(xscale="log", yscale="log", xlabel="width $m$")
        axis.set_xticks(widths, [f"{one:g}" for one in widths])
        axis.minorticks_off()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[0].set_title(f"(a) training, $m={settings.output_law.widths[-1]}$")
    axes[1].set_title("(b) distance of $H(0)$ from its limit")
    axes[2].set_title("(c) activation patterns, last step")
    _legend(canvas, axes[0], 3)
    return canvas


def draw_radius(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Q4: drift, changed patterns and least eigenvalue for spheres of several radii and the Gaussian."""
    from zeroloss.plotting.style import Cue, ordered_cues

    canvas, axes = _panels(3)
    table = _part(metrics, "radius")
    laws: list[tuple[str, float, Any, str, dict[str, Any]]] = [
        ("sphere", radius, cue, f"$R={radius:g}$", {}) for radius, cue in ordered_cues(settings.radius.radii).items()
    ]
    dashed = {"linestyle": (0, (3, 2)), "zorder": 5}
    laws.append(("gaussian", settings.radius.dimension**0.5, Cue((0.1, 0.1, 0.1), "x"), "Gaussian", dashed))
    for law, radius, cue, label, more in laws:
        here = table[(table["law"] == law) & np.isclose(table["radius"], radius)]
        here = here.assign(ratio=here["lambda_min"] / here["lambda_0"])
        _line(axes[0], here, "step", "max_distance", cue, label, **more)
        _line(axes[1], here[here["pattern_change"] > 0], "step", "pattern_change", cue, **more)
        _line(axes[2], here, "step", "ratio", cue, **more)
    axes[1].set_yscale("log")
    axes[2].set_xscale("symlog", linthresh=1)
    axes[2].axhline(0.5, **GUIDE)
    axes[2].set_ylim(bottom=0)
    for axis, title, name in zip(
        axes,
        ("(a) largest distance", "(b) activation patterns", r"(c) least eigenvalue; dotted: 1/2"),
        (r"$\max_r\|w_r(k)-w_r(0)\|_2$", "changed patterns (fraction)", r"$\lambda_{\min}(H(k))/\lambda_0$"),
        strict=True,
    ):
        axis.set_title(title)
        axis.set(xlabel="step $k$", ylabel=name)
    _legend(canvas, axes[0], len(laws))
    return canvas


def draw_methods(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Q9: loss, distance and changed patterns by method; square loss above, logistic loss below."""
    from zeroloss.plotting.style import ordered_cues

    canvas, axes = _panels(3, 2, sharex=True)
    table = _part(metrics, "methods_curve")
    columns = ("relative_loss", "rms_distance", "pattern_change")
    for row, loss in zip(axes, ("square", "logistic"), strict=True):
        for method, cue in zip(METHODS, ordered_cues(range(5)).values(), strict=True):
            here = table[(table["loss_name"] == loss) & (table["method"] == method) & (table["step"] > 0)]
            for axis, column in zip(row, columns, strict=True):
                _line(axis, here[here[column] > 0], "step", column, cue, METHOD_NAMES[method])
                axis.set(xscale="log", yscale="log")
        row[0].axhline(settings.methods.threshold, **GUIDE)
        row[0].set_ylabel(f"{loss} loss, $L(k)/L(0)$")
        row[1].set_ylabel(r"$\|W(k)-W(0)\|_F/\sqrt{m}$")
        row[2].set_ylabel("changed patterns (fraction)")
    axes[0, 0].set_ylim(bottom=1e-13)
    logistic = table[(table["loss_name"] == "logistic") & (table["method"] == "gradient_descent")]
    if len(logistic):
        steps = np.array([0.1, 1.0]) * settings.methods.steps
        last = logistic[logistic["step"] == logistic["step"].max()]["relative_loss"].mean()
        axes[1, 0].plot(steps, 3 * last * steps[-1] / steps, color="0.3", linestyle="-.", linewidth=1.3)
        axes[1, 0].annotate("$1/k$", (steps[0] * 1.8, 3 * last * 6.5), fontsize=10)
    for axis, title in zip(axes[0], ("(a) loss", "(b) distance", "(c) activation patterns"), strict=True):
        axis.set_title(title)
    for axis in axes[1]:
        axis.set_xlabel("step $k$")
    _legend(canvas, axes[0, 0], 5)
    return canvas
