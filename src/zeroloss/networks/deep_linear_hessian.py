"""Deep linear networks: loss, gradient and exact Hessian of a batch of points in closed form, float64.

    L(W) - min over all matrices = 1/2 tr (W - R) P (W - R)^T,   W = W_L ... W_1,   P = X X^T,   R = Y X^T P^{-1}

(Kawaguchi 2016, arXiv 1605.07110, has L = H + 1.) Parameters of one network are one vector: W_1, ..., W_L, each by rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Shapes:
    """Rows and columns of W_1, ..., W_L."""

    layers: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """Number of parameters."""
        return sum(rows * columns for rows, columns in self.layers)

    def split(self, theta: torch.Tensor) -> list[torch.Tensor]:
        """Matrices of a batch of parameter vectors (..., count): W_k has shape (..., rows, columns)."""
        sizes = [rows * columns for rows, columns in self.layers]
        parts = torch.split(theta, sizes, dim=-1)
        return [part.reshape(*theta.shape[:-1], *shape) for part, shape in zip(parts, self.layers, strict=True)]

    def join(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        """The inverse of ``split``."""
        return torch.cat([layer.flatten(start_dim=-2) for layer in layers], dim=-1)


def shapes(inputs: int, width: int, depth: int, outputs: int) -> Shapes:
    """H = depth hidden layers of one width: H + 1 matrices."""
    return Shapes(((width, inputs), *((width, width),) * (depth - 1), (outputs, width)))


def excess_and_gradient(
    layers: Sequence[torch.Tensor], gram: torch.Tensor, solution: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """1/2 tr (W - R) P (W - R)^T, shape (batch,), and its gradient matrix by matrix.

    Args:
        layers: W_1, ..., W_L, shapes (batch, rows, columns).
        gram: P, shape (d_x, d_x) or (batch, d_x, d_x).
        solution: R, shape (d_y, d_x) or (batch, d_y, d_x).
    """
    below = [layers[0]]
    for layer in layers[1:]:
        below.append(layer @ below[-1])
    gap = below[-1] - solution
    pull = gap @ gram
    excess = 0.5 * (pull * gap).sum(dim=(-2, -1))
    gradients = [pull] * len(layers)
    for index in range(len(layers) - 1, 0, -1):
        gradients[index] = pull @ below[index - 1].mT
        pull = layers[index].mT @ pull
    gradients[0] = pull
    return excess, gradients


def hessian(layers: Sequence[torch.Tensor], gram: torch.Tensor, solution: torch.Tensor) -> torch.Tensor:
    """The exact Hessian, shape (batch, count, count), arguments as for ``excess_and_gradient``.

    dW / dW_k is A_k (.) B_k with A_k = W_L ... W_{k+1} and B_k = W_{k-1} ... W_1, so block (k, l), l < k, is
    A_k^T A_l (x) B_k P B_l^T + second derivatives of the product, (W_{k-1} ... W_{l+1}) times A_k^T G B_l^T, with
    G = (W - R) P. Diagonal blocks have the first term alone.
    """
    first = layers[0]
    batch, count = first.shape[0], len(layers)

    def identity(size: int) -> torch.Tensor:
        return torch.eye(size, dtype=first.dtype, device=first.device).expand(batch, size, size)

    below = [identity(first.shape[-1])]
    for layer in layers:
        below.append(layer @ below[-1])
    above = [identity(layers[-1].shape[-2])]
    for layer in reversed(layers[1:]):
        above.insert(0, above[0] @ layer)
    pull = (below[-1] - solution) @ gram
    rows: list[list[torch.Tensor]] = [[first] * count for _ in range(count)]
    for k in range(count):
        between = identity(layers[k].shape[-1])
        for other in range(k, -1, -1):
            outer, inner = above[k].mT @ above[other], below[k] @ gram @ below[other].mT
            block = torch.einsum("zac,zbd->zabcd", outer, inner)
            if other < k:
                # entries [a, b] of W_k and [c, d] of W_other: (A_k^T G B_other^T)[a, d] (W_{k-1} ... W_{other+1})[b, c]
                block = block + torch.einsum("zad,zbc->zabcd", above[k].mT @ pull @ below[other].mT, between)
                between = between @ layers[other]
            rows[k][other] = block.reshape(batch, layers[k][0].numel(), layers[other][0].numel())
            rows[other][k] = rows[k][other].mT
    return torch.cat([torch.cat(row, dim=2) for row in rows], dim=1)
