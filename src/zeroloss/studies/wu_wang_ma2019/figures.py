"""Loss and singular values against step, the bound, the exact identity, images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.wu_wang_ma2019 import depth_figures, residual
from zeroloss.studies.wu_wang_ma2019.cues import DOTTED, START_CUES, dotted_handle, mark_levels, start_handles
from zeroloss.studies.wu_wang_ma2019.experiment import ESCAPE_TARGETS
from zeroloss.studies.wu_wang_ma2019.settings import Settings
from zeroloss.studies.wu_wang_ma2019.small_parts import IDENTITY_TARGETS, THEOREM_TARGETS
from zeroloss.studies.wu_wang_ma2019.starts import STARTS, TARGETS
from zeroloss.theory import zero_asymmetric as theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

ITEMS = ("004-TH5",)
# of the exact identity and of the theorem's depths: dark to light would say "ordered", which targets are not
_SERIES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#555555", "v"))


def draw_escape(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """R against step, one line per seed; rows are targets, columns depths; R = k/2 dotted where it means something."""
    import matplotlib.pyplot as plt

    escape = settings.escape
    table = metrics[metrics["part"] == "escape"]
    rows, columns = len(ESCAPE_TARGETS), len(escape.depths)
    canvas, grid = plt.subplots(
        rows,
        columns,
        figsize=(4.1 * columns, 3.3 * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for line, target in zip(grid, ESCAPE_TARGETS, strict=True):
        for axes, depth, eta in zip(line, escape.depths, escape.step_sizes, strict=True):
            here = table[(table["target"] == target) & (table["depth"] == depth)]
            # the few runs of ZAS last, on top
            for start in reversed(STARTS):
                colour, marker = START_CUES[start]
                for _, one in here[here["start"] == start].groupby("seed"):
                    one = one[one["step"] > 0]
                    axes.plot(
                        one["step"], one["loss"], color=colour, linewidth=2.2 if start == "zas" else 1, alpha=0.85
                    )
                    axes.plot(one["step"].iloc[-1:], one["loss"].iloc[-1:], color=colour, marker=marker, markersize=4.5)
            if target != "gaussian":
                mark_levels(axes, escape.dimension, named=axes is line[-1])
            axes.set(xscale="log", yscale="log")
            if target == ESCAPE_TARGETS[0]:
                axes.set_title(rf"$L={depth}$, $\eta={eta:g}$")
        line[0].set_ylabel(rf"$\Phi$ = {TARGETS[target]}" + "\n" + r"$R=\frac{1}{2}|W_L\cdots W_1-\Phi|_F^2$")
    top = 3.0 * escape.dimension
    grid[0, 0].set(ylim=(0.4 * escape.goal * 0.5 * escape.dimension, top), xlim=(3, 1.3 * escape.steps))
    for axes in grid[-1]:
        axes.set_xlabel("step")
    canvas.legend(
        handles=[*start_handles(STARTS), dotted_handle("$R=k/2$: $k$ directions missing")],
        loc="outside upper center",
        ncols=3,
    )
    return canvas


def draw_singular_values(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Singular values of the product against step, target -I; one panel per start, one line per value and seed."""
    import matplotlib.pyplot as plt

    table = metrics[(metrics["part"] == "singular") & (metrics["step"] > 0)]
    canvas, row = plt.subplots(1, len(STARTS), figsize=(3.1 * len(STARTS), 3.9), sharex=True, sharey=True,
                               layout="constrained")  # fmt: skip
    for axes, (start, label) in zip(row, STARTS.items(), strict=True):
        colour, _ = START_CUES[start]
        here = table[table["start"] == start]
        first = here["seed"].min()
        for (seed, _), one in here.groupby(["seed", "index"]):
            bold = seed == first
            axes.plot(
                one["step"], one["value"], color=colour, linewidth=1.6 if bold else 0.7, alpha=1 if bold else 0.35
            )
        axes.axhline(1, color="0.2", linestyle=DOTTED, linewidth=1.2, zorder=1)
        axes.set(xscale="log", xlabel="step", title=label)
    row[0].set(ylabel=r"singular values of $W_L\cdots W_1$", ylim=(-0.03, 1.6), xlim=(3, 1.1 * settings.escape.steps))
    canvas.legend(handles=[dotted_handle(r"singular values of $\Phi=-I$")], loc="outside upper center")
    return canvas


