"""The kernel at gamma = 0 and its drift, published and ours; eigenvalues of Figure 3."""

from __future__ import annotations

import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.jacot2018 import curves
from zeroloss.studies.jacot2018.experiment import Settings


def kernel_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    ours = metrics[metrics["part"] == "kernel"]
    paper = curves.published_kernels().rename(columns={"init": "seed"}).assign(part="kernel")
    limit = metrics[metrics["part"] == "limit_kernel"]
    rows = []
    for name, table in (("ours", ours), ("published", paper)):
        drift = curves.drifts(table).groupby("width")["drift"].mean()
        for (width, step), group in table.groupby(["width", "step"]):
            peak = curves.at_angle(group, 0.0, "kernel")
            rows.append(
                {
                    "source": name,
                    "width n": int(width),
                    "step t": int(step),
                    "mean at gamma = 0": peak.mean(),
                    "deviation over initialisations": peak.std(),
                    "limit": float(limit.iloc[limit["gamma"].abs().argmin()]["kernel"]),
                    "relative drift by training": float(drift[width]) if step else 0.0,
                }
            )
    return pd.DataFrame(rows)


def component_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    for beta, group in metrics[metrics["part"] == "eigenvalue"].groupby("beta"):
        first, second, third = group.sort_values("index")["eigenvalue"]
        rows.append(
            {
                "beta": beta, "lambda_1": first, "lambda_2": second, "lambda_3": third, "lambda_1 - lambda_2": first - second,
                "half-life along f^(2), steps": 0.6931471805599453 / (settings.rate * second),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    three = settings.principal
    return [
        Table(
            name="jacot2018_kernel",
            items=("004-F10",),
            title="The tangent kernel at gamma = 0",
            caption=f"Theta^({settings.layers})(x0, x0), beta = {settings.beta:g}; drift in the norm over the circle. The "
            "published angles do not hold 0 itself: the nearest is taken.",
            make=kernel_table,
        ),
        Table(
            name="jacot2018_components",
            items=("004-F10",),
            title="Eigenvalues of the tangent kernel on images",
            caption=f"{three.source}, N = {three.samples}, |x|² = n0, closed form; the kernel's matrix over N.",
            make=component_table,
        ),
    ]
