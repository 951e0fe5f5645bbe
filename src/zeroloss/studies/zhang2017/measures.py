"""What figures, tables and claims read off the metrics: one row per run, and rows chosen by how a run was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from zeroloss.studies.zhang2017.runs import CORRUPTED, NETWORKS, SETTINGS_OF_FIGURE
from zeroloss.studies.zhang2017.settings import Settings

HOW = ["network", "inputs", "share", "crops", "augmented", "decays", "slow", "seed"]
CHANCE_LOSS = float(np.log(10))
# a run that has not fitted counts as still falling where its loss fell by a tenth over its last fifth
STILL_FALLING = 0.9
# training accuracy of a run that has fitted its labels: the least that Table 1 prints is 99.34 %
FITTED = 0.99


def first_epoch(path: pd.DataFrame, loss: float) -> float:
    """The first epoch whose mean training loss is at most ``loss``; NaN where there is none."""
    reached = path.loc[path["loss"] <= loss, "epoch"]
    return float(reached.min()) if len(reached) else np.nan


def ends(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row per run: when it reached losses, and what it came to."""
    rows = []
    for how, unordered in metrics.groupby(HOW, sort=False):
        path = unordered.sort_values("epoch")
        last, earlier = path.iloc[-1], path.iloc[-1 - max(1, len(path) // 5)] if len(path) > 1 else path.iloc[-1]
        rows.append(
            {
                **dict(zip(HOW, how, strict=True)),
                "epochs": len(path),
                "to_1": first_epoch(path, 1.0),
                "to_half": first_epoch(path, 0.5),
                "overfit": first_epoch(path, settings.overfit_loss),
                "first_loss": path["loss"].iloc[0],
                "loss": last["loss"],
                "running_accuracy": last["train_accuracy"],
                "train_accuracy": last["final_train_accuracy"],
                "test_accuracy": last["test_accuracy"],
                "best_test_accuracy": path["test_accuracy"].max(),
                "diverged": bool(last["diverged"]),
                "falling": bool(last["loss"] < STILL_FALLING * earlier["loss"]),
            }
        )
    return pd.DataFrame(rows)


def chosen(table: pd.DataFrame, **how: Any) -> pd.DataFrame:
    """Rows of runs trained on unaltered images without regularisers, but for what is said."""
    wanted = {
        "inputs": "true", "share": 0.0, "crops": False, "augmented": False, "decays": False, "slow": False, **how,
    }  # fmt: skip
    keep = pd.Series(True, index=table.index)
    for name, value in wanted.items():
        keep &= table[name] == value
    return table[keep]


def of_setting(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of small Inception in one of the settings of Figure 1 a."""
    inputs, share = SETTINGS_OF_FIGURE[name]
    return chosen(table, network="inception", inputs=inputs, share=share)


def by_seed(table: pd.DataFrame, column: str) -> pd.Series:
    """One number a seed."""
    return table.set_index("seed")[column].sort_index()


def relative_times(table: pd.DataFrame, network: str, corruptions: list[float]) -> pd.DataFrame:
    """Time to overfit over that without corruption of the same seed: rows seeds, columns shares; NaN: not in time."""
    times = pd.DataFrame(
        {share: by_seed(chosen(table, network=network, share=share), "overfit") for share in corruptions}
    )
    return times.div(times[0.0], axis=0)


def accuracies(table: pd.DataFrame, network: str, corruptions: list[float]) -> pd.DataFrame:
    """Test accuracy at the end of each run that fitted its labels: rows seeds, columns shares; NaN: not fitted."""
    fitted = table.assign(kept=table["test_accuracy"].where(table["train_accuracy"] >= FITTED))
    return pd.DataFrame({share: by_seed(chosen(fitted, network=network, share=share), "kept") for share in corruptions})


def unfitted(table: pd.DataFrame, corruptions: list[float]) -> str:
    """The runs on corrupted labels that did not fit them, in words; empty where all did."""
    found = []
    for network in CORRUPTED:
        for share in corruptions:
            runs = chosen(table, network=network, share=share)
            for run in runs[~(runs["train_accuracy"] >= FITTED)].itertuples():
                found.append(f"{NETWORKS[network]} at {share:g}, seed {run.seed} ({run.train_accuracy:.1%})")
    return f"left out, for their training accuracy is below {FITTED:.0%}: {', '.join(found)}" if found else ""
