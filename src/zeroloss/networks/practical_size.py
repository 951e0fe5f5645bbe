"""Fully connected networks of Kawaguchi and Huang 2019 (arXiv 1908.02419, section 2), float64.

    x^(l) = sigma_a(W^(l) x^(l-1) + b^(l)) / sqrt(m_l), l = 1..H;     f = W^(H+1) x^(H) + b^(H+1)

with sigma_a(z) = sigma(a z) / a, which for softplus tends to ReLU as a grows. W_ij ~ N(0, c_w), b ~ N(0, c_b).
The widths of the construction are in ``theory.kawaguchi_huang2019``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from zeroloss.randomness import torch_generator


def _softplus(z: torch.Tensor) -> torch.Tensor:
    # ln(1 + e^z) without overflow, and without the cut of torch's softplus at z = 20
    return torch.logaddexp(torch.zeros_like(z), z)


ACTIVATIONS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]] = {
    "softplus": (_softplus, torch.sigmoid),
    "sigmoid": (torch.sigmoid, lambda z: torch.sigmoid(z) * torch.sigmoid(-z)),
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
}


@dataclass(frozen=True)
class Network:
    """An architecture and the law of its initial weights.

    Attributes:
        inputs, outputs: m_x and m_y.
        widths: m_1, ..., m_H.
        activation: softplus, sigmoid or tanh.
        scale: a.
        weight_variance, bias_variance: c_w and c_b.
    """

    inputs: int
    widths: tuple[int, ...]
    outputs: int
    activation: str
    scale: float
    weight_variance: float
    bias_variance: float

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.inputs, *self.widths, self.outputs)


def initial_layers(network: Network, seed: int, *purpose: str | int) -> list[torch.Tensor]:
    """[W^(l), b^(l)] for l = 1..H+1, shapes (m_l, m_(l-1) + 1)."""
    layers = []
    for layer, (below, above) in enumerate(pairwise(network.sizes), start=1):
        generator = torch_generator(seed, "layer", layer, *purpose)
        drawn = torch.randn(above, below + 1, dtype=torch.float64, generator=generator)
        drawn[:, :-1] *= network.weight_variance**0.5
        drawn[:, -1] *= network.bias_variance**0.5
        layers.append(drawn)
    return layers


def with_one(x: torch.Tensor) -> torch.Tensor:
    """(x, 1) along the last axis: the coordinate that a threshold multiplies."""
    return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)


def features(network: Network, layers: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """(x^(H), 1), shape (n, m_H + 1); what the last layer is linear in.

    Args:
        layers: [W, b] of the hidden layers; further ones are not looked at.
        x: inputs, shape (n, m_x).
    """
    value, _ = ACTIVATIONS[network.activation]
    for width, layer in zip(network.widths, layers, strict=False):
        z = with_one(x) @ layer.T
        x = value(network.scale * z) / (network.scale * width**0.5)
    return with_one(x)


def split(network: Network, theta: torch.Tensor) -> list[torch.Tensor]:
    """[W^(l), b^(l)] of a batch of parameter vectors (batch, d): shapes (batch, m_l, m_(l-1) + 1)."""
    layers, at = [], 0
    for below, above in pairwise(network.sizes):
        count = above * (below + 1)
        layers.append(theta[:, at : at + count].view(-1, above, below + 1))
        at += count
    return layers


def residuals_and_jacobian(
    network: Network, theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """f(x_i) - y_i for a batch of networks, all layers free, and its derivative by the parameters.

    Args:
        theta: (batch, d), as :func:`split` reads it.
        x: inputs, (batch, n, m_x).
        y: targets, (batch, n, m_y).

    Returns:
        (batch, n m_y) and (batch, n m_y, d).
    """
    value, slope = ACTIVATIONS[network.activation]
    layers, seen, slopes = split(network, theta), [], []
    for width, layer in zip(network.widths, layers, strict=False):
        seen.append(with_one(x))
        z = network.scale * (seen[-1] @ layer.mT)
        x = value(z) / (network.scale * width**0.5)
        slopes.append(slope(z) / width**0.5)
    seen.append(with_one(x))
    found = seen[-1] @ layers[-1].mT - y
    batch, n, outputs = found.shape
    # back[b, i, k, j] = d f_k(x_i) / d z_j of the layer in hand
    back = torch.eye(outputs, dtype=theta.dtype, device=theta.device).expand(batch, n, -1, -1)
    parts = []
    for index in range(len(layers) - 1, -1, -1):
        parts.append((back[..., None] * seen[index][:, :, None, None, :]).flatten(3))
        if index:
            back = (back @ layers[index][:, None, :, :-1]) * slopes[index - 1][:, :, None, :]
    return found.flatten(1), torch.cat(parts[::-1], dim=3).flatten(1, 2)
