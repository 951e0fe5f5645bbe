"""First-order methods and losses other than the theorem's, on several two-layer ReLU networks at once, full batch.

The model is that of Du et al. 2018a, f(x) = m^(-1/2) sum_r a_r relu(w_r . x) with a fixed. Adaptive methods act on single
coordinates of W, so this works in weight space; networks of one shape (seeds) are one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from zeroloss.errors import UserError

LossName = Literal["square", "logistic"]
MethodName = Literal["gradient_descent", "heavy_ball", "nesterov", "adam", "rmsprop"]
LOSSES: tuple[LossName, ...] = get_args(LossName)
METHODS: tuple[MethodName, ...] = get_args(MethodName)
# Beyond this growth of the loss training is given up as diverged, as in gram_descent.
DIVERGED = 1e6


@dataclass(frozen=True)
class Method:
    """A method and its constants.

    Attributes:
        name: gradient_descent, heavy_ball, nesterov, adam or rmsprop.
        step_size: one per network, shape (B,).
        momentum: one per network, shape (B,): beta of heavy_ball and nesterov, beta_1 of adam; otherwise unused.
        memory: decay of the mean of squared gradients: beta_2 of adam, alpha of rmsprop.
        floor: epsilon added to the root of that mean.
    """

    name: MethodName
    step_size: torch.Tensor
    momentum: torch.Tensor
    memory: float
    floor: float


@dataclass(frozen=True)
class Record:
    """One row per network of a :func:`train` call at one step, each of shape (B,)."""

    step: int
    pattern_change: np.ndarray
    max_distance: np.ndarray
    rms_distance: np.ndarray


@dataclass(frozen=True)
class Path:
    """What :func:`train` found.

    Attributes:
        loss: sum over examples, float64, shape (steps + 1, B); NaN from the step on at which a network diverged.
        records: metrics at the steps asked for; rms_distance is |W(k) - W(0)|_F / sqrt(m).
        reached: first step with loss <= threshold loss(0), -1 where never, shape (B,).
        reached_distance: rms_distance at that step, NaN where never, shape (B,).
        diverged_at: step at which training was given up, -1 where never, shape (B,).
    """

    loss: np.ndarray
    records: list[Record]
    reached: np.ndarray
    reached_distance: np.ndarray
    diverged_at: np.ndarray


def losses(outputs: torch.Tensor, targets: torch.Tensor, kind: LossName) -> torch.Tensor:
    """sum_i (f_i - y_i)^2 / 2 (eq. 2) or sum_i log(1 + exp(-y_i f_i)) with y = +-1; (B, n) -> (B,), float64."""
    outputs, targets = outputs.double(), targets.double()
    if kind == "square":
        return (outputs - targets).square().sum(dim=1) / 2
    return torch.nn.functional.softplus(-targets * outputs).sum(dim=1)


def output_gradient(outputs: torch.Tensor, targets: torch.Tensor, kind: LossName) -> torch.Tensor:
    """dL/df, shape (B, n): f - y, or -y / (1 + exp(y f))."""
    return outputs - targets if kind == "square" else -targets * torch.sigmoid(-targets * outputs)


class Networks:
    """B networks of one shape.

    Args:
        inputs: X, shape (B, n, d).
        targets: y, shape (B, n).
        weights: W(0), shape (B, m, d); copied.
        signs: a, shape (B, m).
        loss: square or logistic.
    """

    def __init__(
        self, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, signs: torch.Tensor, loss: LossName
    ) -> None:
        if loss not in LOSSES:
            raise UserError(f"loss is {loss!r}: allowed are {', '.join(LOSSES)}")
        self.inputs, self.targets, self.loss = inputs, targets, loss
        self.weights, self._start = weights.clone(), weights.clone()
        self.width = weights.shape[1]
        self._readout = (signs / self.width**0.5)[:, None, :]
        self._transposed = inputs.transpose(1, 2).contiguous()
        self._hidden = torch.bmm(self.weights, self._transposed)
        self._start_active = self._hidden >= 0
        self.outputs = torch.empty_like(targets)
        self.forward()

    def forward(self) -> None:
        """Pre-activations (kept) and outputs at the present weights."""
        torch.bmm(self.weights, self._transposed, out=self._hidden)
        self.outputs = torch.bmm(self._readout, torch.relu(self._hidden))[:, 0]

    def value(self) -> np.ndarray:
        """Loss of each network, shape (B,), float64."""
        return losses(self.outputs, self.targets, self.loss).cpu().numpy()

    def gradient(self) -> torch.Tensor:
        """dL/dW, shape (B, m, d), of the last :meth:`forward`; its pre-activations are overwritten."""
        slope = output_gradient(self.outputs, self.targets, self.loss)
        # 1{z >= 0} dL/df; the multiplication of a by each row comes last, on the smaller of the two matrices
        masked = torch.where(self._hidden >= 0, slope[:, None, :], 0.0)
        return torch.bmm(masked, self.inputs).mul_(self._readout.transpose(1, 2))

    def rms_distance(self) -> np.ndarray:
        """|W - W(0)|_F / sqrt(m), shape (B,)."""
        return ((self.weights - self._start).flatten(1).norm(dim=1) / self.width**0.5).cpu().numpy()

    def record(self, step: int) -> Record:
        """Metrics at the weights of the last :meth:`forward`."""
        flips = ((self._hidden >= 0) != self._start_active).flatten(1).float().mean(dim=1)
        furthest = (self.weights - self._start).norm(dim=2).amax(dim=1)
        return Record(step, flips.cpu().numpy(), furthest.cpu().numpy(), self.rms_distance())


def updates(method: Method, weights: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function from the gradient at each step to the change of W, with the method's own memory.

    heavy_ball (Polyak 1964): v <- beta v - eta g, W += v. nesterov (1983): the weights kept are the points at which
    gradients are taken, y_(k+1) = x_(k+1) + beta (x_(k+1) - x_k), x_(k+1) = y_k - eta g(y_k). adam (Kingma and Ba 2015)
    with bias correction; rmsprop (Tieleman and Hinton 2012), neither centred nor with momentum.
    """
    if method.name not in METHODS:
        raise UserError(f"method is {method.name!r}: allowed are {', '.join(METHODS)}")
    eta = method.step_size.to(weights)[:, None, None]
    beta = method.momentum.to(weights)[:, None, None]
    velocity, squares, step = torch.zeros_like(weights), torch.zeros_like(weights), 0

    def change(gradient: torch.Tensor) -> torch.Tensor:
        nonlocal step
        step += 1
        if method.name == "gradient_descent":
            return -eta * gradient
        if method.name in ("heavy_ball", "nesterov"):
            velocity.mul_(beta).sub_(eta * gradient)
            return velocity.clone() if method.name == "heavy_ball" else beta * velocity - eta * gradient
        squares.mul_(method.memory).addcmul_(gradient, gradient, value=1 - method.memory)
        if method.name == "rmsprop":
            return -eta * gradient / squares.sqrt().add_(method.floor)
        velocity.mul_(beta).add_((1 - beta) * gradient)
        root = (squares / (1 - method.memory**step)).sqrt_().add_(method.floor)
        return -eta * (velocity / (1 - beta**step)) / root

    return change


