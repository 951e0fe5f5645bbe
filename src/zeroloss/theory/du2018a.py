"""Bounds of Du et al. 2018a (arXiv 1810.02054v2)."""

from __future__ import annotations

import numpy as np


def linear_rate_bound(steps: np.ndarray, step_size: float, lambda_0: float) -> np.ndarray:
    """(1 - eta lambda_0 / 2)^k: Theorem 4.1's bound on |u(k) - y|^2 / |u(0) - y|^2, shape of ``steps``.

    The theorem proves it for eta = O(lambda_0 / n^2) and m = Omega(n^6 / (lambda_0^4 delta^3)), far from any run; here
    it is drawn at the step size that was used.
    """
    return (1.0 - step_size * lambda_0 / 2.0) ** np.asarray(steps)


def proven_step_size(lambda_0: float, samples: int) -> float:
    """lambda_0 / (8 n^2), a step size for which the proof of Theorem 4.1 goes through.

    The paper prints eta = O(lambda_0 / n^2); the constant 8 is from a published re-derivation of the proof (E. Epstein,
    bachelor thesis, ETH).
    """
    return lambda_0 / (8.0 * samples**2)


def gradient_step_of_published_figure(step: float, width: int) -> float:
    """The step size in eq. 4 that the paper's Figure 1 used: ``step`` times sqrt(m).

    Recovered from the curves: the update applied there lacks the m^(-1/2) of eq. 4, which is the same as eq. 4 with a
    step size that grows like sqrt(m).
    """
    return step * width**0.5
