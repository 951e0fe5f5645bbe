"""Settings, data sets and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.image_classes import ImageClasses
from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import ImageChoice, ImageSource, PositiveCount, Seeds, StableStep, StepSize, Widths

Depths = Annotated[Widths, Len(min_length=1)]
# the kernel with pooling, whose first and last layers are not trained, starts at depth 3
ConvolutionDepth = Annotated[int, Field(ge=3, le=1000, strict=True)]
Several = Annotated[Widths, Len(min_length=3)]


class RecursionSettings(StudySettings):
    """The recursion against gradients of finite networks (004-E4)."""

    seeds: Seeds = Field(description="seeds of the networks")
    activations: Annotated[list[str], Len(min_length=1)] = Field(description="relu, erf, softplus, tanh")
    depths: Depths = Field(description="hidden layers L")
    widths: Several = Field(description="m, of every hidden layer")
    samples: PositiveCount = Field(description="n, uniform on the sphere")
    dimension: PositiveCount = Field(description="d")


class RegressionSettings(StudySettings):
    """f_ntk on images of all classes (004-E5)."""

    samples: Several = Field(description="training sizes n, nested")
    test: PositiveCount = Field(description="test images")
    depths: Depths = Field(description="hidden layers L")
    tile_mb: StepSize = Field(description="size of a tile of K where it is never formed, MB")
    rank: PositiveCount = Field(description="of the preconditioner there")
    tolerance: StepSize = Field(description="relative residual at which conjugate gradients stop")
    most_iterations: PositiveCount = Field(description="of conjugate gradients")
    dense_up_to: PositiveCount = Field(description="largest n solved by Cholesky; beyond it by tiles")


class ConvergenceSettings(StudySettings):
    """|f_nn - f_ntk| over width and output scale (004-TH9)."""

    seeds: Seeds = Field(description="seeds of the initial weights")
    depth: PositiveCount = Field(description="hidden layers L")
    widths: Several = Field(description="m on the sphere")
    image_widths: Several = Field(description="m on images")
    scales: Annotated[list[StepSize], Len(min_length=2)] = Field(description="kappa, falling")
    samples: PositiveCount = Field(description="training inputs n")
    test: PositiveCount = Field(description="test inputs at which the two functions are compared")
    dimension: PositiveCount = Field(description="d on the sphere")
    classes: Annotated[list[Annotated[int, Field(ge=0, le=65_535, strict=True)]], Len(2, 2)] = Field(
        description="the two image classes: +1 and -1"
    )
    relative_step: StableStep = Field(description="eta over 1 / lambda_max(K)")
    tolerance: StepSize = Field(description="relative training residual at which a run ends")
    most_steps: PositiveCount = Field(description="steps at most")

    @model_validator(mode="after")
    def _falling(self) -> ConvergenceSettings:
        if sorted(set(self.scales), reverse=True) != self.scales:
            raise ValueError(f"scales is {self.scales}: it must fall, without repetition")
        return self


class Tiles(StudySettings):
    """Images for the convolutional kernels."""

    images: ImageChoice = Field(description="which images, how many")
    side: PositiveCount = Field(description="pixels of a side, after averaging squares")
    samples: Several = Field(description="training sizes n, nested; the largest are all of images.train")

    @model_validator(mode="after")
    def _all_of_them(self) -> Tiles:
        if self.samples[-1] != self.images.train:
            raise ValueError(f"the largest of samples is {self.samples[-1]}: it must be images.train")
        return self


class ConvolutionalSettings(StudySettings):
    """Tables 1 and 2 (004-T2)."""

    depths: Annotated[list[ConvolutionDepth], Len(min_length=2)] = Field(description="convolutions + 1, rising")
    single: bool = Field(description="form kernels in float32, as the authors do; the equations are solved in float64")
    sources: Annotated[list[Tiles], Len(min_length=1)] = Field(description="images; those at hand are taken")

    @model_validator(mode="after")
    def _rising(self) -> ConvolutionalSettings:
        if sorted(set(self.depths)) != self.depths:
            raise ValueError("depths must rise, without repetition")
        return self

    @property
    def at_hand(self) -> list[Tiles]:
        return [tiles for tiles in self.sources if tiles.images.found is not None]


class Settings(StudySettings):
    """Arora et al. 2019, the neural tangent kernel."""

    source: ImageSource = Field(description="images of regression and convergence: a data set, or a list by preference")
    recursion: RecursionSettings = Field(description="eqs. 6-13")
    regression: RegressionSettings = Field(description="f_ntk")
    convergence: ConvergenceSettings = Field(description="Theorem 3.2")
    convolutional: ConvolutionalSettings = Field(description="Tables 1 and 2")


def split_recipe(settings: Settings) -> ImageSplit:
    part = settings.regression
    return ImageSplit(source=settings.source, train=max(part.samples), test=part.test)


def pair_recipe(settings: Settings) -> ImageClasses:
    """Training and test images of the two classes together; the first n are for training."""
    part = settings.convergence
    return ImageClasses(source=settings.source, samples=part.samples + part.test, classes=tuple(part.classes), seed=0)


def tiles_recipe(tiles: Tiles) -> ImageSplit:
    return ImageSplit(source=str(tiles.images.found), train=tiles.images.train, test=tiles.images.test)


def recipes(settings: Settings) -> list[Recipe]:
    wanted: list[Recipe] = [split_recipe(settings), pair_recipe(settings)]
    wanted += [tiles_recipe(tiles) for tiles in settings.convolutional.at_hand]
    return list({recipe.name: recipe for recipe in wanted}.values())


def cells(settings: Settings) -> list[Cell]:
    recursion, regression, convergence = settings.recursion, settings.regression, settings.convergence
    nets = len(recursion.seeds) * sum(m * m for m in recursion.widths) * sum(recursion.depths)
    solves = sum(n**3 * 1e-10 + n * (n + regression.test) * 6e-8 for n in regression.samples) * len(regression.depths)
    largest = max(regression.samples)
    dense = 40 * min(largest, regression.dense_up_to) * (largest + regression.test) // 2**20
    found = [
        Cell(
            "kernels",
            {"recursion": recursion.model_dump(), "regression": regression.model_dump()},
            (split_recipe(settings).name,),
            Cost(4 + 5e-8 * nets * len(recursion.activations) + solves, 450 + dense),
            resumable=True,
        ),
        _convergence_cell("sphere", convergence, convergence.widths, convergence.dimension, ()),
        _convergence_cell("images", convergence, convergence.image_widths, 64, (pair_recipe(settings).name,)),
    ]
    for tiles in settings.convolutional.at_hand:
        found += _tile_cells(settings.convolutional, tiles)
    return found


def _convergence_cell(
    place: str, part: ConvergenceSettings, widths: list[int], dimension: int, datasets: tuple[str, ...]
) -> Cell:
    """Three networks a run, one plain and two of a symmetrised one; some 250 steps of 6 n weights each."""
    weights = [m * (dimension + m * (part.depth - 1)) for m in widths]
    runs = 3 * len(part.seeds) * len(part.scales)
    parameters = {**part.model_dump(exclude={"image_widths", "widths"}), "widths": widths, "place": place}
    seconds = 4 + 250 * runs * sum(weights) * (6 * part.samples * 3e-11 + 4e-9)
    return Cell(
        f"convergence_{place}",
        parameters,
        datasets,
        Cost(seconds, 400 + runs * max(weights) * 24 // 2**20, gpu_speedup=20),
    )


def _tile_cells(part: ConvolutionalSettings, tiles: Tiles) -> list[Cell]:
    """One cell for a data set: all kernels of it share images and labels."""
    n, more, pixels = tiles.images.train, tiles.images.test, tiles.side**2
    pairs = n * n / 2 + n * more
    per_entry = (9e-9 if part.single else 1.6e-8) * (max(part.depths) - 1)
    parameters: dict[str, Any] = {
        "depths": part.depths, "single": part.single, "side": tiles.side, "samples": tiles.samples,
    }  # fmt: skip
    seconds = 4 + pairs * (pixels**2 + 4 * pixels) * per_entry
    memory = 500 + 8 * 4 * len(part.depths) * n * (n + more) // 2**20
    cost = Cost(seconds, int(memory), disk_mb=1.0, gpu_speedup=50)  # an estimate: elementwise work on large tiles
    return [Cell(f"cntk_{tiles.images.found}", parameters, (tiles_recipe(tiles).name,), cost, resumable=True)]
