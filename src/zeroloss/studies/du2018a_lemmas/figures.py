"""One picture per lemma and theorem, each with the bound it states (dotted)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.contract import Figure
from zeroloss.studies.du2018a_lemmas.experiment import TRAINED, Settings
from zeroloss.studies.du2018a_lemmas.matrix_figures import draw_initial, draw_perturbed
from zeroloss.studies.du2018a_lemmas.panels import DOTTED, draw_range, label_widths, line, name_at
from zeroloss.studies.du2018a_lemmas.tables import part, thresholds
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import du2018a_lemmas as theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

ROWS = {"hidden": "hidden layer trained (Theorem 3.2)", "both": "both layers trained (Theorem 3.3)"}


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
        draw_range(panel, last, "width", "max_distance", cue)
        widths = sorted(last["width"].unique())
        unit = last.assign(
            unit=last["samples"] ** 0.5 * last["residual"] / (last["width"] ** 0.5 * last["lambda_0"])
        ).groupby("width")["unit"]
        for constant in constants:
            panel.plot(widths, constant * unit.mean(), color="0.2", **DOTTED)
            name_at(
                panel,
                f"{constant:g}",
                (widths[-1] * 1.15, constant * unit.mean().iloc[-1]),
                xycoords="data",
                va="center",
            )
        panel.set_yscale("log")
        label_widths(panel, widths)
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
        name_at(axes[2], name, (0.98, level + 0.02), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes[2].set_ylim(min(0.6, share.min() * 0.95), 2.2)
    axes[2].set_xlabel(r"$\lambda_{\min}(H(0))/\lambda_0$")
    axes[2].set_ylabel(r"distance over $\sqrt{n}\,\|y-u(0)\|/(\sqrt{m}\,\lambda_0)$")
    axes[2].set_title(f"c) one input, $m={settings.flow.single_width}$: above the printed bound")
    handles = [
        line("largest distance (c: one draw each)", color=cue.colour, marker=cue.marker),
        line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        line("bounds with their constants: 1 printed, 2 corrected, 4 Corollary 4.1", color="0.2", **DOTTED),
        line(r"$\lambda_0/\lambda_{\min}(H(0))$", color="0.6", linewidth=1),
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
                draw_range(panel, one, "scaled", value, cue)
        widest = table[table["width"] == max(settings.flow.widths)]
        frozen = np.log(widest["linearised"]).groupby(widest["scaled"]).mean()
        row[0].plot(frozen.index, frozen, color="0.45", linestyle="-.", linewidth=1.2, zorder=4)
        times = np.array([0, settings.flow.horizon])
        row[0].plot(times, np.log(theory.flow_bound(times, 1.0)), color="0.2", **DOTTED)
        row[0].set_ylabel(r"$\ln\,\|u(t)-y\|^2/\|u(0)-y\|^2$")
        row[1].set_ylabel(r"$\max_r\|w_r(t)-w_r(0)\|_2$")
        row[1].set_ylim(bottom=0)
        row[2].axhline(0.5, color="0.2", **DOTTED)
        name_at(row[2], "1/2", (1.01, 0.5), xycoords=("axes fraction", "data"), va="center")
        row[2].set_ylabel(r"$\lambda_{\min}(H(t))/\lambda_0$")
        row[2].set_ylim(bottom=0)
        row[1].set_title(ROWS[trained])
    for panel in axes[1]:
        panel.set_xlabel(r"time $\lambda_0 t$")
    handles = [line(f"$m={width}$", color=cue.colour, marker=cue.marker) for width, cue in cues.items()]
    handles += [
        line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        line("Gram matrix frozen at $t=0$, widest", color="0.45", linestyle="-.", linewidth=1.2),
        line(r"$e^{-\lambda_0t}$; $\lambda_0/2$", color="0.2", **DOTTED),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=7 if len(handles) < 8 else 4, columnspacing=1.0)
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
        draw_range(axes[0], one, "relative_step", "end", cue)
        draw_range(axes[1], one, "relative_step", "above", cue)
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
        ends = bar_lengths(mean, by_width.min(), by_width.max())
        axes[2].errorbar(
            mean.index * shift, mean, ends, color=cue.colour, marker=cue.marker, capsize=3, linestyle="none", zorder=3
        )
        axes[2].plot(mean.index * shift, mean, color=cue.colour, linewidth=0.8, alpha=0.6)
    axes[2].axhline(1.0, color="0.45", linestyle="-.", linewidth=1.2)
    axes[2].axhline(predicted, color="0.45", linestyle=(0, (1, 2)), linewidth=1.6)
    label_widths(axes[2], settings.descent.sweep_widths)
    # also where no width has both thresholds and the panel stays empty
    axes[2].set_xlim(min(settings.descent.sweep_widths) / 1.5, max(settings.descent.sweep_widths) * 1.5)
    axes[2].set_ylim(bottom=min(0.8, axes[2].get_ylim()[0]))
    axes[2].set_ylabel(r"$\eta/\eta_{\max}$")
    axes[2].set_title("c) where, by width (bars: range over seeds)")
    handles = [line(f"$m={width}$", color=cue.colour, marker=cue.marker) for width, cue in cues.items()]
    handles += [
        line("range over seeds", color="0.4", alpha=0.3, linewidth=7),
        line("bound", color="0.2", **DOTTED),
        line(r"$2/\lambda_{\max}(H^\infty)$", color="0.45", linestyle="-.", linewidth=1.2),
        line(r"where the rate breaks if $H$ is frozen", color="0.45", linestyle=(0, (1, 2)), linewidth=1.6),
    ]
    handles += [line(f"c: {name}", color=cue.colour, marker=cue.marker) for name, cue in marks.values()]
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
