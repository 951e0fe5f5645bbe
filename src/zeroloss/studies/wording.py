"""Words that captions of all studies share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def listed(values: Iterable[Any]) -> str:
    """``1, 2, 3`` or ``0.5, 1``."""
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def seeds_text(seeds: Sequence[int]) -> str:
    """``seed 0`` or ``seeds 0, 1, 2``."""
    return f"seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}"
