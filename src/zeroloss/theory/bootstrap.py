"""Percentile bootstrap of an exponent fitted through medians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zeroloss.theory.statistics import loglog_slope


@dataclass(frozen=True)
class BootstrapSlope:
    """A log-log slope with its 95 % percentile interval."""

    value: float
    low: float
    high: float
    resamples: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def slope_of_medians(
    groups: Mapping[float, np.ndarray], resamples: int, generator: np.random.Generator
) -> BootstrapSlope:
    """Least-squares slope of ln(median of y) against ln x; seeds are resampled within each x.

    Args:
        groups: x -> one positive y per seed, shape (seeds,); at least two x.
        resamples: number of bootstrap draws.
        generator: explicit randomness of the draws.
    """
    x = np.array(sorted(groups), float)
    medians = np.array([np.median(groups[key]) for key in sorted(groups)])
    draws = np.stack(
        [np.median(generator.choice(groups[key], size=(resamples, len(groups[key]))), axis=1) for key in sorted(groups)]
    )  # (points, resamples)
    centred = np.log(x) - np.log(x).mean()
    slopes = centred @ np.log(draws) / (centred**2).sum()
    low, high = np.quantile(slopes, (0.025, 0.975))
    return BootstrapSlope(loglog_slope(x, medians), float(low), float(high), resamples)
