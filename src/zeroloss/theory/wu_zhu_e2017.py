"""Five points on a line: how much a curve through them has to vary, and regression with the kernel (1 + x x')^p."""

from __future__ import annotations

from math import comb

import numpy as np

NODES = np.linspace(-1.0, 1.0, 5)
"""The five inputs, equispaced."""


def total_variation(values: np.ndarray) -> float:
    """Sum of |f(x_(k+1)) - f(x_k)| over neighbours; ``values`` in the order of x.

    At the data it is the variation of the polyline, the least that any curve through them can have.
    """
    return float(np.abs(np.diff(values)).sum())


def polynomial_features(x: np.ndarray, order: int) -> np.ndarray:
    """phi_k(x) = sqrt(C(p, k)) x^k, k = 0..p, so that phi(x) . phi(x') = (1 + x x')^p; shape (len(x), p + 1)."""
    return np.array([comb(order, k) ** 0.5 for k in range(order + 1)]) * x[:, None] ** np.arange(order + 1)


def polynomial_fit(x: np.ndarray, y: np.ndarray, order: int) -> tuple[np.ndarray, int]:
    """Kernel regression without ridge: coefficients over :func:`polynomial_features` and the kernel matrix's rank.

    The least-squares solution of least norm. Solving with the features and not with the kernel matrix takes the root of
    its condition number (at p = 40: 1e6 instead of 1e12), so float64 is enough.
    """
    coefficients, _, rank, _ = np.linalg.lstsq(polynomial_features(x, order), y, rcond=None)
    return coefficients, int(rank)


def cubic_error(y: np.ndarray) -> float:
    """Mean squared error of the best cubic through five equispaced points: (fourth difference)^2 / (70 * 5).

    (1, -4, 6, -4, 1), of squared length 70, spans what is orthogonal to all cubics. Zero for sin(pi x) at these nodes.
    """
    return float(np.dot([1.0, -4.0, 6.0, -4.0, 1.0], y) ** 2 / (70 * 5))


def overshoot_law(y: np.ndarray, order: int | np.ndarray) -> np.ndarray:
    """Maximum of |f| on [-1, 1] of the least-norm interpolant at :data:`NODES`, for large p (our derivation).

    With x = tan(theta) the kernel is (1 + x^2)^(p/2) (1 + x'^2)^(p/2) cos^p(theta - theta'): each point adds a bump
    ((1 + x x_i) / (1 + x_i^2))^p. That of x = 1/2 goes on growing to its right, to (6/5)^p at x = 1, where the bump of the
    last point has to cancel it. That one falls faster: at x = 1 - t/p what is left is (6/5)^p (e^(-t/3) - e^(-t/2)), at
    most 4/27 (6/5)^p. Its factor is y_(1/2) - y_0, since the bump of x = 0 is 1 everywhere; the same on the left.
    Corrections are of relative order 1/p and (9/10)^p.
    """
    return 4 / 27 * max(abs(y[3] - y[2]), abs(y[1] - y[2])) * 1.2 ** np.asarray(order, dtype=float)
