"""The published curves, and statistics over initialisations that figures and claims share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.theory.jacot2018 import TENTH


def published_kernels() -> pd.DataFrame:
    """Figure 1: columns width, step, init, gamma, kernel."""
    table = published.load("jacot2018_fig1")
    width, step = table["series"].str.removeprefix("n=").str.split(",t=", expand=True).astype(int).to_numpy().T
    return table.assign(width=width, step=step, kernel=table["ntk"])[["width", "step", "init", "gamma", "kernel"]]


def published_function(angles: np.ndarray) -> pd.DataFrame:
    """Figure 2, n = infinity: columns gamma, P10, P50, P90, interpolated at the angles (radians, increasing)."""
    table = published.load("jacot2018_fig2")
    found = {"gamma": angles}
    for name, series in (("P10", "inf P10/P90 b"), ("P50", "inf P50"), ("P90", "inf P10/P90 a")):
        curve = table[table["series"] == series].sort_values("gamma")
        found[name] = np.interp(angles, curve["gamma"], curve["f"])
    return pd.DataFrame(found)


def percentiles(limit: pd.DataFrame) -> pd.DataFrame:
    """The same columns of the Gaussian limit, from its mean and deviation."""
    mean, width = limit["mean"].to_numpy(), TENTH * limit["deviation"].to_numpy()
    return pd.DataFrame({"gamma": limit["gamma"].to_numpy(), "P10": mean - width, "P50": mean, "P90": mean + width})


def at_angle(table: pd.DataFrame, gamma: float, column: str) -> pd.Series:
    """``column`` at the angle nearest to gamma, by initialisation (column seed or init)."""
    nearest = table["gamma"].unique()[np.abs(table["gamma"].unique() - gamma).argmin()]
    here = table[table["gamma"] == nearest]
    return here.set_index("seed" if "seed" in here else "init")[column]


def drifts(metrics: pd.DataFrame) -> pd.DataFrame:
    """|Theta_t(x_0, .) - Theta_0(x_0, .)| / |Theta_0(x_0, .)| over the angles: columns width, seed, drift, diverged."""
    kernels = metrics[metrics["part"] == "kernel"]
    wide = kernels.pivot_table(index=["width", "seed", "gamma"], columns="step", values="kernel", dropna=False)
    first, last = wide.columns.min(), wide.columns.max()
    squares = pd.DataFrame({"moved": (wide[last] - wide[first]) ** 2, "size": wide[first] ** 2})
    sums = squares.groupby(["width", "seed"]).sum(min_count=1)
    drift = np.sqrt(sums["moved"] / sums["size"]).rename("drift").reset_index()
    return drift.assign(diverged=~np.isfinite(drift["drift"]))


def rates(metrics: pd.DataFrame, eigenvalue: float, rate: float) -> pd.DataFrame:
    """Decay rate of |g_t| for each width and seed: least squares of ln |g_t| against t while the limit is above 1/10.

    Returns:
        columns width, seed, ratio (fitted rate over that of the limit), across (largest |h_t|).
    """
    rows = []
    for (width, seed), run in metrics[metrics["part"] == "along"].groupby(["width", "seed"]):
        limit = (1 - rate * eigenvalue) ** run["step"]
        used = run[(limit >= 0.1) & (run["along"] > 0)]
        slope = np.polyfit(used["step"], np.log(used["along"]), 1)[0] if len(used) > 2 else np.nan
        rows.append(
            {
                "width": width,
                "seed": seed,
                "ratio": slope / np.log(1 - rate * eigenvalue),
                "across": run["across"].max(),
            }
        )
    return pd.DataFrame(rows)


def eigenvalues(metrics: pd.DataFrame, beta: float) -> np.ndarray:
    """lambda_1, lambda_2, lambda_3 of the kernel on the images."""
    part = metrics[(metrics["part"] == "eigenvalue") & (metrics["beta"] == beta)]
    return part.sort_values("index")["eigenvalue"].to_numpy()
