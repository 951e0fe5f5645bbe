"""What happens in each layer: norms, Gram matrices against width, movement against width and depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.du2018b.experiment import ARCHITECTURES, NAMES, Settings
from zeroloss.studies.wording import listed, seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def _series(axes: Axes, table: pd.DataFrame, x: str, y: str, cue: Any) -> None:
    """Mean over seeds and its 95 % t interval, which near zero is cut at a tenth of the mean for the log axis."""
    from zeroloss.theory.statistics import estimate

    found = {key: estimate(group[y].to_numpy()) for key, group in table.dropna(subset=[y]).groupby(x)}
    if not found:
        return
    mean = np.array([one.mean for one in found.values()])
    half = np.nan_to_num([one.half_width for one in found.values()])
    lower = np.minimum(half, 0.9 * mean)
    axes.errorbar(
        list(found), mean, yerr=[lower, half], color=cue.colour, marker=cue.marker, capsize=2, linewidth=1.3, zorder=3
    )


def _guide(axes: Axes, table: pd.DataFrame, y: str) -> None:
    """A line of slope -1/2 above the values: the order of the theory."""
    by = table.groupby(["layer", "width"])[y].mean().groupby("width").max()
    widths = np.array([by.index.min(), by.index.max()], dtype=float)
    axes.plot(widths, 1.6 * by.iloc[0] * (widths / widths[0]) ** -0.5, color="0.2", linestyle=":", linewidth=1.3)


def _layer_legend(canvas: Canvas, cues: Any, depth: int, guide: str) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$h={h}$" if h <= depth else "output $a$")
        for h, cue in cues.items()
    ]
    handles.append(Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label=guide))
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _width_ticks(axes: Axes, widths: list[int]) -> None:
    from matplotlib.ticker import NullLocator

    axes.set(xscale="log", yscale="log")
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("width $m$")


def draw_grams(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Distance of every layer's Gram matrix from its limit at the start (above) and from its start (below)."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    depth = settings.widths.depth
    cues = ordered_cues(range(1, depth + 2))
    start = metrics[metrics["part"] == "start"]
    layers = metrics[(metrics["part"] == "layer") & (metrics["experiment"] == "widths")]
    moved = layers[(layers["step"] == settings.widths.steps) & (layers["drift"] > 0)]
    canvas, axes = plt.subplots(2, 3, figsize=(12, 6.8), sharey="row", layout="constrained")
    for row, table, value in ((axes[0], start, "error"), (axes[1], moved, "drift")):
        for panel, architecture in zip(row, ARCHITECTURES, strict=True):
            part = table[table["architecture"] == architecture]
            for layer, cue in cues.items():
                _series(panel, part[part["layer"] == layer], "width", value, cue)
            if len(part):
                _guide(panel, part, value)
            _width_ticks(panel, settings.widths_of(architecture))
    for panel, architecture in zip(axes[0], ARCHITECTURES, strict=True):
        panel.set_title(NAMES[architecture])
    axes[0, 0].set_ylabel(r"$\|G^{(h)}(0)-G^{(h)}_\infty\|_F\,/\,\|G^{(h)}_\infty\|_F$")
    axes[1, 0].set_ylabel(r"$\|G^{(h)}(t)-G^{(h)}(0)\|_F\,/\,\|G^{(h)}(0)\|_F$")
    _layer_legend(canvas, cues, depth, "order $m^{-1/2}$")
    return canvas


def draw_movement(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """How far units of each layer move: against width above, against the layer for every depth below."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    depth = settings.widths.depth
    cues, depth_cues = ordered_cues(range(1, depth + 2)), ordered_cues(settings.sphere.depths)
    layers = metrics[(metrics["part"] == "layer") & (metrics["source"] == "sphere") & (metrics["moved_rms"] > 0)]
    wide = layers[(layers["experiment"] == "widths") & (layers["step"] == settings.widths.steps)]
    deep = layers[(layers["experiment"] == "training") & (layers["step"] == settings.sphere.steps)]
    canvas = plt.figure(figsize=(12, 8), layout="constrained")
    halves: Any = canvas.subfigures(2, 1)
    top = halves[0].subplots(1, 3, sharey=True)
    for panel, architecture in zip(top, ARCHITECTURES, strict=True):
        part = wide[wide["architecture"] == architecture]
        for layer, cue in cues.items():
            _series(panel, part[part["layer"] == layer], "width", "moved_rms", cue)
        if len(part):
            _guide(panel, part, "moved_rms")
        _width_ticks(panel, settings.widths_of(architecture))
        panel.set_title(NAMES[architecture])
    label = r"rms over $r$ of $\|w^{(h)}_r(k)-w^{(h)}_r(0)\|_2$"
    top[0].set_ylabel(label)
    _layer_legend(halves[0], cues, depth, "order $m^{-1/2}$")
    bottom = halves[1].subplots(1, 3, sharey=True)
    for panel, architecture in zip(bottom, ARCHITECTURES, strict=True):
        part = deep[(deep["architecture"] == architecture) & ~deep["is_output"].astype(bool)]
        for height, cue in depth_cues.items():
            _series(panel, part[part["depth"] == height], "layer", "moved_rms", cue)
        panel.set(yscale="log", xlabel="layer $h$", xticks=range(2, max(settings.sphere.depths) + 1, 2))
    bottom[0].set_ylabel(label)
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$H={height}$") for height, cue in depth_cues.items()
    ]
    halves[1].legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def draw_norms(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Mean squared length of the features layer by layer, and whether the printed last line is right."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues
    from zeroloss.theory.statistics import estimate

    cues: Any = dict(zip(ARCHITECTURES, ordered_cues(range(3)).values(), strict=True))
    norms, printed = metrics[metrics["part"] == "norm"], metrics[metrics["part"] == "printed"]
    canvas, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), width_ratios=(3, 2), layout="constrained")
    for number, (architecture, cue) in enumerate(cues.items()):
        part = norms[norms["architecture"] == architecture]
        _series(left, part, "layer", "norm", cue)
        limit = part.groupby("layer")["norm_limit"].first()
        left.plot(limit.index, limit, color=cue.colour, linestyle=":", linewidth=1.3, zorder=1)
        places = printed[printed["architecture"] == architecture]["place"]
        if len(places):
            found = estimate(places.to_numpy())
            right.plot(np.full(len(places), number + 0.18), places, ".", color=cue.colour, alpha=0.35, markersize=4)
            half = np.nan_to_num(found.half_width)
            right.errorbar([number], [found.mean], yerr=half, color=cue.colour, marker=cue.marker, capsize=4)
    left.set(yscale="log", xlabel="layer $h$", ylabel=r"mean of $\|x^{(h)}\|_F^2$")
    left.set_xticks(range(0, max(settings.sphere.depths) + 1, 2))
    left.set_title("(a) length of the features", fontsize=11)
    for value in (0, 1):
        right.axhline(value, color="0.2", linestyle=":", linewidth=1.3)
    right.set_xticks(range(3), ["fully\nconnected", "ResNet", "conv.\nResNet"])
    right.set_yticks([0, 1], ["0: $A^{(H)}$", "1: printed\n$A^{(H-1)}$"])
    right.set_title(r"(b) $G^{(H)}(0)$ between two readings of $K^{(H)}$", fontsize=11)
    handles = [Line2D([], [], color=cue.colour, marker=cue.marker, label=NAMES[name]) for name, cue in cues.items()]
    handles.append(Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label="limit of infinite width"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    widths, sphere = settings.widths, settings.sphere
    inputs = f"n = {settings.samples} points on the sphere (synthetic), d = {settings.dimension}, labels N(0, 1)"
    net = f"{settings.activation}, c_res = {settings.c_res:g}, p = {settings.pixels}, q = {settings.patch}, float64"
    sizes = (
        f"H = {widths.depth}, m = {listed(widths.widths)} (convolutional: {listed(widths.conv_widths)} channels), "
        f"{widths.steps} steps of size {settings.relative_step:g} / lambda_max of the limit, {seeds_text(widths.seeds)}"
    )
    bars = "Bars: 95 % t intervals over seeds."
    return [
        Figure(
            name="du2018b_grams",
            items=("002-E3",),
            title="Gram matrices of the layers: from their limits at the start, and from their start after training",
            caption=f"{inputs}; {sizes}; {net}. {bars}",
            alt=(
                "Six panels against width on logarithmic axes: the distance of each layer's Gram matrix from its limit "
                "falls along the dotted line of slope -1/2, and its change during training falls at least as fast."
            ),
            draw=draw_grams,
        ),
        Figure(
            name="du2018b_movement",
            items=("003-Q10",),
            title="How far the units of each layer move, against width and depth",
            caption=(
                f"{inputs}. Above: {sizes}. Below: m = {sphere.width} ({sphere.conv_width} channels), H = "
                f"{listed(sphere.depths)}, {sphere.steps} steps, {seeds_text(settings.seeds)}. {net}. {bars}"
            ),
            alt=(
                "Three panels of movement against width, all falling along slope -1/2, and three of movement against "
                "the layer for several depths: in ResNets the first layer moves far more than the branches."
            ),
            draw=draw_movement,
        ),
        Figure(
            name="du2018b_norms",
            items=("001-E3", "001-TH8"),
            title="c_sigma preserves norms; which covariance the last line of K^(H) needs",
            caption=(
                f"(a) {inputs}; m = {sphere.width} ({sphere.conv_width} channels), H = {max(sphere.depths)}, "
                f"{seeds_text(settings.seeds)}. (b) H = 2, m = {max(widths.widths)} ({max(widths.conv_widths)} channels), "
                f"{widths.printed_seeds} networks: projection of G^(H)(0) on the line between both matrices. {net}. {bars}"
            ),
            alt=(
                "Left, the squared length of features by layer: flat at one for the fully connected net, growing mildly "
                "for the ResNets, on their dotted limits. Right, finite networks lie at the covariance of Appendix F.2."
            ),
            draw=draw_norms,
        ),
    ]
