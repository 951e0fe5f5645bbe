"""Images without content: independent uniform bytes, with labels drawn independently of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.randomness import numpy_generator


class RandomImages(Recipe):
    """Training and test images of one law: every pixel uniform on 0..255, every label uniform on the classes."""

    kind: Literal["random_images"] = "random_images"
    train: int = Field(ge=1)
    test: int = Field(ge=1)
    side: int = Field(ge=1)
    channels: Literal[1, 3]
    classes: int = Field(ge=2)
    seed: int = Field(ge=0)

    @property
    def name(self) -> str:
        shape = f"{self.channels}x{self.side}x{self.side}"
        return f"random_images_{shape}_k{self.classes}_{self.train}_{self.test}_seed{self.seed}"

    def build(self, root: Path | None) -> Dataset:
        """x and x_test: uint8, shape (n, side, side) or (n, side, side, 3); y and y_test: int64, shape (n,)."""
        shape = (self.side, self.side) if self.channels == 1 else (self.side, self.side, 3)
        parts: list[np.ndarray] = []
        for part, count in (("train", self.train), ("test", self.test)):
            pixels = numpy_generator(self.seed, "random images", part)
            labels = numpy_generator(self.seed, "random image labels", part)
            parts += [
                pixels.integers(0, 256, (count, *shape), dtype=np.uint8),
                labels.integers(0, self.classes, count, dtype=np.int64),
            ]
        x, y, x_test, y_test = parts
        info = {
            "title": "Random", "fidelity": "synthetic", "labels": "random class", "largest": 255,
            "classes": self.classes, "recipe": self.model_dump(),
        }  # fmt: skip
        return Dataset(x, y, info, x_test, y_test)
