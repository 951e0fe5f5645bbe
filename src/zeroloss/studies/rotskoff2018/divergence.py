"""Runs whose training diverged: claims about them decide nothing and say why, figures name their number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Judgement

# the flow on the sphere lowers another energy than the loss, which few particles may raise by some per cent at first
RISE = 2.0


def diverged(curves: pd.DataFrame) -> tuple[int, int]:
    """How many runs diverged, and of how many; a run is a (width, seed), ``curves`` have its loss by step.

    Diverged: a recorded loss is not finite, or the last one is more than ``RISE`` times the first.
    """
    if curves.empty:
        return 0, 0
    by = curves.sort_values("step").groupby(["width", "seed"])["loss"]
    finite = by.apply(lambda losses: bool(np.isfinite(losses).all()))
    gone = ~finite | (by.last() > RISE * by.first())
    return int(gone.sum()), len(gone)


def counted(gone: int, runs: int) -> str:
    """``training diverged in 2 of 6 runs``, the same words in claims and figures."""
    return f"training diverged in {gone} of {runs} runs"


def withhold(found: Judgement, curves: pd.DataFrame) -> Judgement:
    """``found`` where every run of ``curves`` stayed in bounds, else undecided: the runs left over are a selection."""
    gone, runs = diverged(curves)
    if not gone:
        return found
    cause = "best explanation: the step is too large"
    note = f"training diverged: a loss is not finite, or ends at more than {RISE:g} times its start; {cause}"
    return replace(found, measured=counted(gone, runs), spread="", verdict="undecided", note=note)
