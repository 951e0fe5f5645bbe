"""Deep linear networks from several starts: Theorem 4.3 of Wu, Wang, Ma 2019, plateaus, what a sign forbids.

Losses are R = 1/2 |W_L ... W_1 - Phi|_F^2 throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# A plateau is a window of 1/eta steps in which ln R falls by less than this: a tenth of what the rate eta/2 that
# Theorem 4.3 proves for the zero-asymmetric start would give.
PLATEAU_FALL = 0.05


def proven_step(depth: int, norm: float) -> float:
    """The step size of Theorem 4.3: min{1/(4 L^3 phi^6), 1/(144 L^2 phi^4)}, phi = max{2 |Phi|_F, 3 L^(-1/2), 1}.

    Args:
        depth: L.
        norm: |Phi|_F.
    """
    phi = max(2 * norm, 3 * depth**-0.5, 1.0)
    return min(1 / (4 * depth**3 * phi**6), 1 / (144 * depth**2 * phi**4))


def log_envelope(steps: np.ndarray, step_size: float) -> np.ndarray:
    """ln of (1 - eta/2)^t, Theorem 4.3's bound on R(t)/R(0)."""
    return np.asarray(steps) * math.log1p(-step_size / 2)


def proven_steps(depth: int, norm: float, ratio: float) -> float:
    """Steps after which Theorem 4.3 guarantees R(t) <= ratio R(0), at its own step size."""
    return math.log(ratio) / math.log1p(-proven_step(depth, norm) / 2)


def sign_barrier(target: np.ndarray, sign: float) -> float:
    """The least R that a product with a determinant of the given sign (or 0) can have.

    It is at least as far from Phi as the nearest singular matrix (Eckart and Young): R >= sigma_min(Phi)^2 / 2.
    Gradient flow from a balanced start, W_{j+1}^T W_{j+1} = W_j W_j^T (orthogonal layers, the identity), keeps the sign:
    balance is conserved, and then a singular value s of the product moves at a speed proportional to s^(2 - 2/L) and
    never reaches zero (Arora, Cohen, Hazan 2018). Unbalanced starts can change it.

    Args:
        target: Phi, shape (d, d).
        sign: of the determinant of the starting product; 0 (as with a zero layer) forbids nothing.
    """
    if sign * np.linalg.slogdet(target)[0] >= 0:
        return 0.0
    return float(0.5 * np.linalg.svd(target, compute_uv=False)[-1] ** 2)


@dataclass(frozen=True)
class Plateau:
    """A stretch of slow descent: its first and last step, and R in the middle of its slowest window."""

    first: int
    last: int
    height: float


def plateaus(losses: np.ndarray, step_size: float) -> list[Plateau]:
    """Maximal stretches of windows of ceil(1/eta) steps in which ln R changes by less than ``PLATEAU_FALL``.

    Args:
        losses: R(t) of one run up to its end, shape (steps + 1,); NaN after the end.
        step_size: eta.
    """
    found = losses[np.isfinite(losses) & (losses > 0)]
    window = math.ceil(1 / step_size)
    if len(found) <= window:
        return []
    logs = np.log(found)
    fall = np.abs(logs[:-window] - logs[window:])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], fall < PLATEAU_FALL, [False]]).astype(int)))
    stretches = []
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        slowest = first + int(fall[first:stop].argmin())
        stretches.append(Plateau(int(first), int(stop - 1 + window), float(found[slowest + window // 2])))
    return stretches


@dataclass(frozen=True)
class Growth:
    """How a median over seeds grows with depth.

    Attributes:
        depths: used in the fits.
        rate: slope of ln(median) against L, with its 95 % percentile bootstrap interval.
        rate_interval: that interval.
        exponential_share: share of bootstrap resamples in which the line in L fits better than the line in ln L.
    """

    depths: tuple[int, ...]
    rate: float
    rate_interval: tuple[float, float]
    exponential_share: float


def growth(times: dict[int, np.ndarray], cap: float, resamples: int, generator: np.random.Generator) -> Growth | None:
    """Exponential against power law: least squares of ln(median time) on L and on ln L, both with two parameters.

    Seeds are resampled within each depth. A run that starts at its target counts with one step, a run that was stopped
    with the cap; a depth whose median is stopped is left out, so that the cap bends nothing. None with fewer than four
    depths.

    Args:
        times: depth -> time of each seed, NaN where it was stopped.
        cap: the most steps.
        resamples: bootstrap draws.
        generator: randomness of the draws.
    """
    filled = {depth: np.where(np.isnan(values), cap, np.maximum(values, 1)) for depth, values in sorted(times.items())}
    kept = [depth for depth, values in filled.items() if np.median(values) < cap]
    if len(kept) < 4:
        return None
    medians = np.array([np.median(filled[depth]) for depth in kept])
    draws = np.stack(
        [np.median(generator.choice(filled[d], size=(resamples, len(filled[d]))), axis=1) for d in kept], axis=1
    )
    logs = np.log(np.vstack([medians, draws]))
    depths = np.array(kept, dtype=float)
    slopes, residuals = _line(depths, logs)
    _, powers = _line(np.log(depths), logs)
    low, high = np.quantile(slopes[1:], (0.025, 0.975))
    share = float((residuals[1:] < powers[1:]).mean())
    return Growth(tuple(kept), float(slopes[0]), (float(low), float(high)), share)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and residual sums of squares of the lines through the rows of y, shape (rows, points)."""
    x = x - x.mean()
    y = y - y.mean(axis=1, keepdims=True)
    slopes = y @ x / (x @ x)
    return slopes, ((y - slopes[:, None] * x) ** 2).sum(axis=1)
