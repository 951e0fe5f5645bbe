"""Section 3 of the document: lambda_0 of orthogonal, random and nearly degenerate inputs. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.randomness import numpy_generator
from zeroloss.theory import mccloskey2022 as theory

if TYPE_CHECKING:
    import torch


def moved_to(x: np.ndarray, target: int, moving: int, distance: float, side: float = 1.0) -> np.ndarray:
    """A copy of unit vectors x in which row ``moving`` lies at ``distance`` from ``side`` times row ``target``.

    It moves on the great circle through both, so its direction of approach is random as the point was.

    Args:
        x: unit vectors, shape (n, d), d >= 2.
        side: +1, or -1 to approach the antipode.
    """
    goal = side * x[target]
    across = x[moving] - (x[moving] @ goal) * goal
    across /= np.linalg.norm(across)
    angle = 2.0 * np.arcsin(distance / 2.0)
    out = x.copy()
    out[moving] = np.cos(angle) * goal + np.sin(angle) * across
    out[moving] /= np.linalg.norm(out[moving])
    return out


def limit_gram(x: np.ndarray) -> torch.Tensor:
    """H-infinity of unit vectors, float64."""
    import torch

    from zeroloss.kernels.relu_gram import infinite_width_gram

    return infinite_width_gram(torch.from_numpy(x))


def _row(part: str, seed: int, x: np.ndarray, **more: Any) -> dict[str, Any]:
    from zeroloss.kernels.relu_gram import extreme_eigenvalues

    gram = limit_gram(x)
    lambda_0, _ = extreme_eigenvalues(gram)
    off = gram.clone().fill_diagonal_(0.0)
    return {
        "part": part, "seed": seed, "samples": x.shape[0], "dimension": x.shape[1], "lambda_0": lambda_0,
        "gershgorin": theory.gershgorin_margin(gram.numpy()), "largest_entry": float(off.abs().max()), **more,
    }  # fmt: skip


def run_examples(parameters: Mapping[str, Any]) -> pd.DataFrame:
    """Parts orthogonal, gershgorin (random sets), pair, pair_in_set, antipode, antipode_in_set, antipodal_pairs."""
    rows = []
    n, d, low = parameters["samples"], parameters["pair_dimension"], parameters["antipodal_dimension"]
    for seed in parameters["seeds"]:
        rotation, _ = np.linalg.qr(numpy_generator(seed, "examples", "rotation").standard_normal((d, d)))
        rows.append(_row("orthogonal", seed, rotation[: min(n, d)]))
        for dimension in parameters["dimensions"]:
            x = uniform_on_sphere(n, dimension, numpy_generator(seed, "examples", "set", dimension))
            rows.append(_row("gershgorin", seed, x))
        spread = uniform_on_sphere(n, d, numpy_generator(seed, "examples", "spread set"))
        # low + 1 pairs {x, about -x}: in R^low exact antipodes make H-infinity singular, its odd part has rank low
        half = uniform_on_sphere(low + 1, low, numpy_generator(seed, "examples", "antipodal pairs"))
        partners = uniform_on_sphere(low + 1, low, numpy_generator(seed, "examples", "partners"))
        for distance in parameters["distances"]:
            for side, name in ((1.0, "pair"), (-1.0, "antipode")):
                near = moved_to(spread, 0, 1, distance, side)
                rows.append(_row(f"{name}_in_set", seed, near, distance=distance))
                rows.append(_row(name, seed, near[:2], distance=distance))
            pairs = np.concatenate([half, partners])
            for k in range(low + 1):
                pairs = moved_to(pairs, k, low + 1 + k, distance, -1.0)
            rows.append(_row("antipodal_pairs", seed, pairs, distance=distance))
    return pd.DataFrame(rows)
