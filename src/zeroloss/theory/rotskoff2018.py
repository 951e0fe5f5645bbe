"""The loss as an energy of interacting particles: equations (1.1)-(1.4) and (1.7), and closed forms on the sphere.

Radial units phi(x, y) = exp(a x.y) on |x| = |y| = sqrt(d), which is exp(-a |x - y|^2 / 2) but for a constant factor.
All in float64.
"""

from __future__ import annotations

import math

import numpy as np

from zeroloss.theory.three_spin import ThreeSpin


def harmonic_factor(degree: int, kappa: float, dimension: int) -> float:
    """What averaging against exp(kappa u.v) over unit vectors u does to a spherical harmonic of this degree (Funk-Hecke).

    Gamma(d/2) (2 / kappa)^(d/2 - 1) I_{degree + d/2 - 1}(kappa); kappa may be negative, then odd degrees change sign.
    """
    from scipy.special import gamma, iv

    order, size = dimension / 2 - 1, abs(kappa)
    factor = gamma(dimension / 2) * (2 / size) ** order * iv(degree + order, size)
    return float(factor if kappa > 0 or degree % 2 == 0 else -factor)


def sphere_average(kappa: np.ndarray, dimension: int) -> np.ndarray:
    """Mean of exp(kappa u.v) over unit vectors u: the factor of degree 0, for whole arrays.

    Power series in kappa^2, all terms positive, summed until they are below rounding; ten times faster than a
    Bessel function of real order.
    """
    quarter = np.square(kappa) / 4
    largest, terms, term = float(quarter.max(initial=0.0)), [1.0], 1.0
    while term > 1e-17:
        k = len(terms)
        terms.append(terms[-1] / (k * (k - 1 + dimension / 2)))
        # the terms rise before they fall: none is small before k exceeds its ratio
        term = terms[-1] * largest**k if k * k > largest else 1.0
    total = np.zeros_like(quarter)
    for coefficient in reversed(terms):
        total *= quarter
        total += coefficient
    return total


def radial_potential(spin: ThreeSpin, exponent: float, y: np.ndarray) -> np.ndarray:
    """F(y) = mean over x of f(x) exp(exponent x.y), eq. (1.4), for y (..., d)."""
    d = spin.dimension
    first = y @ spin.linear
    odd = [harmonic_factor(degree, exponent * d, d) for degree in (1, 3)]
    return odd[0] * first + odd[1] * (spin.values(y) - first)


def radial_kernel(exponent: float, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """K(y, z) = mean over x of exp(exponent x.(y + z)), eq. (1.4), for y (..., n, d) and z (..., m, d): (..., n, m)."""
    d = y.shape[-1]
    square = 2 * d + 2 * y @ np.swapaxes(z, -1, -2)  # |y + z|^2
    return sphere_average(abs(exponent) * np.sqrt(d * np.maximum(square, 0)), d)


def interaction_loss(constant: float, charges: np.ndarray, potential: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Eq. (1.3): C_f - (1/n) sum_i c_i F(y_i) + (1 / 2 n^2) sum_ij c_i c_j K(y_i, y_j).

    Args:
        constant: C_f, half the mean of f^2.
        charges, potential: c and F(y_i), (..., n).
        kernel: (..., n, n).
    """
    n = charges.shape[-1]
    pairs = np.einsum("...i,...ij,...j->...", charges, kernel, charges)
    found: np.ndarray = constant - (charges * potential).sum(-1) / n + pairs / (2 * n**2)
    return found


def direct_loss(f: np.ndarray, fn: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Eq. (1.2) by quadrature: 1/2 sum_k w_k (f(x_k) - f_n(x_k))^2, over the last axis."""
    found: np.ndarray = 0.5 * (np.square(f - fn) * weights).sum(-1)
    return found


def radial_loss(spin: ThreeSpin, exponent: float, charges: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss (1.2) over the whole sphere, exactly: charges (..., n), positions y (..., n, d)."""
    return interaction_loss(
        spin.mean_square / 2, charges, radial_potential(spin, exponent, y), radial_kernel(exponent, y, y)
    )


def start_excess(exponent: float, dimension: int, mean: float, deviation: float) -> tuple[float, float]:
    """(loss of the density minus C_f, n times the expected excess of n particles over it) for independent particles.

    y uniform on the sphere, c ~ N(mean, deviation^2) apart from y. Only the n terms i = j of (1.3) differ from the double
    integral of (1.7), hence E l_n - l[G] = (1 / 2n) (E c^2 K(y, y) - (E c)^2 E K(y, z)), with no remainder. f has mean 0.
    """
    flat = harmonic_factor(0, exponent * dimension, dimension)
    self_energy = float(sphere_average(np.array(2 * abs(exponent) * dimension), dimension))
    return mean**2 * flat**2 / 2, ((mean**2 + deviation**2) * self_energy - mean**2 * flat**2) / 2


def sphere_grid(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature on the sphere of radius sqrt(3) in R^3: points (2 order^2, 3) and weights that sum to 1.

    Gauss-Legendre in height, equal steps in longitude: exact for polynomials of degree below 2 order.
    """
    heights, weights = np.polynomial.legendre.leggauss(order)
    angles = math.pi / order * np.arange(2 * order)
    ring = np.sqrt(1 - heights**2)
    x = np.stack(
        [ring[:, None] * np.cos(angles), ring[:, None] * np.sin(angles), heights[:, None] + 0 * angles], axis=-1
    )
    return 3**0.5 * x.reshape(-1, 3), np.repeat(weights / 2, 2 * order) / (2 * order)


def sigmoid_start_variance(inputs: int, deviation: float) -> float:
    """n times the variance of f_n(x) at the start of the sigmoid networks: E c^2 E sigma(a.x + b)^2 (E c = 0).

    a ~ N(0, I), b ~ N(0, 1), |x| = sqrt(d), so a.x + b ~ N(0, d + 1); trapezoidal rule in z.
    """
    z = np.linspace(-10, 10, 4001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    unit = 0.5 * (1 + np.tanh(math.sqrt(inputs + 1) * z / 2))
    return float(deviation**2 * (density * unit**2).sum() * (z[1] - z[0]))


def transport_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Wasserstein-1 distance of two samples on the line, of any sizes: integral of |difference of their distributions|."""
    first, second = np.sort(first), np.sort(second)
    points = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(sample, points[:-1], side="right") / len(sample) for sample in (first, second)]
    return float((np.abs(shares[0] - shares[1]) * np.diff(points)).sum())
