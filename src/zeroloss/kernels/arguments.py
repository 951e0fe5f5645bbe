"""What the kernels are called with: a mistake is told in one sentence, before anything is computed."""

from __future__ import annotations

import torch

from zeroloss.errors import UserError


def require_tensor(values: object, what: str, form: str, axes: int) -> None:
    """Stop at what is no float32 or float64 tensor of so many axes with at least one entry.

    Args:
        values: whatever the user gave.
        what: its name in the message, in the plural.
        form: the shape it should have, in words or as a tuple.
        axes: how many there should be.

    Raises:
        UserError: one sentence with what it is and what it should be.

    >>> require_tensor([[1.0]], "inputs", "rows (n, d)", 2)
    Traceback (most recent call last):
    zeroloss.errors.UserError: inputs are of type builtins.list: a torch tensor is needed, e.g. torch.from_numpy(array) or \
torch.tensor(list)
    """
    if not isinstance(values, torch.Tensor):
        kind = type(values)
        raise UserError(
            f"{what} are of type {kind.__module__}.{kind.__qualname__}: a torch tensor is needed, e.g. "
            "torch.from_numpy(array) or torch.tensor(list)"
        )
    if values.ndim != axes or values.dtype not in (torch.float32, torch.float64):
        raise UserError(
            f"{what} have shape {tuple(values.shape)} and type {values.dtype}: it takes {form}, float32 or float64"
        )
    if not values.numel():
        raise UserError(f"{what} have shape {tuple(values.shape)}: none are there, and it takes one at least")


def finite_lengths(values: torch.Tensor, what: str) -> torch.Tensor:
    """Euclidean length of ``values[i]`` for each i, shape (n,): one pass, without a mask of the size of the inputs.

    Raises:
        UserError: a length is NaN or infinite; the first such input is named.
    """
    lengths = torch.linalg.vector_norm(values.flatten(1), dim=1)
    finite = torch.isfinite(lengths)
    if not bool(finite.all()):
        raise UserError(
            f"{what} {int((~finite).nonzero()[0])} has entries that are NaN, infinite or too large to be squared: "
            "leave it out or mend it"
        )
    return lengths
