"""Du, Hu 2019 (arXiv 1901.08572v3) and Hu, Xiao, Pennington 2020 (arXiv 2001.05992): problems, steps, rates, widths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Target = Literal["unit", "raw", "unit_phi"]


@dataclass(frozen=True)
class Problem:
    """min over W of 1/2 |W X - Y|_F^2 with Y = W* X, so OPT = 0, in coordinates of the span of the inputs.

    X = Q R with orthonormal columns in Q. A network on X is, weight for weight, a network on R: its first layer only acts
    through W_1 Q, whose gradient is that of W_1 times Q, and whose law is the same N(0, 1) for the Gaussian start. An
    orthogonal start of the network on R is that of the one on X where the width is at least d_in; below d_in (the
    theorem then does not apply to X itself) it is the start of the reduced problem, which is just as good a problem.

    Attributes:
        x: R, float64, shape (n, n).
        y: float64, shape (d_out, n).
        lambda_max, lambda_r: extreme eigenvalues of X^T X (rank n with probability 1).
        phi_norm: spectral norm of the minimiser of least spectral norm, Phi = Y X^+ (any minimiser W has W P = Phi for
            the projector P on the inputs, so none has a smaller norm).
    """

    x: np.ndarray
    y: np.ndarray
    lambda_max: float
    lambda_r: float
    phi_norm: float

    @property
    def rank(self) -> int:
        return self.x.shape[1]

    @property
    def outputs(self) -> int:
        return self.y.shape[0]

    @property
    def kappa(self) -> float:
        return self.lambda_max / self.lambda_r

    @property
    def stable_rank(self) -> float:
        """r~ = |X|_F^2 / |X|^2."""
        return float((self.x**2).sum()) / self.lambda_max


def gaussian_problem(
    generator: np.random.Generator, inputs: int, samples: int, outputs: int, target: Target
) -> Problem:
    """X in R^{d_in x n} and W* in R^{d_out x d_in} with iid N(0, 1) entries (Hu, Xiao, Pennington 2020, experiments).

    Args:
        generator: drawn from twice, X first.
        inputs: d_in, at least ``samples``.
        samples: n.
        outputs: d_out.
        target: ``raw`` W*, ``unit``: |W*| = 1 in spectral norm, ``unit_phi``: |Phi| = 1.
    """
    x = generator.standard_normal((inputs, samples))
    teacher = generator.standard_normal((outputs, inputs))
    q, r = np.linalg.qr(x)
    norm = {"raw": 1.0, "unit": np.linalg.norm(teacher, 2), "unit_phi": np.linalg.norm(teacher @ q, 2)}[target]
    phi = teacher @ q / norm
    spectrum = np.linalg.svd(r, compute_uv=False) ** 2
    return Problem(r, phi @ r, float(spectrum[0]), float(spectrum[-1]), float(np.linalg.norm(phi, 2)))


def gaussian_step(problem: Problem, depth: int) -> float:
    """eta = d_out / (3 L |X^T X|), the largest step of Du and Hu's Theorem 4.1; below that of the orthogonal theorem."""
    return problem.outputs / (3 * depth * problem.lambda_max)


def orthogonal_step(problem: Problem, depth: int) -> float:
    """eta = d_y / (2 L |X|^2), the largest step of Hu, Xiao and Pennington's Theorem 4.1."""
    return problem.outputs / (2 * depth * problem.lambda_max)


def contraction(problem: Problem, depth: int, step: float, start: str) -> float:
    """The factor by which the loss falls at least, each step: 1 - eta L lambda_r / (4 d_out), Gaussian; 2, orthogonal."""
    return 1 - step * depth * problem.lambda_r / ({"gaussian": 4, "orthogonal": 2}[start] * problem.outputs)


def width_order(problem: Problem, depth: int, start: str, failure: float) -> float:
    """The width of the theorem of that start with its unknown constant C put to 1; ``failure`` is delta."""
    rank, kappa, outputs = problem.rank, problem.kappa, problem.outputs
    size, chance = outputs * (1 + problem.phi_norm**2), math.log(rank / failure)
    if start == "gaussian":
        return depth * max(rank * kappa**3 * size, rank * kappa**3 * chance, math.log(depth))
    return max(problem.stable_rank * kappa**2 * (size + chance), float(rank))


def start_order(problem: Problem, failure: float) -> float:
    """max{1, log(r / delta) / d_out, |Phi|^2} |X|_F^2: the order of l(0) - OPT in Du and Hu's Theorem 4.1."""
    worst = max(1.0, math.log(problem.rank / failure) / problem.outputs, problem.phi_norm**2)
    return worst * float((problem.x**2).sum())


def product_norms(width: int, factors: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """|A_q ... A_1 v| / m^(q/2) for unit v and A_i of iid N(0, 1) entries, ``draws`` independent values.

    A_1 v has the law of |v| times a Gaussian vector, so the squared length is a product of q independent chi^2_m / m:
    no matrix is needed.
    """
    squares = generator.chisquare(width, (draws, factors)) / width
    return np.exp(0.5 * np.log(squares).sum(axis=1))


def product_singular_values(
    width: int, factors: int, outputs: int, draws: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest singular value over W_{L:i} / m^((L-i+1)/2), i = L..L-q+1 (Proposition 6.2), shapes (draws,).

    W_{L:i} = W_{L:i+1} W_i has the singular values of (an o x o root of W_{L:i+1}'s Gram matrix) times o rows of W_i,
    and those rows have, up to a rotation, those of the triangle of Bartlett's decomposition of a Wishart matrix: exact
    in law, with o x o matrices alone, o = ``outputs`` <= ``width``.
    """
    found = np.broadcast_to(np.eye(outputs), (draws, outputs, outputs))
    least, largest = np.full(draws, np.inf), np.zeros(draws)
    for _ in range(factors):
        triangle = np.tril(generator.standard_normal((draws, outputs, outputs)), -1)
        for row in range(outputs):
            triangle[:, row, row] = np.sqrt(generator.chisquare(width - row, draws))
        found = found @ triangle / width**0.5
        values = np.linalg.svd(found, compute_uv=False)
        least, largest = np.minimum(least, values[:, -1]), np.maximum(largest, values[:, 0])
    return least, largest
