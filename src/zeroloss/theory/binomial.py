"""How sure one can be of a fraction that was counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fraction:
    """``hits`` of ``trials`` with its exact (Clopper-Pearson) 95 % interval [low, high]."""

    hits: int
    trials: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.trials

    def __str__(self) -> str:
        return f"{self.hits} of {self.trials}"

    @property
    def spread(self) -> str:
        return f"95 % Clopper-Pearson interval: {self.low:.3f} to {self.high:.3f}"


def fraction(hits: int, trials: int, comparisons: int = 1) -> Fraction:
    """Clopper-Pearson interval of a fraction; of several ``comparisons`` that hold together, by Bonferroni."""
    # imported here: studies are imported by every job, scipy takes as long as all the rest
    from scipy.special import betaincinv

    tail = 0.025 / comparisons
    low = float(betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return Fraction(int(hits), int(trials), low, high)
