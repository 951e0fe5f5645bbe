"""What a data set is, and the recipe that makes it: a few JSON values from which the same arrays always follow."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from zeroloss.storage import read_arrays, write_arrays


@dataclass(frozen=True)
class Dataset:
    """Inputs and targets.

    Attributes:
        x: inputs, float64 of shape (n, d); of recipes that hand out whole images uint8, shape (n, H, W[, 3]).
        y: targets, float64, shape (n,); of whole images their classes, int64.
        info: what a caption needs: ``title``, ``fidelity``, ``labels`` and the recipe.
        x_test, y_test: the same for testing; with n = 0 where the recipe has no such part.
    """

    x: np.ndarray
    y: np.ndarray
    info: dict[str, Any] = field(default_factory=dict)
    x_test: np.ndarray = field(default_factory=lambda: np.empty(0))
    y_test: np.ndarray = field(default_factory=lambda: np.empty(0))

    def write(self, path: Path | str, provenance: dict[str, Any]) -> None:
        """Write the arrays and ``info`` to one .npz, atomically."""
        arrays = {"x": self.x, "y": self.y, "x_test": self.x_test, "y_test": self.y_test}
        write_arrays(path, arrays, {**provenance, "info": self.info})

    @classmethod
    def read(cls, path: Path | str) -> Dataset:
        """Read a file written by :meth:`write`; raises UserError where it is missing or damaged."""
        arrays, provenance = read_arrays(path)
        return cls(**arrays, info=provenance["info"])

    def checksum(self) -> str:
        """sha256 of the arrays (name, type, shape and bytes of each): of the numbers alone, not of a file's wrapping."""
        digest = hashlib.sha256()
        for name in ("x", "y", "x_test", "y_test"):
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.data)
        return digest.hexdigest()


class Recipe(BaseModel, ABC):
    """A named, deterministic way to make a data set; its fields are JSON values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    @abstractmethod
    def name(self) -> str:
        """File stem of the data set, unique among recipes with other fields: lower case, digits, ``_``."""

    def sources(self, root: Path | None) -> dict[str, str]:
        """Files outside the project that :meth:`build` reads: name -> checksum. Nothing by default."""
        return {}

    @abstractmethod
    def build(self, root: Path | None) -> Dataset:
        """Make the data set; ``root`` is the folder of original files (``data.root``), if there is one."""
