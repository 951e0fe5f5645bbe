"""Images of all classes with a training and a test part, as bytes: for networks that do their own preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from zeroloss.datasets import images
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator

# the first half of Semeion's file holds other classes than the second
SORTED = ("semeion",)


class ImageSplit(Recipe):
    """The first images of a source, in its original order, for training and for testing.

    Test images come from the source's test set. A source without one (digits, Semeion, the test half of KMNIST) gives
    its images after the training images, and the caption's fidelity says so.
    """

    kind: Literal["image_split"] = "image_split"
    source: str
    train: int = Field(ge=1)
    test: int = Field(ge=1)

    @property
    def name(self) -> str:
        return f"{self.source}_split_{self.train}_{self.test}"

    def sources(self, root: Path | None) -> dict[str, str]:
        return images.checksums(self.source, root)

    def build(self, root: Path | None) -> Dataset:
        """x and x_test: uint8, shape (n, H, W) or (n, H, W, 3); y and y_test: classes, int64, shape (n,).

        Raises:
            UserError: the source holds too few images.
        """
        found = images.load(self.source, root, download=True)
        x_test, y_test, fidelity = found.x_test, found.y_test, found.fidelity
        x_train, y_train = found.x_train, found.y_train
        if self.source in SORTED:
            order = numpy_generator(0, "order of a sorted source").permutation(len(x_train))
            x_train, y_train = x_train[order], y_train[order]
            fidelity += "; shuffled, for the file is sorted by class"
        if not len(x_test):
            x_test, y_test = x_train[self.train :], y_train[self.train :]
            fidelity += "; no test set of its own, tested on the images after the training images"
        if len(x_train) < self.train or len(x_test) < self.test:
            raise UserError(
                f"data set {self.source} has {len(found.x_train)} training images and leaves {len(x_test)} for testing, "
                f"fewer than the {self.train} and {self.test} asked for: lower train or test"
            )
        info = {"title": found.title, "fidelity": fidelity, "labels": "class", "largest": found.largest}
        return Dataset(
            x_train[: self.train],
            y_train[: self.train],
            {**info, "classes": found.classes, "recipe": self.model_dump()},
            x_test[: self.test],
            y_test[: self.test],
        )
