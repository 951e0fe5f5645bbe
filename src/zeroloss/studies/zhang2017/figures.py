"""How the figures are drawn. Titles and captions are in ``captions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from zeroloss import published
from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.zhang2017.measures import accuracies, chosen, ends, of_setting, relative_times
from zeroloss.studies.zhang2017.runs import CORRUPTED, NETWORKS, SETTINGS_OF_FIGURE
from zeroloss.studies.zhang2017.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

PUBLISHED: dict[str, Any] = {"linestyle": (0, (5, 2)), "linewidth": 0.9}
GUIDE: dict[str, Any] = {"color": "0.3", "linestyle": ":", "linewidth": 1.3}


def _of_all_seeds(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows steps, columns seeds; a run that ended early keeps its last value."""
    return table.pivot(index="steps", columns="seed", values=column).sort_index().ffill()


def _curve(axes: Axes, table: pd.DataFrame, column: str, cue: Any, label: str = "", **more: Any) -> None:
    """Mean over seeds against steps, the range over seeds as a band."""
    wide = _of_all_seeds(table, column)
    x = wide.index
    more = {"marker": cue.marker, "markevery": max(1, len(x) // 8), "label": label, **more}
    axes.plot(x, wide.mean(axis=1), color=cue.colour, **more)
    if wide.shape[1] > 1:
        axes.fill_between(x, wide.min(axis=1), wide.max(axis=1), color=cue.colour, alpha=0.2, linewidth=0)


def _points(axes: Axes, wide: pd.DataFrame, cue: Any, label: str) -> None:
    """Mean over seeds with the range over seeds as bars; a column that one seed lacks is left out."""
    kept = wide.dropna(axis=1)
    if kept.shape[1]:
        mean = kept.mean()
        spread = bar_lengths(mean, kept.min(), kept.max())
        axes.errorbar(kept.columns, mean, spread, color=cue.colour, marker=cue.marker, capsize=3, label=label)
    else:
        axes.plot([], [], color=cue.colour, marker=cue.marker, label=label)


def _hollow(cue: Any, points: int) -> dict[str, Any]:
    """A published curve: dashed, with the marker of its series, hollow, so that colour alone does not tell it apart."""
    return {
        **PUBLISHED,
        "marker": cue.marker,
        "markerfacecolor": "white",
        "markersize": 4,
        "markevery": max(1, points // 8),
    }


def _legend(canvas: Canvas, axes: Axes, columns: int, *, band: str = "") -> None:
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    extra = [Line2D([], [], color="0.2", label="published (hollow)", **PUBLISHED)]
    if band:
        extra.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label=band))
    canvas.legend(
        handles=[*handles, *extra], labels=[*labels, *(one.get_label() for one in extra)], loc="outside upper center",
        ncols=columns,
    )  # fmt: skip


def draw_curves(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Figure 1 a: training loss in five settings, ours over the published ones, each with its own axis of steps."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = plt.subplots(figsize=(6.8, 4.6), layout="constrained")
    above = axes.twiny()
    theirs = published.load("zhang2017_fig1a")
    for (name, _), cue in zip(SETTINGS_OF_FIGURE.items(), ordered_cues(range(5)).values(), strict=True):
        _curve(axes, of_setting(metrics, name), "loss", cue, name)
        line = theirs[(theirs["series"] == name) & (theirs["thousand_steps"] <= 20)]
        above.plot(line["thousand_steps"], line["average_loss"], color=cue.colour, **_hollow(cue, len(line)))
    axes.set(xlabel="steps, ours", ylabel="average training loss", ylim=(0, 2.6))
    axes.set_xlim(left=0)
    above.set(xlabel="thousand steps, published (dashed)", xlim=(0, 20))
    above.grid(visible=False)
    above.spines["top"].set_visible(True)
    _legend(canvas, axes, 3, band="range over seeds" if len(settings.sizes.seeds) > 1 else "")
    return canvas


def draw_corruption(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Figure 1 b and c: relative time to overfit and test error against the share of corrupted labels."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = plt.subplots(1, 2, figsize=(9.6, 4.3), layout="constrained")
    runs = ends(metrics, settings)
    times, errors = published.load("zhang2017_fig1b"), published.load("zhang2017_fig1c")
    for network, cue in zip(CORRUPTED, ordered_cues(range(3)).values(), strict=True):
        _points(axes[0], relative_times(runs, network, settings.corruptions), cue, NETWORKS[network])
        _points(axes[1], 1 - accuracies(runs, network, settings.corruptions), cue, NETWORKS[network])
        for panel, table, column in ((axes[0], times, "relative_time_to_overfit"), (axes[1], errors, "test_error")):
            line = table[table["model"] == NETWORKS[network]]
            panel.plot(line["label_corruption"], line[column], color=cue.colour, **_hollow(cue, len(line)))
    axes[1].axhline(0.9, **GUIDE)
    axes[1].annotate("chance", (0.02, 0.905), ha="left", va="bottom", fontsize=9, color="0.3")
    axes[0].set(xlabel="label corruption", ylabel="relative time to overfit (log scale)", title="(b) time to overfit")
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    axes[1].set(xlabel="label corruption", ylabel="test error", ylim=(0, 1.02), title="(c) test error")
    _legend(canvas, axes[1], 4)
    return canvas


def _accuracy_panel(axes: Axes, series: list[tuple[str, pd.DataFrame, Any]]) -> None:
    """Test (solid) and training accuracy (thin) of ours, the cumulative best test accuracy as an area above the curve."""
    for name, table, cue in series:
        wide = _of_all_seeds(table, "test_accuracy").mean(axis=1)
        _curve(axes, table, "test_accuracy", cue, f"test ({name})")
        training = _of_all_seeds(table, "train_accuracy").mean(axis=1)
        axes.plot(training.index, training, color=cue.colour, linewidth=0.8, label=f"train ({name})")
        axes.fill_between(wide.index, wide, wide.cummax(), color=cue.colour, alpha=0.35, linewidth=0)


def _published_panel(axes: Axes, table: pd.DataFrame, names: dict[str, tuple[str, Any]]) -> None:
    """Digitised accuracies; the area up to the cumulative best is computed from them."""
    for series, (_, cue) in names.items():
        line = table[table["series"] == series].sort_values("thousand_training_steps")
        x, y = line["thousand_training_steps"], line["accuracy"]
        if series.startswith("train"):
            axes.plot(x, y, color=cue.colour, linewidth=0.5, linestyle=(0, (2, 2)))
            continue
        axes.plot(x, y, color=cue.colour, **PUBLISHED)
        axes.fill_between(x, y, y.cummax(), color=cue.colour, alpha=0.35, linewidth=0)


def draw_norm(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Figure 2 b: accuracy over training with and without batch norm, ours and published side by side."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = plt.subplots(1, 2, figsize=(9.6, 4.5), layout="constrained")
    names = ("Inception", "Inception w/o BN")
    cues = list(ordered_cues(range(2)).values())
    series = [
        (name, chosen(metrics, network=network), cue)
        for name, network, cue in zip(names, ("inception", "inception_plain"), cues, strict=True)
    ]
    _accuracy_panel(axes[0], series)
    theirs = published.load("zhang2017_fig2b")
    of_paper = {
        f"{part}({name})": (name, cue) for name, cue in zip(names, cues, strict=True) for part in ("test", "train")
    }
    _published_panel(axes[1], theirs, of_paper)
    axes[0].set(xlabel="steps", ylabel="accuracy", title=f"ours, {settings.source}")
    axes[0].set_ylim(top=1.02)
    axes[1].set(xlabel="thousand steps", title="published, CIFAR-10", ylim=(0.6, 1.02))
    _legend(canvas, axes[0], 3, band="up to the best so far")
    return canvas


def draw_early_stopping(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Figure 2 a: the published ImageNet curves, and beside them a stand-in of ours on other images."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting.style import ordered_cues

    canvas, axes = plt.subplots(1, 2, figsize=(9.6, 4.9), layout="constrained")
    theirs = published.load("zhang2017_fig2a")
    cues = list(ordered_cues(range(3)).values())
    labels = ("w/ aug, wd, dropout", "w/o aug, dropout", "w/o aug, wd, dropout")
    of_paper = {
        f"{part}({label})": (label, cue) for label, cue in zip(labels, cues, strict=True) for part in ("test", "train")
    }
    _published_panel(axes[0], theirs, of_paper)
    for label, cue in zip(labels, cues, strict=True):
        axes[0].plot([], [], color=cue.colour, label=f"published ({label})", **PUBLISHED)
    axes[0].set(xlabel="thousand steps", ylabel="top-1 accuracy", ylim=(0, 1.02))
    axes[0].set_title("published: Inception v3, ImageNet")
    kept = metrics[metrics["seed"].isin(settings.sizes.table_seeds)]
    ours = (("w/ crop, wd", True, True), ("w/o crop", False, True), ("w/o crop, wd", False, False))
    series = [
        (name, chosen(kept, network="inception", crops=crops, decays=decays), cue)
        for (name, crops, decays), cue in zip(ours, cues, strict=True)
    ]
    _accuracy_panel(axes[1], series)
    axes[1].set(xlabel="steps", ylabel="accuracy", ylim=(0, 1.02))
    axes[1].set_title(f"stand-in: small Inception, {settings.source}")
    handles = [one for panel in axes for one in panel.get_legend_handles_labels()[0]]
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas
