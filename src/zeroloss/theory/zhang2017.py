"""Zhang et al. 2017 (arXiv 1611.03530): the network of Theorem 1 and Corollary 1, and Rademacher complexities (eq. 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interpolant:
    """c(z) = sum_j w_j max(<a, z> - b_j, 0), the two-layer network of Theorem 1, in the precision of its arrays.

    Attributes:
        direction: a, shape (d,).
        thresholds: b, increasing, shape (n,).
        weights: w, shape (n,).
    """

    direction: np.ndarray
    thresholds: np.ndarray
    weights: np.ndarray

    @property
    def parameters(self) -> int:
        """d + n + n."""
        return self.direction.size + self.thresholds.size + self.weights.size

    def along(self, projections: np.ndarray) -> np.ndarray:
        """c as a function of <a, z>; any shape (p,)."""
        return np.maximum(projections[:, None] - self.thresholds, 0) @ self.weights

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs for inputs of shape (p, d)."""
        return self.along(inputs @ self.direction)


def place_thresholds(projections: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Interleaved b_1 < x_1 < b_2 < ... < x_n: b_j = x_j - share (x_j - x_(j-1)).

    The proof allows every share in (0, 1); 1/2 is the midpoint. At 1, b_j = x_(j-1), the matrix is still triangular
    with a positive diagonal, the largest there is. Below x_1 stands a gap as wide as the first one.

    Args:
        projections: x, strictly increasing, shape (n,).
        share: one number, or one for each j.
    """
    gaps = np.diff(projections)
    first = gaps[:1] if len(gaps) else np.ones_like(projections)
    thresholds = projections - np.asarray(share, projections.dtype) * np.concatenate([first, gaps])
    thresholds[1:] = np.maximum(
        thresholds[1:], projections[:-1]
    )  # rounding must not break the order, which it does at 1
    return thresholds


def ramp_matrix(projections: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """A_ij = max(x_i - b_j, 0), shape (n, n) (Lemma 1): lower triangular, eigenvalues x_i - b_i."""
    return np.maximum(projections[:, None] - thresholds, 0)


def interpolate(
    inputs: np.ndarray, targets: np.ndarray, direction: np.ndarray, share: np.ndarray | float
) -> tuple[Interpolant, np.ndarray]:
    """(network, A) of the proof of Theorem 1, all in the precision of ``inputs``.

    Weights that exceed the largest number become infinite or NaN, without a warning: the caller records it.

    Args:
        inputs: distinct, shape (n, d).
        targets: any numbers, shape (n,).
        direction: a, shape (d,); random, so that the projections differ.
        share: place of b_j, see :func:`place_thresholds`.

    Raises:
        ValueError: two projections coincide in this precision.
    """
    projections = inputs @ direction
    order = np.argsort(projections)
    sorted_projections = projections[order]
    if len(order) > 1 and not (np.diff(sorted_projections) > 0).all():
        raise ValueError("two projections coincide in this precision")
    from scipy.linalg import solve_triangular

    thresholds = place_thresholds(sorted_projections, share)
    matrix = ramp_matrix(sorted_projections, thresholds)
    if not (np.diag(matrix) > 0).all():
        raise ValueError("a threshold coincides with its projection in this precision")
    with np.errstate(over="ignore", invalid="ignore"):
        weights = solve_triangular(matrix, targets[order].astype(inputs.dtype), lower=True, check_finite=False)
    return Interpolant(direction, thresholds, weights), matrix


def residual_bound(network: Interpolant, matrix: np.ndarray, inputs: np.ndarray, depth: int = 2) -> float:
    """What rounding may leave of max_i |c(z_i) - y_i|, for the network of this depth.

    Forward substitution has (A + E) w = y with |E| <= gamma_n |A|, gamma_k = k u / (1 - k u) (Higham 2002, Theorem
    8.5), and the product A w is off by at most gamma_n |A| |w| again; x_i - b_j, and each layer beyond the second, add
    one rounding of every term. The projections may be rounded in another way than in the solve, by gamma_d |a| |z| each
    time, which moves c by at most its steepest slope max_j |w_1 + ... + w_j|. Deep networks also round x - b_1 and b_j
    - b_1, once each.
    """
    unit = np.finfo(matrix.dtype).eps / 2
    n, d = len(matrix), len(network.direction)
    gamma_n, gamma_d = ((k * unit / (1 - k * unit)) for k in (n + depth - 1, d))
    with np.errstate(over="ignore", invalid="ignore"):
        size = float((matrix.astype(np.float64) @ np.abs(network.weights).astype(np.float64)).max())
        slope = steepest_slope(network)
    length = float(np.linalg.norm(network.direction) * np.linalg.norm(inputs, axis=1).max())
    shifted = 0.0 if depth == 2 else 4 * unit * float(matrix.max())
    return 2 * gamma_n * size + (2 * gamma_d * length + shifted) * slope


def steepest_slope(network: Interpolant) -> float:
    """max_j |w_1 + ... + w_j|, the largest |dc/dx| along the direction."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.abs(np.cumsum(network.weights, dtype=np.float64)).max())


def condition_number(matrix: np.ndarray) -> float:
    """|A| |A^-1| in the maximum norm; the triangular inverse is explicit, which keeps its digits where an SVD loses them."""
    from scipy.linalg import solve_triangular

    with np.errstate(over="ignore", invalid="ignore"):
        inverse = solve_triangular(matrix, np.eye(len(matrix)), lower=True, check_finite=False)
        rows = np.abs(inverse).sum(axis=1)
    return float(np.abs(matrix).sum(axis=1).max() * rows.max()) if np.isfinite(rows).all() else math.inf


def slope_growth(share: float) -> float:
    """ln((1 - s) / s): growth of ln |slope of c| per sample, for b_j = x_j - s (x_j - x_(j-1)).

    c passes (x_j, y_j) with one kink between two samples. With D_j = (y_j - y_(j-1)) / (x_j - x_(j-1)) its slopes obey
    m_j = D_j / s - ((1 - s) / s) m_(j-1): an error grows where s < 1/2 (b_j nearer to x_j), dies out where s > 1/2, and
    is carried along with the other sign at the midpoint.
    """
    return math.log((1 - share) / share)


def expected_least_gap(samples: int) -> float:
    """Mean of the least distance among n standard normal numbers as n grows: 2 sqrt(pi) / (n (n - 1)).

    |X - Y| has density 1 / sqrt(pi) at 0, so the number of the n (n - 1) / 2 pairs closer than t is Poisson with mean
    n (n - 1) t / (2 sqrt(pi)), and the least distance is exponential.
    """
    return 2 * math.sqrt(math.pi) / (samples * (samples - 1))


@dataclass(frozen=True)
class Layer:
    """relu(W h + b), or W h + b for the projection and the output; W (out, in), b (out,)."""

    weights: np.ndarray
    biases: np.ndarray


def deepen(network: Interpolant, depth: int) -> list[Layer]:
    """Corollary 1: the same function on the sample, by a ReLU network of depth k and width at most ceil(n/(k-1)) + 3.

    First the projection <a, z> (linear), then k - 1 hidden layers and the output. Hidden layer l holds t = <a, z> -
    b_1, which is positive on the sample and so passes every ReLU; the partial sum S of the groups of units before l as
    max(S, 0) and max(-S, 0); and its own group of about n / (k - 1) units max(t - (b_j - b_1), 0).
    """
    b, w = network.thresholds, network.weights
    groups = np.array_split(np.arange(len(b)), depth - 1)
    layers = [Layer(network.direction[None, :], np.zeros(1))]
    for level, group in enumerate(groups):
        if level == 0:
            layers.append(Layer(np.ones((1 + len(group), 1)), np.concatenate([-b[:1], -b[group]])))
            continue
        before = groups[level - 1]
        inner = np.zeros((3 + len(group), layers[-1].weights.shape[0]))
        inner[0, 0] = 1
        inner[3:, 0] = 1
        if level > 1:
            inner[1, 1:3] = 1, -1
        inner[1, -len(before) :] = w[before]
        inner[2] = -inner[1]
        layers.append(Layer(inner, np.concatenate([np.zeros(3), b[:1] - b[group]])))
    last = np.zeros((1, layers[-1].weights.shape[0]))
    if depth > 2:
        last[0, 1:3] = 1, -1
    last[0, -len(groups[-1]) :] = w[groups[-1]]
    layers.append(Layer(last, np.zeros(1)))
    return layers


def layered_outputs(layers: list[Layer], inputs: np.ndarray) -> np.ndarray:
    """Outputs, shape (p,), of :func:`deepen` for inputs (p, d)."""
    hidden = inputs @ layers[0].weights.T
    for layer in layers[1:-1]:
        hidden = np.maximum(hidden @ layer.weights.T + layer.biases, 0)
    return (hidden @ layers[-1].weights.T)[:, 0]


def connections(layers: list[Layer]) -> int:
    """Numbers of the network that are not zero."""
    return sum(int(np.count_nonzero(layer.weights) + np.count_nonzero(layer.biases)) for layer in layers)


def linear_suprema(inputs: np.ndarray, signs: np.ndarray, radius: float = 1.0) -> np.ndarray:
    """sup over |w| <= B of (1/n) sum_i sigma_i <w, x_i> = (B/n) |sum_i sigma_i x_i|, one for each draw (draws, n)."""
    return radius / inputs.shape[0] * np.linalg.norm(signs @ inputs, axis=1)


def kernel_suprema(gram: np.ndarray, signs: np.ndarray, radius: float = 1.0) -> np.ndarray:
    """sup over RKHS norm <= B of (1/n) sum_i sigma_i h(x_i) = (B/n) sqrt(sigma' K sigma), one for each draw (draws, n)."""
    squares = np.einsum("di,ij,dj->d", signs, gram, signs, optimize=True)
    return radius / len(gram) * np.sqrt(np.maximum(squares, 0))


def norm_bound(diagonal: np.ndarray, radius: float = 1.0) -> float:
    """(B/n) sqrt(sum_i K(x_i, x_i)), above the mean over signs (Jensen) and at most sqrt(2) times it (Latala, Oleszkiewicz 1994).

    For the linear class K(x, x) = |x|^2.
    """
    return float(radius / len(diagonal) * math.sqrt(diagonal.sum()))
