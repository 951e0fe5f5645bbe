"""Nonlinear residual networks z_{l+1} = z_l + U_l relu(V_l z_l), f = B z_L, and the ways they are started.

The zero-asymmetric idea (Wu, Wang, Ma 2019: every layer the identity, the last one zero) carried to these networks. The
paper's own formula for its nonlinear variant, mZAS, was not available; this one is our reading: U_l = 0, so that every
block is the identity, B = 0, and V_l random, because with V_l = 0 as well no gradient would ever reach a block.

A batch of networks is held in stacked tensors: U and V have shape (batch, L, m, m), B has shape (batch, classes, m).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from zeroloss.errors import UserError

STARTS = ("mzas", "near_identity", "he")


@dataclass(frozen=True)
class ResidualBlocks:
    """Weights of a batch of networks."""

    outer: torch.Tensor
    inner: torch.Tensor
    output: torch.Tensor

    @property
    def weights(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.outer, self.inner, self.output


def start(name: str, depth: int, width: int, classes: int, generators: Sequence[torch.Generator]) -> ResidualBlocks:
    """One network per generator, float32.

    V_l has entries N(0, 2/m) (He) in all starts. ``mzas``: U_l = 0, B = 0; ``near_identity``: U_l ~ N(0, 1/(m L)),
    B ~ N(0, 1/m); ``he``: U_l ~ N(0, 2/m), B ~ N(0, 1/m).

    Raises:
        UserError: for a name that is not in ``STARTS``.
    """
    if name not in STARTS:
        raise UserError(f"{name} is not a start of a residual network: allowed are {', '.join(STARTS)}")
    spread = {"mzas": 0.0, "near_identity": (width * depth) ** -0.5, "he": (2 / width) ** 0.5}[name]
    outer, inner, output = [], [], []
    for generator in generators:
        inner.append((2 / width) ** 0.5 * torch.randn(depth, width, width, generator=generator))
        outer.append(spread * torch.randn(depth, width, width, generator=generator))
        last = width**-0.5 * torch.randn(classes, width, generator=generator)
        output.append(torch.zeros_like(last) if name == "mzas" else last)
    return ResidualBlocks(torch.stack(outer), torch.stack(inner), torch.stack(output))


def outputs(network: ResidualBlocks, z: torch.Tensor) -> torch.Tensor:
    """f of every network, shape (batch, classes, n), from z_0 of shape (batch, m, n)."""
    for index in range(network.outer.shape[1]):
        z = torch.baddbmm(z, network.outer[:, index], torch.relu(network.inner[:, index] @ z))
    return network.output @ z
