"""Figure 3: loss surfaces from the side, as in the paper, and from above with their valleys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.nguyen2019.settings import Settings
from zeroloss.studies.nguyen2019.tables import SCALINGS, slices
from zeroloss.studies.wording import seeds_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

ACTIVATIONS = ("sigmoid", "softplus")
TITLES = {False: "without skip connections", True: "with skip connections"}


def log_surface(
    metrics: pd.DataFrame, settings: Settings, activation: str, skip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Axis alpha, shape (G,), and ln(loss) on the grid, shape (G, G); a loss of 0 in float64 counts as 1e-300.

    The plane is that of the first seed, with directions scaled as the settings say.
    """
    table = metrics[
        (metrics["part"] == "surface")
        & (metrics["scaling"] == settings.surfaces.scaling)
        & (metrics["activation"] == activation)
        & (metrics["skip"] == skip)
        & (metrics["seed"] == settings.surfaces.taken.seeds[0])
    ]
    grid = table.pivot(index="alpha_1", columns="alpha_2", values="loss")
    return grid.index.to_numpy(), np.log(np.maximum(grid.to_numpy(), 1e-300))


def draw_surfaces(metrics: pd.DataFrame, settings: Settings, activation: str) -> Canvas:
    """The surfaces of one activation and the first seed: left without, right with skip connections."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    canvas = plt.figure(figsize=(11, 4.8), layout="constrained")
    for number, skip in enumerate((False, True), start=1):
        axis = canvas.add_subplot(1, 2, number, projection="3d")
        alphas, log = log_surface(metrics, settings, activation, skip)
        one, two = np.meshgrid(alphas, alphas, indexing="ij")
        axis.plot_surface(one, two, log, cmap="viridis", rstride=1, cstride=1, linewidth=0.15, edgecolor="0.3")
        middle = len(alphas) // 2
        axis.plot([0], [0], [log[middle, middle]], marker="*", color="#D55E00", markersize=11, zorder=10)
        axis.set(xlabel=r"$\alpha_1$", ylabel=r"$\alpha_2$", title=TITLES[skip])
        axis.set(xlim=(alphas[0], alphas[-1]), ylim=(alphas[0], alphas[-1]))
        axis.set_zlabel("ln loss")
        for side in (axis.xaxis, axis.yaxis):  # pruned: labels of two axes would meet at the corner
            side.set_major_locator(MaxNLocator(4, prune="both"))
        axis.zaxis.set_major_locator(MaxNLocator(6))
        axis.tick_params(pad=0)
        axis.tick_params(axis="z", pad=2)
        axis.view_init(elev=28, azim=-58)
        axis.set_box_aspect(None, zoom=0.88)
    return canvas


def draw_valleys(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The planes of the first seed from above, bad valleys marked; and how many bad valleys each seed's plane has."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.theory.valleys import bad_valleys

    one = settings.surfaces
    counts = slices(metrics, settings)
    canvas, axes = plt.subplots(2, 2, figsize=(9.5, 8.4), layout="constrained")
    for row, activation in zip(axes, ACTIVATIONS, strict=True):
        for axis, skip in zip(row, (False, True), strict=True):
            alphas, log = log_surface(metrics, settings, activation, skip)
            filled = axis.contourf(alphas, alphas, log.T, levels=24, cmap="viridis")
            canvas.colorbar(filled, ax=axis, label="ln loss", shrink=0.85)
            middle = log[len(alphas) // 2, len(alphas) // 2]
            for basin in bad_valleys(log, float(middle), float(np.log(one.above)), float(np.log(one.depth))):
                at = (alphas[basin.row], alphas[basin.column])
                axis.plot(*at, marker="v", color="#D55E00", markersize=9, markeredgecolor="white", linestyle="")
            axis.plot(0, 0, marker="*", color="white", markersize=13, markeredgecolor="black", linestyle="")
            mine = counts[(counts["activation"] == activation) & (counts["skip"] == skip)].sort_values("seed")
            axis.set_title(f"{activation}, {TITLES[skip]}\nbad valleys by seed: {', '.join(map(str, mine['bad']))}")
            axis.set(xlabel=r"$\alpha_1$", ylabel=r"$\alpha_2$")
            axis.grid(False)
    handles = [
        Line2D(
            [], [], marker="*", color="white", markeredgecolor="black", markersize=13, linestyle="", label="solution"
        ),
        Line2D([], [], marker="v", color="#D55E00", markersize=9, linestyle="", label="bad local valley of the plane"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=2)
    return canvas


def surface_figures(settings: Settings) -> list[Figure]:
    one, images = settings.surfaces, settings.surfaces.taken
    first, second = images.widths
    sizes = (
        f"{images.source}, N = {images.samples} random images (the paper: 1024 of MNIST), hidden layers of {first} and {second} "
        f"(the paper: 784-300); right: M = {images.samples} random neurons wired to the output; SGD, learning rate {one.rate:g}, "
        f"Nesterov momentum {one.momentum:g}, batches of {images.batch}, {images.epochs} epochs"
    )
    plane = f"{one.points} x {one.points} points, {SCALINGS[one.scaling]} (ours: the paper prints no length)"
    declared = [
        Figure(
            name=f"nguyen2019_fig3_{activation}",
            items=("004-TH3", "004-?2"),
            title=f"Figure 3: loss surface through the solution, {activation}",
            caption=f"{sizes}. Two random directions, {plane}. Star: solution. Seed {images.seeds[0]}.",
            alt=(
                f"Two 3-D surfaces of the logarithm of the loss of {activation} networks over two random directions, without "
                "and with skip connections; a star marks the solution at the bottom."
            ),
            draw=draw_surfaces,
            options={"activation": activation},
        )
        for activation in ACTIVATIONS
    ]
    declared.append(
        Figure(
            name="nguyen2019_valleys",
            items=("004-TH3", "004-?2"),
            title="The surfaces of Figure 3 from above, with their bad local valleys",
            caption=(
                f"{sizes}. {plane[0].upper()}{plane[1:]}; maps: seed {images.seeds[0]}, counts: {seeds_text(images.seeds)}. "
                f"A bad valley is a local minimum inside the grid with more than {one.above:g} times the solution's loss and a "
                f"rim of at least {one.depth:g} times its floor. Ours, not in the paper."
            ),
            alt="Four contour maps of the logarithm of the loss; triangles mark bad local valleys, a star the solution.",
            draw=draw_valleys,
        )
    )
    return declared
