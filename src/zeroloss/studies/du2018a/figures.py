"""Figure 1 in both variants, the finding, and the same panels on images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Figure
from zeroloss.studies.du2018a.experiment import LABELS, VARIANTS, Settings, published_curves
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import du2018a as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

ROW_TITLES = {
    "as_published": r"as published: $\eta=c\sqrt{m}$",
    "as_printed": r"as printed: fixed $\eta$",
    "true": "true labels",
    "random": "random labels",
}


def _prepared(table: pd.DataFrame, squared: bool) -> pd.DataFrame:
    distance = table["max_distance"] ** 2 if squared else table["max_distance"]
    return table.assign(log_error=np.log(table["mean_squared_error"]), distance=distance)


def _draw_row(
    row: Sequence[Axes], table: pd.DataFrame, cues: Mapping[Any, Any], squared: bool, curves: pd.DataFrame | None
) -> None:
    """Panels a to d of one setting."""
    from zeroloss.plotting import curves as panels

    table = _prepared(table, squared)
    for axes, value in zip(row, ("log_error", "pattern_change", "distance", "lambda_min"), strict=True):
        panels.draw_seed_curves(axes, table, value, cues)
    if curves is not None:
        for axes, panel in zip(row[:3], "abc", strict=True):
            panels.draw_published(axes, curves[curves["panel"] == panel], cues)
    steps = np.arange(table["step"].max() + 1)
    for width, group in table.groupby("width"):
        start = group.loc[group["step"] == 0, "log_error"].mean()
        bound = theory.linear_rate_bound(steps, group["step_size"].iloc[0], group["lambda_0"].mean())
        # above eta = 2 / lambda_0 the bound changes sign and says nothing
        panels.draw_bound(row[0], steps, start + np.log(np.where(bound > 0, bound, np.nan)), cues[width].colour)
    lambda_0 = table["lambda_0"].mean()
    for level, name in ((lambda_0, r"$\lambda_0$"), (lambda_0 / 2, r"$\lambda_0/2$")):
        panels.draw_bound(row[3], steps[[0, -1]], np.array([level, level]), "0.2")
        row[3].annotate(name, (1.01, level), xycoords=("axes fraction", "data"), va="center", fontsize=10)
    row[3].set_ylim(bottom=0)
    row[2].set_ylabel(r"$\max_r\|w_r(k)-w_r(0)\|_2" + (r"^2$" if squared else r"$"))


def _panels(rows: int) -> tuple[Canvas, np.ndarray]:
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(
        rows, 4, figsize=(13.5, 3.1 * rows + 0.5), sharex=True, squeeze=False, layout="constrained"
    )
    for row in axes:
        row[0].set_ylabel(r"$\ln\,\frac{1}{n}\|u(k)-y\|^2$")
        row[1].set_ylabel("changed patterns (fraction)")
        row[3].set_ylabel(r"$\lambda_{\min}(H(k))$")
    titles = ("(a) training error", "(b) activation patterns", "(c) largest distance", "(d) least eigenvalue")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    for axis in axes[-1]:
        axis.set_xlabel("step $k$ (epoch)")
    return canvas, axes


def _name_row(row: Sequence[Axes], text: str) -> None:
    row[0].annotate(
        text, (-0.42, 0.5), xycoords="axes fraction", rotation=90, ha="center", va="center", fontweight="bold"
    )


def _add_legend(canvas: Canvas, cues: Mapping[Any, Any], seeds: bool, published_too: bool, title: str = "") -> None:
    from zeroloss.plotting.curves import legend_entries

    bound = r"bound $(1-\eta\lambda_0/2)^k$; in (d) $\lambda_0$ and $\lambda_0/2$"
    handles = legend_entries(cues, "m", seeds=seeds, published=published_too, bound=bound)
    canvas.legend(handles=list(handles), loc="outside upper center", ncols=len(handles), title=title or None)


def draw_figure1(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Figure 1, panels a, b, c and our panel d: one row as published, one as printed."""
    from zeroloss.plotting.style import ordered_cues

    cues = ordered_cues(settings.synthetic.widths)
    curves = published_curves(settings)
    canvas, axes = _panels(2)
    for row, variant in zip(axes, VARIANTS, strict=True):
        as_published = variant == "as_published"
        table = metrics[metrics["variant"] == variant]
        _draw_row(row, table, cues, squared=as_published, curves=curves if as_published else None)
        _name_row(row, ROW_TITLES[variant])
    _add_legend(canvas, cues, len(settings.synthetic.seeds) > 1, curves is not None)
    return canvas


