"""Gradient descent on deep linear networks from near their saddles, many at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from zeroloss.networks.deep_linear_hessian import Shapes, excess_and_gradient


@dataclass(frozen=True)
class Starts:
    """A batch of starts, each with its own data set and step size; float64.

    Attributes:
        theta: parameters, shape (batch, count).
        gram: X X^T, shape (batch, d_x, d_x).
        solution: R, shape (batch, d_y, d_x).
        step: step size, shape (batch,).
    """

    theta: torch.Tensor
    gram: torch.Tensor
    solution: torch.Tensor
    step: torch.Tensor

    def of(self, rows: torch.Tensor) -> Starts:
        """The starts of some rows, by index."""
        return Starts(self.theta[rows], self.gram[rows], self.solution[rows], self.step[rows])


def loss_curves(starts: Starts, shapes: Shapes, steps: list[int]) -> torch.Tensor:
    """Loss above that of R at the given steps (rising), shape (batch, len(steps)); what overflows is not finite."""
    layers, eta = shapes.split(starts.theta), starts.step[:, None, None]
    wanted, found = set(steps), []
    for count in range(max(steps) + 1):
        excess, gradients = excess_and_gradient(layers, starts.gram, starts.solution)
        if count in wanted:
            found.append(excess)
        layers = [layer - eta * gradient for layer, gradient in zip(layers, gradients, strict=True)]
    return torch.stack(found, dim=1)


def escape_steps(
    starts: Starts, shapes: Shapes, threshold: torch.Tensor, most: int, patience: int = 50
) -> tuple[torch.Tensor, torch.Tensor]:
    """First step at which the loss above that of R is at most ``threshold`` (batch,), and the step of divergence.

    Both of shape (batch,): NaN where the loss is not there after ``most`` steps, and -1 where nothing overflowed. Every
    ``patience`` steps, those that are done leave the batch.
    """
    total = len(starts.theta)
    escaped = torch.full((total,), float("nan"), dtype=torch.float64)
    diverged = torch.full((total,), -1, dtype=torch.int64)
    rows = torch.arange(total)
    layers, eta = shapes.split(starts.theta), starts.step[:, None, None]
    gram, solution, level = starts.gram, starts.solution, threshold
    for count in range(most + 1):
        excess, gradients = excess_and_gradient(layers, gram, solution)
        done = excess <= level
        lost = ~torch.isfinite(excess)
        if bool((done | lost).any()):
            new = rows[done]
            escaped[new] = torch.where(escaped[new].isnan(), float(count), escaped[new])
            new = rows[lost & escaped[rows].isnan()]
            diverged[new] = torch.where(diverged[new] < 0, count, diverged[new])
        if count % patience == patience - 1:
            left = (escaped[rows].isnan() & (diverged[rows] < 0)).nonzero()[:, 0]
            if not len(left):
                break
            if len(left) < len(rows):
                rows, eta, gram = rows[left], eta[left], gram[left]
                solution, level = solution[left], level[left]
                layers, gradients = [one[left] for one in layers], [one[left] for one in gradients]
        layers = [layer - eta * gradient for layer, gradient in zip(layers, gradients, strict=True)]
    return escaped, diverged
