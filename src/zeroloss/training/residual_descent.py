"""Full-batch gradient descent on a batch of nonlinear residual networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zeroloss.networks.residual_blocks import ResidualBlocks, outputs

# as in training.deep_linear_descent: beyond this growth of the loss nothing but overflow follows
DIVERGED = 1e6


@dataclass(frozen=True)
class ResidualPath:
    """Trajectories of B networks.

    Attributes:
        losses: 1/(2n) sum_i |f(x_i) - y_i|^2 at every step, shape (B, steps + 1); NaN from the step of divergence on.
        errors: share of inputs whose largest output is not their class, same shape.
        diverged_at: first step at which the loss is not finite or above ``DIVERGED`` times its start, -1 for none.
    """

    losses: np.ndarray
    errors: np.ndarray
    diverged_at: np.ndarray


def descend(
    network: ResidualBlocks, z: torch.Tensor, classes: torch.Tensor, step_sizes: Sequence[float], steps: int
) -> ResidualPath:
    """``steps`` steps of gradient descent on U, V and B; a diverged network is frozen and leaves the others alone.

    Args:
        network: the start, which stays as it is.
        z: the inputs of the blocks, shape (B, m, n).
        classes: class of each input, integers, shape (n,).
        step_sizes: eta of each network.
        steps: how many.
    """
    weights = [part.to(z).clone().requires_grad_() for part in network.weights]
    now = ResidualBlocks(*weights)
    wanted = torch.nn.functional.one_hot(classes, network.output.shape[1]).to(z).T
    eta = torch.as_tensor(np.asarray(step_sizes), dtype=z.dtype, device=z.device)
    running = torch.ones(len(z), dtype=torch.bool, device=z.device)
    losses, errors = [], []
    limit = torch.full_like(eta, torch.inf)
    for k in range(steps + 1):
        found = outputs(now, z)
        loss = 0.5 * (found - wanted).square().sum(1).mean(1)
        if k == 0:
            limit = DIVERGED * loss.detach()
        running = running & (loss.detach() <= limit)
        losses.append(torch.where(running, loss.detach(), torch.nan))
        errors.append(torch.where(running, (found.detach().argmax(1) != classes).to(z).mean(1), torch.nan))
        if k == steps or not bool(running.any()):
            break
        # a network that overflowed has no finite gradient: its weights go to zero and stay there
        gradients = torch.autograd.grad(loss[running].sum(), weights)
        with torch.no_grad():
            for part, gradient in zip(weights, gradients, strict=True):
                shape = (-1, *[1] * (part.dim() - 1))
                moved = part - eta.view(shape) * gradient
                part.copy_(torch.where(running.view(shape), moved, 0.0))
    filled = np.full((2, len(z), steps + 1), np.nan)
    for row, values in enumerate((losses, errors)):
        filled[row, :, : len(values)] = torch.stack(values, 1).double().cpu().numpy()
    missing = np.isnan(filled[0])
    return ResidualPath(filled[0], filled[1], np.where(missing.any(1), missing.argmax(1), -1))
