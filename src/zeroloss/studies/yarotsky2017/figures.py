"""The construction; errors of the square by depth and by units; Theorem 1 for waves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.yarotsky2017.claims import networks, part, shallow_law
from zeroloss.studies.yarotsky2017.experiment import DRAWN_LEVELS, Settings
from zeroloss.theory import yarotsky2017 as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_SHALLOW = "#b5367a"  # a colour that viridis does not have
_SUM = "#fde3c8"


def _network(axes: Axes) -> None:
    """The network of f_3: teeth above, the sum below."""
    from zeroloss.plotting.network_graph import Connection, Neuron, draw_network, layer_to_layer, layered_graph

    names = (r"$t$", r"$t-\frac{1}{2}$", r"$t-1$")
    neurons, connections = [Neuron("x", "$x$", 0)], []
    before: list[Neuron] = [neurons[0]]
    for layer in range(1, DRAWN_LEVELS + 1):
        teeth = [Neuron(f"{layer}{k}", name, 2.2 * layer) for k, name in enumerate(names)]
        total = Neuron(f"{layer}sum", f"$f_{layer - 1}$", 2.2 * layer, colour=_SUM)
        connections += layer_to_layer(before[:3], [*teeth, total])
        if layer > 1:
            connections.append(Connection(before[3].name, total.name, colour="#c96a1a", width=1.8))
        before = [*teeth, total]
        neurons += before
    out = Neuron("out", f"$f_{DRAWN_LEVELS}$", 2.2 * (DRAWN_LEVELS + 1), colour=_SUM)
    connections += [*layer_to_layer(before[:3], [out]), Connection(before[3].name, "out", colour="#c96a1a", width=1.8)]
    draw_network(axes, layered_graph([*neurons, out], connections), gap=0.85, node_size=1150, font=10)


def draw_construction(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """(a) teeth, (b) interpolants, (c) their error, (d) the network."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    curves = part(metrics, "curve")
    levels = list(range(DRAWN_LEVELS + 1))
    cues = ordered_cues(levels)
    canvas = plt.figure(figsize=(13, 8.6), layout="constrained")
    grid = canvas.add_gridspec(2, 3, height_ratios=[1, 1.05])
    left, middle, right = (canvas.add_subplot(grid[0, k]) for k in range(3))
    for level in levels:
        cue = cues[level]
        every = (8 * level, 64)
        f = curves[(curves["curve"] == "f") & (curves["levels"] == level)]
        x, values = f["x"].to_numpy(), f["value"].to_numpy()
        look: dict[str, Any] = {"color": cue.colour, "marker": cue.marker, "markevery": every}
        middle.plot(x, values, **look, label=f"$f_{level}$")
        right.plot(x, values - x**2, **look, label=f"$f_{level}-x^2$")
        right.axhline(theory.square_error(level), color=cue.colour, linestyle=":", linewidth=1.3)
        if level:
            g = curves[(curves["curve"] == "g") & (curves["levels"] == level)]
            left.plot(g["x"], g["value"], **look, label=f"$g_{level}$")
    fine = np.linspace(0, 1, 201)
    middle.plot(fine, fine**2, color="black", linewidth=1, label="$x^2$")
    left.set(xlabel="$x$", title=r"(a) teeth $g_s=g\circ\dots\circ g$", ylim=(0, 1.05))
    middle.set(xlabel="$x$", title=r"(b) $f_m(x)=x-\sum_{s\leq m}g_s(x)/4^s$")
    right.set(xlabel="$x$", title="(c) error; dotted: $2^{-2m-2}$", yscale="log", ylim=(1e-4, 0.5))
    for axes in (left, middle, right):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=5, columnspacing=1, handlelength=1.6)
    bottom = canvas.add_subplot(grid[1, :])
    _network(bottom)
    bottom.set_title("(d) $f_3$ as a network: every circle but $x$ and $f_3$ is a ReLU of what it says, $t=g_{s-1}(x)$")
    return canvas


