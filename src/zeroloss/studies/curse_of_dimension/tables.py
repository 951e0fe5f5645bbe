"""Exponents by dimension, and what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.curse_of_dimension.claims import exponents
from zeroloss.studies.curse_of_dimension.experiment import Settings
from zeroloss.studies.curse_of_dimension.figures import setting_text
from zeroloss.theory import curse_of_dimension as theory


def exponent_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    parts = {
        "torus": ("torus", False, "error"),
        "cube": ("cube", False, "error"),
        "noisy torus": ("torus", True, "error"),
        "nearest neighbour, torus": ("torus", False, "nearest_error"),
    }
    found = {name: exponents(metrics, settings, *which) for name, which in parts.items()}
    rows = []
    for s in settings.smoothness:
        for d in settings.dimensions:
            row: dict[str, float] = {"s": s, "d": d, "s/d": theory.rate(s, d)}
            for name, group in found.items():
                one = group.get((s, d))
                row[name] = one.mean if one else np.nan
                row[f"{name}, ±"] = one.half_width if one else np.nan
            row["s/(2s+d)"] = theory.noisy_rate(s, d)
            row["n grows by, to halve the error (law)"] = 2 ** (d / s)
            row["n grows by, to halve the error (torus)"] = 2 ** (1 / row["torus"])
            rows.append(row)
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    return [
        Table(
            name="curse_of_dimension_exponents",
            items=("004-E1",),
            title="Exponents of the error by dimension and smoothness",
            caption=f"{setting_text(settings)}. Slopes fitted to n >= {settings.fitted_from}; ± is the half-width of a 95 % t "
            "interval over seeds, Bonferroni over the column.",
            make=exponent_table,
        )
    ]
