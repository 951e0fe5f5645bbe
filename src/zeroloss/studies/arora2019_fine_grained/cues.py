"""Colours and markers of the label kinds, the paper's curves in our time, and averages that figures and claims share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.theory import arora2019_fine_grained as theory

# label kind -> (colour, marker, name); told apart by colour-blind readers
LABELS = {
    "true": ("#0072B2", "o", "true labels"),
    "random": ("#D55E00", "s", "random labels"),
    "worst case": ("#555555", "^", "worst case"),
}
DASHED = (0, (5, 2))
PUBLISHED_SAMPLES = 10000
# our source -> (data set in the published files, its name)
_PUBLISHED = {"mnist": ("mnist", "MNIST"), "cifar10": ("cifar", "CIFAR"), "cifar10_lossy": ("cifar", "CIFAR")}


def published_name(source: str) -> tuple[str, str]:
    """(key in the published files, name) of the data that a source is compared with; MNIST where the paper has no such."""
    return _PUBLISHED.get(source, _PUBLISHED["mnist"])


def published_spectrum(dataset: str) -> np.ndarray:
    """Eigenvalues of Figure 1 (b) or (d) at every index, shape (10000,): ``theory.interpolated_spectrum``."""
    table = published.load("arora2019_finegrained_fig1bd_eigs")
    table = table[table["dataset"] == dataset].sort_values("index")
    # the published index counts from 0
    return theory.interpolated_spectrum(table["index"].to_numpy() + 1, table["value"].to_numpy(), PUBLISHED_SAMPLES)


def published_curves(dataset: str) -> pd.DataFrame:
    """Figure 1 (a) or (c): columns label (true, random, worst case), iteration, loss."""
    table = published.load("arora2019_finegrained_fig1ac")
    table = table[table["dataset"] == dataset]
    label = table["series"].replace({"mnist label": "true", "cifar label": "true", "random label": "random"})
    return table.assign(label=label)[["label", "iteration", "loss"]].sort_values(["label", "iteration"])


def implied_steps(curve: pd.DataFrame, eigenvalues: np.ndarray, label: str) -> pd.DataFrame:
    """What step size per iteration the published curve implies, if Theorem 4.1 held: columns iteration, time, step_size.

    The time t at which the limit has that loss, from the spectrum alone: random labels have E p_i^2 = 1 at every index,
    the worst case has all of y on lambda_0.
    """
    squares = np.zeros_like(eigenvalues)
    if label == "random":
        squares[:] = 1.0
    else:
        squares[np.argmin(eigenvalues)] = len(eigenvalues)
    # the first points are within the width of the drawn line of the start
    used = curve[(curve["iteration"] > 0) & (curve["loss"] < 0.5 * 0.995)]
    times = np.array([theory.implied_time(eigenvalues, squares, loss) for loss in used["loss"]])
    return pd.DataFrame({"iteration": used["iteration"].to_numpy(), "time": times}).assign(
        step_size=lambda table: table["time"] / table["iteration"]
    )


def last_step(dataset: str, label: str) -> float:
    """The step size per iteration that a published curve implies at its last iteration."""
    curves = published_curves(dataset)
    last = curves[curves["label"] == label].tail(1)
    return float(implied_steps(last, published_spectrum(dataset), label)["step_size"].iloc[0])


def published_step(dataset: str) -> float:
    """One step size for all curves of a published panel: that of its random labels."""
    return last_step(dataset, "random")
