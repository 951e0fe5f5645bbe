"""The identity, Figure 1 and the sign of its exponent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.rotskoff2018 import fluctuation_figures, sigmoid_figures
from zeroloss.studies.rotskoff2018.captions import sphere_text
from zeroloss.studies.rotskoff2018.claims import final_losses
from zeroloss.studies.rotskoff2018.divergence import diverged
from zeroloss.studies.rotskoff2018.experiment import Settings
from zeroloss.studies.rotskoff2018.panels import (
    draw_curve,
    draw_guide,
    draw_points,
    name_widths,
    say_diverged,
    width_handles,
)  # fmt: skip
from zeroloss.studies.rotskoff2018.slopes import width_slope
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import rotskoff2018 as theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_COLOURS = {"radial": "#31688e", "sigmoid": "#b5367a"}
_MARKERS = {"radial": "o", "sigmoid": "s"}


def draw_identity(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """(a) Difference of both forms by n. (b) Grids against closed forms. (c) Loss of independent particles by n."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    canvas, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
    floor = 1e-17  # equal to the last bit: drawn at the foot of a logarithmic axis
    for part, fill in (("identity", "full"), ("density", "none")):
        for unit, group in metrics[metrics["part"] == part].groupby("unit"):
            left.plot(
                group["width"], group["error"].clip(lower=floor), color=_COLOURS[unit], marker=_MARKERS[unit],
                linestyle="", fillstyle=fill, alpha=0.8,
            )  # fmt: skip
    left.axhline(1e-12, color="0.2", linestyle=":", linewidth=1.3)
    left.set(
        xscale="log", yscale="log", xlabel="particles $n$", ylabel="relative difference",
        title="(a) direct loss and energy on a grid",
    )  # fmt: skip
    handles = [
        Line2D([], [], color=_COLOURS[unit], marker=_MARKERS[unit], linestyle="", label=f"{unit} units, (1.3)")
        for unit in _COLOURS
    ]
    handles.append(Line2D([], [], color="0.3", marker="o", linestyle="", fillstyle="none", label="density, (1.7)"))
    handles.append(Line2D([], [], color="0.2", linestyle=":", label="tolerance"))
    left.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)
    part = metrics[metrics["part"] == "quadrature"]
    for seed, group in part.groupby("seed"):
        middle.plot(
            group["order"], group["error"].clip(lower=floor), color=_COLOURS["radial"], marker="o",
            alpha=0.7, linewidth=1, label="a draw of the particles" if seed == part["seed"].min() else None,
        )  # fmt: skip
    middle.set(
        yscale="log", xlabel="order $q$ of the grid ($2q^2$ points)", ylabel="relative difference",
        title="(b) grids against closed forms of $F$, $K$",
    )  # fmt: skip
    middle.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08))
    part = metrics[metrics["part"] == "start"]
    by = part.groupby("width")["excess"]
    half = 1.96 * by.std(ddof=1) / np.sqrt(by.count())
    right.errorbar(by.mean().index, by.mean(), half, color=_COLOURS["radial"], marker="o", linestyle="", capsize=4)
    widths = np.array(settings.identity.widths, float)
    exact = theory.start_excess(1.0, 3, settings.identity.charge_mean, 1.0)[1]
    right.plot(widths, exact / widths, color="0.2", linestyle=":")
    right.set(
        xscale="log", yscale="log", xlabel="particles $n$", ylabel=r"mean of $\ell_n-\ell[G]$",
        title="(c) independent particles",
    )  # fmt: skip
    handles = [
        Line2D([], [], color=_COLOURS["radial"], marker="o", linestyle="", label="mean over draws, 95 %"),
        Line2D([], [], color="0.2", linestyle=":", label="exact, $\\propto 1/n$"),
    ]
    right.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.08))
    return canvas


