"""Formulas of Arora, Du, Hu, Li, Wang 2019 (arXiv 1901.08584): loss and complexity from the spectrum of H-infinity.

Throughout lambda_i and v_i are eigenvalues and unit eigenvectors of H-infinity, p_i = v_i . y.
"""

from __future__ import annotations

import math

import numpy as np

# mean of |v . y| for random signs y: v . y is nearly a standard Gaussian
HALF_NORMAL_MEAN = math.sqrt(2 / math.pi)


def predicted_loss(eigenvalues: np.ndarray, projections: np.ndarray, times: np.ndarray, step: float) -> np.ndarray:
    """Phi / n = |y - u(k)|^2 / (2 n) by Theorem 4.1, sum_i (1 - eta lambda_i)^(2 k) p_i^2 / (2 n), shape (times,).

    Args:
        eigenvalues: shape (n,), at most 1 / eta.
        projections: p_i, shape (n,).
        times: eta k, shape (times,).
        step: eta; 0 gives its limit, exp(-2 lambda_i t).
    """
    rates = eigenvalues if step == 0 else -np.log1p(-np.minimum(step * eigenvalues, 1 - 1e-16)) / step
    squares = projections**2
    return np.array([(np.exp(-2 * rates * t) * squares).sum() for t in times]) / (2 * len(eigenvalues))


def squared_norm(eigenvalues: np.ndarray, projections: np.ndarray) -> float:
    """y^T (H-infinity)^-1 y = sum_i p_i^2 / lambda_i: the squared length of the path of the weights (Lemma 5.3)."""
    return float((projections**2 / eigenvalues).sum())


def complexity(eigenvalues: np.ndarray, projections: np.ndarray) -> float:
    """sqrt(2 y^T (H-infinity)^-1 y / n), the leading term of the bound of Theorem 5.1."""
    return math.sqrt(2 * squared_norm(eigenvalues, projections) / len(eigenvalues))


def noisy_complexity(eigenvalues: np.ndarray, projections: np.ndarray, portion: float) -> float:
    """sqrt(2 E y^T (H-infinity)^-1 y / n) when each label is, with this probability, replaced by a random sign (ours).

    Labels keep the mean (1 - p) y and get independent noise of variance 1 - (1 - p)^2, so the expectation is
    (1 - p)^2 y^T H^-1 y + (1 - (1 - p)^2) tr H^-1.
    """
    kept = (1 - portion) ** 2
    mean = kept * squared_norm(eigenvalues, projections) + (1 - kept) * float((1 / eigenvalues).sum())
    return math.sqrt(2 * mean / len(eigenvalues))


def implied_time(eigenvalues: np.ndarray, squares: np.ndarray, loss: float) -> float:
    """The t at which sum_i exp(-2 lambda_i t) squares_i / (2 n) = loss: what time a curve has got to; by bisection.

    Args:
        eigenvalues: shape (n,).
        squares: p_i^2, or their expectation, shape (n,).
        loss: positive, below its value at t = 0.
    """

    def excess(log_time: float) -> float:
        return float((np.exp(-2 * eigenvalues * math.exp(log_time)) * squares).sum()) / (2 * len(squares)) - loss

    low, high = math.log(1e-12), math.log(1e12)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return math.exp((low + high) / 2)


def interpolated_spectrum(indices: np.ndarray, values: np.ndarray, samples: int) -> np.ndarray:
    """A spectrum read from a curve at some indices (1 = the largest), at every index, shape (samples,).

    Between the points ln lambda is linear in ln index. In front of the first point, where the published curve leaves
    its panel, the power law of the points up to three times its index goes on, and lambda_1 takes what is then missing
    of the trace, samples / 2.
    """
    at, logs = np.arange(1, samples + 1), np.log(indices)
    found = np.exp(np.interp(np.log(at), logs, np.log(values)))
    near = indices <= 3 * indices[0]
    if near.sum() < 2:
        near[:2] = True
    power = np.polyfit(logs[near], np.log(values[near]), 1)[0]
    front = at < indices[0]
    found[front] = values[0] * (at[front] / indices[0]) ** power
    found[0] += max(0.0, samples / 2 - found.sum())
    return found


def required_width(samples: int, lambda_0: float, kappa: float, delta: float, accuracy: float) -> float:
    """n^7 / (lambda_0^4 kappa^2 delta^4 epsilon^2): the width of Theorem 4.1 without its constant."""
    return samples**7 / (lambda_0**4 * kappa**2 * delta**4 * accuracy**2)


def allowed_step(samples: int, lambda_0: float) -> float:
    """lambda_0 / n^2: the step of Theorem 4.1 without its constant."""
    return lambda_0 / samples**2
