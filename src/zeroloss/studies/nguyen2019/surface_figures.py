"""Figure 3: loss surfaces from the side, as in the paper, and from above with their valleys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.nguyen2019.settings import Settings
from zeroloss.studies.wording import seeds_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

ACTIVATIONS = ("sigmoid", "softplus")
TITLES = {False: "without skip connections", True: "with skip connections"}


def log_surface(metrics: pd.DataFrame, activation: str, skip: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Axis alpha, shape (G,), and ln(loss) on the grid, shape (G, G); a loss of 0 in float64 counts as 1e-300."""
    table = metrics[
        (metrics["part"] == "surface")
        & (metrics["activation"] == activation)
        & (metrics["skip"] == skip)
        & (metrics["seed"] == seed)
    ]
    grid = table.pivot(index="alpha_1", columns="alpha_2", values="loss")
    return grid.index.to_numpy(), np.log(np.maximum(grid.to_numpy(), 1e-300))


def draw_surfaces(metrics: pd.DataFrame, settings: Settings, activation: str) -> Canvas:
    """The surfaces of one activation and the first seed: left without, right with skip connections."""
    import matplotlib.pyplot as plt

    canvas = plt.figure(figsize=(11, 4.8), layout="constrained")
    for number, skip in enumerate((False, True), start=1):
        axis = canvas.add_subplot(1, 2, number, projection="3d")
        alphas, log = log_surface(metrics, activation, skip, settings.surfaces.seeds[0])
        one, two = np.meshgrid(alphas, alphas, indexing="ij")
        axis.plot_surface(one, two, log, cmap="viridis", rstride=1, cstride=1, linewidth=0.15, edgecolor="0.3")
        middle = len(alphas) // 2
        axis.plot([0], [0], [log[middle, middle]], marker="*", color="#D55E00", markersize=11, zorder=10)
        axis.set(xlabel=r"$\alpha_1$", ylabel=r"$\alpha_2$", title=TITLES[skip])
        axis.set_zlabel("ln loss")
        axis.locator_params(axis="both", nbins=5)
        axis.view_init(elev=28, azim=-58)
        axis.set_box_aspect(None, zoom=0.88)
    return canvas


def draw_valleys(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The planes of the first seed from above, bad valleys marked; and how many bad valleys each seed's plane has."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.studies.nguyen2019.tables import slices
    from zeroloss.theory.valleys import bad_valleys

    one = settings.surfaces
    counts = slices(metrics, settings)
    canvas, axes = plt.subplots(2, 2, figsize=(9.5, 8.4), layout="constrained")
    for row, activation in zip(axes, ACTIVATIONS, strict=True):
        for axis, skip in zip(row, (False, True), strict=True):
            alphas, log = log_surface(metrics, activation, skip, one.seeds[0])
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
    one = settings.surfaces
    sizes = (
        f"{one.source}, N = {one.samples} random images (the paper: 1024 of MNIST), two hidden layers of {one.width}, all "
        f"M = {one.samples} wired neurons on the right; SGD, learning rate {one.rate:g}, Nesterov momentum {one.momentum:g}, "
        f"batches of {one.batch}, {one.epochs} epochs"
    )
    plane = f"{one.points} x {one.points} points, each layer's direction as long as the layer's own weights"
    declared = [
        Figure(
            name=f"nguyen2019_fig3_{activation}",
            items=("004-TH3", "004-?2"),
            title=f"Figure 3: loss surface through the solution, {activation}",
            caption=f"{sizes}. Two random directions, {plane}. Star: solution. Seed {one.seeds[0]}.",
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
                f"{sizes}. {plane[0].upper()}{plane[1:]}; maps: seed {one.seeds[0]}, counts: {seeds_text(one.seeds)}. A bad "
                f"valley is a local minimum inside the grid with more than {one.above:g} times the solution's loss and a rim "
                f"of at least {one.depth:g} times its floor. Ours, not in the paper."
            ),
            alt="Four contour maps of the logarithm of the loss; triangles mark bad local valleys, a star the solution.",
            draw=draw_valleys,
        )
    )
    return declared
