"""Numbers that claims are decided by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its Student t interval; the half-width is NaN for a single seed."""

    mean: float
    half_width: float
    seeds: int
    comparisons: int = 1

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.seeds < 2 else f"{self.mean:.3f} ± {self.half_width:.3f}"

    @property
    def spread(self) -> str:
        if self.seeds < 2:
            return "one seed"
        together = f" (for {self.comparisons} comparisons together)" if self.comparisons > 1 else ""
        return f"95 % t interval over {self.seeds} seeds{together}: ± {self.half_width:.2g}"


def estimate(values: Sequence[float] | np.ndarray, comparisons: int = 1) -> Estimate:
    """Mean and 95 % t interval of one value per seed; of several ``comparisons`` together, by Bonferroni."""
    # imported here: studies are imported by every job, scipy takes as long as all the rest
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return Estimate(float(values.mean()), float("nan"), len(values), comparisons)
    half = stdtrit(len(values) - 1, 1 - 0.025 / comparisons) * values.std(ddof=1) / len(values) ** 0.5
    return Estimate(float(values.mean()), float(half), len(values), comparisons)


def loglog_slope(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """Least-squares slope of ln y against ln x."""
    return float(np.polyfit(np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), 1)[0])


def slope_over_width(table: pd.DataFrame, value: str) -> Estimate:
    """Log-log slope of ``value`` against ``width``, fitted for each seed; one row per (width, seed)."""
    slopes = [loglog_slope(group["width"], group[value]) for _, group in table.groupby("seed")]
    return estimate(slopes)
