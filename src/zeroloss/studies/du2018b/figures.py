"""Least eigenvalues, loss curves and stable steps against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.contract import Figure
from zeroloss.studies.du2018b import layer_figures
from zeroloss.studies.du2018b.experiment import ARCHITECTURES, LABELS, NAMES, Settings
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import du2018b as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SOURCES = {"sphere": "sphere", "digits_two": "digits, two classes", "digits_ten": "digits, ten classes"}


def _band(axes: Axes, table: pd.DataFrame, x: str, y: str, cue: Any, *, markers: bool = True) -> None:
    """Geometric mean over seeds of ``y`` against ``x`` and the range over seeds."""
    values = table[table[y] > 0].groupby(x)[y]
    mean = values.apply(lambda part: np.exp(np.log(part).mean()))
    every = 1 if markers else max(1, len(mean) // 7)
    axes.plot(mean.index, mean, color=cue.colour, marker=cue.marker, markevery=every, zorder=3)
    axes.fill_between(mean.index, values.min(), values.max(), color=cue.colour, alpha=0.14, linewidth=0, zorder=2)


def _handles(cues: Mapping[Any, Any], label: str, bound: str, seeds: bool) -> Sequence[Any]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=label.format(NAMES.get(str(key), key)))
        for key, cue in cues.items()
    ]
    if seeds:
        handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over seeds"))
    return [*handles, Line2D([], [], color="0.2", linestyle=":", linewidth=1.3, label=bound)]


def draw_eigenvalues(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """lambda_min(K^(H)) against H above, times H^2 below, one column per kind of input."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    from zeroloss.plotting.style import ordered_cues

    cues: Any = dict(zip(ARCHITECTURES, ordered_cues(range(3)).values(), strict=True))
    table = metrics[(metrics["part"] == "limit") & (metrics["lambda_min"] > metrics["floor"])]
    table = table.assign(scaled=table["depth"] ** 2 * table["lambda_min"])
    canvas, axes = plt.subplots(2, 3, figsize=(12, 6.6), sharey="row", sharex="row", layout="constrained")
    for column, (source, title) in enumerate(SOURCES.items()):
        upper, lower = axes[0, column], axes[1, column]
        for architecture, cue in cues.items():
            part = table[(table["source"] == source) & (table["architecture"] == architecture)]
            _band(upper, part, "depth", "lambda_min", cue)
            if architecture == "fully_connected":
                # the factor of the theory, through the middle of the curve
                mean = part.groupby("depth")["lambda_min"].mean()
                depths = np.array([mean.index.min(), mean.index.max()])
                middle = mean.index[len(mean) // 2]
                line = mean[middle] * part["contraction"].iloc[0] ** (depths - middle)
                upper.plot(depths, 1.6 * line, color="0.2", linestyle=":", linewidth=1.3, zorder=1)
            else:
                _band(lower, part, "depth", "scaled", cue)
        upper.set(yscale="log", title=title, xlabel="depth $H$")
        lower.set(xscale="log", yscale="log", xlabel="depth $H$")
        ticks = [h for h in settings.limits.resnet_depths if np.log2(h) % 1 == 0]
        lower.set_xticks(ticks, [str(h) for h in ticks])
        lower.xaxis.set_minor_locator(NullLocator())
    axes[0, 0].set_ylabel(r"$\lambda_{\min}(K^{(H)})$")
    low, high = axes[1, 0].get_ylim()
    axes[1, 0].set_ylim(low / 3, high * 3)
    axes[1, 0].set_ylabel(r"$H^2\,\lambda_{\min}(K^{(H)})$, ResNets")
    handles = _handles(cues, "{}", r"slope of $(c_\sigma\mathbb{E}\,\sigma'^2)^H$", len(settings.seeds) > 1)
    canvas.legend(handles=list(handles), loc="outside upper center", ncols=5)
    return canvas


def _draw_losses(axes: Axes, table: pd.DataFrame, cues: Mapping[Any, Any]) -> None:
    from zeroloss.plotting import curves as panels

    for depth, group in table.groupby("depth"):
        _band(axes, group, "step", "relative_loss", cues[depth], markers=False)
        first, steps = group.iloc[0], np.linspace(0, group["step"].max(), 50)
        bound = theory.linear_rate_bound(steps, first["step_size"], first["lambda_min"])
        panels.draw_bound(axes, steps, bound, cues[depth].colour)
    diverged = table[table["diverged_at"] >= 0]
    if len(diverged):
        runs = diverged.groupby(["depth", "seed"])["diverged_at"].first()
        text = f"diverged: {len(runs)} runs from step {int(runs.min())}"
        axes.annotate(text, (0.03, 0.03), xycoords="axes fraction", fontsize=9)
    axes.set_yscale("log")


_BOUND = r"bound $(1-\eta\lambda_{\min}(K^{(H)})/2)^k$"


def draw_losses(metrics: pd.DataFrame, settings: Settings, source: str) -> Canvas:
    """ln of the loss against the step: one column per architecture, one row per kind of labels."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    part = settings.sphere if source == "sphere" else settings.digits
    table = metrics[(metrics["part"] == "curve") & (metrics["source"] == source)]
    rows = ("gaussian",) if source == "sphere" else LABELS
    cues = ordered_cues(part.depths)
    size = (12, 3.2 * len(rows) + 0.9)
    canvas, axes = plt.subplots(
        len(rows), 3, figsize=size, sharey="row", sharex=True, squeeze=False, layout="constrained"
    )
    for row, labels in zip(axes, rows, strict=True):
        for panel, architecture in zip(row, ARCHITECTURES, strict=True):
            _draw_losses(panel, table[(table["labels"] == labels) & (table["architecture"] == architecture)], cues)
            if labels == rows[0]:
                panel.set_title(NAMES[architecture])
        name = "" if source == "sphere" else f"{labels} labels\n"
        row[0].set_ylabel(f"{name}$L(k)/L(0)$")
    for panel in axes[-1]:
        panel.set_xlabel("step $k$")
    handles = _handles(cues, "$H={}$", _BOUND, len(settings.seeds) > 1)
    canvas.legend(handles=list(handles), loc="outside upper center", ncols=len(handles))
    return canvas


def draw_stable(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Largest step size that trains, its edge 2 / lambda_max(G(0)), and the step the theorem allows."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    table = metrics[metrics["part"] == "stable"]
    cue = ordered_cues(range(3))[0]
    canvas, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), sharey=True, layout="constrained")
    for panel, architecture in zip(axes, ("fully_connected", "resnet"), strict=True):
        part = table[table["architecture"] == architecture]
        measured = part.dropna(subset=["largest_step"])
        by = measured.groupby("depth")["largest_step"]
        mean = by.mean()
        panel.errorbar(
            mean.index, mean, yerr=bar_lengths(mean, by.min(), by.max()), color=cue.colour, marker=cue.marker, capsize=3
        )
        edge = part.groupby("depth")["edge"].mean()
        panel.plot(edge.index, edge, color="0.45", linestyle="-.", linewidth=1.2)
        least = part.groupby("depth")["lambda_min"].first()
        steps = [theory.step_order(architecture, value, settings.samples, int(h)) for h, value in least.items()]
        panel.plot(least.index, steps, color="0.2", linestyle=":", marker="x", linewidth=1.3)
        panel.set(yscale="log", xlabel="depth $H$", title=NAMES[architecture], xticks=list(least.index))
    axes[0].set_ylabel(r"step size $\eta$")
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label="largest that trains (range over seeds)"),
        Line2D([], [], color="0.45", linestyle="-.", label=r"$2/\lambda_{\max}(\sum_h G^{(h)}(0))$"),
        Line2D([], [], color="0.2", linestyle=":", marker="x", label="allowed by the theorem (constants 1)"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    sphere, digits, stable = settings.sphere, settings.digits, settings.stable
    net = f"{settings.activation}, c_res = {settings.c_res:g}, float64"
    conv = f"convolutional: p = {settings.pixels} pixels, patches of q = {settings.patch}"
    on_sphere = f"n = {settings.samples} points on the sphere (synthetic), d = {settings.dimension}"
    of_digits = f"n = {settings.samples} of scikit-learn's digits (d = 64, mean image taken off, unit length)"
    two = f"classes {listed(settings.two_classes)}"
    eta = f"eta = {settings.relative_step:g} / lambda_max of the limit of the sum of all G^(h)"
    seeds = seeds_text(settings.seeds)
    deep = "widths without bound (quadrature)"

    def trained(part: Any, labels: str) -> str:
        return (
            f"m = {part.width} ({part.conv_width} channels), H = {listed(part.depths)}, {part.steps} full-batch steps, "
            f"{eta}; all layers trained. {labels} {net}; {conv}; {seeds} of the initial weights. Lines: geometric mean."
        )

    theorems = ("001-TH8", "002-TH2", "002-TH3")
    return [
        Figure(
            name="du2018b_eigenvalues",
            items=theorems,
            title="Least eigenvalue of K^(H) against depth",
            caption=(
                f"{on_sphere}, {seeds} of the inputs; {of_digits}: {two}, and all ten. {net}; {conv}; {deep}. Dotted: the "
                "slope that the contraction of correlations gives, shifted up."
            ),
            alt=(
                "Least eigenvalue against depth for three kinds of inputs: a straight falling line on a logarithmic scale "
                "for the fully connected net, a slow fall for both ResNets, which times depth squared is nearly flat."
            ),
            draw=draw_eigenvalues,
        ),
        Figure(
            name="du2018b_loss_sphere",
            # 004-L1 names this paper and three others, and asks for nothing beyond documents 001 and 002
            items=(*theorems, "002-E2", "004-L1"),
            title="Training loss against step for several depths, points on the sphere",
            caption=f"{on_sphere}; {trained(sphere, 'Labels N(0, 1).')}",
            alt=(
                "Three panels of the loss against the step: fully connected nets hardly train once deep, ResNets train "
                "at every depth. All curves lie below their dotted bounds, which are nearly flat."
            ),
            draw=draw_losses,
            options={"source": "sphere"},
        ),
        *(
            Figure(
                name=f"du2018b_loss_digits_{task}",
                items=("002-F1", "002-TH2", "002-TH3"),
                title=f"Training loss with true and with random labels, digits, {name}",
                caption=f"{of_digits}, {name}; {trained(digits, targets)}",
                alt=(
                    "Six panels of the loss against the step, true labels above, random labels below, one column per "
                    "architecture: random labels are fitted too, more slowly; the deep fully connected net stands still."
                ),
                draw=draw_losses,
                options={"source": f"digits_{task}"},
            )
            for task, name, targets in (
                ("two", two, "Targets -1 and +1."),
                ("ten", "ten classes", "Targets one-hot, ten outputs."),
            )
        ),
        Figure(
            name="du2018b_stable_step",
            items=("001-TH8", "002-TH3"),
            title="Largest stable step size against depth",
            caption=(
                f"{on_sphere}, labels N(0, 1); m = {stable.width}, H = {listed(stable.depths)}; step sizes in multiples "
                f"{listed(stable.multiples)} of 2 / lambda_max; a step size trains when, after {stable.steps} steps, the "
                f"loss is below its start with it and all smaller ones; at the largest multiple it is a "
                f"lower bound. {net}; {seeds}."
            ),
            alt=(
                "Two panels of step size against depth: the largest that trains is nearly flat for both architectures and "
                "a few times two over the largest eigenvalue; the theorem's step falls steeply for the fully connected net."
            ),
            draw=draw_stable,
        ),
        *layer_figures.figures(settings),
    ]