def draw_square(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Error by depth: square, product and the lower bound; error by units: deep against the best shallow network."""
    import matplotlib.pyplot as plt

    table, products = part(metrics, "square"), part(metrics, "product")
    canvas, (left, right) = plt.subplots(1, 2, figsize=(12.5, 5.4), layout="constrained")
    m = np.arange(table["levels"].min(), table["levels"].max() + 1)
    left.plot(table["levels"], table["error"], "o", color="#31688e", label=r"$x^2$: $\max|f_m-x^2|$")
    left.plot(m, [theory.square_error(int(k)) for k in m], ":", color="#31688e", label="$2^{-2m-2}$")
    left.plot(table["levels"], table["mean_square"] ** 0.5, "s", color="#35b779", label="$x^2$: root mean square")
    left.plot(
        m, [theory.square_mean_error(int(k)) ** 0.5 for k in m], ":", color="#35b779", label=r"$4^{-m}/\sqrt{30}$"
    )
    left.plot(products["levels"], products["error"], "D", color=_SHALLOW, label=r"$xy$ on $[-2,2]^2$: largest error")
    left.plot(products["levels"], products["bound"], ":", color=_SHALLOW, label="$M^2\\,4^{-m}$")
    bound = [theory.square_lower_bound(int(r.units), int(r.hidden)) ** 0.5 for r in table.itertuples()]
    left.plot(table["levels"], bound, ":", color="0.3", label="no network of this size is below")
    least = 0.1 * table["error"].min()
    left.set(xlabel="levels $m$ (hidden layers of the square)", ylabel="error", yscale="log", ylim=(least**1.15, 10),
             title="(a) error by depth")  # fmt: skip
    right.plot(table["units"], table["error"], "o-", color="#31688e", label="deep: $4m$ units, $m$ layers")
    right.plot(table["units"], table["shallow_error"], "^", color=_SHALLOW, label="best one hidden layer, computed")
    units = np.geomspace(table["units"].min(), table["units"].max())
    law = np.asarray(theory.shallow_square_error(units + 1))
    right.plot(units, law, ":", color=_SHALLOW, label="$1/(8p^2)$, $p$ = units + 1")
    right.set(xscale="log", yscale="log", xlabel="hidden units", ylabel=r"$\max\,|f-x^2|$", title="(b) error by size")
    right.set_xticks([4, 8, 16, 32, 64], ["4", "8", "16", "32", "64"], minor=False)
    right.tick_params(axis="x", which="minor", labelbottom=False)
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2, columnspacing=1)
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=1)
    return canvas


def draw_smooth(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Error over units for each d, the error built for dotted; depth over ln(1/epsilon)."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    table, dimensions = networks(metrics), settings.smooth.dimensions
    orders = settings.smooth.smoothness
    cues = ordered_cues(orders)
    canvas, panels = plt.subplots(
        1, len(dimensions) + 1, figsize=(5 * (len(dimensions) + 1), 5.4), layout="constrained", squeeze=False
    )
    for axes, d, letter in zip(panels[0], dimensions, "abcdefgh", strict=False):
        for n in orders:
            of, cue = table[(table["dimension"] == d) & (table["smoothness"] == n)], cues[n]
            axes.plot(of["units"], of["median"], color=cue.colour, marker=cue.marker)
            axes.fill_between(of["units"], of["min"], of["max"], color=cue.colour, alpha=0.25, linewidth=0)
            axes.plot(of["units"], of["accuracy"], color=cue.colour, linestyle=":", linewidth=1.3)
        if d == 1:
            shallow = part(metrics, "shallow").groupby("error")["units"]
            constant, _ = shallow_law(metrics)
            axes.fill_betweenx(
                shallow.min().index, shallow.min(), shallow.max(), color=_SHALLOW, alpha=0.25, linewidth=0
            )
            axes.plot(shallow.median(), shallow.median().index, color=_SHALLOW, marker="x", linestyle="-")
            units = np.array([shallow.median().max(), table[table["dimension"] == 1]["units"].max()])
            axes.plot(units, constant / units**2, color=_SHALLOW, linestyle="--", linewidth=1)
            axes.set_ylim(bottom=0.1 * min(table["min"].min(), 1e-6))
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="hidden units",
            ylabel=r"$\max\,|\tilde f-f|$",
            title=f"({letter}) $d={d}$",
        )
    last = panels[0, -1]
    dashes: tuple[Any, ...] = ("-", "--", "-.")
    for d, dash in zip(dimensions, dashes, strict=False):
        for n in orders:
            of, cue = table[(table["dimension"] == d) & (table["smoothness"] == n)], cues[n]
            last.plot(np.log(1 / of["epsilon"]), of["hidden"], color=cue.colour, marker=cue.marker, linestyle=dash)
            x = np.array([0.0, np.log(1 / of["epsilon"].min())])
            steepest = float((of["hidden"] / (np.log(1 / of["epsilon"]) + 1)).max())
            last.plot(x, steepest * (x + 1), color=cue.colour, linestyle=":", linewidth=1)
    last.set(xlabel=r"$\ln(1/\epsilon)$", ylabel="hidden layers", title=f"({'abcdefgh'[len(dimensions)]}) depth")
    handles = [Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$n={n}$") for n, cue in cues.items()]
    handles += [
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over targets"),
        Line2D([], [], color="0.2", linestyle=":", label="error built for; (last panel) $c\\,(\\ln(1/\\epsilon)+1)$"),
        Line2D([], [], color=_SHALLOW, marker="x", label="best one hidden layer, least units"),
        Line2D([], [], color=_SHALLOW, linestyle="--", linewidth=1, label="its law, units$^{-2}$"),
        *(Line2D([], [], color="0.3", linestyle=s, label=f"depth, $d={d}$") for d, s in zip(dimensions, dashes, strict=False)),
    ]  # fmt: skip
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def waves_text(settings: Settings) -> str:
    s = settings.smooth
    return (
        f"Targets f(x) = sin(<w, x> + phase), max |w_k| = W = {s.frequency:g}, random direction and phase, {seeds_text(s.seeds)} "
        f"(ours); f / W^n is in F_(n,d), epsilon = (error built for) / W^n; errors in units of the amplitude of f, the "
        f"largest at {s.points} random points; float64"
    )


def figures(settings: Settings) -> list[Figure]:
    levels = settings.square.levels
    return [
        Figure(
            name="yarotsky2017_construction",
            items=("004-TH6",),
            title="How composed teeth make x²",
            caption="Exact values on a grid of 1/256. Weights of (d): a tooth is 2, -4, 2 times the three units before it; f "
            "takes these, divided by -4^s, and what has been summed before (orange).",
            alt="Sawtooth functions with one, two and four teeth; piecewise linear functions that approach the parabola from "
            "above; their errors, equal arches that reach 1/16, 1/64 and 1/256; the network, three layers of four units.",
            draw=draw_construction,
        ),
        Figure(
            name="yarotsky2017_square",
            items=("004-TH6",),
            title="The error of x² and of xy by depth and by size",
            caption=f"m = {listed(levels)}; x² on [0, 1] at all quarter points of the 2^m intervals, where float64 is exact; "
            f"xy at {settings.square.product_points} random points. Dotted: theory. Best "
            "one hidden layer: w units make at most w + 1 pieces; knots where they serve best.",
            alt="Left: errors fall by a factor of four with each level along the dotted laws. Right: the deep network's error "
            "falls exponentially with its units, that of the best shallow one like their square.",
            draw=draw_square,
        ),
        Figure(
            name="yarotsky2017_smooth",
            items=("004-TH6",),
            title="Theorem 1: smooth functions",
            caption=f"{waves_text(settings)}. Networks built for the errors {listed(settings.smooth.accuracies)} "
            "as in the proof, lines: median over targets. One hidden layer (d = 1): computed for the errors "
            f"{listed(settings.shallow_errors)}, beyond them by its law.",
            alt="Error against units, steeper for smoother classes and flatter in two dimensions, far below the dotted errors "
            "that the networks were built for; and depth, growing linearly with the logarithm of the accuracy.",
            draw=draw_smooth,
        ),
    ]
