"""Lengths of error bars. Without matplotlib, so that modules of studies can import it at their top."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def bar_lengths(middle: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """How far an error bar reaches down and up, shape (2, k), never below zero.

    The mean of equal values may lie beside them by rounding, and matplotlib refuses a negative length.

    >>> bar_lengths([0.1 + 0.2], [0.1], [0.3])
    array([[0.2],
           [0. ]])
    """
    at = np.asarray(middle, float)
    return np.stack([at - np.asarray(low, float), np.asarray(high, float) - at]).clip(min=0)
