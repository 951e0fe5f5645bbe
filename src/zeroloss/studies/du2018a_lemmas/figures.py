"""One picture per lemma and theorem, each with the bound it states (dotted)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.du2018a_lemmas.experiment import DIRECTIONS, TRAINED, Settings, listed, seeds_text
from zeroloss.studies.du2018a_lemmas.tables import part, three_quarters, thresholds
from zeroloss.theory import du2018a_lemmas as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

ROWS = {"hidden": "hidden layer trained (Theorem 3.2)", "both": "both layers trained (Theorem 3.3)"}
DOTTED = {"linestyle": ":", "linewidth": 1.3}


def _line(label: str, **style: Any) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def _range(axes: Axes, table: pd.DataFrame, by: str, value: str, cue: Any) -> None:
    """Mean over seeds with the range as a band, against ``by``."""
    groups = table.groupby(by)[value]
    mean, low, high = groups.mean(), groups.min(), groups.max()
    every = max(1, len(mean) // 8) if len(mean) > 20 else 1
    axes.plot(mean.index, mean, color=cue.colour, marker=cue.marker, markevery=every, zorder=3)
    axes.fill_between(mean.index, low, high, color=cue.colour, alpha=0.25, linewidth=0, zorder=2)


def _name(axes: Axes, text: str, at: tuple[float, float], **more: Any) -> None:
    """A short label of a bound, in axes coordinates unless told otherwise."""
    axes.annotate(text, at, **{"xycoords": "axes fraction", "fontsize": 10, **more})


def _plain_widths(axes: Axes, widths: Sequence[float], every: int = 1) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(widths)[::every], [f"{width:g}" for width in list(widths)[::every]])
    axes.tick_params(axis="x", which="minor", length=0)
    axes.set_xlabel("width $m$")


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
        first.errorbar(width, mid, [[mid - low], [high - mid]], color=dark, marker="o", capsize=3, zorder=3)
    first.axhline(0.75, color="0.2", **DOTTED)
    _name(first, "3/4", (1.01, 0.75), xycoords=("axes fraction", "data"), va="center")
    first.axhline(1.0, color="0.75", linewidth=0.8)
    first.set_ylabel(r"$\lambda_{\min}(H(0))/\lambda_0$")
    first.set_title("a) least eigenvalue at the start")

    good = three_quarters(metrics)
    middles = np.array([one.value for one in good])
    ends = np.array([[one.value - one.low, one.high - one.value] for one in good]).T
    axes[1].errorbar(good.index, middles, ends, color=dark, marker="o", capsize=3, zorder=3)
    axes[1].axhline(1 - delta, color="0.2", **DOTTED)
    _name(
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
    _name(axes[2], r"$\lambda_0/4$", (1.01, lambda_0 / 4), xycoords=("axes fraction", "data"), va="center")
    _name(axes[2], "bound of the proof", (widths[0], bound[0] * 1.15), xycoords="data", va="bottom")
    axes[2].set_yscale("log")
    axes[2].set_ylim(top=bound[0] * 3)
    axes[2].set_ylabel(r"$\|H(0)-H^\infty\|_2$")
    fitted = table[table["width"] >= 4 * n]
    title = "c) distance to the limit"
    if fitted["width"].nunique() > 1:
        title += f", slope {slope_over_width(fitted, 'gap').mean:.2f} from $m=4n$"
    axes[2].set_title(title)
    for one in axes:
        _plain_widths(one, widths, 1 if len(widths) < 7 else 2)
    handles = [
        _line("one draw", color=middle, marker=".", linestyle="none"),
        _line("median (a), mean (c), bars or band 5 to 95 %; b: 95 % interval", color=dark, marker="o"),
        _line("bound", color="0.2", **DOTTED),
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
                _range(panel, shown, "radius", value, cue)
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
        _name(row[2], "1/2", (1.01, 0.5), xycoords=("axes fraction", "data"), va="center")
        _name(row[2], "lemma's $R$", (safe * 1.4, 0.06), xycoords=("data", "axes fraction"))
        row[0].set_title(f"a) flips, $m={width}$")
        row[1].set_title(f"b) change of $H$, $m={width}$")
        row[2].set_title(f"c) least eigenvalue, $m={width}$")
    handles = [_line(name, color=cue.colour, marker=cue.marker) for name, cue in cues.items()]
    handles += [
        _line("in reach of some move", color="0.45", linestyle="-.", linewidth=1.2),
        _line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        _line("bound of Lemma 3.2", color="0.2", **DOTTED),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=6, columnspacing=1.2, handlelength=1.8)
    return canvas


def draw_distance(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Lemma 3.3 and Corollary 4.1: largest distance against width, and the case n = 1 that attains the bound."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    cue = next(iter(ordered_cues([0]).values()))
    flow, descent = part(metrics, "flow", "hidden"), part(metrics, "descent")
    canvas, axes = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
    parts = (
        (axes[0], flow[flow["time"] == flow.groupby("seed")["time"].transform("max")], (1, 2), "a) gradient flow"),
        (axes[1], descent[descent["step"] == settings.descent.steps], (1, 2, 4), "b) gradient descent"),
    )
    for panel, last, constants, title in parts:
        _range(panel, last, "width", "max_distance", cue)
        widths = sorted(last["width"].unique())
        unit = last.assign(
            unit=last["samples"] ** 0.5 * last["residual"] / (last["width"] ** 0.5 * last["lambda_0"])
        ).groupby("width")["unit"]
        for constant in constants:
            panel.plot(widths, constant * unit.mean(), color="0.2", **DOTTED)
            _name(
                panel,
                f"{constant:g}",
                (widths[-1] * 1.15, constant * unit.mean().iloc[-1]),
                xycoords="data",
                va="center",
            )
        panel.set_yscale("log")
        _plain_widths(panel, widths)
        panel.set_xlim(right=widths[-1] * 1.7)
        panel.set_ylabel(r"$\max_r\|w_r-w_r(0)\|_2$ at the end")
        panel.set_title(f"{title}, $n={int(last['samples'].iloc[0])}$")

    single = part(metrics, "single", "hidden")
    last = single[single["time"] == single["time"].max()]
    share = last["max_distance"] / (last["residual"] / (last["width"] ** 0.5 * last["lambda_0"]))
    start = single[single["time"] == 0]["lambda_min"].to_numpy() / last["lambda_0"].to_numpy()
    axes[2].plot(start, share, linestyle="none", color=cue.colour, marker=cue.marker, alpha=0.8, zorder=3)
    grid = np.linspace(max(0.45, start.min() * 0.97), start.max() * 1.03, 50)
    axes[2].plot(grid, 1 / grid, color="0.6", linewidth=1)
    for level, name in ((1.0, "1 (printed)"), (2.0, "2 (corrected)")):
        axes[2].axhline(level, color="0.2", **DOTTED)
        _name(axes[2], name, (0.98, level + 0.02), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes[2].set_ylim(min(0.6, share.min() * 0.95), 2.2)
    axes[2].set_xlabel(r"$\lambda_{\min}(H(0))/\lambda_0$")
    axes[2].set_ylabel(r"distance over $\sqrt{n}\,\|y-u(0)\|/(\sqrt{m}\,\lambda_0)$")
    axes[2].set_title(f"c) one input, $m={settings.flow.single_width}$: above the printed bound")
    handles = [
        _line("largest distance (c: one draw each)", color=cue.colour, marker=cue.marker),
        _line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        _line("bounds with their constants: 1 printed, 2 corrected, 4 Corollary 4.1", color="0.2", **DOTTED),
        _line(r"$\lambda_0/\lambda_{\min}(H(0))$", color="0.6", linewidth=1),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=4, columnspacing=1.2)
    return canvas


def draw_flow(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Theorems 3.2 and 3.3: residual, largest distance, least eigenvalue over time."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    cues = ordered_cues(settings.flow.widths)
    canvas, axes = plt.subplots(2, 3, figsize=(13, 7.8), sharex=True, layout="constrained")
    for row, trained in zip(axes, TRAINED, strict=True):
        table = part(metrics, "flow", trained)
        table = table.assign(
            scaled=(table["lambda_0"] * table["time"]).round(9),
            log_ratio=np.log(table["ratio"]),
            quotient=table["lambda_min"] / table["lambda_0"],
        )
        for width, cue in cues.items():
            one = table[table["width"] == width]
            for panel, value in zip(row, ("log_ratio", "max_distance", "quotient"), strict=True):
                _range(panel, one, "scaled", value, cue)
        widest = table[table["width"] == max(settings.flow.widths)]
        frozen = np.log(widest["linearised"]).groupby(widest["scaled"]).mean()
        row[0].plot(frozen.index, frozen, color="0.45", linestyle="-.", linewidth=1.2, zorder=4)
        times = np.array([0, settings.flow.horizon])
        row[0].plot(times, np.log(theory.flow_bound(times, 1.0)), color="0.2", **DOTTED)
        row[0].set_ylabel(r"$\ln\,\|u(t)-y\|^2/\|u(0)-y\|^2$")
        row[1].set_ylabel(r"$\max_r\|w_r(t)-w_r(0)\|_2$")
        row[1].set_ylim(bottom=0)
        row[2].axhline(0.5, color="0.2", **DOTTED)
        _name(row[2], "1/2", (1.01, 0.5), xycoords=("axes fraction", "data"), va="center")
        row[2].set_ylabel(r"$\lambda_{\min}(H(t))/\lambda_0$")
        row[2].set_ylim(bottom=0)
        row[1].set_title(ROWS[trained])
    for panel in axes[1]:
        panel.set_xlabel(r"time $\lambda_0 t$")
    handles = [_line(f"$m={width}$", color=cue.colour, marker=cue.marker) for width, cue in cues.items()]
    handles += [
        _line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        _line("Gram matrix frozen at $t=0$, widest", color="0.45", linestyle="-.", linewidth=1.2),
        _line(r"$e^{-\lambda_0t}$; $\lambda_0/2$", color="0.2", **DOTTED),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=7, columnspacing=1.0, handlelength=1.7)
    return canvas


def draw_step_sizes(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Theorem 4.1 over step sizes: loss after the last step, excess over the bound, both thresholds by width."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    sweep = part(metrics, "sweep")
    sweep = sweep[~sweep["proven"].astype(bool)]
    floor, ceiling = -45.0, 20.0
    sweep = sweep.assign(
        end=np.log(sweep["ratio"].clip(lower=1e-300)).clip(floor, ceiling),
        above=sweep["excess"].clip(-5, 5),
    )
    cues = ordered_cues(settings.descent.sweep_widths)
    canvas, axes = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
    for width, cue in cues.items():
        one = sweep[sweep["width"] == width]
        _range(axes[0], one, "relative_step", "end", cue)
        _range(axes[1], one, "relative_step", "above", cue)
    first = sweep.iloc[0]
    relative = np.linspace(0, sweep["relative_step"].max(), 100)
    factor = 1 - relative * 2 / first["lambda_max_limit"] * first["lambda_0"] / 2
    axes[0].plot(relative, settings.descent.steps * np.log(np.clip(factor, 1e-3, None)), color="0.2", **DOTTED)
    axes[0].axhline(0, color="0.75", linewidth=0.8)
    axes[0].set_ylim(floor, ceiling)
    axes[0].set_ylabel(r"$\ln\,\|u(k)-y\|^2/\|u(0)-y\|^2$" + f", $k={settings.descent.steps}$")
    axes[0].set_title("a) loss after the last step")
    axes[1].axhline(0, color="0.2", **DOTTED)
    axes[1].set_ylabel("largest ln of loss over bound, any step")
    axes[1].set_title(r"b) above 0: $(1-\eta\lambda_0/2)^k$ is no bound")
    found = thresholds(metrics)
    predicted = found["predicted"].mean()
    for panel in axes[:2]:
        panel.axvline(1.0, color="0.45", linestyle="-.", linewidth=1.2)
        panel.axvline(predicted, color="0.45", linestyle=(0, (1, 2)), linewidth=1.6)
        panel.set_xlabel(r"$\eta/\eta_{\max}$, $\eta_{\max}=2/\lambda_{\max}(H^\infty)$")
    marks: Mapping[str, tuple[str, Any]] = {
        "rate": ("rate stops being a bound", ordered_cues([0, 1])[0]),
        "training": ("loss stops falling", ordered_cues([0, 1])[1]),
    }
    for shift, (column, (_, cue)) in zip((0.93, 1.07), marks.items(), strict=True):
        shown = found.dropna(subset=[column])
        by_width = shown.groupby("width")[column]
        mean = by_width.mean()
        ends = np.array([mean - by_width.min(), by_width.max() - mean])
        axes[2].errorbar(
            mean.index * shift, mean, ends, color=cue.colour, marker=cue.marker, capsize=3, linestyle="none", zorder=3
        )
        axes[2].plot(mean.index * shift, mean, color=cue.colour, linewidth=0.8, alpha=0.6)
    axes[2].axhline(1.0, color="0.45", linestyle="-.", linewidth=1.2)
    axes[2].axhline(predicted, color="0.45", linestyle=(0, (1, 2)), linewidth=1.6)
    _plain_widths(axes[2], settings.descent.sweep_widths)
    axes[2].set_ylim(bottom=min(0.8, axes[2].get_ylim()[0]))
    axes[2].set_ylabel(r"$\eta/\eta_{\max}$")
    axes[2].set_title("c) where, by width (bars: range over seeds)")
    handles = [_line(f"$m={width}$", color=cue.colour, marker=cue.marker) for width, cue in cues.items()]
    handles += [
        _line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        _line("bound", color="0.2", **DOTTED),
        _line(r"$2/\lambda_{\max}(H^\infty)$", color="0.45", linestyle="-.", linewidth=1.2),
        _line(r"where the rate breaks if $H$ is frozen", color="0.45", linestyle=(0, (1, 2)), linewidth=1.6),
    ]
    handles += [_line(f"c: {name}", color=cue.colour, marker=cue.marker) for name, cue in marks.values()]
    canvas.legend(handles=handles, loc="outside upper center", ncols=5, columnspacing=1.0, handlelength=1.8)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    initial, perturbed, flow, descent = settings.initial, settings.perturbed, settings.flow, settings.descent
    sphere = "inputs uniform on the sphere (synthetic)"
    labelled = f"{sphere}, labels N(0, 1)"
    delta = f"delta = {settings.failure_probability:g}"
    return [
        Figure(
            name="du2018a_lemmas_initial",
            items=("001-TH1", "003-E1", "001-E2"),
            title="Lemma 3.1: H(0) is near its limit",
            caption=(
                f"n = {initial.samples} {sphere}, d = {initial.dimension}, one data set, {initial.draws} draws of W(0) for "
                f"each m = {listed(initial.widths)}; {delta}."
            ),
            alt=(
                "Three panels against width: the least eigenvalue of H(0) over lambda_0 rises to 1 with shrinking "
                "spread, the fraction above three quarters rises from 0 to 1, the distance to the limit falls like the "
                "inverse square root, far below the bound of the proof."
            ),
            draw=draw_initial,
        ),
        Figure(
            name="du2018a_lemmas_perturbed",
            items=("001-TH2",),
            title="Lemma 3.2: H stays near H(0) while no unit moves far",
            caption=(
                f"n = {perturbed.samples} {sphere}, d = {perturbed.dimension}, {seeds_text(perturbed.seeds)}; {delta}. "
                "Every w_r moves by R: in a random direction; so as to flip as many patterns as it can (greedy, a lower "
                "bound on the worst case); or away from one input. Dash-dotted: pairs with |w_r x_i| < R, an upper bound."
            ),
            alt=(
                "Flipped patterns, change of H and least eigenvalue against the length of the move, for three kinds of "
                "move; all far below the lemma's bounds; only the move against one input brings the eigenvalue down, at "
                "lengths near one, many orders of magnitude beyond the lemma's radius."
            ),
            draw=draw_perturbed,
        ),
        Figure(
            name="du2018a_lemmas_distance",
            items=("001-TH3",),
            title="Lemma 3.3 and Corollary 4.1: no unit moves far",
            caption=(
                f"{labelled}; a: n = {flow.samples}, d = {flow.dimension}, flow until lambda_0 t = {flow.horizon:g}, "
                f"{seeds_text(flow.seeds)}; b: n = {descent.samples}, d = {descent.dimension}, {descent.steps} steps of "
                f"{descent.relative_step:g} x 2/lambda_max, {seeds_text(descent.seeds)}; c: n = 1, {flow.single_draws} draws."
            ),
            alt=(
                "Largest distance against width for flow and descent, parallel to and below the bounds with constants 1, "
                "2 and 4; a third panel for one input, where the distance over the printed bound equals lambda_0 over "
                "lambda_min(H(0)) and exceeds 1 whenever that eigenvalue is below lambda_0."
            ),
            draw=draw_distance,
        ),
        Figure(
            name="du2018a_lemmas_flow",
            items=("001-TH5", "002-TH1", "001-TH6"),
            title="Theorems 3.2 and 3.3: gradient flow",
            caption=(
                f"n = {flow.samples} {labelled}, d = {flow.dimension}, m = {listed(flow.widths)}, "
                f"{seeds_text(flow.seeds)}; Dormand-Prince 5(4), tolerance {flow.tolerance:g} per step. Lines: mean over seeds."
            ),
            alt=(
                "Six panels over time: log residual falls about twice as fast as the bound or faster, distances level "
                "off and shrink with width, the least eigenvalue stays near lambda_0 for wide networks; below, with both "
                "layers trained, everything is faster."
            ),
            draw=draw_flow,
        ),
        Figure(
            name="du2018a_lemmas_step_sizes",
            items=("001-TH6", "003-TH1"),
            title="Theorem 4.1 over step sizes",
            caption=(
                f"n = {descent.samples} {labelled}, d = {descent.dimension}, m = {listed(descent.sweep_widths)}, "
                f"{descent.steps} full-batch steps, {seeds_text(descent.seeds)}. Lines: mean over seeds; a is cut at -45 and "
                "20, b at -5 and 5. The theorem's own step size, lambda_0/(8 n^2), is far left of the axis."
            ),
            alt=(
                "Loss after the last step and excess over the bound against step size, both changing abruptly near the "
                "limit 2/lambda_max, and the step sizes where the rate and training break, by width."
            ),
            draw=draw_step_sizes,
        ),
    ]
