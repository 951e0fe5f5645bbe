"""Gradient descent on wide networks whose output is scaled, f_nn = kappa f (Arora et al. 2019, Theorem 3.2).

The start is plain, f(theta(0), .) random of size 1, or symmetrised: f = (g(theta_1, .) - g(theta_2, .)) / sqrt(2) with
theta_1(0) = theta_2(0), which is zero at the start and has the tangent kernel of g. Both halves are trained. Loss
sum_i (f_nn(x_i) - y_i)^2 / 2; a step eta / kappa^2 makes the function move alike at every kappa, to first order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from zeroloss.networks.deep import Network, forward

# beyond this growth of the residual nothing but overflow follows
DIVERGED = 1e3


@dataclass(frozen=True)
class ScaledRuns:
    """R trained networks.

    Attributes:
        test_outputs: f_nn at the test inputs after training, float64, shape (R, n'); NaN where a run has diverged.
        residuals: |f_nn(X) - y| / |y| at the end, shape (R,).
        steps: taken by each run until its residual was small enough, or at most; shape (R,).
        diverged_at: the step at which a run was given up, -1 where it was not, shape (R,).
        path: |f_nn(X) - y| / |y| before each step, shape (R, steps + 1); constant after a run has ended.
    """

    test_outputs: torch.Tensor
    residuals: torch.Tensor
    steps: torch.Tensor
    diverged_at: torch.Tensor
    path: torch.Tensor


def descend_scaled(
    network: Network,
    weights: Sequence[torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    x_test: torch.Tensor,
    *,
    scales: torch.Tensor,
    symmetrised: bool,
    step_size: float,
    tolerance: float,
    most_steps: int,
    on_step: Callable[[int, float], None] | None = None,
) -> ScaledRuns:
    """Train until every run's residual is at most ``tolerance``, in the precision of ``weights``.

    Args:
        network: fully connected, one output.
        weights: of R networks at the start, as from ``initial_weights``, float32 or float64; left as they are.
        x: inputs, shape (n, d).
        y: targets, shape (n,).
        x_test: inputs, shape (n', d).
        scales: kappa of each run, shape (R,).
        symmetrised: see the module.
        step_size: eta; the step of a run is eta / kappa^2.
        tolerance: relative residual at which a run is done; it stays as it is from then on.
        most_steps: it stops there in any case.
        on_step: called after every step with its number and the largest residual.
    """
    runs = len(weights[0])
    if symmetrised:
        now = [torch.cat([w, w]).requires_grad_() for w in weights]
    else:
        now = [w.clone().requires_grad_() for w in weights]
    kind = now[0]
    x, y, x_test, scales = (part.to(kind) for part in (x, y, x_test, scales))

    def outputs(inputs: torch.Tensor) -> torch.Tensor:
        plain = forward(network, now, inputs[:, None]).outputs[..., 0]
        if symmetrised:
            plain = (plain[:runs] - plain[runs:]) / 2**0.5
        return scales[:, None] * plain

    steps_of = step_size / scales.square()
    if symmetrised:
        steps_of = torch.cat([steps_of, steps_of])
    active = torch.ones(runs, dtype=torch.bool, device=kind.device)
    steps = torch.full((runs,), most_steps, device=kind.device)
    diverged_at = torch.full((runs,), -1, device=kind.device)
    path = []
    limit = torch.full((runs,), torch.inf, dtype=kind.dtype, device=kind.device)
    for k in range(most_steps + 1):
        difference = outputs(x) - y
        with torch.no_grad():
            residual = difference.norm(dim=1) / y.norm()
            if k == 0:
                limit = DIVERGED * residual.clamp(min=1.0)
            path.append(residual.detach())
            broken = active & ~(residual <= limit)
            diverged_at[broken] = k
            done = active & (residual <= tolerance)
            steps[broken | done] = k
            active &= ~(broken | done)
        if k == most_steps or not bool(active.any()):
            break
        gradients = torch.autograd.grad(difference.square().sum() / 2, now)
        with torch.no_grad():
            # runs share nothing: one that is done or has overflowed takes no part any more
            moving = torch.where(torch.cat([active, active]) if symmetrised else active, steps_of, 0.0)[:, None, None]
            for w, g in zip(now, gradients, strict=True):
                w.sub_(torch.where(moving > 0, moving * g, 0.0))
        if on_step is not None:
            on_step(k + 1, float(residual[active].max()))
    with torch.no_grad():
        found = outputs(x_test).double()
        found[diverged_at >= 0] = torch.nan
    return ScaledRuns(found, path[-1].double(), steps, diverged_at, torch.stack(path, dim=1).double())
