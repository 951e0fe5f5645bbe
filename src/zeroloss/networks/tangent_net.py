"""Fully connected ReLU networks in the parametrisation of Jacot, Gabriel, Hongler 2018 (arXiv 1806.07572), several at once.

    a^(l+1) = relu(W^(l) a^(l) / sqrt(n_l) + beta b^(l)),  f = W^(L-1) a^(L-1) / sqrt(n_(L-1)) + beta b^(L-1),

all parameters standard Gaussian; L counts layers of weights. A layer of S networks is one tensor (S, out, in).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from zeroloss.randomness import torch_generator


class TangentNet:
    """S networks of one shape.

    Attributes:
        weights: W^(l), each (S, n_(l+1), n_l).
        biases: b^(l), each (S, n_(l+1)).
        beta: scale of the biases.
    """

    def __init__(self, weights: list[torch.Tensor], biases: list[torch.Tensor], beta: float) -> None:
        self.weights, self.biases, self.beta = weights, biases, beta

    @classmethod
    def draw(
        cls, sizes: Sequence[int], beta: float, seeds: Sequence[int], *, dtype: torch.dtype, device: str
    ) -> TangentNet:
        """Standard Gaussian parameters, one network for each seed; sizes are n_0, ..., n_L with n_L = 1."""
        weights, biases = [], []
        for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
            draws = [torch_generator(seed, "tangent net", layer, inputs, outputs) for seed in seeds]
            weights.append(torch.stack([torch.randn(outputs, inputs, generator=g) for g in draws]).to(device, dtype))
            biases.append(torch.stack([torch.randn(outputs, generator=g) for g in draws]).to(device, dtype))
        return cls(weights, biases, beta)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """a^(0), ..., a^(L-1) and the outputs.

        Args:
            x: inputs, shape (N, n_0) for all networks or (S, N, n_0).

        Returns:
            L tensors (S or 1, N, n_l), then f, shape (S, N).
        """
        signals = [x if x.ndim == 3 else x[None]]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            scale = weight.shape[2] ** -0.5
            here = signals[-1].expand(len(weight), -1, -1)
            after = torch.baddbmm(bias[:, None], here, weight.transpose(1, 2), beta=self.beta, alpha=scale)
            signals.append(after if weight is self.weights[-1] else after.clamp_(min=0))
        return [*signals[:-1], signals[-1][..., 0]]

    def backward(self, signals: list[torch.Tensor]) -> list[torch.Tensor]:
        """df / d(input of layer l + 1) for l = 0..L-1, each (S, N, n_(l+1)); ``signals`` from :meth:`forward`."""
        slopes = [torch.ones_like(signals[-1])[..., None]]
        for weight, signal in zip(self.weights[:0:-1], signals[-2:0:-1], strict=True):
            slopes.append((slopes[-1] @ weight).mul_(weight.shape[2] ** -0.5).mul_(signal > 0))
        return slopes[::-1]

    def kernel(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Theta(x, z) = sum over parameters of df/dtheta(x) df/dtheta(z), shape (S, N, N').

        A layer's part is (a . a' / n_l + beta^2) (delta . delta'): no Jacobian is formed.
        """
        left, right = self.forward(x), self.forward(z)
        total = torch.zeros(())
        pairs = zip(left[:-1], self.backward(left), right[:-1], self.backward(right), strict=True)
        for a, delta, b, epsilon in pairs:
            inputs = a @ b.transpose(1, 2) / a.shape[2] + self.beta**2
            total = total.to(inputs) + inputs * (delta @ epsilon.transpose(1, 2))
        return total

    def step(self, x: torch.Tensor, y: torch.Tensor, rate: float) -> torch.Tensor:
        """One step of gradient descent on the mean of (f - y)^2 / 2; returns f before it, shape (S, N).

        Args:
            x: inputs as for :meth:`forward`.
            y: targets, shape (N,) or (S, N).
            rate: learning rate.
        """
        signals = self.forward(x)
        slopes = self.backward(signals)
        pull = (signals[-1] - y)[..., None] * (-rate / signals[-1].shape[1])
        for weight, bias, signal, slope in zip(self.weights, self.biases, signals, slopes, strict=False):
            change = slope.mul_(pull)
            bias.add_(change.sum(dim=1), alpha=self.beta)
            weight.baddbmm_(change.transpose(1, 2), signal.expand(len(weight), -1, -1), alpha=weight.shape[2] ** -0.5)
        return signals[-1]
