"""Iterations against depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.wu_wang_ma2019.cues import DOTTED, START_CUES, dotted_handle, start_handles
from zeroloss.studies.wu_wang_ma2019.experiment import BEST_TARGETS, best_of
from zeroloss.studies.wu_wang_ma2019.growth_claims import growth_of
from zeroloss.studies.wu_wang_ma2019.settings import Settings
from zeroloss.studies.wu_wang_ma2019.starts import STARTS, TARGETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

ITEMS = ("004-TH5",)


def _draw_series(axes: Axes, table: pd.DataFrame, start: str, cap: int) -> None:
    """Median and range of the runs that reach their target; open markers at the cap for those that do not.

    Every start has its own line above the cap. An open marker's area is the share of seeds that were stopped; a cross
    marks diverged runs.
    """
    colour, marker = START_CUES[start]
    # side by side: a constant factor on a logarithmic axis
    shift = 1.06 ** (list(STARTS).index(start) - 2)
    done = table.dropna(subset=["iterations"])
    # a start at its target has no place on a logarithmic axis
    by_depth = done[done["iterations"] > 0].groupby("depth")["iterations"]
    medians = by_depth.median()
    if len(medians):
        low, high = medians - by_depth.min(), by_depth.max() - medians
        axes.errorbar(medians.index * shift, medians, yerr=[low, high], color=colour, marker=marker, capsize=2,
                      elinewidth=1, linewidth=1.3)  # fmt: skip
    seeds = table.groupby("depth")["seed"].size()
    level = cap * 1.45 * 1.42 ** (len(STARTS) - 1 - list(STARTS).index(start))
    lost = table["diverged_at"] >= 0
    for shape, stopped in ((marker, table[table["iterations"].isna() & ~lost]), ("x", table[lost])):
        share = (stopped.groupby("depth").size() / seeds).dropna()
        axes.scatter(
            share.index * (1.13 if shape == "x" else 1),
            np.full(len(share), level),
            s=8 + 30 * share,
            marker=shape,
            linewidths=1.1,
            edgecolors=None if shape == "x" else colour,
            facecolors=colour if shape == "x" else "none",
            zorder=3,
        )


def _handles(diverged: bool) -> list[Line2D]:
    from matplotlib.lines import Line2D

    handles = start_handles(STARTS)
    handles.append(
        Line2D(
            [], [], color="0.2", marker="o", markerfacecolor="none", linestyle="none", label="not reached by the cap"
        )
    )
    if diverged:
        handles.append(Line2D([], [], color="0.2", marker="x", linestyle="none", label="diverged"))
    return handles


def draw_depth(metrics: pd.DataFrame, settings: Settings, kind: str) -> Canvas:
    """Iterations against depth; rows are dimensions, columns targets. ``kind``: fixed step size, or best of the grid."""
    import matplotlib.pyplot as plt

    depth = settings.depth
    targets = list(TARGETS) if kind == "fixed" else list(BEST_TARGETS)
    table = metrics[(metrics["part"] == "depth") & (metrics["kind"] == kind)]
    if kind == "best":
        table = best_of(table, ("start", "target", "dimension", "depth", "seed"))
    width = 2.75 if kind == "fixed" else 4.0
    canvas, grid = plt.subplots(len(depth.dimensions), len(targets), figsize=(width * len(targets), 3.6 * len(depth.dimensions)),
                                sharex=True, sharey=True, squeeze=False, layout="constrained")  # fmt: skip
    for line, dimension in zip(grid, depth.dimensions, strict=True):
        for axes, target in zip(line, targets, strict=True):
            here = table[(table["dimension"] == dimension) & (table["target"] == target)]
            for start in reversed(STARTS):
                _draw_series(axes, here[here["start"] == start], start, depth.steps)
            axes.axhline(depth.steps, color="0.6", linewidth=0.8)
            axes.set_title(rf"$\Phi$: {TARGETS[target]}")
        line[0].set_ylabel(f"$d={dimension}$ ({'even' if dimension % 2 == 0 else 'odd'})\niterations")
    shown = sorted(table["depth"].unique())
    grid[0, 0].set(xscale="log", yscale="log", ylim=(None, depth.steps * 10))
    for axes in grid[-1]:
        axes.set_xlabel("depth $L$")
        axes.set_xticks(shown, [f"{value:g}" for value in shown])
        axes.minorticks_off()
    lost = bool((table["iterations"].isna() & (table["diverged_at"] >= 0)).any())
    canvas.legend(handles=_handles(lost), loc="outside upper center", ncols=4)
    return canvas


def draw_growth(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Left: Xavier and ZAS over depth, a line is exponential; right: ZAS at the best step size, a line is a power."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    growth = settings.growth
    table = metrics[metrics["part"] == "growth"]
    count = len(growth.dimensions)
    canvas, row = plt.subplots(1, count + 1, figsize=(4.5 * (count + 1), 4.6), layout="constrained")
    for axes, dimension in zip(row[:-1], growth.dimensions, strict=True):
        here = table[table["dimension"] == dimension]
        for start in ("xavier", "zas"):
            colour, marker = START_CUES[start]
            one = here[(here["start"] == start) & (here["diverged_at"] < 0)]
            filled = one.assign(iterations=one["iterations"].fillna(growth.steps))
            medians = filled.groupby("depth")["iterations"].median()
            medians = medians[medians < growth.steps]
            axes.plot(medians.index, medians, color=colour, marker=marker)
            if start == "xavier":
                done, stopped = one.dropna(subset=["iterations"]), one[one["iterations"].isna()]
                axes.scatter(done["depth"], done["iterations"], color=colour, s=9, alpha=0.45, linewidths=0)
                share = stopped.groupby("depth").size() / len(growth.seeds)
                axes.scatter(share.index, np.full(len(share), 1.4 * growth.steps), s=12 + 36 * share, marker=marker,
                             facecolors="none", edgecolors=colour)  # fmt: skip
        found = growth_of(metrics, settings, dimension)
        if found is not None:
            depths = np.array(found.depths, float)
            xavier = here[(here["start"] == "xavier") & (here["diverged_at"] < 0)]
            logs = np.log(
                [xavier[xavier["depth"] == d]["iterations"].fillna(growth.steps).median() for d in found.depths]
            )
            axes.plot(
                depths, np.exp(logs.mean() + found.rate * (depths - depths.mean())), color="0.2", linestyle=DOTTED
            )
        axes.axhline(growth.steps, color="0.6", linewidth=0.8)
        axes.set(yscale="log", xlabel="depth $L$", title=rf"$d={dimension}$, $\eta={growth.step_size:g}$")
    row[0].set_ylabel("iterations")
    last, best = (
        row[-1],
        metrics[(metrics["part"] == "depth") & (metrics["kind"] == "best") & (metrics["start"] == "zas")],
    )
    best = best_of(best, ("target", "dimension", "depth", "seed")).dropna(subset=["iterations"])
    styles = {"plus": ("#0072B2", "o"), "minus": ("#56B4E9", "x"), "gaussian": ("#E69F00", "D")}
    dimension = max(settings.depth.dimensions)
    for target, (colour, marker) in styles.items():
        by_depth = best[(best["target"] == target) & (best["dimension"] == dimension)].groupby("depth")["iterations"]
        medians = by_depth.median()
        low, high = medians - by_depth.min(), by_depth.max() - medians
        last.errorbar(
            medians.index, medians, yerr=[low, high], color=colour, marker=marker, capsize=2, label=TARGETS[target]
        )
    if len(best):
        depths = np.array(sorted(best["depth"].unique()))
        base = (
            best[(best["target"] == "gaussian") & (best["dimension"] == dimension)]
            .groupby("depth")["iterations"]
            .median()
        )
        last.plot(depths, base.iloc[0] * (depths / depths[0]) ** 3, color="0.2", linestyle=DOTTED, label="$L^3$")
        last.set(
            xscale="log", yscale="log", xlabel="depth $L$", title=rf"ZAS, $d={dimension}$, best $\eta$ of the grid"
        )
        last.set_ylim(None, 60 * best["iterations"].max())
        last.set_xticks(depths, [f"{value:g}" for value in depths])
        last.minorticks_off()
    last.legend(loc="upper left", fontsize=9)
    handles = start_handles({name: STARTS[name] for name in ("xavier", "zas")})
    handles += [
        Line2D([], [], color=START_CUES["xavier"][0], marker="^", markerfacecolor="none", linestyle="none",
               label="Xavier, not reached by the cap"),
        dotted_handle(r"fit $\exp(aL+b)$"),
    ]  # fmt: skip
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def figures(settings: Settings, starts_text: str, ours: str) -> list[Figure]:
    depth, growth = settings.depth, settings.growth
    seeds = seeds_text(settings.seeds)
    markers = (
        f"Points: median of the seeds that reach R <= {depth.goal:g} |Phi|^2/2, bars: their range; open markers: runs that do "
        f"not within {depth.steps} steps (area: their share), one line for each start; series are shifted sideways a little. "
        "The identity starts at the target +I: no point."
    )
    sizes = f"Synthetic, whitened inputs, m = n = d = {listed(depth.dimensions)}, {seeds}. float64."
    return [
        Figure(
            name="wu_wang_ma2019_depth",
            items=ITEMS,
            title="Iterations against depth, one small step size",
            caption=f"{sizes} L = {listed(depth.depths)}, step size {depth.fixed_step:g}. {markers} {starts_text}. {ours}",
            alt="Twelve panels of iterations against depth. ZAS reaches every target at every depth in nearly the same number of "
            "steps; Xavier stops at small depth; near identity reaches -I in even dimension only.",
            draw=draw_depth,
            options={"kind": "fixed"},
        ),
        Figure(
            name="wu_wang_ma2019_depth_best",
            items=ITEMS,
            title="Iterations against depth, best step size of a grid",
            caption=f"{sizes} L = {listed(depth.best_depths)} (ZAS: also {listed(depth.deep_depths)}); for every run the best "
            f"of the step sizes {listed(depth.step_grid)}: such counts hold lucky long jumps, the figure with one step size "
            f"does not. {markers} {ours}",
            alt="Six panels of iterations against depth at the best step size: few steps for ZAS, open markers for runs that "
            "never reach their target.",
            draw=draw_depth,
            options={"kind": "best"},
        ),
        Figure(
            name="wu_wang_ma2019_growth",
            items=ITEMS,
            title="Exponential for Xavier, polynomial for ZAS",
            caption=f"Left and middle: m = n = d = {listed(growth.dimensions)}, L = {listed(growth.depths)}, step size "
            f"{growth.step_size:g}, at most {growth.steps} steps, {len(growth.seeds)} seeds; target I, or diag(-1, 1, ..., 1) "
            "where the Xavier start has a negative determinant, so that no sign forbids it. Dots: seeds, line: median, dotted: "
            f"least-squares exponential. Right: {seeds}; bars: range over Gaussian targets; dotted: the order L^3 of the "
            f"theorem. float64. {ours}",
            alt="Left panels: iterations of Xavier rise along a straight line on a logarithmic scale while ZAS is flat. Right "
            "panel: iterations of ZAS over depth lie far below the line of slope three.",
            draw=draw_growth,
        ),
    ]
