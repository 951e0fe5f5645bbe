"""Statements of McCloskey's review (2022) of Du et al. 2018a, and the predictions its open questions are held against."""

from __future__ import annotations

import math

import numpy as np

CLOSE_PAIR_SLOPE = 1.0 / (2.0 * math.pi)  # limit of lambda_0 / eps for one pair of inputs at distance eps


def gershgorin_margin(gram: np.ndarray) -> float:
    """The largest delta with sum_{j != i} |H_ij| <= 1/2 - delta for all i (section 3); negative where the test fails.

    Args:
        gram: H-infinity of unit inputs, shape (n, n), diagonal 1/2.
    """
    return float(1.0 - np.abs(gram).sum(axis=1).max())


def close_pair_lambda_0(distance: np.ndarray) -> np.ndarray:
    """lambda_0 of two unit inputs at chord distance eps: 1/2 - cos(theta)(pi - theta)/(2 pi), theta = 2 arcsin(eps/2).

    Written as (1 - cos theta)/2 + theta cos theta/(2 pi), which keeps its digits for small eps. It is eps/(2 pi)
    + O(eps^2); up to theta = 1.11 the entry H_12 is positive and this is the least eigenvalue.
    """
    theta = 2.0 * np.arcsin(np.asarray(distance, float) / 2.0)
    return np.sin(theta / 2.0) ** 2 + theta * np.cos(theta) * CLOSE_PAIR_SLOPE


def bound_steps(threshold: float, step_size: float, lambda_0: float) -> int:
    """Steps after which Theorem 4.1's bound (1 - eta lambda_0 / 2)^k on |u - y|^2 / |u(0) - y|^2 is below ``threshold``.

    About 2 log(1 / threshold) / (eta lambda_0).
    """
    return math.ceil(math.log(threshold) / math.log1p(-step_size * lambda_0 / 2.0))


def linear_steps(eigenvalues: np.ndarray, error: np.ndarray, step_size: float, threshold: float) -> int:
    """Steps that gradient descent with the constant matrix H-infinity needs to lower |u - y|^2 by ``threshold``.

    In its eigenvectors the error is (1 - eta lambda_i)^k c_i, so |u(k) - y|^2 = sum_i (1 - eta lambda_i)^(2k) c_i^2.

    Args:
        eigenvalues: of H-infinity, all > 0, shape (n,).
        error: c, u(0) - y in the basis of the eigenvectors, shape (n,).
        step_size: eta < 2 / lambda_max, so that the sum falls with k.
        threshold: in (0, 1).
    """
    factors, squares = np.abs(1.0 - step_size * eigenvalues), error**2

    def left(steps: int) -> float:
        return float((factors ** (2.0 * steps) * squares).sum() / squares.sum())

    high = 1
    while left(high) > threshold:
        high *= 2
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if left(middle) > threshold else (low, middle)
    return high


def lazy_pair_width(distance: np.ndarray) -> np.ndarray:
    """4 pi^2 / eps^4 = 1 / (4 pi^2 lambda_0^4): the width from which a close pair with labels +1 and -1 trains lazily.

    Ours, to leading order. Only the m eps / pi units whose kink lies in the gap tell the two inputs apart. To make the
    outputs differ by 2, each must move by about delta = 2 pi / (eps sqrt m); its kink leaves the gap, and lambda_min(H(k))
    falls, unless delta << eps. So the power 4 of lambda_0 in Theorem 4.1's width is what a pair needs.
    """
    return 4.0 * math.pi**2 / np.asarray(distance, float) ** 4


def theorem_width(samples: int, lambda_0: float, failure: float) -> float:
    """n^6 / (lambda_0^4 delta^3): the width of Theorem 4.1 of Du et al. 2018a (version 2) with its constant put to 1.

    Document 003 quotes n^6 / lambda_0^2; the constant of a published re-derivation is above 1, so this is the least
    that the theorem can mean.
    """
    return samples**6 / (lambda_0**4 * failure**3)


def heavy_ball(lambda_0: float, lambda_max: float) -> tuple[float, float]:
    """(step, momentum) of Polyak's method, best for a quadratic with curvatures in [lambda_0, lambda_max]."""
    small, large = lambda_0**0.5, lambda_max**0.5
    return (2.0 / (small + large)) ** 2, ((large - small) / (large + small)) ** 2


def nesterov(lambda_0: float, lambda_max: float) -> tuple[float, float]:
    """(step, momentum) of Nesterov's method for curvatures in [lambda_0, lambda_max]: 1 / L, (sqrt(k)-1)/(sqrt(k)+1)."""
    ratio = (lambda_max / lambda_0) ** 0.5
    return 1.0 / lambda_max, (ratio - 1.0) / (ratio + 1.0)


def changed_patterns(drift: np.ndarray, scale: float) -> float:
    """Fraction of patterns that can change where w_r.x ~ N(0, scale^2) and unit r moves by |drift_r|: the upper bound
    P(|w_r.x| <= drift_r) = erf(drift_r / (scale sqrt 2)), averaged over units (after Lemma 3.2 of Du et al. 2018a)."""
    from scipy.special import erf

    return float(erf(np.asarray(drift) / (scale * 2.0**0.5)).mean())
