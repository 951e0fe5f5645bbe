"""Two-layer sigmoid networks as particles, trained by SGD on fresh points of the sphere; realisations in one batch.

f_n(x) = (1/n) sum_i c_i sigma(a_i.x + b_i), loss 1/2 E (f - f_n)^2 over x uniform on |x| = sqrt(d) (Rotskoff and
Vanden-Eijnden 2018, section 4.2). A step of size dt on a batch of P points is n dt times the gradient, so that time is
that of the particles' flow (2.1) whatever n:

    c_i += dt (1/P) sum_p r_p h_pi,     (a_i, b_i) += dt c_i (1/P) sum_p r_p h_pi (1 - h_pi) (x_p, 1),     r = f - f_n.

The gradient is written by hand into buffers kept from step to step, a batch of realisations at a time: at these sizes a
step of one network costs what its dozen calls cost. float32, as the noise of SGD is far above its rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zeroloss.checkpoint import Checkpoint
from zeroloss.randomness import stream_seed

# numbers drawn at a time from one generator
DRAWN = 32768
# test points a forward pass takes at a time
EVALUATED = 2000


class SigmoidParticles:
    """R networks of n units.

    Args:
        weights: (R, n, d + 1), a_i with b_i last.
        charges: (R, n). Both are copied.
    """

    def __init__(self, weights: torch.Tensor, charges: torch.Tensor) -> None:
        self.weights, self.charges = weights.clone(), charges.clone()
        self._buffers: dict[int, tuple[torch.Tensor, ...]] = {}
        self._charge_step = torch.empty_like(self.charges)
        self._weight_step = torch.empty_like(self.weights)

    def step(self, x: torch.Tensor, y: torch.Tensor, dt: float) -> None:
        """One step on the batch x (R, P, d + 1), last entry 1, with values y (R, P)."""
        realisations, n = self.charges.shape
        points = x.shape[1]
        if points not in self._buffers:
            self._buffers = {
                points: (
                    x.new_empty(realisations, points, n), x.new_empty(realisations, points, n),
                    x.new_empty(realisations, points), x.new_empty(x.shape),
                )
            }  # fmt: skip
        units, slopes, residual, sources = self._buffers[points]
        torch.bmm(x, self.weights.transpose(1, 2), out=units).sigmoid_()
        torch.baddbmm(y[:, :, None], units, self.charges[:, :, None], alpha=-1 / n, out=residual[:, :, None])
        torch.bmm(residual[:, None], units, out=self._charge_step[:, None])
        torch.addcmul(units, units, units, value=-1.0, out=slopes)
        # the residual goes with the few inputs, not with the many units
        torch.mul(x, residual[:, :, None], out=sources)
        torch.bmm(slopes.transpose(1, 2), sources, out=self._weight_step)
        self.weights.addcmul_(self._weight_step, self.charges[:, :, None], value=dt / points)
        self.charges.add_(self._charge_step, alpha=dt / points)

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """f_n at the points x (P, d + 1) of each realisation: (R, P)."""
        n = self.charges.shape[1]
        found = []
        for part in x.split(EVALUATED):
            units = torch.matmul(self.weights, part.T).sigmoid_()  # (R, n, points)
            found.append(torch.bmm(self.charges[:, None], units)[:, 0] / n)
        return torch.cat(found, dim=1)


def start(
    realisations: Sequence[int], n: int, dimension: int, deviation: float, purpose: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Independent particles: weights (R, n, d + 1) of N(0, 1) entries, charges (R, n) of N(0, deviation^2), float32.

    Drawn on the CPU, each realisation from its own stream (seed, purpose, d, n).
    """
    drawn = []
    for seed in realisations:
        generator = torch.Generator().manual_seed(stream_seed(seed, purpose, dimension, n))
        drawn.append(torch.randn(n, dimension + 2, generator=generator))
    both = torch.stack(drawn)
    return both[:, :, :-1].contiguous(), (deviation * both[:, :, -1]).contiguous()


