"""Sizes, threshold and generalisation bound of Kawaguchi and Huang 2019 (arXiv 1908.02419), every constant put to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class WidthConstants:
    """What the O() of the construction's widths hides: m_1..m_(H-2), m_(H-1) and m_H over their orders."""

    hidden: float
    bottleneck: float
    last: float


def log_factor(n: float, depth: int, delta: float) -> float:
    """log(H n^2 / delta), the natural logarithm, of Theorem 1."""
    return float(np.log(depth) + 2 * np.log(n) - np.log(delta))


def construction_widths(n: int, depth: int, delta: float, constants: WidthConstants) -> tuple[int, ...]:
    """m_1, ..., m_H of the network in the proof of Theorem 1, rounded to the nearest integer.

    m_1 = ... = m_(H-2) = O(H^2 log), m_(H-1) = O(log), m_H = O(n), with log = log(H n^2 / delta).

    Args:
        n: number of samples.
        depth: H >= 2, hidden layers.
        delta: failure probability.
        constants: factors of the three orders.

    Raises:
        ValueError: H < 2 (the remark for H = 1 has one layer of c n units), or a width below 1.
    """
    if depth < 2:
        raise ValueError(f"the construction needs H >= 2 hidden layers, not {depth}: for H = 1 take c n units")
    log = log_factor(n, depth, delta)
    hidden = [constants.hidden * depth**2 * log] * (depth - 2)
    widths = tuple(round(width) for width in (*hidden, constants.bottleneck * log, constants.last * n))
    if min(widths) < 1:
        raise ValueError(
            f"constants {astuple(constants)} give the widths {widths} at n = {n}: every width must be >= 1"
        )
    return widths


def parameter_count(inputs: int, widths: Sequence[int], outputs: int) -> int:
    """d = sum over l = 0..H of m_l m_(l+1) + m_(l+1), with m_0 = m_x and m_(H+1) = m_y."""
    sizes = [inputs, *widths, outputs]
    return sum(below * above + above for below, above in pairwise(sizes))


def required_size(n: float, depth: int, delta: float, inputs: int, outputs: int) -> float:
    """Theorem 1 with c = 1: (n + m_x H^2 + H^5 log) log + n m_y; for H = 1 the remark's n (m_x + m_y)."""
    if depth == 1:
        return n * (inputs + outputs)
    log = log_factor(n, depth, delta)
    return (n + inputs * depth**2 + depth**5 * log) * log + n * outputs


def remark_size(n: float, depth: int, inputs: int, outputs: int) -> float:
    """The remark, logarithms and constants dropped: n m_y + m_x H^2 + H^5 for H >= 2, n (m_x + m_y) for H = 1."""
    return n * (inputs + outputs) if depth == 1 else n * outputs + inputs * depth**2 + depth**5


def earlier_size(n: float, depth: int, inputs: int, outputs: int) -> float:
    """The state of the art before: 2^H n^8 + n^4 (m_x + m_y) for deep, n^2 (m_x + m_y) for shallow networks."""
    return n**2 * (inputs + outputs) if depth == 1 else 2.0**depth * n**8 + n**4 * (inputs + outputs)


def least_weight_norm(
    size: np.ndarray, equations: np.ndarray, error: np.ndarray, depth: np.ndarray, constant: float = 1.0
) -> np.ndarray:
    """Theorem 2 solved for |theta|^2: n^beta = error^(-(n m_y / d - 1) / (c H)) below the threshold, else 1.

    Args:
        size: parameters d.
        equations: n m_y.
        error: epsilon, the sum of squared errors reached, below 1.
        depth: H.
        constant: the theorem's universal c, unknown; 1 by default.
    """
    power = np.maximum(equations / size - 1, 0) / (constant * depth)
    return np.asarray(error, float) ** -power


def generalisation_bound(
    norm: np.ndarray, n: int, outputs: int, margin: float, scale: float, failure: float, constant: float = 1.0
) -> np.ndarray:
    """Right-hand side of the proposition for E l_01 - mean l_rho.

    c m_y^2 ceil(s N) / (rho s sqrt(n)) + sqrt(ln(pi^2 ceil(s N)^2 / delta') / (2 n)), N = |(W^t)^T|_(2,infinity).

    Args:
        norm: N, any shape.
        n: samples.
        outputs: m_y.
        margin: rho > 0.
        scale: s >= 1, the paper's varsigma.
        failure: delta'.
        constant: the proposition's c = O(1).
    """
    # a network with zero weights has the bound of the smallest ball: the union starts at 1
    balls = np.maximum(np.ceil(scale * np.asarray(norm, float)), 1)
    complexity = constant * outputs**2 * balls / (margin * scale * n**0.5)
    return complexity + np.sqrt(np.log(np.pi**2 * balls**2 / failure) / (2 * n))


def zero_one_loss(outputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """1 where the largest output is not the class's; outputs (n, m_y), classes (n,), result (n,) float."""
    return (outputs.argmax(axis=1) != classes).astype(float)


def margin_loss(outputs: np.ndarray, classes: np.ndarray, margin: float) -> np.ndarray:
    """l_rho = min(max(1 - (f_j - max of the others) / rho, 0), 1), shape (n,); arguments as above."""
    rows = np.arange(len(outputs))
    own = outputs[rows, classes]
    others = outputs.copy()
    others[rows, classes] = -np.inf
    return np.clip(1 - (own - others.max(axis=1)) / margin, 0, 1)


def resnet18_parameters(classes: int, stem: int) -> int:
    """Parameters of ResNet-18 on three colours: the stem's patch is 7 (ImageNet) or 3 (small images) pixels wide."""
    count = 3 * 64 * stem**2 + 2 * 64
    channels = 64
    for width in (64, 128, 256, 512):
        for below in (channels, width):
            count += 9 * below * width + 9 * width * width + 4 * width
        if channels != width:
            count += channels * width + 2 * width  # the shortcut's 1x1 convolution and its normalisation
        channels = width
    return count + 512 * classes + classes
