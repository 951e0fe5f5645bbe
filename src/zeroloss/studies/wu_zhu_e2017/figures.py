"""Figure 1: curves through five points; and how much the curves vary, the Hessian, the order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.wu_zhu_e2017.claims import CALM, solutions
from zeroloss.studies.wu_zhu_e2017.experiment import OUTER, Settings
from zeroloss.theory import wu_zhu_e2017 as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_DASHED = (0, (4, 2))
_MADE = "#b5367a"  # the constructed solutions; a colour that viridis does not have
_LIMIT = 3.0  # of |f| in the curves' panels; constructed solutions and high orders go beyond


def _points(axes: Axes, settings: Settings) -> None:
    axes.plot(theory.NODES, settings.labels, color="black", marker="o", markersize=8, linestyle="", zorder=6)


def _made_curves(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Curves of the constructed solutions that the picture shows: least depth, largest attack labels."""
    curves = metrics[(metrics["part"] == "curve") & (metrics["family"] == "constructed")]
    return curves[
        (curves["depth"] == min(settings.constructed.depths)) & (curves["attack"] == max(settings.constructed.labels))
    ]


def draw_curves(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Left: trained networks by depth, constructed solutions dashed. Right: kernel regression by order."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    canvas, (left, right) = plt.subplots(1, 2, figsize=(13, 5.6), layout="constrained", sharey=True)
    curves = metrics[metrics["part"] == "curve"]
    depths, orders = settings.networks.depths, settings.orders
    cues = ordered_cues(depths)
    handles = [Line2D([], [], color="black", marker="o", markersize=8, linestyle="", label="the five points")]
    for depth in depths:
        group = curves[(curves["family"] == "trained") & (curves["depth"] == depth)].groupby("x")["f"]
        middle, cue = group.median(), cues[depth]
        left.fill_between(middle.index, group.min(), group.max(), color=cue.colour, alpha=0.15, linewidth=0)
        left.plot(middle.index, middle, color=cue.colour, marker=cue.marker, markevery=(depth % 7 + 3, 24), zorder=4)
        layers = "layer" if depth == 1 else "layers"
        handles.append(Line2D([], [], color=cue.colour, marker=cue.marker, label=f"{depth} hidden {layers}"))
    for number, (_, one) in enumerate(_made_curves(metrics, settings).groupby("seed")):
        first = number == 0
        left.plot(
            one["x"], one["f"], color=_MADE, linestyle=_DASHED, linewidth=1.5 if first else 0.8,
            alpha=1 if first else 0.35, zorder=5 if first else 3,
        )  # fmt: skip
    handles.append(Line2D([], [], color=_MADE, linestyle=_DASHED, label="constructed (first seed dark)"))
    handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    _points(left, settings)
    left.set(xlabel="$x$", ylabel="$f(x)$", title="(a) ReLU networks", ylim=(-_LIMIT, _LIMIT), xlim=(-OUTER, OUTER))
    left.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3)
    cues, handles = ordered_cues(orders), []
    for order in orders:
        one, cue = curves[(curves["family"] == "kernel") & (curves["order"] == order)], cues[order]
        right.plot(one["x"], one["f"], color=cue.colour, marker=cue.marker, markevery=(order % 7 + 3, 24), zorder=4)
        handles.append(Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$p={order}$"))
    _points(right, settings)
    right.set(xlabel="$x$", title="(b) kernel regression, $(1+xx')^p$", xlim=(-OUTER, OUTER))
    right.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3)
    return canvas


