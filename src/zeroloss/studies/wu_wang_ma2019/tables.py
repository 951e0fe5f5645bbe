"""Step sizes, plateaus, the images."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.wu_wang_ma2019 import residual
from zeroloss.studies.wu_wang_ma2019.settings import Settings
from zeroloss.studies.wu_wang_ma2019.starts import STARTS

ITEMS = ("004-TH5",)


def steps_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The theorem's step size beside the largest that work, and the steps that each needs."""
    found = metrics[metrics["part"] == "largest"]
    return pd.DataFrame(
        {
            "target": found["target"],
            "L": found["depth"].astype(int),
            "theorem's step size": found["step_size"],
            "largest with falling loss": found["largest_falling"],
            "largest that converges": found["largest_reaching"],
            "orders of magnitude": np.log10(found["largest_falling"] / found["step_size"]).round(2),
            "steps guaranteed": found["proven_steps"].round(),
            "steps needed": found["steps"],
        }
    )


def plateau_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Runs, plateaus and how many reach their target, by start, target and depth."""
    ends, found = metrics[metrics["part"] == "escape_end"], metrics[metrics["part"] == "plateau"]
    rows = []
    for (target, depth, start), group in ends.groupby(["target", "depth", "start"], sort=False):
        own = found[(found["target"] == target) & (found["depth"] == depth) & (found["start"] == start)]
        heights = own["height"].round(2).value_counts()
        rows.append(
            {
                "target": target,
                "L": int(depth),
                "start": STARTS[start],
                "runs": len(group),
                "reach the target": int(group["iterations"].notna().sum()),
                "median iterations of those": group["iterations"].median(),
                "runs with a plateau": own["seed"].nunique(),
                "most frequent heights": ", ".join(f"{height:g}" for height in heights.index[:3]),
            }
        )
    return pd.DataFrame(rows)


def residual_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Last loss and error of the nonlinear networks, and how many pilot step sizes diverged."""
    table, pilots = metrics[metrics["part"] == "residual"], metrics[metrics["part"] == "pilot"]
    rows = []
    for (source, depth, start), group in table.groupby(["source", "depth", "start"], sort=False):
        last = group[group["step"] == settings.residual.steps]
        own = pilots[(pilots["source"] == source) & (pilots["depth"] == depth) & (pilots["start"] == start)]
        rows.append(
            {
                "data set": group["data_title"].iloc[0],
                "fidelity": group["fidelity"].iloc[0],
                "L": int(depth),
                "start": residual.STARTS[start],
                "step size": group["step_size"].iloc[0],
                "step sizes with divergence": f"{int((own['diverged'] > 0).sum())} of {len(own)}",
                "last loss": last["loss"].mean(),
                "seed spread": last["loss"].std(ddof=1) if len(last) > 1 else np.nan,
                "last error": last["error"].mean(),
                "diverged": int(group.loc[group["diverged_at"] >= 0, "seed"].nunique()),
            }
        )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    escape, theorem, images = settings.escape, settings.theorem, settings.residual
    return [
        Table(
            name="wu_wang_ma2019_steps",
            items=ITEMS,
            title="How conservative the step size of Theorem 4.3 is",
            caption=f"ZAS, L = {listed(theorem.table_depths)}; step sizes searched from 2 downwards in ratios of "
            f"{theorem.search_ratio:g}, at most {theorem.search_steps} steps each, until R <= 1e-16 R(0). "
            f"Orders of magnitude: largest step size whose loss never rises, over the theorem's. Steps: to R <= "
            f"{settings.depth.goal:g} R(0), guaranteed at the theorem's step size, needed at the largest with falling loss.",
            make=steps_table,
        ),
        Table(
            name="wu_wang_ma2019_plateaus",
            items=ITEMS,
            title="Plateaus and targets reached, by start",
            caption=f"d = {escape.dimension}, L = {listed(escape.depths)}, at most {escape.steps} steps, "
            f"{seeds_text(settings.seeds)}. A plateau: 1/eta steps in which ln R falls by less than 0.05.",
            make=plateau_table,
        ),
        Table(
            name="wu_wang_ma2019_residual",
            items=ITEMS,
            title="Nonlinear residual networks after the last step",
            caption=f"n = {images.samples}, m = {images.width}, {images.steps} steps, {seeds_text(settings.seeds)}.",
            make=residual_table,
        ),
    ]
