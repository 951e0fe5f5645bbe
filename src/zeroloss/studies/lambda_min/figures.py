"""lambda_0 over n and d, as curves and as a map; matched weights; separated sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.contract import Figure
from zeroloss.studies.lambda_min.experiment import LAWS, Settings
from zeroloss.studies.lambda_min.tables import law_ratios
from zeroloss.studies.wording import listed
from zeroloss.theory import lambda_min as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_BULK = (0, (4, 1.5, 1, 1.5))  # dash and dot: an approximation, neither a bound nor published


def _means(axes: Axes, x: pd.Series, group: pd.DataFrame, colour: object, marker: str) -> None:
    """Mean over draws with the range over draws as bars; ``x`` for each row of ``group``."""
    by = group.assign(x=x).groupby("x")["value"]
    mean = by.mean()
    axes.errorbar(
        mean.index,
        mean,
        bar_lengths(mean, by.min(), by.max()),
        color=colour,
        marker=marker,
        capsize=2,
        elinewidth=0.9,
        zorder=3,
    )


def _fine(values: list[int]) -> np.ndarray:
    return np.unique(np.round(np.geomspace(min(values), max(values), 25)).astype(int))


def draw_sphere(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Three regimes: d fixed, n and d together, d much larger than n."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    sphere = metrics[metrics["part"] == "sphere"]
    sphere = sphere.assign(value=sphere["lambda_0"])
    dimensions, sizes = settings.sphere.dimensions, settings.sphere.samples
    cues = ordered_cues(dimensions)
    canvas, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 5.2), layout="constrained")
    for d in dimensions:
        group, cue = sphere[sphere["dimension"] == d], cues[d]
        if d <= 10:
            _means(left, group["samples"], group, cue.colour, cue.marker)
            n = _fine(sizes)
            pair = [float(theory.pair_eigenvalue(theory.expected_least_angle(int(k), d))) for k in n]
            left.plot(n, pair, color=cue.colour, linestyle=":", linewidth=1.3)
            if d >= 5:
                left.plot(n, [theory.bulk_edge(int(k), d) for k in n], color=cue.colour, linestyle=_BULK, linewidth=1)
        if d >= 10:
            _means(middle, group["samples"] / d, group, cue.colour, cue.marker)
            n = _fine(sizes)
            middle.plot(n / d, [theory.bulk_edge(int(k), d) for k in n], color=cue.colour, linestyle=_BULK, linewidth=1)
    left.set(xscale="log", yscale="log", xlabel="sample size $n$", ylabel=r"$\lambda_0$", title="(a) $d$ fixed")
    middle.set(xscale="log", xlabel="$n/d$", ylabel=r"$\lambda_0$", title="(b) $n$ and $d$ together", ylim=(0, 0.52))
    names = (r"$\frac{1}{2}$", r"$\frac{1}{4}$", r"$\frac{1}{4}-\frac{1}{2\pi}$")
    for level, name in zip(theory.plateaus(), names, strict=False):
        middle.axhline(level, color="0.35", linewidth=0.7, zorder=1)
        middle.annotate(name, (1.01, level), xycoords=("axes fraction", "data"), va="center", fontsize=10)
    _draw_high(right, sphere, settings)
    handles = [Line2D([], [], color=cues[d].colour, marker=cues[d].marker, label=f"$d={d}$") for d in dimensions]
    handles += [
        Line2D([], [], color="0.2", linestyle=":", label=r"closest pair, $\propto n^{-2/(d-1)}$"),
        Line2D([], [], color="0.2", linestyle=_BULK, label="bulk edge of the harmonics"),
        Line2D([], [], color="0.4", marker="|", markersize=9, linestyle="", label="range over draws"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=6)
    return canvas


def _draw_high(axes: Axes, sphere: pd.DataFrame, settings: Settings) -> None:
    from zeroloss.plotting.style import ordered_cues

    sizes = [n for n in settings.sphere.samples if n <= max(settings.sphere.dimensions)][:3]
    cues = ordered_cues(sizes)
    for n in sizes:
        group = sphere[sphere["samples"] == n]
        group = group.assign(value=0.5 - group["lambda_0"])
        _means(axes, group["dimension"], group, cues[n].colour, cues[n].marker)
        d = _fine(settings.sphere.dimensions)
        edge = [0.5 - theory.bulk_edge(n, int(k)) for k in d]
        axes.plot(d, edge, color=cues[n].colour, linestyle=_BULK, linewidth=1)
        # named where the curve ends: its colours are not those of the dimensions
        last = group[group["dimension"] == group["dimension"].max()]
        axes.annotate(
            f"$n={n}$", (last["dimension"].iloc[0], last["value"].mean()), (7, 0), textcoords="offset points",
            color=cues[n].colour, va="center", fontsize=10,
        )  # fmt: skip
    right = max(settings.sphere.dimensions)
    d = np.array([right / 10, right])
    axes.plot(d, 0.018 * (d / right) ** -0.5, color="0.2", linewidth=0.8)
    axes.annotate(
        r"$\propto d^{-1/2}$", (d[0], 0.018 * 10**0.5), (-2, -2), textcoords="offset points", ha="right", va="top"
    )
    axes.set(
        xscale="log", yscale="log", xlabel="dimension $d$", ylabel=r"$\frac{1}{2}-\lambda_0$", title=r"(c) $d\gg n$"
    )
    axes.set_xlim(right=right * 2.6)


def draw_map(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Mean lambda_0 over n and d, number in each field, colour on a logarithmic scale; frame: closest pair rules."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Patch, Rectangle

    sphere = metrics[metrics["part"] == "sphere"]
    mean = sphere.pivot_table(index="dimension", columns="samples", values="lambda_0").sort_index(ascending=False)
    canvas, axes = plt.subplots(figsize=(8, 0.55 * len(mean) + 2), layout="constrained")
    low = float(mean.to_numpy().min())
    image = axes.imshow(mean, aspect="auto", cmap="viridis", norm=LogNorm(low, 0.5))
    axes.grid(visible=False)
    for i, d in enumerate(mean.index):
        for j, n in enumerate(mean.columns):
            value = mean.iloc[i, j]
            light = np.log(value / low) / np.log(0.5 / low) < 0.55
            text = f"{value:.3f}" if value >= 0.01 else f"{value:.1e}"
            axes.annotate(text, (j, i), ha="center", va="center", color="white" if light else "black", fontsize=10)
            # the law of the closest pair is one for small angles
            angle = theory.expected_least_angle(int(n), int(d))
            if angle < 0.5 and theory.pair_eigenvalue(angle) < theory.bulk_edge(int(n), int(d)):
                place = (j - 0.46, i - 0.44)
                axes.add_patch(
                    Rectangle(place, 0.92, 0.88, fill=False, edgecolor="white", linestyle=":", linewidth=1.8)
                )
    axes.set_xticks(range(mean.shape[1]), [str(int(n)) for n in mean.columns])
    axes.set_yticks(range(mean.shape[0]), [str(int(d)) for d in mean.index])
    axes.set(xlabel="sample size $n$", ylabel="dimension $d$")
    canvas.colorbar(image, ax=axes, label=r"mean of $\lambda_0$")
    frame = Patch(facecolor="0.5", edgecolor="white", linestyle=":", linewidth=1.6)
    label = "theory: the closest pair is below the bulk edge"
    canvas.legend(handles=[frame], labels=[label], loc="outside upper center")
    return canvas


def draw_matched(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Left: Table 2 of Xie et al., published and ours. Right: weights with the covariance of the inputs."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    canvas, (left, right) = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
    laws = {"uniform": "uniform on the sphere", "split": "uniform on $F_E$"}
    cues = ordered_cues([0, 1, 2])
    orthant = metrics[metrics["part"] == "orthant"]
    paper = published.load("xie2017_table2")
    same_size = settings.orthant.samples == 3000
    handles = []
    for k, (law, name) in enumerate(laws.items()):
        exact = orthant[(orthant["law"] == law) & (orthant["method"] == "closed form")]
        shift = 0.04 * (2 * k - 1)
        _means(left, exact["dimension"] + shift, exact.assign(value=exact["lambda_0"]), cues[k].colour, cues[k].marker)
        sampled = orthant[(orthant["law"] == law) & (orthant["method"] == "samples")]
        left.scatter(
            sampled["dimension"] + 3 * shift, sampled["lambda_0"], 60, color=[cues[k].colour], marker="x", zorder=4
        )
        if same_size:
            left.plot(paper["d"] + shift, paper[law], color=cues[k].colour, linestyle=(0, (5, 2)), linewidth=0.9)
        handles.append(Line2D([], [], color=cues[k].colour, marker=cues[k].marker, label=f"$w$ {name}"))
    if len(orthant[orthant["method"] == "samples"]):
        handles.append(Line2D([], [], color="0.3", marker="x", linestyle="", label="$w$ sampled (first draw)"))
    if same_size:
        handles.append(Line2D([], [], color="0.3", linestyle=(0, (5, 2)), linewidth=0.9, label="published"))
    left.set_xticks(settings.orthant.dimensions)
    left.set(yscale="log", xlabel="dimension $d$", ylabel=r"$\lambda_0$", title="(a) inputs on the positive orthant")
    left.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.06), ncols=2)
    ratios = law_ratios(metrics)
    names = {"isotropic": "$w\\sim N(0,I)$", "covariance": r"$w\sim N(0,\mathrm{Cov}(x))$"}
    for k, law in enumerate(LAWS):
        part = ratios[ratios["law"] == law]
        _means(right, part["power"] + 0.03 * (k - 1), part.assign(value=part["ratio"]), cues[k].colour, cues[k].marker)
    right.set(yscale="log", title="(b) anisotropic inputs", xlabel="$a$ (coordinate $k$ has variance $k^{-a}$)")
    right.set_ylabel(r"$\lambda_0\,/\,\lambda_0(w\sim N(0,I))$")
    right.set_xticks(settings.anisotropic.powers)
    right.legend(
        handles=[
            Line2D([], [], color=cues[k].colour, marker=cues[k].marker,
                   label=names.get(law, r"$w\sim N(0,\mathrm{Cov}(x)^{-1})$"))
            for k, law in enumerate(LAWS)
        ],
        loc="lower center", bbox_to_anchor=(0.5, 1.06), ncols=2,
    )  # fmt: skip
    return canvas


def draw_separated(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """The least lambda_0 found against delta for each n; bounds as quoted below; one panel for each dimension."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    apart = settings.separated
    part = metrics[(metrics["part"] == "separated") & metrics["separation"].isin(apart.separations)]
    cues = ordered_cues(apart.samples)
    count = len(apart.dimensions)
    canvas, row = plt.subplots(1, count + 1, figsize=(4.6 * (count + 1), 4.9), squeeze=False, layout="constrained")
    delta = np.array([min(apart.separations), max(apart.separations)])
    for axes, d in zip(row[0, :-1], apart.dimensions, strict=True):
        for n in apart.samples:
            group = part[(part["samples"] == n) & (part["dimension"] == d)].sort_values("separation")
            axes.plot(group["separation"], group["lambda_0"], color=cues[n].colour, marker=cues[n].marker)
            bound = theory.separation_bounds(delta, n, d)["oymak2020"]
            axes.plot(delta, bound, color=cues[n].colour, linestyle=":", linewidth=1.3)
        axes.plot(delta, theory.separation_bounds(delta, 1, d)["karhadkar2024"], color="0.2", linestyle=(0, (1, 3)))
        axes.set(xscale="log", yscale="log", xlabel=r"separation of the lines $\delta$", title=f"$d={d}$")
    row[0, 0].set_ylabel(r"least $\lambda_0$ found")
    last = row[0, -1]
    smallest = part[part["separation"] == part["separation"].min()]
    for k, d in enumerate(apart.dimensions):
        group = smallest[smallest["dimension"] == d].sort_values("samples")
        scaled = 2 * np.pi * group["lambda_0"] / group["separation"]
        last.plot(
            group["samples"],
            scaled,
            color=("#440154", "#21918c", "#d95f02")[k % 3],
            marker="osD"[k % 3],
            label=f"$d={d}$",
        )
    points = list(range(2, max(apart.samples) + 1))
    chain = [2 * np.pi * float(theory.chain_eigenvalue(1.0, k)) for k in points]
    last.plot(points, chain, color="0.2", linestyle=_BULK,
              linewidth=1, label=r"chain: $1/(1+\cos(\pi/n))$")  # fmt: skip
    last.set_xticks(apart.samples)
    last.set(xlabel="number of points $n$", ylabel=r"$2\pi\,\lambda_0/\delta$", ylim=(0, 1.1))
    last.set_title(rf"hardly dependent on $n$ ($\delta={smallest['separation'].iloc[0]:g}$)")
    last.legend(loc="lower left")
    handles = [Line2D([], [], color=cues[n].colour, marker=cues[n].marker, label=f"$n={n}$") for n in apart.samples]
    handles += [
        Line2D([], [], color="0.2", linestyle=":", label=r"$\delta/(100n^2)$, as quoted"),
        Line2D([], [], color="0.2", linestyle=(0, (1, 3)), label=r"$\delta^2/d^3$, shape as quoted"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def figures(settings: Settings) -> list[Figure]:
    sphere, orthant, aniso, apart = settings.sphere, settings.orthant, settings.anisotropic, settings.separated
    draws = f"inputs uniform on the sphere (synthetic), seed {sphere.seed}, {listed(sphere.draws)} draws for n = "
    draws += f"{listed(sphere.samples)}; points: mean over draws, bars: range over draws"
    return [
        Figure(
            name="lambda_min_sphere",
            items=("003-Q5", "003-Q6", "003-F1"),
            title="λ₀ for inputs uniform on the sphere: three regimes",
            caption=f"H-infinity in closed form, {draws}; d = {listed(sphere.dimensions)}. Dotted: least eigenvalue of the "
            "closest pair at its expected angle. Dash-dotted: lower edge of the spectrum from the kernel's harmonics. No "
            "constant is fitted.",
            alt="Three panels. At fixed dimension lambda_0 falls with n along the closest-pair line; against n over d it "
            "descends in steps at one half, one quarter and 0.09; for d much larger than n it rises to one half.",
            draw=draw_sphere,
        ),
        Figure(
            name="lambda_min_map",
            items=("003-Q5", "003-Q6"),
            title="The mean of λ₀ over sample size and dimension",
            caption=f"H-infinity in closed form, inputs uniform on the sphere (synthetic), seed {sphere.seed}, mean over "
            f"{listed(sphere.draws)} draws for n = {listed(sphere.samples)}; spreads are in the table lambda_min_sphere.",
            alt="A map of lambda_0, dark where it is small: from 1e-7 at many points on a circle to 0.46 at ten points in a "
            "thousand dimensions.",
            draw=draw_map,
        ),
        Figure(
            name="lambda_min_matched",
            items=("003-Q7",),
            title="Weights matched to the inputs",
            caption=f"(a) {orthant.samples} points uniform on the positive orthant, {orthant.draws} draws, closed form; "
            f"crosses: the expectation by {orthant.weight_samples} samples of w; published: Xie et al., Table 2 (3000 "
            f"points). (b) n = {aniso.samples}, d = {aniso.dimension}, {aniso.draws} draws. Bars: range over draws; seeds "
            f"{orthant.seed}, {aniso.seed}; synthetic.",
            alt="Left, lambda_0 rises with dimension and is a little higher for matched weights. Right, weights with the "
            "covariance of the inputs lower lambda_0 and weights with the inverse covariance raise it.",
            draw=draw_matched,
        ),
        Figure(
            name="lambda_min_separated",
            items=("003-Q8",),
            title="The least λ₀ of inputs whose lines stay δ apart",
            caption=f"The least value that {apart.restarts} starts of projected gradient descent ({apart.steps} steps, seed "
            f"{apart.seed}) found for each n, d, delta: an upper bound of the minimum. Dotted: bounds as quoted by others, "
            "constants from memory or left out. Dash-dotted: n neighbours on a circle.",
            alt="The least lambda_0 is a straight line of slope one in delta, hardly lower for more points, and above the quoted "
            "bounds, by two to four orders of magnitude for the first of them.",
            draw=draw_separated,
        ),
    ]
