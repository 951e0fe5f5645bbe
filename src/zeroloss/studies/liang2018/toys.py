"""The two base networks with their bad minima; columns of parameters as in networks/exponential_neuron.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from zeroloss.theory.liang2018 import constant_fit

ToyName = Literal["dead_relu", "quadratic"]
TOYS: tuple[ToyName, ...] = ("dead_relu", "quadratic")
TITLES: dict[str, str] = {
    "dead_relu": r"dead ReLU, $f(x)=v\,\mathrm{relu}(ux+c)+d$",
    "quadratic": r"quadratic unit, $f(x)=(ux+c)^2-2$",
}
# offset of the quadratic network; with it f = 1 needs (u x + c)^2 = 3 and f = -1 needs 1
QUADRATIC_OFFSET = -2.0


@dataclass(frozen=True)
class Toy:
    """A data set, a base network and its bad local minimum.

    Attributes:
        unit: relu or quadratic.
        inputs: x, shape (n,).
        labels: y = +-1, shape (n,).
        bad: parameters (u, c, v, d, a, w, b) of the bad minimum, neuron zero, shape (7,).
        trained: which of them are trained, shape (7,), bool.
        bad_loss: the loss there, that of the best constant.
    """

    unit: Literal["relu", "quadratic"]
    inputs: np.ndarray
    labels: np.ndarray
    bad: np.ndarray
    trained: np.ndarray
    bad_loss: float


def toy(name: ToyName, data: Mapping[str, Any]) -> Toy:
    """The toy of one name from its settings.

    Both bad minima have constant output d, the best constant. The dead ReLU u = 1, c = -2 max|x|, v = 1 is inactive on
    every input and in a neighbourhood, where the loss depends on d alone and is convex: a minimum, flat in u, c and v.
    The quadratic unit u = 0, c = sqrt(2 + d) has zero gradient because the data are mirrored, and a positive definite
    Hessian (a test): a strict minimum. A good network has loss 0 (the settings' validators demand what is needed).
    """
    x, y = np.array(data["inputs"], float), np.array(data["labels"], float)
    d, loss = constant_fit(y)
    bad = np.zeros(7)
    if name == "dead_relu":
        bad[:4] = 1.0, -2 * np.abs(x).max(), 1.0, d
        return Toy("relu", x, y, bad, np.ones(7, bool), loss)
    bad[:4] = 0.0, (d - QUADRATIC_OFFSET) ** 0.5, 1.0, QUADRATIC_OFFSET
    return Toy("quadratic", x, y, bad, np.array([1, 1, 0, 0, 1, 1, 1], bool), loss)


def good_parameters(name: ToyName, toy: Toy) -> np.ndarray:
    """Parameters (7,) of a base network with loss 0, which shows that Assumption 2 holds; neuron zero."""
    positive, negative = toy.inputs[toy.labels > 0], toy.inputs[toy.labels < 0]
    good = np.zeros(7)
    if name == "quadratic":
        good[:4] = 3**0.5 / np.abs(positive).min(), 0.0, 1.0, QUADRATIC_OFFSET
    else:
        last, gap = negative.max(), positive.min() - negative.max()
        good[:4] = 1.0, -last, 2 / gap, -1.0
    return good
