"""Figures of the theorem: loss against bound, widths and iterations against depth, spectrum of P, products. The maps and
the narrow networks are in ``map_figures``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.contract import Figure
from zeroloss.studies.du_hu2019 import map_figures
from zeroloss.studies.du_hu2019.experiment import STARTS, Settings
from zeroloss.studies.du_hu2019.widths import bound_widths, half_aspects
from zeroloss.studies.wording import listed, seeds_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

START_NAMES = {"gaussian": "Gaussian", "orthogonal": "orthogonal"}


def _integer_axis(axis: Any, values: Any) -> None:
    """Logarithmic, ticks at the given values alone."""
    from matplotlib.ticker import NullLocator

    scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    scale("log", base=2)
    axis.set_ticks(list(values), [f"{value:g}" for value in values])
    axis.set_minor_locator(NullLocator())


def _factor(settings: Settings, start: str, depth: int) -> float:
    """The bound's factor per step; of the same problem that was trained."""
    from zeroloss.studies.du_hu2019.compute import problem_of
    from zeroloss.theory import du_hu2019 as theory

    part = settings.theorem
    parameters = {
        "samples": part.samples, "outputs": part.outputs, "inputs": settings.inputs, "data_seed": settings.data_seed,
    }  # fmt: skip
    problem = problem_of(parameters, "unit_phi")
    return theory.contraction(problem, depth, theory.gaussian_step(problem, depth), start)


def _on_grid(curves: pd.DataFrame, steps: int, floor: float) -> pd.DataFrame:
    """Every seed's loss at the same steps: kept at its last value once it has converged, so that bands have no gaps."""
    grid = np.unique(np.geomspace(1, steps, 40).round().astype(int))
    grid = np.append(0, grid)
    found = []
    for (width, seed), group in curves.groupby(["width", "seed"]):
        group = group.sort_values("step")
        values = np.exp(np.interp(grid, group["step"], np.log(group["relative_loss"].clip(lower=floor))))
        found.append(pd.DataFrame({"width": width, "seed": seed, "step": grid, "relative_loss": values}))
    return pd.concat(found, ignore_index=True) if found else curves