def draw_figure_1(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Upper row: f and f_n on a two-sphere, with particles. Lower row: loss against time and against n."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    canvas = plt.figure(figsize=(12, 8.6), layout="constrained")
    upper, lower = canvas.subfigures(2, 1, squeeze=False)[:, 0]
    maps = upper.subplots(1, 2, sharey=True)
    left, right = lower.subplots(1, 2)
    part = metrics[metrics["part"] == "map"]
    particles = metrics[metrics["part"] == "particle"]
    limit = float(part["target"].abs().max())
    levels = np.linspace(-limit, limit, 15)
    drawn = int(settings.sphere.drawn_width)
    shown: Any = None
    for one, value, title in ((maps[0], "target", "$f$"), (maps[1], "output", f"$f_{{{drawn}}}$")):
        grid = part.pivot(index="theta", columns="phi", values=value)
        shown = one.contourf(grid.columns, grid.index, grid, levels=levels, cmap="RdBu_r", extend="both")
        one.contour(grid.columns, grid.index, grid, levels=levels, colors="0.35", linewidths=0.4)
        one.set(xlabel=r"$\phi$", xlim=(-np.pi, np.pi), ylim=(np.pi, 0))
        one.set_title(f"({'ab'[value == 'output']}) {title}")
        one.set_xticks([-np.pi, 0, np.pi], [r"$-\pi$", "$0$", r"$\pi$"])
        one.set_yticks([0, np.pi / 2, np.pi], ["$0$", r"$\pi/2$", r"$\pi$"])
        one.grid(False)
    maps[0].set_ylabel(r"$\theta$")
    for sign, marker in ((1, "^"), (-1, "v")):
        some = particles[np.sign(particles["charge"]) == sign]
        size = 12 + 60 * some["charge"].abs() / particles["charge"].abs().max()
        maps[1].scatter(
            some["phi"],
            some["theta"],
            s=size,
            marker=marker,
            facecolor="white",
            edgecolor="black",
            linewidth=0.7,
            zorder=4,
        )
    upper.colorbar(shown, ax=maps.tolist(), label="value", format="%.1f")
    handles = [
        Line2D([], [], color="black", markerfacecolor="white", marker=marker, linestyle="", label=label)
        for marker, label in (("^", "particle, $c_i>0$"), ("v", "$c_i<0$"))
    ]
    maps[1].legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)
    widths = settings.sphere.widths
    cues = ordered_cues(widths)
    flow = metrics[(metrics["part"] == "flow") & (metrics["step"] > 0)]
    for width, group in flow.groupby("width"):
        draw_curve(left, group, "time", cues[width])
    left.set(xscale="log", yscale="log", xlabel="time $t$", ylabel=r"loss $\ell(f,f_n)$", title="(c) loss over time")
    left.legend(handles=width_handles(cues), loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=4)
    final = final_losses(metrics)
    draw_points(right, final, "loss", "#31688e", "o")
    draw_guide(right, final, "loss", -1, (0, (5, 2)))
    draw_guide(right, final, "loss", -2, "-.")
    name_widths(right, widths)
    right.set(ylabel=r"loss $\ell(f,f_n)$", title=f"(d) loss at the end, slope {width_slope(final, 'loss')}")
    say_diverged(right, *diverged(metrics[metrics["part"] == "flow"]))
    # the map is of one run, the first realisation of its n
    shown_run = metrics[(metrics["part"] == "flow") & (metrics["width"] == drawn)]
    say_diverged(maps[1], *diverged(shown_run[shown_run["seed"] == settings.sphere.seeds[0]]))
    right.legend(
        handles=[
            Line2D([], [], color="#31688e", marker="o", label="medians and realisations"),
            Line2D([], [], color="0.3", linestyle=(0, (5, 2)), label="$n^{-1}$, guide"),
            Line2D([], [], color="0.3", linestyle="-.", label="$n^{-2}$, guide"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2,
    )  # fmt: skip
    return canvas


def draw_sign(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Loss over time with the exponent +a x.y, and with -a x.y as printed."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharey=True)
    cues = ordered_cues(settings.sphere.widths)
    last = metrics[metrics["part"] == "printed"]["time"].max()
    # the last time of the longer flow that both have
    shared = metrics[(metrics["part"] == "flow") & (metrics["time"] <= last * 1.0001)]["time"].max()
    for one, part, title in (
        (axes[0], "flow", r"(a) $\varphi=\exp(+a\,x\cdot y)$"), (axes[1], "printed", r"(b) $\exp(-a\,x\cdot y)$, as printed")
    ):  # fmt: skip
        table = metrics[(metrics["part"] == part) & (metrics["time"] <= last * 1.0001)]
        for width, group in table.groupby("width"):
            # beyond 10^12 a curve only leaves the picture
            draw_curve(one, group[group["loss"] < 1e12], "time", cues[width])
        one.set(yscale="log", xlabel="time $t$", title=title, xlim=(0, shared))
    axes[0].set(ylabel=r"loss $\ell(f,f_n)$", ylim=(1e-3, 1e9))
    canvas.legend(handles=width_handles(cues), loc="outside upper center", ncols=len(cues) + 1)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    identity, sphere = settings.identity, settings.sphere
    return [
        Figure(
            name="rotskoff2018_identity",
            items=("004-E6",),
            title="The loss as an energy of particles",
            caption=(
                f"Units on the sphere in R^3, 3-spin target, {seeds_text(identity.seeds)} of the particles, float64. (a) Loss "
                f"(1.2) and energy (1.3) or (1.7) by one quadrature of {identity.order} x {2 * identity.order} points, "
                f"n = {listed(identity.widths)} (equal values at 10^-17). (b) The loss of n = {max(identity.widths)} radial "
                f"units on coarser grids against closed forms. (c) Loss of n independent particles, c ~ N("
                f"{identity.charge_mean:g}, 1), above their density's: {identity.start_draws} draws, bars 95 % "
                "normal intervals; dotted: exact."
            ),
            alt=(
                "Three panels: differences of the two forms at rounding level for every n; error of grids falling to "
                "rounding level with their order; mean excess loss of independent particles on the exact 1/n line."
            ),
            draw=draw_identity,
        ),
        Figure(
            name="rotskoff2018_fig1",
            items=("004-F11",),
            title="Figure 1: radial units learn a 3-spin function",
            caption=(
                f"{sphere_text(settings)}. (a, b) On sqrt(d)(sin th cos ph, sin th sin ph, cos th, 0, ...); particles by "
                f"their first three coordinates, larger for larger |c|, one realisation. (c, d) n = {listed(sphere.widths)} "
                "(the text has 16 to 256, the paper's axis 8 to 128); lines: medians, band: range. In d the interval is a "
                "95 % bootstrap over realisations. The sign of the exponent is mended."
            ),
            alt=(
                "Upper: level sets of the target and of the network look alike, particles spread over the map. Lower: loss "
                "falls over time to levels that fall with n, more steeply than the guides 1/n and 1/n^2."
            ),
            draw=draw_figure_1,
        ),
        Figure(
            name="rotskoff2018_sign",
            items=("004-F11",),
            title="The sign of the exponent in equations (4.3) to (4.5)",
            caption=(
                f"{sphere_text(settings)}. The first {sphere.printed_steps} steps. Lines: medians, band: range over "
                "realisations. The printed kernel is minus the right one on odd functions, and f is odd."
            ),
            alt="Left: with the mended sign the loss falls for every n. Right: with the printed one it grows.",
            draw=draw_sign,
        ),
        *sigmoid_figures.figures(settings),
        *fluctuation_figures.figures(settings),
    ]
