"""Gradient descent and Levenberg-Marquardt on 1/2 |r(theta)|^2 for a batch of starts, float64."""

from __future__ import annotations

from collections.abc import Callable

import torch

ResidualsAndJacobian = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def gradient_descent(theta: torch.Tensor, model: ResidualsAndJacobian, step: float, steps: int) -> torch.Tensor:
    """Plain gradient descent; a start that overflows stays where it is not finite, and the caller reports it.

    Args:
        theta: starts, shape (batch, p).
        model: theta -> residuals (batch, n) and Jacobian (batch, n, p).
        step: step size.
        steps: number of steps.
    """
    for _ in range(steps):
        found, jacobian = model(theta)
        theta = theta - step * (found[:, None] @ jacobian)[:, 0]
    return theta


def levenberg_marquardt(theta: torch.Tensor, model: ResidualsAndJacobian, steps: int) -> torch.Tensor:
    """Damped Gauss-Newton: the loss of a start never rises, and falls quadratically near a zero of full rank.

    A step solves (J J^T + mu I) z = r in the n residuals and moves by -J^T z; mu is divided by 3 after a step that
    lowers the loss and multiplied by 4 after one that does not (that step is not taken). L-BFGS would do as well and
    needs hundreds of sequential line searches where this takes one batch. Stops early where every start is at zero
    to rounding or cannot be improved any more.

    Args:
        theta: starts, shape (batch, p), float64.
        model: theta -> residuals (batch, n) and Jacobian (batch, n, p).
        steps: the most steps.
    """
    found, jacobian = model(theta)
    loss = 0.5 * (found**2).sum(dim=1)
    scale = torch.linalg.matrix_norm(jacobian, dim=(1, 2)) ** 2
    damping = 1e-2 * scale
    identity = torch.eye(found.shape[1], dtype=theta.dtype, device=theta.device)
    for _ in range(steps):
        gram = jacobian @ jacobian.mT + damping[:, None, None] * identity
        solved, info = torch.linalg.solve_ex(gram, found)
        trial = theta - (solved[:, None] @ jacobian)[:, 0]
        new_found, new_jacobian = model(trial)
        new_loss = 0.5 * (new_found**2).sum(dim=1)
        better = (new_loss < loss) & (info == 0)  # false for NaN, too
        theta = torch.where(better[:, None], trial, theta)
        found = torch.where(better[:, None], new_found, found)
        jacobian = torch.where(better[:, None, None], new_jacobian, jacobian)
        loss = torch.where(better, new_loss, loss)
        # the floor keeps J J^T + mu I solvable, the ceiling stops where no step helps any more
        damping = torch.where(better, damping / 3, damping * 4).clamp(min=1e-15 * scale)
        if bool(((loss < 1e-29) | (damping > 1e12 * scale) | ~torch.isfinite(loss)).all()):
            break
        damping = damping.clamp(max=1e13 * scale)
    return theta
