"""Settings and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import AfterValidator, Field, model_validator

from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PositiveCount, Seeds, StepSize, Widths

Pieces = Annotated[list[Annotated[int, Field(ge=2, le=1_000_000, strict=True)]], Len(2, 2)]
Frequencies = Annotated[list[StepSize], Len(min_length=2), AfterValidator(sorted)]


def _at_least_two(values: list[int]) -> list[int]:
    if min(values) < 2:
        raise ValueError("dimensions begin at 2: a sphere of dimension 1 is two points")
    return values


Dimensions = Annotated[Widths, AfterValidator(_at_least_two)]


class ConstructedSettings(StudySettings):
    """Depth-3 networks written down weight by weight."""

    dimensions: Dimensions = Field(description="d, each at k = pi d^3")
    pieces: Annotated[list[Pieces], Len(min_length=1)] = Field(description="(n_1, n_2) of networks of a given size")
    accuracies: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Len(min_length=1)] = Field(
        description="sup errors for which networks are built"
    )
    points: PositiveCount = Field(description="random points at which errors are taken")


class FeatureSettings(StudySettings):
    """Depth 2 with random hidden weights: least squares."""

    dimensions: Dimensions = Field(description="d")
    widths: Widths = Field(description="numbers of features m; nested")
    frequencies: Frequencies = Field(description="k / pi; d^3 is always added")
    train: PositiveCount = Field(description="training points")
    test: PositiveCount = Field(description="test points, also for trained and constructed networks")
    ridge: StepSize = Field(description="added to the Gram matrix of the features, times its mean diagonal entry")


class TrainedSettings(StudySettings):
    """Depth 2 with trained hidden weights, on fresh samples."""

    dimensions: Dimensions = Field(description="d")
    widths: Widths = Field(description="hidden units m")
    frequencies: Frequencies = Field(description="k / pi")
    steps: PositiveCount = Field(description="Adam steps")
    batch: PositiveCount = Field(description="fresh points of each step")
    step_size: StepSize = Field(description="Adam's first step size; falls linearly to 0")


class BoundSettings(StudySettings):
    """The lower bound for depth 2."""

    dimensions: Dimensions = Field(description="d")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="mean squared error over variance that counts as failed"
    )


class Settings(StudySettings):
    """Daniely 2017."""

    seeds: Seeds = Field(description="seeds of points and weights")
    constructed: ConstructedSettings = Field(description="depth 3")
    features: FeatureSettings = Field(description="depth 2, random")
    trained: TrainedSettings = Field(description="depth 2, trained")
    bound: BoundSettings = Field(description="depth 2, lower bound")

    @model_validator(mode="after")
    def _trained_beside_random(self) -> Settings:
        extra = sorted(set(self.trained.dimensions) - set(self.features.dimensions))
        if extra:
            raise ValueError(f"trained.dimensions has {extra}, which features.dimensions lacks: they share a panel")
        if max(self.features.widths) >= self.features.train:
            raise ValueError("features.train must be larger than the largest width")
        return self


def recipes(settings: Settings) -> list[Recipe]:
    """None: dimensions are an axis of the experiment, points are drawn where they are used."""
    return []


def cells(settings: Settings) -> list[Cell]:
    """Depth 3 with the lower bound; random features; trained networks."""
    everything = settings.model_dump()
    c, f, t, seeds = settings.constructed, settings.features, settings.trained, len(settings.seeds)
    sizes = sum(d * pieces[0] + pieces[1] for d in c.dimensions for pieces in c.pieces)
    sines = sum(p[1] for p in c.pieces) * len(f.dimensions) * (len(f.frequencies) + 1)
    built = 4 + 1.5e-8 * (c.points * sizes + 500 * sines)
    largest = max(f.widths)
    solves = 4 + len(f.dimensions) * seeds * (1.2e-11 * 2 * f.train * largest**2 + 1e-8 * (f.train + f.test) * largest)
    work = seeds * t.batch * len(t.frequencies) * sum(t.widths) * t.steps * len(t.dimensions)
    return [
        Cell("depth3", {**everything, "part": "depth3"}, (), Cost(built, 600)),
        Cell(
            "features",
            {**everything, "part": "features"},
            (),
            Cost(solves, 500 + 8 * f.train * largest * 3 // 2**20),
            resumable=True,
        ),
        Cell(
            "trained", {**everything, "part": "trained"}, (), Cost(4 + 8e-9 * work, 600, gpu_speedup=20), resumable=True
        ),  # an estimate: many small networks in one batch
    ]
