"""Critical points by loss and curvature; slices through two saddles; gradient descent leaving all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.plotting.bars import bar_lengths
from zeroloss.studies.kawaguchi2016.claims_escape import escapes, measured_degenerate
from zeroloss.studies.kawaguchi2016.settings import Settings
from zeroloss.studies.wording import listed
from zeroloss.theory import kawaguchi2016 as theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def _plural(depth: int) -> str:
    return f"$H={depth}$ hidden layer{'s' if depth > 1 else ''}"


def draw_critical(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Loss of every critical point against its least Hessian eigenvalue (above) and its index (below), one column per H."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from zeroloss.plotting.style import ordered_cues

    width = settings.shown_width
    family = metrics[(metrics["part"] == "family") & (metrics["width"] == width)]
    search = metrics[metrics["part"] == "search"]
    search = search[search["kind"] != "not critical"]
    cues = ordered_cues(range(width + 1))
    depths = settings.depths
    canvas, axes = plt.subplots(
        2, len(depths), figsize=(4.1 * len(depths), 7), sharex=True, sharey="row", layout="constrained", squeeze=False
    )
    for column, depth in enumerate(depths):
        top, bottom = axes[:, column]
        found = search[search["depth"] == depth]
        x = found["excess"].clip(lower=0) / found["total"]
        style: Any = {
            "marker": "o",
            "s": 42,
            "facecolors": "none",
            "edgecolors": "0.55",
            "linewidths": 0.7,
            "zorder": 2,
        }
        top.scatter(x, -found["least"].clip(upper=0) / found["scale"], **style)
        bottom.scatter(x, found["negative"], **style)
        for rank, cue in cues.items():
            group = family[(family["depth"] == depth) & (family["rank"] == rank)]
            x = group["expected_excess"] / group["total"]
            least = (-group["least"] / group["scale"]).where(group["negative"] > 0, 0.0)
            # ranks share their places: side by side in the lower row, where values are whole numbers
            shift = 0.12 * (rank - width / 2)
            mark: Any = {"color": cue.colour, "marker": cue.marker, "linestyle": "", "markersize": 5, "alpha": 0.85}
            top.plot(x, least, **mark, zorder=3)
            bottom.plot(x, group["negative"] + shift, **mark, zorder=3)
        top.set_yscale("symlog", linthresh=1e-3, linscale=0.35)
        top.set_ylim(-7e-4, 3)
        top.set_yticks([0, 1e-3, 1e-2, 1e-1, 1], ["0", "$10^{-3}$", "$10^{-2}$", "$10^{-1}$", "1"])
        top.minorticks_off()
        top.set_title(_plural(depth))
        bottom.set_xlabel("(loss $-$ optimum) / (half the sum of all $\\lambda_k$)")
    axes[0, 0].set_ylabel(r"$-\lambda_{\min}$(Hessian) / scale")
    axes[1, 0].set_ylabel("negative eigenvalues (index)")
    handles = [
        Line2D(
            [], [], color=cue.colour, marker=cue.marker, linestyle="",
            label=f"rank {rank}" + (" $=p$: (iv) applies" if rank == width else ""),
        )
        for rank, cue in cues.items()
    ]  # fmt: skip
    handles.append(
        Line2D([], [], color="0.55", marker="o", markersize=7, markerfacecolor="none", linestyle="", label="found by the search")
    )  # fmt: skip
    canvas.legend(
        handles=handles, loc="outside upper center", ncols=len(handles), title="rank of the middle $W_H\\cdots W_2$"
    )
    return canvas


def draw_slices(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Loss over two directions at a strict and at a degenerate saddle, and the fall of the loss with the distance."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    table = metrics[metrics["part"] == "slice"]
    kinds = [kind for kind in ("strict", "degenerate") if (table["kind"] == kind).any()]
    depth = int(table["depth"].iloc[0])
    canvas, axes = plt.subplots(
        1, len(kinds) + 1, figsize=(4.6 * (len(kinds) + 1), 4.5), layout="constrained", squeeze=False
    )
    change = table["excess"] - table["expected_excess"]
    limit = float(-change.min())
    titles = {
        "strict": f"(a) strict saddle: middle of rank $p$, $H={depth}$",
        "degenerate": f"(b) degenerate saddle: zero, $H={depth}$",
    }
    second = {"strict": r"$b$: $W_1$ against $W_{H+1}$", "degenerate": r"$b$: the middle matrices"}
    picture: Any = None
    for panel, kind in zip(axes[0], kinds, strict=False):
        grid = table[table["kind"] == kind].assign(change=change)
        values = grid.pivot(index="b", columns="a", values="change")
        levels = np.linspace(-limit, limit, 25)
        picture = panel.contourf(values.columns, values.index, values.clip(-limit, limit), levels=levels, cmap="RdBu_r")
        panel.contour(values.columns, values.index, values, levels=[0.0], colors="black", linewidths=0.9)
        panel.plot(0, 0, marker="o", color="black", markersize=8)
        panel.set(xlabel=r"$a$: $W_1$ and $W_{H+1}$ together")
        panel.set_ylabel(second[kind])
        panel.set_title(titles[kind])
        panel.grid(False)
    canvas.colorbar(
        picture, ax=list(axes[0, : len(kinds)]), label="loss $-$ loss at the saddle", ticks=MaxNLocator(7), pad=0.02
    )
    _draw_falls(axes[0, -1], metrics, settings)
    return canvas


def _draw_falls(panel: Axes, metrics: pd.DataFrame, settings: Settings) -> None:
    """How far the loss falls along the way down of length t: mean over saddles and data sets, range as bars."""
    from zeroloss.plotting.style import ordered_cues

    ways = metrics[(metrics["part"] == "way") & (metrics["width"] == settings.shown_width) & (metrics["kept"] == 0)]
    orders = sorted(int(order) for order in ways["order"].unique())
    cues = ordered_cues(orders)
    for order in orders:
        # one H is enough for rank p; its fall is the same for all
        group = ways[ways["order"] == order]
        cue, by = cues[order], (-group["down"]).groupby(group["t"])
        mean = by.mean()
        panel.errorbar(
            mean.index, mean, bar_lengths(mean, by.min(), by.max()), color=cue.colour, marker=cue.marker, linestyle="-",
            capsize=3, label="spare rank, any $H$" if order == 2 else f"none to spare, $H={order - 1}$",
        )  # fmt: skip
        panel.plot(
            mean.index, mean.iloc[-1] * (mean.index / mean.index[-1]) ** order, color="0.1", linestyle=":",
            linewidth=2, zorder=4,
        )  # fmt: skip
        panel.annotate(
            f"$t^{{{order}}}$", (mean.index[0], mean.iloc[0]), xytext=(-6, -3), textcoords="offset points", ha="right"
        )
    panel.set(xscale="log", yscale="log", xlabel="length $t$ of the way down", ylabel="fall of the loss")
    lengths = sorted(settings.way_lengths)
    panel.set_xticks(lengths, [f"{t:g}" for t in lengths])
    panel.minorticks_off()
    panel.set_xlim(lengths[0] * 0.72, lengths[-1] * 1.15)
    panel.set_title("(c) ways down from $S=\\varnothing$")
    panel.legend(loc="lower right")


def _subset_cues(names: list[str]) -> dict[str, Any]:
    from zeroloss.plotting.style import ordered_cues

    return dict(zip(names, ordered_cues(range(len(names))).values(), strict=True))


def draw_curves(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Loss above the optimum over that of the saddle, one line per kept subset: full-rank middles above, others below."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    curves = metrics[metrics["part"] == "curve"]
    names = sorted(curves["subset"].unique(), key=lambda name: (len(name) if name != "none" else 0, name))
    cues = _subset_cues(names)
    width = settings.shown_width
    columns = [str(depth) for depth in settings.depths]
    mosaic: Any = [["full" + h for h in columns], [("full" if h == "1" else "low") + h for h in columns]]
    canvas = plt.figure(figsize=(4.2 * len(columns), 6.6), layout="constrained")
    panels = canvas.subplot_mosaic(mosaic, sharex=True, sharey=True)
    for key, panel in panels.items():
        full, depth = key.startswith("full"), int(key.removeprefix("full").removeprefix("low"))
        group = curves[curves["depth"] == depth]
        group = group[group["rank"] == width] if full else group[group["rank"] == group["kept"]]
        for place, (name, cue) in enumerate(cues.items()):
            one = group[(group["subset"] == name) & (group["step"] > 0)]
            if one.empty:
                continue
            by = one.groupby("step")["relative_excess"]
            strict = bool(one["strict"].iloc[0])
            panel.plot(
                by.mean().index, by.median(), color=cue.colour, marker=cue.marker, markevery=(place % 9, 9), markersize=4,
                linestyle="-" if strict else "--", zorder=3,
            )  # fmt: skip
            panel.fill_between(by.mean().index, by.min(), by.max(), color=cue.colour, alpha=0.13, linewidth=0)
        panel.set_title(f"$H={depth}$, middle of rank " + ("$p$" if full else "$|S|$"))
        panel.set(
            xscale="log", ylim=(-0.03, 1.06), xlim=(settings.escape.curve_steps / 500, settings.escape.curve_steps)
        )
        panel.label_outer()
    for row in mosaic:
        # heights differ between the tall panel and the others: the first short ones carry their own numbers
        if len(row) > 1:
            panels[row[1]].tick_params(labelleft=True)
    for h in columns:
        panels[("full" if h == "1" else "low") + h].set_xlabel("step $k$")
    label = r"$(L(k)-L^*)\,/\,(L_{\mathrm{saddle}}-L^*)$"
    for key in {mosaic[0][0], mosaic[1][0]}:
        panels[key].set_ylabel(label)
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, label=f"$S$: {name}" if name != "none" else "$S$ empty")
        for name, cue in cues.items()
    ]
    handles.append(Line2D([], [], color="0.3", linestyle="--", label="no negative eigenvalue"))
    handles.append(Line2D([], [], color="0.4", alpha=0.3, linewidth=7, label="range over directions"))
    canvas.legend(handles=handles, loc="outside upper center", ncols=5)
    return canvas


def draw_escape(metrics: pd.DataFrame, settings: Settings) -> Canvas:
    """Time to leave a strict saddle against |lambda_min| for every H, and a degenerate one against 1 / delta."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullFormatter

    from zeroloss.plotting.style import ordered_cues

    strict = escapes(metrics, strict=True)
    strict = strict.assign(time=strict["steps"] * strict["step_size"])
    deltas = settings.escape.perturbations
    cues, depths = ordered_cues(deltas), settings.depths
    canvas, axes = plt.subplots(
        1, len(depths) + 1, figsize=(3.7 * (len(depths) + 1), 4.6), layout="constrained", squeeze=False
    )
    for panel, depth in zip(axes[0], depths, strict=False):
        for delta, cue in cues.items():
            here = strict[(strict["depth"] == depth) & (strict["perturbation"] == delta)]
            by = here.groupby(["seed", "subset", "rank"])
            x, mean = by["least"].first().abs(), by["time"].mean()
            bars = bar_lengths(mean, by["time"].min(), by["time"].max())
            panel.errorbar(
                x,
                mean,
                bars,
                color=cue.colour,
                marker=cue.marker,
                linestyle="",
                markersize=3.5,
                elinewidth=0.7,
                alpha=0.75,
            )
            if len(x):
                line = np.geomspace(x.min(), x.max(), 50)
                panel.plot(
                    line,
                    theory.escape_prediction(delta, line),
                    color=cue.colour,
                    linestyle=":",
                    linewidth=1.4,
                    zorder=1,
                )
        panel.set(xscale="log", yscale="log", xlabel=r"$|\lambda_{\min}|$ of the saddle", title=_plural(depth))
    slowest, fastest = strict["time"].max(), strict["time"].min()
    ticks = [value for value in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0) if 0.9 * strict["least"].abs().min() <= value]
    for number, panel in enumerate(axes[0, : len(depths)]):
        panel.set_ylim(fastest / 1.5, slowest * 1.5)
        panel.set_xlim(strict["least"].abs().min() / 1.3, strict["least"].abs().max() * 1.3)
        panel.set_xticks([tick for tick in ticks if tick <= strict["least"].abs().max() * 1.2])
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.tick_params(labelleft=number == 0)
    axes[0, 0].set_ylabel(r"time to leave, steps $\times\ \eta$")
    _draw_degenerate(axes[0, -1], measured_degenerate(metrics), settings)
    handles = [
        Line2D([], [], color=cue.colour, marker=cue.marker, linestyle="", label=rf"$\delta={_power(delta)}$")
        for delta, cue in cues.items()
    ]
    law = r"$\ln(1/\delta)/|\lambda_{\min}|$; right: $\delta^{-(H-1)}$"
    handles.append(Line2D([], [], color="0.2", linestyle=":", label=law))
    handles.append(
        Line2D(
            [],
            [],
            color="0.4",
            marker="|",
            markersize=10,
            linestyle="",
            label="range over directions (right: and data sets)",
        )
    )
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def _draw_degenerate(panel: Axes, table: pd.DataFrame, settings: Settings) -> None:
    """Times against 1 / delta for every H (colour) and subset S (marker) without negative eigenvalue."""
    from zeroloss.plotting.style import ordered_cues

    colours = ordered_cues([depth for depth in settings.depths if depth > 1])
    markers = ordered_cues(range(settings.outputs))
    for (depth, kept, subset), here in table.groupby(["depth", "kept", "subset"]):
        colour, marker = colours[int(depth)].colour, markers[int(kept)].marker
        logs = np.log((here["steps"] * here["step_size"]).clip(lower=1e-3))
        by = logs.groupby((1 / here["perturbation"]).round(9))
        mean, x = np.exp(by.mean()), by.mean().index.to_numpy()
        bars = bar_lengths(mean, np.exp(by.min()), np.exp(by.max()))
        # lines side by side, so that their bars can be told apart
        x = x * 1.04 ** (kept - 1 + (depth - 2) / 3)
        name = "$S$ empty" if subset == "none" else f"$S$: {subset}"
        panel.errorbar(x, mean, bars, color=colour, marker=marker, capsize=3, label=f"$H={depth:.0f}$, {name}")
        guide = mean.iloc[-1] * (x / x[-1]) ** (depth - 1)
        panel.plot(x, guide, color=colour, linestyle=":", linewidth=1.4)
    panel.set(xscale="log", yscale="log", xlabel=r"$1/\delta$", title="no negative eigenvalue")
    sizes = sorted(1 / delta for delta in settings.escape.degenerate_perturbations)
    panel.set_xticks(sizes, [f"{size:g}" for size in sizes])
    panel.minorticks_off()
    if len(table):
        panel.legend(loc="upper left", fontsize=8)
        low, high = panel.get_ylim()
        panel.set_ylim(low, high * (high / low) ** 0.3)


def _power(value: float) -> str:
    exponent = np.log10(value)
    return f"10^{{{exponent:.0f}}}" if abs(exponent - round(exponent)) < 1e-9 else listed([value])
