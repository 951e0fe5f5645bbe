"""Numbers of Nguyen, Mukkamala, Hein 2019 (arXiv 1809.10749), and the numerical rank that Lemma 3.2 is checked with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

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
        relative_least: least singular value over the largest, of the matrix with columns scaled to largest entry 1.
        threshold: max(N, M) eps, relative to the largest singular value (numpy's and MATLAB's choice: the size of the
            rounding errors of the matrix).
    """

    rank: int
    relative_least: float
    threshold: float


def numerical_rank(matrix: np.ndarray) -> Rank:
    """Rank of an N x M matrix (float64) by its singular values.

    Every column is divided by its largest entry first: that leaves the rank as it is, and a softplus unit that is far in
    its tail on all inputs (values of e^-20 and less) is not taken for a dead one. A zero column stays zero.
    """
    matrix = np.asarray(matrix, np.float64)
    largest = np.abs(matrix).max(axis=0)
    values = np.linalg.svd(matrix / np.where(largest > 0, largest, 1.0), compute_uv=False)
    if values[0] == 0:
        return Rank(0, 0.0, max(matrix.shape) * float(np.finfo(np.float64).eps))
    relative = values / values[0]
    threshold = max(matrix.shape) * float(np.finfo(np.float64).eps)
    rank = int((relative > threshold).sum())
    return Rank(rank, float(relative[-1]), threshold)


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


def exact_least_pivot(rows: list[list[Decimal]], digits: int) -> Decimal:
    """Least pivot of Gaussian elimination with row pivoting at ``digits`` decimal digits, rows scaled to largest entry 1.

    A square matrix of full rank has no zero pivot. Computed with D digits, an exact dependence leaves pivots of about
    10^-D and none larger than that by more than the growth of rounding; 10^(-D / 2) tells the two apart.
    """
    with localcontext() as context:
        context.prec = digits
        work = []
        for row in rows:
            largest = max(abs(value) for value in row)
            if not largest:
                return Decimal(0)
            work.append([value / largest for value in row])
        least = Decimal(1)
        for column in range(len(work)):
            best = max(range(column, len(work)), key=lambda k: abs(work[k][column]))
            work[column], work[best] = work[best], work[column]
            pivot = work[column][column]
            least = min(least, abs(pivot))
            if not pivot:
                return Decimal(0)
            tail = work[column][column:]
            for row in work[column + 1 :]:
                factor = row[column] / pivot
                row[column:] = [a - factor * b for a, b in zip(row[column:], tail, strict=True)]
        return least
