"""The network with its exponential neuron, descent with and without it, and |a| at critical points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.liang2018.experiment import STATIONARY
from zeroloss.studies.liang2018.settings import Settings
from zeroloss.studies.liang2018.toys import TITLES, TOYS
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory.liang2018 import largest_neuron, neuron_decay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_ALONE = "0.35"
# colours of the drawing: the base network pale, the added neuron strong
_BASE, _ADDED = "#dde8f0", "#fdae6b"


def draw_network_a(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Figure (a): a base network and one exponential neuron from all inputs straight to the output; needs no metrics."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.network_graph import Connection, Neuron, draw_network, layer_to_layer, layered_graph

    inputs = [Neuron(f"x{k}", f"$x_{k}$", 0) for k in (1, 2, 3)]
    hidden = [[Neuron(f"h{layer}{k}", r"$\sigma$", layer, None, _BASE) for k in range(4)] for layer in (1, 2)]
    base = Neuron("f", r"$f(x;\theta)$", 3.0, 0.0, _BASE)
    neuron = Neuron("exp", r"$\exp$", 0.95, -1.85, _ADDED)
    total = Neuron("sum", r"$+$", 4.1, -0.6)
    edges = layer_to_layer(inputs, hidden[0]) + layer_to_layer(*hidden) + layer_to_layer(hidden[1], [base])
    strong: dict[str, Any] = {"colour": "#d95f02", "width": 1.8}
    weights = [Connection(one.name, "exp", bend=0.03 * k, **strong) for k, one in enumerate(inputs)]
    out = [Connection("exp", "sum", label="$a$", bend=0.1, **strong), Connection("f", "sum", colour="0.4", width=1.4)]
    graph = layered_graph([*inputs, *hidden[0], *hidden[1], base, neuron, total], [*edges, *weights, *out])
    canvas, axes = plt.subplots(figsize=(8.4, 5.6), layout="constrained")
    draw_network(axes, graph, gap=0.62, node_size=1500)
    text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 11}
    orange = "#b34e00"
    axes.text(1.5, 1.35, r"base network with parameters $\theta$", color="#31688e", **text)
    added = r"added neuron $a\,\exp(w^\top x+b)$, regularised by $\lambda a^2/2$"
    axes.text(2.0, -2.3, added, color=orange, **text)
    axes.text(0.12, -1.45, "$w,\\ b$", color=orange, **text)
    axes.annotate("", (4.95, -0.6), (4.31, -0.6), arrowprops={"arrowstyle": "-|>", "color": "0.3", "linewidth": 1.4})
    axes.text(4.65, -0.38, r"$\tilde f(x;\tilde\theta)$", **text)
    axes.set_xlim(-0.3, 5.05)
    axes.set_ylim(-2.5, 1.5)
    return canvas


def _band(axes: Axes, table: pd.DataFrame, value: str, look: dict[str, Any], log: bool = False) -> None:
    """Median over seeds against step, their range as a band."""
    by = table.dropna(subset=[value]).groupby("step")[value]
    low, middle, high = by.min(), by.median(), by.max()
    if middle.empty:
        return
    if log:  # what is zero to rounding, or not there, lies below every panel
        low, middle, high = (one.where(one > 1e-300) for one in (low, middle, high))
    axes.plot(middle.index, middle, markevery=max(1, len(middle) // 7), zorder=3, **look)
    axes.fill_between(middle.index, low, high, color=look["color"], alpha=0.2, linewidth=0, zorder=2)


def draw_descent(metrics: pd.DataFrame, settings: Settings, toy: str) -> Canvas:
    """Six panels against step: total loss, base network's loss, misclassification; |a|, |w|, b."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[(metrics["part"] == "descent") & (metrics["toy"] == toy) & (metrics["step"] > 0)]
    part = part.assign(size_a=part["a"].abs(), size_w=part["w"].abs())
    cues = ordered_cues(settings.descent.regularisers)
    canvas, grid = plt.subplots(2, 3, figsize=(13, 7.2), layout="constrained", sharex=True)
    (total, base, rate), (size_a, size_w, b) = grid
    alone = part[part["model"] == "alone"]
    look_alone = {"color": _ALONE, "marker": "x"}
    for axes, value in ((total, "loss"), (base, "base_loss"), (rate, "base_rate")):
        _band(axes, alone, value, look_alone, log=axes is not rate)
    for regulariser, cue in cues.items():
        here = part[(part["model"] == "neuron") & (part["regulariser"] == regulariser)]
        look = {"color": cue.colour, "marker": cue.marker}
        for axes, value in ((total, "loss"), (base, "base_loss"), (size_a, "size_a"), (size_w, "size_w"), (b, "b")):
            _band(axes, here, value, look, log=axes in (total, base, size_a))
        _band(rate, here, "base_rate", look)
        _band(rate, here, "rate", {**look, "linestyle": "--"})
        if toy == "dead_relu":
            steps = np.geomspace(settings.descent.steps / 20, settings.descent.steps, 30)
            support = support_input(settings)
            law = neuron_decay(steps * settings.descent.step, float(regulariser), support)
            size_a.plot(steps, law, color=cue.colour, linestyle=":", linewidth=1.8, zorder=4)
    bad = part["bad_loss"].iloc[0]
    total.axhline(bad, color="0.2", linestyle=":", linewidth=1.3)
    for axes in (total, base, size_a):
        axes.set(yscale="log")
    smallest = part[part["model"] == "neuron"]["base_loss"].min()
    base.set_ylim(bottom=max(1e-6, 0.5 * smallest) if smallest > 0 else 1e-6)
    for axes in grid.flat:
        axes.set(xscale="log")
    for axes in grid[1]:
        axes.set_xlabel("gradient descent step")
    total.set(title=r"(a) loss $\tilde L_n$ (without neuron: $L_n$)", ylabel="loss")
    base.set(title=r"(b) loss $L_n(\theta)$ of the base network alone", ylabel="loss")
    rate.set(title="(c) share misclassified", ylabel="rate", ylim=(-0.02, 1.02 * max(0.5, part["base_rate"].max())))
    size_a.set(title="(d) the neuron's factor", ylabel="$|a|$")
    size_w.set(title="(e) its weight", ylabel="$|w|$")
    b.set(title="(f) its bias", ylabel="$b$")
    handles = [Line2D([], [], label="base network trained alone", **look_alone)]  # type: ignore[arg-type]
    handles += [
        Line2D([], [], color=c.colour, marker=c.marker, label=rf"$\lambda={value:g}$") for value, c in cues.items()
    ]
    handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds (line: median)"))
    handles.append(Line2D([], [], color="0.3", linestyle="--", label="(c): with the neuron; solid: $f$ alone"))
    dots = "(a) bad minimum" + (r"; (d) $(2\lambda(1+x^2)\,\eta k)^{-1/2}$" if toy == "dead_relu" else "")
    handles.append(Line2D([], [], color="0.2", linestyle=":", linewidth=1.4, label=dots))
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def support_input(settings: Settings) -> float:
    """|x| of the samples on the margin when the neuron runs to infinity: the innermost ones of the dead ReLU's data."""
    data = settings.dead_relu
    return float(min(np.abs(data.of_label(1)).min(), np.abs(data.of_label(-1)).min()))


