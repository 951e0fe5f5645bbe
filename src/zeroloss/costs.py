"""What a run will need, said beforehand; and a clear stop where this machine cannot hold it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from zeroloss.errors import UserError
from zeroloss.studies.contract import Cost


def describe(costs: Sequence[Cost], cores: int = 1) -> str:
    """One sentence: jobs, time on ``cores`` cores, memory of the largest job, disk."""
    seconds = sum(cost.seconds for cost in costs)
    wall = max([seconds / max(cores, 1), *(cost.seconds for cost in costs)], default=0.0)
    memory = max((cost.memory_mb for cost in costs), default=0)
    disk = sum(cost.disk_mb for cost in costs)
    return (
        f"{len(costs)} training jobs, about {_duration(seconds)} of one core ({_duration(wall)} on {cores}), "
        f"up to {memory} MB of memory each, {disk:.0f} MB of disk"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def require(costs: Sequence[Cost], cores: int, folder: Path) -> None:
    """Stop where memory or disk of this machine cannot hold the jobs.

    Args:
        costs: of the jobs still to be run here.
        cores: how many may run beside each other.
        folder: where results go; its nearest existing parent tells the free disk.

    Raises:
        UserError: one sentence with what is needed, what is there and what to do.
    """
    import psutil

    free_memory = psutil.virtual_memory().available / 2**20
    largest = sorted((cost.memory_mb for cost in costs), reverse=True)
    if largest and largest[0] > free_memory:
        raise UserError(
            f"one job needs about {largest[0]} MB of memory and this machine has {free_memory:.0f} MB free: "
            "lower samples or widths in config.yaml, or run on a larger machine"
        )
    together = sum(largest[: max(cores, 1)])
    if together > free_memory:
        fit = next(count for count in range(len(largest), 0, -1) if sum(largest[:count]) <= free_memory)
        raise UserError(
            f"{cores} jobs beside each other need about {together} MB of memory and this machine has "
            f"{free_memory:.0f} MB free: use --cores {fit}"
        )
    while not folder.exists():
        folder = folder.parent
    free_disk, disk = shutil.disk_usage(folder).free / 2**20, sum(cost.disk_mb for cost in costs)
    if disk > free_disk:
        raise UserError(f"results need about {disk:.0f} MB of disk and {folder} has {free_disk:.0f} MB free: make room")
