"""Yarotsky 2017 (arXiv 1610.01145), Theorem 1 of document 004: errors and sizes, and functions of the class F_{n,d}."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zeroloss.randomness import numpy_generator


def square_error(levels: int) -> float:
    """max |f_m - x^2| on [0, 1]: 2^(-2m-2), at the middle of every interval of length 2^(-m)."""
    return 2.0 ** (-2 * levels - 2)


def square_mean_error(levels: int) -> float:
    """Integral of (f_m - x^2)^2 over [0, 1]: 1 / (30 * 16^m).

    On an interval of length h the error is t (h - t), whose square has the integral h^5 / 30.
    """
    return 1 / (30 * 16.0**levels)


def square_lower_bound(units: int, layers: int) -> float:
    """No ReLU network with so many units and layers has a smaller integral of (f - x^2)^2 (Telgarsky, Theorem 5.2)."""
    return math.exp(-math.log(5760) - 4 * layers * math.log(2 * units / layers))


def shallow_square_error(pieces: int | np.ndarray) -> float | np.ndarray:
    """Least max |f - x^2| on [0, 1] of a piecewise linear f: 1 / (8 p^2)."""
    return 1 / (8.0 * np.asarray(pieces) ** 2)


def product_error(levels: int, reach: float) -> float:
    """|x y - product| <= M^2 4^(-m) for |x|, |y| <= M.

    2 M^2 times an error of the square in [0, 2^(-2m-2)], once with a plus and twice with a minus.
    """
    return reach**2 * 4.0**-levels


def grid_for(accuracy: float, dimension: int, smoothness: int) -> int:
    """N: the least with 2^d d^n / n! N^(-n) <= epsilon / 2 for the norm 1 (partition of unity and Taylor's remainder)."""
    constant = 2.0**dimension * dimension**smoothness / math.factorial(smoothness)
    # a hair less than the exact value would make one node too many where it is an integer
    return math.ceil((2 * constant / accuracy) ** (1 / smoothness) * (1 - 1e-12))


def levels_for(accuracy: float, dimension: int, smoothness: int, reach: float) -> int:
    """m: the least for which all products together cost epsilon / 2.

    At a point 2^d nodes and at most d^0 + ... + d^(n-1) powers count, with coefficients of at most 1; a chain of k <= d +
    n - 1 factors has k - 1 products, each off by at most M^2 4^(-m), which later factors (at most 1) do not enlarge.
    """
    powers = math.comb(dimension + smoothness - 1, dimension)
    products = max(dimension + smoothness - 2, 1)
    share = accuracy / (2 * 2.0**dimension * powers * products)
    return max(math.ceil(math.log(reach**2 / share, 4) - 1e-12), 1)


@dataclass(frozen=True)
class Waves:
    """Targets f(x) = sin(<w, x> + phase), one for each row of ``frequencies`` (targets, d).

    All derivatives of order up to n are at most W^n, W = max |w_k| >= 1: f / W^n is in F_{n,d}.
    """

    frequencies: np.ndarray
    phases: np.ndarray

    def derivative(self, powers: tuple[int, ...], x: np.ndarray) -> np.ndarray:
        """D^p f at x (points, d), shape (targets, points)."""
        scale = np.prod(self.frequencies ** np.array(powers), axis=1)
        angle = self.frequencies @ x.T + self.phases[:, None]
        return scale[:, None] * np.sin(angle + sum(powers) * math.pi / 2)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.derivative((0,) * self.frequencies.shape[1], x)


def random_waves(seeds: list[int], dimension: int, largest: float) -> Waves:
    """One wave for each seed: a random direction scaled to max |w_k| = ``largest``, and a random phase."""
    frequencies, phases = [], []
    for seed in seeds:
        generator = numpy_generator(seed, "waves", dimension)
        direction = generator.standard_normal(dimension)
        frequencies.append(largest * direction / np.abs(direction).max())
        phases.append(generator.uniform(0, 2 * math.pi))
    return Waves(np.array(frequencies), np.array(phases))
