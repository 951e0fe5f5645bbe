"""The lemmas of Du et al. 2018a (arXiv 1810.02054v2) with every constant written out.

The paper hides constants in O, Omega and c. Those here follow its proofs line by line; where a published re-derivation
(E. Epstein, bachelor thesis, ETH) gives them too, they agree. Symbols: n inputs, m width, delta failure probability.
"""

from __future__ import annotations

import math

import numpy as np


def entry_deviation(width: float | np.ndarray, samples: int, delta: float) -> float | np.ndarray:
    """sqrt(ln(2 n^2 / delta) / (2 m)): with probability 1 - delta no entry of H(0) is farther from H-infinity.

    Proof of Lemma 3.1: Hoeffding for m variables in an interval of length <= 1, and a union over n^2 entries.
    """
    return np.sqrt(math.log(2.0 * samples**2 / delta) / (2.0 * np.asarray(width, dtype=float)))


def initial_width(samples: int, lambda_0: float, delta: float) -> float:
    """8 n^2 ln(2 n^2 / delta) / lambda_0^2, the width from which the proof of Lemma 3.1 works.

    It bounds the spectral norm by n times the largest entry, and needs n ``entry_deviation`` <= lambda_0 / 4.
    """
    return 8.0 * samples**2 * math.log(2.0 * samples**2 / delta) / lambda_0**2


def flip_probability(radius: float | np.ndarray) -> np.ndarray:
    """P(|z| < R), z ~ N(0, 1): probability that some move of length R flips one given pattern (event A_ir), exact."""
    from scipy.special import erf

    return erf(np.asarray(radius, dtype=float) / math.sqrt(2.0))


def flip_probability_bound(radius: float | np.ndarray) -> np.ndarray:
    """2 R / sqrt(2 pi) >= P(A_ir), proof of Lemma 3.2."""
    return 2.0 * np.asarray(radius, dtype=float) / math.sqrt(2.0 * math.pi)


def gram_change_bound(radius: float | np.ndarray, samples: int, delta: float) -> np.ndarray:
    """4 n^2 R / (sqrt(2 pi) delta) >= |H - H(0)|_2 with probability 1 - delta, proof of Lemma 3.2 (Markov)."""
    return 4.0 * samples**2 * np.asarray(radius, dtype=float) / (math.sqrt(2.0 * math.pi) * delta)


def safe_radius(samples: int, lambda_0: float, delta: float) -> float:
    """R = sqrt(2 pi) delta lambda_0 / (16 n^2), where ``gram_change_bound`` reaches lambda_0 / 4 (Lemma 3.2)."""
    return math.sqrt(2.0 * math.pi) * delta * lambda_0 / (16.0 * samples**2)


# Lemma 3.3 as printed, with its integrand corrected, and Corollary 4.1 for gradient descent
DISTANCE_CONSTANTS = {"printed": 1.0, "corrected": 2.0, "descent": 4.0}


def distance_bound(
    residual: float | np.ndarray, samples: int, width: float | np.ndarray, lambda_0: float | np.ndarray, constant: float
) -> np.ndarray:
    """``constant`` sqrt(n) |y - u(0)| / (sqrt(m) lambda_0), the bound on |w_r(t) - w_r(0)|.

    Lemma 3.3 prints the constant 1. Its proof integrates |r(s)| <= exp(-lambda_0 s / 2) |r(0)|, which gives 2; the
    print has exp(-lambda_0 s) there. Corollary 4.1 (gradient descent) has 4.
    """
    return constant * math.sqrt(samples) * np.asarray(residual) / (np.sqrt(width) * np.asarray(lambda_0))


def proven_width(samples: int, lambda_0: float, delta: float, residual: float, constant: float) -> float:
    """The width at which ``distance_bound`` equals ``safe_radius``: Lemma 3.4, m = Omega(n^5 |r(0)|^2 / (lambda_0^4 delta^2)).

    Args:
        residual: |y - u(0)|; the theorems put sqrt(n / delta) times a constant for it, hence their n^6 and delta^3.
        constant: that of the distance bound.
    """
    return constant**2 * samples * residual**2 / (lambda_0 * safe_radius(samples, lambda_0, delta)) ** 2


def flow_bound(time: np.ndarray, lambda_0: float | np.ndarray) -> np.ndarray:
    """exp(-lambda_0 t) >= |u(t) - y|^2 / |u(0) - y|^2, Theorems 3.2 and 3.3."""
    return np.exp(-np.asarray(lambda_0) * np.asarray(time))
