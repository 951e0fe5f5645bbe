"""The two-layer ReLU network of Du et al. 2018a, written as in the paper.

These are the definitions: short, slow and obviously right. Training uses ``zeroloss.training.gram_descent``, which is
tested against them.
"""

from __future__ import annotations

import torch

from zeroloss.randomness import torch_generator


def initial_weights(width: int, dimension: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """W(0) with rows w_r ~ N(0, I_d), shape (m, d), and a_r uniform on {-1, +1}, shape (m,); both float32, CPU.

    Widths of one seed are independent draws, as in the paper's figure.
    """
    weights = torch.randn(width, dimension, generator=torch_generator(seed, "two-layer", width, "hidden weights"))
    coin = torch.randint(0, 2, (width,), generator=torch_generator(seed, "two-layer", width, "output weights"))
    return weights, 2.0 * coin.to(torch.float32) - 1.0


def outputs(weights: torch.Tensor, signs: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """f(W, a, x) = m^(-1/2) sum_r a_r relu(w_r . x) (eq. 1), shape (n,); W (m, d), a (m,), x (n, d)."""
    return torch.relu(x @ weights.T) @ signs / len(signs) ** 0.5


def loss(weights: torch.Tensor, signs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """L(W) = sum_i (f(W, a, x_i) - y_i)^2 / 2 (eq. 2): a sum, not a mean."""
    return (outputs(weights, signs, x) - y).square().sum() / 2


def loss_gradient(weights: torch.Tensor, signs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """dL/dW, shape (m, d): m^(-1/2) sum_i (f(x_i) - y_i) a_r x_i 1{w_r . x_i >= 0} (eq. 4)."""
    residual = outputs(weights, signs, x) - y
    active = (x @ weights.T >= 0).to(x.dtype)
    return signs[:, None] * ((active * residual[:, None]).T @ x) / len(signs) ** 0.5
