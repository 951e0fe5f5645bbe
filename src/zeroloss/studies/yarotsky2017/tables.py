"""Sizes and errors of the square; of the networks of Theorem 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.yarotsky2017.claims import networks, part, shallow_law
from zeroloss.studies.yarotsky2017.experiment import Settings
from zeroloss.studies.yarotsky2017.figures import waves_text
from zeroloss.theory import yarotsky2017 as theory


def square_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    table = part(metrics, "square")
    bound = [theory.square_lower_bound(int(r.units), int(r.hidden)) for r in table.itertuples()]
    return pd.DataFrame(
        {
            "m": table["levels"].astype(int),
            "hidden layers": table["hidden"].astype(int),
            "units": table["units"].astype(int),
            "weights": table["connections"].astype(int),
            "largest weight": table["largest_weight"],
            "max error": table["error"],
            "2^(-2m-2)": [theory.square_error(int(m)) for m in table["levels"]],
            "mean squared error": table["mean_square"],
            "1/(30·16^m)": [theory.square_mean_error(int(m)) for m in table["levels"]],
            "lower bound": bound,
            "best shallow error, same units": table["shallow_error"],
            "shallow pieces for this error": np.ceil(1 / np.sqrt(8 * table["error"])),
        }
    ).reset_index(drop=True)


def smooth_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    table = networks(metrics)
    constant, _ = shallow_law(metrics)
    shallow = np.where(table["dimension"] == 1, np.ceil(np.sqrt(constant / table["median"])), np.nan)
    return pd.DataFrame(
        {
            "d": table["dimension"].astype(int),
            "n": table["smoothness"].astype(int),
            "error built for": table["accuracy"],
            "epsilon of the class": table["epsilon"],
            "N": table["grid"].astype(int),
            "m": table["levels"].astype(int),
            "hidden layers": table["hidden"].astype(int),
            "units": table["units"].astype(int),
            "weights": table["connections"].astype(int),
            "error, median": table["median"],
            "error, least": table["min"],
            "error, largest": table["max"],
            "built for / measured, orders of magnitude": np.log10(table["accuracy"] / table["max"]),
            "units of the best one hidden layer": shallow,
        }
    ).reset_index(drop=True)


def tables(settings: Settings) -> list[Table]:
    return [
        Table(
            name="yarotsky2017_square",
            items=("004-TH6",),
            title="The network of x²",
            caption="Sizes and errors on [0, 1], float64, exact at the points looked at. Lower bound: on the mean squared "
            "error of any network with as many units and layers (Telgarsky). Shallow: the best piecewise linear function.",
            make=square_table,
        ),
        Table(
            name="yarotsky2017_smooth",
            items=("004-TH6",),
            title="Networks built for an error, as in the proof of Theorem 1",
            caption=f"{waves_text(settings)}. Weights: those that are not zero. Last column: least units of one hidden "
            "layer with the same median error (d = 1, law units^(-2) from the computed optimum).",
            make=smooth_table,
        ),
    ]
