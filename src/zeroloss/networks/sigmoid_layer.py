"""Many two-layer sigmoid networks at once: f(x) = sum_j v_j sigma(w_j . (x, 1)) + c, sigma the logistic function.

c is what Yu and Chen (1995) call the dummy hidden unit: a constant one. A network of "k units" here has k - 1 sigmoidal
ones and the constant. Parameters of a network are one vector, (w_1, ..., w_h, v, c) with h = k - 1.
"""

from __future__ import annotations

import torch


def parameter_count(units: int, dimension: int) -> int:
    """(k - 1) (d + 2) + 1: weights and threshold of each sigmoid, its output weight, and the constant."""
    return (units - 1) * (dimension + 2) + 1


def split(theta: torch.Tensor, columns: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(w, v, c) of shapes (..., h, columns), (..., h), (...).

    Args:
        theta: shape (..., h (columns + 1) + 1).
        columns: d + 1, the inputs with their constant coordinate.
    """
    hidden = (theta.shape[-1] - 1) // (columns + 1)
    weights = theta[..., : hidden * columns].unflatten(-1, (hidden, columns))
    return weights, theta[..., hidden * columns : -1], theta[..., -1]


def residuals(theta: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """f(x_i) - y_i, shape (..., n).

    Args:
        theta: shape (..., p).
        inputs: with the constant coordinate, shape (..., n, d + 1).
        targets: shape (..., n).
    """
    weights, outputs, constant = split(theta, inputs.shape[-1])
    hidden = torch.sigmoid(inputs @ weights.mT)
    return (hidden @ outputs[..., None])[..., 0] + constant[..., None] - targets


def residuals_and_jacobian(
    theta: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Residuals (batch, n) and their derivative by the parameters (batch, n, p)."""
    weights, outputs, constant = split(theta, inputs.shape[-1])
    hidden = torch.sigmoid(inputs @ weights.mT)
    found = (hidden @ outputs[..., None])[..., 0] + constant[..., None] - targets
    slope = hidden * (1 - hidden) * outputs[:, None]
    by_weights = (slope[..., None] * inputs[:, :, None]).flatten(2)
    return found, torch.cat([by_weights, hidden, torch.ones_like(found)[..., None]], dim=-1)


def curvature_of_unit(theta: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """B_j = v_j sum_i r_i sigma''(w_j . x_i) x_i x_i^T for each unit of one network, shape (h, d + 1, d + 1).

    Where a strict local minimum has a unit with B_j positive definite, putting copies of that unit in its place, with
    positive output weights that sum to v_j, gives a local minimum of the wider network (Fukumizu, Amari 2000).
    """
    weights, outputs, _ = split(theta, inputs.shape[-1])
    hidden = torch.sigmoid(inputs @ weights.mT)
    second = hidden * (1 - hidden) * (1 - 2 * hidden) * residuals(theta, inputs, targets)[:, None] * outputs
    return torch.einsum("nj,na,nb->jab", second, inputs, inputs)


def with_copies(theta: torch.Tensor, columns: int, unit: int, copies: int) -> torch.Tensor:
    """The same function in a wider network: ``unit`` is replaced by ``copies`` of itself, each with v / copies."""
    weights, outputs, constant = split(theta, columns)
    kept = [j for j in range(len(outputs)) if j != unit]
    wide = torch.cat([weights[kept], weights[unit].expand(copies, -1)])
    shares = torch.cat([outputs[kept], (outputs[unit] / copies).expand(copies)])
    return torch.cat([wide.flatten(), shares, constant[None]])
