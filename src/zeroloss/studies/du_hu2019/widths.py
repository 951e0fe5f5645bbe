"""Widths read off sweeps: from which width on something holds, for each depth and seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.theory.statistics import loglog_slope

# ln of loss over bound that counts as rounding of float32: below 1e-7 l(0), the least value of the bounds that are
# drawn, the residual carries a relative error of 1e-7 / sqrt(1e-7)
ROUNDING = 1e-3


def least_widths(table: pd.DataFrame, holds: pd.Series) -> pd.DataFrame:
    """The least width from which on ``holds`` is true at all widths tried: columns depth, seed, width.

    NaN where it fails at the largest width.
    """
    rows = []
    marked = table.assign(holds=holds.to_numpy(bool)).sort_values("width", ascending=False)
    for (depth, seed), group in marked.groupby(["depth", "seed"]):
        number = int(np.logical_and.accumulate(group["holds"].to_numpy()).sum())
        rows.append({"depth": depth, "seed": seed, "width": group["width"].iloc[number - 1] if number else np.nan})
    return pd.DataFrame(rows, columns=["depth", "seed", "width"])


def bound_widths(metrics: pd.DataFrame, start: str) -> pd.DataFrame:
    """From which width on the loss stays below the bound of that start's theorem, at every step."""
    runs = metrics[(metrics["part"] == "run") & (metrics["start"] == start)]
    return least_widths(runs, runs["slack"] <= ROUNDING)


def trained_widths(metrics: pd.DataFrame, start: str, target: str, trained: float) -> pd.DataFrame:
    """From which width on l(T) / l(0) is below ``trained``."""
    runs = metrics[(metrics["part"] == "heat") & (metrics["start"] == start) & (metrics["target"] == target)]
    return least_widths(runs, runs["relative_loss"] <= trained)


def inner_depths(found: pd.DataFrame, least: int) -> pd.DataFrame:
    """The depths at which every seed's width lies inside the grid: above its least width, and reached."""
    inside = found.groupby("depth")["width"].agg(lambda widths: bool((widths > least).all()))
    return found[found["depth"].isin(inside.index[inside])]


def depth_slopes(found: pd.DataFrame) -> list[float]:
    """Log-log slope of the width over the depth, one per seed; empty for fewer than two depths."""
    if found["depth"].nunique() < 2:
        return []
    return [loglog_slope(group["depth"], group["width"]) for _, group in found.groupby("seed")]


def half_aspects(table: pd.DataFrame) -> dict[int, float]:
    """m / q at which half of the draws are inside their band, by q; linear in ln(m / q) between the points tried."""
    found = {}
    for factors, group in table.groupby("depth"):
        group = group.sort_values("aspect")
        inside = 1 - (group["outside"] / group["draws"]).to_numpy()
        above = np.flatnonzero(inside >= 0.5)
        if len(above) and above[0] > 0:
            k = int(above[0])
            logs = np.log(group["aspect"].to_numpy()[k - 1 : k + 1])
            found[int(factors)] = float(np.exp(np.interp(0.5, inside[k - 1 : k + 1], logs)))
    return found
