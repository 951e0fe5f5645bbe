"""Full-batch gradient descent on deep linear networks, many small networks at once.

    l(W) = 1/2 |scale W_L ... W_1 X - Y|_F^2,      W_i(k + 1) = W_i(k) - eta dl/dW_i

A network of width 5 and depth 8 is 24 products of 5 x 5 matrices a step: a Python loop over networks spends nearly all
its time on calls. Networks of one shape run as one batch with buffers made once; those that have converged or diverged
leave the batch every ``CHUNK`` steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from zeroloss.errors import UserError

# Beyond this growth of the loss nothing but overflow follows.
DIVERGED = 1e6
# Steps between looks at which runs have ended: a look costs a synchronisation and a copy of what stays.
CHUNK = 100


@dataclass
class LinearPath:
    """Trajectories of B networks.

    Attributes:
        losses: l(k), float64, shape (B, steps + 1); NaN after a run has ended. What Y has outside the row space of X is
            in it: hand in Y projected there to get l - OPT without cancellation.
        converged_at: the first step with l(k) <= stop_below, -1 where there is none, shape (B,).
        diverged_at: the first step at which the loss is not finite or above ``DIVERGED`` l(0), -1 where there is none.
        layers: at the last step a run took, on the CPU, as handed in; for a run that ended, up to ``CHUNK`` steps later.
    """

    losses: np.ndarray
    converged_at: np.ndarray
    diverged_at: np.ndarray
    layers: list[torch.Tensor] = field(default_factory=list)


class _Batch:
    """The running networks and their buffers."""

    def __init__(self, layers: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor, scale: float, eta: torch.Tensor):
        self.layers, self.x, self.y, self.scale, self.eta = layers, x, y, scale, eta
        batch, n = len(y), x.shape[2]
        # forward[i] = W_i ... W_1 X; backward[i] = -eta dl/d forward[i]
        self.forward = [x.new_empty(batch, layer.shape[1], n) for layer in layers]
        self.backward = [torch.empty_like(part) for part in self.forward]

    def losses(self) -> torch.Tensor:
        """l of every network; leaves the forward products and the scaled residual in the buffers."""
        below = self.x
        for layer, above in zip(self.layers, self.forward, strict=True):
            torch.bmm(layer, below, out=above)
            below = above
        residual = self.backward[-1]
        torch.sub(self.y, below, alpha=self.scale, out=residual)
        found = 0.5 * residual.square().sum(dim=(1, 2))
        residual.mul_(self.eta)
        return found

    def step(self) -> None:
        """One step from the buffers that ``losses`` left."""
        for index in range(len(self.layers) - 1, -1, -1):
            below = self.forward[index - 1] if index else self.x
            if index:
                torch.bmm(self.layers[index].mT, self.backward[index], out=self.backward[index - 1])
            self.layers[index].baddbmm_(self.backward[index], below.mT)

    def kept(self, keep: torch.Tensor) -> _Batch:
        """The networks of the index ``keep`` alone."""
        x = self.x[keep]
        return _Batch([layer[keep] for layer in self.layers], x, self.y[keep], self.scale, self.eta[keep])


def descend(
    layers: Sequence[torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    step_sizes: float | Sequence[float] | np.ndarray,
    steps: int,
    *,
    scale: float = 1.0,
    stop_below: float | Sequence[float] | np.ndarray = 0.0,
    record_at: Collection[int] = (),
    observe: Callable[[int, np.ndarray, list[torch.Tensor]], None] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> LinearPath:
    """Run at most ``steps`` steps from ``layers``, which stay as they are.

    Args:
        layers: W_1..W_L of B networks, shapes (B, out, in), one dtype and device.
        x: inputs in columns, shape (d_in, n) or (B, d_in, n).
        y: targets in columns, shape (d_out, n) or (B, d_out, n).
        step_sizes: eta, of each network or one for all.
        steps: the most steps.
        scale: the factor in front of the product.
        stop_below: loss at which a network is done, of each or one for all; 0 never stops.
        record_at: steps (0 is the start) at which ``observe`` is called.
        observe: called with the step, the indices (in the batch handed in) of the networks still running, and their
            layers, which it must not change.
        on_step: called every ``CHUNK`` steps with the step and the largest loss of a running network.

    Raises:
        UserError: for layers whose shapes do not chain, or a step size that is not positive.
    """
    batch = len(layers[0])
    _check(layers, x, y)
    dtype, device = layers[0].dtype, layers[0].device
    eta = torch.as_tensor(np.broadcast_to(np.asarray(step_sizes, dtype=float), batch).copy())
    if not bool((eta > 0).all()):
        raise UserError(f"step sizes must be positive, got {eta.min().item():g}")
    goal = np.broadcast_to(np.asarray(stop_below, dtype=float), batch)
    running = np.arange(batch)
    # the residual's factor: dl/d(product X) = scale (scale P X - Y)
    now = _Batch(
        [layer.detach().clone() for layer in layers],
        x.expand(batch, *x.shape[-2:]).to(device, dtype).contiguous(),
        y.expand(batch, *y.shape[-2:]).to(device, dtype).contiguous(),
        scale,
        (eta * scale).to(device, dtype)[:, None, None],
    )
    last = [layer.detach().cpu().clone() for layer in layers]
    losses = np.full((batch, steps + 1), np.nan)
    ends = {"converged": np.full(batch, -1), "diverged": np.full(batch, -1)}
    limit = np.empty(0)
    for first in range(0, steps + 1, CHUNK):
        stop = min(first + CHUNK, steps + 1)
        taken = []
        for k in range(first, stop):
            taken.append(now.losses())
            if k in record_at and observe is not None:
                observe(k, running, now.layers)
            if k < steps:
                now.step()
        values = torch.stack(taken, dim=1).double().cpu().numpy()
        if first == 0:
            limit = DIVERGED * values[:, 0]
        broken = np.logical_not(values <= limit[running, None])
        done = np.less_equal(values, goal[running, None])
        ended = (broken | done).any(axis=1)
        for row, number in enumerate(running):
            at = int((broken | done)[row].argmax()) if ended[row] else stop - first - 1
            losses[number, first : first + at + 1] = values[row, : at + 1]
            if ended[row]:
                ends["diverged" if broken[row, at] else "converged"][number] = first + at
        if ended.any() or stop > steps:
            for whole, part in zip(last, now.layers, strict=True):
                whole[running] = part.cpu()
        if ended.any():
            stay = np.flatnonzero(~ended)
            running = running[stay]
            if not len(running):
                break
            now = now.kept(torch.as_tensor(stay, device=device))
        if on_step is not None:
            on_step(stop - 1, float(np.nanmax(losses[running, stop - 1])))
    return LinearPath(losses, ends["converged"], ends["diverged"], last)


def _check(layers: Sequence[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> None:
    widths = [x.shape[-2], *(layer.shape[1] for layer in layers)]
    expected = [layer.shape[2] for layer in layers]
    if widths[:-1] != expected or widths[-1] != y.shape[-2] or x.shape[-1] != y.shape[-1]:
        shapes = [tuple(layer.shape[1:]) for layer in layers]
        raise UserError(
            f"layers {shapes} do not chain from inputs {tuple(x.shape[-2:])} to targets {tuple(y.shape[-2:])}"
        )
