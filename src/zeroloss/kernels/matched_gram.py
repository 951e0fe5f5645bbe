"""H-infinity for other laws of the first layer's weights than N(0, I): N(0, S), the split law of Xie et al., samples.

H_ij = x_i . x_j P(w . x_i >= 0 and w . x_j >= 0) for every law of w; only the probability changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from zeroloss.kernels.relu_gram import angles, coactivation_counts, infinite_width_gram


def gram_under_gaussian(x: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """H for w ~ N(0, S): the angle is taken between S^(1/2) x_i and S^(1/2) x_j; float64, shape (n, n).

    Args:
        x: unit vectors, float64, shape (n, d).
        covariance: S, positive definite, float64, shape (d, d).
    """
    seen = x @ torch.linalg.cholesky(covariance)
    seen = seen / seen.norm(dim=1, keepdim=True)
    return ((x @ x.T) * (math.pi - angles(seen)) / (2 * math.pi)).fill_diagonal_(0.5)


def split_gram(x: torch.Tensor) -> torch.Tensor:
    """H for w uniform on F_E, the sphere without the positive orthant E and -E (Xie, Liang, Song 2017, Table 2).

    On inputs in E a weight in E is always active and one in -E never, so
    P = (P_uniform - 2^-d) / (1 - 2^(1-d)). float64, shape (n, n).

    Args:
        x: unit vectors with no negative coordinate, float64, shape (n, d).
    """
    share = 2.0 ** -x.shape[1]
    gram = (infinite_width_gram(x) - share * (x @ x.T)) / (1 - 2 * share)
    # the diagonal is exactly 1/2 again: (1/2 - 2^-d) / (1 - 2^(1-d))
    return gram.fill_diagonal_(0.5)


def sampled_split_grams(
    x: torch.Tensor, samples: int, generator: torch.Generator, chunk: int = 8192
) -> tuple[torch.Tensor, torch.Tensor]:
    """H by samples of w: (w uniform on the sphere, w uniform on F_E), float64, shape (n, n) each.

    One stream of weights serves both: ``samples`` of them are in F_E, and the uniform law takes the rejected ones too
    (about 2^(1-d) more).

    Args:
        x: unit vectors with no negative coordinate, float64, shape (n, d).
        samples: number of weights in F_E.
        generator: CPU generator of the weights.
        chunk: weights per product.
    """
    counts = torch.zeros(len(x), len(x), dtype=torch.float64)
    accepted = positive = total = 0
    for weights in _normal(x.shape[1], chunk, generator):
        above, below = (weights > 0).all(dim=1), (weights < 0).all(dim=1)
        inside = ~(above | below)
        left = samples - accepted
        if int(inside.sum()) > left:  # stop at the weight that fills the quota
            last = int(torch.nonzero(inside)[left - 1]) + 1
            weights, inside, above = weights[:last], inside[:last], above[:last]
        counts += coactivation_counts(weights[inside] @ x.T >= 0)
        accepted += int(inside.sum())
        positive += int(above.sum())
        total += len(weights)
        if accepted == samples:
            break
    inner = x @ x.T
    return inner * (counts + positive) / total, inner * counts / samples


def _normal(dimension: int, chunk: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    while True:
        yield torch.randn(chunk, dimension, generator=generator, dtype=torch.float64)
