"""Settings, data sets and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.image_sample import ImageSample
from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import ImageSource, PositiveCount, Seeds, StepSize, Widths

Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Sizes = Annotated[Widths, Len(min_length=2)]


class CircleSettings(StudySettings):
    """Figure 1: the tangent kernel on the circle."""

    seeds: Seeds = Field(description="seeds of initial weights and training inputs")
    widths: Sizes = Field(description="hidden units n of every hidden layer")
    angles: PositiveCount = Field(description="angles gamma from -pi to pi")
    steps: PositiveCount = Field(description="steps of gradient descent t")
    batch: PositiveCount = Field(description="fresh Gaussian inputs of a step")


class FunctionSettings(StudySettings):
    """Figure 2: the network function on the circle."""

    seeds: Seeds = Field(description="seeds of initial weights")
    widths: Sizes = Field(description="hidden units n of every hidden layer")
    angles: PositiveCount = Field(description="angles gamma from -pi to pi")
    steps: PositiveCount = Field(description="steps of gradient descent t")
    data_angles: Annotated[list[float], Len(min_length=1)] = Field(description="gamma of the training inputs")
    targets: Annotated[list[float], Len(min_length=1)] = Field(description="their targets")

    @model_validator(mode="after")
    def _a_target_each(self) -> FunctionSettings:
        if len(self.targets) != len(self.data_angles):
            raise ValueError("targets must have one entry for each of data_angles")
        return self

    @model_validator(mode="after")
    def _angles_differ(self) -> FunctionSettings:
        # the same input twice has a singular kernel, which the limit divides by
        around = sorted((angle % (2 * math.pi), angle) for angle in self.data_angles)
        following = [*around[1:], (around[0][0] + 2 * math.pi, around[0][1])]
        for (here, one), (there, other) in zip(around, following, strict=True):
            if len(around) > 1 and there - here < 1e-6:
                raise ValueError(
                    f"data_angles is {self.data_angles}: all must differ, and {one:g} and {other:g} are the same mod 2 pi"
                )
        return self


class PrincipalSettings(StudySettings):
    """Figure 3: training along a principal component of the kernel on images."""

    source: ImageSource = Field(description="image data")
    data_seed: Seed = Field(description="seed of the choice of images")
    samples: PositiveCount = Field(description="images N")
    seeds: Seeds = Field(description="seeds of initial weights")
    widths: Sizes = Field(description="hidden units n of every hidden layer")
    steps: PositiveCount = Field(description="steps of gradient descent t")
    offset: StepSize = Field(description="f* = f_0 + this times the second principal component")
    large_beta: StepSize = Field(description="beta of footnote 3")


class Settings(StudySettings):
    """Jacot, Gabriel, Hongler 2018."""

    layers: Annotated[int, Field(ge=2, le=1000, strict=True)] = Field(description="L, layers of weights")
    beta: StepSize = Field(description="scale of the biases")
    rate: StepSize = Field(description="learning rate")
    circle: CircleSettings = Field(description="Figure 1")
    function: FunctionSettings = Field(description="Figure 2")
    principal: PrincipalSettings = Field(description="Figure 3")


def images(settings: Settings) -> ImageSample:
    one = settings.principal
    return ImageSample(source=one.source, samples=one.samples, test_samples=0, seed=one.data_seed)


def recipes(settings: Settings) -> list[Recipe]:
    return [images(settings)]


def _cost(widths: list[int], seeds: int, steps: int, samples: int, hidden: int) -> Cost:
    """Three products of 2 n^2 N for each hidden-to-hidden layer and step, and its weights through memory (measured)."""
    inner = max(1, hidden - 1)
    seconds = sum(
        seeds * steps * inner * (6 * n * n * samples / 1e11 + n * n * 1e-9 + n * samples * 3e-9 + 5e-5) for n in widths
    )
    memory = 450 + inner * max(widths) ** 2 * 12 // 2**20
    return Cost(6 + seconds, memory, gpu_speedup=30)  # an estimate: few inputs, so the weights' way through memory


def cells(settings: Settings) -> list[Cell]:
    """One per figure and width."""
    shared = {"layers": settings.layers, "beta": settings.beta, "rate": settings.rate}
    hidden, found = settings.layers - 1, []
    parts = (("circle", settings.circle, settings.circle.batch, ()),
             ("function", settings.function, len(settings.function.targets), ()),
             ("principal", settings.principal, settings.principal.samples, (images(settings).name,)))  # fmt: skip
    for part, one, samples, data in parts:
        wide = max(one.widths)
        for name, widths in (("small", [n for n in one.widths if n < wide]), ("wide", [wide])):
            parameters = {"part": part, "limit": name == "small", **shared, **one.model_dump(), "widths": widths}
            cost = _cost(widths, len(one.seeds), one.steps, samples, hidden)
            found.append(Cell(f"{part}_{name}", parameters, data, cost, resumable=part == "principal"))
    return found
