"""The generalisation figure and what the constants matter; sizes and thresholds are in ``size_figures``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.kawaguchi_huang2019 import size_figures
from zeroloss.studies.kawaguchi_huang2019.experiment import LABELS, VARIANT_NAMES, VARIANTS, Settings, widths_of
from zeroloss.studies.wording import listed, seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

LABEL_NAMES = {"true": "natural labels", "random": "random labels"}
VARIANT_LEGEND = {
    "working": "working constants",
    "random_start": r"last layer starts at $N(0,c_w)$",
    "constants_1": "width constants 1",
    "unit_variances": "$c_w=c_b=a=1$",
}


def _curves(axes: Axes, table: pd.DataFrame, by: str, value: str, cues: Mapping[Any, Any]) -> None:
    """One curve for each value of the column ``by``, with its range over seeds; step 0 has no place on a log axis."""
    from zeroloss.plotting.curves import draw_seed_curves

    draw_seed_curves(axes, table[table["step"] > 0].assign(width=table[by]), value, cues)


def _legend(
    canvas: Canvas, cues: Mapping[Any, Any], names: Mapping[str, str], bounds: Mapping[Any, str], seeds: int
) -> None:
    """One entry for each series, the band over seeds, and each bound by its line style."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=cue.colour, marker=cue.marker, label=names[key]) for key, cue in cues.items()]
    if seeds > 1:
        handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    handles += [
        Line2D([], [], color="0.2", linestyle=style, linewidth=1.3, label=text) for style, text in bounds.items()
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6), columnspacing=1.2)


def draw_generalisation(metrics: pd.DataFrame, settings: Settings, part: str, source: str) -> Canvas:
    """Training accuracy, test accuracy, gap, weight norm, and the bound beside what it bounds."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.curves import draw_bound
    from zeroloss.plotting.style import ordered_cues

    table = metrics[
        (metrics["part"] == part) & (metrics["source"] == source) & (metrics["variant"] == "working")
    ].reset_index(drop=True)
    cues: Any = ordered_cues(LABELS)  # type: ignore[arg-type]
    canvas, axes = plt.subplots(1, 5, figsize=(17, 4), layout="constrained")
    panels = (
        ("train_accuracy", "(a) training accuracy", "training accuracy"),
        ("test_accuracy", "(b) test accuracy", "test accuracy"),
        ("gap", "(c) generalisation gap", "training − test accuracy"),
        ("weight_norm", "(d) weight norm", r"$\|(\bar W^t)^\top\|_{2,\infty}$"),
        ("true_gap", "(e) the bound", r"test error − training $\ell_\rho$"),
    )
    for axis, (value, title, label) in zip(axes, panels, strict=True):
        _curves(axis, table, "labels", value, cues)
        axis.set(title=title, ylabel=label, xlabel="step $t$", xscale="log")
    for axis in axes[:2]:
        axis.set_ylim(0, 1.03)
        axis.axhline(1 / table["outputs"].iloc[0], color="0.6", linewidth=0.9, linestyle=(0, (1, 3)))
        axis.annotate("chance", (0.98, 1 / table["outputs"].iloc[0] - 0.012), xycoords=("axes fraction", "data"),
                      ha="right", va="top", fontsize=8, color="0.4")  # fmt: skip
    axes[3].set_yscale("log")
    for labels in LABELS:
        means = (
            table[(table["labels"] == labels) & (table["step"] > 0)].groupby("step")[["bound", "bound_features"]].mean()
        )
        draw_bound(axes[4], means.index.to_numpy(), means["bound"].to_numpy(), cues[labels].colour)
        axes[4].plot(means.index, means["bound_features"], color=cues[labels].colour, linestyle="-.", linewidth=1.1)
    # the gap lies near 0 and may be negative, the bounds some orders above
    axes[4].set_yscale("symlog", linthresh=1)
    axes[4].set_yticks([-1, 0, *10.0 ** np.arange(0, np.log10(table["bound_features"].max()) + 0.5)])
    axes[4].minorticks_off()
    axes[4].axhline(1, color="0.6", linewidth=0.8)
    more = {":": "bound, $c=1$", "-.": r"bound, $c$ = rms of $\|x^{(H)}\|$"}
    _legend(canvas, cues, LABEL_NAMES, more, table["seed"].nunique())
    return canvas


def draw_constants(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """What becomes of the network when one choice is changed."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    source = settings.generalisation.sources[0]
    table = metrics[(metrics["part"] == "curve") & (metrics["source"] == source)]
    cues: Any = ordered_cues(VARIANTS)  # type: ignore[arg-type]
    canvas, axes = plt.subplots(1, 4, figsize=(14, 3.7), layout="constrained")
    panels = (
        ("random", "train_accuracy", "(a) random labels: training"),
        ("true", "train_accuracy", "(b) natural labels: training"),
        ("true", "test_accuracy", "(c) natural labels: test"),
        ("true", "weight_norm", "(d) natural labels: weights"),
    )
    for axis, (labels, value, title) in zip(axes, panels, strict=True):
        _curves(axis, table[table["labels"] == labels].reset_index(drop=True), "variant", value, cues)
        axis.set(title=title, xscale="log", xlabel="step $t$")
    for axis, text in zip(axes, ("training accuracy", "training accuracy", "test accuracy"), strict=False):
        axis.set(ylabel=text, ylim=(0, 1.03))
    axes[3].set(ylabel=r"$\|(\bar W^t)^\top\|_{2,\infty}$", yscale="log")
    _legend(canvas, cues, VARIANT_LEGEND, {}, len(settings.generalisation.seeds))
    return canvas


