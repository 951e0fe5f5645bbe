"""The Gram matrix of the first layer of a two-layer ReLU network (Du et al. 2018a): H-infinity and H(W)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from zeroloss.errors import UserError

# Two unit inputs count as parallel below this distance: float64 keeps about 1e-16 of each coordinate, and images
# of at most a few thousand pixels accumulate less than 1e-12.
PARALLEL_DISTANCE = 1e-10
# Cosines this close to +-1 lose half their digits in arccos, so the angle is taken from the distance instead.
_NEAR_PARALLEL = 0.99


def angles(x: torch.Tensor) -> torch.Tensor:
    """Angles between unit vectors, radians, float64, shape (n, n); accurate also between almost parallel ones.

    Args:
        x: unit vectors, float64, shape (n, d).
    """
    cosine = (x @ x.T).clamp_(-1.0, 1.0)
    angle = torch.arccos(cosine)
    # arccos(1 - e) = sqrt(2 e): an error of 1e-16 in the cosine becomes 1e-8 in the angle; |x - y| has no such loss
    first, second = torch.nonzero(cosine.abs() > _NEAR_PARALLEL, as_tuple=True)
    for i, j in zip(first.split(1 << 16), second.split(1 << 16), strict=True):
        same = cosine[i, j] > 0
        gap = torch.where(same, (x[i] - x[j]).norm(dim=1), (x[i] + x[j]).norm(dim=1))
        half = 2.0 * torch.arcsin((gap / 2.0).clamp(max=1.0))
        angle[i, j] = torch.where(same, half, math.pi - half)
    return angle.fill_diagonal_(0.0)


def infinite_width_gram(x: torch.Tensor) -> torch.Tensor:
    """H-infinity_ij = x_i . x_j (pi - angle_ij) / (2 pi), float64, shape (n, n); diagonal exactly 1/2.

    Assumption 3.1 of Du et al. 2018a; the closed form is eq. 3 of Arora et al. 2019 (fine-grained analysis).

    Args:
        x: unit vectors, float64, shape (n, d).

    Raises:
        UserError: an input is not of unit length.
    """
    lengths = x.norm(dim=1)
    if not torch.allclose(lengths, torch.ones_like(lengths), atol=1e-9, rtol=0):
        worst = int((lengths - 1).abs().argmax())
        raise UserError(f"input {worst} has length {lengths[worst]:.6g}: the theory needs inputs of unit length")
    return ((x @ x.T) * (math.pi - angles(x)) / (2 * math.pi)).fill_diagonal_(0.5)


def parallel_pair(x: torch.Tensor) -> tuple[int, int] | None:
    """The first pair i < j of unit vectors with x_i = x_j (to rounding), or None.

    Two equal inputs make two rows of H-infinity equal, so lambda_0 = 0. Antipodal inputs do not on their own: their
    entry of H-infinity is 0.

    Args:
        x: unit vectors, float64, shape (n, d).
    """
    # |x - y| < eps means 1 - cos < eps^2 / 2, far below rounding: candidates from the cosine, then the exact distance
    for start in range(0, len(x), 1024):
        close = (x[start : start + 1024] @ x.T) > 1.0 - 1e-9
        for i, j in (torch.nonzero(close) + torch.tensor([start, 0], device=x.device)).tolist():
            if i < j and float((x[i] - x[j]).norm()) < PARALLEL_DISTANCE:
                return i, j
    return None


def extreme_eigenvalues(gram: torch.Tensor) -> tuple[float, float]:
    """(least, largest) eigenvalue of a symmetric matrix, computed in float64."""
    spectrum = torch.linalg.eigvalsh(gram.double())
    return float(spectrum[0]), float(spectrum[-1])


@dataclass(frozen=True)
class LimitSpectrum:
    """What the theorems need to know of H-infinity.

    Attributes:
        lambda_0: its least eigenvalue.
        lambda_max: its largest eigenvalue.
        step_limit: 2 / lambda_max, above which gradient descent on the limit diverges.
    """

    lambda_0: float
    lambda_max: float

    @property
    def step_limit(self) -> float:
        return 2.0 / self.lambda_max


def limit_spectrum(x: torch.Tensor, title: str) -> LimitSpectrum:
    """Eigenvalues of H-infinity of a data set, refusing one whose lambda_0 vanishes.

    Args:
        x: unit vectors, float64, shape (n, d).
        title: how to call the data set in a message.

    Raises:
        UserError: two inputs coincide, or lambda_0 is zero to rounding for another reason.
    """
    if (pair := parallel_pair(x)) is not None:
        raise UserError(
            f"inputs {pair[0]} and {pair[1]} of {title} are parallel, so lambda_0 = 0 and no theorem applies: "
            "leave one of them out (drop_parallel: true does so for images)"
        )
    lambda_0, lambda_max = extreme_eigenvalues(infinite_width_gram(x))
    if lambda_0 <= len(x) * 1e-15 * lambda_max:
        raise UserError(
            f"lambda_0 of {title} is zero to rounding ({lambda_0:.1e}): its inputs are linearly dependent in the "
            "tangent space (many antipodal pairs do this), so choose other inputs or fewer of them"
        )
    return LimitSpectrum(lambda_0, lambda_max)


def coactivation_counts(active: torch.Tensor) -> torch.Tensor:
    """How many hidden units are active on both inputs, exact integers as float64, shape (n, n).

    H(W)_ij = x_i . x_j times this / m (eq. 6).

    Args:
        active: patterns 1{w_r . x_i >= 0}, bool, shape (m, n).
    """
    # one input alone: torch 2.13's int8 product of shapes (1, m) and (m, 1) is wrong
    if active.device.type == "cpu" and active.shape[1] > 1 and hasattr(torch, "_int_mm"):
        units = active.view(torch.int8)  # int8 products are exact and 4x to 10x faster than float32 ones
        return torch._int_mm(units.T, units).double()
    units_float = active.to(torch.float32)  # exact too: counts stay far below 2^24
    return (units_float.T @ units_float).double()