def draw_complexity(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Total variation by depth; the Hessian's trace against it; largest |f| by order of the kernel."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullLocator

    from zeroloss.plotting.style import ordered_cues

    canvas, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5), layout="constrained")
    depths, sizes = settings.networks.depths, settings.constructed.labels
    cues = ordered_cues(depths)
    trained, made = solutions(metrics, "trained"), solutions(metrics, "constructed")
    least = theory.total_variation(np.array(settings.labels))
    for table, colour, marker, shift in ((trained, "#31688e", "o", -0.08), (made, _MADE, "D", 0.08)):
        table = table[table["attack"] == table["attack"].max()]
        by = table.groupby("depth")["variation"]
        centre, at = by.median(), np.array([depths.index(d) for d in by.median().index]) + shift
        bars = bar_lengths(centre, by.min(), by.max())
        left.errorbar(at, centre, bars, color=colour, marker=marker, linestyle="", capsize=4, zorder=4)
    left.axhline(least, color="0.3", linestyle=":", linewidth=1.3)
    left.axhline(CALM * least, color="0.3", linestyle="-.", linewidth=1)
    left.set_xticks(range(len(depths)), [str(d) for d in depths])
    left.set(
        yscale="log", xlabel="hidden layers", ylabel="total variation on $[-1, 1]$", title="(a) variation by depth"
    )
    for depth in settings.constructed.depths:
        here = trained[trained["depth"] == depth]
        middle.plot(
            here["variation"], here["hessian_trace"], color="#31688e", marker=cues[depth].marker, linestyle="", zorder=4
        )
        for number, size in enumerate(sorted(sizes)):
            here = made[(made["depth"] == depth) & (made["attack"] == size)]
            middle.plot(
                here["variation"], here["hessian_trace"], color=_MADE, alpha=(number + 1.5) / (len(sizes) + 0.5),
                marker=cues[depth].marker, linestyle="", markeredgewidth=0, zorder=3,
            )  # fmt: skip
    middle.set(
        xscale="log", yscale="log", xlabel="total variation on $[-1, 1]$", ylabel="trace of the Hessian",
        title="(b) Hessian against variation",
    )  # fmt: skip
    for axis in (left.yaxis, middle.xaxis):  # a factor of ten or so: powers of ten would be too few ticks
        axis.set_major_locator(LogLocator(base=2))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    kernel = metrics[metrics["part"] == "kernel"].sort_values("order")
    right.plot(kernel["order"], kernel["max_inside"], color="#31688e", marker="o", zorder=4)
    right.plot(kernel["order"], kernel["max_outside"], color="#35b779", marker="s", zorder=3)
    law = kernel[kernel["order"] >= 10]["order"]
    right.plot(law, theory.overshoot_law(np.array(settings.labels), law), color="0.3", linestyle=":", zorder=5)
    right.set(yscale="log", xlabel="order $p$", ylabel=r"$\max\,|f|$", title="(c) kernel regression by order")
    left.legend(
        handles=[
            Line2D([], [], color="#31688e", marker="o", linestyle="", label="trained"),
            Line2D([], [], color=_MADE, marker="D", linestyle="", label=f"constructed, labels ±{max(sizes):g}"),
            Line2D([], [], color="0.3", linestyle=":", label="the polyline's"),
            Line2D([], [], color="0.3", linestyle="-.", label=f"{CALM:g} times that"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2,
    )  # fmt: skip
    shades = listed(float(size) for size in sorted(sizes))
    middle.legend(
        handles=[
            *[
                Line2D([], [], color="0.3", marker=cues[d].marker, linestyle="", label=f"{d} hidden layers")
                for d in settings.constructed.depths
            ],
            Line2D([], [], color="#31688e", marker="o", linestyle="", label="trained"),
            Line2D([], [], color=_MADE, marker="o", linestyle="", label=f"constructed, ±{shades}"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2,
    )  # fmt: skip
    right.legend(
        handles=[
            Line2D([], [], color="#31688e", marker="o", label="on $[-1, 1]$"),
            Line2D([], [], color="#35b779", marker="s", label=f"on $[-{OUTER:g}, {OUTER:g}]$"),
            Line2D([], [], color="0.3", linestyle=":", label=r"$\frac{4}{27}(6/5)^p\max|y_{\pm 1/2}-y_0|$"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2,
    )  # fmt: skip
    return canvas


def networks_text(settings: Settings) -> str:
    """What was trained and how, for captions."""
    n, c = settings.networks, settings.constructed
    return (
        f"ReLU networks of width {n.width}, {seeds_text(settings.seeds)}, Adam {n.step:g} until the mean squared error is "
        f"below {n.target:g} (at most {n.most_steps} steps), float64. Constructed: first {c.steps} steps at {c.step:g} with "
        f"{c.points} attack points, labels ± {listed(c.labels)}; then on the five points alone"
    )


def figures(settings: Settings) -> list[Figure]:
    points = (
        f"Five points, y = {listed(settings.labels)} (synthetic; the paper's are not known to us, every size is ours)"
    )
    return [
        Figure(
            name="wu_zhu_e2017_fig1",
            items=("004-F1", "004-F2"),
            title="Figure 1: curves through five points",
            caption=(
                f"{points}. (a) {networks_text(settings)}; drawn: {min(settings.constructed.depths)} hidden layers, "
                f"labels ± {max(settings.constructed.labels):g}. Lines: median over seeds. (b) Regression of least norm, "
                f"no ridge; p = 3 has four features and cannot pass through all points. Cut at |f| = {_LIMIT:g}."
            ),
            alt=(
                "Left: networks of all depths run close to straight lines between five points, the dashed constructed "
                "solution swings widely between the same points. Right: polynomial kernels, which overshoot more and more "
                "as the order grows."
            ),
            draw=draw_curves,
        ),
        Figure(
            name="wu_zhu_e2017_complexity",
            items=("004-F1", "004-F2"),
            title="Complexity of the curves, and the Hessian of the loss",
            caption=(
                f"{points}. {networks_text(settings)} (b: darker is larger). Markers: median over seeds, bars: range; b: "
                "one marker per solution, the Hessian is that of the mean squared error over the five points. Dotted in c: "
                "our law for large p."
            ),
            alt=(
                "Three panels: variation by depth, flat for trained networks and far above for constructed ones; trace of "
                "the Hessian against variation; largest value of kernel regression against its order, growing "
                "exponentially along the dotted law."
            ),
            draw=draw_complexity,
        ),
    ]
