"""Exponents of n with their intervals, the one way that claims, tables and figures take them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Judgement, Verdict
from zeroloss.theory.bootstrap import BootstrapSlope, slope_of_medians

RESAMPLES = 2000


def width_slope(table: pd.DataFrame, value: str) -> BootstrapSlope | None:
    """Log-log slope over ``width`` of the median over realisations, which are resampled within each n.

    None where it has no meaning: fewer than two n, or an n without a finite positive value. Values that are zero,
    infinite or NaN are left out; the sign of errors is dropped.
    """
    usable = table.assign(**{value: table[value].abs()})
    usable = usable[np.isfinite(usable[value]) & (usable[value] > 0)]
    groups = {float(width): group[value].to_numpy() for width, group in usable.groupby("width")}
    if len(groups) < 2 or len(groups) < table["width"].nunique():
        return None
    return slope_of_medians(groups, RESAMPLES, numpy_generator(0, "bootstrap", value))


def spread_text(table: pd.DataFrame) -> str:
    counts = table.groupby("width")["seed"].nunique()
    return f"95 % bootstrap interval over {counts.min()} realisations, {len(counts)} values of n"


def medians_text(table: pd.DataFrame, value: str) -> str:
    """``n = 16: 0.5, n = 32: 0.2``."""
    medians = table.groupby("width")[value].median()
    return "medians: " + ", ".join(f"n = {width:.0f}: {one:.3g}" for width, one in medians.items())


def judge_slope(table: pd.DataFrame, value: str, expected: float, tolerance: float, reason: str) -> Judgement:
    """Reproduced where the slope is within the tolerance, differs where its whole interval is outside, else undecided."""
    found, allowed = width_slope(table, value), f"± {tolerance:g} ({reason})"
    if found is None or table.groupby("width")["seed"].nunique().min() < 5:
        note = "needs two values of n, five realisations of each, and finite values"
        return Judgement(
            f"{expected:g}", "not measurable" if found is None else str(found), "", allowed, "undecided", note
        )
    outside = found.low > expected + tolerance or found.high < expected - tolerance
    verdict: Verdict = (
        "reproduced" if abs(found.value - expected) <= tolerance else "differs" if outside else "undecided"
    )
    return Judgement(
        f"{expected:g}",
        f"{found} (log-log slope over n)",
        spread_text(table),
        allowed,
        verdict,
        medians_text(table, value),
    )


def judge_at_least(table: pd.DataFrame, value: str, expected: float) -> Judgement:
    """O(n^expected): reproduced where the interval lies at or below ``expected``, differs where wholly above."""
    found, allowed = width_slope(table, value), "the whole interval at or below; wholly above differs"
    if found is None or table.groupby("width")["seed"].nunique().min() < 5:
        note = "needs two values of n, five realisations of each, and finite values"
        return Judgement(
            f"<= {expected:g}", "not measurable" if found is None else str(found), "", allowed, "undecided", note
        )
    verdict: Verdict = "reproduced" if found.high <= expected else "differs" if found.low > expected else "undecided"
    return Judgement(
        f"<= {expected:g}", f"{found} (log-log slope over n)", spread_text(table), allowed, verdict,
        medians_text(table, value),
    )  # fmt: skip