def three_spin(target: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """sum T_pqr x_p x_q x_r for T (d, d, d) and x (P, d): (P,), by one matrix product."""
    d = x.shape[1]
    pairs = (x[:, :, None] * x[:, None, :]).view(-1, d * d)
    return (torch.mm(pairs, target.reshape(d * d, d)) * x).sum(1)


class FreshPoints:
    """Uniform points on |x| = sqrt(d) with the target's values, never twice the same.

    Each realisation draws from its own stream, in blocks whose length depends on batch and dimension alone: what is
    batched with it changes nothing of what it sees. On a GPU the streams are the GPU's own: drawing the points on the CPU
    would take longer than the steps. Runs on CPU and GPU then share starts and target, not the order of points.

    Args:
        target: T (d, d, d), on the device.
        realisations: their seeds.
        purpose: of the streams, beside the seeds.
    """

    def __init__(self, target: torch.Tensor, realisations: Sequence[int], purpose: str) -> None:
        self._target = target
        self._generators = [
            torch.Generator(target.device).manual_seed(stream_seed(seed, purpose, target.shape[0]))
            for seed in realisations
        ]

    def block_length(self, batch: int) -> int:
        """Steps whose points are drawn together."""
        return max(1, DRAWN // (batch * self._target.shape[0]))

    def draw(self, steps: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (steps, R, batch, d + 1), last entry 1, and values (steps, R, batch)."""
        d, device, dtype = self._target.shape[0], self._target.device, self._target.dtype
        x = torch.ones(steps, len(self._generators), batch, d + 1, dtype=dtype, device=device)
        y = torch.empty(steps, len(self._generators), batch, dtype=dtype, device=device)
        for number, generator in enumerate(self._generators):
            points = torch.randn(steps * batch, d, generator=generator, dtype=dtype, device=device)
            points *= d**0.5 / points.norm(dim=1, keepdim=True)
            x[:, number, :, :d] = points.view(steps, batch, d)
            y[:, number] = three_spin(self._target, points).view(steps, batch)
        return x, y

    @property
    def state(self) -> np.ndarray:
        """Where the streams stand: (R, bytes)."""
        return np.stack([generator.get_state().numpy() for generator in self._generators])

    @state.setter
    def state(self, value: np.ndarray) -> None:
        for generator, one in zip(self._generators, value, strict=True):
            generator.set_state(torch.as_tensor(one))


@dataclass(frozen=True)
class Phase:
    """So many steps of size ``dt`` on batches of ``batch`` points."""

    steps: int
    batch: int
    dt: float


def train(
    particles: SigmoidParticles,
    points: FreshPoints,
    phases: Sequence[Phase],
    recorded: Sequence[int],
    record: Callable[[], np.ndarray],
    *,
    checkpoint: Checkpoint | None = None,
    advance: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, list[tuple[torch.Tensor, torch.Tensor]]]:
    """Train through all phases; states are kept between blocks of points.

    Args:
        recorded: steps, counted over all phases, after which ``record`` is called (0: before the first).
        record: a vector (R,) of the particles' present state, such as their losses; not finite where one diverged.
        advance: told how many steps were done.

    Returns:
        Recorded vectors (len(recorded), R) and, for each phase, weights and charges at its end.
    """
    kept: list[np.ndarray] = []
    ends: list[tuple[torch.Tensor, torch.Tensor]] = []
    done = 0
    if checkpoint is not None and (state := checkpoint.load()) is not None:
        done, kept, points.state = int(state["done"]), list(state["kept"]), state["streams"]
        particles.weights.copy_(torch.as_tensor(state["weights"]))
        particles.charges.copy_(torch.as_tensor(state["charges"]))
        device = particles.weights.device
        for weights, charges in zip(state["end_weights"], state["end_charges"], strict=True):
            ends.append((torch.as_tensor(weights, device=device), torch.as_tensor(charges, device=device)))
    wanted, first = set(recorded), 0
    if done == 0 and 0 in wanted and not kept:
        kept.append(record())
    for number, phase in enumerate(phases):
        last = first + phase.steps
        while done < last:
            length = min(points.block_length(phase.batch), last - done)
            x, y = points.draw(length, phase.batch)
            for k in range(length):
                particles.step(x[k], y[k], phase.dt)
                done += 1
                if done in wanted:
                    kept.append(record())
            if advance is not None:
                advance(length)
            if checkpoint is not None and done < last and checkpoint.due():
                _save(checkpoint, particles, points, done, kept, ends)
        if len(ends) == number:
            ends.append((particles.weights.clone(), particles.charges.clone()))
            if checkpoint is not None:
                # the end of a phase is always kept: a job of several widths does none of them twice
                _save(checkpoint, particles, points, done, kept, ends)
        first = last
    return np.array(kept), ends


def _save(
    checkpoint: Checkpoint,
    particles: SigmoidParticles,
    points: FreshPoints,
    done: int,
    kept: list[np.ndarray],
    ends: list[tuple[torch.Tensor, torch.Tensor]],
) -> None:
    realisations, n, inputs = particles.weights.shape
    stacked = [torch.stack([end[k] for end in ends]).cpu().numpy() if ends else None for k in (0, 1)]
    checkpoint.save(
        {
            "done": np.array(done),
            "kept": np.array(kept).reshape(len(kept), realisations),
            "streams": points.state,
            "weights": particles.weights.cpu().numpy(),
            "charges": particles.charges.cpu().numpy(),
            "end_weights": np.empty((0, realisations, n, inputs), np.float32) if stacked[0] is None else stacked[0],
            "end_charges": np.empty((0, realisations, n), np.float32) if stacked[1] is None else stacked[1],
        }
    )
