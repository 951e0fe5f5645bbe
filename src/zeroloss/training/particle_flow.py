"""Particle gradient flow of radial units on a sphere, all realisations in one batch (Rotskoff, Vanden-Eijnden 2018).

n particles with position y_i on |y| = sqrt(d) and charge c_i stand for f_n(x) = (1/n) sum_i c_i exp(a x.y_i). They descend

    E = -(1/n) sum_i c_i f(y_i) + (1 / 2 n^2) sum_ij c_i c_j exp(a y_i.y_j),

which is half the squared distance of f_n and f in the space whose kernel is the unit itself, but for a constant: section
4.1 of the paper, its eqs. (4.3)-(4.5) with the sign of the exponent mended (docs/rotskoff2018.md). Time is the paper's:

    dc_i/dt = -n dE/dc_i = f(y_i) - (1/n) sum_j c_j exp(a y_i.y_j)
    dy_i/dt = -n dE/dy_i = c_i (grad f(y_i) - (a/n) sum_j c_j y_j exp(a y_i.y_j)),  its part along the sphere.

float64: positions stay on the sphere to 1e-15 by retraction, and losses fall by more decades than float32 has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from zeroloss.checkpoint import Checkpoint


class SphereParticles:
    """R realisations of n particles, with the buffers of a step.

    Args:
        target: symmetric tensor T (d, d, d) of f(y) = sum T_pqr y_p y_q y_r.
        exponent: a; negative is what the paper prints.
        positions: (R, n, d) with |y| = sqrt(d).
        charges: (R, n). All of one dtype, on one device; both are copied.
    """

    def __init__(self, target: torch.Tensor, exponent: float, positions: torch.Tensor, charges: torch.Tensor) -> None:
        realisations, n, d = positions.shape
        self.exponent, self.radius = exponent, d**0.5
        self.positions, self.charges = positions.clone(), charges.clone()
        self._target = target.reshape(d * d, d)
        self._kernel = positions.new_empty(realisations, n, n)
        self._sources = positions.new_empty(realisations, n, d + 1)
        self._fields = torch.empty_like(self._sources)
        self._pairs = positions.new_empty(realisations, n, d, d)
        self._third = positions.new_empty(realisations, n, d)
        self.charge_velocity = torch.empty_like(self.charges)
        self.position_velocity = torch.empty_like(self.positions)
        self.energy = positions.new_zeros(realisations)

    def evaluate(self) -> None:
        """Velocities and ``energy`` (R,), which leaves out its constant, at the present state."""
        y, c = self.positions, self.charges
        _, n, d = y.shape
        torch.bmm(y, y.transpose(1, 2), out=self._kernel)
        self._kernel.mul_(self.exponent).exp_()
        # one product gives both sums over j: of c_j y_j and of c_j
        torch.mul(y, c[:, :, None], out=self._sources[:, :, :d])
        self._sources[:, :, d] = c
        torch.bmm(self._kernel, self._sources, out=self._fields)
        self._fields.mul_(1 / n)
        torch.mul(y[:, :, :, None], y[:, :, None, :], out=self._pairs)
        torch.mm(self._pairs.view(-1, d * d), self._target, out=self._third.view(-1, d))
        potential = (self._third * y).sum(2)
        repulsion = self._fields[:, :, d]
        torch.sub(potential, repulsion, out=self.charge_velocity)
        self.energy = ((0.5 * repulsion - potential) * c).mean(1)
        velocity = self.position_velocity
        torch.mul(self._third, 3.0, out=velocity)
        velocity.add_(self._fields[:, :, :d], alpha=-self.exponent).mul_(c[:, :, None])
        along = (velocity * y).sum(2, keepdim=True)
        velocity.addcmul_(along, y, value=-1 / d)

    def advance(self, step: float) -> None:
        """One Euler step of the velocities last evaluated: along the tangent, then back to the sphere."""
        self.charges.add_(self.charge_velocity, alpha=step)
        self.positions.add_(self.position_velocity, alpha=step)
        self.positions.mul_(self.radius / self.positions.norm(dim=2, keepdim=True))

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """f_n at the points x (P, d) of each realisation: (R, P)."""
        units = (self.exponent * (self.positions @ x.T)).exp_()
        return torch.einsum("rn,rnp->rp", self.charges, units) / self.charges.shape[1]


def flow(
    particles: SphereParticles,
    step: float,
    steps: int,
    recorded: Sequence[int],
    *,
    checkpoint: Checkpoint | None = None,
    advance: Callable[[int], None] | None = None,
) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray]:
    """Move ``particles`` through ``steps`` Euler steps; ends early where no realisation is finite any more.

    Args:
        recorded: steps whose states are kept, ascending, up to ``steps``.
        checkpoint: where the state is kept between recorded steps; nowhere by default.
        advance: told how many steps were done.

    Returns:
        The recorded steps that were reached, their charges (k, R, n) and positions (k, R, n, d), and for each realisation
        the largest change of the energy from one step to the next, over all steps, relative to its size (R,).
    """
    reached: list[int] = []
    charges: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    device = particles.charges.device
    largest = torch.full_like(particles.energy, -torch.inf)
    previous: torch.Tensor | None = None
    done = 0
    if checkpoint is not None and (state := checkpoint.load()) is not None:
        done, reached = int(state["done"]), [int(one) for one in state["reached"]]
        charges, positions = list(state["charges"]), list(state["positions"])
        particles.charges.copy_(torch.as_tensor(state["last_charges"]))
        particles.positions.copy_(torch.as_tensor(state["last_positions"]))
        largest = torch.as_tensor(state["largest"], device=device)
        previous = torch.as_tensor(state["previous"], device=device)
    wanted = set(recorded)
    while True:
        if done in wanted and (not reached or reached[-1] < done):
            reached.append(done)
            charges.append(particles.charges.cpu().numpy().copy())
            positions.append(particles.positions.cpu().numpy().copy())
            if not np.isfinite(charges[-1]).all(axis=1).any():
                break
            if checkpoint is not None and previous is not None and checkpoint.due():
                checkpoint.save(
                    {
                        "done": np.array(done), "reached": np.array(reached), "charges": np.stack(charges),
                        "positions": np.stack(positions), "last_charges": charges[-1], "last_positions": positions[-1],
                        "largest": largest.cpu().numpy(), "previous": previous.cpu().numpy(),
                    }
                )  # fmt: skip
        particles.evaluate()
        energy = particles.energy
        if previous is not None:
            change = (energy - previous) / torch.maximum(energy.abs(), previous.abs())
            # NaN marks a diverged realisation, whose largest change is infinite
            largest = torch.maximum(largest, torch.nan_to_num(change, nan=torch.inf))
        previous = energy.clone()
        if done == steps:
            break
        particles.advance(step)
        done += 1
        if advance is not None:
            advance(1)
    return reached, np.stack(charges), np.stack(positions), largest.cpu().numpy()
