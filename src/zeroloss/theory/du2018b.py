"""Bounds of Du, Lee, Li, Wang, Zhai 2018 (arXiv 1811.03804v4), Theorems 5.1, 6.1 and 7.1."""

from __future__ import annotations

import math

import numpy as np


def linear_rate_bound(steps: np.ndarray, step_size: float, lambda_min: float) -> np.ndarray:
    """(1 - eta lambda_min / 2)^k: the bound on L(k) / L(0) of all three theorems, shape of ``steps``."""
    return (1.0 - step_size * lambda_min / 2.0) ** np.asarray(steps)


def slide_rate_bound(steps: np.ndarray, step_size: float, lambda_0: float) -> np.ndarray:
    """(1 - eta lambda_0)^t as on the slides of document 002, for R = L / n, H^l = G^(l) / n and the step size n eta.

    Twice as fast as the theorem's: the slides leave out the 1/2 that the proof loses to the finite width.
    """
    return (1.0 - step_size * lambda_0) ** np.asarray(steps)


def width_order(architecture: str, lambda_min: float, samples: int, depth: int, failure: float) -> float:
    """The width that the theorem asks for, with every hidden constant put to 1 and 2^O(H) read as 2^H.

    Args:
        architecture: fully_connected, resnet or conv_resnet (for which poly(p) is put to 1).
        lambda_min: of K^(H).
        samples: n.
        depth: H.
        failure: delta, the probability that the theorem fails.
    """
    n, lam = float(samples), lambda_min
    chance = (n / failure, n**2 * math.log(depth * n / failure) / lam**2)
    if architecture == "fully_connected":
        return 2.0**depth * max(n**4 / lam**4, *chance)
    if architecture == "resnet":
        return max(n**4 / (lam**4 * depth**6), n**2 / (lam**2 * depth**2), *chance)
    return max(n**4 / (lam**4 * depth**6), n**4 / (lam**4 * depth**2), *chance)


def step_order(architecture: str, lambda_min: float, samples: int, depth: int) -> float:
    """The step size that the theorem allows, hidden constants put to 1 and 2^O(H) read as 2^H."""
    if architecture == "fully_connected":
        return lambda_min / (samples**2 * 2.0**depth)
    return lambda_min * depth**2 / samples**2