def draw_rate(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """(J - J*) t / (c_r zeta): bounded, as t = O(c_r zeta / epsilon) says."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    source = settings.generalisation.sources[0]
    table = metrics[(metrics["part"] == "curve") & (metrics["source"] == source)].reset_index(drop=True)
    excess = table["loss"] - table["least_loss"]
    # once the loss is at rounding of its start there is nothing left to follow
    table = table.assign(product=(excess * table["step"] / table["distance"]).where(excess > 1e-13))
    cues: Any = ordered_cues(VARIANTS)  # type: ignore[arg-type]
    canvas, axes = plt.subplots(1, 2, figsize=(12, 4.2), sharey=True, layout="constrained")
    for axis, labels in zip(axes, LABELS, strict=True):
        part = table[table["labels"] == labels].reset_index(drop=True)
        _curves(axis, part, "variant", "product", cues)
        for variant, group in part.groupby("variant"):
            axis.axhline(group["curvature"].mean() / 2, color=cues[variant].colour, linestyle=":", linewidth=1.3)
        axis.set(title=LABEL_NAMES[labels], xscale="log", yscale="log", xlabel="step $t$")
    axes[0].set_ylabel(r"$(J(\theta^t)-J^*)\,t\,/\,(c_r\zeta)$")
    axes[0].set_ylim(bottom=1e-9)
    _legend(canvas, cues, VARIANT_LEGEND, {":": r"$\lambda_{\max}(K/n)/2$"}, len(settings.generalisation.seeds))
    return canvas


def figures(settings: Settings) -> list[Figure]:
    part, entropy, network = settings.generalisation, settings.cross_entropy, settings.network
    shown = (
        f"{network.activation} with scale a = {network.scale:g}, H = {network.depth}, delta = "
        f"{network.failure_probability:g}, c_w = {network.weight_variance:g}, c_b = {network.bias_variance:g}; only the "
        "last layer moves, from zero; float64."
    )
    seeds, first = seeds_text(part.seeds), part.sources[0]

    def caption(samples: int, source: str, loss: str, steps: int, group: str) -> str:
        widths = listed(widths_of(settings, "working", samples))
        return (
            f"The network of the proof of Theorem 1 on {source}: n = {samples} images, {part.test_samples} for testing, a "
            f"random split of the first {part.samples} and {part.test_samples}, unit length; natural labels, and labels "
            f"uniform on the classes (training and test). {loss}, {steps} full-batch steps. Widths {widths}; {shown} Lines: "
            f"mean over {group}. (e): rho = {part.margin:g}, varsigma = {part.bound_scale:g}, delta' = "
            f"{part.bound_failure:g}."
        )

    alt = (
        "Five panels against the step: training accuracy rises to one with natural and with random labels; test accuracy is "
        "high with natural ones and at chance with random ones; the gap and the weight norm are larger with random "
        "labels; the bound lies orders of magnitude above the gap."
    )
    return [
        *(
            Figure(
                f"kawaguchi_huang2019_generalisation_{source}",
                ("000-F1", "000-TH4", "000-TH1"),
                f"Accuracy, gap and weight norm of the network of the proof: {source}",
                caption(part.samples, source, "Squared loss", part.steps, seeds),
                alt,
                draw_generalisation,
                {"part": "curve", "source": source},
            )
            for source in part.sources
        ),
        Figure(
            "kawaguchi_huang2019_cross_entropy",
            ("000-F1", "000-TH4"),
            f"The same with cross-entropy: {first}",
            caption(entropy.samples, first, "Cross-entropy", entropy.steps, seeds_text(entropy.seeds)),
            alt,
            draw_generalisation,
            {"part": "cross_entropy", "source": first},
        ),
        Figure(
            "kawaguchi_huang2019_constants",
            ("000-TH1", "000-E3"),
            "What the constants and the start matter",
            f"{first}, n = {part.samples}, squared loss, {part.steps} steps; working: widths "
            f"{listed(widths_of(settings, 'working', part.samples))}, {shown} Each other curve changes one choice: "
            f"{'; '.join(VARIANT_NAMES[variant] for variant in VARIANTS[1:])}. Width constants 1 are widths "
            f"{listed(widths_of(settings, 'constants_1', part.samples))}. Lines: mean over {seeds}.",
            "Four panels: only with working constants and a last layer that starts at zero are random labels fitted and "
            "natural labels generalised from; a last layer that starts at random leaves test accuracy near chance.",
            draw_constants,
        ),
        Figure(
            "kawaguchi_huang2019_rate",
            ("000-E4", "000-TH1"),
            "Loss times steps stays bounded",
            f"{first}, n = {part.samples}, squared loss (zeta = 1), step size {part.relative_step:g} / lambda_max(K / n); K "
            f"is the Gram matrix of the last layer's inputs and c_r the squared distance to its nearest minimiser. Lines: "
            f"mean over {seeds}, band: their range. Dotted: what convex analysis allows.",
            "Two panels: loss above its least, times the number of steps, over c_r, stays below the dotted constant.",
            draw_rate,
        ),
        *size_figures.figures(settings),
    ]
