"""Two groups of classes as a regression problem with targets +1 and -1, for training and for testing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from zeroloss.datasets import images
from zeroloss.datasets.image_split import SORTED
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator


class ImageGroups(Recipe):
    """The first images of these classes in a source's order, flattened, at unit length.

    Test images come from the source's test set; a source without one gives its images after the training images, and
    the fidelity says so. Nothing is centred.
    """

    kind: Literal["image_groups"] = "image_groups"
    source: str
    positive: tuple[int, ...] = Field(min_length=1)
    negative: tuple[int, ...] = Field(min_length=1)
    train: int = Field(ge=1)
    test: int = Field(ge=1)

    @property
    def name(self) -> str:
        sides = ["_".join(map(str, side)) for side in (self.positive, self.negative)]
        return f"{self.source}_classes{sides[0]}_against{sides[1]}_{self.train}_{self.test}"

    def sources(self, root: Path | None) -> dict[str, str]:
        return images.checksums(self.source, root)

    def build(self, root: Path | None) -> Dataset:
        """x, x_test: float64, unit rows, shape (n, d); y, y_test: +1 for the classes ``positive``, -1 for the others.

        Raises:
            UserError: the source holds too few images of these classes, or one is black and has no direction.
        """
        found = images.load(self.source, root, download=True)
        x, y, x_test, y_test = found.x_train, found.y_train, found.x_test, found.y_test
        fidelity = found.fidelity
        if self.source in SORTED:
            order = numpy_generator(0, "order of a sorted source").permutation(len(x))
            x, y = x[order], y[order]
            fidelity += "; shuffled, for the file is sorted by class"
        x, y = self._chosen(x, y)
        if len(x_test):
            x_test, y_test = self._chosen(x_test, y_test)
        else:
            x_test, y_test = x[self.train :], y[self.train :]
            fidelity += "; no test set of its own, tested on the images after the training images"
        if len(x) < self.train or len(x_test) < self.test:
            raise UserError(
                f"data set {self.source} has {len(x)} training images of the classes "
                f"{[*self.positive, *self.negative]} and leaves {len(x_test)} for testing, fewer than the "
                f"{self.train} and {self.test} asked for: lower train or test"
            )
        info = {"title": found.title, "fidelity": fidelity, "labels": self._labels(), "recipe": self.model_dump()}
        return Dataset(
            self._unit(x[: self.train]), y[: self.train], info, self._unit(x_test[: self.test]), y_test[: self.test]
        )

    def _chosen(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images of the wanted classes, and their signs."""
        keep = np.isin(y, (*self.positive, *self.negative))
        return x[keep], np.where(np.isin(y[keep], self.positive), 1.0, -1.0)

    def _labels(self) -> str:
        sides = [", ".join(map(str, side)) for side in (self.positive, self.negative)]
        return f"class {sides[0]} against {sides[1]}"

    def _unit(self, x: np.ndarray) -> np.ndarray:
        flat = x.reshape(len(x), -1).astype(np.float64)
        lengths = np.linalg.norm(flat, axis=1, keepdims=True)
        if not lengths.all():
            raise UserError(f"image {int(np.argmin(lengths))} of {self.source} is black and has no direction")
        return flat / lengths
