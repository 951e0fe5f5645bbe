"""Points uniform on the unit sphere with Gaussian labels (Du et al. 2018a, section 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.randomness import numpy_generator


def uniform_on_sphere(samples: int, dimension: int, generator: np.random.Generator) -> np.ndarray:
    """Points uniform on the unit sphere of R^d: normalised Gaussian vectors, float64, shape (n, d)."""
    x = generator.standard_normal((samples, dimension))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


class SpherePoints(Recipe):
    """n inputs uniform on the unit sphere of R^d, labels y ~ N(0, 1) independent of them."""

    kind: Literal["sphere"] = "sphere"
    samples: int = Field(ge=1)
    dimension: int = Field(ge=1)
    seed: int = Field(ge=0)

    @property
    def name(self) -> str:
        return f"sphere_n{self.samples}_d{self.dimension}_seed{self.seed}"

    def build(self, root: Path | None) -> Dataset:
        x = uniform_on_sphere(self.samples, self.dimension, numpy_generator(self.seed, "sphere", "inputs"))
        y = numpy_generator(self.seed, "sphere", "labels").standard_normal(self.samples)
        info = {"title": "uniform on the sphere", "fidelity": "synthetic", "labels": "y ~ N(0, 1)"}
        return Dataset(x, y, {**info, "recipe": self.model_dump()})
