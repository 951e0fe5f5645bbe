"""Settings. The figures of the paper were not available: every size is ours."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from zeroloss.studies.contract import StudySettings
from zeroloss.studies.settings import ImageSources, LayerCount, PointCount, PositiveCount, Seeds, StepSize, Widths


def _deep(depths: list[int]) -> list[int]:
    if min(depths) < 2:
        raise ValueError("a deep linear network has at least 2 layers")
    return depths


def _largest_first(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError("every entry must be different")
    return sorted(values, reverse=True)


def _one_source(value: Any, info: ValidationInfo) -> Any:
    """``auto`` -> Fashion-MNIST where data.root holds it, as in the paper, digits otherwise."""
    from zeroloss.datasets import images

    if value == "auto":
        return [
            "fashion_mnist" if "fashion_mnist" in images.available((info.context or {}).get("data_root")) else "digits"
        ]
    return value


Depths = Annotated[Widths, AfterValidator(_deep)]
StepSizes = Annotated[list[StepSize], Len(min_length=1)]
StepGrid = Annotated[StepSizes, AfterValidator(_largest_first)]
Goal = Annotated[float, Field(gt=0, lt=1)]


class EscapeSettings(StudySettings):
    """Loss, plateaus and singular values against step."""

    dimension: PositiveCount = Field(description="d, width of every layer; odd, so that det(-I) = -1")
    depths: Depths = Field(description="numbers of layers L")
    step_sizes: StepSizes = Field(description="eta, one for each depth")
    steps: PositiveCount = Field(description="the most steps")
    goal: Goal = Field(description="a run ends when R is at most this share of |Phi|_F^2 / 2")
    singular_depth: PositiveCount = Field(
        description="L at which singular values of the product are kept; one of depths"
    )
    points: PointCount = Field(description="steps, spaced evenly in log(step), that are kept for the figures")

    @model_validator(mode="after")
    def _fit(self) -> EscapeSettings:
        if len(self.step_sizes) != len(self.depths):
            raise ValueError(
                f"step_sizes has {len(self.step_sizes)} entries for {len(self.depths)} depths: one for each"
            )
        if self.singular_depth not in self.depths:
            raise ValueError(f"singular_depth {self.singular_depth} is not one of depths {self.depths}")
        return self


class DepthSettings(StudySettings):
    """Iterations against depth."""

    dimensions: Widths = Field(description="d, one even and one odd")
    depths: Depths = Field(description="L at the fixed step size")
    fixed_step: StepSize = Field(description="eta of the clean comparison")
    split_from: PositiveCount = Field(description="depths from this one on are a job of their own")
    best_depths: Depths = Field(description="L at the best step size of the grid")
    deep_depths: Depths = Field(description="further L at the best step size, for the zero-asymmetric start alone")
    step_grid: StepGrid = Field(description="the step sizes eta among which the best is taken")
    steps: PositiveCount = Field(description="the most steps; a run that needs more counts as stopped")
    goal: Goal = Field(description="a run has reached its target when R <= this share of |Phi|_F^2 / 2")


class GrowthSettings(StudySettings):
    """Exponential against polynomial growth with depth, targets within reach of every start."""

    seeds: Seeds = Field(description="starts")
    dimensions: Widths = Field(description="d; at d = 1 a product of scalars (Shamir)")
    depths: Depths = Field(description="numbers of layers L")
    step_size: StepSize = Field(description="eta")
    steps: PositiveCount = Field(description="the most steps")
    resamples: PositiveCount = Field(description="bootstrap draws of the intervals")


class TheoremSettings(StudySettings):
    """Theorem 4.3 at its own step size, and the largest step sizes that work."""

    depths: Depths = Field(description="numbers of layers L")
    steps: PositiveCount = Field(description="steps at the theorem's step size")
    table_depths: Depths = Field(description="L of the table of step sizes")
    search_steps: PositiveCount = Field(description="the most steps of a run of the search for the largest step size")
    search_ratio: Annotated[float, Field(gt=1)] = Field(description="ratio of neighbouring step sizes of the search")


class IdentitySettings(StudySettings):
    """The exact identity as start (Bartlett, Helmbold, Long 2018)."""

    depth: Annotated[LayerCount, Field(ge=2)] = Field(description="L")
    step_size: StepSize = Field(description="eta")
    steps: PositiveCount = Field(description="the most steps")


class ResidualSettings(StudySettings):
    """Nonlinear residual networks on images."""

    sources: Annotated[ImageSources, BeforeValidator(_one_source)] = Field(
        description="auto (Fashion-MNIST where data.root holds it, digits otherwise) or a list of data sets"
    )
    samples: PositiveCount = Field(description="n, the first training images")
    width: PositiveCount = Field(description="m, width of the blocks")
    depths: Annotated[Widths, Len(min_length=1)] = Field(description="numbers of blocks L")
    step_grid: StepGrid = Field(description="step sizes eta of the pilot runs; the best without divergence is used")
    pilot_steps: PositiveCount = Field(description="steps of the pilot runs")
    steps: PositiveCount = Field(description="full-batch steps")


class Settings(StudySettings):
    """Wu, Wang, Ma 2019, and what its theorem is about."""

    seeds: Seeds = Field(description="random starts and random targets")
    escape: EscapeSettings = Field(description="loss against step")
    depth: DepthSettings = Field(description="iterations against depth")
    growth: GrowthSettings = Field(description="exponential against polynomial")
    theorem: TheoremSettings = Field(description="Theorem 4.3")
    identity: IdentitySettings = Field(description="the exact identity")
    residual: ResidualSettings = Field(description="nonlinear residual networks")
