"""Critical points of deep linear networks: Kawaguchi 2016, Theorem 2.3 (arXiv 1605.07110), and what follows by hand.

    L(W) = 1/2 |W_{H+1} ... W_1 X - Y|_F^2,   H hidden layers, that is H + 1 matrices
    R = Y X^T (X X^T)^{-1},   Sigma = R X Y^T = U diag(lambda) U^T,   lambda_1 > ... > lambda_{d_y} > 0
    p = the least hidden width

For a subset S of eigenvectors and a rank r, |S| <= r <= p, the point

    W_1 = [U_S^T R; 0],   W_2 = ... = W_H = P_r,   W_{H+1} = [U_S, 0]

is critical, P_r being the projector on the first r coordinates. Its end-to-end matrix is U_S U_S^T R, so its loss lies
above that of R by half the sum of the eigenvalues left out. Everything is float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from zeroloss.errors import UserError

# Singular values and gaps of eigenvalues below this share of the largest count as zero: they are exact zeros up to the
# rounding of products of some tens of terms, and no random data set comes near.
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Problem:
    """A data set with what the theorem needs of it.

    Attributes:
        x: inputs, shape (d_x, N), columns are examples as in the paper.
        y: labels, shape (d_y, N).
        gram: X X^T, shape (d_x, d_x).
        solution: R = Y X^T (X X^T)^{-1}, shape (d_y, d_x).
        eigenvalues: of Sigma, in falling order, shape (d_y,).
        eigenvectors: U, columns, shape (d_y, d_y).
    """

    x: np.ndarray
    y: np.ndarray
    gram: np.ndarray
    solution: np.ndarray
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray

    @property
    def scale(self) -> float:
        """The unit of Hessian eigenvalues: the larger of lambda_max(X X^T) and lambda_1."""
        return max(float(np.linalg.eigvalsh(self.gram)[-1]), float(self.eigenvalues[0]))

    def optimum_excess(self, width: int) -> float:
        """Least loss of a network of this width above that of R: half the sum of the eigenvalues beyond the p-th."""
        return float(self.eigenvalues[width:].sum() / 2)

    def excess(self, subset: Sequence[int], width: int) -> float:
        """Loss of the point that keeps ``subset`` minus the optimum of width p, by the theory."""
        return float(self.eigenvalues[:width].sum() - self.eigenvalues[list(subset)].sum()) / 2


def problem(x: np.ndarray, y: np.ndarray, name: str) -> Problem:
    """The problem of inputs x (d_x, N) and labels y (d_y, N).

    Raises:
        UserError: an assumption of Theorem 2.3 fails; ``name`` says in which data set.
    """
    wrong = f"{name} is outside Theorem 2.3 of Kawaguchi 2016:"
    if len(y) > len(x):
        raise UserError(f"{wrong} d_y = {len(y)} is larger than d_x = {len(x)}, and the theorem needs d_y <= d_x")
    gram, cross = x @ x.T, x @ y.T
    for matrix, symbol in ((gram, "X X^T"), (cross, "X Y^T")):
        values = np.linalg.svd(matrix, compute_uv=False)
        if values[-1] <= RANK_TOLERANCE * values[0]:
            rank = int((values > RANK_TOLERANCE * values[0]).sum())
            raise UserError(f"{wrong} {symbol} has rank {rank}, and the theorem needs {len(values)}")
    solution = np.linalg.solve(gram, cross).T
    sigma = solution @ cross
    values, vectors = np.linalg.eigh((sigma + sigma.T) / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    gaps = values[:-1] - values[1:]
    if len(gaps) and gaps.min() <= RANK_TOLERANCE * values[0]:
        first = int(gaps.argmin())
        raise UserError(
            f"{wrong} eigenvalues {first + 1} and {first + 2} of Sigma are equal ({values[first]:.6g}), and the theorem "
            "needs them distinct"
        )
    return Problem(x, y, gram, solution, values.copy(), vectors.copy())


def loss(weights: Sequence[np.ndarray], one: Problem) -> float:
    """L of the definition: W_1 first in ``weights``."""
    signal = one.x
    for matrix in weights:
        signal = matrix @ signal
    return float(0.5 * ((signal - one.y) ** 2).sum())


def kept_subsets(labels: int, width: int) -> list[tuple[int, ...]]:
    """Subsets S of 0 .. d_y - 1 with at most p elements, small ones first."""
    return [subset for size in range(min(labels, width) + 1) for subset in combinations(range(labels), size)]


def middle_ranks(kept: int, width: int, depth: int) -> list[int]:
    """Ranks of W_H ... W_2 in the family: |S| to p, and p alone for H = 1, where the empty product is the identity."""
    return [width] if depth == 1 else list(range(kept, width + 1))


def critical_point(one: Problem, depth: int, width: int, subset: Sequence[int], rank: int) -> list[np.ndarray]:
    """W_1 .. W_{H+1} of the point that keeps ``subset`` with middle matrices P_rank (their product has this rank)."""
    kept = one.eigenvectors[:, list(subset)]
    first = np.zeros((width, len(one.x)))
    first[: len(subset)] = kept.T @ one.solution
    last = np.zeros((len(one.y), width))
    last[:, : len(subset)] = kept
    middle = np.diag((np.arange(width) < rank).astype(float))
    return [first, *(middle.copy() for _ in range(depth - 1)), last]


def is_top(subset: Sequence[int]) -> bool:
    """Whether S holds the |S| largest eigenvalues (positions count from 0 in falling order)."""
    return tuple(subset) == tuple(range(len(subset)))


def is_global(subset: Sequence[int], labels: int, width: int) -> bool:
    """Whether S is that of the global minima: the min(p, d_y) largest eigenvalues."""
    return is_top(subset) and len(subset) == min(labels, width)


def negative_eigenvalues(subset: Sequence[int], rank: int, labels: int) -> int:
    """How many negative eigenvalues the Hessian at a point of the family has (inferred, ours; tests compare).

    (d_y - |S|) (r - |S|) plus the pairs of a kept eigenvalue and a larger one left out. With G = (W - R) X X^T the second
    variation is a square plus 2 <G, products with two changed factors>. Each spare coordinate of the middle, r - |S| of
    them, opens <G, dW_{H+1} dW_1> without the square, and G has rank d_y - |S|. Else only turns of a kept eigenvector
    towards a better one lower the loss. The depth does not matter beyond H = 1, where r = p.
    """
    spare = (labels - len(subset)) * (rank - len(subset))
    return spare + sum(left < kept for kept in subset for left in range(labels) if left not in subset)


def free_pair(one: Problem, subset: Sequence[int]) -> tuple[np.ndarray, np.ndarray, float]:
    """The best direction left out: u (d_y,), v (d_x,), both of length 1, and c = -<G, u v^T> > 0.

    u is the left-out eigenvector with the largest eigenvalue and v is along R^T u's image X X^T R^T u, which makes c
    the largest: c = |X X^T R^T u|.
    """
    left_out = next(k for k in range(len(one.eigenvalues)) if k not in subset)
    u = one.eigenvectors[:, left_out]
    image = one.gram @ one.solution.T @ u
    length = float(np.linalg.norm(image))
    return u, image / length, length


def way_down(
    one: Problem, depth: int, width: int, subset: Sequence[int], rank: int, t: float
) -> tuple[list[np.ndarray], int]:
    """A point at distance of order t from a saddle of the family with a lower loss, and the order of the fall in t.

    With a hidden coordinate j outside of S: W_{H+1} gains t u e_j^T, W_1 gains t e_j v^T, and where P_r has a 0 at j so
    does every middle matrix gain t e_j e_j^T. The end-to-end matrix gains exactly t^k u v^T, with k = 2 where r > |S|
    and k = H + 1 where r = |S|, and the loss falls by c t^k - |u v^T X|^2 t^{2k} / 2: no saddle of this kind is a local
    minimum, with a negative eigenvalue or without. With |S| = p no coordinate is left; a kept eigenvector then turns by
    the angle t towards a better one and the fall is (lambda_new - lambda_old) sin(t)^2 / 2. With t < 0 the first way
    leads up for every k (only the sign of u changes).
    """
    weights = critical_point(one, depth, width, subset, rank)
    if len(subset) == width:
        better = next(k for k in range(len(one.eigenvalues)) if k not in subset)
        worst = len(subset) - 1
        old = one.eigenvectors[:, subset[worst]]
        turned = np.cos(t) * old + np.sin(t) * one.eigenvectors[:, better]
        weights[-1][:, worst] = turned
        weights[0][worst] = turned @ one.solution
        return weights, 2
    j, size = len(subset), abs(t)
    u, v, _ = free_pair(one, subset)
    weights[-1][:, j] = t * u
    weights[0][j] = size * v
    if rank == len(subset):
        for middle in weights[1:-1]:
            middle[j, j] = size
    return weights, 2 if rank > len(subset) else depth + 1


def way_up(one: Problem, depth: int, width: int, subset: Sequence[int], rank: int, t: float) -> list[np.ndarray]:
    """A point at distance of order t from one of the family with a higher loss.

    Where something is kept, (1 + t) W_{H+1}: the loss rises by t^2 / 2 times the sum of the kept eigenvalues. Else the
    way down with the sign of u changed.
    """
    if not len(subset):
        return way_down(one, depth, width, subset, rank, -t)[0]
    weights = critical_point(one, depth, width, subset, rank)
    weights[-1] = (1 + t) * weights[-1]
    return weights


def critical_values(one: Problem, width: int) -> np.ndarray:
    """Loss minus optimum of all subsets S of at most p elements: every critical point of the network has one of these."""
    return np.array(sorted(one.excess(subset, width) for subset in kept_subsets(len(one.y), width)))


def escape_prediction(perturbation: np.ndarray | float, least: np.ndarray | float) -> np.ndarray | float:
    """Time (steps times eta) of linear theory, ln(1 / delta) / |lambda_min|, up to the direction's part in the logarithm."""
    return np.log(1 / np.asarray(perturbation)) / np.abs(least)
