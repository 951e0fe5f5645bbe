"""Kernel matrices put together from blocks: symmetric ones from their upper triangle, killed work from where it was."""

from __future__ import annotations

from collections.abc import Callable

import torch

from zeroloss.checkpoint import Checkpoints
from zeroloss.errors import UserError
from zeroloss.progress import Progress

Block = Callable[[slice, slice], torch.Tensor]
"""(rows, columns) -> the block of each of k matrices, shape (k, rows, columns)."""


FEWER_SAMPLES = (
    "use float32 or fewer samples, or never form the matrix (kernels.tiled_solve takes the kernel itself, tile by tile)"
)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had: of the GPU, or of the machine and under this process's limit (``ulimit -v``)."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import resource

    import psutil

    free = psutil.virtual_memory().available
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        free = min(free, max(0, limit - psutil.Process().memory_info().vms))
    return free


def require_memory(bytes_needed: int, device: torch.device, what: str, advice: str = FEWER_SAMPLES) -> None:
    """Stop where a matrix does not fit.

    Raises:
        UserError: one sentence with what is needed, what is free and what to do instead (``advice``).
    """
    free = free_memory(device)
    if bytes_needed > free:
        raise UserError(f"{what} need {bytes_needed / 2**30:.3g} GiB and {free / 2**30:.3g} GiB are free: {advice}")


def assemble(
    block: Block,
    matrices: int,
    rows: int,
    columns: int,
    *,
    symmetric: bool,
    edge: int,
    like: torch.Tensor,
    checkpoints: Checkpoints | None = None,
    name: str = "kernel",
    quiet: bool = True,
) -> torch.Tensor:
    """The matrices, shape (matrices, rows, columns), block by block.

    Args:
        block: see :data:`Block`.
        matrices: how many are made at once.
        symmetric: only blocks on and above the diagonal are computed.
        edge: rows and columns of a block.
        like: gives dtype and device.
        checkpoints: finished rows are kept there, every so many seconds, and not computed again.
        name: stem of the checkpoints' names, title of the progress.

    Raises:
        UserError: the matrices do not fit into memory.
    """
    size = matrices * rows * columns * like.element_size()
    require_memory(size, like.device, f"{name}: {matrices} matrices of {rows} x {columns} {like.dtype}")
    out = torch.empty(matrices, rows, columns, dtype=like.dtype, device=like.device)

    def mirror(first: int, stop: int) -> None:
        square = out[:, first:stop, first:stop]
        square.copy_(square.triu() + square.triu(1).mT)  # rounding may not be symmetric
        out[:, stop:, first:stop] = out[:, first:stop, stop:].mT

    start = 0
    with Progress(-(-rows // edge), name, quiet) as progress:
        while start < rows:
            # a part of the checkpoints: all rows from here to where the next state was due
            begin, left = start, start if symmetric else 0
            part = checkpoints.part(f"{name}_rows{begin}") if checkpoints else None
            kept = part.load() if part else None
            if kept is not None:
                start += kept["rows"].shape[1]
                out[:, begin:start, left:] = torch.from_numpy(kept["rows"])
                if symmetric:
                    mirror(begin, start)
                progress.advance(-(-(start - begin) // edge), state=f"taken up at row {start} of {rows}")
                continue
            while start < rows:
                high = slice(start, min(start + edge, rows))
                for first in range(start if symmetric else 0, columns, edge):
                    wide = slice(first, min(first + edge, columns))
                    out[:, high, wide] = block(high, wide)
                if symmetric:
                    mirror(high.start, high.stop)
                start = high.stop
                progress.advance(state=f"row {start} of {rows}")
                if part and (start == rows or part.due()):
                    part.save({"rows": out[:, begin:start, left:].cpu().numpy()})
                    break
    return out
