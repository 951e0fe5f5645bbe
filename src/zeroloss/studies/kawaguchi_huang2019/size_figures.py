"""TABLE I as a figure, sizes old and new, and the loss around n m_y."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Figure
from zeroloss.studies.kawaguchi_huang2019.experiment import Settings
from zeroloss.studies.kawaguchi_huang2019.size_claims import construction_sizes
from zeroloss.studies.kawaguchi_huang2019.tables import ZERO, least_errors, networks, printed_size, trainability_table
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import kawaguchi_huang2019 as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

TABLE1_DEPTH = 17  # H in H^12 and 2^H: ResNet-18's


def _draw_networks(axes: Axes, named: bool) -> None:
    """One star for each network in use; those with one n and nearly one size share their words."""
    for _, one in networks().iterrows():
        axes.plot(one["samples"], one["parameters"], marker="*", markersize=11, color="0.1", linestyle="", zorder=5)
    if not named:
        return
    words = {
        ("ResNet-18", "CIFAR-10"): ("ResNet-18\nCIFAR, SVHN", (-6, 8), "right"),
        ("ResNet-18", "ImageNet"): ("ResNet-18, ImageNet", (8, -10), "left"),
        ("AlexNet", "ImageNet"): ("AlexNet, ImageNet", (8, 3), "left"),
        ("LeNet-300-100", "MNIST"): ("LeNet-300-100\nMNIST", (-8, -4), "right"),
    }
    for _, one in networks().iterrows():
        if (one["network"], one["data"]) in words:
            text, shift, side = words[one["network"], one["data"]]
            axes.annotate(text, (one["samples"], one["parameters"]), xytext=shift, textcoords="offset points",
                          fontsize=8, ha=side, va="center", zorder=6,
                          bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8})  # fmt: skip


def draw_table1(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Left: TABLE I, orders as printed. Right: Theorem 1 with its logarithms, and the construction counted."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    sizes, delta = settings.sizes, settings.network.failure_probability
    n = np.array(sizes.samples, float)
    table = published.load("kawaguchi_huang2019_table1")
    table = table[table["n_power"].notna() & (table["trainability"] == "Yes")]
    table = table.sort_values(["n_power", "depth_power"])
    canvas, (left, right) = plt.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
    cues: Any = ordered_cues(list(table["reference"]))
    handles = []
    for _, row in table.iterrows():
        cue = cues[row["reference"]]
        name = f"{row['reference']}: ${_tex(row['printed'])}$"
        left.plot(n, printed_size(row, n, TABLE1_DEPTH), color=cue.colour, marker=cue.marker)
        handles.append(Line2D([], [], color=cue.colour, marker=cue.marker, label=name))
    handles.append(Line2D([], [], color="0.1", marker="*", markersize=11, linestyle="", label="networks in use"))
    left.set(title="(a) TABLE I, constants and logarithms dropped")
    left.legend(handles=handles, loc="upper left", fontsize=9)
    depths: Any = ordered_cues(sizes.depths)
    handles = []
    for depth in sizes.depths:
        cue = depths[depth]
        needed = [theory.required_size(one, depth, delta, sizes.dimension, sizes.outputs) for one in n]
        right.plot(n, needed, color=cue.colour, marker=cue.marker)
        label = "remark, $H=1$" if depth == 1 else f"Theorem 1, $H={depth}$"
        handles.append(Line2D([], [], color=cue.colour, marker=cue.marker, label=f"{label}, $c=1$"))
    counted = construction_sizes(settings, settings.network.constants)
    right.plot(n, counted, color="#D55E00", linewidth=2.2, linestyle="-.", zorder=4)
    right.plot(n, n * sizes.outputs, color="0.2", linestyle=":", linewidth=1.5)
    depth = settings.network.depth
    handles.append(
        Line2D([], [], color="#D55E00", linewidth=2.2, linestyle="-.", label=f"counted, $H={depth}$, working")
    )
    handles.append(Line2D([], [], color="0.2", linestyle=":", linewidth=1.5, label="$nm_y$: below, not trainable"))
    right.set(title=f"(b) with logarithms and depth ($m_x={sizes.dimension}$, $m_y={sizes.outputs}$)")
    right.legend(handles=handles, loc="upper left", fontsize=9, ncols=2)
    for axis in (left, right):
        _draw_networks(axis, named=axis is right)
        axis.set(xscale="log", yscale="log", xlabel="training samples $n$", ylabel="parameters $d$")
    right.set_ylim(top=1e4 * right.get_ylim()[1])  # room for the legend
    return canvas


def _tex(printed: str) -> str:
    """``2^O(H) n^8`` as mathematics."""
    return printed.replace("2^O(H)", "2^{O(H)}").replace("H^12", "H^{12}")


def draw_old_new(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The remarks: sizes before and now, for shallow and for deep networks."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    sizes = settings.sizes
    n = np.array(sizes.samples, float)
    depths = sorted({1, *sizes.depths})  # 1 stands for the remarks' shallow networks
    cues: Any = ordered_cues(depths)
    canvas, axes = plt.subplots(figsize=(9.5, 5.2), layout="constrained")
    handles = []
    for depth in depths:
        cue = cues[depth]
        now = [theory.remark_size(one, depth, sizes.dimension, sizes.outputs) for one in n]
        before = [theory.earlier_size(one, depth, sizes.dimension, sizes.outputs) for one in n]
        axes.plot(n, now, color=cue.colour, marker=cue.marker)
        axes.plot(n, before, color=cue.colour, marker=cue.marker, linestyle="--", markerfacecolor="white")
        handles.append(Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$H={depth}$"))
    handles.append(Line2D([], [], color="0.2", label="this paper"))
    handles.append(Line2D([], [], color="0.2", linestyle="--", label="before"))
    axes.set(xscale="log", yscale="log", xlabel="training samples $n$", ylabel="parameters $d$")
    _draw_networks(axes, named=False)
    handles.append(Line2D([], [], color="0.1", marker="*", markersize=11, linestyle="", label="networks in use"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.1)
    return canvas


def _over_sets(axes: Axes, table: pd.DataFrame, value: str, cue: Any, floor: float) -> None:
    """Median over data sets and their range; ``floor`` stands for everything below."""
    grouped = table.assign(shown=table[value].clip(lower=floor)).groupby("ratio")["shown"]
    axes.plot(grouped.median().index, grouped.median(), color=cue.colour, marker=cue.marker, zorder=3)
    axes.fill_between(grouped.median().index, grouped.min(), grouped.max(), color=cue.colour, alpha=0.22, linewidth=0)


def draw_capacity(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Least loss, share of starts at zero, and weights, against d / (n m_y)."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    table = least_errors(metrics)
    kinds = [(depth, outputs) for depth in settings.capacity.depths for outputs in settings.capacity.outputs]
    cues: Any = ordered_cues(kinds)  # type: ignore[arg-type]
    canvas, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    handles = []
    for kind, cue in cues.items():
        group = table[(table["depth"] == kind[0]) & (table["outputs"] == kind[1])]
        _over_sets(axes[0], group, "relative_error", cue, 1e-31)
        _over_sets(axes[1], group, "share", cue, 0.0)
        _over_sets(axes[2], group[group["relative_error"] > 0], "norm_at_best", cue, 1e-3)
        below = group[(group["ratio"] < 1) & (group["error"] < 1) & (group["error"] > 0)].sort_values("ratio")
        bound = theory.least_weight_norm(
            below["parameters"].to_numpy(float), below["equations"].to_numpy(float), below["error"].to_numpy(),
            below["depth"].to_numpy(float),
        )  # fmt: skip
        shown = pd.Series(bound, index=below["ratio"]).groupby(level=0).median()
        axes[2].plot(
            shown.index, shown, color=cue.colour, linestyle=":", linewidth=1.3, marker=cue.marker, markersize=3
        )
        handles.append(Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$H={kind[0]}$, $m_y={kind[1]}$"))
    handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over data sets"))
    handles.append(Line2D([], [], color="0.2", linestyle="--", linewidth=1, label="$d=nm_y$"))
    handles.append(
        Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, marker=".", label="Theorem 2 at this loss, $c=1$")
    )
    for axis in axes:
        axis.axvline(1, color="0.2", linestyle="--", linewidth=1, zorder=1)
        axis.set_xlabel("$d/(nm_y)$")
    axes[0].axhline(ZERO, color="0.6", linewidth=0.8)
    axes[0].annotate("zero", (0.99, ZERO), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    axes[0].set(yscale="log", title="(a) least loss found", ylabel=r"$\sum\|f-y\|^2\,/\,\sum\|y\|^2$")
    axes[1].set(title="(b) starts that reach zero", ylabel="share of starts", ylim=(-0.03, 1.03))
    axes[2].set(yscale="log", title="(c) weights of the best fit", ylabel=r"$\|\theta\|_2^2$")
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.1)
    return canvas


def draw_trainability(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Share of random starts that reach epsilon, against the number of parameters."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    table, part = trainability_table(metrics, settings), settings.trainability
    cues: Any = ordered_cues(part.bottleneck_constants)
    canvas, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for constant, group in table.groupby("bottleneck constant"):
        cue, group = cues[constant], group.sort_values("d")
        label = rf"$m_{{H-1}}={constant:g}\,\log(Hn^2/\delta)$"
        for axis, x in ((left, "d"), (right, "m_H + 1 over n")):
            axis.plot(group[x], group["share of starts"], color=cue.colour, marker=cue.marker, label=label)
            axis.fill_between(group[x], group["low"], group["high"], color=cue.colour, alpha=0.22, linewidth=0)
    equations = part.samples * part.outputs
    left.axvline(equations, color="0.2", linestyle="--", linewidth=1, label="$d=nm_y$ (corollary)")
    needed = theory.required_size(
        part.samples, settings.network.depth, settings.network.failure_probability, part.dimension, part.outputs
    )
    left.axvline(needed, color="0.2", linestyle=":", linewidth=1.3, label="Theorem 1, $c=1$")
    right.axvline(1, color="0.2", linestyle="--", linewidth=1)
    left.set(xscale="log", xlabel="parameters $d$", ylabel=rf"share of starts with $J\leq{part.epsilon:g}$")
    right.set(xscale="log", xlabel="$(m_H+1)/n$: the last layer can fit everything from 1 on")
    ticks = [0.25, 0.5, 1, 2, 4]
    right.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    right.minorticks_off()
    handles, labels = left.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=4)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    sizes, part, trials = settings.sizes, settings.capacity, settings.trainability
    named = ", ".join(f"{one['network']} on {one['data']}" for _, one in networks().iterrows())
    return [
        Figure(
            "kawaguchi_huang2019_table1",
            ("000-T1", "000-TH1", "000-E5"),
            "TABLE I as a figure: parameters required against samples, beside networks in use",
            f"(a) the rows of TABLE I with a number, H = {TABLE1_DEPTH} in H^12 and 2^O(H). (b) Theorem 1 and its remark with "
            f"logarithms and depth, delta = {settings.network.failure_probability:g}; the network of the proof with its "
            f"parameters counted; n m_y. Stars: {named}.",
            "Two panels of parameters against samples: all rows of the table but this paper's lie orders of magnitude "
            "above networks in use; with logarithms and depth Theorem 1 does, too, at the depth of ResNet-18.",
            draw_table1,
        ),
        Figure(
            "kawaguchi_huang2019_old_new",
            ("000-E5",),
            "Sizes before and now",
            f"The remarks' orders with constants and logarithms dropped, m_x = {sizes.dimension}, m_y = {sizes.outputs}; "
            f"before: 2^H n^8 + n^4 (m_x + m_y), for H = 1 n^2 (m_x + m_y); now: n m_y + m_x H^2 + H^5, for H = 1 n (m_x + "
            "m_y). Stars: networks in use.",
            "Parameters against samples: dashed lines of earlier results lie tens of orders above the solid ones.",
            draw_old_new,
        ),
        Figure(
            "kawaguchi_huang2019_capacity",
            ("000-TH3", "000-TH2"),
            "The least loss and its weights around d = n m_y",
            f"n = {part.samples} points on the sphere (synthetic), m_x = {part.dimension}, labels uniform on [-1, 1], tanh, "
            f"all layers free; best of {part.starts} starts of Levenberg-Marquardt, {part.newton_steps} steps, float64. "
            f"Lines: median over data sets ({seeds_text(part.seeds)}). Zero: {ZERO:g}. (c) in Theorem 2 epsilon is the "
            "loss reached; it speaks of the worst data set, these are random.",
            "Three panels against d over n m_y: the least loss falls from visible values to rounding at or soon after one; "
            "the share of starts at zero rises beyond it.",
            draw_capacity,
        ),
        Figure(
            "kawaguchi_huang2019_trainability",
            ("000-E4", "000-TH1", "000-TH3"),
            "Probable trainability: starts that reach epsilon against size",
            f"n = {trials.samples} points on the sphere (synthetic), m_x = {trials.dimension}, m_y = {trials.outputs}, labels "
            f"uniform on [-1, 1], seed {trials.seed}; m_H / n = {listed(trials.last_constants)}; {trials.starts} starts, "
            f"{trials.steps} steps of the last layer. Bands: exact 95 % intervals.",
            "Two panels: the share of starts that reach epsilon rises from zero to one once the last layer has as many "
            "units as there are samples, with the wide bottleneck.",
            draw_trainability,
        ),
    ]
