"""Random generators made of an explicit seed and the purpose they serve; nothing global.

Two purposes (say, inputs and labels) of one seed are independent streams, so drawing more of one never
changes the other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit integer that identifies the stream ``(seed, *purpose)``; the same on every platform."""
    name = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator for one purpose, e.g. ``numpy_generator(0, "inputs")``."""
    return np.random.default_rng(stream_seed(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU torch generator for one purpose.

    Draw on the CPU and move the result: CPU and GPU runs then share data and initial weights.
    """
    import torch

    return torch.Generator().manual_seed(stream_seed(seed, *purpose))
