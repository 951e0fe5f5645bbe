"""Classical rates in dimension d, and the domains on which they are measured."""

from __future__ import annotations

import numpy as np


def rate(smoothness: float, dimension: int) -> float:
    """s / d: the root mean squared error without noise is O(n^(-s/d)) (document 004)."""
    return smoothness / dimension


def noisy_rate(smoothness: float, dimension: int) -> float:
    """s / (2s + d): the same with noisy labels (Stone 1982)."""
    return smoothness / (2 * smoothness + dimension)


def nearest_rate(smoothness: float, dimension: int) -> float:
    """min(s, 1) / d: of the nearest neighbour's value, which uses no derivative."""
    return min(smoothness, 1.0) / dimension


def spacing(points: float | np.ndarray, dimension: int) -> np.ndarray:
    """n^(-1/d), the spacing of n points in a cube of side 1."""
    return np.asarray(points, float) ** (-1 / dimension)


def diameter(domain: str, dimension: int) -> float:
    """Of the unit cube sqrt(d), of the torus of :func:`on_torus` sqrt(d) / pi."""
    return dimension**0.5 / (np.pi if domain == "torus" else 1)


def on_torus(points: np.ndarray) -> np.ndarray:
    """[0, 1)^d onto a product of circles of length 1 in R^(2d), which has no boundary; shape (n, 2d)."""
    angle = 2 * np.pi * points
    return np.hstack([np.cos(angle), np.sin(angle)]) / (2 * np.pi)
