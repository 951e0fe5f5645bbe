"""The limit of infinite width of Jacot, Gabriel, Hongler 2018 (arXiv 1806.07572): Gaussian functions under gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# P10 and P90 of a standard Gaussian
TENTH = 1.2815515655446004


@dataclass(frozen=True)
class GaussianFunction:
    """Mean and standard deviation of f(x) over initialisations, at some inputs, each shape (points,)."""

    mean: np.ndarray
    deviation: np.ndarray


def trained_function(
    tangent: np.ndarray, covariance: np.ndarray, targets: np.ndarray, rate: float, steps: int
) -> GaussianFunction:
    """The network function after ``steps`` steps of gradient descent on the mean of (f - y)^2 / 2, infinite width.

    f_k(x) = f_0(x) + M (y - f_0(X)) with M = Theta(x, X) Theta(X, X)^-1 (1 - (1 - rate Theta(X, X) / N)^k) and f_0
    Gaussian with covariance Sigma.

    Args:
        tangent: Theta^(L), float64, shape (N + points, N + points), the N training inputs first.
        covariance: Sigma^(L), the same shape.
        targets: y, shape (N,).
        rate: learning rate.
        steps: k.
    """
    n = len(targets)
    values, vectors = np.linalg.eigh(tangent[:n, :n])
    learned = (1 - (1 - rate * values / n) ** steps) / values
    pull = tangent[n:, :n] @ (vectors * learned) @ vectors.T
    cross, inner = covariance[n:, :n], covariance[:n, :n]
    variance = covariance[n:, n:].diagonal() - 2 * (pull * cross).sum(axis=1) + ((pull @ inner) * pull).sum(axis=1)
    return GaussianFunction(pull @ targets, np.sqrt(np.maximum(variance, 0.0)))


def principal_components(tangent: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of the kernel's integral operator on the sample and its eigenfunctions there.

    Args:
        tangent: Theta on the sample, float64, shape (N, N).
        count: how many.

    Returns:
        lambda_1 >= lambda_2 >= ..., shape (count,), and f^(1), f^(2), ... in columns, shape (N, count), of mean square 1;
        each has a positive sum of cubes, which fixes its sign.
    """
    n = len(tangent)
    values, vectors = np.linalg.eigh(tangent / n)
    values, functions = values[::-1][:count], vectors[:, ::-1][:, :count] * n**0.5
    return values, functions * np.where((functions**3).sum(axis=0) < 0, -1.0, 1.0)
