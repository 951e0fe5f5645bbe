"""ReLU networks written down weight by weight, put together from smaller ones: for constructions, not for training.

Layers are sparse float64 matrices, hidden layers lead only to the next (no skips), so depth, units and connections are
those of a plain feed-forward network and can be counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import block_array, block_diag, csr_array, vstack


@dataclass(frozen=True)
class LayeredRelu:
    """x -> W_L relu(... relu(W_1 x + b_1) ...) + b_L.

    Attributes:
        weights: W_1 to W_L, shapes (outputs, inputs); one alone is an affine map.
        biases: b_1 to b_L, shapes (outputs,).
    """

    weights: tuple[csr_array, ...]
    biases: tuple[np.ndarray, ...]

    @property
    def inputs(self) -> int:
        return int(self.weights[0].shape[1])

    @property
    def outputs(self) -> int:
        return int(self.weights[-1].shape[0])

    @property
    def hidden(self) -> int:
        """Hidden layers."""
        return len(self.weights) - 1

    @property
    def units(self) -> int:
        """Hidden units."""
        return sum(len(bias) for bias in self.biases[:-1])

    @property
    def connections(self) -> int:
        """Weights and biases that are not zero."""
        matrices = sum(int(np.count_nonzero(matrix.data)) for matrix in self.weights)
        return matrices + sum(int(np.count_nonzero(bias)) for bias in self.biases)

    @property
    def largest_weight(self) -> float:
        """The largest |weight| or |bias|."""
        matrices = max((float(np.abs(matrix.data).max()) for matrix in self.weights if matrix.nnz), default=0.0)
        return max(matrices, max(float(np.abs(bias).max()) for bias in self.biases))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Outputs, shape (n, outputs), for x of shape (n, inputs)."""
        signal = np.ascontiguousarray(x.T)
        for index, (matrix, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            signal = matrix @ signal + bias[:, None]
            if index < self.hidden:
                np.maximum(signal, 0, out=signal)
        return signal.T

    def then(self, after: LayeredRelu) -> LayeredRelu:
        """x -> after(self(x)); the affine maps that meet become one."""
        meeting = after.weights[0] @ self.weights[-1]
        bias = after.weights[0] @ self.biases[-1] + after.biases[0]
        return LayeredRelu(
            (*self.weights[:-1], csr_array(meeting), *after.weights[1:]),
            (*self.biases[:-1], bias, *after.biases[1:]),
        )


def affine(matrix: Any, bias: Sequence[float] | np.ndarray | None = None) -> LayeredRelu:
    """x -> W x + b, no hidden layer; W a nested list, an array or a sparse array; b = 0 where it is not given."""
    sparse = csr_array(matrix).astype(np.float64)
    rows = int(sparse.shape[0])
    return LayeredRelu((sparse,), (np.zeros(rows) if bias is None else np.asarray(bias, np.float64),))


def one_hidden(inner: LayeredRelu, outer: LayeredRelu) -> LayeredRelu:
    """x -> outer(relu(inner(x))) of two affine maps."""
    return LayeredRelu(inner.weights + outer.weights, inner.biases + outer.biases)


def carry(count: int, hidden: int) -> LayeredRelu:
    """The identity of R^count through some hidden layers: x = relu(x) - relu(-x), two units for each number and layer."""
    eye = csr_array(np.eye(count))
    if hidden == 0:
        return affine(eye)
    split = affine(vstack([eye, -eye]))
    join = affine(block_array([[eye, -eye]]))
    both = one_hidden(split, join)
    found = both
    for _ in range(hidden - 1):
        found = found.then(both)
    return found


def side_by_side(networks: Sequence[LayeredRelu]) -> LayeredRelu:
    """(x_1, x_2, ...) -> (f_1(x_1), f_2(x_2), ...); all must have the same number of hidden layers.

    Raises:
        ValueError: they have not.
    """
    if len({network.hidden for network in networks}) > 1:
        raise ValueError(f"hidden layers differ: {[network.hidden for network in networks]}")
    weights = tuple(csr_array(block_diag(level)) for level in zip(*(one.weights for one in networks), strict=True))
    return LayeredRelu(
        weights, tuple(np.concatenate(level) for level in zip(*(one.biases for one in networks), strict=True))
    )


def on_the_same_input(networks: Sequence[LayeredRelu]) -> LayeredRelu:
    """x -> (f_1(x), f_2(x), ...); shallower networks are carried on to the depth of the deepest."""
    deepest = max(network.hidden for network in networks)
    level = [network.then(carry(network.outputs, deepest - network.hidden)) for network in networks]
    copies = affine(vstack([csr_array(np.eye(network.inputs)) for network in level]))
    return copies.then(side_by_side(level))


def polyline(knots: np.ndarray, values: np.ndarray) -> LayeredRelu:
    """The continuous piecewise linear interpolant on [knots[0], knots[-1]] with one unit for each piece.

    Args:
        knots: increasing, shape (p + 1,).
        values: there, shape (p + 1,).
    """
    slopes = np.diff(values) / np.diff(knots)
    jumps = np.concatenate([slopes[:1], np.diff(slopes)])
    inner = affine(np.ones((len(slopes), 1)), -knots[:-1])
    return one_hidden(inner, affine(jumps[None, :], values[:1]))
