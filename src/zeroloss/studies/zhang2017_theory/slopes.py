"""Exponents with a bootstrap interval, and the verdict on one."""

from __future__ import annotations

import pandas as pd

from zeroloss.studies.contract import Judgement, Verdict
from zeroloss.theory.bootstrap import BootstrapSlope, slope_of_medians


def bootstrap_slope(table: pd.DataFrame, over: str, value: str) -> BootstrapSlope:
    """Log-log slope of the median of ``value`` against ``over``; seeds or draws are resampled 1000 times."""
    from zeroloss.randomness import numpy_generator

    groups = {float(key): group[value].to_numpy() for key, group in table.groupby(over)}
    return slope_of_medians(groups, 1000, numpy_generator(0, "bootstrap", value))


def slope_judgement(found: BootstrapSlope, expected: float, tolerance: float, what: str, note: str) -> Judgement:
    """Reproduced where the interval meets expected ± tolerance; undecided where it is wider than ± a quarter of expected."""
    wide = (found.high - found.low) / 2 > abs(expected) / 4
    meets = found.low <= expected + tolerance and found.high >= expected - tolerance
    verdict: Verdict = "undecided" if wide else "reproduced" if meets else "differs"
    return Judgement(
        expected=f"{expected:g}",
        measured=f"{found.value:.3f} ({what})",
        spread=f"95 % bootstrap interval: {found.low:.3f} to {found.high:.3f}",
        tolerance=f"the interval meets {expected:g} ± {tolerance:.2g}; undecided if wider than ± "
        f"{abs(expected) / 4:.2g}",
        verdict=verdict,
        note=note,
    )
