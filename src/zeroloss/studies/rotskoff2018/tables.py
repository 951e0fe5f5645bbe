"""Both forms of the loss; final losses by n; exponents of n."""

from __future__ import annotations

import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.rotskoff2018.captions import sigmoid_text, sphere_text
from zeroloss.studies.rotskoff2018.claims import final_losses, final_table
from zeroloss.studies.rotskoff2018.experiment import Settings
from zeroloss.studies.rotskoff2018.fluctuation_claims import spread_at, steps
from zeroloss.studies.rotskoff2018.slopes import width_slope


def identity_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The first draw of each n, and the largest difference of all."""
    rows = []
    both = metrics[metrics["part"].isin(["identity", "density"])]
    for (part, unit, width), group in both.groupby(["part", "unit", "width"], sort=False):
        rows.append(
            {
                "equation": "(1.3)" if part == "identity" else "(1.7)",
                "unit": unit,
                "n, or grid points of y": int(width),
                "direct loss (1.2), first draw": group["loss"].iloc[0],
                "energy, first draw": group["energy"].iloc[0],
                "draws": len(group),
                "largest difference over max(loss, C_f)": group["error"].max(),
            }
        )
    return pd.DataFrame(rows)


def _groups(metrics: pd.DataFrame, settings: Settings) -> list[tuple[str, int, str, pd.DataFrame, tuple[str, ...]]]:
    """(units, d, when, table, values) of everything that is told by n."""
    found: list[tuple[str, int, str, pd.DataFrame, tuple[str, ...]]] = []
    found.append(("radial", settings.sphere.dimension, "after the flow", final_losses(metrics), ("loss",)))
    for run in settings.sigmoid.runs:
        for phase, when in (("sgd", "after SGD"), ("quench", "after the quench")):
            values = ("loss", "above", "below", "variance")
            found.append(("sigmoid", run.dimension, when, final_table(metrics, run.dimension, phase), values))
    return found


def losses_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    for unit, dimension, when, table, _ in _groups(metrics, settings):
        for width, group in table.groupby("width"):
            rows.append(
                {
                    "units": unit,
                    "d": dimension,
                    "when": when,
                    "n": int(width),
                    "realisations": len(group),
                    "median loss": group["loss"].median(),
                    "least": group["loss"].min(),
                    "largest": group["loss"].max(),
                }
            )
    return pd.DataFrame(rows)


_NAMES = {
    "loss": "loss", "above": "<(f - f_n) Theta(f)>", "below": "<(f_n - f) Theta(-f)>", "variance": "variance of f_n",
    "from_limit": "squared distance from the limit", "law_distance": "W_1 of the charges",
}  # fmt: skip


def slopes_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every exponent that claims and figures speak of, with its interval."""
    groups = _groups(metrics, settings)
    part = settings.fluctuations
    told: tuple[str, ...] = ("variance", "from_limit", "law_distance")
    for step in steps(metrics):
        when = f"1/n test, t = {step * part.step:g}"
        groups.append(("sigmoid", part.dimension, when, spread_at(metrics, step), told))
    rows = []
    for unit, dimension, when, table, values in groups:
        for value in values:
            found = width_slope(table, value)
            rows.append(
                {
                    "units": unit,
                    "d": dimension,
                    "when": when,
                    "quantity": _NAMES[value],
                    "n": f"{table['width'].min():.0f} to {table['width'].max():.0f}",
                    "slope": found.value if found else float("nan"),
                    "95 % from": found.low if found else float("nan"),
                    "to": found.high if found else float("nan"),
                }
            )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    identity = settings.identity
    return [
        Table(
            name="rotskoff2018_identity",
            items=("004-E6",),
            title="The loss as an energy: both sides of the identity",
            caption=f"Units on the sphere in R^3, one quadrature of {identity.order} x {2 * identity.order} points for both "
            f"sides, {len(identity.seeds)} draws of the particles (one density), float64.",
            make=identity_table,
        ),
        Table(
            name="rotskoff2018_losses",
            items=("004-F11", "004-F12"),
            title="Losses at the end, by n",
            caption=f"Radial: {sphere_text(settings)}. Sigmoid: {sigmoid_text(settings)}.",
            make=losses_table,
        ),
        Table(
            name="rotskoff2018_slopes",
            items=("004-F11", "004-F12", "004-L2"),
            title="Exponents of n",
            caption="Log-log slope over n of the median over realisations, 95 % percentile bootstrap over realisations; "
            "magnitudes of the one-sided errors. Sizes as in the figures.",
            make=slopes_table,
        ),
    ]