def train(
    networks: Networks,
    method: Method,
    steps: int,
    threshold: float,
    record_at: Iterable[int] = (),
    on_step: Callable[[int], None] | None = None,
) -> Path:
    """Run ``steps`` full-batch steps.

    Args:
        networks: fresh networks.
        method: how to step.
        steps: number of steps.
        threshold: fraction of the initial loss whose first passing is noted.
        record_at: steps at which distances and patterns are taken (0 is the start).
        on_step: called after every step with its number.
    """
    wanted, change = set(record_at), updates(method, networks.weights)
    count = len(networks.weights)
    loss = np.full((steps + 1, count), np.nan)
    reached, diverged = np.full(count, -1), np.full(count, -1)
    distance = np.full(count, np.nan)
    records = []
    for k in range(steps + 1):
        if k:
            networks.weights += change(networks.gradient())
            networks.forward()
        now = networks.value()
        bad = ~np.isfinite(now) | (now > DIVERGED * (loss[0] if k else np.inf))
        diverged[bad & (diverged < 0)] = k
        loss[k] = np.where(diverged >= 0, np.nan, now)
        fresh = (loss[k] <= threshold * loss[0]) & (reached < 0)
        if fresh.any():
            reached[fresh], distance[fresh] = k, networks.rms_distance()[fresh]
        if k in wanted:
            records.append(networks.record(k))
        if (diverged >= 0).all():
            break
        if on_step is not None and k:
            on_step(k)
    return Path(loss, records, reached, distance, diverged)
