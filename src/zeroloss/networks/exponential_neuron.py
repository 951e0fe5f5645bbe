"""A network with one hidden unit, f(x) = v s(u x + c) + d, plus one exponential skip neuron a exp(w x + b).

Parameters of a batch are one matrix with the columns (u, c, v, d, a, w, b); inputs are numbers. This file is what
automatic differentiation sees; training/exponential_neuron.py has the same gradient by hand.
"""

from __future__ import annotations

from typing import Literal

import torch

UnitName = Literal["relu", "quadratic"]
LossName = Literal["cubic", "rational", "touching"]
COLUMNS = ("u", "c", "v", "d", "a", "w", "b")


def base_outputs(theta: torch.Tensor, x: torch.Tensor, unit: UnitName) -> torch.Tensor:
    """f(x_i; theta) without the neuron: theta (..., 7), x (n,) -> (..., n)."""
    u, c, v, d = (theta[..., k, None] for k in range(4))
    hidden = u * x + c
    return v * (torch.relu(hidden) if unit == "relu" else hidden**2) + d


def neuron_outputs(theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """exp(w x_i + b), without its factor a: theta (..., 7), x (n,) -> (..., n)."""
    return torch.exp(theta[..., 5, None] * x + theta[..., 6, None])


def margin_loss(z: torch.Tensor, loss: LossName) -> torch.Tensor:
    """l(z), elementwise.

    cubic: max(0, z + 1)^3; it satisfies Assumption 1 (C^2, non-decreasing, critical points z <= -1 all minimal).
    rational: m^3 / (1 + m^3), m = max(0, z + 1); it satisfies Assumption 1, too, and is not convex.
    touching: max(0, z)^3; it violates Assumption 1: the global minimum z = 0 is not negative.
    """
    if loss == "touching":
        return torch.relu(z) ** 3
    cube = torch.relu(z + 1) ** 3
    return cube / (1 + cube) if loss == "rational" else cube


def total_loss(
    theta: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    regulariser: torch.Tensor | float,
    unit: UnitName,
    loss: LossName = "cubic",
) -> torch.Tensor:
    """sum_i l(-y_i (f(x_i) + a exp(w x_i + b))) + lambda a^2 / 2 (document 004): theta (..., 7) -> (...)."""
    a = theta[..., 4]
    outputs = base_outputs(theta, x, unit) + a[..., None] * neuron_outputs(theta, x)
    return margin_loss(-y * outputs, loss).sum(dim=-1) + regulariser * a**2 / 2


def base_loss(
    theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor, unit: UnitName, loss: LossName = "cubic"
) -> torch.Tensor:
    """L_n = sum_i l(-y_i f(x_i)), the loss of the network without the neuron: theta (..., 7) -> (...)."""
    return margin_loss(-y * base_outputs(theta, x, unit), loss).sum(dim=-1)
