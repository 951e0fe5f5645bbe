"""What the starts ended at by width, the copied minima, and the curvature at zero."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.yu_chen1995.experiment import STATIONARY, ZERO, Settings

KINDS = ("zero", "strict minimum", "flat", "saddle", "unfinished", "diverged")


def width_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    starts = metrics[metrics["part"] == "starts"]
    rows = []
    for units, group in starts.groupby("units"):
        counts = group["kind"].value_counts()
        stuck = group[group["kind"] != "zero"]["relative_loss"]
        row = {
            "k": int(units),
            "parameters": (int(units) - 1) * (settings.starts.dimension + 2) + 1,
            "starts": len(group),
        }
        row |= {kind: int(counts.get(kind, 0)) for kind in KINDS}
        rows.append(
            {
                **row,
                "largest loss at zero": group[group["kind"] == "zero"]["relative_loss"].max(),
                "median loss of the rest": stuck.median() if len(stuck) else np.nan,
                "median loss after gradient descent": group["after_descent"].median(),
            }
        )
    return pd.DataFrame(rows)


def copied_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row per copied minimum; empty columns where none was found."""
    copied = metrics[metrics["part"] == "copied"]
    if copied.empty:
        return pd.DataFrame({"note": ["no narrow network had a strict minimum with a unit that can be copied"]})
    rows = []
    for _, group in copied.groupby("example"):
        first = group.iloc[0]
        rows.append(
            {
                "problem": int(first["problem"]),
                "k of the narrow network": int(first["narrow_units"]),
                "k": int(first["units"]),
                "loss": first["relative_loss"],
                "gradient": first["gradient"],
                "least curvature": first["curvature"],
                "least curvature of the copied unit": first["unit_curvature"],
                "nearby starts": len(group),
                "least loss nearby, minus loss": (
                    group[["before", "after"]].min(axis=1) - first["relative_loss"]
                ).min(),
                "largest loss after descent, minus loss": (group["after"] - first["relative_loss"]).max(),
            }
        )
    return pd.DataFrame(rows)


def saddle_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    part = metrics[metrics["part"] == "curvature"]
    rows = []
    for (activation, depth), group in part.groupby(["activation", "depth"]):
        rows.append(
            {
                "activation": activation,
                "depth": int(depth),
                "gradient": group["gradient"].max(),
                "least Hessian eigenvalue (autograd), mean": group["hessian_least"].mean(),
                "standard deviation over seeds": group["hessian_least"].std(ddof=1) if len(group) > 1 else np.nan,
                "largest singular value of Y X^T, mean": group["top_singular_value"].mean(),
                "largest Hessian entry (autograd)": group["hessian_largest_entry"].max(),
                "least second difference, mean": group["least_second_difference"].mean(),
                "parallelogram defect": group["parallelogram_defect"].max(),
                "first power of t": group["order"].mean(),
            }
        )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    starts, saddle = settings.starts, settings.saddle
    sizes = (
        f"n = {starts.samples} patterns N(0, I), d = {starts.dimension}, labels N(0, 1) (synthetic); {len(starts.problems)} "
        f"problems with {starts.starts} starts each"
    )
    return [
        Table(
            name="yu_chen1995_starts",
            items=("001-TH7",),
            title="Where random starts end, by width",
            caption=f"{sizes}. k counts the constant unit. {starts.descent_steps} steps of gradient descent, then at most "
            f"{starts.newton_steps} of Levenberg-Marquardt, float64. Losses are shares of |y|^2 / 2; zero: below {ZERO:g}; "
            f"the others have a gradient below {STATIONARY:g} or are unfinished; flat: no curvature to rounding, such as units "
            "saturated on the way to infinity.",
            make=width_table,
        ),
        Table(
            name="yu_chen1995_copied",
            items=("001-TH7",),
            title="Local minima with positive loss at the theorem's width",
            caption=f"Strict minima of networks with one sigmoid, copied until k = n = {starts.samples}; labels tanh(x_1) + "
            f"{starts.label_noise:g} N(0, 1), no thresholds "
            "(sigma(W_1 X) as the document writes it): on random labels and with thresholds none could be copied; and "
            f"{starts.nearby} starts of gradient descent ({starts.descent_steps} steps) at distance {starts.radius:g} from "
            "each. Losses are shares of |y|^2 / 2.",
            make=copied_table,
        ),
        Table(
            name="yu_chen1995_saddle",
            items=("001-Q1",),
            title="The point zero: curvature by depth",
            caption=f"1/2 |f(X) - Y|^2, n = {saddle.samples}, all widths {saddle.dimension}, {len(saddle.seeds)} seeds, "
            f"{saddle.directions} pairs of directions. A ReLU network of depth 2 has no Hessian there: its second "
            "differences break the parallelogram law, and automatic differentiation returns zeros that mean nothing.",
            make=saddle_table,
        ),
    ]
