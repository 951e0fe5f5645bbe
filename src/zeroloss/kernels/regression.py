"""Kernel regression without ridge, f(z) = K(z, X) K(X, X)^-1 Y (Arora et al. 2019, section 3: f_ntk)."""

from __future__ import annotations

import torch

from zeroloss.errors import UserError

# two rows of one kernel count as equal inputs where their distance in feature space is below this share of their norm
SAME = 1e-12


def interpolate(gram: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """alpha = K^-1 Y by Cholesky in float64, shape (n, outputs).

    Args:
        gram: K of the training inputs, shape (n, n); float32 entries are good to 1e-6 at best, the condition number
            says what is left of them.
        targets: Y, shape (n, outputs).

    Raises:
        UserError: K is singular to rounding, or has entries that are no numbers; equal inputs are named.

    >>> gram = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    >>> interpolate(gram, torch.tensor([[3.0], [0.0]])).flatten()
    tensor([ 2.0000, -1.0000], dtype=torch.float64)
    """
    gram, targets = gram.double(), targets.double()
    if not bool(torch.isfinite(gram).all()):
        raise UserError("the kernel matrix has entries that are not finite: look for inputs that are not")
    factor, failed = torch.linalg.cholesky_ex(gram)
    if int(failed):
        raise UserError(f"the kernel matrix of {len(gram)} inputs is singular to rounding: {_why(gram)}")
    return torch.cholesky_solve(targets, factor)


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
