"""The spherical 3-spin function, the target of Rotskoff and Vanden-Eijnden 2018 (section 4).

f(x) = (1/d) sum_pqr a_pqr x_p x_q x_r on |x| = sqrt(d), with a_pqr ~ N(0, 1) independent, so that E f(x)^2 = d over the a.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from zeroloss.randomness import numpy_generator


def sphere_points(count: int, dimension: int, generator: np.random.Generator) -> np.ndarray:
    """Uniform on the sphere of radius sqrt(d): (count, d), float64."""
    drawn = generator.standard_normal((count, dimension))
    return drawn * (dimension**0.5 / np.linalg.norm(drawn, axis=1, keepdims=True))


@dataclass(frozen=True)
class ThreeSpin:
    """f(x) = sum_pqr T_pqr x_p x_q x_r.

    Attributes:
        tensor: T (d, d, d), float64, symmetric in its indices; the factor 1/d is in it.
    """

    tensor: np.ndarray

    @classmethod
    def draw(cls, dimension: int, seed: int) -> ThreeSpin:
        """Independent normal a_pqr, symmetrised: only the symmetric part acts on x x x."""
        drawn = numpy_generator(seed, "three spin", dimension).standard_normal((dimension,) * 3) / dimension
        return cls(np.mean([drawn.transpose(order) for order in permutations(range(3))], axis=0))

    @property
    def dimension(self) -> int:
        return self.tensor.shape[0]

    def values(self, x: np.ndarray) -> np.ndarray:
        """f at x (..., d): shape (...)."""
        found: np.ndarray = np.einsum("...p,...p->...", self._contracted(x), x)
        return found

    def _contracted(self, x: np.ndarray) -> np.ndarray:
        """sum_qr T_pqr x_q x_r: (..., d), a third of the gradient."""
        pairs = (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], -1)
        return pairs @ self.tensor.reshape(-1, self.dimension)

    @property
    def linear(self) -> np.ndarray:
        """u (d,) with f_1(x) = u.x the part of f in the harmonics of degree 1 on |x| = sqrt(d); the rest is of degree 3.

        The harmonic projection of a symmetric cubic form takes off (3 |x|^2 / (d + 2)) v.x with v_r = sum_p T_ppr.
        """
        d = self.dimension
        return 3 * d / (d + 2) * np.einsum("ppr->r", self.tensor)

    @property
    def mean_square(self) -> float:
        """Mean of f(x)^2 over the sphere, exact: from the sixth moments d^3 / (d (d + 2) (d + 4)) of its coordinates."""
        d, trace = self.dimension, np.einsum("ppr->r", self.tensor)
        return float(d**2 / ((d + 2) * (d + 4)) * (6 * (self.tensor**2).sum() + 9 * (trace**2).sum()))
