"""What the least eigenvalue lambda_0 of H-infinity should be: harmonics of the kernel, bulk edge, closest pair.

The kernel is g(t) = t (pi - arccos t) / (2 pi), t the cosine between two unit inputs, g(1) = 1/2.
"""

from __future__ import annotations

import functools
import math

import numpy as np

# Degrees of harmonics and powers of the series that are kept. What is left out is a near multiple of the identity:
# its share of the trace is added back (``bulk_edge``).
_DEGREES = 400
_POWERS = 8000


def pair_eigenvalue(angle: np.ndarray | float) -> np.ndarray:
    """Least eigenvalue of H-infinity of two unit inputs at ``angle`` (radians): 1/2 - |g(cos angle)|.

    Near 0 it is angle / (2 pi). By Cauchy's interlacing, lambda_0 of any set of inputs that contains the pair is at
    most this.
    """
    angle = np.asarray(angle, dtype=float)
    # 1/2 - cos(a) (pi - a) / (2 pi), rearranged so that small angles keep their digits
    close = np.sin(angle / 2) ** 2 + np.cos(angle) * angle / (2 * math.pi)
    far = 0.5 + np.cos(angle) * (math.pi - angle) / (2 * math.pi)
    return np.where(np.cos(angle) >= 0, close, far)


def expected_least_angle(samples: int, dimension: int) -> float:
    """Mean of the least angle (radians) among n inputs uniform on the sphere, as n grows at fixed d.

    The number of pairs closer than a is Poisson with mean n (n - 1) / 2 c a^(d-1), c = Gamma(d/2) / ((d - 1) sqrt(pi)
    Gamma((d-1)/2)), so the least angle has a Weibull law and falls like n^(-2/(d-1)).
    """
    from scipy.special import gammaln

    power = dimension - 1
    log_c = gammaln(dimension / 2) - math.log(power) - 0.5 * math.log(math.pi) - gammaln(power / 2)
    log_rate = math.log(samples * (samples - 1) / 2) + log_c
    return float(math.exp(-log_rate / power + gammaln(1 + 1 / power)))


@functools.cache
def harmonics(dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """(eigenvalue mu_k, share of the trace mu_k N_k) of g on the sphere of R^d by degree k = 0 to 399.

    Uniform probability measure; N_k is the number of harmonics of degree k, so the shares sum to g(1) = 1/2.

    t^j holds the harmonic of degree k with eigenvalue Gamma(d/2) j! / (2^j ((j-k)/2)! Gamma((j+k+d)/2)); g's series
    is t/4 + (1/(2 pi)) sum_m binom(2m, m) / (4^m (2m+1)) t^(2m+2). Odd degrees from 3 on vanish exactly.
    """
    from scipy.special import gammaln

    m = np.arange(_POWERS // 2)
    log_b = gammaln(2 * m + 1) - 2 * gammaln(m + 1) - 2 * m * math.log(2) - np.log(2 * m + 1) - math.log(2 * math.pi)
    powers = 2 * m + 2
    values, shares = np.zeros(_DEGREES), np.zeros(_DEGREES)
    half = dimension / 2
    for k in range(0, _DEGREES, 2):
        use = powers >= k
        j = powers[use]
        logs = log_b[use] + gammaln(half) + gammaln(j + 1) - j * math.log(2)
        logs = logs - gammaln((j - k) / 2 + 1) - gammaln((j + k) / 2 + half)
        # whole numbers beyond 1e308 have logarithms all the same
        count = math.comb(k + dimension - 1, k) - (math.comb(k + dimension - 3, k - 2) if k >= 2 else 0)
        values[k], shares[k] = np.exp(logs).sum(), np.exp(logs + math.log(count)).sum()
    values[1], shares[1] = 1 / (4 * dimension), 1 / 4
    return values, shares


def bulk_edge(samples: int, dimension: int) -> float:
    """Lower edge of the spectrum of H-infinity for n inputs uniform on the sphere, were the harmonics independent.

    If the values of the harmonics at the inputs were independent variables, H would be a sample covariance with the
    population eigenvalues mu_k of ``harmonics``, and its lower edge (Silverstein, Choi 1995) is

        max over kappa > 0 of  -kappa + sum_k N_k mu_k kappa / (kappa + n mu_k).

    For n, d large it has the steps 1/2 -> 1/4 -> 1/4 - 1/(2 pi) -> ..., one whenever n passes the number of harmonics
    of a degree (d, d^2/2, d^4/24, ...). An approximation, not a bound: it knows nothing of a pair that happens to be
    close, which rules at fixed d. The degrees beyond 399 are taken for a multiple of the identity.
    """
    values, shares = harmonics(dimension)
    tail = max(0.0, 0.5 - shares.sum())
    kappa = np.geomspace(1e-12, 10 * samples, 4001)
    edge = tail - kappa + (shares[:, None] * kappa / (kappa + samples * values[:, None])).sum(axis=0)
    # kappa -> 0 gives the tail; that is the edge where no maximum is inside
    return float(max(edge.max(), tail))


def plateaus() -> tuple[float, ...]:
    """Limits of lambda_0 for 1 << d^j << n: 1/2, then what degrees 1, 2 and 4 leave of it."""
    first, second, fourth = 1 / 4, 1 / (2 * math.pi), 1 / (12 * math.pi)
    return (0.5, 0.5 - first, 0.5 - first - second, 0.5 - first - second - fourth)


def split_gain_limit(dimension: int) -> float:
    """1 / (1 - 2^(1-d)): the most that lambda_0 can gain from leaving out w in +-E, E the positive orthant.

    H_split = (H - 2^-d X X^T) / (1 - 2^(1-d)), and X X^T has no negative eigenvalue (Weyl).
    """
    return 1.0 / (1.0 - 2.0 ** (1 - dimension))


def separation_bounds(separation: np.ndarray | float, samples: int, dimension: int) -> dict[str, np.ndarray]:
    """Lower bounds on lambda_0 of delta-separated unit inputs, as quoted in the literature.

    delta / (100 n^2): Oymak, Soltanolkotabi 2020 (arXiv 1902.04674), from memory, the text was not available.
    d^-3 delta^2: Karhadkar, Murray, Montufar 2024 (arXiv 2405.14630), its shape without constants or logarithms.
    """
    delta = np.asarray(separation, dtype=float)
    return {"oymak2020": delta / (100 * samples**2), "karhadkar2024": delta**2 / dimension**3}


def chain_eigenvalue(separation: np.ndarray | float, samples: int) -> np.ndarray:
    """lambda_0 of n points on a circle, each delta from the next, as delta -> 0: delta / (2 pi (1 + cos(pi / n))).

    Near t = 1, g falls by angle / (2 pi), so on vectors of sum 0 H is the distance matrix of a path times
    -delta / (2 pi), whose least eigenvalue there is 1 / (1 + cos(pi / n)) (closed form found numerically and tested).
    From a pair (n = 2) to a long chain it falls from delta / (2 pi) to delta / (4 pi), and no further.
    """
    return np.asarray(separation, dtype=float) / (2 * math.pi * (1 + math.cos(math.pi / samples)))
