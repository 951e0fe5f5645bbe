"""The depth x width maps after Hu, Xiao, Pennington 2020, and narrow deep networks (their Theorem 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.du_hu2019.experiment import STARTS, TARGET_NAMES, TARGETS, Settings
from zeroloss.studies.du_hu2019.widths import trained_widths
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory.binomial import fraction

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def cell_table(metrics: pd.DataFrame, settings: Settings, start: str, target: str) -> pd.DataFrame:
    """One row per (depth, width): median of log10 l(T) / l(0) over seeds that did not diverge, and how they ended."""
    runs = metrics[(metrics["part"] == "heat") & (metrics["start"] == start) & (metrics["target"] == target)]
    rows = []
    for (depth, width), group in runs.groupby(["depth", "width"]):
        broken = group["diverged_at"] >= 0
        kept = np.log10(group.loc[~broken, "relative_loss"].clip(lower=settings.heat.floor))
        converged = group.loc[group["converged_at"] >= 0, "converged_at"]
        rows.append(
            {
                "depth": int(depth),
                "width": int(width),
                "log_ratio": kept.median() if len(kept) else np.nan,
                "diverged": int(broken.sum()),
                "first_diverged": group.loc[broken, "diverged_at"].median() if broken.any() else np.nan,
                "seeds": len(group),
                "converged_step": converged.median() if len(converged) == len(group) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _contour(panel: Any, found: pd.DataFrame, depths: list[int], widths: list[int]) -> None:
    """The geometric mean over seeds of the least width that trains, in cells; where some seed has none, nothing."""
    whole = found.groupby("depth")["width"].agg(lambda values: np.exp(np.log(values).mean(skipna=False)))
    whole = whole.dropna()
    if whole.empty:
        return
    column = np.interp(np.log(whole.index), np.log(depths), np.arange(len(depths))) + 0.5
    height = np.interp(np.log(whole), np.log(widths), np.arange(len(widths)))  # the lower edge of that cell
    panel.plot(column, height, color="red", marker="o", markersize=4, linewidth=1.8)


def _cell_text(cell: Any) -> str:
    if cell.diverged == cell.seeds:
        return f"x {cell.first_diverged:.0f}"
    if np.isfinite(cell.converged_step):
        text = f"({cell.converged_step:.0f})"
    else:
        text = f"{cell.log_ratio:z.1f}"
    return f"{text}\nx {cell.diverged}/{cell.seeds}" if cell.diverged else text


def draw_map(metrics: pd.DataFrame, settings: Settings, target: str) -> Canvas:
    """log10 l(T) / l(0) over depth and width, Gaussian and orthogonal."""
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    part = settings.heat
    depths, widths = part.depths, part.widths
    floor = np.log10(part.floor)
    canvas, axes = plt.subplots(1, 2, figsize=(12, 5.4), sharey=True, layout="constrained")
    for panel, start in zip(axes, STARTS, strict=True):
        cells = cell_table(metrics, settings, start, target)
        cells["text"] = [_cell_text(cell) for cell in cells.itertuples()]
        grid, texts = (
            cells.pivot(index="width", columns="depth", values=value).reindex(index=widths, columns=depths)
            for value in ("log_ratio", "text")
        )
        look = {"cmap": "viridis", "vmin": floor, "vmax": 0, "cbar": False, "annot_kws": {"fontsize": 8, "zorder": 5}}
        sns.heatmap(grid.astype(float), annot=texts.fillna("").to_numpy(), fmt="", ax=panel, **look)
        panel.set_facecolor("0.75")
        for cell in cells[cells["log_ratio"].isna()].itertuples():  # seaborn leaves cells without a value unlabelled
            place = (depths.index(cell.depth) + 0.5, widths.index(cell.width) + 0.5)
            panel.text(*place, cell.text, ha="center", va="center", fontsize=8, zorder=5)
        for text in panel.texts:  # letters stay legible where the contour crosses them
            shade = "black" if text.get_color() == "w" else "white"
            text.set_path_effects([withStroke(linewidth=1.5, foreground=shade, alpha=0.6)])
        _contour(panel, trained_widths(metrics, start, target, part.trained), depths, widths)
        line = np.interp(np.log(depths), np.log(widths), np.arange(len(widths)), left=np.nan, right=np.nan) + 0.5
        panel.plot(np.arange(len(depths)) + 0.5, line, color="white", linestyle=":", linewidth=2.5)
        panel.plot(np.arange(len(depths)) + 0.5, line, color="black", linestyle=":", linewidth=1.2)
        name = start.capitalize() if start == "gaussian" else start
        panel.set(xlabel="depth $L$", ylabel="", title=f"{name} start")
        panel.tick_params(labelrotation=0)
        panel.invert_yaxis()
    axes[0].set_ylabel("width $m$")
    canvas.colorbar(
        axes[0].collections[0], ax=axes, label=rf"$\log_{{10}}\,\ell(T)/\ell(0)$, median, $T={part.steps}$", shrink=0.9
    )
    handles = [
        Line2D([], [], color="red", marker="o", label=rf"from here on $\ell(T)\leq$ {part.trained:g} $\ell(0)$"),
        Line2D([], [], color="black", linestyle=":", label="$m=L$"),
        Line2D([], [], color="none", label=f"(k): $10^{{{floor:.0f}}}$ reached at step k"),
        Line2D([], [], color="none", label="x k: diverged at step k;  x a/b: a of b seeds diverged"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=9)
    return canvas


def draw_stuck(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Loss over |Y|^2 against step of networks with m = L^(1-gamma), and the share of starts still in the band."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = settings.stuck
    cues: Any = ordered_cues(part.depths)
    canvas, axes = plt.subplots(2, 2, figsize=(10.5, 7), sharex="col", sharey="col", layout="constrained")
    curves, runs = metrics[metrics["part"] == "stuck_curve"], metrics[metrics["part"] == "stuck"]
    steps = np.arange(part.steps + 1)
    for row, target in zip(axes, TARGETS[::-1], strict=True):
        left, right = row
        deepest = curves[(curves["target"] == target) & (curves["depth"] == max(part.depths))]
        for _, group in deepest.groupby("seed"):
            left.plot(group["step"], group["loss_share"], color=cues[max(part.depths)].colour, alpha=0.4, linewidth=0.9)
        left.axhspan(0.4, 0.6, color="0.85", zorder=0)
        left.set(yscale="log", ylim=(1e-3, 30), xscale="symlog", ylabel=r"$\ell(t)\,/\,\|Y\|_F^2$")
        left.set_title(f"$L={max(part.depths)}$, every seed; {TARGET_NAMES[target]}")
        for depth, cue in cues.items():
            here = runs[(runs["target"] == target) & (runs["depth"] == depth)]
            if here.empty:
                continue
            left_at = here["left_at"].where(here["left_at"] >= 0, np.inf).to_numpy()
            share = (left_at[:, None] > steps).mean(0)
            right.step(steps, share, where="post", color=cue.colour)
            marks = np.unique(np.geomspace(1, part.steps, 5).astype(int))
            # the binomial interval (Clopper-Pearson) of the last share says how much of the order is chance
            right.plot(marks, share[marks], color=cue.colour, marker=cue.marker, linestyle="none")
            last = fraction(round(share[-1] * len(here)), len(here))
            right.vlines(
                part.steps * (1.1 + 0.15 * list(cues).index(depth)), last.low, last.high, color=cue.colour, linewidth=2
            )
        right.axhline(0.9, color="0.2", linestyle=":", linewidth=1.3)
        right.set(xscale="symlog", ylim=(-0.03, 1.03), ylabel="share of starts always in the band")
        right.set_title(TARGET_NAMES[target])
    for panel in axes[1]:
        panel.set_xlabel("step $t$")
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$L={depth}$, $m={_width(depth, part.gamma)}$")
        for depth, cue in cues.items()
    ]
    handles += [
        Line2D([], [], color="0.85", linewidth=7, label=r"$[0.4,0.6]\,\|Y\|_F^2$"),
        Line2D([], [], color="0.2", linestyle=":", label="probability 0.9 of Theorem 5.1"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def _width(depth: int, gamma: float) -> int:
    from zeroloss.studies.du_hu2019.experiment import stuck_width

    return stuck_width(depth, gamma)


def figures(settings: Settings) -> list[Figure]:
    heat, stuck = settings.heat, settings.stuck
    data = f"X in R^({settings.inputs} x {heat.samples}) and W* in R^({heat.outputs} x {settings.inputs}) Gaussian (synthetic)"
    after = "sizes after Hu, Xiao, Pennington 2020, whose step, number of steps and colours are not known to us"
    words = {
        "unit": "W* scaled to spectral norm 1",
        "raw": "W* as drawn",
    }
    return [
        *(
            Figure(
                name=f"du_hu2019_map_{target}",
                items=("004-TH4",),
                title=f"Final loss over depth and width, {words[target]}",
                caption=(
                    f"{data}, {words[target]}; {after}. L = {listed(heat.depths)}, m = {listed(heat.widths)}, eta = d_y / (3 L "
                    f"|X|^2), T = {heat.steps} full-batch steps, float32, {seeds_text(heat.seeds)} of the weights. Orthogonal: "
                    "of the inputs' span, at width n + d_y at most, which is exact."
                ),
                alt=(
                    "Two heat maps over depth and width. Gaussian start: the loss falls far only where the width is a "
                    "multiple of the depth, the border rises along the dotted diagonal. Orthogonal start: no such border."
                ),
                draw=draw_map,
                options={"target": target},
            )
            for target in TARGETS
        ),
        Figure(
            name="du_hu2019_stuck",
            items=("004-TH4",),
            title="Narrow deep Gaussian networks stay where they are",
            caption=(
                f"{data}; m = L^{1 - stuck.gamma:g}, eta = d_y / (3 L |X|^2), {stuck.steps} full-batch steps, "
                f"{len(stuck.seeds)} seeds of the weights. Bars at the right: 95 % Clopper-Pearson intervals."
            ),
            alt=(
                "Left, the loss of the deepest networks: nearly all lines stay flat inside the grey band. Right, the share "
                "of starts that never left the band: higher for deeper networks."
            ),
            draw=draw_stuck,
        ),
    ]
