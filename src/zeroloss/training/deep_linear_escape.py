"""How long gradient descent on a deep linear network stays near the saddle at zero."""

from __future__ import annotations

import torch


def product(layers: torch.Tensor) -> torch.Tensor:
    """W_L ... W_1 of a batch, shape (batch, d, d).

    Args:
        layers: shape (batch, L, d, d), the first layer first.
    """
    found = layers[:, 0]
    for index in range(1, layers.shape[1]):
        found = layers[:, index] @ found
    return found


def escape_steps(layers: torch.Tensor, target: torch.Tensor, step: float, most: int) -> torch.Tensor:
    """The first step at which 1/2 |W_L ... W_1 - A|_F^2 is at most half its value at zero; NaN where none is.

    Gradient descent on whitened inputs. Times are interpolated between steps, in the logarithm of the loss, so that
    they are not whole numbers.

    Args:
        layers: starts, float64, shape (batch, L, d, d).
        target: A, float64, shape (d, d).
        step: step size.
        most: the most steps; a start that is not out by then, or that overflows, is NaN.
    """
    depth = layers.shape[1]
    half = 0.25 * (target**2).sum()
    escaped = torch.full((len(layers),), float("nan"), dtype=layers.dtype)
    before = torch.full_like(escaped, float("inf"))
    eye = torch.eye(target.shape[0], dtype=layers.dtype).expand(len(layers), -1, -1)
    for count in range(most + 1):
        below = [eye]
        for index in range(depth):
            below.append(layers[:, index] @ below[-1])
        gap = below[-1] - target
        loss = 0.5 * (gap**2).sum(dim=(1, 2))
        new = (loss <= half) & escaped.isnan()
        if bool(new.any()):
            share = (before.log() - half.log()) / (before.log() - loss.log())
            escaped = torch.where(new, count - 1 + share.nan_to_num(1.0), escaped)
            if not bool(escaped.isnan().any()):
                break
        before = loss
        gradients = [torch.empty(0)] * depth
        for index in reversed(range(depth)):
            gradients[index] = gap @ below[index].mT
            gap = layers[:, index].mT @ gap
        layers = layers - step * torch.stack(gradients, dim=1)
    return escaped
