"""The function of Theorem 1, its conditioning, Rademacher complexities over n, kernel interpolation over n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.zhang2017_theory.experiment import Settings
from zeroloss.theory import zhang2017 as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

KERNELS = {"gaussian": "Gaussian kernel", "relu": r"$H^\infty$ kernel"}
_BAND: dict[str, Any] = {"color": "0.4", "alpha": 0.3, "linewidth": 7}


def _spread(axes: Axes, x: Any, groups: Any, **cue: Any) -> None:
    """Median with the range as a band, of a grouped series."""
    median, low, high = groups.median(), groups.min(), groups.max()
    axes.plot(x, median, **cue, zorder=3)
    axes.fill_between(x, low, high, color=cue["color"], alpha=0.2, linewidth=0, zorder=2)


def rule_name(rule: str) -> str:
    return {"0.5": "midpoint, $s=1/2$", "1": "previous sample, $s=1$", "random": "$s$ random"}.get(rule, f"$s={rule}$")


def _rules(settings: Settings) -> list[str]:
    return [f"{share:g}" for share in settings.construction.shares]


def draw_function(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """c along the direction a: one panel per share; samples, kinks at b_j."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    rules = _rules(settings)
    cues = ordered_cues(list(range(len(rules))))
    curves, marks = (metrics[metrics["part"] == part] for part in ("curve", "mark"))
    samples = marks[marks["rule"] == "sample"]
    canvas, panels = plt.subplots(
        1, len(rules), figsize=(4.6 * len(rules), 4.2), layout="constrained", sharex=True, squeeze=False
    )
    for k, (axes, rule) in enumerate(zip(panels[0], rules, strict=True)):
        curve, kinks = curves[curves["rule"] == rule], marks[marks["rule"] == rule]
        inside = curve[curve["projection"] <= samples["projection"].max()]
        axes.plot(inside["projection"], inside["value"], color=cues[k].colour, zorder=2)
        axes.plot(kinks["projection"], kinks["value"], "|", color=cues[k].colour, markersize=11, markeredgewidth=1.6)
        axes.plot(samples["projection"], samples["value"], "o", color="0.1", markersize=5.5, zorder=4)
        reach = float(inside["value"].abs().max())
        if reach > 20:
            axes.set_yscale("symlog", linthresh=1)
        axes.set(xlabel=r"projection $\langle a, z\rangle$", ylabel="$c(z)$", title=rule_name(rule))
    handles = [
        Line2D([], [], color="0.1", marker="o", linestyle="", label="samples $(x_i, y_i)$, random signs"),
        Line2D([], [], color="0.4", label=r"$c(z)=\sum_j w_j\,\max(\langle a,z\rangle-b_j,0)$"),
        Line2D(
            [], [], color="0.4", marker="|", markersize=11, linestyle="", label="kinks at $b_j=x_j-s\\,(x_j-x_{j-1})$"
        ),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=3)
    return canvas


