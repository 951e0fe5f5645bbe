"""Least eigenvalues of all architectures, how conservative the theorems are, and rates by depth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.du2018b.experiment import ARCHITECTURES, NAMES, Settings
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import du2018b as theory

FAILURE = 0.1  # delta in the theorems' widths: a success in nine of ten draws


def eigenvalue_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Mean over input draws of the eigenvalues of K^(H), as right and as printed, and of the sum over layers."""
    rows = []
    table = metrics[metrics["part"] == "limit"]
    for (architecture, source, depth), group in table.groupby(["architecture", "source", "depth"]):
        mean = group[["lambda_min", "lambda_min_printed", "lambda_min_total", "lambda_max_total"]].mean()
        rows.append(
            {
                "architecture": NAMES[architecture],
                "inputs": source.replace("_", ", "),
                "H": int(depth),
                "lambda_min(K^(H))": mean["lambda_min"],
                "with the printed last line": mean["lambda_min_printed"],
                "H^2 lambda_min(K^(H))": depth**2 * mean["lambda_min"],
                "lambda_min, sum of layers": mean["lambda_min_total"],
                "lambda_max, sum of layers": mean["lambda_max_total"],
                "below rounding": bool((group["lambda_min"] < group["floor"]).any()),
            }
        )
    return pd.DataFrame(rows)


def conservative_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Widths and step sizes of the theorems beside those that were used, in orders of magnitude."""
    rows = []
    table = metrics[(metrics["part"] == "curve") & (metrics["source"] == "sphere")]
    for architecture in ARCHITECTURES:
        for depth, group in table[table["architecture"] == architecture].groupby("depth"):
            first = group.iloc[0]
            arguments = (architecture, first["lambda_min"], settings.samples)
            width = theory.width_order(*arguments, int(depth), FAILURE)
            step = theory.step_order(*arguments, int(depth))
            rows.append(
                {
                    "architecture": NAMES[architecture],
                    "H": int(depth),
                    "lambda_min(K^(H))": first["lambda_min"],
                    "m of the theorem": width,
                    "m used": int(first["width"]),
                    "orders of magnitude, m": np.log10(width / first["width"]),
                    "eta of the theorem": step,
                    "eta used": first["step_size"],
                    "orders of magnitude, eta": np.log10(first["step_size"] / step),
                    "ln of bound at the last step": group["step"].max()
                    * np.log1p(-first["step_size"] * first["lambda_min"] / 2),
                    "ln L(k)/L(0) at the last step": np.log(
                        group[group["step"] == group["step"].max()]["relative_loss"]
                    ).mean(),
                }
            )
    return pd.DataFrame(rows)


def final_losses(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per run: relative loss at the last step (infinite where it diverged)."""
    table = metrics[metrics["part"] == "curve"].sort_values("step")
    keys = ["architecture", "source", "labels", "depth", "seed"]
    last = table.groupby(keys)[["step", "relative_loss", "diverged_at"]].last().reset_index()
    before = (
        table[table["step"] > 0].groupby(keys)["relative_loss"].apply(lambda part: part.iloc[2 * len(part) // 3 - 1])
    )
    last = last.merge(before.rename("earlier_loss").reset_index(), on=keys)
    last.loc[last["diverged_at"] >= 0, "relative_loss"] = np.inf
    return last


def loss_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Relative loss at the last step by problem, architecture and depth."""
    rows = []
    for keys, group in final_losses(metrics).groupby(["source", "labels", "architecture", "depth"]):
        source, labels, architecture, depth = keys
        rows.append(
            {
                "inputs": source.replace("_", ", "),
                "labels": labels,
                "architecture": NAMES[architecture],
                "H": int(depth),
                "L(k)/L(0), geometric mean": np.exp(np.log(group["relative_loss"]).mean()),
                "least": group["relative_loss"].min(),
                "largest": group["relative_loss"].max(),
                "steps": int(group["step"].max()),
                "diverged": int((group["diverged_at"] >= 0).sum()),
            }
        )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    sizes = f"n = {settings.samples}, {settings.activation}, c_res = {settings.c_res:g}"
    return [
        Table(
            name="du2018b_eigenvalues",
            items=("001-TH8", "002-TH2", "002-TH3"),
            title="Eigenvalues of the limiting Gram matrices against depth",
            caption=(
                f"{sizes}; sphere: d = {settings.dimension}, mean over {seeds_text(settings.seeds)} of the inputs; digits: "
                f"classes {listed(settings.two_classes)}, and all ten. The proofs use K^(H), the last layer alone."
            ),
            make=eigenvalue_table,
        ),
        Table(
            name="du2018b_conservative",
            items=("001-TH8", "002-TH2", "002-TH3"),
            title="By how many orders of magnitude the theorems are conservative",
            caption=(
                f"{sizes}, sphere, d = {settings.dimension}. Widths and step sizes of Theorems 5.1, 6.1 and 7.1 with every "
                f"hidden constant put to 1, 2^O(H) read as 2^H, poly(p) as 1, delta = {FAILURE:g}."
            ),
            make=conservative_table,
        ),
        Table(
            name="du2018b_losses",
            items=("002-F1", "002-TH2", "002-TH3"),
            title="Training loss at the last step, true and random labels",
            caption=f"{sizes}; {seeds_text(settings.seeds)} of the initial weights; L(k) / L(0).",
            make=loss_table,
        ),
    ]
