"""Kernel regression without ridge, f(z) = K(z, X) K(X, X)^-1 Y (Arora et al. 2019, section 3: f_ntk)."""

from __future__ import annotations

import torch

from zeroloss.errors import UserError
from zeroloss.kernels.arguments import require_tensor

# two rows of one kernel count as equal inputs where their distance in feature space is below this share of their norm
SAME = 1e-12
# rounding of arccos and arcsin, which keep half the digits near 1, can hide equal inputs from Cholesky: their normalised
# entry is within this times eps^(1/2) of 1 (4e-3 in float32; measured: up to 1.5e-3 with ten layers) ...
NEAR = 12.0
# ... while their entries with other inputs agree to this times eps (1e-6 in float32; measured: 6e-7) ...
AGREE = 8.0
# ... wherever these normalised entries are far from 1, and from 0, which says nothing about the two
TELLING = (0.02, 0.98)
# so many such entries must be there: one may agree by symmetry
LEAST = 2


def interpolate(gram: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """alpha = K^-1 Y by Cholesky in float64, shape (n, outputs).

    Args:
        gram: K of the training inputs, shape (n, n), float32 or float64; float32 entries are good to 1e-6 at best, the
            condition number says what is left of them. Take float64 where inputs may repeat: in float32 the entry of two
            equal ones is off by 1e-3 of the diagonal, and they are found only where two other inputs at least tell.
        targets: Y, shape (n, outputs), float32 or float64, on the device of ``gram``.

    Raises:
        UserError: shapes or types are wrong, K or Y has entries that are not finite, K is singular to rounding, or
            cannot tell two inputs apart; equal inputs are named.

    >>> gram = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    >>> interpolate(gram, torch.tensor([[3.0], [0.0]])).flatten()
    tensor([ 2.0000, -1.0000], dtype=torch.float64)
    """
    require_tensor(gram, "entries of the kernel matrix", "a square matrix (n, n)", 2)
    require_tensor(targets, "targets", "(n, outputs), targets[:, None] for a single output", 2)
    if gram.shape[0] != gram.shape[1]:
        raise UserError(
            f"the kernel matrix has shape {tuple(gram.shape)}: it takes a square one, of the training inputs"
        )
    if len(targets) != len(gram) or targets.device != gram.device:
        raise UserError(
            f"there are {len(targets)} targets on {targets.device} and {len(gram)} inputs of the kernel matrix on "
            f"{gram.device}: it takes one row of targets for each input, on one device"
        )
    if not bool(torch.isfinite(gram).all()):
        raise UserError("the kernel matrix has entries that are not finite: look for inputs that are not")
    if not bool(torch.isfinite(targets).all()):
        raise UserError("the targets have entries that are not finite (NaN or infinite): leave these inputs out")
    given, gram, targets = gram, gram.double(), targets.double()
    factor, failed = torch.linalg.cholesky_ex(gram)
    single = given.dtype == torch.float32
    # one of two equal inputs leaves a small pivot, so that most matrices are not looked at twice
    left = 1.0 if int(failed) else float((factor.diagonal().square() / gram.diagonal()).min())
    suspect = single if int(failed) else left <= 2 * NEAR * torch.finfo(given.dtype).eps ** 0.5
    if suspect and (pair := _equal_pair(given)):
        raise UserError(
            f"inputs {pair[0]} and {pair[1]} are equal, or so near that {'float32' if single else 'float64'} cannot tell "
            f"them apart: leave one of them out{', or form the kernel in float64' * single}"
        )
    if int(failed):
        raise UserError(f"the kernel matrix of {len(gram)} inputs is singular to rounding: {_why(gram)}")
    return torch.cholesky_solve(targets, factor)


def _equal_pair(gram: torch.Tensor) -> tuple[int, int] | None:
    """Two inputs that a matrix cannot tell apart to the rounding of its type, the first such pair, or None.

    The pair's own entry does not decide: rounding takes up to 1e-3 from it in float32, and other kernels have true entries
    there. Its rows do, as entries far from 1 keep all digits. Each input is compared with its nearest alone: n^2.
    """
    eps = torch.finfo(gram.dtype).eps
    norms = gram.diagonal().clamp(min=torch.finfo(gram.dtype).tiny).sqrt()
    share = (gram / norms[:, None]).div_(norms).fill_diagonal_(-torch.inf)
    entry, nearest = share.max(dim=1)
    low, high = TELLING
    for rows in (entry >= 1 - NEAR * eps**0.5).nonzero()[:, 0].split(256):
        one, other = share[rows], share[nearest[rows]]
        telling = (one.abs() >= low) & (one <= high) & (one > -torch.inf)
        apart = torch.where(telling, one - other, 0.0).abs_().amax(dim=1)
        equal = ((telling.sum(dim=1) >= LEAST) & (apart <= AGREE * eps)).nonzero()[:, 0]
        if len(equal):
            first = int(rows[equal[0]])
            return first, int(nearest[first])
    return None


def _why(gram: torch.Tensor) -> str:
    """Names the two inputs nearest to each other, or says that none are equal."""
    norms = gram.diagonal().clamp(min=0.0)
    apart = (norms[:, None] + norms - 2 * gram) / (norms[:, None] + norms).clamp(min=torch.finfo(gram.dtype).tiny)
    i, j = divmod(int(apart.fill_diagonal_(torch.inf).argmin()), len(gram))
    if float(apart[i, j]) <= SAME:
        return f"inputs {i} and {j} are equal, leave one of them out"
    return (
        f"no two inputs are equal (the nearest are {i} and {j}), so it is precision: form the kernel in float64, or "
        "take fewer samples"
    )
