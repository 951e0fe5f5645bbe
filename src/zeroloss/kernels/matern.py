"""Matern kernels of half-integer smoothness, and kernel regression on all nested designs from one factorisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist


def matern(distance: np.ndarray, smoothness: float) -> np.ndarray:
    """k(r) of smoothness 1/2 (Laplace), 3/2 or 5/2 and length 1, k(0) = 1; functions of this covariance have it, too.

    Raises:
        ValueError: another smoothness.
    """
    if smoothness == 0.5:
        return np.exp(-distance)
    if smoothness == 1.5:
        scaled = np.sqrt(3) * distance
        return (1 + scaled) * np.exp(-scaled)
    if smoothness == 2.5:
        scaled = np.sqrt(5) * distance
        return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    raise ValueError(f"no closed form is written down for smoothness {smoothness}: allowed are 0.5, 1.5, 2.5")


@dataclass(frozen=True)
class NestedErrors:
    """Mean squared errors over test points after the first n training points, for n = 1, 2, ...

    Attributes:
        mean: over all functions of the covariance, exactly, shape (points,).
        drawn: of single functions drawn from it, shape (points, functions).
        nearest: of the value at the nearest training point instead, over all functions, shape (points,).
        diverged: the matrix was not positive definite to rounding; everything is NaN.
    """

    mean: np.ndarray
    drawn: np.ndarray
    nearest: np.ndarray
    diverged: bool


def nested_errors(
    train: np.ndarray,
    test: np.ndarray,
    smoothness: float,
    length: float,
    noise: float,
    functions: int,
    generator: np.random.Generator,
) -> NestedErrors:
    """Errors of kernel regression for functions whose covariance is the kernel, on the first n points for every n at once.

    With L L^T = K + noise I and V = L^-1 k(train, test), regression on the first n points uses the first n rows alone: the
    mean squared error over functions is k(0) - sum_(i <= n) V_i^2. A function is drawn as f = L z on the (noisy) training
    labels, so its prediction after n points is sum_(i <= n) V_i z_i, and at the test points f = sum over all i + what the
    points do not determine, whose covariance is k(test, test) - V^T V.

    Args:
        train: points, shape (n, d), in the order in which they are used.
        test: points, shape (t, d).
        smoothness: see :func:`matern`.
        length: distances are divided by it.
        noise: variance of the labels' noise; tiny for noise-free labels, where it only keeps rounding away.
        functions: how many are drawn.
        generator: explicit randomness of the draws.
    """
    n, t = len(train), len(test)
    between = cdist(train, test)
    try:
        factor = cholesky(matern(cdist(train, train) / length, smoothness) + noise * np.eye(n), lower=True)
    except np.linalg.LinAlgError:
        nothing = np.full(n, np.nan)
        return NestedErrors(nothing, np.full((n, functions), np.nan), nothing, True)
    rows = solve_triangular(factor, matern(between / length, smoothness), lower=True)
    mean = (1 - np.cumsum(rows**2, axis=0)).mean(axis=1)

    left = matern(cdist(test, test) / length, smoothness) - rows.T @ rows
    values, vectors = np.linalg.eigh(left)
    rest = vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * generator.standard_normal((t, functions)))
    drawn = np.empty((n, functions))
    for k in range(functions):
        z = generator.standard_normal(n)
        parts = rows * z[:, None]
        # what is still to come after the first n points, and the rest
        missing = parts.sum(axis=0) - np.cumsum(parts, axis=0) + rest[:, k]
        drawn[:, k] = (missing**2).mean(axis=1)

    near = np.minimum.accumulate(between, axis=0)
    nearest = (2 * (1 - matern(near / length, smoothness)) + noise).mean(axis=1)
    return NestedErrors(mean, drawn, nearest, False)
