"""The construction by n and rule, Rademacher complexities by n and class, Table 3 beside ours."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Table
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.zhang2017_theory.experiment import Settings


def construction_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    part = metrics[metrics["part"] == "construction"]
    for (title, precision, rule, n), group in part.groupby(["data_title", "precision", "rule", "samples"], sort=False):
        rows.append(
            {
                "data": title,
                "precision": precision,
                "s": rule,
                "n": int(n),
                "2n + d": int(2 * n + group["dimension"].iloc[0]),
                "median residual": group["residual"].median(),
                "largest residual over rounding bound": (group["residual"] / group["bound"]).max(),
                "least share of labels right": group["right"].fillna(0).min(),
                "median least eigenvalue": group["least_eigenvalue"].median(),
                "median condition number": group["condition"].median(),
                "median |w|": group["weight_norm"].median(),
                "median steepest slope": group["steepest"].median(),
                "networks that could not be built": int((~group["distinct"].astype(bool)).sum()),
            }
        )
    return pd.DataFrame(rows)


def depth_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    for depth, group in metrics[metrics["part"] == "depth"].groupby("depth"):
        first = group.iloc[0]
        rows.append(
            {
                "depth k": int(depth),
                "n": int(first["samples"]),
                "d": int(first["dimension"]),
                "width": int(first["hidden_width"]),
                "n / (k - 1)": first["samples"] / (depth - 1),
                "numbers that are not zero": int(group["connections"].max()),
                "2n + d": int(2 * first["samples"] + first["dimension"]),
                "largest residual": group["residual"].max(),
                "over its rounding bound": (group["residual"] / group["bound"]).max(),
            }
        )
    return pd.DataFrame(rows)


def rademacher_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    part = metrics[metrics["part"] == "rademacher"]
    part = part.assign(width=part["width"].fillna(0), parameters=part["parameters"].fillna(0))
    for (title, name, width, n), group in part.groupby(["data_title", "class", "width", "samples"], sort=False):
        rows.append(
            {
                "data": title,
                "class": f"network, m = {int(width)}" if width else name,
                "n": int(n),
                "R_n": group["value"].mean(),
                "standard deviation over draws": group["value"].std(ddof=1),
                "draws": len(group),
                "norm bound": group["bound"].iloc[0],
                "radius": group["radius"].iloc[0],
                "parameters / n": group["parameters"].iloc[0] / n if width else np.nan,
            }
        )
    return pd.DataFrame(rows)


def table_3(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Ours by data, kernel, n and labels, then the published rows."""
    rows = []
    part = metrics[metrics["part"] == "kernel"]
    for (title, kernel, n, labels), group in part.groupby(
        ["data_title", "kernel", "samples", "label_kind"], sort=False
    ):
        rows.append(
            {
                "data": title,
                "n": int(n),
                "method": "Gaussian, pixels" if kernel == "gaussian" else "H-infinity, unit vectors",
                "coefficient": group["coefficient"].iloc[0],
                "labels": labels,
                "test error": group["test_error"].mean(),
                "standard deviation over seeds": group["test_error"].std(ddof=1) if len(group) > 1 else np.nan,
                "RKHS norm": group["norm"].mean(),
                "|alpha|": group["coefficient_norm"].mean(),
                "source": "ours",
            }
        )
    for _, row in published.load("zhang2017_table3").iterrows():
        rows.append(
            {
                "data": {"mnist": "MNIST", "cifar10": "CIFAR-10"}[row["data"]],
                "n": int(row["n"]),
                "method": row["preprocessing"]
                + (", with l2 regularisation" if row["l2_regularisation"] == "yes" else ""),
                "labels": "true",
                "test error": row["test_error"],
                "norm, which is not said": row["norm"],
                "source": "published",
            }
        )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    built, classes, kernels = settings.construction, settings.rademacher, settings.kernels
    return [
        Table(
            name="zhang2017_theory_construction",
            items=("004-TH8",),
            title="Theorem 1: the network with 2n + d parameters",
            caption=f"{len(built.seeds)} seeds; b_j stands at the share s of the gap below x_j. Condition number in "
            "the maximum norm; inf: beyond "
            "float64.",
            make=construction_table,
        ),
        Table(
            name="zhang2017_theory_depth",
            items=("004-TH8",),
            title="Corollary 1: depth k, width O(n/k)",
            caption=f"n = {built.depth_samples} Gaussian inputs (synthetic), d = {built.dimension}, random signs, "
            f"{len(built.seeds)} seeds, "
            "float64, midpoints.",
            make=depth_table,
        ),
        Table(
            name="zhang2017_theory_rademacher",
            items=("004-E3",),
            title="Empirical Rademacher complexities",
            caption=f"{listed(settings.sources)}, seed {classes.seed}; networks: largest correlation met in training, "
            "a lower bound. The balls of "
            "labels have the norm of their interpolant as radius.",
            make=rademacher_table,
        ),
        Table(
            name="zhang2017_theory_table3",
            items=("004-T1",),
            title="Table 3, kernel interpolation: ours at our n, published at theirs",
            caption=f"{settings.test} test images, {seeds_text(kernels.seeds)}; published and ours are comparable at "
            "equal data and n only.",
            make=table_3,
        ),
    ]
