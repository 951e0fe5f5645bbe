"""Figures 1, 2 and 3 with the limit and the published curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.contract import Figure
from zeroloss.studies.jacot2018 import curves
from zeroloss.studies.jacot2018.experiment import Settings
from zeroloss.studies.wording import listed, seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_DASHED = (0, (5, 2))


def _colours(widths: list[int]) -> dict[int, tuple[str, str]]:
    """Colour and marker of each width: dark to light."""
    from zeroloss.plotting.style import ordered_cues

    return {int(width): (cue.colour, cue.marker) for width, cue in ordered_cues(widths).items()}  # type: ignore[misc]


def _say_diverged(axes: Axes, gone: pd.Series, what: str = "networks") -> None:
    """The number of runs that diverged, in the middle of the panel; ``gone`` has one flag for each run."""
    if gone.any():
        axes.text(
            0.5, 0.5, f"training diverged in {int(gone.sum())} of {len(gone)} {what}", transform=axes.transAxes,
            ha="center", va="center", color="#b22222", zorder=8,
            bbox={"facecolor": "white", "edgecolor": "#b22222", "alpha": 0.9},
        )  # fmt: skip


def draw_kernel(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """One panel per width: mean and range over initialisations, at the start and after training; limit; published."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    kernels, limit = (metrics[metrics["part"] == part] for part in ("kernel", "limit_kernel"))
    widths, last = settings.circle.widths, settings.circle.steps
    paper = curves.published_kernels()
    columns = 2 if len(widths) == 3 else len(widths) + 1  # four panels stand two by two
    rows = -(-(len(widths) + 1) // columns)
    canvas, grid = plt.subplots(
        rows, columns, figsize=(5.2 * columns, 3.9 * rows + 0.4), squeeze=False, layout="constrained"
    )
    panels, drift = list(grid.flat[: len(widths)]), grid.flat[len(widths)]
    for unused in grid.flat[len(widths) + 1 :]:
        unused.set_axis_off()
    colours = {0: "#0072B2", last: "#D55E00"}
    moved = curves.drifts(metrics)
    for axes, width in zip(panels, widths, strict=True):
        compared = _compared(width, widths, paper)
        _say_diverged(axes, moved[moved["width"] == width]["diverged"])
        for step, colour in colours.items():
            here = kernels[(kernels["width"] == width) & (kernels["step"] == step)].groupby("gamma")["kernel"]
            axes.plot(here.mean().index, here.mean(), color=colour, zorder=3)
            axes.fill_between(here.mean().index, here.min(), here.max(), color=colour, alpha=0.2, linewidth=0)
            theirs = paper[(paper["width"] == compared) & (paper["step"] == (0 if step == 0 else 200))]
            mean = theirs.groupby("gamma")["kernel"].mean()
            axes.plot(mean.index, mean, color=colour, linestyle=_DASHED, linewidth=0.9, zorder=4)
        axes.plot(limit["gamma"], limit["kernel"], color="0.1", linestyle=":", linewidth=1.5, zorder=5)
        axes.set(xlabel=r"$\gamma$", title=f"$n={width}$; published $n={compared}$", ylim=(0, None))
        axes.set_xticks([-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi], [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"])
    top = max(axes.get_ylim()[1] for axes in panels)
    for axes in panels:
        axes.set(ylim=(0, top), ylabel=r"$\Theta^{(L)}(x_0,x)$")
    _draw_drift(drift, metrics, paper)
    handles = [
        Line2D([], [], color=colours[0], label="$t=0$"),
        Line2D([], [], color=colours[last], label=f"$t={last}$"),
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over initialisations"),
        Line2D([], [], color="0.1", linestyle=":", linewidth=1.5, label=r"limit $n=\infty$"),
        Line2D([], [], color="0.2", linestyle=_DASHED, linewidth=0.9, label="published (mean of 10)"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=5)
    return canvas


def _compared(width: int, widths: list[int], paper: pd.DataFrame) -> int:
    """The published width beside ours: the widest beside our widest, else the nearest in the logarithm."""
    theirs = sorted(int(other) for other in paper["width"].unique())
    return theirs[-1] if width == max(widths) else min(theirs, key=lambda other: abs(np.log(other / width)))


def _draw_drift(axes: Axes, metrics: pd.DataFrame, paper: pd.DataFrame) -> None:
    ours = curves.drifts(metrics)
    theirs = curves.drifts(paper.rename(columns={"init": "seed"}).assign(part="kernel"))
    styles = ((ours, "#009E73", "o", "-", "ours"), (theirs, "0.2", "D", _DASHED, "published"))
    for table, colour, marker, style, name in styles:
        by = table.groupby("width")["drift"]
        mean = by.mean()
        if name == "ours":
            _say_diverged(axes, table["diverged"])
        axes.errorbar(
            mean.index, mean, bar_lengths(mean, by.min(), by.max()), color=colour, marker=marker, linestyle=style,
            capsize=2, elinewidth=0.9, label=name,
        )  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel="width $n$", title="drift of the kernel",
        ylabel=r"$\|\Theta_t-\Theta_0\|\,/\,\|\Theta_0\|$",
    )  # fmt: skip
    axes.legend(loc="lower left")


def draw_function(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """One panel per width: ten networks, percentiles of the limit, published percentiles, the data."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    one = settings.function
    functions, limit = (metrics[metrics["part"] == part] for part in ("function", "limit_function"))
    ours = curves.percentiles(limit)
    paper = curves.published_function(limit["gamma"].to_numpy())
    # what diverged would hide the rest: it is counted and not drawn
    gone, without_limit = curves.diverged_functions(metrics, settings), curves.limit_diverged(metrics, settings)
    cues = _colours(one.widths)
    canvas, row = plt.subplots(
        1, len(one.widths), figsize=(6.0 * len(one.widths), 4.8), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, width in zip(row[0], one.widths, strict=True):
        for seed, run in functions[functions["width"] == width].groupby("seed"):
            if gone[width, seed]:
                continue
            axes.plot(run["gamma"], run["value"], color=cues[width][0], linewidth=0.9, alpha=0.6)
        for name in ("P10", "P50", "P90"):
            if not without_limit:
                axes.plot(ours["gamma"], ours[name], color="0.1", linestyle=":", linewidth=1.8, zorder=4)
            axes.plot(paper["gamma"], paper[name], color="#D55E00", linestyle=_DASHED, linewidth=1.0, zorder=5)
        axes.plot(one.data_angles, one.targets, "o", color="0.1", markersize=6, zorder=6)
        title = f"$n={width}$; the limit diverged" if without_limit else f"$n={width}$"
        axes.set(xlabel=r"$\gamma$", title=title)
        _say_diverged(axes, gone[width])
        axes.set_xticks([-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi], [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"])
    row[0, 0].set_ylabel(r"$f_\theta(\cos\gamma,\sin\gamma)$")
    handles = [Line2D([], [], color=cues[width][0], label=f"networks, $n={width}$") for width in one.widths]
    handles += [
        Line2D([], [], color="0.1", linestyle=":", linewidth=1.8, label=r"limit $n=\infty$: P10, P50, P90"),
        Line2D([], [], color="#D55E00", linestyle=_DASHED, linewidth=1.0, label=r"published $n=\infty$"),
        Line2D([], [], color="0.1", marker="o", linestyle="", label="data"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=5)
    return canvas


def draw_principal(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """(a) the images in the plane of f^(2) and f^(3); (b) |h_t|; (c) |g_t| with the limit."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    one = settings.principal
    scatter, runs = (metrics[metrics["part"] == part] for part in ("component", "along"))
    canvas, (left, middle, right) = plt.subplots(1, 3, figsize=(14.5, 4.8), layout="constrained")
    classes = sorted(scatter["class"].astype(int).unique())
    palette = plt.get_cmap("tab10")
    for k, digit in enumerate(classes):
        here = scatter[scatter["class"] == digit]
        # the class is written on its points: ten colours alone would not tell them apart
        for _, point in here.iterrows():
            left.text(
                point["second"], point["third"], str(digit), color=palette(k % 10), fontsize=8, ha="center", va="center"
            )
    left.plot(scatter["second"], scatter["third"], linestyle="")  # sets the limits
    left.margins(0.05)
    left.set(xlabel="$f^{(2)}(x)$", ylabel="$f^{(3)}(x)$", title="(a) second and third component")
    cues = _colours(one.widths)
    for axes, column in ((middle, "across"), (right, "along")):
        for width in one.widths:
            colour, marker = cues[width]
            by = runs[runs["width"] == width].groupby("step")[column]
            mean = by.mean()
            axes.plot(mean.index, mean, color=colour, marker=marker, markevery=max(1, len(mean) // 6))
            axes.fill_between(mean.index, by.min(), by.max(), color=colour, alpha=0.25, linewidth=0)
    steps = np.arange(one.steps + 1)
    limit = one.offset * (1 - settings.rate * curves.eigenvalues(metrics, settings.beta)[1]) ** steps
    stable = np.abs(limit) <= one.offset  # a limit that grows would hide the rest
    right.plot(steps[stable], limit[stable], color="0.1", linestyle=":", linewidth=1.8)
    gone = curves.rates(metrics, curves.eigenvalues(metrics, settings.beta)[1], settings.rate)["diverged"]
    _say_diverged(middle, gone)
    _say_diverged(right, gone)
    middle.axhline(0, color="0.1", linestyle=":", linewidth=1.8)
    middle.set(xlabel="step $t$", ylabel=r"$\|h_t\|$", title="(b) error across $f^{(2)}$")
    right.set(xlabel="step $t$", ylabel=r"$\|g_t\|$", title="(c) error along $f^{(2)}$", ylim=(0, None))
    handles = [Line2D([], [], color=cues[n][0], marker=cues[n][1], label=f"$n={n}$") for n in one.widths]
    handles += [
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over initialisations"),
        Line2D([], [], color="0.1", linestyle=":", linewidth=1.8, label=r"limit $n=\infty$"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=6)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    net = f"{settings.layers} layers of weights, beta = {settings.beta:g}, learning rate {settings.rate:g}"
    one, two, three = settings.circle, settings.function, settings.principal
    return [
        Figure(
            name="jacot2018_fig1",
            items=("004-F10",),
            title="The tangent kernel on the circle",
            caption=f"x = (cos gamma, sin gamma), x0 = (1, 0); {net}; n = {listed(one.widths)}, {seeds_text(one.seeds)}; "
            f"{one.steps} steps towards x1 x2 on {one.batch} fresh Gaussian inputs a step (the paper does not say how "
            "many). Dotted: the limit, closed form. Dashed: published mean over 10 initialisations of the width named "
            "above the panel, after 200 steps. Last panel: change of the kernel by training, mean and range.",
            alt="The kernel peaks at gamma = 0; narrow networks scatter widely and inflate in training, wide ones stay "
            "at the limit.",
            draw=draw_kernel,
        ),
        Figure(
            name="jacot2018_fig2",
            items=("004-F10",),
            title="The network function on the circle after training",
            caption=f"{len(two.targets)} points; {net}; n = {listed(two.widths)}, {two.steps} steps, one line for each "
            f"initialisation, {seeds_text(two.seeds)}. Dotted: P10, P50, P90 of the Gaussian limit, closed form; dashed "
            "orange: the published ones (there with kernels estimated at n = 10000).",
            alt="Trained networks pass through the four points and scatter between them like the Gaussian limit.",
            draw=draw_function,
        ),
        Figure(
            name="jacot2018_fig3",
            items=("004-F10",),
            title="Training along a principal component of the kernel",
            caption=f"{three.source}, N = {three.samples} images scaled to |x|² = n0; {net}; n = "
            f"{listed(three.widths)}, {seeds_text(three.seeds)}. Target f* = f_0 + {three.offset:g} f^(2); f^(2), f^(3): "
            "components of the limit kernel. (a) Each digit is one image. (b) Dotted: the limit, 0. (c) Dotted: "
            f"{three.offset:g} (1 - lambda_2)^t. The published curves were not digitised.",
            alt="Images of one class lie together in the plane of two components; the error along the component decays at "
            "the limit's rate, the error across it is smaller the wider the network.",
            draw=draw_principal,
        ),
    ]
