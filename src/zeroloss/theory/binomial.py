"""How sure one can be of a fraction that was counted."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats


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
    tail = 0.025 / comparisons
    low = float(stats.beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return Fraction(int(hits), int(trials), low, high)
