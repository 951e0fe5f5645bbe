"""The recursion over width, the gap over width and scale, residuals over training; ``accuracy_figures`` has the tables'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.arora2019_ntk import accuracy_figures
from zeroloss.studies.arora2019_ntk.experiment import Settings
from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from zeroloss.plotting.style import Cue

BAND: dict[str, Any] = {"color": "0.4", "alpha": 0.3, "linewidth": 7}
PLACES = ("sphere", "images")


def _band(axes: Axes, table: pd.DataFrame, over: str, value: str, cue: Cue, **style: Any) -> None:
    """Median over seeds and the range as a band."""
    groups = table.dropna(subset=[value]).groupby(over)[value]
    median = groups.median()
    axes.plot(median.index, median, color=cue.colour, marker=cue.marker, zorder=3, **style)
    axes.fill_between(median.index, groups.min(), groups.max(), color=cue.colour, alpha=0.22, linewidth=0, zorder=2)


def _half_slope(axes: Axes, table: pd.DataFrame, value: str, share: float) -> None:
    """A thin line of slope -1/2 below the data."""
    widths = np.array(sorted(table["width"].unique()), dtype=float)
    start = table[table["width"] == widths[0]][value].min() * share
    line = start * (widths / widths[0]) ** -0.5
    axes.plot(widths, line, color="0.3", linewidth=0.8)
    axes.annotate("$m^{-1/2}$", (widths[0], line[0]), (2, -14), textcoords="offset points", fontsize=10)


def _width_axis(axes: Axes, widths: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)


def draw_recursion(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Relative distance of the empirical from the limiting kernel over the width; one panel per activation."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[metrics["part"] == "entry"]
    kinds = [name for name in settings.recursion.activations if name in set(part["activation"])]
    cues = ordered_cues(settings.recursion.depths)
    canvas, panels = plt.subplots(
        1, len(kinds), figsize=(4.8 * len(kinds), 4.3), layout="constrained", sharey=True, squeeze=False
    )
    for axes, kind in zip(panels[0], kinds, strict=True):
        here = part[part["activation"] == kind]
        for depth, cue in cues.items():
            _band(axes, here[here["depth"] == depth], "width", "relative_error", cue)
        axes.set(yscale="log", xlabel="width $m$", title=f"{kind}, $c_\\sigma={here['scale'].iloc[0]:.4g}$")
        _width_axis(axes, settings.recursion.widths)
        _half_slope(axes, here, "relative_error", 0.7)
    panels[0, 0].set_ylabel(r"$\|\Theta_m-\Theta^{(L)}\|_F\,/\,\|\Theta^{(L)}\|_F$")
    handles = [Line2D([], [], color=c.colour, marker=c.marker, label=f"$L={depth}$") for depth, c in cues.items()]
    canvas.legend(
        handles=[*handles, Line2D([], [], **BAND, label="range over seeds")],
        loc="outside upper center", ncols=len(handles) + 1,
    )  # fmt: skip
    return canvas


def _places(part: pd.DataFrame) -> list[str]:
    return [place for place in PLACES if place in set(part["place"])]


def _title(part: pd.DataFrame, place: str) -> str:
    return str(part[part["place"] == place]["data_title"].iloc[0])


def draw_gap(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The gap over the width, a row per data set: plain start with its floors, symmetrised start."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[metrics["part"] == "gap"]
    floors = metrics[metrics["part"] == "floor"].set_index("place")["floor"]
    places = _places(part)
    cues = ordered_cues(settings.convergence.scales)
    canvas, panels = plt.subplots(
        len(places), 2, figsize=(9.6, 3.7 * len(places)), layout="constrained", sharey="row", squeeze=False
    )
    for row, place in zip(panels, places, strict=True):
        here = part[part["place"] == place]
        widths = sorted(here["width"].unique())
        for axes, start in zip(row, ("plain", "symmetrised"), strict=True):
            lines = here[here["start"] == start]
            for kappa, cue in cues.items():
                _band(axes, lines[lines["kappa"] == kappa], "width", "gap", cue)
                if start == "plain":
                    axes.axhline(kappa * floors[place], color=cue.colour, linestyle=":", linewidth=1.3)
            axes.set(yscale="log", xlabel="width $m$", title=f"{_title(part, place)}, {start} start")
            _width_axis(axes, [int(width) for width in widths])
            if start == "symmetrised":
                _half_slope(axes, lines, "gap", 0.7)
        row[0].set_ylabel(r"$|f_{nn}-f_{ntk}|$, root mean square")
    handles = [
        *(Line2D([], [], color=c.colour, marker=c.marker, label=rf"$\kappa={kappa:g}$") for kappa, c in cues.items()),
        Line2D([], [], **BAND, label="range over seeds"),
        Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label=r"$\kappa\,\times$ what a random start leaves"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def draw_scale(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The gap at the largest width over kappa, plain and symmetrised, and the floor of the plain start."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[metrics["part"] == "gap"]
    floors = metrics[metrics["part"] == "floor"].set_index("place")["floor"]
    places = _places(part)
    cues = dict(zip(("plain", "symmetrised"), ordered_cues([0, 1]).values(), strict=True))
    canvas, panels = plt.subplots(
        1, len(places), figsize=(4.8 * len(places), 4.2), layout="constrained", sharey=True, squeeze=False
    )
    scales = np.array(sorted(settings.convergence.scales))
    for axes, place in zip(panels[0], places, strict=True):
        here = part[part["place"] == place]
        width = int(here["width"].max())
        for start, cue in cues.items():
            _band(axes, here[(here["start"] == start) & (here["width"] == width)], "kappa", "gap", cue)
        axes.plot(scales, scales * floors[place], color="0.2", linestyle=":", linewidth=1.3)
        axes.set(
            xscale="log", yscale="log", xlabel=r"output scale $\kappa$", title=f"{_title(part, place)}, $m={width}$"
        )
        axes.set_xticks(scales, [f"{kappa:g}" for kappa in scales])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    panels[0, 0].set_ylabel(r"$|f_{nn}-f_{ntk}|$, root mean square")
    handles = [
        *(Line2D([], [], color=c.colour, marker=c.marker, label=f"{start} start") for start, c in cues.items()),
        Line2D([], [], **BAND, label="range over seeds"),
        Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label=r"$\kappa\,\times$ what a random start leaves"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=2)
    return canvas


def draw_path(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Training residuals of the widest symmetrised nets and of the limit over steps."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[metrics["part"] == "path"]
    places = _places(part)
    cues = ordered_cues(settings.convergence.scales)
    canvas, panels = plt.subplots(
        1, len(places), figsize=(4.8 * len(places), 4.2), layout="constrained", sharey=True, squeeze=False
    )
    for axes, place in zip(panels[0], places, strict=True):
        here = part[part["place"] == place]
        for kappa, cue in cues.items():
            groups = here[here["kappa"] == kappa].groupby("step")["loss_residual"]
            median = groups.median()
            axes.plot(median.index + 1, median, color=cue.colour, marker=cue.marker, markevery=6, zorder=3)
            axes.fill_between(
                median.index + 1, groups.min(), groups.max(), color=cue.colour, alpha=0.22, linewidth=0, zorder=2
            )
        limit = here.groupby("step")["limit"].first()
        axes.plot(limit.index + 1, limit, color="0.1", linestyle=":", linewidth=1.6, zorder=4)
        axes.axhline(settings.convergence.tolerance, color="0.5", linewidth=0.8)
        axes.set(
            xscale="log", yscale="log", xlabel="step $k$ + 1",
            title=f"{_title(part, place)}, $m={int(here['width'].max())}$",
        )  # fmt: skip
        axes.set_ylim(bottom=settings.convergence.tolerance / 2)
    panels[0, 0].set_ylabel(r"$|u(k)-y|\,/\,|y|$")
    handles = [
        *(Line2D([], [], color=c.colour, marker=c.marker, label=rf"$\kappa={kappa:g}$") for kappa, c in cues.items()),
        Line2D([], [], **BAND, label="range over seeds"),
        Line2D([], [], color="0.1", linestyle=":", linewidth=1.6, label=r"limit, $(I-\eta\Theta)^k$"),
        Line2D([], [], color="0.5", linewidth=0.8, label="a run ends"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    recursion, part = settings.recursion, settings.convergence
    nets = (
        f"{part.depth} hidden ReLU layers, full-batch gradient descent to a relative training residual of "
        f"{part.tolerance:g}, {seeds_text(part.seeds)}; n = {part.samples} training and {part.test} test inputs"
    )
    data = (
        f"{settings.source}, classes {part.classes[0]} and {part.classes[1]}, mean image taken off, unit length; sphere: "
        f"d = {part.dimension}, random signs"
    )
    theorem = ("004-TH9",)
    return [
        Figure(
            name="arora2019_ntk_recursion",
            items=("004-E4",),
            title="The tangent kernel of finite networks approaches the recursion",
            caption=f"Gradient inner products of networks with L hidden layers of width m at the start, "
            f"{seeds_text(recursion.seeds)}, against the recursion of eqs. 6 to 13. n = {recursion.samples} inputs uniform "
            f"on the sphere (synthetic), d = {recursion.dimension}, float64. Thin line: slope −1/2.",
            alt="Relative kernel error against width falls along a line of slope minus one half at every depth.",
            draw=draw_recursion,
        ),
        Figure(
            name="arora2019_ntk_gap",
            items=theorem,
            title="Trained networks approach the kernel predictor with the width",
            caption=f"Theorem 3.2: root mean square of f_nn − f_ntk over test inputs. {nets}. {data}. Dotted: κ times the "
            "part of a random start that kernel gradient flow leaves, from the limits alone. The theorem has no constants "
            "in print, so its bound cannot be drawn.",
            alt="With a symmetrised start the gap falls like the inverse root of the width; with a plain start it stops at "
            "a floor proportional to kappa.",
            draw=draw_gap,
        ),
        Figure(
            name="arora2019_ntk_scale",
            items=theorem,
            title="The gap over the output scale",
            caption=f"The same networks at the largest width, over κ. {nets}. {data}.",
            alt="The plain start's gap falls with kappa until the symmetrised start's gap, which rises slowly for small "
            "kappa, is reached.",
            draw=draw_scale,
        ),
        Figure(
            name="arora2019_ntk_path",
            items=("004-TH9", "004-E5"),
            title="Wide networks train like kernel gradient descent",
            caption=f"Lemma 3.1: training residual over steps of the widest nets, symmetrised start. {nets}. {data}. "
            "Dotted: the same gradient descent on the limiting kernel.",
            alt="Residuals of wide nets lie on the curve of kernel gradient descent.",
            draw=draw_path,
        ),
        *accuracy_figures.figures(settings),
    ]
