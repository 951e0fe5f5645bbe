"""Complexity and Hessian of all solutions; kernel regression by order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.wording import listed
from zeroloss.studies.wu_zhu_e2017.experiment import OUTER, Settings
from zeroloss.studies.wu_zhu_e2017.figures import networks_text
from zeroloss.theory import wu_zhu_e2017 as theory


def networks_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Medians over seeds; of variation and trace the range too."""
    table = metrics[metrics["part"] == "solution"]
    rows = []
    for (family, depth, attack), group in table.groupby(["family", "depth", "attack"], sort=False):
        row = {
            "solution": family, "hidden layers": int(depth), "attack labels": attack if attack else np.nan,
            "runs": len(group), "at the target": int(group["reached"].sum()), "diverged": int(group["diverged"].sum()),
            "steps on the five points": group["steps"].median(), "max|f| on [-1, 1]": group["max_inside"].median(),
            f"max|f| on [-{OUTER:g}, {OUTER:g}]": group["max_outside"].median(),
        }  # fmt: skip
        for column, title in (
            ("variation", "variation"),
            ("hessian_trace", "Hessian trace"),
            ("hessian_norm", "Hessian norm"),
        ):
            row |= {title: group[column].median(), f"{title}, least": group[column].min()}
            row |= {f"{title}, largest": group[column].max()}
        rows.append(row)
    return pd.DataFrame(rows)


def kernel_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    kernel = metrics[metrics["part"] == "kernel"].sort_values("order")
    y = np.array(settings.labels)
    return pd.DataFrame(
        {
            "p": kernel["order"].astype(int).to_numpy(),
            "rank of the kernel matrix": kernel["rank"].astype(int).to_numpy(),
            "training error": kernel["error"].to_numpy(),
            "max|f| on [-1, 1]": kernel["max_inside"].to_numpy(),
            "the law": theory.overshoot_law(y, kernel["order"].to_numpy()),
            f"max|f| on [-{OUTER:g}, {OUTER:g}]": kernel["max_outside"].to_numpy(),
            "variation": kernel["variation"].to_numpy(),
        }
    )


def tables(settings: Settings) -> list[Table]:
    y = np.array(settings.labels)
    points = (
        f"Five equispaced points on [-1, 1], y = {listed(settings.labels)} (synthetic, ours): max|y| = "
        f"{np.abs(y).max():g}, variation of the polyline {theory.total_variation(y):g}"
    )
    return [
        Table(
            name="wu_zhu_e2017_networks",
            items=("004-F1",),
            title="Complexity of networks through five points",
            caption=f"{points}. {networks_text(settings)}. Medians over seeds; variation on [-1, 1]; Hessian of the mean "
            "squared error over the five points: trace and spectral norm.",
            make=networks_table,
        ),
        Table(
            name="wu_zhu_e2017_kernels",
            items=("004-F2",),
            title="Kernel regression through five points, by order",
            caption=f"{points}. Kernel (1 + x x')^p, least-squares solution of least norm, float64. The law, 4/27 (6/5)^p "
            "max|y(±1/2) - y(0)|, is ours and for large p.",
            make=kernel_table,
        ),
    ]