def draw_conditioning(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """(a) residual, its bound, float32; (b) least eigenvalue; (c) condition number of every rule."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    built = metrics[(metrics["part"] == "construction") & metrics["distinct"].eq(True)]
    titles = list(built["data_title"].unique())
    dashes = dict(zip(titles, ("-", "--", "-.", (0, (1, 1))), strict=False))
    rules = [*_rules(settings), "random"]
    cues = ordered_cues(list(range(len(rules))))
    single = (0.75, 0.3, 0.1)
    canvas, (left, middle, right) = plt.subplots(1, 3, figsize=(14.5, 5), layout="constrained")
    half = built[built["rule"] == "0.5"]
    for title in titles[:4]:
        for precision, colour, marker in (("float64", cues[rules.index("0.5")].colour, "s"), ("float32", single, "v")):
            by = half[(half["data_title"] == title) & (half["precision"] == precision)].groupby("samples")
            n = list(by.groups)
            _spread(left, n, by["residual"], color=colour, marker=marker, linestyle=dashes[title])
            if title == titles[0]:
                left.plot(n, by["bound"].median(), color=colour, linestyle=":", linewidth=1.3)
        for rule, cue in zip(rules, cues.values(), strict=True):
            of = built[(built["rule"] == rule) & (built["data_title"] == title) & (built["precision"] == "float64")]
            finite = of[np.isfinite(of["condition"])]
            by = finite.groupby("samples")["condition"]
            _spread(right, list(by.groups), by, color=cue.colour, marker=cue.marker, linestyle=dashes[title])
            if rule == "0.5":
                by = of.groupby("samples")["least_eigenvalue"]
                _spread(middle, list(by.groups), by, color=cue.colour, marker=cue.marker, linestyle=dashes[title])
    sizes = np.array(settings.construction.samples, dtype=float)
    expected = np.array([np.log(2) * theory.expected_least_gap(int(k)) for k in sizes])
    middle.plot(sizes, 0.5 * expected, color="0.2", linestyle=":", linewidth=1.3)
    left.axhline(1.0, color="0.3", linewidth=0.8)
    left.set(title=r"(a) $\max_i|c(z_i)-y_i|$, midpoints", ylabel="residual", yscale="log")
    left.annotate("signs are lost above", (0.03, 1.0), xycoords=("axes fraction", "data"), va="bottom", fontsize=10)
    middle.set(title=r"(b) least eigenvalue $\min_i(x_i-b_i)$, midpoints", ylabel="least eigenvalue", yscale="log")
    finite_top = built["condition"].replace(np.inf, np.nan).max()
    right.set(title="(c) condition number of $A$", ylabel=r"$|A|_\infty|A^{-1}|_\infty$", yscale="log")
    right.set_ylim(10, min(1e30, 10 * finite_top))
    guide = sizes**3 * 0.1
    right.plot(sizes, guide, color="0.2", linewidth=0.8)
    right.annotate(
        "$\\propto n^3$", (sizes[-1], guide[-1]), (-4, -16), textcoords="offset points", ha="right", fontsize=10
    )
    for axes in (left, middle, right):
        axes.set(xscale="log", xlabel="sample size $n$")
    handles = [
        Line2D([], [], color=c.colour, marker=c.marker, label=rule_name(r))
        for r, c in zip(rules, cues.values(), strict=True)
    ]
    handles += [
        Line2D([], [], color=single, marker="v", label="float32, midpoint"),
        *(Line2D([], [], color="0.3", linestyle=dashes[title], label=title) for title in titles[:4]),
        Line2D([], [], color="0.2", linestyle=":", label="(a) rounding bound, (b) theory"),
        Line2D([], [], **_BAND, label="range over seeds"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=5)
    return canvas


def draw_rademacher(metrics: pd.DataFrame, settings: Settings, *, source: str) -> Canvas:
    """(a) norm balls with their bounds beside trained networks; (b) kernel balls just large enough for the labels."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[(metrics["part"] == "rademacher") & (metrics["source"] == source)]
    widths = settings.rademacher.widths
    cues = ordered_cues(widths)
    greys = {"linear": ("#c44e52", "D", "linear, $|w|\\leq1$"), "relu kernel": ("#dd8452", "P", r"$H^\infty$ ball, norm 1"),
             "gaussian kernel": ("#937860", "X", "Gaussian ball, norm 1")}  # fmt: skip
    canvas, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")
    for k, width in reversed(list(enumerate(widths))):  # larger markers behind, for where curves coincide
        nets = part[(part["class"] == "network") & (part["width"] == width)].groupby("samples")["value"]
        cue = cues[width]
        _spread(left, list(nets.groups), nets, color=cue.colour, marker=cue.marker, markersize=4.5 + 2.5 * k)
    for name, (colour, marker, _) in greys.items():
        by = part[part["class"] == name].groupby("samples")
        _middle_range(left, by, colour, marker)
    balls = {"ball of random labels": ("#8172b3", "s", "ball that holds random labels"),
             "ball of the true labels": ("#55a868", "o", "ball that holds the true labels")}  # fmt: skip
    for name, (colour, marker, _) in balls.items():
        _middle_range(right, part[part["class"] == name].groupby("samples"), colour, marker)
    left.axhline(1.0, color="0.2", linewidth=0.9)
    right.axhline(1.0, color="0.2", linewidth=0.9)
    left.set(title="(a) networks and norm balls", ylabel=r"$\hat{\mathfrak{R}}_n$", yscale="log")
    right.set(title=r"(b) balls of the $H^\infty$ kernel", ylabel=r"$\hat{\mathfrak{R}}_n$")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set(xscale="log", xlabel="sample size $n$")
        axes.set_xticks(settings.rademacher.samples, [str(n) for n in settings.rademacher.samples])
        axes.minorticks_off()
    handles = [
        Line2D([], [], color=cues[m].colour, marker=cues[m].marker, label=f"network, $m={m}$ (trained)") for m in widths
    ]
    handles += [Line2D([], [], color=c, marker=k, label=text) for c, k, text in (*greys.values(), *balls.values())]
    handles += [
        Line2D([], [], color="0.2", linewidth=0.9, label=r"1: width $n$, by Theorem 1"),
        Line2D([], [], color="0.2", linestyle=":", label=r"bound $B\sqrt{\mathrm{tr}\,K}/n$"),
        Line2D([], [], **_BAND, label="range or 90 % of draws"),
    ]
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def _middle_range(axes: Axes, by: Any, colour: str, marker: str) -> None:
    """Mean over many draws of the signs, the middle 90 % of them as a band, the norm bound dotted."""
    n = list(by.groups)
    axes.plot(n, by["value"].mean(), color=colour, marker=marker, zorder=3)
    axes.fill_between(n, by["value"].quantile(0.05), by["value"].quantile(0.95), color=colour, alpha=0.2, linewidth=0)
    axes.plot(n, by["bound"].first(), color=colour, linestyle=":", linewidth=1.3)


def draw_kernels(metrics: pd.DataFrame, settings: Settings, *, source: str) -> Canvas:
    """(a) test error against n, true labels; (b) RKHS norm with true and random labels."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    part = metrics[(metrics["part"] == "kernel") & (metrics["source"] == source)]
    cues = dict(zip(KERNELS, ordered_cues([0, 1]).values(), strict=True))
    canvas, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    for kernel, cue in cues.items():
        for labels, dash in (("true", "-"), ("random", (0, (3, 1.2)))):
            by = part[(part["kernel"] == kernel) & (part["label_kind"] == labels)].groupby("samples")
            n, look = list(by.groups), {"color": cue.colour, "marker": cue.marker, "linestyle": dash}
            _spread(left, n, by["test_error"], **look)
            _spread(right, n, by["norm"], **look)
    handles = [Line2D([], [], color=c.colour, marker=c.marker, label=KERNELS[k]) for k, c in cues.items()]
    handles += [
        Line2D([], [], color="0.3", label="true labels"),
        Line2D([], [], color="0.3", linestyle=(0, (3, 1.2)), label="random labels"),
        Line2D([], [], **_BAND, label="range over seeds"),
        Line2D([], [], color="0.5", linestyle=":", label="chance"),
    ]
    left.axhline(0.9, color="0.5", linestyle=":", linewidth=1.3)
    paper = published.load("zhang2017_table3")
    printed = paper[(paper["data"] == source) & (paper["preprocessing"] == "none")]
    for _, row in printed.iterrows():
        left.plot(
            row["n"], row["test_error"], "*", color=cues["gaussian"].colour, markersize=12, markerfacecolor="none"
        )
        handles.append(
            Line2D([], [], color=cues["gaussian"].colour, marker="*", markersize=11, markerfacecolor="none", linestyle="",
                   label=f"published, $n={int(row['n'])}$")
        )  # fmt: skip
    left.set(title="(a) test error", ylabel="test error", yscale="log")
    right.set(
        title="(b) RKHS norm of the interpolant", ylabel=r"$(\mathrm{tr}\,\alpha^\top K\alpha)^{1/2}$", yscale="log"
    )
    for axes in (left, right):
        axes.set(xscale="log", xlabel="sample size $n$")
        sizes = sorted({*part["samples"].astype(int), *(printed["n"] if axes is left else [])})
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.minorticks_off()
    canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    return canvas


def figures(settings: Settings) -> list[Figure]:
    built, classes, kernels = settings.construction, settings.rademacher, settings.kernels
    found = [
        Figure(
            name="zhang2017_theory_function",
            items=("004-TH8",),
            title="Theorem 1: the function c along the direction a",
            caption=f"n = {built.drawn_samples} samples (synthetic, evenly spread) with random signs, seed "
            f"{built.seeds[0]}; kinks at the "
            f"share s = {listed(built.shares)} of the gap below each sample. All fit exactly. "
            "Where c leaves ± 20 the axis is logarithmic on both sides of ± 1, which bends straight pieces.",
            alt="Zigzag functions through eight points, one panel for each place of the kinks; with the kinks close "
            "to the "
            "samples on their right the swings grow from sample to sample.",
            draw=draw_function,
        ),
        Figure(
            name="zhang2017_theory_conditioning",
            items=("004-TH8",),
            title="Theorem 1: residual and conditioning against n",
            caption=f"n = {listed(built.samples)} as far as the data go; Gaussian inputs with d = {built.dimension} "
            "and random signs; images "
            f"({listed(settings.sources)}) with random classes; {len(built.seeds)} seeds: median and range. Float64 "
            "but where float32 is "
            "said. Dotted: rounding bound (Gaussian), and half the median least gap of Gaussian inputs. Condition "
            "numbers beyond "
            "the axis are left out.",
            alt="Residual, least eigenvalue and condition number against n on logarithmic axes; float32 loses signs, "
            "and the condition number "
            "is a power of n at the midpoint and exponential for kinks near the right.",
            draw=draw_conditioning,
        ),
    ]
    for source in settings.sources:
        found += [
            Figure(
                name=f"zhang2017_theory_rademacher_{source}",
                items=("004-E3",),
                title=f"Empirical Rademacher complexity against n: {source}",
                caption=f"{source}, unit inputs, n = {listed(classes.samples)}, seed {classes.seed}. Classes in "
                "closed form: mean and middle 90 % of "
                f"{classes.class_draws} draws of the signs. Networks: {classes.network_draws} draws, median and "
                "range; the largest "
                f"correlation met in {classes.steps} Adam steps (a lower bound of the supremum).",
                alt="Complexities of norm balls fall along their bounds like one over the root of n; those of "
                "networks stay at 1 and fall only "
                "where the network is too small.",
                draw=draw_rademacher,
                options={"source": source},
            ),
            Figure(
                name=f"zhang2017_theory_kernels_{source}",
                items=("004-T1",),
                title=f"Kernel interpolation against n: {source}",
                caption=f"{source}, random subsets of {settings.pool} training images, n = {listed(kernels.samples)}, "
                f"{settings.test} test images, "
                f"{seeds_text(kernels.seeds)}: median and range. K alpha = y against one-hot labels, no "
                "regularisation. Gaussian kernel on "
                "pixels from 0 to 1 (coefficient in the table); H-infinity on unit vectors.",
                alt="Test error falls with n for true labels and stays at chance for random ones; the norm of the "
                "solution is larger for random "
                "labels at every n.",
                draw=draw_kernels,
                options={"source": source},
            ),
        ]
    return found
