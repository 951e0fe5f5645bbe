"""Settings: two data sets on the line with a bad local minimum known in closed form, descent, critical points."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from annotated_types import Len
from pydantic import BeforeValidator, Field, model_validator

from zeroloss.studies.contract import StudySettings
from zeroloss.studies.settings import PointCount, PositiveCount, Seed, Seeds, StepSize, Widths


def _label(value: Any) -> Any:
    if value not in (-1, 1) or isinstance(value, bool):
        raise ValueError("labels must be -1 or 1")
    return value


Number = Annotated[float, Field(allow_inf_nan=False)]
Inputs = Annotated[list[Number], Len(min_length=2)]
Labels = Annotated[list[Annotated[int, Field(ge=-1, le=1), BeforeValidator(_label)]], Len(min_length=2)]


class ToySettings(StudySettings):
    """Inputs on the line and labels that some base network classifies (Assumption 2)."""

    inputs: Inputs = Field(description="inputs x_i, real numbers")
    labels: Labels = Field(description="labels y_i, each -1 or 1")

    @model_validator(mode="after")
    def _realizable(self) -> Self:
        if len(self.inputs) != len(self.labels):
            raise ValueError(
                f"labels: {len(self.inputs)} inputs and {len(self.labels)} labels: one label for each input"
            )
        if len(set(self.labels)) < 2:
            raise ValueError("labels: both labels must occur")
        both = {x for x, y in zip(self.inputs, self.labels, strict=True) if y > 0} & {
            x for x, y in zip(self.inputs, self.labels, strict=True) if y < 0
        }
        if both:
            raise ValueError(
                f"inputs: input {min(both):g} has both labels: no network can classify both, which Assumption 2 demands"
            )
        return self

    def of_label(self, label: int) -> np.ndarray:
        """Inputs with one label."""
        return np.array([x for x, y in zip(self.inputs, self.labels, strict=True) if y == label])


class ThresholdToy(ToySettings):
    """For the dead ReLU: all negative samples left of all positive ones."""

    @model_validator(mode="after")
    def _threshold(self) -> Self:
        if self.of_label(-1).max() >= self.of_label(1).min():
            raise ValueError(
                "inputs: all inputs with label -1 must lie left of those with label 1, for one ReLU to fit them"
            )
        return self


class SymmetricToy(ToySettings):
    """For the quadratic unit: mirrored samples, the negative ones in the middle."""

    @model_validator(mode="after")
    def _mirrored(self) -> Self:
        samples = sorted(zip(self.inputs, self.labels, strict=True))
        if samples != sorted((-x, y) for x, y in samples):
            raise ValueError("inputs: with each (x, y) there must be (-x, y): then u = 0 is critical")
        # f = (u x)^2 - 2 must reach 1 on the positive samples and stay below -1 on the negative ones
        if np.abs(self.of_label(1)).min() < 3**0.5 * np.abs(self.of_label(-1)).max():
            raise ValueError("inputs: positive inputs must be at least sqrt(3) times as far from 0 as negative ones")
        return self


class DescentSettings(StudySettings):
    """Gradient descent from near the bad minimum."""

    seeds: Seeds = Field(description="seeds of the starts of base network and neuron")
    regularisers: Annotated[list[StepSize], Len(min_length=1)] = Field(description="lambda, each greater than 0")
    step: StepSize = Field(description="step size")
    steps: PositiveCount = Field(description="gradient descent steps")
    records: PointCount = Field(description="steps recorded, evenly spaced in the logarithm")
    distance: StepSize = Field(description="standard deviation of the base network's start about its bad minimum")
    slope_scale: StepSize = Field(description="standard deviation of w at the start, where a = b = 0")


class CriticalSettings(StudySettings):
    """Points at which the gradient vanishes, and what they are."""

    seed: Seed = Field(description="seed of the random starts")
    starts: PositiveCount = Field(description="random starts for each network and lambda")
    scale: StepSize = Field(description="standard deviation of all trained parameters at the start")
    newton_steps: PositiveCount = Field(description="most Levenberg-Marquardt steps on the gradient's norm")
    radii: Annotated[list[StepSize], Len(min_length=1)] = Field(
        description="sizes of the moves that test a critical point for being a minimum"
    )


class AssumptionSettings(StudySettings):
    """What becomes of the theorem without one of its assumptions."""

    seed: Seed = Field(description="seed of the random moves")
    copies: Annotated[Widths, Len(min_length=2, max_length=2)] = Field(
        description="how often the duplicated input has the label -1 and 1: Assumption 2 violated"
    )
    moves: PositiveCount = Field(description="random moves that test a point for being a local minimum")
    radius: StepSize = Field(description="their length, at most")


class Settings(StudySettings):
    """Liang, Sun, Lee, Srikant 2018: one exponential neuron."""

    dead_relu: ThresholdToy = Field(description="data of the base network v relu(u x + c) + d")
    quadratic: SymmetricToy = Field(description="data of the base network (u x + c)^2 - 2")
    descent: DescentSettings = Field(description="gradient descent with and without the neuron")
    critical: CriticalSettings = Field(description="critical points found by minimising the gradient's norm")
    assumptions: AssumptionSettings = Field(description="the theorem without one of its assumptions")
