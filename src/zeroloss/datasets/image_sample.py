"""Random images of all classes as they are: for studies that train classifiers without preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from zeroloss.datasets import images
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator


class ImageSample(Recipe):
    """``samples`` random training images, then ``test_samples`` others; pixels in [0, 1], targets the class numbers.

    Test images come from the source's test set or, where it has none, from the training images that were not drawn.
    ``info`` holds ``train``, the number of training images, and ``shape`` = (height, width, channels) of one image.
    """

    kind: Literal["image_sample"] = "image_sample"
    source: str
    samples: int = Field(ge=1)
    test_samples: int = Field(0, ge=0)
    seed: int = Field(0, ge=0, description="seed of the choice of images")

    @property
    def name(self) -> str:
        return f"{self.source}_sample_n{self.samples}_test{self.test_samples}_seed{self.seed}"

    def sources(self, root: Path | None) -> dict[str, str]:
        return images.checksums(self.source, root)

    def build(self, root: Path | None) -> Dataset:
        """Raises UserError where the source holds too few images."""
        original = images.load(self.source, root, download=True)
        own_test = len(original.x_test) > 0
        order = numpy_generator(self.seed, "choice of images").permutation(len(original.x_train))
        needed = self.samples + (0 if own_test else self.test_samples)
        if needed > len(order) or (own_test and self.test_samples > len(original.x_test)):
            raise UserError(
                f"data set {self.source} has {len(order)} training and {len(original.x_test)} test images, too few for "
                f"{self.samples} and {self.test_samples}: lower samples or choose another data set"
            )
        chosen, rest = order[: self.samples], order[self.samples : needed]
        x, y = original.x_train[chosen], original.y_train[chosen]
        if own_test:
            pick = numpy_generator(self.seed, "choice of test images").permutation(len(original.x_test))
            rest_x, rest_y = original.x_test[pick[: self.test_samples]], original.y_test[pick[: self.test_samples]]
        else:
            rest_x, rest_y = original.x_train[rest], original.y_train[rest]
        height, width = x.shape[1:3]
        pixels = np.concatenate([x, rest_x]).reshape(len(x) + len(rest_x), -1) / original.largest
        info = {
            "title": original.title,
            "fidelity": original.fidelity,
            "labels": "class",
            "train": self.samples,
            "shape": [height, width, pixels.shape[1] // (height * width)],
            "recipe": self.model_dump(),
        }
        return Dataset(pixels, np.concatenate([y, rest_y]).astype(np.float64), info)
