"""Points on the sphere that make lambda_0 as small as they can while staying delta apart.

Separation is that of lines, min(|x_i - x_j|, |x_i + x_j|) >= delta: with |x_i - x_j| alone, antipodal pairs make
lambda_0 exactly 0 from n = 2 (d + 1) points on.
"""

from __future__ import annotations

import math

import torch

# one Jacobi sweep pushes all pairs at once; a chain of 10 points settles to 1e-9 in a few hundred
_SWEEPS, _LAST_SWEEPS = 12, 1500


def line_separation(x: torch.Tensor) -> torch.Tensor:
    """min over pairs of min(|x_i - x_j|, |x_i + x_j|), shape (batch,).

    Args:
        x: unit vectors, float64, shape (batch, n, d).
    """
    return _distances(x)[0].amin(dim=(1, 2))


def _distances(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Line distances (batch, n, n), infinite on the diagonal, and the sign of the nearer copy of x_j."""
    same = (x[:, :, None] - x[:, None]).norm(dim=-1)
    mirrored = (x[:, :, None] + x[:, None]).norm(dim=-1)
    sign = torch.where(same <= mirrored, 1.0, -1.0).to(x.dtype)
    nearest = torch.minimum(same, mirrored)
    nearest.diagonal(dim1=1, dim2=2).fill_(float("inf"))
    return nearest, sign


def batched_gram(x: torch.Tensor) -> torch.Tensor:
    """H-infinity of a batch of sets, differentiable, float64, shape (batch, n, n); diagonal exactly 1/2.

    The angle comes from 2 atan2(|x - y|, |x + y|), which keeps its digits at both ends.

    Args:
        x: unit vectors, float64, shape (batch, n, d).
    """
    n = x.shape[1]
    first, second = torch.triu_indices(n, n, 1, device=x.device)
    a, b = x[:, first], x[:, second]
    angle = 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))
    values = (a * b).sum(dim=-1) * (math.pi - angle) / (2 * math.pi)
    upper = torch.zeros(len(x), n, n, dtype=x.dtype, device=x.device).index_put(
        (torch.arange(len(x), device=x.device)[:, None], first, second), values
    )
    return upper + upper.mT + 0.5 * torch.eye(n, dtype=x.dtype, device=x.device)


def push_apart(x: torch.Tensor, separation: torch.Tensor, sweeps: int) -> torch.Tensor:
    """Move points of every set whose lines are closer than its ``separation`` apart, back onto the sphere each time.

    Args:
        x: unit vectors, float64, shape (batch, n, d).
        separation: float64, shape (batch,).
        sweeps: the most sweeps over all pairs; stops when every set is as far apart as asked, to 1e-12.
    """
    wanted = separation[:, None, None]
    for _ in range(sweeps):
        nearest, sign = _distances(x)
        lack = (wanted * (1 + 1e-9) - nearest).clamp(min=0.0)
        if bool((nearest >= wanted * (1 - 1e-12)).all()):
            break
        away = (x[:, :, None] - sign[..., None] * x[:, None]) / nearest.clamp(min=1e-15)[..., None]
        x = x + 0.5 * (lack[..., None] * torch.nan_to_num(away)).sum(dim=2)
        x = x / x.norm(dim=-1, keepdim=True)
    return x


def smallest_least_eigenvalue(x: torch.Tensor, separation: torch.Tensor, steps: int) -> tuple[torch.Tensor, ...]:
    """Projected gradient descent on lambda_0 for a batch of starts; (lambda_0, achieved separation), shape (batch,).

    A step moves each set by a length that falls geometrically from its separation to a thousandth of it, along the
    gradient on the sphere, then the points are pushed apart. The best set seen is kept, and checked at the end: one
    that misses its separation by more than 1e-6 of it comes back with lambda_0 = infinity.

    Args:
        x: starts, unit vectors, float64, shape (batch, n, d).
        separation: float64, shape (batch,).
        steps: gradient steps.
    """
    best, best_x = torch.full_like(separation, float("inf")), x
    for step in range(steps + 1):
        x = push_apart(x, separation, _LAST_SWEEPS if step == 0 else _SWEEPS).detach().requires_grad_()
        values, vectors = torch.linalg.eigh(batched_gram(x).detach())
        least = vectors[:, :, 0]
        feasible = line_separation(x.detach()) >= separation * (1 - 1e-6)
        better = feasible & (values[:, 0] < best)
        best = torch.where(better, values[:, 0], best)
        best_x = torch.where(better[:, None, None], x.detach(), best_x)
        # the gradient of an eigenvalue is v^T dH v
        (slope,) = torch.autograd.grad(torch.einsum("bi,bij,bj->", least, batched_gram(x), least), x)
        slope = slope - (slope * x.detach()).sum(dim=-1, keepdim=True) * x.detach()
        size = slope.flatten(1).norm(dim=1).clamp(min=1e-300)
        length = separation * 10 ** (-3 * step / max(steps, 1))
        x = x.detach() - (length / size)[:, None, None] * slope
        x = x / x.norm(dim=-1, keepdim=True)
    best_x = push_apart(best_x, separation, _LAST_SWEEPS)
    achieved = line_separation(best_x)
    final = torch.linalg.eigvalsh(batched_gram(best_x))[:, 0]
    return torch.where(achieved >= separation * (1 - 1e-6), final, torch.full_like(final, float("inf"))), achieved
