"""Fully connected networks, ResNets and convolutional ResNets of Du et al. 2018b (arXiv 1811.03804v4, section 3).

One text serves all three: a vector is an image of one pixel, and a patch of one pixel is that pixel. Features are kept
as (pixels, channels), the transpose of the paper's (channels, pixels). Several networks that differ only in their
random numbers run as one tensor whose first axis are the seeds.

    x^(1) = sqrt(c_sigma / m) sigma(W^(1) phi(x)),      c_sigma = 1 / E_{z ~ N(0, 1)} sigma(z)^2
    fully connected:   x^(h) = sqrt(c_sigma / m) sigma(W^(h) x^(h-1))
    (conv.) ResNet:    x^(h) = x^(h-1) + c_res / (H sqrt(m)) sigma(W^(h) phi(x^(h-1))),      2 <= h <= H
    f = <a, x^(H)>;    all entries of all W^(h) and of a are N(0, 1) at the start.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from zeroloss.randomness import torch_generator

Kind = Literal["fully_connected", "resnet", "conv_resnet"]
Function = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Activation:
    """sigma and its derivative."""

    value: Function
    slope: Function


def _softplus(z: torch.Tensor) -> torch.Tensor:
    # torch's threshold of 20 would cut at e^-20 = 2e-9, far above rounding in float64
    return torch.nn.functional.softplus(z, threshold=40.0)


# relu and erf are outside the theorems or of no interest here; their kernels have closed forms to test against
ACTIVATIONS: dict[str, Activation] = {
    "softplus": Activation(_softplus, torch.sigmoid),
    "tanh": Activation(torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "erf": Activation(torch.erf, lambda z: 2 / np.pi**0.5 * torch.exp(-(z**2))),
    "relu": Activation(torch.relu, lambda z: (z > 0).to(z.dtype)),
}


def gauss_hermite(nodes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes and weights of E_{z ~ N(0, 1)} f(z) = sum_k w_k f(z_k), float64, shapes (nodes,); good for thousands of nodes."""
    # numpy's rule overflows from about 380 nodes on
    from scipy.special import roots_hermitenorm

    points, weights = roots_hermitenorm(nodes)
    return torch.from_numpy(points), torch.from_numpy(weights / weights.sum())


@functools.cache
def c_sigma(activation: str, nodes: int = 100) -> float:
    """1 / E sigma(z)^2 by Gauss-Hermite quadrature: makes E |x^(h)|^2 = 1 for every layer of a fully connected net."""
    points, weights = gauss_hermite(nodes)
    return 1.0 / float(weights @ ACTIVATIONS[activation].value(points) ** 2)


@functools.cache
def contraction_rate(activation: str, nodes: int = 100) -> float:
    """chi = c_sigma E sigma'(z)^2: by this factor a layer of a fully connected net shrinks small differences of inputs.

    The slope at correlation 1 of the map from K^(h-1)_ij to K^(h)_ij. Where chi < 1 (softplus: 0.32) all correlations
    tend to 1 and lambda_min(K^(H)) falls like chi^H.
    """
    points, weights = gauss_hermite(nodes)
    return c_sigma(activation) * float(weights @ ACTIVATIONS[activation].slope(points) ** 2)


@dataclass(frozen=True)
class Network:
    """An architecture; the weights are kept apart.

    Attributes:
        kind: fully_connected, resnet or conv_resnet.
        depth: H, the number of layers below the output.
        width: m, units of a layer, or channels.
        activation: name in ACTIVATIONS.
        c_res: factor of the residual branches, 0 < c_res < 1; unused by fully connected nets.
        patch: q, pixels of a patch; 1 unless convolutional.
        outputs: number of outputs, each with its own a (the paper has one).
    """

    kind: Kind
    depth: int
    width: int
    activation: str
    c_res: float
    patch: int = 1
    outputs: int = 1

    @property
    def residual(self) -> bool:
        return self.kind != "fully_connected"

    @property
    def first_scale(self) -> float:
        """sqrt(c_sigma): times m^(-1/2), the factor of the first layer, and of all when fully connected."""
        return c_sigma(self.activation) ** 0.5

    @property
    def branch_scale(self) -> float:
        """Times m^(-1/2), the factor of layers 2 to H."""
        return self.c_res / self.depth if self.residual else self.first_scale

    def at_depth(self, depth: int) -> Network:
        return replace(self, depth=depth)

    def at_width(self, width: int) -> Network:
        return replace(self, width=width)