def draw_theorem(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Above: R(t)/R(0) and the envelope against eta t. Below: how many times faster than the bound, in logarithms."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    table = metrics[(metrics["part"] == "theorem") & (metrics["step"] > 0)]
    canvas, grid = plt.subplots(2, len(THEOREM_TARGETS), figsize=(12.3, 6.6), sharex="col",
                                layout="constrained")  # fmt: skip
    depths = settings.theorem.depths
    for column, name in enumerate(THEOREM_TARGETS):
        upper, lower = grid[:, column]
        here = table[table["target"] == name]
        longest = float((here["step"] * here["step_size"]).max())
        times = np.geomspace(1e-4 * longest, 1.3 * longest, 200)
        upper.plot(times, np.exp(-times / 2), color="0.2", linestyle=DOTTED, linewidth=1.4, zorder=4)
        for k, depth in enumerate(depths):
            one = here[here["depth"] == depth]
            colour, marker = _SERIES[k % len(_SERIES)]
            scaled = one["step"] * one["step_size"]
            every = (20 * k, max(1, len(one) // 6))
            upper.plot(scaled, np.exp(one["log_ratio"]), color=colour, marker=marker, markevery=every)
            bound = theory.log_envelope(one["step"].to_numpy(), float(one["step_size"].iloc[0]))
            lower.plot(scaled, one["log_ratio"] / bound, color=colour, marker=marker, markevery=every)
        lower.axhline(1, color="0.2", linestyle=DOTTED, linewidth=1.4)
        least = max(float(np.exp(here["log_ratio"].min())), 1e-6)
        upper.set(yscale="log", xscale="log", title=rf"$\Phi$ = {name}", xlim=(1e-4 * longest, 1.3 * longest))
        upper.set_ylim(0.8 * least, 1.2)
        lower.set_xlabel(r"$\eta t$ (theorem's $\eta$)")
        lower.set_ylim(bottom=0)
    grid[0, 0].set_ylabel(r"$R(t)/R(0)$")
    grid[1, 0].set_ylabel("measured / guaranteed\nfall of " + r"$\ln R$")
    handles = [
        Line2D([], [], color=_SERIES[k % len(_SERIES)][0], marker=_SERIES[k % len(_SERIES)][1], label=f"$L={depth}$")
        for k, depth in enumerate(depths)
    ]
    canvas.legend(
        handles=[*handles, dotted_handle(r"Theorem 4.3: $(1-\eta/2)^t$")], loc="outside upper center", ncols=5
    )
    return canvas


def draw_identity(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """R against step from the exact identity; dotted: half the sum of the squared negative eigenvalues."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    table = metrics[(metrics["part"] == "identity") & (metrics["step"] > 0)]
    canvas, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    handles = []
    for k, name in enumerate(IDENTITY_TARGETS):
        one = table[table["target"] == name]
        colour, marker = _SERIES[k]
        axes.plot(one["step"], one["loss"], color=colour, marker=marker, markevery=0.12)
        if one["plateau"].iloc[0] > 0:
            axes.axhline(one["plateau"].iloc[0], color=colour, linestyle=DOTTED, linewidth=1.3)
        handles.append(Line2D([], [], color=colour, marker=marker, label=rf"$\Phi$ = {name}"))
    axes.set(xscale="log", yscale="log", xlabel="step", ylabel=r"$R=\frac{1}{2}|W_L\cdots W_1-\Phi|_F^2$")
    handles.append(dotted_handle(r"$\frac{1}{2}\sum_{\lambda<0}\lambda^2$"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=2)
    return canvas


def draw_residual(metrics: pd.DataFrame, settings: Settings, source: str) -> Canvas:
    """Training loss and error against step; columns are depths; mean over seeds with their range."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    table = metrics[(metrics["part"] == "residual") & (metrics["source"] == source)]
    depths = settings.residual.depths
    canvas, grid = plt.subplots(2, len(depths), figsize=(5.2 * len(depths), 7), sharex=True, sharey="row",
                                squeeze=False, layout="constrained")  # fmt: skip
    for column, depth in enumerate(depths):
        lost = []
        for k, start in enumerate(residual.STARTS):
            colour, marker = START_CUES[start]
            here = table[(table["depth"] == depth) & (table["start"] == start)]
            for axes, value in zip(grid[:, column], ("loss", "error"), strict=True):
                by_step = here.groupby("step")[value]
                mean = by_step.mean()
                axes.plot(mean.index, mean, color=colour, marker=marker, markevery=(0.03 + 0.03 * k, 0.15))
                axes.fill_between(mean.index, by_step.min(), by_step.max(), color=colour, alpha=0.2, linewidth=0)
            steps = here["step_size"].iloc[0]
            gone = here.loc[here["diverged_at"] >= 0, "seed"].nunique()
            lost.append(f"{residual.STARTS[start]}: η = {steps:g}" + (f", {gone} diverged" if gone else ""))
        grid[0, column].set(yscale="log", title=f"$L={depth}$ blocks\n" + "\n".join(lost))
        grid[0, column].title.set_fontsize(9.5)
        grid[1, column].set(xlabel="step", ylim=(-0.02, 1))
    grid[0, 0].set_ylabel(r"training loss $\frac{1}{2n}\sum_i|f(x_i)-y_i|^2$")
    grid[1, 0].set_ylabel("training error")
    handles = start_handles(residual.STARTS)
    if len(settings.seeds) > 1:
        handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


OURS = "The paper's figures were not available: this set-up is ours."


def figures(settings: Settings) -> list[Figure]:
    escape, theorem, identity, images = settings.escape, settings.theorem, settings.identity, settings.residual
    seeds = seeds_text(settings.seeds)
    starts_text = "ZAS: W_1 = ... = W_(L-1) = I, W_L = 0; near identity: I + N(0, 1/(dL)); Xavier: N(0, 1/d); "
    starts_text += "Haar: orthogonal layers"
    declared = [
        Figure(
            name="wu_wang_ma2019_escape",
            items=ITEMS,
            title="Loss against step: plateaus at saddles, and a start that meets none",
            caption=f"Synthetic, whitened inputs (n = d), width m = d = {escape.dimension}, targets +I, -I and Gaussian N(0, "
            f"1/d); L = {listed(escape.depths)}, gradient descent with step size {listed(escape.step_sizes)}, at most "
            f"{escape.steps} steps, until R <= {escape.goal:g} |Phi|^2/2; {seeds}, one line each. {starts_text}. Markers: "
            f"where a run ends. float64. {OURS}",
            alt="Nine panels of loss against step. From ZAS the loss falls at once; other starts rest on plateaus at multiples "
            "of one half, and for the target -I near identity and the identity never leave the last ones.",
            draw=draw_escape,
        ),
        *depth_figures.figures(settings, starts_text, OURS),
        Figure(
            name="wu_wang_ma2019_singular_values",
            items=ITEMS,
            title="Singular values of the product: directions are learned one at a time",
            caption=f"Target -I, m = n = d = {escape.dimension}, L = {escape.singular_depth}, at most {escape.steps} steps; "
            f"{seeds}, thick: the first. All singular values of the target are 1. Lines end where R <= {escape.goal:g} "
            f"|Phi|^2/2 (at most 100 steps later). float64. {OURS}",
            alt="Five panels. From ZAS all singular values rise together to one. From the others they first fall to zero and "
            "return one by one; where a sign forbids it one of them stays at zero.",
            draw=draw_singular_values,
        ),
        Figure(
            name="wu_wang_ma2019_theorem43",
            items=ITEMS,
            title="Theorem 4.3: the loss and its bound at the theorem's step size",
            caption=f"ZAS, m = n = d = 1 or 2, L = {listed(theorem.depths)}, step size min(1/(4 L^3 phi^6), 1/(144 L^2 "
            f"phi^4)), {theorem.steps} steps (deterministic, no seeds): all of the way for the largest step sizes, a small "
            "part of it for the others. Below: the fall of ln R over the fall that is guaranteed; 1 is the bound, about 4 is "
            f"what a start with gradient -Phi gives. float64. {OURS}",
            alt="Upper row: loss ratios below the dotted envelope in three panels. Lower row: the logarithm falls at least "
            "four times as fast.",
            draw=draw_theorem,
        ),
        Figure(
            name="wu_wang_ma2019_identity",
            items=ITEMS,
            title="The exact identity as start: negative eigenvalues are never learned",
            caption=f"All layers the identity, m = n = d = 3, L = {identity.depth}, step size {identity.step_size:g}, at most "
            f"{identity.steps} steps (deterministic, no seeds), until R <= {settings.depth.goal:g} |Phi|^2/2. float64. The "
            "setting of Bartlett, Helmbold, Long 2018; sizes ours.",
            alt="Three curves: the positive definite target is reached, the other two stop at half the sum of their squared "
            "negative eigenvalues.",
            draw=draw_identity,
        ),
    ]
    for source in images.sources:
        declared.append(
            Figure(
                name=f"wu_wang_ma2019_residual_{source}",
                items=ITEMS,
                title=f"The zero-asymmetric idea in nonlinear residual networks: {source}",
                caption=f"z_(l+1) = z_l + U_l relu(V_l z_l), f = B z_L, z_0 = A x with A fixed; the first n = {images.samples} "
                f"training images of {source} minus their mean, unit length, one-hot targets, squared loss; m = {images.width}, "
                f"L = {listed(images.depths)}, {images.steps} full-batch steps, {seeds}. mZAS: U = 0, B = 0 (our reading; the "
                "paper's formula was not available); near identity: U ~ N(0, 1/(mL)), B ~ N(0, 1/m); standard: U ~ N(0, 2/m), "
                f"B ~ N(0, 1/m); V ~ N(0, 2/m) in all. Step size: best of {listed(images.step_grid)} after "
                f"{images.pilot_steps} steps without divergence. Lines: mean over seeds, bands: range. float32.",
                alt=f"Training loss above and training error below for {source}, one column per depth, three starts.",
                draw=draw_residual,
                options={"source": source},
            )
        )
    return declared
