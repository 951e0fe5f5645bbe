"""Numbers of Nguyen, Mukkamala, Hein 2019 (arXiv 1809.10749), and the numerical rank that Lemma 3.2 is checked with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zeroloss.errors import UserError


def zero_error_loss(samples: int) -> float:
    """log(2) / N: a mean cross-entropy below it leaves no training error (Lemma 2.1)."""
    return float(np.log(2) / samples)


def check_width(hidden: int, samples: int) -> None:
    """UserError unless there are enough hidden neurons for one to be wired per sample (Assumption 3.1)."""
    if hidden < samples:
        raise UserError(
            f"the network has {hidden} hidden neurons, fewer than the {samples} samples: skip connections need at least "
            f"N = {samples} hidden neurons (Assumption 3.1 of Nguyen et al.): raise widths or depth, or lower samples"
        )


@dataclass(frozen=True)
class Rank:
    """Numerical rank of a matrix in float64.

    Attributes:
        rank: singular values above ``threshold``.
        relative_least: least singular value over the largest.
        threshold: max(N, M) eps, relative to the largest singular value (numpy's and MATLAB's choice: the size of the
            rounding errors of the matrix).
        gap: least singular value that counts over the largest that does not; infinite where all count or none is left.
            A matrix of lower rank shows a gap of many powers of ten; a full-rank matrix with decaying singular values that
            sink into rounding shows none.
    """

    rank: int
    relative_least: float
    threshold: float
    gap: float


def numerical_rank(matrix: np.ndarray) -> Rank:
    """Rank of an N x M matrix (float64) by its singular values."""
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    if values[0] == 0:
        return Rank(0, 0.0, max(matrix.shape) * float(np.finfo(np.float64).eps), np.inf)
    relative = values / values[0]
    threshold = max(matrix.shape) * float(np.finfo(np.float64).eps)
    rank = int((relative > threshold).sum())
    below = relative[rank] if rank < len(relative) else 0.0
    gap = float(relative[rank - 1] / below) if below > 0 else np.inf
    return Rank(rank, float(relative[-1]), threshold, gap)


def dead_unit_probability(samples: int) -> float:
    """1 / (N + 1): a ReLU unit with w.x ~ N(0, 1) and bias ~ N(0, 1) is 0 on all of N independent inputs.

    Given the bias b each input leaves it off with probability Phi(-b), which is uniform on [0, 1]; E U^N = 1 / (N + 1).
    """
    return 1 / (samples + 1)


def some_unit_dead(samples: int, units: int) -> float:
    """Probability that at least one of ``units`` such units is 0 everywhere, taken as independent: Psi then lacks rank.

    Given the inputs units are independent; the probability varies little with the inputs in high dimension (a test
    compares with samples).
    """
    return 1 - (1 - dead_unit_probability(samples)) ** units