def draw_rate(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Loss ratio against step, one column per depth, Gaussian above and orthogonal below, bounds dotted."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.curves import draw_bound, legend_entries
    from zeroloss.plotting.style import ordered_cues

    part = settings.theorem
    cues: Any = ordered_cues(part.drawn_widths)
    curves = metrics[metrics["part"] == "curve"]
    canvas, axes = plt.subplots(
        2, len(part.drawn_depths), figsize=(3.6 * len(part.drawn_depths), 6.4), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for row, start in zip(axes, STARTS, strict=True):
        for panel, depth in zip(row, part.drawn_depths, strict=True):
            here = curves[(curves["start"] == start) & (curves["depth"] == depth)]
            here = _on_grid(here[here["width"].isin(part.drawn_widths)], part.steps, 1e-10)
            for width, group in here.groupby("width"):
                cue, logs = cues[width], np.log(group["relative_loss"]).groupby(group["step"])
                mean = np.exp(logs.mean())
                panel.plot(mean.index, mean, color=cue.colour, marker=cue.marker, markevery=8, zorder=3)
                low, high = np.exp(logs.min()), np.exp(logs.max())
                panel.fill_between(mean.index, low, high, color=cue.colour, alpha=0.2, linewidth=0, zorder=2)
            steps = np.arange(part.steps + 1)
            draw_bound(panel, steps, _factor(settings, start, depth) ** steps, "0.1")
            panel.set(yscale="log", ylim=(3e-11, 6), title=f"{START_NAMES[start]}, $L={depth}$")
    for panel in axes[-1]:
        panel.set_xlabel("step $t$")
    for panel in axes[:, 0]:
        panel.set_ylabel(r"$(\ell(t)-\mathrm{OPT})\,/\,(\ell(0)-\mathrm{OPT})$")
    bound = "bounds of Theorem 4.1"
    handles = legend_entries(cues, "m", seeds=len(part.seeds) > 1, published=False, bound=bound)
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def draw_widths(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The width from which on the bound holds, and the iterations to epsilon, against depth."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = settings.theorem
    starts: Any = dict(zip(STARTS, ordered_cues([0, 1]).values(), strict=True))
    canvas = plt.figure(figsize=(11, 4.6), layout="constrained")
    halves: Any = canvas.subfigures(1, 2)
    left, right = halves[0].subplots(), halves[1].subplots()
    for shift, start in zip((0.97, 1.03), STARTS, strict=True):
        found, cue = bound_widths(metrics, start).dropna(), starts[start]
        if found.empty:
            continue
        logs = np.log(found["width"]).groupby(found["depth"])
        mean, low, high = np.exp(logs.mean()), np.exp(logs.min()), np.exp(logs.max())
        bars = bar_lengths(mean, low, high)
        left.errorbar(
            mean.index * shift, mean, yerr=bars, color=cue.colour, marker=cue.marker, capsize=3,
        )  # fmt: skip
        if start == "gaussian":
            depths = np.array(part.depths, dtype=float)
            middle = np.exp(np.log(mean.to_numpy()).mean() - np.log(mean.index.to_numpy(float)).mean())
            left.plot(depths, middle * depths, color="0.2", linestyle=":", linewidth=1.3)
    left.set(xlabel="depth $L$", ylabel="least width $m$ from which on the bound holds")
    _integer_axis(left.xaxis, part.depths)
    _integer_axis(left.yaxis, part.widths[::2])
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=START_NAMES[start]) for start, cue in starts.items()
    ]
    handles.append(Line2D([], [], color="0.2", linestyle=":", label=r"$m\propto L$"))
    halves[0].legend(handles=handles, loc="outside upper center", ncols=3)
    runs = metrics[(metrics["part"] == "run") & (metrics["start"] == "gaussian")]
    aspects = [aspect for aspect in (1, 2, 4, 8, 16, 32) if (runs["width"] == aspect * runs["depth"]).any()]
    cues: Any = ordered_cues(aspects)
    shown = []
    for number, aspect in enumerate(aspects):
        here = runs[(runs["width"] == aspect * runs["depth"])]
        every = here.groupby("depth")["iterations"].agg(lambda values: values.notna().all())
        here = here[here["depth"].isin(every.index[every])]
        if here.empty:
            continue
        shown.append(aspect)
        by_depth = here.groupby("depth")["iterations"]
        mean = by_depth.mean()
        bars = bar_lengths(mean, by_depth.min(), by_depth.max())
        shift, cue = 1 + 0.03 * (number - len(aspects) / 2), cues[aspect]
        right.errorbar(mean.index * shift, mean, yerr=bars, color=cue.colour, marker=cue.marker, capsize=2)
    right.set(xlabel="depth $L$", ylabel=rf"iterations to $\ell(t)\leq$ {part.accuracy:g} $\ell(0)$", ylim=(0, None))
    _integer_axis(right.xaxis, part.depths)
    handles = [
        Line2D([], [], color=c.colour, marker=c.marker, label=f"$m={a}L$") for a, c in cues.items() if a in shown
    ]
    halves[1].legend(
        handles=handles, loc="outside upper center", ncols=6, fontsize=9, columnspacing=1, handlelength=1.5
    )
    return canvas


def draw_spectrum(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Extreme eigenvalues of P relative to their orders: at the start against width, and along training."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = settings.theorem
    table = metrics[(metrics["part"] == "gram") & (metrics["start"] == "gaussian")]
    cues: Any = ordered_cues(part.drawn_depths)
    canvas, axes = plt.subplots(2, 2, figsize=(10.5, 7), sharex="col", layout="constrained")
    rows = (
        ("relative_max", r"$\lambda_{\max}(P)\;/\;(L\lambda_{\max}(X^\top X)/d_{out})$", 4.0),
        ("relative_min", r"$\lambda_{\min}(P)\;/\;(L\lambda_r(X^\top X)/d_{out})$", 0.25),
    )
    for row, (column, label, limit) in zip(axes, rows, strict=True):
        for depth, cue in cues.items():
            here = table[table["depth"] == depth]
            start = here[here["step"] == 0].groupby("width")[column]
            wide = here[here["width"] == part.widths[-1]].groupby("step")[column]
            for panel, found in zip(row, (start, wide), strict=True):
                mean = found.mean()
                panel.plot(mean.index, mean, color=cue.colour, marker=cue.marker)
                panel.fill_between(mean.index, found.min(), found.max(), color=cue.colour, alpha=0.2, linewidth=0)
        for panel in row:
            panel.axhline(limit, color="0.2", linestyle=":", linewidth=1.3)
            panel.axhline(1, color="0.6", linewidth=0.8, zorder=0)
            panel.set_yscale("log")
        row[0].set_ylabel(label)
        # narrow deep nets reach 1e-18: what the order of magnitude is no longer matters there
        row[0].set_ylim(bottom=max(row[0].get_ylim()[0], 1e-8))
    _integer_axis(axes[1, 0].xaxis, part.widths[::2])
    axes[1, 0].set_xlabel("width $m$")
    axes[1, 1].set_xscale("symlog", linthresh=10)
    axes[1, 1].set_xticks(part.recorded_steps, [str(step) for step in part.recorded_steps])
    axes[1, 1].set_xlabel("step $t$")
    axes[0, 0].set_title("(a) at the start, $P(0)$")
    axes[0, 1].set_title(f"(b) along training, $m={part.widths[-1]}$")
    handles = [Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$L={depth}$") for depth, cue in cues.items()]
    handles += [
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"),
        Line2D([], [], color="0.6", linewidth=0.8, label="mean of the law, infinite width"),
        Line2D([], [], color="0.2", linestyle=":", label=r"$O$ and $\Omega$ of eq. (9), constants 4 and 1/4"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def draw_products(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Lemma 6.1: probability to leave the band. Proposition 6.2: share of networks inside theirs. Against m / q."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = settings.products
    cues: Any = ordered_cues(part.factors)
    canvas, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    for factors, cue in cues.items():
        for panel, name in ((left, "vector"), (right, "products")):
            here = metrics[(metrics["part"] == name) & (metrics["depth"] == factors)].sort_values("aspect")
            share = here["outside"] / here["draws"]
            half = 1.96 * np.sqrt(share * (1 - share) / here["draws"])
            value = share if panel is left else 1 - share
            seen = here["outside"] > 0 if panel is left else here["outside"] >= 0
            panel.errorbar(
                here["aspect"][seen], value[seen], yerr=half[seen], color=cue.colour, marker=cue.marker, capsize=2,
            )  # fmt: skip
    aspects = np.linspace(0, 1.05 * max(part.aspects), 200)
    left.plot(aspects, np.exp(-0.01 * aspects), color="0.2", linestyle=":", linewidth=1.3)
    left.set(
        yscale="log", xlabel="$m/q$", ylim=(0.3 / part.draws, 2),
        ylabel=r"$\mathbb{P}\left(\|A_q\cdots A_1v\|\notin[0.9,1.1]\,m^{q/2}\right)$", title="(a) Lemma 6.1",
    )  # fmt: skip
    for aspect in half_aspects(metrics[metrics["part"] == "products"]).values():
        right.axvline(aspect, color="0.85", linewidth=0.8, zorder=0)
    right.set(
        xscale="log", xlabel="$m/q$", ylabel="share of networks inside",
        title=r"(b) Proposition 6.2: $\sigma(W_{L:i}(0))\in[0.8,1.2]\,m^{(L-i+1)/2}$", ylim=(-0.05, 1.05),
    )  # fmt: skip
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$q={factors}$") for factors, cue in cues.items()
    ]
    handles.append(Line2D([], [], color="0.2", linestyle=":", label=r"$e^{-0.01\,m/q}$"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def figures(settings: Settings) -> list[Figure]:
    part, products = settings.theorem, settings.products
    data = (
        f"X Gaussian, d_in = {settings.inputs}, n = {part.samples}, d_out = {part.outputs}, Y = W* X with |Phi| = 1 "
        "(synthetic, ours: the paper has no figure)"
    )
    training = (
        f"eta = d_out / (3 L |X^T X|), at most {part.steps} full-batch steps, float32, "
        f"{seeds_text(part.seeds)} of the weights"
    )
    items = ("004-TH4",)
    return [
        Figure(
            name="du_hu2019_rate",
            items=items,
            title="Theorem 4.1: loss ratio against step for several widths and depths",
            caption=(
                f"{data}; {training}. Lines: geometric mean over seeds; runs stop at 1e-10. Dotted: (1 - eta L lambda_r / "
                "(4 d_out))^t of Du and Hu above, 2 for 4 of Hu, Xiao, Pennington below."
            ),
            alt=(
                "Six panels of the falling loss: with a Gaussian start narrow nets lie above the dotted bound at large "
                "depth and wide ones below; with an orthogonal start all but the narrowest lie below it at every depth."
            ),
            draw=draw_rate,
        ),
        Figure(
            name="du_hu2019_widths",
            items=items,
            title="The width from which on the bound holds, and iterations, against depth",
            caption=(
                f"{data}; {training}. Left: C of the theorem is unknown, this is the empirical m. Right: Gaussian start, "
                "where all seeds got there. Bars: range over seeds."
            ),
            alt=(
                "Left, the least width against depth: a line of slope one for the Gaussian start, a flat one for the "
                "orthogonal. Right, iterations against depth, one line for each ratio of width to depth."
            ),
            draw=draw_widths,
        ),
        Figure(
            name="du_hu2019_spectrum",
            items=items,
            title="Extreme eigenvalues of the Gram matrix P(t) against width and along training",
            caption=(
                f"{data}; Gaussian start; {training}; eigenvalues in float64, drawn above 1e-8. O and Omega name no "
                "constants in the paper."
            ),
            alt=(
                "Largest and least eigenvalue of P relative to their orders: both approach one as the width grows, later "
                "for deeper nets, and stay near their start along training."
            ),
            draw=draw_spectrum,
        ),
        Figure(
            name="du_hu2019_products",
            items=items,
            title="Products of Gaussian matrices: Lemma 6.1 and Proposition 6.2",
            caption=(
                f"q = {listed(products.factors)} factors of width m; (a) {products.draws} vectors per point, (b) "
                f"{products.networks} networks with d_out = {part.outputs} per point, all i together; exact in law. Bars: "
                "95 % normal intervals. Vertical lines: m / q at which half of the networks are inside."
            ),
            alt=(
                "Left, the probability to leave the band falls exponentially in m over q, the same line for every q. Right, "
                "the share inside rises from zero to one around one value of m over q."
            ),
            draw=draw_products,
        ),
        *map_figures.figures(settings),
    ]