def draw_finding(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Panel a of both variants beside each other on one scale: where the width dependence comes from."""
    import matplotlib.pyplot as plt

    from zeroloss.plotting import curves as panels
    from zeroloss.plotting.style import ordered_cues

    cues, curves = ordered_cues(settings.synthetic.widths), published_curves(settings)
    canvas, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    titles = (
        rf"as published: $\eta={settings.synthetic.published_step:g}\,\sqrt{{m}}$ (recovered)",
        rf"as printed: eq. 4, fixed $\eta={settings.synthetic.printed_step:g}$",
    )
    for axis, variant, title in zip(axes, VARIANTS, titles, strict=True):
        panels.draw_seed_curves(axis, _prepared(metrics[metrics["variant"] == variant], False), "log_error", cues)
        axis.set_title(title)
        axis.set_xlabel("step $k$ (epoch)")
    if curves is not None:
        panels.draw_published(axes[0], curves[curves["panel"] == "a"], cues)
    axes[0].set_ylabel(r"$\ln\,\frac{1}{n}\|u(k)-y\|^2$")
    seeds = len(settings.synthetic.seeds) > 1
    handles = panels.legend_entries(cues, "m", seeds=seeds, published=curves is not None, bound=None)
    canvas.legend(handles=list(handles), loc="outside upper center", ncols=7, columnspacing=1.2, handlelength=1.6)
    return canvas


def draw_images(metrics: pd.DataFrame, settings: Settings, source: str) -> Canvas:
    """The panels of Figure 1 on one image data set: true labels above, random labels below."""
    from zeroloss.plotting.style import ordered_cues

    cues = ordered_cues(settings.images.widths)
    table = metrics[(metrics["variant"] == "images") & (metrics["source"] == source)]
    canvas, axes = _panels(2)
    for row, labels in zip(axes, LABELS, strict=True):
        part = table[table["labels"] == labels]
        _draw_row(row, part, cues, squared=False, curves=None)
        _name_row(row, ROW_TITLES[labels])
        row[0].annotate(
            rf"$\eta={settings.images.relative_step:g}/\lambda_{{\max}}(H^\infty)={part['step_size'].iloc[0]:.2g}$",
            (0.03, 0.04),
            xycoords="axes fraction",
            fontsize=9,
        )
    first = table.iloc[0]
    title = f"{first['data_title']} ({first['fidelity']})"
    _add_legend(canvas, cues, len(settings.images.seeds) > 1, False, title)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    synthetic, images = settings.synthetic, settings.images
    sizes = (
        f"n = {synthetic.samples} inputs uniform on the sphere of dimension d = {synthetic.dimension} (synthetic), labels "
        f"N(0, 1), widths m = {listed(synthetic.widths)}, {synthetic.steps} full-batch steps, {seeds_text(synthetic.seeds)}"
    )
    dashed = " Dashed: the paper's curves, read from its figure." if published_curves(settings) is not None else ""
    steps = (
        f"As published: step size {synthetic.published_step:g} sqrt(m), squared distance; as printed: step size "
        f"{synthetic.printed_step:g} in eq. 4."
    )
    declared = [
        Figure(
            name="du2018a_fig1",
            items=("001-F1", "001-TH4", "001-TH6", "003-TH1"),
            title="Figure 1: training error, pattern changes, distance and least eigenvalue over training",
            caption=f"{sizes}. {steps} Lines: mean over seeds.{dashed} Panel d is ours.",
            alt=(
                "Eight panels, two rows. Upper row, as published: training error falls faster for larger width, and "
                "pattern changes and distances are smaller. Lower row, as printed: all widths fall at nearly one rate."
            ),
            draw=draw_figure1,
        ),
        Figure(
            name="du2018a_finding",
            items=("001-F1",),
            title="Where the width dependence of Figure 1 a comes from",
            caption=f"{sizes}. Lines: mean over seeds.{dashed}",
            alt=(
                "Two panels of training error against step for five widths: on the left, with a step size that grows "
                "like the square root of the width, the curves fan out; on the right, with one fixed step size, they "
                "nearly coincide."
            ),
            draw=draw_finding,
        ),
    ]
    for source in images.sources:
        declared.append(
            Figure(
                name=f"du2018a_images_{source}",
                items=("001-F1",),
                title=f"The panels of Figure 1 on images: {source}",
                caption=(
                    f"The first n = {images.samples} training images of {source}, normalised to the sphere; labels: parity "
                    f"of the class, or random signs; m = {listed(images.widths)}, {images.steps} full-batch steps of size "
                    f"{images.relative_step:g} / lambda_max(H-infinity), {seeds_text(images.seeds)}. Ours, not in the paper."
                ),
                alt=(
                    f"Eight panels for {source}: training error, pattern changes, distance and least eigenvalue against "
                    "step, true labels above, random labels below; true labels are fitted faster."
                ),
                draw=draw_images,
                options={"source": source},
            )
        )
    return declared
