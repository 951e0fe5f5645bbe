"""Figure 1: loss, eigenvalues, projections. Figure 2: test error and complexity against the portion of random labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.arora2019_fine_grained import cues, width_figures
from zeroloss.studies.arora2019_fine_grained.cues import DASHED, LABELS
from zeroloss.studies.arora2019_fine_grained.experiment import Settings, names, present, samples_of
from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import arora2019_fine_grained as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def draw_convergence(metrics: pd.DataFrame, settings: Settings, *, source: str) -> Canvas:
    """Figure 1 (a), (b) or (c), (d): loss against eta t, eigenvalues, projections."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    here = metrics[metrics["source"] == source]
    canvas, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 5.0), layout="constrained")
    dataset, name = cues.published_name(source)
    _draw_losses(left, here[here["part"] == "net"], dataset)
    spectrum = here[here["part"] == "spectrum"]
    _draw_eigenvalues(middle, spectrum, dataset)
    _draw_projections(right, spectrum)
    handles = [Line2D([], [], color=c, marker=m, label=label) for c, m, label in LABELS.values()]
    handles += [
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"),
        Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label="theory"),
        Line2D(
            [], [], color="0.2", linestyle=DASHED, linewidth=0.9,
            label=f"published ({name}, $n=m={cues.PUBLISHED_SAMPLES}$; time rescaled)",
        ),
    ]  # fmt: skip
    canvas.legend(handles=handles, loc="outside upper center", ncols=6)
    return canvas


