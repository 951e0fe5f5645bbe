"""Adam on many networks at once, each stopped by itself (Kingma and Ba 2015, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

Loss = Callable[[torch.Tensor], torch.Tensor]
"""Maps parameters (B, P) to one loss per network, (B,)."""


@dataclass(frozen=True)
class Adam:
    """The method's constants: alpha, beta_1, beta_2 and epsilon of the paper."""

    step_size: float
    momentum: float
    memory: float
    floor: float


@dataclass(frozen=True)
class Fit:
    """What :func:`minimise` ended at.

    Attributes:
        theta: parameters, shape (B, P).
        loss: at ``theta``, shape (B,); not finite where a network diverged, which ended its run.
        steps: updates made, shape (B,).
        reached: whether the loss fell below the target, shape (B,).
    """

    theta: torch.Tensor
    loss: np.ndarray
    steps: np.ndarray
    reached: np.ndarray

    @property
    def diverged(self) -> np.ndarray:
        return ~np.isfinite(self.loss)


def minimise(theta: torch.Tensor, loss: Loss, method: Adam, most_steps: int, target: float = 0.0) -> Fit:
    """At most ``most_steps`` full-batch steps; a network rests as soon as its loss is below ``target``.

    Args:
        theta: starts, shape (B, P), left as they are.
        loss: one value per network; networks share nothing, so what overflows in one stays there.
    """
    theta = theta.clone()
    first, second = torch.zeros_like(theta), torch.zeros_like(theta)
    final = torch.full((len(theta),), torch.nan, dtype=theta.dtype)
    going = torch.ones(len(theta), dtype=torch.bool)
    steps = torch.zeros(len(theta), dtype=torch.long)
    for k in range(1, most_steps + 2):
        theta.requires_grad_()
        value = loss(theta)
        final = torch.where(going, value.detach(), final)
        going = going & torch.isfinite(final) & (final >= target)
        if k > most_steps or not going.any():
            break
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        first.mul_(method.momentum).add_(gradient, alpha=1 - method.momentum)
        second.mul_(method.memory).addcmul_(gradient, gradient, value=1 - method.memory)
        root = (second / (1 - method.memory**k)).sqrt_().add_(method.floor)
        change = (first / root).mul_(method.step_size / (1 - method.momentum**k))
        theta = torch.where(going[:, None], theta.detach() - change, theta.detach())
        steps += going
    return Fit(theta.detach(), final.numpy(), steps.numpy(), (final < target).numpy())
