"""Starts and targets by name, and batches of runs made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zeroloss.randomness import numpy_generator, torch_generator

if TYPE_CHECKING:
    import torch

# name -> label
STARTS = {
    "zas": "ZAS",
    "near_identity": "near identity",
    "xavier": "Xavier",
    "haar": "Haar orthogonal",
    "identity": "identity",
}
TARGETS = {
    "plus": r"$+I$",
    "minus": r"$-I$",
    "gaussian": "Gaussian",
    "rotation": "rotation",
    "positive": "positive definite",
    "indefinite": "one eigenvalue < 0",
}
RANDOM_STARTS = ("near_identity", "xavier", "haar")
RANDOM_TARGETS = ("gaussian", "rotation", "positive", "indefinite")


def target(name: str, dimension: int, seed: int) -> np.ndarray:
    """Phi, float64, shape (d, d), with |Phi|_F^2 near d in all cases.

    ``gaussian``: entries N(0, 1/d). ``rotation``: Haar on SO(d). ``positive``: random eigenvectors, eigenvalues spaced
    evenly in the logarithm from 1/2 to 2, at d = 1 one eigenvalue 1/2; ``indefinite``: the same with the sign of the
    least one changed.
    """
    if name in ("plus", "minus"):
        return np.eye(dimension) * (1 if name == "plus" else -1)
    generator = numpy_generator(seed, "target", name if name != "indefinite" else "positive", dimension)
    normal = generator.standard_normal((dimension, dimension))
    if name == "gaussian":
        return normal / dimension**0.5
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diag(r))
    if name == "rotation":
        q[:, 0] *= np.linalg.slogdet(q)[0]
        return q
    values = np.geomspace(0.5, 2, dimension)
    if name == "indefinite":
        values[0] *= -1
    return (q * values) @ q.T


def start(name: str, dimension: int, depth: int, seed: int) -> list[torch.Tensor]:
    """Layers W_1..W_L of one network, float64, each of shape (1, d, d)."""
    from zeroloss.networks import deep_linear

    shapes = deep_linear.layer_shapes(dimension, dimension, dimension, depth)
    if name == "zas":
        return deep_linear.zero_asymmetric(shapes, 1)
    if name == "identity":
        return deep_linear.identity(shapes, 1)
    generators = [torch_generator(seed, "start", name, dimension, depth)]
    if name == "haar":
        return deep_linear.orthogonal(shapes, generators)
    if name == "near_identity":
        return deep_linear.near_identity(shapes, generators)
    return deep_linear.gaussian(shapes, float(dimension**-0.5), generators)


def determinant_sign(layers: Sequence[torch.Tensor]) -> float:
    """The sign of det(W_L ... W_1) of one network; from the layers, since the product may underflow."""
    import torch

    return float(np.prod([torch.linalg.slogdet(layer)[0].item() for layer in layers]))


@dataclass(frozen=True)
class Run:
    """One network: where it starts, where it should go, how fast."""

    start: str
    target: str
    seed: int
    step_size: float


def runs(starts: Sequence[str], targets: Sequence[str], seeds: Sequence[int], steps: Sequence[float]) -> list[Run]:
    """All combinations; where neither start nor target is random, the first seed alone."""
    return [
        Run(which, goal, seed, step)
        for which in starts
        for goal in targets
        for seed in (seeds if which in RANDOM_STARTS or goal in RANDOM_TARGETS else seeds[:1])
        for step in steps
    ]


@dataclass(frozen=True)
class Batch:
    """Runs of one dimension and depth as one batch.

    Attributes:
        runs: what they are.
        layers: W_1..W_L, each of shape (len(runs), d, d), float64.
        targets: Phi of each run, shape (len(runs), d, d).
        signs: sign of the determinant of the starting product, shape (len(runs),).
    """

    runs: Sequence[Run]
    layers: list[torch.Tensor]
    targets: np.ndarray
    signs: np.ndarray

    @property
    def step_sizes(self) -> np.ndarray:
        return np.array([run.step_size for run in self.runs])

    @property
    def norms(self) -> np.ndarray:
        """|Phi|_F of each run."""
        return np.linalg.norm(self.targets, axis=(1, 2))


def batch(wanted: Sequence[Run], dimension: int, depth: int, device: str) -> Batch:
    """Each start and each target is drawn once, however many runs share it."""
    import torch

    starts = {(run.start, run.seed): start(run.start, dimension, depth, run.seed) for run in wanted}
    goals = {(run.target, run.seed): target(run.target, dimension, run.seed) for run in wanted}
    signs = {key: determinant_sign(layers) for key, layers in starts.items()}
    keys = [(run.start, run.seed) for run in wanted]
    layers = [torch.cat([starts[key][index] for key in keys]).to(device) for index in range(depth)]
    return Batch(
        wanted,
        layers,
        np.stack([goals[run.target, run.seed] for run in wanted]),
        np.array([signs[key] for key in keys]),
    )
