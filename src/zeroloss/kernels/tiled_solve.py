"""Kernel interpolation K alpha = Y whose matrix need not fit into memory: tiles of K, preconditioned conjugate gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from zeroloss.errors import UserError

Kernel = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""K(X, Z) of rows, float64, shape (rows of X, rows of Z)."""


def gaussian_kernel(coefficient: float) -> Kernel:
    """K(x, z) = exp(-coefficient |x - z|^2)."""

    def kernel(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        squares = x.square().sum(dim=1)[:, None] + z.square().sum(dim=1)
        return torch.addmm(squares, x, z.T, alpha=-2.0).clamp_(min=0.0).mul_(-coefficient).exp_()

    return kernel


def relu_kernel(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """H-infinity between unit vectors, x . z (pi - angle) / (2 pi) (Arora et al. 2019, eq. 3).

    Angles below 1e-8 are rounded: 1e-9 of an entry. ``relu_gram`` keeps all digits, for whole matrices.
    """
    cosine = (x @ z.T).clamp_(-1.0, 1.0)
    return cosine * (math.pi - torch.arccos(cosine)) / (2 * math.pi)


@dataclass(frozen=True)
class Solution:
    """alpha of K alpha = Y.

    Attributes:
        alpha: float64, shape (n, outputs).
        residual: largest |K alpha - Y| / |Y| over outputs.
        iterations: of conjugate gradients; 0 for Cholesky.
    """

    alpha: torch.Tensor
    residual: float
    iterations: int


def tiled_product(
    kernel: Kernel, x: torch.Tensor, z: torch.Tensor, values: torch.Tensor, tile_mb: float
) -> torch.Tensor:
    """K(X, Z) values, shape (rows of X, outputs), with at most about ``tile_mb`` of K at a time."""
    rows = max(1, int(tile_mb * 2**20 / (8 * len(z))))
    return torch.cat([kernel(part, z) @ values for part in x.split(rows)])


def solve_dense(kernel: Kernel, x: torch.Tensor, targets: torch.Tensor) -> Solution:
    """By Cholesky, float64; memory 2 x 8 n^2 bytes.

    Raises:
        UserError: K is singular to rounding, as with two equal inputs.
    """
    gram = kernel(x, x)
    factor, failed = torch.linalg.cholesky_ex(gram)
    if int(failed):
        raise UserError(
            f"the kernel matrix of {len(x)} inputs is singular to rounding (two equal inputs make it so): "
            "choose other data or fewer samples"
        )
    alpha = torch.cholesky_solve(targets, factor)
    return Solution(alpha, _worst(gram @ alpha - targets, targets), 0)


def _worst(residual: torch.Tensor, targets: torch.Tensor) -> float:
    return float((residual.norm(dim=0) / targets.norm(dim=0)).max())


def pivoted_cholesky(kernel: Kernel, x: torch.Tensor, rank: int) -> tuple[torch.Tensor, float]:
    """(L, left): K is near L L' with L (n, rank), greedy pivots; ``left`` is the mean of what remains on the diagonal.

    Harbrecht, Peters, Schneider 2012; as a preconditioner Gardner et al. 2018 (GPyTorch).
    """
    diagonal = torch.cat([kernel(part, part).diagonal() for part in x.split(256)])
    factor = x.new_zeros(len(x), rank)
    for k in range(rank):
        pivot = int(diagonal.argmax())
        scale = diagonal[pivot].sqrt()
        row = kernel(x[pivot : pivot + 1], x)[0] - factor[:, :k] @ factor[pivot, :k]
        factor[:, k] = row / scale
        diagonal = (diagonal - factor[:, k].square()).clamp_(min=0.0)
    return factor, float(diagonal.mean())


def solve_tiled(
    kernel: Kernel,
    x: torch.Tensor,
    targets: torch.Tensor,
    *,
    rank: int,
    tolerance: float,
    most_iterations: int,
    tile_mb: float,
) -> Solution:
    """By conjugate gradients on all outputs at once, K formed anew tile by tile; memory 8 n (rank + 6 outputs) bytes and a tile.

    An iteration costs n^2 kernel entries. The preconditioner is (L L' + left I)^-1 of :func:`pivoted_cholesky`, by
    Woodbury.

    Args:
        kernel: see :data:`Kernel`.
        x: float64, shape (n, d).
        targets: float64, shape (n, outputs).
        rank: of the preconditioner, at most n.
        tolerance: the relative residual at which it stops.
        most_iterations: it stops there in any case; ``Solution.residual`` tells.
        tile_mb: size of a tile of K.
    """
    factor, left = pivoted_cholesky(kernel, x, min(rank, len(x)))
    left = max(left, 1e-10)
    inner = torch.linalg.cholesky(factor.T @ factor + left * torch.eye(factor.shape[1], dtype=x.dtype, device=x.device))

    def precondition(values: torch.Tensor) -> torch.Tensor:
        return (values - factor @ torch.cholesky_solve(factor.T @ values, inner)) / left

    alpha = torch.zeros_like(targets)
    residual = targets.clone()
    direction = precondition(residual)
    power = (residual * direction).sum(dim=0)
    iterations = 0
    while iterations < most_iterations and _worst(residual, targets) > tolerance:
        image = tiled_product(kernel, x, x, direction, tile_mb)
        length = power / (direction * image).sum(dim=0)
        alpha += length * direction
        residual -= length * image
        steered = precondition(residual)
        power, before = (residual * steered).sum(dim=0), power
        direction = steered + (power / before) * direction
        iterations += 1
    true_residual = tiled_product(kernel, x, x, alpha, tile_mb) - targets
    return Solution(alpha, _worst(true_residual, targets), iterations)