def _draw_losses(axes: Axes, nets: pd.DataFrame, dataset: str) -> None:
    step = cues.published_step(dataset)
    curves = cues.published_curves(dataset)
    last = nets["time"].max()
    for label, (colour, marker, _) in LABELS.items():
        ours = nets[(nets["label"] == label) & (nets["step"] > 0)]
        by = ours.groupby("time")
        mean = by["loss"].mean()
        axes.plot(mean.index, mean, color=colour, marker=marker, markevery=max(1, len(mean) // 6), zorder=3)
        axes.fill_between(
            mean.index, by["loss"].min(), by["loss"].max(), color=colour, alpha=0.25, linewidth=0, zorder=2
        )
        theorem = by["predicted"].mean()
        axes.plot(theorem.index, theorem, color=colour, linestyle=":", linewidth=1.3, zorder=2)
        paper = curves[(curves["label"] == label) & (curves["iteration"] > 0)]
        axes.plot(paper["iteration"] * step, paper["loss"], color=colour, linestyle=DASHED, linewidth=0.9, zorder=4)
    axes.set(
        xscale="log", xlabel=r"time $\eta k$", ylabel=r"training loss $\Phi(W(k))/n$", title="(a) convergence",
        ylim=(0, 0.53), xlim=(nets.loc[nets["step"] > 0, "time"].min(), last * 1.5),
    )  # fmt: skip


def _draw_eigenvalues(axes: Axes, spectrum: pd.DataFrame, dataset: str) -> None:
    ours = spectrum[spectrum["label"] == "true"].sort_values("index")
    axes.plot(ours["index"] / len(ours), ours["eigenvalue"], color="#009E73", label=f"ours, $n={len(ours)}$")
    paper = cues.published.load("arora2019_finegrained_fig1bd_eigs")
    paper = paper[paper["dataset"] == dataset].sort_values("index")
    axes.plot(paper["index"] / cues.PUBLISHED_SAMPLES, paper["value"], color="0.2", linestyle=DASHED, linewidth=0.9)
    axes.set(
        xscale="log", yscale="log", xlabel="index $i/n$", ylabel=r"eigenvalue $\lambda_i$ of $H^\infty$",
        title="(b) eigenvalues",
    )  # fmt: skip
    axes.legend(loc="upper right")


def _draw_projections(axes: Axes, spectrum: pd.DataFrame) -> None:
    for label in ("random", "true"):
        colour, marker, _ = LABELS[label]
        table = spectrum[spectrum["label"] == label]
        first = table if label == "true" else table[table["seed"] == table["seed"].min()]
        n = int(first["index"].max())
        shown = first if n <= 2000 else first[first["index"].isin(np.unique(np.geomspace(1, n, 2000).astype(int)))]
        axes.plot(
            shown["index"] / n, shown["projection"], color=colour, marker=marker, linestyle="", markersize=2,
            alpha=0.25, zorder=1, rasterized=True,
        )  # fmt: skip
        group = np.floor(np.log(table["index"]) / np.log(n + 1) * 16)
        by = table.groupby(group)
        mean = by["projection"].mean()
        at = np.exp(np.log(table["index"]).groupby(group).mean()) / n
        axes.plot(at, mean, color=colour, marker=marker, zorder=3)
        if label == "random":
            per_seed = table.groupby([group, "seed"])["projection"].mean().unstack("seed")
            axes.fill_between(at, per_seed.min(axis=1), per_seed.max(axis=1), color=colour, alpha=0.25, linewidth=0)
    axes.axhline(theory.HALF_NORMAL_MEAN, color=LABELS["random"][0], linestyle=":", linewidth=1.3)
    axes.set(
        xscale="log", yscale="log", ylim=(1e-2, None), xlabel="index $i/n$", ylabel=r"$|v_i^\top y|$",
        title="(c) projections of the labels, and their means",
    )  # fmt: skip


def draw_noise(metrics: pd.DataFrame, settings: Settings, *, source: str) -> Canvas:
    """Figure 2: errors on test images and the complexity measure against the portion of random labels."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    here = metrics[metrics["source"] == source]
    limit, nets = here[here["part"] == "noise"], here[(here["part"] == "end") & here["portion"].notna()]
    canvas, (left, right) = plt.subplots(1, 2, figsize=(11.5, 5.2), layout="constrained")
    curves = (("test_error", "#0072B2", "o", "classification error"), ("test_l1", "#D55E00", "s", r"$\ell_1$ loss"))
    for column, colour, marker, _ in curves:
        _band(left, limit, column, colour, marker)
        _bars(left, nets, column, colour, marker)
    _band(right, limit, "complexity", "#009E73", "D")
    _bars(right, nets, "complexity", "#009E73", "D")
    _bars(right, nets, "test_clipped", "#CC79A7", "v")
    expected = _expected_complexity(here[here["part"] == "spectrum"], settings.limit.portions)
    right.plot(settings.limit.portions, expected, color="0.2", linestyle=":", linewidth=1.3, zorder=4)
    left.set(xlabel="portion of random labels", ylabel="on test images", ylim=(0, None), title="(a) test error")
    right.set(
        xlabel="portion of random labels", ylabel=r"$\sqrt{2\,y^\top(H^\infty)^{-1}y/n}$", ylim=(0, None),
        title="(b) complexity measure",
    )  # fmt: skip
    handles = [Line2D([], [], color=c, marker=m, label=name) for _, c, m, name in curves]
    handles += [
        Line2D([], [], color="#009E73", marker="D", label="complexity"),
        Line2D([], [], color="#CC79A7", marker="v", linestyle="", label=r"test loss $\min(1,|f-y|)$"),
        Line2D([], [], color="0.3", label=f"line: limit, $n={int(limit['samples'].iloc[0])}$, $t=\\infty$"),
        Line2D(
            [], [], color="0.3", marker="o", markerfacecolor="white", linestyle="",
            label=f"hollow: network, $n={int(nets['samples'].iloc[0])}$",
        ),
        Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label="expected complexity"),
        Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"),
    ]  # fmt: skip
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def _band(axes: Axes, table: pd.DataFrame, column: str, colour: str, marker: str) -> None:
    by = table.groupby("portion")[column]
    axes.plot(by.mean().index, by.mean(), color=colour, marker=marker, markersize=4, zorder=3)
    axes.fill_between(by.mean().index, by.min(), by.max(), color=colour, alpha=0.25, linewidth=0, zorder=2)


def _bars(axes: Axes, table: pd.DataFrame, column: str, colour: str, marker: str) -> None:
    by = table.groupby("portion")[column]
    mean = by.mean()
    axes.errorbar(
        mean.index, mean, bar_lengths(mean, by.min(), by.max()), color=colour, marker=marker, linestyle="", capsize=2,
        markerfacecolor="white", markersize=7, elinewidth=0.9, zorder=4,
    )  # fmt: skip


def _expected_complexity(spectrum: pd.DataFrame, portions: list[float]) -> list[float]:
    true = spectrum[spectrum["label"] == "true"]
    values, projections = true["eigenvalue"].to_numpy(), true["projection"].to_numpy()
    return [theory.noisy_complexity(values, projections, portion) for portion in portions]


def figures(settings: Settings) -> list[Figure]:
    nets, limit, found = settings.nets, settings.limit, []
    for source, task in zip(names(settings), present(settings), strict=True):
        classes = f"classes {listed(task.positive)} (+1) against {listed(task.negative)} (-1)"
        _, name = cues.published_name(source)
        trained = (
            f"networks: n = {samples_of(task, nets)}, m = {nets.width}, kappa = {nets.kappa:g}, eta = {settings.relative_step:g} "
            f"/ lambda_max, {nets.steps} steps of full-batch gradient descent, {seeds_text(nets.seeds)}"
        )
        found += [
            Figure(
                name=f"arora2019_fine_grained_fig1_{source}",
                items=("004-F9",),
                title=f"Convergence, eigenvalues and projections: {source}",
                caption=f"{source}, {classes}, unit inputs; {trained}. Spectrum and projections: n = "
                f"{task.images.train}, closed form; dots: true labels and random labels of one seed, lines: means over "
                f"neighbouring indices. Dotted: Theorem 4.1 on the networks' n; in (c) the mean for random labels, "
                f"0.798. The published curves ({name}) are drawn against a time that we inferred: the printed step "
                "0.001 cannot be that of the printed iterations, so one step per panel is taken, with which the "
                "published eigenvalues give the last published loss of random labels.",
                alt="Loss falls first for true labels, later for random ones, hardly for the worst case; eigenvalues "
                "fall over orders of magnitude; true labels project on the first eigenvectors, random ones on all.",
                draw=draw_convergence,
                options={"source": source},
            ),
            Figure(
                name=f"arora2019_fine_grained_fig2_{source}",
                items=("004-F9", "003-Q11"),
                title=f"Test error and complexity against label noise: {source}",
                caption=f"{source}, {classes}, unit inputs; noise on training and test labels, {task.images.test} test "
                f"images. Lines: predictor of the limit at infinite time, n = {task.images.train}, "
                f"{seeds_text(limit.seeds)}. Hollow: {trained}, where training ends before random labels are fitted. "
                "Theorem 5.1 bounds the test loss by the complexity plus O(sqrt(log(n) / n)). The paper's Figure 2 is "
                "not drawn: it was not digitised.",
                alt="Test error, test loss and complexity all rise with the portion of random labels.",
                draw=draw_noise,
                options={"source": source},
            ),
        ]
    return found + width_figures.figures(settings)