def patches(x: torch.Tensor, patch: int) -> torch.Tensor:
    """phi: the ``patch`` neighbouring pixels of every pixel, zero beyond the border.

    Args:
        x: shape (..., p, d).

    Returns:
        shape (..., p, q d); |x|_F <= |phi(x)|_F <= sqrt(q) |x|_F.
    """
    if patch == 1:
        return x
    pixels = x.shape[-2]
    padded = torch.nn.functional.pad(x, (0, 0, patch // 2, (patch - 1) // 2))
    return torch.cat([padded[..., k : k + pixels, :] for k in range(patch)], dim=-1)


def initial_weights(network: Network, pixels: int, channels: int, seeds: Sequence[int]) -> list[torch.Tensor]:
    """W^(1), ..., W^(H) and a, every entry N(0, 1), float64.

    Returns:
        H + 1 tensors: W^(1) (S, m, q d_0), W^(h) (S, m, q m), a (S, outputs, p m).
    """
    m, q = network.width, network.patch
    shapes = [(m, q * channels), *[(m, q * m)] * (network.depth - 1), (network.outputs, pixels * m)]
    return [
        torch.stack(
            [
                torch.randn(
                    shape,
                    dtype=torch.float64,
                    generator=torch_generator(seed, network.kind, network.depth, m, "layer", layer),
                )
                for seed in seeds
            ]
        )
        for layer, shape in enumerate(shapes, start=1)
    ]


@dataclass(frozen=True)
class Pass:
    """What a forward pass leaves behind.

    Attributes:
        inputs: phi(x^(h-1)) for h = 1..H, each (S, n, p, q d_(h-1)).
        preactivations: W^(h) phi(x^(h-1)), each (S, n, p, m).
        features: x^(h) for h = 1..H, each (S, n, p, m).
        outputs: f, (S, n, outputs).
    """

    inputs: list[torch.Tensor]
    preactivations: list[torch.Tensor]
    features: list[torch.Tensor]
    outputs: torch.Tensor


def forward(network: Network, weights: Sequence[torch.Tensor], x: torch.Tensor) -> Pass:
    """All layers of the networks on all inputs.

    Args:
        weights: as from :func:`initial_weights`.
        x: inputs, shape (n, p, d_0); theory: unit Frobenius norm.
    """
    sigma = ACTIVATIONS[network.activation].value
    root, seeds, (samples, pixels, _) = network.width**0.5, len(weights[0]), x.shape
    here = x.expand(seeds, *x.shape)
    result = Pass([], [], [], torch.empty(0))
    for h, w in enumerate(weights[:-1], start=1):
        seen = patches(here, network.patch)
        z = torch.bmm(seen.reshape(seeds, samples * pixels, -1), w.transpose(1, 2)).view(seeds, samples, pixels, -1)
        scale = (network.first_scale if h == 1 else network.branch_scale) / root
        branch = scale * sigma(z)
        here = here + branch if network.residual and h > 1 else branch
        result.inputs.append(seen)
        result.preactivations.append(z)
        result.features.append(here)
    outputs = torch.bmm(here.flatten(2), weights[-1].transpose(1, 2))
    return replace(result, outputs=outputs)


def loss(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """L = sum_i |f(x_i) - y_i|^2 / 2 for each seed, shape (S,); outputs (S, n, outputs), y (n, outputs)."""
    return (outputs - y).square().sum(dim=(1, 2)) / 2
