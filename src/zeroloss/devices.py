"""Which of a machine's GPUs a job computes on: jobs beside each other take one each.

Snakemake counts GPUs (``resources: gpu=1``) but does not tell a local job which one is its own; Slurm does, through
CUDA_VISIBLE_DEVICES. A job here locks the first device that no other job holds. The lock is the operating system's: it is
gone with the process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zeroloss.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"
PAUSE = 0.5  # seconds between looks at whether a device has become free


def lock_folder() -> Path:
    """Where the locks lie: shared by all processes of this user on this machine."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"zeroloss_gpus_{user}"


def visible_devices() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES writes them."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


@contextmanager
def own_device(devices: Sequence[str], folder: Path | None = None, patience: float = 24 * 3600.0) -> Iterator[int]:
    """Hold one of ``devices`` alone and yield its position; waits while all are held by others.

    Args:
        devices: names, from :func:`visible_devices`.
        folder: of the locks, :func:`lock_folder` by default.
        patience: seconds to wait for a device.

    Raises:
        UserError: there is no device, or none became free.
    """
    import filelock

    if not devices:
        raise UserError("device is 'cuda', but no GPU is visible here: use device=auto or device=cpu")
    folder = folder or lock_folder()
    folder.mkdir(parents=True, exist_ok=True)
    locks = [filelock.FileLock(folder / f"{name.replace('/', '_')}.lock") for name in devices]
    started = time.monotonic()
    while True:
        for position, lock in enumerate(locks):
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                continue
            try:
                yield position
            finally:
                lock.release()
            return
        if time.monotonic() - started > patience:
            raise UserError(
                f"all GPUs ({', '.join(devices)}) stayed taken by other jobs: start fewer beside each other"
            )
        time.sleep(PAUSE)
