"""Figure 2, ranks, Figure 5 and the convolutional runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.nguyen2019.run_claims import best_runs
from zeroloss.studies.nguyen2019.settings import Settings
from zeroloss.studies.nguyen2019.surface_figures import surface_figures
from zeroloss.studies.wording import listed, seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SKIP_TITLES = {False: "without skip connections", True: "with skip connections"}
VARIANTS = {"plain": "plain", "skip": "skip (SGD)", "rand": "skip (rand)"}


def draw_figure2(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The graph of a small convolutional network, without and with skip connections from hidden neurons to the output."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.skip_graph import DASHES, PALETTE, Wire, draw_skip_graph, network_graph

    inputs = [f"x{k}" for k in range(1, 5)]
    first, second = [f"h{k}" for k in range(1, 4)], [f"g{k}" for k in range(1, 3)]
    layers = (inputs, first, second, ["f"])
    wires = [Wire(inputs[k + j], first[k], shared=j) for k in range(3) for j in range(2)]
    wires += [Wire(first[k + j], second[k], shared=2 + j) for k in range(2) for j in range(2)]
    wires += [Wire(name, "f") for name in second]
    skips = [Wire(name, "f", skip=True) for name in (first[0], first[2])]
    labels = {
        name: rf"${name[0]}_{{{name[1:]}}}$" if name != "f" else "$f$" for name in [*inputs, *first, *second, "f"]
    }
    canvas, axes = plt.subplots(1, 2, figsize=(10.5, 4.0), layout="constrained")
    for axis, skip in zip(axes, (False, True), strict=True):
        draw_skip_graph(axis, network_graph(layers, wires + (skips if skip else [])), labels)
        axis.set_title(SKIP_TITLES[skip])
    handles = [Line2D([], [], color=PALETTE[k], linestyle=DASHES[k], label=f"shared weight {k + 1}") for k in range(4)]
    handles.append(Line2D([], [], color="0.55", linewidth=0.8, label="weight of its own"))
    handles.append(Line2D([], [], color="#8B1A1A", label="skip connection"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=6, columnspacing=1.2)
    return canvas


def _activation_cues() -> dict[str, tuple[Any, str]]:
    from zeroloss.plotting.skip_graph import PALETTE

    names = ("sigmoid", "softplus", "relu", "linear")
    return {name: (PALETTE[k], marker) for k, (name, marker) in enumerate(zip(names, "os^D", strict=True))}


def draw_rank(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Above: fraction of draws with full numerical rank; below: least over largest singular value, all draws as a band."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    table = metrics[metrics["part"] == "rank"]
    dimensions = sorted(settings.rank.dimensions, reverse=True)
    canvas, axes = plt.subplots(
        2, len(dimensions), figsize=(5.2 * len(dimensions), 6.2), sharex=True, sharey="row", squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for column, dimension in zip(axes.T, dimensions, strict=True):
        here = table[table["dimension"] == dimension]
        here = here.assign(full=(here["rank"] == here["samples"]).astype(float))
        for number, (activation, (colour, marker)) in enumerate(_activation_cues().items()):
            by_n = here[here["activation"] == activation].groupby("samples")
            share = by_n["full"].mean()
            shift = 1.0 + 0.03 * (number - 1.5)  # so that equal fractions do not hide each other
            column[0].plot(share.index * shift, share, color=colour, marker=marker)
            # a zero column gives exactly 0, which a logarithmic axis cannot show: drawn at the lower edge
            least = by_n["relative_least"].agg(["median", "min", "max"]).clip(lower=1e-20)
            column[1].plot(least.index, least["median"], color=colour, marker=marker)
            column[1].fill_between(least.index, least["min"], least["max"], color=colour, alpha=0.18, linewidth=0)
        limit = here.groupby("samples")["threshold"].first()
        column[1].plot(limit.index, limit, color="0.2", linestyle=":", linewidth=1.3)
        column[0].set_title(f"inputs of dimension $d={dimension}$")
        column[1].set(xlabel="samples $N$ = wired neurons $M$", xscale="log", yscale="log")
        column[1].set_xticks(settings.rank.samples, [str(n) for n in settings.rank.samples])
        column[1].minorticks_off()
    axes[0, 0].set(ylabel="draws whose numerical\nrank is $N$ (float64)", ylim=(-0.05, 1.05))
    axes[1, 0].set(ylabel=r"$\sigma_{\min}(\Psi)\,/\,\sigma_{\max}(\Psi)$", ylim=(3e-21, 1))
    names = {"relu": "ReLU", "softplus": r"softplus, $\gamma=20$"}
    handles = [
        Line2D([], [], color=colour, marker=marker, label=names.get(name, name))
        for name, (colour, marker) in _activation_cues().items()
    ]
    handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over draws"))
    handles.append(Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label="counts as 0 below"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=6, columnspacing=1.2)
    return canvas


def _draw_deep_column(column: Any, metrics: pd.DataFrame, settings: Settings, skip: bool) -> None:
    from zeroloss.plotting.curves import draw_seed_curves
    from zeroloss.plotting.style import ordered_cues

    runs = metrics[(metrics["part"] == "deep") & (metrics["skip"] == skip)]
    runs = runs.assign(
        log_loss=np.log10(runs["loss"].where(runs["loss"] > 0)),
        error=100 * runs["errors"] / runs["samples"],
        width=runs["rate"],  # the series of draw_seed_curves
        step=runs["epoch"],
    )
    cues = ordered_cues(sorted(settings.deep.rates, reverse=True))
    best = best_runs(metrics, skip)
    for axis, value in zip(column, ("log_loss", "error"), strict=True):
        draw_seed_curves(axis, runs, value, cues)
        shown = (
            np.log10(best["loss"].where(best["loss"] > 0))
            if value == "log_loss"
            else 100 * best["errors"] / best["samples"]
        )
        mean = shown.groupby(best["epoch"]).mean()
        axis.plot(mean.index, mean, color="#D55E00", linewidth=7, alpha=0.4, zorder=2.5)


def draw_figure5(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Figure 5: training loss (log10) above training error, without and with skip connections."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss import published
    from zeroloss.plotting.curves import legend_entries
    from zeroloss.plotting.style import ordered_cues

    canvas, axes = plt.subplots(2, 2, figsize=(10.5, 6.6), sharex=True, sharey="row", layout="constrained")
    levels = published.load("nguyen2019_fig5")
    for skip in (False, True):
        column = axes[:, int(skip)]
        _draw_deep_column(column, metrics, settings, skip)
        column[0].set_title(SKIP_TITLES[skip])
        column[1].set_xlabel("epoch")
        last = levels[(levels["skip"] == int(skip)) & (levels["epoch"] == 1000)].iloc[0]
        for axis, value in zip(column, ("log10_loss", "error_percent"), strict=True):
            axis.axhline(last[value], color="0.2", linestyle=(0, (5, 2)), linewidth=0.9, zorder=1)
    axes[0, 0].set_ylabel(r"$\log_{10}$ training loss")
    axes[1, 0].set(ylabel="training error (%)", ylim=(-3, 100))
    cues = ordered_cues(sorted(settings.deep.rates, reverse=True))
    handles = list(legend_entries(cues, r"\eta", seeds=len(settings.deep.taken.seeds) > 1, published=False, bound=None))
    handles.append(Line2D([], [], color="#D55E00", linewidth=7, alpha=0.4, label=r"best $\eta$"))
    handles.append(
        Line2D([], [], color="0.2", linestyle=(0, (5, 2)), linewidth=0.9, label="published, CIFAR-10, epoch 1000")
    )
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def _draw_cnn_panel(axis: Axes, runs: pd.DataFrame) -> None:
    from zeroloss.plotting.skip_graph import PALETTE

    for (variant, marker), colour in zip(zip(VARIANTS, "os^", strict=True), PALETTE, strict=False):
        mine = runs[runs["variant"] == variant]
        if mine.empty:
            continue
        progress = mine["epoch"] / mine["epoch"].max()
        accuracy = 100 * (1 - mine["errors"] / mine["samples"])
        by = accuracy.groupby(progress)
        axis.plot(by.mean().index, by.mean(), color=colour, marker=marker)
        axis.fill_between(by.mean().index, by.min(), by.max(), color=colour, alpha=0.2, linewidth=0)
    first = runs.iloc[0]
    axis.axhline(100 * first["largest_class"] / first["samples"], color="0.2", linestyle=":", linewidth=1.3)


def draw_cnn(metrics: pd.DataFrame, settings: Settings, architecture: str) -> Canvas:
    """Training accuracy of one convolutional network: sigmoid left, softplus right."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.skip_graph import PALETTE

    table = metrics[(metrics["part"] == "cnn") & (metrics["architecture"] == architecture)]
    canvas, axes = plt.subplots(1, 2, figsize=(10, 4.0), sharey=True, layout="constrained")
    for axis, activation in zip(axes, ("sigmoid", "softplus"), strict=True):
        _draw_cnn_panel(axis, table[table["activation"] == activation])
        axis.set(title=activation, xlabel="fraction of the epochs")
    axes[0].set(ylabel="training accuracy (%)", ylim=(0, 103))
    present = [variant for variant in VARIANTS if (table["variant"] == variant).any()]
    handles = [
        Line2D([], [], color=colour, marker=marker, label=VARIANTS[variant])
        for (variant, marker), colour in zip(zip(VARIANTS, "os^", strict=True), PALETTE, strict=False)
        if variant in present
    ]
    handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    handles.append(Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label="most frequent class"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=5)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    deep, rank, images = settings.deep, settings.rank, settings.deep.taken
    declared = [
        Figure(
            name="nguyen2019_fig2",
            items=("004-S2",),
            title="Figure 2: a network as a directed acyclic graph, without and with skip connections",
            caption=(
                "Two convolutional layers on four inputs, drawn after the paper's Figure 2. Edges of one colour and dash "
                "carry the same weight. Right: hidden neurons of an earlier layer are wired to the output too. No data."
            ),
            alt=(
                "Two graphs of four inputs, three and two hidden neurons and one output. Equal colours mark shared weights; "
                "in the right graph two neurons of the first hidden layer have edges that skip to the output."
            ),
            draw=draw_figure2,
        ),
        Figure(
            name="nguyen2019_rank",
            items=("004-TH3",),
            title="Lemma 3.2: rank of the feature matrix for random weights",
            caption=(
                f"Psi holds all M = N neurons of two hidden layers; Gaussian inputs, weights and biases, {rank.draws} draws, "
                f"N = {listed(rank.samples)}, float64, seed {rank.seed}. A zero column is drawn at 1e-20. Ours, not in the paper."
            ),
            alt=(
                "Four panels against the number of samples for four activations: sigmoid and softplus keep full rank at "
                "d = 20, ReLU loses it in some draws, linear neurons beyond d + 1 samples."
            ),
            draw=draw_rank,
        ),
        *surface_figures(settings),
        Figure(
            name="nguyen2019_fig5",
            items=("004-TH3",),
            title=f"Figure 5: {deep.depth} layers of width {deep.width}",
            caption=(
                f"{images.source}, N = {images.samples} images (the paper: 1000 of CIFAR-10), {deep.depth} hidden layers of "
                f"width {deep.width}, softplus with gamma = 20; right: {images.samples} random hidden neurons wired to the "
                f"output. SGD, "
                f"Nesterov momentum {deep.momentum:g}, batches of {images.batch}, {images.epochs} epochs (the paper: 1000), "
                f"learning rates {listed(deep.rates)}, {seeds_text(images.seeds)}. Lines: mean over seeds."
            ),
            alt=(
                "Two by two panels of training loss and error against epoch. Without skip connections every curve stays at "
                "the loss of equal probabilities; with them the best learning rate goes to zero error."
            ),
            draw=draw_figure5,
        ),
    ]
    cnn = settings.cnn
    for one in cnn.architectures:
        size = f"a reduced {one.row}" if one.reduced else one.row
        declared.append(
            Figure(
                name=f"nguyen2019_cnn_{one.name}",
                items=("004-TH3",),
                title=f"Tables 1 and 2: training of {size}",
                caption=(
                    f"{size[0].upper()}{size[1:]} on {one.source}, N = {one.samples} images and wired neurons, learning rate "
                    f"{cnn.rate:g}, {cnn.epochs} epochs ({cnn.rand_epochs} for rand, where hidden weights stay random), "
                    f"batches of {cnn.batch}, {seeds_text(cnn.seeds)}. Lines: mean over seeds."
                ),
                alt=(
                    "Two panels of training accuracy, sigmoid and softplus: with sigmoid the plain network stays at the "
                    "share of the most frequent class, with skip connections it trains."
                ),
                draw=draw_cnn,
                options={"architecture": one.name},
            )
        )
    return declared
