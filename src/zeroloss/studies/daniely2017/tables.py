"""The depth-3 networks; depth 2 against depth 3 by dimension."""

from __future__ import annotations

import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.daniely2017.claims import breaking_table, part
from zeroloss.studies.daniely2017.experiment import Settings
from zeroloss.studies.wording import seeds_text


def depth3_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    table = metrics[metrics["part"].isin(["sized", "built"])]
    return pd.DataFrame(
        {
            "d": table["dimension"].astype(int),
            "k / pi = d^3": table["frequency"],
            "built for": table["accuracy"],
            "n_1": table["first"].astype(int),
            "n_2": table["second"].astype(int),
            "units": table["units"].astype(int),
            "largest weight": table["largest_weight"],
            "mean squared error": table["mean_square"],
            "largest error": table["sup"],
            "its bound": table["bound"],
            "variance of the target": table["variance"],
        }
    ).reset_index(drop=True)


def separation_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row per d of the bound; relative errors and breaking frequencies where they were measured."""
    table = part(metrics, "needed").sort_values("dimension").reset_index(drop=True)
    found = pd.DataFrame(
        {
            "d": table["dimension"].astype(int),
            "k / pi = d^3": table["frequency"],
            "depth 3: units": table["units"].astype(int),
            "depth 2: log2 of the mass": table["log2_mass"],
            "depth 2: log2 of neurons with weights up to 2^d": table["log2_neurons"],
        }
    )
    features = part(metrics, "features")
    at = features[features["frequency"] == features["dimension"] ** 3]
    widest = at[at["width"] == at["width"].max()].groupby("dimension")["relative_error"].median()
    found["relative error of random neurons at k = pi d^3"] = found["d"].map(widest)
    for name in ("features", "trained"):
        breaking = breaking_table(metrics, settings, name)
        breaking = breaking[breaking["width"] == breaking["width"].max()].groupby("dimension")["breaking"].median()
        found[f"k / pi where {'random' if name == 'features' else name} neurons break down"] = found["d"].map(breaking)
    return found


def tables(settings: Settings) -> list[Table]:
    share, points = settings.bound.share, settings.constructed.points
    return [
        Table(
            name="daniely2017_depth3",
            items=("004-TH7",),
            title="Depth-3 networks for sin(πd³<x, x'>)",
            caption=f"n_1 pieces of each square, n_2 of the sine; given sizes, and sizes for a sup error. {points} points on "
            "two spheres, float64.",
            make=depth3_table,
        ),
        Table(
            name="daniely2017_separation",
            items=("004-TH7",),
            title="Depth 2 against depth 3 by dimension",
            caption=f"Depth 3: units for a sup error of {max(settings.constructed.accuracies):g}. Depth 2: what a "
            f"mean squared error of {share:g} times the variance needs at least; "
            f"medians over {seeds_text(settings.seeds)} at the largest width, "
            f"breaking down at a relative error of {share:g}.",
            make=separation_table,
        ),
    ]
