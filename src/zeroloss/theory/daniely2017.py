"""Daniely 2017 (arXiv 1702.08489): sin(k <x, x'>) on two spheres, what depth 3 needs and what depth 2 cannot do.

Inner-product functions f = g(<x, x'>) of x, x' uniform on S^(d-1) have the orthonormal basis L_n = sqrt(N_n) P_n(<x, x'>),
P_n Legendre's polynomial of dimension d with P_n(1) = 1 and N_n the number of harmonics of degree n.

The lower bound is the paper's idea in a form that is ours. A neuron is psi(<v, x>, <v', x'>), v and v' unit vectors. With
p_n = sqrt(N_n) P_n and c_n the coefficient of p_n(<v, x>) p_n(<v', x'>) in it, Funk and Hecke give <psi, L_n> = c_n P_n(<v,
v'>) / sqrt(N_n), and sum c_n^2 <= |psi|^2. For a network F = sum_i a_i psi_i + const with the mass A = sum |a_i| |psi_i| the
coefficients F_n = <F, L_n> therefore have sum N_n F_n^2 <= A^2: what it can do at degree n is divided by sqrt(N_n), however
many neurons it has. (Mean over the spheres; |psi| the root mean square.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def printed_frequency(dimension: int) -> float:
    """k = pi d^3, and the Lipschitz constant of g(t) = sin(k t)."""
    return math.pi * dimension**3


def variance(frequency: float, dimension: int) -> float:
    """E sin^2(k <x, x'>) = [1 - Gamma(d/2) k^(1-d/2) J_(d/2-1)(2k)] / 2; the mean of sin is 0."""
    from scipy.special import gammaln, jv

    order = dimension / 2 - 1
    return float((1 - math.exp(gammaln(dimension / 2) - order * math.log(frequency)) * jv(order, 2 * frequency)) / 2)


def log_harmonics(degrees: np.ndarray, dimension: int) -> np.ndarray:
    """ln N_n of degrees n >= 1: N_n = (2n + d - 2) / n * binomial(n + d - 3, n - 1); 2 for d = 2."""
    from scipy.special import gammaln

    n, d = np.asarray(degrees, float), dimension
    if d == 2:
        return np.full(n.shape, math.log(2))
    return np.log((2 * n + d - 2) / n) + gammaln(n + d - 2) - gammaln(n) - gammaln(d - 1)


@dataclass(frozen=True)
class Spectrum:
    """Expansion of sin(k <x, x'>).

    Attributes:
        degrees: n, the odd ones that matter.
        log_harmonics: ln N_n.
        energies: squares of the coefficients; their sum is the variance.
    """

    degrees: np.ndarray
    log_harmonics: np.ndarray
    energies: np.ndarray

    def least_error(self, mass: float) -> float:
        """No depth-2 network of this mass A has a smaller mean squared error.

        The least of sum (a_n - F_n)^2 with sum N_n F_n^2 <= A^2 is taken at F_n = a_n / (1 + mu N_n).
        """
        if self._mass(-np.inf) <= mass:
            return 0.0
        low, high = -float(self.log_harmonics.max()) - 60, 60.0  # ln mu
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if self._mass(middle) > mass else (low, middle)
        return self._error(low)

    def mass_for(self, share: float) -> float:
        """ln of the least mass A of a depth-2 network with a mean squared error of ``share`` times the variance."""
        low, high = -float(self.log_harmonics.max()) - 60, 60.0
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (low, middle) if self._error(middle) > share * self.energies.sum() else (middle, high)
        return self._log_mass(high)

    def _kept(self, log_mu: float) -> np.ndarray:
        """ln of 1 / (1 + mu N_n)."""
        return -np.logaddexp(0, log_mu + self.log_harmonics)

    def _log_mass(self, log_mu: float) -> float:
        with np.errstate(divide="ignore"):
            terms = self.log_harmonics + np.log(self.energies) + 2 * self._kept(log_mu)
        return float(np.logaddexp.reduce(terms)) / 2

    def _mass(self, log_mu: float) -> float:
        return math.exp(min(self._log_mass(log_mu), 700.0))

    def _error(self, log_mu: float) -> float:
        return float((self.energies * np.exp(2 * (log_mu + self.log_harmonics + self._kept(log_mu)))).sum())


def spectrum(frequency: float, dimension: int) -> Spectrum:
    """Of sin(k <x, x'>): |a_n| = sqrt(N_n) Gamma(d/2) (2/k)^(d/2-1) |J_(n+d/2-1)(k)| for odd n (plane-wave expansion).

    Bessel functions of an order beyond their argument vanish faster than exponentially, so degrees up to k + 20 k^(1/3) +
    40 are all.
    """
    from scipy.special import gammaln, jv

    order = dimension / 2 - 1
    degrees = np.arange(1, int(frequency + 20 * frequency ** (1 / 3) + 40), 2)
    harmonics = log_harmonics(degrees, dimension)
    with np.errstate(divide="ignore"):
        size = np.log(np.abs(jv(degrees + order, frequency)))
    logs = harmonics / 2 + gammaln(dimension / 2) + order * math.log(2 / frequency) + size
    return Spectrum(degrees, harmonics, np.exp(2 * logs))


def neuron_norms(weights: np.ndarray, biases: np.ndarray, dimension: int) -> np.ndarray:
    """Upper bound of |psi| of ReLU neurons: the root mean square of their argument, shape (...,).

    Args:
        weights: of (x, x'), shape (..., 2d).
        biases: shape (...,).
    """
    return np.sqrt((weights**2).sum(axis=-1) / dimension + biases**2)


def log_neurons_needed(log_mass: float, dimension: int) -> float:
    """ln of the least number of neurons where every weight and bias is at most 2^d: |a_i| |psi_i| <= sqrt(3) 4^d."""
    return log_mass - math.log(3) / 2 - dimension * math.log(4)


def pieces_for(accuracy: float, frequency: float, dimension: int) -> tuple[int, int]:
    """(n_1, n_2) for which the depth-3 network has a sup error of at most ``accuracy``, half of it from each layer.

    See :func:`depth3_error`.
    """
    first = math.ceil(math.sqrt(4 * dimension * frequency / accuracy))
    reach = 2 + 2 * dimension / first**2
    return first, math.ceil(reach * frequency / (2 * math.sqrt(accuracy)))


def depth3_error(pieces: tuple[int, int], frequency: float, dimension: int) -> float:
    """Bound of its sup error: 2 d k / n_1^2 + (k h)^2 / 8, h = (2 + 2d / n_1^2) / n_2.

    A square on [-2, 2] in n_1 pieces is off by 0 to 4 / n_1^2, half the sum of d of them by up to 2d / n_1^2, and |g'| <= k;
    the interpolant of g is off by max|g''| h^2 / 8.
    """
    overshoot = 2 * dimension / pieces[0] ** 2
    return frequency * overshoot + (frequency * (2 + overshoot) / pieces[1]) ** 2 / 8
