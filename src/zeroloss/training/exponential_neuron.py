"""Gradient descent on a one-unit network with an exponential skip neuron, many runs at once, float64.

numpy, because a step is some twenty operations on matrices of a few dozen numbers: torch takes several times as
long to dispatch them. Columns of the parameters: networks/exponential_neuron.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from zeroloss.errors import UserError


@dataclass(frozen=True)
class Problem:
    """Inputs, labels and the hidden unit of the base network.

    Attributes:
        inputs: x, shape (n,).
        labels: y = +-1, shape (n,).
        unit: relu or quadratic.
    """

    inputs: np.ndarray
    labels: np.ndarray
    unit: str

    def __post_init__(self) -> None:
        check_labels(self.inputs, self.labels)
        if self.unit not in ("relu", "quadratic"):
            raise UserError(f"unit is {self.unit!r}: allowed are relu, quadratic")


def check_labels(inputs: np.ndarray, labels: np.ndarray) -> None:
    """UserError unless labels are +-1, as many as inputs, and equal inputs have equal labels (Assumption 2)."""
    x, y = np.asarray(inputs, float), np.asarray(labels, float)
    if x.shape != y.shape or x.ndim != 1:
        raise UserError(f"{x.size} inputs and {y.size} labels: there must be one label for each input")
    if not np.isin(y, (-1, 1)).all():
        raise UserError(f"label {y[~np.isin(y, (-1, 1))][0]:g}: labels must be -1 or 1")
    for value in np.unique(x):
        if len(np.unique(y[x == value])) > 1:
            raise UserError(
                f"input {value:g} has both labels: no network can classify both samples, which Assumption 2 demands"
            )


@dataclass(frozen=True)
class State:
    """One batch at one set of parameters.

    Attributes:
        loss: total loss, shape (B,).
        base_loss: L_n of the base network alone, shape (B,).
        base_outputs: f(x_i), shape (B, n).
        outputs: f(x_i) + a exp(w x_i + b), shape (B, n).
        gradient: of the total loss in (u, c, v, d, a, w, b), shape (B, 7).
    """

    loss: np.ndarray
    base_loss: np.ndarray
    base_outputs: np.ndarray
    outputs: np.ndarray
    gradient: np.ndarray


class Runs:
    """B runs on one problem.

    Args:
        problem: inputs, labels and unit.
        start: parameters, shape (B, 7); copied.
        regulariser: lambda > 0 of each run, shape (B,).
        trained: 1 where a parameter is trained and 0 where it is fixed, shape (B, 7). A run with a = 0 fixed is the
            base network alone.
    """

    def __init__(self, problem: Problem, start: np.ndarray, regulariser: np.ndarray, trained: np.ndarray) -> None:
        if not (np.asarray(regulariser) > 0).all():
            raise UserError(f"lambda is {np.min(regulariser):g}: it must be greater than 0")
        self.problem, self.theta = problem, np.array(start, dtype=float)
        self.regulariser, self.trained = np.asarray(regulariser, float), np.asarray(trained, float)
        self._columns = np.column_stack([problem.inputs, np.ones(len(problem.inputs))])
        self._rows = np.ascontiguousarray(self._columns.T)
        self._gradient = np.empty_like(self.theta)

    def _forward(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Hidden outputs s(q), their slopes s'(q), exp(w x + b), and f without the neuron; each (B, n)."""
        theta = self.theta
        hidden = theta[:, 0:2] @ self._rows
        if self.problem.unit == "relu":
            slope = (hidden > 0).astype(float)
            value = hidden * slope
        else:
            slope, value = 2 * hidden, hidden * hidden
        grown = np.exp(theta[:, 5:7] @ self._rows)
        return value, slope, grown, theta[:, 2:3] * value + theta[:, 3:4]

    def gradient(self) -> np.ndarray:
        """dL in (u, c, v, d, a, w, b), shape (B, 7); the same array every time, whatever is trained.

        With g_i = l'(z_i)(-y_i): dL/da = S + lambda a, dL/db = a S, dL/dw = a sum_i g_i x_i exp(w x_i + b), where
        S = sum_i g_i exp(w x_i + b).
        """
        theta, found = self.theta, self._gradient
        value, slope, grown, base = self._forward()
        a = theta[:, 4:5]
        slack = np.maximum(1 - self.problem.labels * (base + a * grown), 0)
        g = -3 * self.problem.labels * slack * slack
        found[:, 0:2] = (g * theta[:, 2:3] * slope) @ self._columns
        found[:, 2] = (g * value).sum(axis=1)
        found[:, 3] = g.sum(axis=1)
        moments = (g * grown) @ self._columns  # (sum g x e, S)
        found[:, 4] = moments[:, 1] + self.regulariser * theta[:, 4]
        found[:, 5:7] = a * moments
        return found

    def state(self) -> State:
        """Losses, outputs and gradient now."""
        _, _, grown, base = self._forward()
        a, y = self.theta[:, 4:5], self.problem.labels
        outputs = base + a * grown
        with np.errstate(over="ignore", invalid="ignore"):
            loss = (np.maximum(1 - y * outputs, 0) ** 3).sum(axis=1) + self.regulariser * a[:, 0] ** 2 / 2
            alone = (np.maximum(1 - y * base, 0) ** 3).sum(axis=1)
        return State(loss, alone, base, outputs, self.gradient().copy())


def descend(
    runs: Runs, step: float, steps: int, record_at: Iterable[int], on_record: Callable[[int, State], None]
) -> None:
    """Plain gradient descent; what overflows becomes NaN or infinity, which the record at the next step shows.

    Args:
        runs: fresh runs; their parameters are moved.
        step: step size.
        steps: number of steps.
        record_at: steps at which ``on_record`` gets (step, state); 0 is the start.
    """
    wanted = set(record_at)
    scaled = step * runs.trained
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(steps + 1):
            if k in wanted:
                on_record(k, runs.state())
            if k < steps:
                runs.theta -= scaled * runs.gradient()
