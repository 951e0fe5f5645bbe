"""Images of some classes, targets the class itself: for studies that encode classes in their own way."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from zeroloss.datasets import images
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator


class ImageClasses(Recipe):
    """The first n training images of the given classes, minus their mean image, normalised to unit length.

    The mean is taken off because it is what all images share: without it their pairwise cosines are about 0.6 to 0.9 and
    the Gram matrices are a hundred times worse conditioned. Targets are the class numbers; random targets are drawn
    uniformly among the classes, independent of the images.
    """

    kind: Literal["image_classes"] = "image_classes"
    source: str
    samples: int = Field(ge=1)
    classes: tuple[int, ...] = Field(min_length=2)
    labels: Literal["true", "random"] = "true"
    seed: int = Field(0, ge=0, description="seed of the random labels; true labels do not depend on it")

    @property
    def name(self) -> str:
        noise = f"random{self.seed}" if self.labels == "random" else "true"
        return f"{self.source}_classes{'_'.join(map(str, self.classes))}_n{self.samples}_{noise}"

    def sources(self, root: Path | None) -> dict[str, str]:
        return images.checksums(self.source, root)

    def build(self, root: Path | None) -> Dataset:
        """Raises UserError where the source holds too few images of these classes, or one equals the mean image."""
        original = images.load(self.source, root, download=True)
        keep = np.flatnonzero(np.isin(original.y_train, self.classes))[: self.samples]
        if len(keep) < self.samples:
            raise UserError(
                f"data set {self.source} has {len(keep)} training images of the classes {list(self.classes)}, fewer "
                f"than the {self.samples} asked for: lower samples or add classes"
            )
        x = original.x_train[keep].reshape(len(keep), -1).astype(np.float64)
        x -= x.mean(axis=0)
        lengths = np.linalg.norm(x, axis=1)
        if not lengths.all():
            raise UserError(f"an image of {self.source} is the mean image and has no direction: choose other samples")
        x /= lengths[:, None]
        if self.labels == "true":
            y, labels = original.y_train[keep].astype(np.float64), "class"
        else:
            choice = numpy_generator(self.seed, "random classes").choice(self.classes, size=len(keep))
            y, labels = choice.astype(np.float64), "random class"
        info = {"title": original.title, "fidelity": original.fidelity, "labels": labels}
        return Dataset(x, y, {**info, "recipe": self.model_dump()})
