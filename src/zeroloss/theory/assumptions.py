"""Numerical checks of the two assumptions of Kawaguchi and Huang 2019: on the loss and on the activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Scalar = Callable[[np.ndarray], np.ndarray]


def softplus(z: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """ln(1 + e^(a z)) / a without overflow."""
    return np.logaddexp(0, scale * z) / scale


def sigmoid(z: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """1 / (1 + e^(-a z)) / a without overflow."""
    return np.exp(-np.logaddexp(0, -scale * z)) / scale


def tanh(z: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """tanh(a z) / a."""
    return np.tanh(scale * z) / scale


ACTIVATIONS: dict[str, Callable[..., np.ndarray]] = {
    "softplus": softplus, "sigmoid": sigmoid, "tanh": tanh,
}  # fmt: skip
# outside the assumption: a kink, and not monotone
OTHERS: dict[str, Scalar] = {"ReLU": lambda z: np.maximum(z, 0), "SiLU": lambda z: z * sigmoid(z)}


@dataclass(frozen=True)
class ActivationCheck:
    """Assumption 2 on [-reach, reach]: what was measured and whether each part holds.

    Attributes:
        least_slope, largest_slope: difference quotients; rounding allowed 1e-9.
        decay: error of polynomial interpolation at twice the degree over that at the degree: analytic functions
            have geometric decay, a kink gives about 1/2.
        lower_limit: the value at -1e6, and how much it still moves from -1e4.
    """

    least_slope: float
    largest_slope: float
    decay: float
    lower_limit: float
    drift: float

    @property
    def increasing(self) -> bool:
        return self.least_slope >= -1e-9

    @property
    def lipschitz(self) -> bool:
        return self.largest_slope <= 1 + 1e-9

    @property
    def analytic(self) -> bool:
        return self.decay < 1e-3

    @property
    def bounded_below(self) -> bool:
        return bool(np.isfinite(self.lower_limit)) and self.drift < 1e-3

    @property
    def holds(self) -> bool:
        return self.increasing and self.lipschitz and self.analytic and self.bounded_below


def interpolation_error(function: Scalar, degree: int) -> float:
    """Largest error on [-1, 1] of the Chebyshev interpolant, shifted off zero so that a kink is no node."""
    shifted = lambda z: function(z + 0.1)  # noqa: E731
    fit = np.polynomial.Chebyshev.interpolate(shifted, degree)
    z = np.linspace(-1, 1, 4001)
    return float(np.abs(fit(z) - shifted(z)).max())


def check_activation(function: Scalar, reach: float = 20.0, degree: int = 64) -> ActivationCheck:
    """Slopes on a grid of [-reach, reach], analyticity on [-1, 1], the limit at -infinity."""
    z = np.linspace(-reach, reach, 40001)
    slopes = np.diff(function(z)) / np.diff(z)
    far, near = (float(function(np.array([at]))[0]) for at in (-1e6, -1e4))
    first, second = interpolation_error(function, degree), interpolation_error(function, 2 * degree)
    # once at rounding, an error cannot fall any more
    decay = 0.0 if second < 1e-12 else second / first
    return ActivationCheck(float(slopes.min()), float(slopes.max()), decay, far, abs(far - near))


def log_softmax(q: np.ndarray) -> np.ndarray:
    shifted = q - q.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def squared_gradient(q: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of |q - y|^2 / 2: zeta = 1."""
    return q - y


def cross_entropy_gradient(q: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of -sum y ln softmax(q): zeta = 1/2, the largest eigenvalue that diag(p) - p p^T can have."""
    return np.exp(log_softmax(q)) - y


GRADIENTS = {"squared": squared_gradient, "cross_entropy": cross_entropy_gradient}
ZETA = {"squared": 1.0, "cross_entropy": 0.5}


@dataclass(frozen=True)
class LossCheck:
    """Assumption 1: the largest |grad - grad'| / |q - q'| found, and the least inner product (convex: >= 0)."""

    largest_quotient: float
    least_product: float


def check_loss(name: str, outputs: int, pairs: int, generator: np.random.Generator) -> LossCheck:
    """Difference quotients of the gradient between random points, near and far, and along the worst direction."""
    q = generator.standard_normal((pairs, outputs)) * 3
    y = np.eye(outputs)[generator.integers(0, outputs, pairs)]
    step = generator.standard_normal((pairs, outputs)) * 10.0 ** generator.uniform(-3, 1, (pairs, 1))
    # two equally likely classes have the largest curvature, along their difference
    q[: pairs // 2] = -30.0
    q[: pairs // 2, :2] = 0.0
    step[: pairs // 2] = 0.0
    step[: pairs // 2, 0] = 10.0 ** generator.uniform(-3, 0, pairs // 2)
    step[: pairs // 2, 1] = -step[: pairs // 2, 0]
    change = GRADIENTS[name](q + step, y) - GRADIENTS[name](q, y)
    quotient = np.linalg.norm(change, axis=1) / np.linalg.norm(step, axis=1)
    return LossCheck(float(quotient.max()), float((change * step).sum(axis=1).min()))
