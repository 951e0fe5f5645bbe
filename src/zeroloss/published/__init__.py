"""The papers' own numbers: curves read from the vector paths of their figures, and printed tables."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load(name: str) -> pd.DataFrame:
    """The published table ``name``, e.g. ``du2018a_fig1``; README.md beside the files gives columns and exactness."""
    import pandas as pd

    with resources.files(__package__).joinpath(f"{name}.csv").open() as handle:
        return pd.read_csv(handle, comment="#")


@functools.cache
def checksum(name: str) -> str:
    """sha256 of the file, so that a correction of it redraws what uses it."""
    return hashlib.sha256(resources.files(__package__).joinpath(f"{name}.csv").read_bytes()).hexdigest()
