"""Formulas around Theorem 1 of Liang, Sun, Lee, Srikant 2018 (arXiv 1805.08671), as document 004 quotes it.

The loss is L = sum_i l(-y_i (f(x_i; theta) + a exp(w . x_i + b))) + lambda a^2 / 2 with l(z) = max(0, z + 1)^3.
What is derived here and not printed in the document is marked "ours".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def misclassification_rate(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """R_n: the share of samples with sign(f(x_i)) != y_i; an output of exactly 0 counts as +1.

    Args:
        outputs: f, shape (..., n).
        labels: y = +-1, shape (n,).

    Returns:
        shape (...), between 0 and 1.
    """
    return ((outputs >= 0) != (labels > 0)).mean(axis=-1)


def constant_fit(labels: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The constant d that minimises sum_i l(-y_i d), and that sum (ours).

    With p labels +1 and k labels -1 the derivative -3 p (1 - d)^2 + 3 k (1 + d)^2 vanishes at
    d = (sqrt(p) - sqrt(k)) / (sqrt(p) + sqrt(k)); both labels must occur.
    """
    y = np.asarray(labels)
    p, k = int((y > 0).sum()), int((y < 0).sum())
    d = (p**0.5 - k**0.5) / (p**0.5 + k**0.5)
    return d, p * (1 - d) ** 3 + k * (1 + d) ** 3


def largest_neuron(gradient: np.ndarray, regulariser: float) -> np.ndarray:
    """The largest |a| that a point with gradient norm g can have (ours).

    dL/da = S + lambda a and dL/db = a S give lambda a^2 = a dL/da - dL/db <= g sqrt(1 + a^2), everywhere, hence
    a^2 <= (r^2 + sqrt(r^4 + 4 r^2)) / 2 with r = g / lambda. It is 0 at g = 0: a = 0 at every critical point.
    """
    r = np.asarray(gradient, float) / regulariser
    return np.sqrt((r**2 + np.sqrt(r**4 + 4 * r**2)) / 2)


def neuron_decay(time: np.ndarray, regulariser: float, support: float) -> np.ndarray:
    """|a| at a late time (steps times step size) on its way to infinity, 1 / sqrt(2 lambda (1 + x^2) t) (ours).

    On that way the data keep a exp(w x + b) constant at the input x on the margin, so that S = -lambda a to leading
    order and (w, b) moves by lambda a^2 (x, 1) per unit of time: d(1 / a^2)/dt = 2 lambda (1 + x^2). The law needs
    a base network that cannot take over from the neuron, and large w (beside 1 / tanh(w x)).
    """
    return 1 / np.sqrt(2 * regulariser * (1 + support**2) * np.asarray(time, float))


def exponent_growth(support: float, weight: float = np.inf) -> tuple[float, float]:
    """dw / d ln t and db / d ln t on that way, c x / (2 (1 + c^2 x^2)) and 1 / (2 (1 + c^2 x^2)) (ours).

    c = 1 / tanh(w x) at the present w, which is 1 for large w: the samples on the margin are +-x, and the share of each
    in the neuron's gradient is exp(+-w x) / (exp(w x) - exp(-w x)).
    """
    lever = support / np.tanh(weight * support)
    whole = 2 * (1 + lever**2)
    return float(lever / whole), float(1 / whole)
