"""Adam on many depth-2 ReLU networks at once, every step on samples never seen before: no training set to overfit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from zeroloss.training.adam import Adam

Sampler = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
"""Of a step: inputs (groups, n, inputs) and labels (groups, targets, n); a group is a seed and shares its inputs."""


@dataclass
class ShallowNetworks:
    """f = sum_i a_i relu(<w_i, x> + b_i) + c for every group and target.

    Attributes:
        weights: w, shape (groups, targets, inputs, m).
        biases: b, shape (groups, targets, m).
        outer: a, shape (groups, targets, m).
        constant: c, shape (groups, targets).
    """

    weights: torch.Tensor
    biases: torch.Tensor
    outer: torch.Tensor
    constant: torch.Tensor

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """relu of every neuron, shape (groups, targets, n, m), at x (groups, n, inputs)."""
        return (x[:, None] @ self.weights + self.biases[:, :, None]).relu_()

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (groups, targets, n)."""
        return (self.hidden(x) @ self.outer[..., None])[..., 0] + self.constant[..., None]

    def gradients(self, x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        """Of half the mean squared error, in the order of the attributes."""
        hidden = self.hidden(x)
        out = (hidden @ self.outer[..., None])[..., 0] + self.constant[..., None]
        residual = (out - y) / x.shape[1]
        outer = (residual[..., None, :] @ hidden)[..., 0, :]
        signal = (residual[..., None] * self.outer[..., None, :]).mul_(hidden > 0)
        return [x.mT[:, None] @ signal, signal.sum(dim=2), outer, residual.sum(dim=2)]


def train(
    networks: ShallowNetworks,
    sampler: Sampler,
    method: Adam,
    steps: int,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """``steps`` Adam steps in place, the step size falling linearly to 0; what overflows stays in its own network."""
    parameters = [networks.weights, networks.biases, networks.outer, networks.constant]
    first = [torch.zeros_like(one) for one in parameters]
    second = [torch.zeros_like(one) for one in parameters]
    for k in range(1, steps + 1):
        step_size = method.step_size * (1 - (k - 1) / steps) / (1 - method.momentum**k)
        for one, m, v, gradient in zip(parameters, first, second, networks.gradients(*sampler(k)), strict=True):
            m.mul_(method.momentum).add_(gradient, alpha=1 - method.momentum)
            v.mul_(method.memory).addcmul_(gradient, gradient, value=1 - method.memory)
            root = (v / (1 - method.memory**k)).sqrt_().add_(method.floor)
            one.addcdiv_(m, root, value=-step_size)
        if on_step is not None:
            on_step(k)
