"""Full-batch gradient descent on all layers of deep networks, several seeds and step sizes at once, by autograd.

    W^(h)(k + 1) = W^(h)(k) - eta dL/dW^(h),   h = 1..H, and the same for a;   L = sum_i |f(x_i) - y_i|^2 / 2

(Du et al. 2018b, section 3). Everything is float64: the least eigenvalue of a deep fully connected net's Gram matrix
lies below the resolution of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zeroloss.kernels.deep_gram import finite_grams
from zeroloss.networks.deep import Network, forward, loss

# Beyond this growth of the loss nothing but overflow follows.
DIVERGED = 1e6


@dataclass(frozen=True)
class LayerRecord:
    """State of every layer at one step; arrays (S, H + 1), layer H + 1 is a; NaN where a run has diverged.

    Attributes:
        step: k.
        drift: |G^(h)(k) - G^(h)(0)|_F / |G^(h)(0)|_F.
        moved_rms: root mean square over units r of |w_r^(h)(k) - w_r^(h)(0)|_2; for a: over its entries.
        moved_max: the largest over units.
        moved_relative: |W^(h)(k) - W^(h)(0)|_F / |W^(h)(0)|_F.
        lambda_min_last: least eigenvalue of G^(H)(k), shape (S,).
        lambda_min_total: least eigenvalue of the sum of all G^(h)(k), shape (S,).
    """

    step: int
    drift: np.ndarray
    moved_rms: np.ndarray
    moved_max: np.ndarray
    moved_relative: np.ndarray
    lambda_min_last: np.ndarray
    lambda_min_total: np.ndarray


@dataclass(frozen=True)
class DeepPath:
    """A trajectory.

    Attributes:
        losses: L(k), shape (S, steps + 1), NaN from the step after divergence on.
        diverged_at: the step at which a run was given up, -1 where it was not, shape (S,).
        records: at the steps asked for.
    """

    losses: np.ndarray
    diverged_at: np.ndarray
    records: list[LayerRecord]


def _record(
    network: Network,
    step: int,
    weights: Sequence[torch.Tensor],
    start: Sequence[torch.Tensor],
    grams_start: torch.Tensor,
    x: torch.Tensor,
    alive: torch.Tensor,
) -> LayerRecord:
    grams = finite_grams(network, weights, x)
    drift = (grams - grams_start).norm(dim=(2, 3)) / grams_start.norm(dim=(2, 3))
    rms, largest, relative = [], [], []
    for h, (now, before) in enumerate(zip(weights, start, strict=True)):
        change = now.detach() - before
        # a row is a unit of a hidden layer, but all of a; its units are its entries
        rows = change.norm(dim=2) if h < network.depth else change.flatten(1).abs()
        rms.append(rows.square().mean(1).sqrt())
        largest.append(rows.amax(1))
        relative.append(change.flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1))
    eigenvalues = []
    for gram in (grams[:, -2], grams.sum(1)):
        # eigvalsh refuses NaN; a diverged run gets NaN below
        safe = torch.where(alive[:, None, None], gram, torch.zeros_like(gram))
        eigenvalues.append(torch.linalg.eigvalsh(safe)[:, 0])
    gone = ~alive.cpu().numpy()

    def shown(values: torch.Tensor) -> np.ndarray:
        array = values.cpu().numpy().copy()
        array[gone] = np.nan
        return array

    moved = (shown(torch.stack(part, dim=1)) for part in (rms, largest, relative))
    return LayerRecord(step, shown(drift), *moved, *(shown(values) for values in eigenvalues))


def descend(
    network: Network,
    weights: Sequence[torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    step_sizes: Sequence[float] | np.ndarray,
    steps: int,
    record_at: Collection[int] = (),
    on_step: Callable[[int, float], None] | None = None,
) -> DeepPath:
    """Run ``steps`` steps from ``weights``, which stay as they are.

    Args:
        network: its architecture.
        weights: of S networks, as from ``initial_weights``.
        x: inputs, float64, shape (n, p, d_0).
        y: targets, float64, shape (n, outputs).
        step_sizes: eta of each of the S runs.
        steps: number of steps.
        record_at: steps (0 is the start) at which the layers are looked at.
        on_step: called after every step with its number and the largest loss.
    """
    now = [w.clone().requires_grad_() for w in weights]
    eta = torch.as_tensor(np.asarray(step_sizes, dtype=float), dtype=x.dtype, device=x.device)
    seeds = len(now[0])
    losses = np.full((seeds, steps + 1), np.nan)
    diverged_at = np.full(seeds, -1)
    alive = torch.ones(seeds, dtype=torch.bool, device=x.device)
    limit = torch.full((seeds,), torch.inf, dtype=x.dtype, device=x.device)
    grams_start = finite_grams(network, weights, x) if record_at else torch.empty(0)
    records = []
    for k in range(steps + 1):
        value = loss(forward(network, now, x).outputs, y)
        with torch.no_grad():
            if k == 0:
                limit = DIVERGED * value
            broken = alive & ~(value <= limit)
            losses[alive.cpu().numpy(), k] = value[alive].cpu().numpy()
            diverged_at[broken.cpu().numpy()] = k
            alive = alive & ~broken
        if k in record_at:
            records.append(_record(network, k, now, weights, grams_start, x, alive))
        if k and on_step is not None:
            on_step(k, float(np.nanmax(losses[:, k], initial=0.0)))
        if k == steps or not alive.any():
            break
        gradients = torch.autograd.grad(value.sum(), now)
        with torch.no_grad():
            for w, g in zip(now, gradients, strict=True):
                # runs share nothing, so what overflows in one stays there
                w.sub_(eta[:, None, None] * g)
    return DeepPath(losses, diverged_at, records)
