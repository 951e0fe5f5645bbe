"""The best continuous piecewise linear function with knots wherever they serve best, in the maximum norm.

A ReLU network with one hidden layer of w units is piecewise linear with at most w + 1 pieces on a line, so this is the
best that any of them can do.

On a piece where f is convex, the best line is the chord lowered by half its largest height above f, and the error is that
half; neighbouring lines then meet, so the best function is continuous, and making one piece after the other as long as a
given error allows uses the fewest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

Curve = Callable[[np.ndarray], np.ndarray]
_PLACES = np.linspace(0.0, 1.0, 129)


def _line_error(f: Curve, start: float, length: float) -> float:
    """Error of the best line on [start, start + length], where f is convex or concave."""
    values = f(start + length * _PLACES)
    height = np.abs(values[0] + (values[-1] - values[0]) * _PLACES - values)
    k = int(np.clip(height.argmax(), 1, len(height) - 2))
    # the vertex of the parabola through the three places around the maximum
    left, middle, right = height[k - 1 : k + 2]
    bend = left - 2 * middle + right
    return float(middle - (right - left) ** 2 / (8 * bend) if bend < 0 else middle) / 2


def pieces_for(f: Curve, start: float, end: float, error: float) -> float:
    """Pieces that an error takes on [start, end], where f is convex or concave; the last one counts as a fraction.

    Its error grows like its length squared, so it counts as sqrt(its error / error).
    """
    pieces, at, length = 0.0, start, end - start
    while at < end:
        length = min(length * 1.5, end - at)
        for _ in range(60):
            found = _line_error(f, at, length)
            if found <= error and length >= end - at:
                return pieces + np.sqrt(found / error)
            ratio = error / max(found, 1e-300)
            if abs(ratio - 1) < 1e-9:
                break
            length = min(length * float(np.clip(np.sqrt(ratio), 0.2, 4.0)), end - at)
        pieces, at = pieces + 1, at + length
    return pieces


def best_error(f: Curve, start: float, end: float, pieces: int) -> float:
    """Least maximum error of a continuous piecewise linear function with so many pieces, f convex or concave there."""
    low, high = 0.0, _line_error(f, start, end - start)
    if pieces == 1:
        return high
    low = high * 1e-3 / pieces**2
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (low, middle) if pieces_for(f, start, end, middle) <= pieces else (middle, high)
        if high / low < 1 + 1e-10:
            break
    return float(high)


def fewest_pieces(f: Curve, inflections: np.ndarray, start: float, end: float, error: float) -> tuple[float, float]:
    """(at least, at most) so many pieces are needed for an error on [start, end]; f'' changes sign at ``inflections`` only.

    Knots at the inflections cost at most one piece each, which is the difference of the two.
    """
    inside = np.sort(inflections[(inflections > start) & (inflections < end)])
    knots = np.concatenate([[start], inside, [end]])
    counts = [np.ceil(pieces_for(f, a, b, error)) for a, b in itertools.pairwise(knots)]
    return float(max(sum(counts) - len(inside), 1)), float(sum(counts))