def draw_critical(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """|a| against the gradient's norm at the ends of the search for critical points, with the bound."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[metrics["part"] == "critical"]
    cues = ordered_cues(settings.descent.regularisers)
    canvas, panels = plt.subplots(1, 2, figsize=(11.5, 4.8), layout="constrained", sharey=True)
    floor = 1e-17
    for axes, name in zip(panels, TOYS, strict=True):
        for regulariser, cue in cues.items():
            here = part[(part["toy"] == name) & (part["regulariser"] == regulariser)]
            axes.scatter(
                here["gradient"].clip(lower=floor), here["a"].abs().clip(lower=floor), s=16, color=cue.colour,
                marker=cue.marker, alpha=0.6, linewidth=0, zorder=3,
            )  # fmt: skip
            g = np.geomspace(floor, 10, 100)
            axes.plot(g, largest_neuron(g, float(regulariser)), color=cue.colour, linestyle=":", linewidth=1.4)
        axes.axvline(STATIONARY, color="0.5", linewidth=0.9)
        axes.set(
            xscale="log", yscale="log", xlabel=r"$|\nabla\tilde L_n|$ at the end of the search", title=TITLES[name]
        )
    panels[0].set_ylabel("$|a|$")
    handles = [
        Line2D([], [], color=c.colour, marker=c.marker, linestyle="", label=rf"$\lambda={value:g}$")
        for value, c in cues.items()
    ]
    handles.append(
        Line2D([], [], color="0.2", linestyle=":", label=r"bound from $\lambda a^2=a\,\partial_a-\partial_b$")
    )
    handles.append(Line2D([], [], color="0.5", linewidth=0.9, label=f"critical: left of {STATIONARY:g}"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def figures(settings: Settings) -> list[Figure]:
    descent, critical = settings.descent, settings.critical
    shared = (
        f"lambda = {listed(descent.regularisers)}, {descent.steps} steps of size {descent.step:g}, float64, "
        f"{seeds_text(descent.seeds)} of both starts. "
    )
    ends = {
        "dead_relu": "With the neuron there is no minimum to arrive at: the ReLU stays dead, the loss falls to 0 only at "
        "infinity, a -> 0 while w and b grow like logarithms, and the base network alone stays wrong on half the samples. "
        "The theorem speaks of local minima and says nothing of such a run.",
        "quadratic": "Runs whose base network takes over from the neuron end at a finite minimum; a start with w near 0 "
        "stays near the bad minimum for long, where the neuron's pull is of second order in w.",
    }
    words = {
        name: f"n = {len(data.inputs)} samples on the line (synthetic): x = {listed(data.inputs)}, y = {listed(data.labels)}. "
        for name, data in ((name, getattr(settings, name)) for name in TOYS)
    }
    alts = {
        "dead_relu": "Total loss falls from 4 towards 0 with the neuron and stays at 4 without it; the base network's own "
        "misclassification stays at one half; the factor a falls like one over the square root of the step.",
        "quadratic": "Total loss falls with the neuron and stays at 5.5 without it; the base network's loss first rises, "
        "then falls in the runs that leave the bad minimum.",
    }
    return [
        Figure(
            name="liang2018_network",
            items=("004-S1",),
            title="One exponential neuron added to a network",
            caption="Figure (a) redrawn from the formula beside it: a network f(x; theta), here with two hidden layers of "
            "four, and one neuron exp(w.x + b) that sees all inputs and is added to the output with factor a. The sizes "
            "are ours; nothing is computed.",
            alt="A layered network with three inputs and one output, and below it a single exponential neuron that joins the "
            "inputs straight to the sum at the output.",
            draw=draw_network_a,
        ),
        *(
            Figure(
                name=f"liang2018_{name}",
                items=("004-TH2", "004-S1"),
                title=f"Out of a bad local minimum: {name.replace('_', ' ')}",
                caption=words[name] + shared + ends[name],
                alt=alts[name],
                draw=draw_descent,
                options={"toy": name},
            )
            for name in TOYS
        ),
        Figure(
            name="liang2018_critical",
            items=("004-TH2",),
            title="The neuron is silent at every critical point",
            caption=f"{critical.starts} random starts N(0, {critical.scale:g}^2) for each network and lambda (seed "
            f"{critical.seed}), at most {critical.newton_steps} Levenberg-Marquardt steps on the gradient's norm, float64. "
            "No point can lie above its dotted line; at the left end of the axes stands what is zero to rounding. Data as "
            "in the two figures of descent.",
            alt="Scatter of |a| against gradient norm on double logarithmic axes: all points lie below lines that fall with "
            "the square root of the gradient norm.",
            draw=draw_critical,
        ),
    ]
