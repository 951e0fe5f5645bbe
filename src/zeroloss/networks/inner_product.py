"""A network of depth 3 for sin(k <x, x'>): <x, x'> from squares in the first hidden layer, the sine in the second.

For unit vectors <x, x'> = sum_i (x_i + x'_i)^2 / 2 - 1: d piecewise linear squares on [-2, 2], never below the exact one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zeroloss.networks.layered_relu import LayeredRelu, affine, polyline, side_by_side

_CHUNK = 250  # points at a time: 16384 units of them are 33 MB


@dataclass(frozen=True)
class InnerProductSine:
    """The network in two halves; the affine maps between them are one layer's weights.

    Attributes:
        products: (x, x') in R^(2d) -> about <x, x'>, d n_1 hidden units.
        sine: t -> about sin(k t), n_2 hidden units.
    """

    products: LayeredRelu
    sine: LayeredRelu

    @property
    def units(self) -> int:
        return self.products.units + self.sine.units

    @property
    def width(self) -> int:
        """Units of the wider layer."""
        return max(self.products.units, self.sine.units)

    @property
    def largest_weight(self) -> float:
        """Of all three layers as they are in one network; the second one's weights are the same in every row."""
        inner, outer = self.products, self.sine
        middle_bias = np.abs(outer.weights[0].toarray()[:, 0] * inner.biases[-1][0] + outer.biases[0]).max()
        first = max(np.abs(inner.weights[0].data).max(), np.abs(inner.biases[0]).max())
        second = max(np.abs(inner.weights[1].data).max(), middle_bias)
        last = max(np.abs(outer.weights[1].data).max(), np.abs(outer.biases[1]).max())
        return float(max(first, second, last))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Outputs, shape (n,), for (x, x') side by side, shape (n, 2d)."""
        parts = np.array_split(x, math.ceil(len(x) / _CHUNK))
        return np.concatenate([self.sine(self.products(part))[:, 0] for part in parts])

    def assemble(self) -> LayeredRelu:
        """One network with two hidden layers and d n_1 n_2 weights between them: for small ones."""
        return self.products.then(self.sine)


def inner_products(dimension: int, pieces: int) -> LayeredRelu:
    """(x, x') -> sum_i (piecewise linear (x_i + x'_i)^2) / 2 - 1."""
    knots = np.linspace(-2, 2, pieces + 1)
    sums = affine(np.hstack([np.eye(dimension)] * 2))
    squares = side_by_side([polyline(knots, knots**2 / 2)] * dimension)
    return sums.then(squares).then(affine(np.ones((1, dimension)), [-1.0]))


def inner_product_sine(dimension: int, frequency: float, pieces: tuple[int, int]) -> InnerProductSine:
    """The network with n_1 pieces of each square and n_2 of the sine, which covers what the squares can overshoot."""
    knots = np.linspace(-1, 1 + 2 * dimension / pieces[0] ** 2, pieces[1] + 1)
    return InnerProductSine(inner_products(dimension, pieces[0]), polyline(knots, np.sin(frequency * knots)))
