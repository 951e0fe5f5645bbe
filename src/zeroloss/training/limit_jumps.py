"""Many tiny steps of full-batch gradient descent on a two-layer ReLU network, several of them at a time.

Near the limit of infinite width the residual r = u - y obeys r(k+1) = (I - eta H) r(k) with H = H-infinity (Theorem 4.1 of
Arora et al. 2019, arXiv 1901.08584), so s steps add up to the residual

    rho = eta sum_{j<s} (I - eta H)^j r = H^-1 (I - (I - eta H)^s) r.

A jump hands rho to the network as one step hands it eta r: the hidden weights move by -m^(-1/2) a_r sum_i rho_i 1{w_r . x_i
>= 0} x_i, with the patterns that the network has at that moment, and the outputs and the next residual are the network's own.
With s = 1 this is gradient descent itself; for s > 1 the error is that of H against the network's own Gram matrix, within
one jump only, because the next jump starts from the residual that the network really has. No eigenvalue problem of a
network is solved: one of H serves all networks on the same inputs.

A jump whose outcome misses what H foretold by more than a share ``trust`` of the residual is taken back and halved; one that
misses it by less than a quarter of that is followed by one twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from zeroloss.errors import UserError

if TYPE_CHECKING:
    from zeroloss.checkpoint import Checkpoint

# beyond this growth of the squared residual training has diverged
DIVERGED = 1e6


@dataclass(frozen=True)
class LimitBasis:
    """H-infinity of the inputs: eigenvalues ascending, float64, shape (n,), eigenvectors in columns, (n, n)."""

    eigenvalues: torch.Tensor
    vectors: torch.Tensor

    @classmethod
    def of(cls, gram: torch.Tensor, title: str) -> LimitBasis:
        """From a symmetric matrix, shape (n, n); computed in float64.

        Args:
            gram: H-infinity.
            title: how to call the data set in a message.

        Raises:
            UserError: the least eigenvalue is zero to rounding, so that no residual need vanish.
        """
        eigenvalues, vectors = torch.linalg.eigh(gram.double())
        if float(eigenvalues[0]) <= len(gram) * 1e-15 * float(eigenvalues[-1]):
            raise UserError(
                f"lambda_0 of {title} is zero to rounding ({float(eigenvalues[0]):.1e}): two inputs may be parallel; "
                "choose other inputs or fewer of them"
            )
        return cls(eigenvalues, vectors)

    def decay(self, eta: float, steps: int) -> torch.Tensor:
        """(1 - eta lambda_i)^steps, float64, shape (n,); eta at most 1 / lambda_max."""
        return torch.exp(steps * torch.log1p(-(eta * self.eigenvalues).clamp(max=1.0)))

    def impulse(self, residual: torch.Tensor, eta: float, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(rho, the residual that H foretells after the jump), both float64, shape (n,)."""
        parts = self.vectors.T @ residual
        kept = self.decay(eta, steps)
        return self.vectors @ ((1.0 - kept) / self.eigenvalues * parts), self.vectors @ (kept * parts)


@dataclass(frozen=True)
class JumpRun:
    """What was recorded.

    Attributes:
        steps: step numbers, int, increasing from 0.
        squared_residual: |u - y|^2 at these steps, float64.
        weights: hidden weights at the end, shape (m, d).
        moves: jumps that were computed, refused ones included.
        diverged_at: the step at which training was given up, or None.
    """

    steps: np.ndarray
    squared_residual: np.ndarray
    weights: torch.Tensor
    moves: int
    diverged_at: int | None


def schedule(last: int, growth: float) -> list[int]:
    """Steps 0, 1, 2, ... up to ``last``: one apart at first, then a share ``growth`` of the steps made so far apart."""
    steps = [0]
    while steps[-1] < last:
        steps.append(min(last, steps[-1] + max(1, int(steps[-1] * growth))))
    return steps


