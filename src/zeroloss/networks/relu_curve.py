"""Fully connected ReLU networks from R to R with thresholds, many at once: curves through points on a line.

The parameters of a network are one flat vector, so that a batch of networks is a matrix and a Hessian is that of one
vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class ReluCurve:
    """An architecture: ``depth`` hidden layers of ``width`` units each, one input, one output."""

    depth: int
    width: int

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(outputs, inputs) of each layer's matrix."""
        m = self.width
        return [(m, 1), *[(m, m)] * (self.depth - 1), (1, m)]

    @property
    def parameters(self) -> int:
        return sum(rows * (columns + 1) for rows, columns in self.shapes)

    def layers(self, theta: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Weights (..., rows, columns) and thresholds (..., rows, 1) of each layer, as views of theta (..., P)."""
        sizes = [size for rows, columns in self.shapes for size in (rows * columns, rows)]
        # one split: its derivative is one concatenation, that of slices would be a sum of as many whole vectors
        parts = iter(theta.split(sizes, dim=-1))
        for (rows, columns), weights, thresholds in zip(self.shapes, parts, parts, strict=True):
            yield weights.unflatten(-1, (rows, columns)), thresholds[..., None]

    def initial(self, generator: torch.Generator) -> torch.Tensor:
        """One draw, float64, shape (P,): weights N(0, 2 / inputs) (He et al.), thresholds uniform on +-1/sqrt(inputs).

        The thresholds are those that PyTorch's linear layers have; at zero all kinks of the first layer would coincide.
        """
        parts = []
        for rows, columns in self.shapes:
            weights = torch.randn(rows * columns, generator=generator, dtype=torch.float64) * (2 / columns) ** 0.5
            thresholds = (2 * torch.rand(rows, generator=generator, dtype=torch.float64) - 1) / columns**0.5
            parts += [weights, thresholds]
        return torch.cat(parts)

    def values(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """f(x) of every network.

        Args:
            theta: shape (B, P), or (P,) for a single network.
            x: shape (n,) or (B, n).

        Returns:
            shape (B, n), or (n,).
        """
        signal = x.expand(*theta.shape[:-1], x.shape[-1])[..., None, :]
        last = len(self.shapes) - 1
        for index, (weights, thresholds) in enumerate(self.layers(theta)):
            signal = weights @ signal + thresholds
            if index < last:
                signal = torch.relu(signal)
        return signal[..., 0, :]


def squared_error(net: ReluCurve, theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the points, shape (B,) or ()."""
    return (net.values(theta, x) - y).square().mean(dim=-1)


def jacobian(net: ReluCurve, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """df(x_i) / dtheta of one network, shape (n, P)."""
    return torch.func.jacrev(lambda at: net.values(at, x))(theta)


def hessian_trace(net: ReluCurve, theta: torch.Tensor, x: torch.Tensor) -> float:
    """Trace of the Hessian of the mean squared error at theta (P,), exactly, whatever the labels.

    The Hessian is (2/n) sum_i [grad f_i grad f_i^T + (f_i - y_i) Hess f_i]. Between kinks f is linear in every single
    parameter, so Hess f_i has a zero diagonal and the trace is (2/n) |J|_F^2.
    """
    return float(2.0 / len(x) * jacobian(net, theta, x).square().sum())


def hessian_norm(net: ReluCurve, theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> float:
    """Spectral norm of the Hessian of the mean squared error at theta (P,): Lanczos on exact Hessian-vector products."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    gradient = torch.func.grad(lambda at: squared_error(net, at, x, y))

    def product(direction: np.ndarray) -> np.ndarray:
        along = torch.from_numpy(direction.reshape(-1)).to(theta.dtype)
        return np.asarray(torch.func.jvp(gradient, (theta,), (along,))[1])

    operator: Any = LinearOperator((len(theta), len(theta)), matvec=product, dtype=float)
    # started within the span of the points' gradients, where the leading eigenvectors are, and at nothing random
    start = jacobian(net, theta, x).sum(dim=0).numpy()
    return float(abs(eigsh(operator, k=1, which="LM", v0=start, tol=1e-8, return_eigenvectors=False)[0]))
