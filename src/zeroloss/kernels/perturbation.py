"""Activation patterns after every hidden unit has been moved by a length R (Du et al. 2018a, Lemma 3.2).

A move of w_r counts only through what it does to z_r = X w_r, so all of this happens in the span of the inputs: the
shortest move that adds given values b to the entries S of z_r is w = X_S^+ b, of squared length b K_SS^-1 b, K = X X^T.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from zeroloss.errors import UserError

# units per block: their (n, n) factors should stay in the cache's reach (256 x 100 x 100 float64 = 20 MB)
_ROWS = 256


def random_patterns(
    x: torch.Tensor, preactivations: torch.Tensor, radii: Sequence[float], generator: torch.Generator
) -> torch.Tensor:
    """Patterns after every w_r moved by R in a direction of its own, uniform on the sphere; bool, (radii, m, n).

    Args:
        x: inputs, float64, shape (n, d).
        preactivations: Z(0), float64, shape (m, n).
        radii: lengths R; one unit's direction is the same for all of them.
        generator: source of the directions.
    """
    directions = torch.randn(len(preactivations), x.shape[1], generator=generator, dtype=x.dtype)
    shift = directions @ x.T / directions.norm(dim=1, keepdim=True)
    return torch.stack([preactivations + radius * shift >= 0 for radius in radii])


def switched_off_patterns(
    gram: torch.Tensor, preactivations: torch.Tensor, radii: Sequence[float], target: int
) -> torch.Tensor:
    """Patterns after every w_r moved by -R x_target; bool, shape (radii, m, n).

    All units act together against one input, whose diagonal entry of H falls to about P(z > R), z ~ N(0, 1); the least
    eigenvalue cannot exceed it. Of all moves this is the one that makes that entry least.

    Args:
        gram: K = X X^T of unit inputs, float64, shape (n, n).
        preactivations: Z(0), float64, shape (m, n).
        radii: lengths R.
        target: the input's index.
    """
    return torch.stack([preactivations - radius * gram[target] >= 0 for radius in radii])


def greedy_patterns(gram: torch.Tensor, preactivations: torch.Tensor, radii: Sequence[float]) -> torch.Tensor:
    """Patterns after every w_r made a move no longer than R that flips as many of them as it can, greedily.

    Each unit orders the inputs by |w_r . x_i| and takes as many of the first as one move of length <= R can bring to
    zero, by the shortest such move; that move is then lengthened to R, which takes them across. Inputs beyond these
    move along and may flip too. A unit that affords no flip stays. The count of flips is a lower bound on the worst
    case: the best set of inputs need not be a prefix of that order (for nearly orthogonal inputs it is).

    The prefixes of one unit share a Cholesky factor of K in its order, K = L L^T: with v = L^-1 z the squared length for
    the first k inputs is v_1^2 + ... + v_k^2, and the move itself is L^-T (v_1, ..., v_k, 0, ..., 0). One factor serves
    all radii.

    Args:
        gram: K, positive definite, float64, shape (n, n).
        preactivations: Z(0), float64, shape (m, n).
        radii: lengths R.

    Returns:
        bool, shape (radii, m, n).

    Raises:
        UserError: the inputs are linearly dependent.
    """
    return torch.cat(list(_greedy_blocks(gram, preactivations, radii)), dim=1)


def _greedy_blocks(gram: torch.Tensor, preactivations: torch.Tensor, radii: Sequence[float]) -> Iterator[torch.Tensor]:
    lengths = torch.tensor(list(radii), dtype=gram.dtype)
    for z in preactivations.split(_ROWS):
        order = z.abs().argsort(dim=1)
        factor, failed = torch.linalg.cholesky_ex(gram[order[:, :, None], order[:, None, :]])
        if failed.any():
            raise UserError(
                "the inputs are linearly dependent: adversarial moves need n <= d inputs in general position"
            )
        v = torch.linalg.solve_triangular(factor, z.gather(1, order)[:, :, None], upper=False)[:, :, 0]
        squared = v.square().cumsum(1)
        taken = squared[:, :, None] <= lengths.square()  # (rows, n, radii): the prefix that each radius affords
        count = taken.sum(1)
        spent = squared.gather(1, (count - 1).clamp_min(0)).sqrt()
        stretch = torch.where(count > 0, lengths / spent, 0.0)
        solved = torch.linalg.solve_triangular(factor.mT, v[:, :, None] * taken, upper=True)
        move = torch.zeros_like(solved).scatter_(1, order[:, :, None].expand_as(solved), solved)
        after = z[:, :, None] - stretch[:, None, :] * (gram @ move)
        yield (after >= 0).permute(2, 0, 1)
