"""Local valleys of a function on a grid: connected pieces of its sub-level sets, by union-find.

Flooding the surface from below, every local minimum starts a basin; where two basins meet, the one with the higher floor
ends. The level at which it ends is its rim (in topology, floor and rim are birth and death of its component).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Basin:
    """One local minimum of the grid.

    Attributes:
        row, column: where its floor is.
        floor: value there.
        rim: level at which it joins a basin with a lower floor; infinite for the lowest of all.
        at_border: whether the floor lies on the border of the grid, where it may go on falling outside.
    """

    row: int
    column: int
    floor: float
    rim: float
    at_border: bool

    @property
    def depth(self) -> float:
        return self.rim - self.floor


def basins(surface: np.ndarray) -> list[Basin]:
    """All basins of a 2-D array (neighbours: the eight around a point), lowest floor first; NaN counts as infinite."""
    height, width = surface.shape
    values = np.where(np.isnan(surface), np.inf, surface).ravel()
    order = np.argsort(values, kind="stable")
    parent = np.full(values.size, -1)
    found: list[tuple[int, float]] = []

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for node in order:
        row, column = divmod(int(node), width)
        roots = {
            root(other)
            for r in range(max(row - 1, 0), min(row + 2, height))
            for c in range(max(column - 1, 0), min(column + 2, width))
            if parent[other := r * width + c] >= 0
        }
        # roots are the floors of their basins; the earlier in the order, the lower
        lowest = min(roots, key=lambda one: (values[one], one), default=int(node))
        parent[node] = lowest
        for other in roots - {lowest}:
            parent[other] = lowest
            found.append((other, float(values[node])))
    found.append((root(int(order[0])), float("inf")))
    made = []
    for floor, rim in found:
        row, column = divmod(int(floor), width)
        if rim > values[floor]:  # a level plateau is one basin, not many
            border = row in (0, height - 1) or column in (0, width - 1)
            made.append(Basin(row, column, float(values[floor]), rim, border))
    return sorted(made, key=lambda basin: basin.floor)


def bad_valleys(surface: np.ndarray, reference: float, above: float, depth: float) -> list[Basin]:
    """Basins of ln(loss) that are bad local valleys of the slice.

    Args:
        surface: ln(loss) on the grid.
        reference: ln(loss) at the solution that the slice goes through.
        above: a floor at most this much above ``reference`` is as good as the solution.
        depth: a dent less deep than this is not counted.

    Floors on the border do not count: the slice goes on there.
    """
    return [
        basin
        for basin in basins(surface)
        if not basin.at_border and basin.floor > reference + above and basin.depth >= depth
    ]
