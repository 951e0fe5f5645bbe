"""The published curves, and statistics over initialisations that figures and claims share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.theory.jacot2018 import TENTH

if TYPE_CHECKING:
    from zeroloss.studies.jacot2018.experiment import Settings

# far beyond what may be measured: training moves a kernel by about its size at the narrowest networks here
LARGEST_DRIFT = 1000.0
# losses at the start are not kept: of a network they scatter about the limit's expectation, but not up to 100 times it
LARGEST_LOSS = 100.0


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


def largest_loss(settings: Settings) -> float:
    """``LARGEST_LOSS`` times the expected cost of Figure 2 at the start, f_0 being Gaussian with variance Sigma^(L)."""
    variance = 0.5 + settings.beta**2  # of the first layer on the circle: |x|^2 / n0 = 1/2
    for _ in range(settings.layers - 1):
        variance = variance / 2 + settings.beta**2
    return LARGEST_LOSS * float(np.mean(np.square(settings.function.targets)) + variance) / 2


def _loss_at_data(gamma: pd.Series, value: pd.Series, settings: Settings, spread: pd.Series | None = None) -> float:
    """Cost at the training inputs of a curve over gamma, interpolated; ``spread`` is a deviation to be added."""
    angles = (np.array(settings.function.data_angles) + np.pi) % (2 * np.pi) - np.pi
    errors = np.interp(angles, gamma, value) - np.array(settings.function.targets)
    apart = 0.0 if spread is None else np.interp(angles, gamma, spread)
    return float(np.mean(errors**2 + apart**2) / 2)


def diverged_functions(metrics: pd.DataFrame, settings: Settings) -> pd.Series:
    """Whether a network of Figure 2 diverged, by (width, seed): not finite, or a cost above ``largest_loss``."""
    runs = metrics[metrics["part"] == "function"].sort_values("gamma").groupby(["width", "seed"])
    allowed = largest_loss(settings)
    return pd.Series(
        {
            name: not (
                np.isfinite(run["value"]).all() and _loss_at_data(run["gamma"], run["value"], settings) <= allowed
            )
            for name, run in runs
        },
        dtype=bool,
    ).rename_axis(["width", "seed"])


def limit_diverged(metrics: pd.DataFrame, settings: Settings) -> bool:
    """Whether gradient descent of the infinitely wide network diverged: its steps were too large for the kernel."""
    limit = metrics[metrics["part"] == "limit_function"].sort_values("gamma")
    if not np.isfinite(limit[["mean", "deviation"]]).all(axis=None):
        return True
    return _loss_at_data(limit["gamma"], limit["mean"], settings, limit["deviation"]) > largest_loss(settings)


def drifts(metrics: pd.DataFrame) -> pd.DataFrame:
    """|Theta_t(x_0, .) - Theta_0(x_0, .)| / |Theta_0(x_0, .)| over the angles: columns width, seed, drift, diverged.

    Diverged: not finite, or above ``LARGEST_DRIFT``.
    """
    kernels = metrics[metrics["part"] == "kernel"]
    wide = kernels.pivot_table(index=["width", "seed", "gamma"], columns="step", values="kernel", dropna=False)
    first, last = wide.columns.min(), wide.columns.max()
    squares = pd.DataFrame({"moved": (wide[last] - wide[first]) ** 2, "size": wide[first] ** 2})
    sums = squares.groupby(["width", "seed"]).sum(min_count=1)
    drift = np.sqrt(sums["moved"] / sums["size"]).rename("drift").reset_index()
    return drift.assign(diverged=~(drift["drift"] <= LARGEST_DRIFT))


def rates(metrics: pd.DataFrame, eigenvalue: float, rate: float) -> pd.DataFrame:
    """Decay rate of |g_t| for each width and seed: least squares of ln |g_t| against t while the limit is above 1/10.

    Returns:
        columns width, seed, ratio (fitted rate over that of the limit; NaN where either has none), across (largest |h_t|),
        diverged (an error is not finite, or they end above their start).
    """
    rows = []
    # beyond 1 the limit changes its sign at every step and has no rate of decay
    exact = np.log(1 - rate * eigenvalue) if rate * eigenvalue < 1 else np.nan
    for (width, seed), run in metrics[metrics["part"] == "along"].groupby(["width", "seed"]):
        loss = (run["along"] ** 2 + run["across"] ** 2).to_numpy()[run["step"].argsort()]
        limit = (1 - rate * eigenvalue) ** run["step"]
        used = run[(limit >= 0.1) & (run["along"] > 0)]
        slope = np.polyfit(used["step"], np.log(used["along"]), 1)[0] if len(used) > 2 else np.nan
        rows.append(
            {
                "width": width,
                "seed": seed,
                "ratio": slope / exact,
                "across": run["across"].max(),
                "diverged": not np.isfinite(loss).all() or loss[-1] > loss[0],
            }
        )
    return pd.DataFrame(rows)


def eigenvalues(metrics: pd.DataFrame, beta: float) -> np.ndarray:
    """lambda_1, lambda_2, lambda_3 of the kernel on the images."""
    part = metrics[(metrics["part"] == "eigenvalue") & (metrics["beta"] == beta)]
    return part.sort_values("index")["eigenvalue"].to_numpy()
