"""Binary regression problems from images: true or random labels, inputs on the unit sphere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from zeroloss.datasets import images
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator


class ImageParity(Recipe):
    """The first n training images of a source, flattened and normalised to unit length.

    True labels are the parity of the class, +1 for even and -1 for odd: a balanced two-class problem on all
    classes, whatever the source. Random labels are +1 or -1 with equal probability, independent of the images.
    """

    kind: Literal["image_parity"] = "image_parity"
    source: str
    samples: int = Field(ge=1)
    labels: Literal["true", "random"] = "true"
    seed: int = Field(0, ge=0, description="seed of the random labels; true labels do not depend on it")
    drop_parallel: bool = Field(False, description="leave out an image that is parallel to an earlier one")

    @property
    def name(self) -> str:
        noise = f"random{self.seed}" if self.labels == "random" else "true"
        unique = "_unique" if self.drop_parallel else ""
        return f"{self.source}_n{self.samples}_{noise}{unique}"

    def sources(self, root: Path | None) -> dict[str, str]:
        return images.checksums(self.source, root)

    def build(self, root: Path | None) -> Dataset:
        """Raises UserError where the source holds too few images or an image is black (it has no direction)."""
        original = images.load(self.source, root, download=True)
        x = original.x_train.reshape(len(original.x_train), -1).astype(np.float64)
        lengths = np.linalg.norm(x, axis=1)
        keep = np.flatnonzero(lengths > 0) if self.drop_parallel else np.arange(len(x))
        if self.drop_parallel:
            # exact duplicates up to scale: equal after division by the length, rounded far below a grey level
            directions = np.round(x[keep] / lengths[keep, None], 12)
            _, first = np.unique(directions, axis=0, return_index=True)
            keep = keep[np.sort(first)]
        keep = keep[: self.samples]
        if len(keep) < self.samples:
            raise UserError(
                f"data set {self.source} has {len(keep)} usable training images, fewer than the {self.samples} "
                "asked for: lower samples or choose another data set"
            )
        if (lengths[keep] == 0).any():
            raise UserError(
                f"image {keep[lengths[keep] == 0][0]} of {self.source} is black and cannot be put on the unit sphere: "
                "set drop_parallel to true"
            )
        x = x[keep] / lengths[keep, None]
        if self.labels == "true":
            y = np.where(original.y_train[keep] % 2 == 0, 1.0, -1.0)
            labels = "parity of the class"
        else:
            y = numpy_generator(self.seed, "image labels").choice([-1.0, 1.0], size=self.samples)
            labels = "random signs"
        info = {"title": original.title, "fidelity": original.fidelity, "labels": labels}
        return Dataset(x, y, {**info, "recipe": self.model_dump()})
