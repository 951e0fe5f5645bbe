"""Gradient flow of the two-layer ReLU network, by an adaptive, error-controlled solver, without forming its weights.

With Z = W X^T (m, n), K = X X^T, P = 1{Z >= 0}, residual r = u - y (Du et al. 2018a, eqs. 1 to 4, section 3)

    dZ/dt = -m^(-1/2) diag(a) P diag(r) K,      da/dt = -m^(-1/2) relu(Z) r   (Theorem 3.3 only).

The state is sqrt(m) times what has moved, S = sqrt(m) (Z - Z(0)) and sqrt(m) (a - a(0)): both stay of order one at every
width, so that one tolerance means the same error of the outputs at every width.

The solver is scipy's Dormand-Prince pair of order 5(4). The field jumps wherever a pattern flips: there the error
estimate rejects steps until one is short enough to straddle the kink within the tolerance. A tolerance near rounding
would buy nothing but such rejections, so a modest one is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import RK45

from zeroloss.kernels.relu_gram import coactivation_counts


@dataclass(frozen=True)
class FlowPath:
    """Metrics at the times asked for, each of shape (times,), float64.

    Attributes:
        squared_residual: |u(t) - y|^2.
        max_distance: max_r |w_r(t) - w_r(0)|_2.
        max_output_distance: max_r |a_r(t) - a_r(0)|.
        pattern_change: fraction of the m n activation patterns that differ from the start.
        lambda_min: least eigenvalue of H(t), H_ij = x_i . x_j sum_r a_r^2 1{both active} / m.
        evaluations: how often the field was evaluated, in all.
    """

    squared_residual: np.ndarray
    max_distance: np.ndarray
    max_output_distance: np.ndarray
    pattern_change: np.ndarray
    lambda_min: np.ndarray
    evaluations: int


class GradientFlow:
    """The flow above, float64 on the CPU.

    Args:
        gram: K = X X^T, shape (n, n).
        preactivations: Z(0) = W(0) X^T, shape (m, n).
        signs: a(0), shape (m,).
        targets: y, shape (n,).
        train_output: whether a moves too (Theorem 3.3).
    """

    def __init__(
        self,
        gram: torch.Tensor,
        preactivations: torch.Tensor,
        signs: torch.Tensor,
        targets: torch.Tensor,
        train_output: bool,
    ) -> None:
        self.gram, self.start, self.signs, self.targets = (
            tensor.double().contiguous() for tensor in (gram, preactivations, signs, targets)
        )
        self.width, self.samples = self.start.shape
        self.train_output = train_output
        self.root = self.width**0.5

    @property
    def initial_state(self) -> np.ndarray:
        """Nothing has moved: zeros, shape (m n,) or (m n + m,)."""
        return np.zeros(self.width * (self.samples + self.train_output))

    def unpack(self, state: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Z (m, n) and a (m,) of a state."""
        moved = torch.from_numpy(np.ascontiguousarray(state)) / self.root
        split = self.width * self.samples
        outputs = self.signs + moved[split:] if self.train_output else self.signs
        return self.start + moved[:split].view(self.width, self.samples), outputs

    def residual(self, hidden: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        """r = u - y, shape (n,)."""
        return outputs @ hidden.clamp_min(0) / self.root - self.targets

    def field(self, time: float, state: np.ndarray) -> np.ndarray:
        """Time derivative of the state."""
        hidden, outputs = self.unpack(state)
        residual = self.residual(hidden, outputs)
        # numpy multiplies truth values by numbers several times faster than torch does
        change = (
            torch.from_numpy(np.multiply((hidden >= 0).numpy(), residual.numpy())).mul_(-outputs[:, None]) @ self.gram
        )
        if not self.train_output:
            return change.reshape(-1).numpy()
        return torch.cat([change.reshape(-1), -(hidden.clamp_min(0) @ residual)]).numpy()

    def hidden_gram(self, hidden: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        """H of eq. 6, with weights a_r^2 where a is trained; float64, shape (n, n)."""
        if not self.train_output:
            return self.gram * coactivation_counts(hidden >= 0) / self.width
        features = (hidden >= 0) * outputs[:, None]
        return self.gram * (features.T @ features) / self.width


def integrate(flow: GradientFlow, times: np.ndarray, tolerance: float) -> FlowPath:
    """Follow the flow from t = 0 and record its metrics at ``times``.

    Args:
        flow: what is integrated.
        times: ascending, the first one >= 0.
        tolerance: relative and absolute tolerance of the solver per step, on the scaled state.

    Raises:
        RuntimeError: the solver found no step that meets the tolerance.
    """
    solver = RK45(flow.field, 0.0, flow.initial_state, float(times[-1]), rtol=tolerance, atol=tolerance)
    inverse = torch.linalg.pinv(flow.gram, hermitian=True)
    rows = []
    for time in times:
        while solver.t < time:
            message = solver.step()
            if solver.status == "failed":
                raise RuntimeError(f"gradient flow at t = {solver.t:.3g}: {message}")
        state = solver.y if solver.t == time else solver.dense_output()(time)
        hidden, outputs = flow.unpack(state)
        moved = hidden - flow.start
        # w_r moves in the span of the inputs only, so |w_r - w_r(0)|^2 = moved_r K^+ moved_r
        longest = ((moved @ inverse) * moved).sum(1).max().clamp_min(0)
        rows.append(
            (
                float(flow.residual(hidden, outputs).square().sum()),
                float(longest) ** 0.5,
                float((outputs - flow.signs).abs().max()),
                float(((hidden >= 0) != (flow.start >= 0)).double().mean()),
                float(torch.linalg.eigvalsh(flow.hidden_gram(hidden, outputs))[0]),
            )
        )
    squared, distance, outputs_moved, flips, least = np.array(rows).T
    return FlowPath(squared, distance, outputs_moved, flips, least, solver.nfev)


def linearised_residual(gram: torch.Tensor, residual: torch.Tensor, times: np.ndarray) -> np.ndarray:
    """|exp(-H t) r(0)|^2 at ``times``: the flow with its Gram matrix H frozen, in closed form; shape (times,).

    Args:
        gram: H, symmetric, float64, shape (n, n).
        residual: r(0), shape (n,).
    """
    spectrum, vectors = torch.linalg.eigh(gram)
    weight = (vectors.T @ residual).square()
    return (torch.exp(-2.0 * torch.from_numpy(np.asarray(times, float))[:, None] * spectrum) @ weight).numpy()