class TwoLayerNet:
    """f = m^(-1/2) sum_r a_r relu(w_r . x) on fixed inputs, all in the dtype and on the device of the inputs.

    Args:
        x: inputs, shape (n, d).
        weights: W, shape (m, d); copied.
        signs: a, shape (m,).
    """

    def __init__(self, x: torch.Tensor, weights: torch.Tensor, signs: torch.Tensor) -> None:
        self.x, self.weights = x, weights.to(x).clone()
        self.scaled = (signs.to(x) / len(signs) ** 0.5).contiguous()
        self._before = torch.empty((len(x), len(weights)), dtype=x.dtype, device=x.device)
        self._active = torch.empty(self._before.shape, dtype=torch.bool, device=x.device)

    def outputs(self) -> torch.Tensor:
        """u, shape (n,), in the inputs' dtype; the patterns of these outputs are kept for :meth:`move`."""
        torch.mm(self.x, self.weights.T, out=self._before)
        if self.x.device.type == "cpu":  # numpy compares six times faster than torch 2.13
            np.greater_equal(self._before.numpy(), 0, out=self._active.numpy())
        else:
            torch.ge(self._before, 0, out=self._active)
        return self._before.clamp_(min=0) @ self.scaled

    def move(self, impulse: torch.Tensor) -> None:
        """W <- W - m^(-1/2) a (P diag(impulse)) X with the patterns of the last outputs; overwrites the buffer."""
        column = impulse.to(self.x)[:, None]
        if self.x.device.type == "cpu":
            np.multiply(self._active.numpy(), column.numpy(), out=self._before.numpy())
        else:
            torch.mul(self._active, column, out=self._before)
        self.weights -= self.scaled[:, None] * (self._before.T @ self.x)


def descend(
    net: TwoLayerNet,
    targets: torch.Tensor,
    basis: LimitBasis,
    eta: float,
    steps: Sequence[int],
    trust: float,
    on_step: Callable[[int, float], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> JumpRun:
    """Train to the step numbers ``steps`` in turn.

    Args:
        net: the network; its weights are changed.
        targets: y, float64, shape (n,), on the device of the network.
        basis: H-infinity of the inputs, there too.
        eta: step size, at most 1 / lambda_max(H-infinity).
        steps: increasing from 0, see :func:`schedule`.
        trust: largest |u - foretold| / |residual before| of a jump that is kept; single steps are always kept.
        on_step: called after every recorded step with its number and the squared residual.
        checkpoint: where the state is kept at recorded steps; nowhere by default.
    """
    state = checkpoint.load() if checkpoint is not None else None
    reached, squares, moves, ahead = [0], [], 0, 1
    if state is not None:
        net.weights = torch.from_numpy(state["weights"]).to(net.weights)
        reached, squares = state["steps"].tolist(), state["squares"].tolist()
        moves, ahead = state["counts"].tolist()
    residual = net.outputs().double() - targets
    squares = squares or [float(residual.square().sum())]
    diverged_at = None
    for goal in steps[len(reached) :]:
        at = reached[-1]
        while at < goal:
            jump = min(ahead, goal - at)
            before = net.weights.clone() if jump > 1 else None
            rho, foretold = basis.impulse(residual, eta, jump)
            net.move(rho)
            after = net.outputs().double() - targets
            moves += 1
            miss = float((after - foretold).norm()) / trust
            size = float(residual.norm())
            if before is not None and not miss <= size:
                net.weights = before
                net.outputs()  # back to the patterns before the jump
                ahead = jump // 2
                continue
            at, residual = at + jump, after
            if jump == ahead and miss <= size / 4:
                ahead *= 2
        square = float(residual.square().sum())
        reached.append(goal)
        squares.append(square)
        if not np.isfinite(square) or square > DIVERGED * squares[0]:
            diverged_at = goal
            break
        if on_step is not None:
            on_step(goal, square)
        if checkpoint is not None and checkpoint.due():
            kept = {"weights": net.weights.cpu().numpy(), "steps": np.array(reached), "squares": np.array(squares)}
            checkpoint.save({**kept, "counts": np.array([moves, ahead])})
    return JumpRun(np.array(reached), np.array(squares), net.weights, moves, diverged_at)
