"""Settings of the study."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from annotated_types import Len
from pydantic import AfterValidator, Field, model_validator

from zeroloss.studies.contract import StudySettings
from zeroloss.studies.settings import ImageSource, PositiveCount, Seeds, StepSize

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
SOURCES = ("digits", "cifar10", "cifar10_lossy")


def _known(source: str) -> str:
    if source not in SOURCES:
        raise ValueError(f"source: this study has sizes for {', '.join(SOURCES)} only")
    return source


def _from_none_to_all(shares: list[float]) -> list[float]:
    if shares[0] != 0 or shares[-1] != 1 or any(a >= b for a, b in pairwise(shares)):
        raise ValueError("it must rise from 0 to 1")
    return shares


class Sizes(StudySettings):
    """What is run on one source of images."""

    seeds: Seeds = Field(description="seeds of labels, noise, initial weights and order of the images")
    table_seeds: Seeds = Field(description="the same for rows that only Tables 1 and 4 have")
    train: PositiveCount = Field(description="training images n")
    test: PositiveCount = Field(description="test images")
    batch: PositiveCount = Field(description="images a step")
    margin: int = Field(ge=0, le=1000, strict=True, description="zeros added on every side, room for random crops")
    crop: PositiveCount = Field(description="side of the crop")
    pool: PositiveCount = Field(description="pixels of the crop are averaged in squares of this side")
    inception_divisor: PositiveCount = Field(description="divisor of the widths of small Inception")
    alexnet_divisor: PositiveCount = Field(description="divisor of the widths of small AlexNet")
    mlp_width: PositiveCount = Field(description="hidden width of the fully connected networks")
    inception_epochs: PositiveCount = Field(description="epochs after which an Inception run is given up")
    alexnet_epochs: PositiveCount = Field(description="epochs after which an AlexNet run is given up")
    mlp_epochs: PositiveCount = Field(description="epochs after which a fully connected run is given up")
    norm_epochs: PositiveCount = Field(description="epochs of Figure 2 b, all of which are run")
    augmented_epochs: PositiveCount = Field(description="epochs after which a run on augmented images is given up")


class Settings(StudySettings):
    """Zhang et al. 2017."""

    source: ImageSource = Field(description="data set, or a list of which the first at hand is taken")
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        description="of products and convolutions; tf32 and bfloat16 are faster on a GPU and change the last digits"
    )
    momentum: Share = Field(description="of SGD")
    inception_rate: StepSize = Field(description="learning rate of small Inception")
    plain_rate: StepSize = Field(description="learning rate of small Inception without batch norm")
    other_rate: StepSize = Field(description="learning rate of small AlexNet and of fully connected networks")
    decay: Factor = Field(description="factor on the learning rate after every decay_steps steps, applied by epoch")
    slow_decay: Factor = Field(description="the same for augmented images with random labels (Table 4)")
    decay_steps: PositiveCount = Field(description="steps of one epoch of the paper")
    weight_decay: StepSize = Field(description="coefficient of |theta|^2 / 2 where weight decay is on")
    rotation: float = Field(ge=0, le=180, description="largest angle of the augmentation of Table 4, degrees")
    corruptions: Annotated[list[Share], Len(min_length=2), AfterValidator(_from_none_to_all)] = Field(
        description="shares of corrupted labels of Figure 1 b and c"
    )
    overfit_loss: StepSize = Field(
        description="a network has overfitted once an epoch's mean training loss is at most this"
    )
    final_loss: StepSize = Field(description="a run ends once an epoch's mean training loss is at most this")
    digits: Sizes = Field(description="sizes where the source is digits")
    cifar10: Sizes = Field(description="sizes where the source is cifar10 or cifar10_lossy")

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        _known(self.source)
        if self.final_loss > self.overfit_loss:
            raise ValueError(f"final_loss must be at most overfit_loss = {self.overfit_loss:g}")
        for name, sizes, side in (("digits", self.digits, 8), ("cifar10", self.cifar10, 32)):
            if sizes.crop % sizes.pool:
                raise ValueError(f"{name}.crop is {sizes.crop}: crop must be a multiple of pool = {sizes.pool}")
            if sizes.crop > side + 2 * sizes.margin:
                raise ValueError(
                    f"{name}.crop is {sizes.crop}: it must not be above the images' side with margins, {side + 2 * sizes.margin}"
                )
        return self

    @property
    def sizes(self) -> Sizes:
        """Those of the source."""
        return self.digits if self.source == "digits" else self.cifar10

    @property
    def colours(self) -> int:
        """Channels of the source's images."""
        return 1 if self.source == "digits" else 3
