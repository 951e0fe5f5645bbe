"""The networks of Yarotsky 2017: squares of composed teeth, products of squares, local Taylor polynomials of products.

The square follows Telgarsky's notes, Theorem 5.2. Product, partition of unity and Taylor polynomials are from memory of the
paper's proof of Theorem 1; its text was not at hand. Two things are ours: products work on [-2, 2] (the paper: |factor| <=
d + n), and nothing skips a layer (the paper allows it), so that numbers are carried along by units of their own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zeroloss.networks.layered_relu import (
    LayeredRelu,
    affine,
    carry,
    on_the_same_input,
    one_hidden,
    side_by_side,
)

REACH = 2.0  # products take factors from [-2, 2]: those of the proof are at most 1, their products 1 and a small error

TOOTH = (2.0, -4.0, 2.0)  # g(x) = 2 relu(x) - 4 relu(x - 1/2) + 2 relu(x - 1)

Derivative = Callable[[tuple[int, ...], np.ndarray], np.ndarray]
"""``derivative(p, x)``: D^p f of some targets at x (points, d), shape (targets, points)."""


def tooth(times: int) -> LayeredRelu:
    """g o ... o g on [0, 1], with 2^(times - 1) teeth."""
    one = one_hidden(affine([[1.0], [1.0], [1.0]], [0.0, -0.5, -1.0]), affine([TOOTH]))
    found = one
    for _ in range(times - 1):
        found = found.then(one)
    return found


def square(levels: int) -> LayeredRelu:
    """f_m(x) = x - sum_s g_s(x) / 4^s on [0, 1], m = ``levels`` >= 1: m hidden layers of 4 units.

    Three units of a layer make the next tooth; the fourth is what has been summed, which is never negative there.
    Everything is a power of two, so float64 is exact at x = k / 2^j while j + m < 52.
    """
    grow = [*TOOTH, 0.0]
    weights, biases = [affine([[1.0]] * 4)], [[0.0, -0.5, -1.0, 0.0]]
    for s in range(1, levels):
        total = [-entry / 4.0**s for entry in TOOTH] + [1.0]
        weights.append(affine([grow, grow, grow, total]))
        biases.append([0.0, -0.5, -1.0, 0.0])
    weights.append(affine([[-entry / 4.0**levels for entry in TOOTH] + [1.0]]))
    biases.append([0.0])
    return LayeredRelu(tuple(one.weights[0] for one in weights), tuple(np.array(bias) for bias in biases))


def product(levels: int) -> LayeredRelu:
    """(x, y) -> about x y on [-2, 2]^2: 2 M^2 [f(|x + y| / 2M) - f(|x| / 2M) - f(|y| / 2M)], M = 2.

    0 where a factor is 0, but for rounding; error at most M^2 4^(-m). One hidden layer for the absolute values, m for the
    squares.
    """
    sums = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    modulus = one_hidden(affine(np.vstack([sums, -sums])), affine(np.hstack([np.eye(3)] * 2) / (2 * REACH)))
    squares = side_by_side([square(levels)] * 3)
    return modulus.then(squares).then(affine(2 * REACH**2 * np.array([[1.0, -1.0, -1.0]])))


@functools.cache
def chain(factors: int, levels: int) -> LayeredRelu:
    """(x_1, ..., x_k) -> about x_1 x_2 ... x_k, one product after the other; the factors in waiting are carried along."""
    found = affine(np.eye(factors))
    for waiting in range(factors - 2, -1, -1):
        step = product(levels)
        found = found.then(side_by_side([step, carry(waiting, step.hidden)]) if waiting else step)
    return found


def bump(z: np.ndarray) -> np.ndarray:
    """psi of the partition of unity: 1 on [-1, 1], 0 beyond [-2, 2], linear between."""
    return np.clip(2 - np.abs(z), 0, 1)


def _factor_layer(node: tuple[int, ...], grid: int, powers: tuple[int, ...]) -> LayeredRelu:
    """x -> bumps of every coordinate at a node, then x_k - node_k / N as often as its power says: one hidden layer."""
    dimension, parts = len(node), []
    for k, (place, power) in enumerate(zip(node, powers, strict=True)):
        coordinate = np.eye(dimension)[k : k + 1]
        edges = (np.array([-2.0, -1.0, 1.0, 2.0]) + 3 * place) / (3 * grid)
        inner = affine(np.repeat(coordinate, 4, axis=0), -edges)
        parts.append((0, one_hidden(inner, affine(3.0 * grid * np.array([[1.0, -1.0, -1.0, 1.0]])))))
        linear = affine(coordinate, [-place / grid]).then(carry(1, 1))
        parts += [(1, linear)] * power
    return on_the_same_input([network for _, network in sorted(parts, key=lambda part: part[0])])


@dataclass(frozen=True)
class LocalTaylor:
    """f~ = sum over nodes m / N and |p| < n of D^p f(m / N) / p! times the network of phi_m(x) (x - m / N)^p.

    Only the output weights depend on f.

    Attributes:
        dimension: d.
        smoothness: n.
        grid: N; nodes are m / N, m in {0, ..., N}^d.
        levels: m of the squares.
    """

    dimension: int
    smoothness: int
    grid: int
    levels: int

    @property
    def powers(self) -> list[tuple[int, ...]]:
        """Multi-indices p with |p| < n."""
        every = itertools.product(range(self.smoothness), repeat=self.dimension)
        return [powers for powers in every if sum(powers) < self.smoothness]

    def _block(self, powers: tuple[int, ...], node: tuple[int, ...]) -> LayeredRelu:
        factors = self.dimension + sum(powers)
        return _factor_layer(node, self.grid, powers).then(chain(factors, self.levels))

    @functools.cached_property
    def _sizes(self) -> tuple[int, int, int]:
        """Hidden layers, units and connections of the whole network, counted on the blocks of one node."""
        blocks = {powers: self._block(powers, (1,) * self.dimension) for powers in self.powers}
        hidden = max(block.hidden for block in blocks.values())
        nodes = (self.grid + 1) ** self.dimension
        # sums of one degree are of one depth: two units for each layer that is missing, with a weight of 1 between them
        missing = sum(hidden - h for h in {block.hidden for block in blocks.values()})
        units = nodes * sum(block.units for block in blocks.values()) + 2 * missing
        return hidden, units, nodes * sum(self._weights_of(block, hidden) for block in blocks.values()) + 4 * missing

    @staticmethod
    def _weights_of(block: LayeredRelu, hidden: int) -> int:
        """Connections of a block; its output weights occur twice where relu(sum) and relu(-sum) carry the sum on."""
        ending = int(np.count_nonzero(block.weights[-1].data))
        return block.connections + (ending if block.hidden < hidden else 0)

    @property
    def hidden(self) -> int:
        return self._sizes[0]

    @property
    def units(self) -> int:
        return self._sizes[1]

    @property
    def connections(self) -> int:
        """At most so many weights and biases are not zero (a few are where a node is at 0)."""
        return self._sizes[2]

    def __call__(self, x: np.ndarray, derivative: Derivative) -> np.ndarray:
        """Outputs (targets, points) for x (points, d) in [0, 1]^d.

        Blocks whose bump is 0 at x give 0, so only those of the 2^d nodes around x are evaluated.
        """
        corner = np.minimum(np.floor(x * self.grid), self.grid - 1)
        total: np.ndarray | float = 0.0
        for offset in itertools.product((0, 1), repeat=self.dimension):
            node = corner + np.array(offset)
            away = x - node / self.grid
            bumps = bump(3 * self.grid * away)
            for powers in self.powers:
                linear = [away[:, k : k + 1] for k, power in enumerate(powers) for _ in range(power)]
                values = chain(self.dimension + sum(powers), self.levels)(np.hstack([bumps, *linear]))[:, 0]
                total = total + _coefficients(derivative, powers, node / self.grid) * values
        return np.asarray(total)

    def assemble(self, derivative: Derivative) -> LayeredRelu:
        """The whole network, for one target: every block, summed by degree, sums carried on to the depth of the deepest."""
        sums = []
        for degree in range(self.smoothness):
            blocks, outer = [], []
            for powers in (powers for powers in self.powers if sum(powers) == degree):
                for node in itertools.product(range(self.grid + 1), repeat=self.dimension):
                    blocks.append(self._block(powers, node))
                    outer.append(_coefficients(derivative, powers, np.array([node]) / self.grid)[0, 0])
            sums.append(on_the_same_input(blocks).then(affine([outer])))
        return on_the_same_input(sums).then(affine(np.ones((1, len(sums)))))


def _coefficients(derivative: Derivative, powers: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    factorials = np.prod([float(np.prod(range(1, power + 1))) for power in powers])
    return derivative(powers, x) / factorials
