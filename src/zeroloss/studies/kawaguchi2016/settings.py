"""Settings and cells."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import AfterValidator, Field, model_validator

from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import LayerCounts, PointCount, PositiveCount, Seeds, StableStep, StepSize
from zeroloss.theory import kawaguchi2016 as theory


def _hidden(depths: list[int]) -> list[int]:
    if min(depths) < 1:
        raise ValueError("every entry is a number of hidden layers, at least 1")
    if len(set(depths)) < len(depths):
        raise ValueError("every entry must be different")
    return sorted(depths)


def _falling(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError("every entry must be different")
    return sorted(values, reverse=True)


Depths = Annotated[
    list[Annotated[int, Field(ge=0, le=10_000, strict=True)]], Len(min_length=1), AfterValidator(_hidden)
]
Small = Annotated[float, Field(gt=0, lt=1)]
Sizes = Annotated[list[Small], Len(min_length=2), AfterValidator(_falling)]


class SearchSettings(StudySettings):
    """Critical points found by least squares on the gradient."""

    starts: PositiveCount = Field(description="random starts for each data set, depth, scale and stretch of descent")
    scales: Annotated[list[StepSize], Len(min_length=1)] = Field(description="standard deviations of a start's entries")
    descents: Annotated[list[Annotated[int, Field(ge=0, le=10**12, strict=True)]], Len(min_length=1)] = Field(
        description="steps of gradient descent on the loss before the search"
    )
    descent_step: StepSize = Field(description="their step size")
    steps: PositiveCount = Field(description="most Levenberg-Marquardt steps on |gradient|^2")
    nearby: PositiveCount = Field(description="gradient descents from near each point found without negative curvature")
    radius: Small = Field(description="their distance from it")
    nearby_steps: PositiveCount = Field(description="steps of each")


class EscapeSettings(StudySettings):
    """Gradient descent from near each saddle of the family."""

    relative_step: StableStep = Field(description="c in the step size c / (largest Hessian eigenvalue of the family)")
    directions: PositiveCount = Field(description="random directions of the perturbation, for each data set")
    perturbations: Sizes = Field(description="distances delta of the starts from strict saddles")
    degenerate_perturbations: Sizes = Field(description="distances delta from saddles without negative eigenvalue")
    share: Small = Field(description="escaped: this share of the saddle's loss above the optimum is gone")
    most_steps: PositiveCount = Field(description="a start that is not out by then is recorded as such")
    curve_perturbation: Small = Field(description="delta of the loss curves")
    curve_directions: PositiveCount = Field(description="directions of the loss curves, first data set alone")
    curve_steps: PositiveCount = Field(description="their length")
    curve_points: PointCount = Field(description="points of a curve, evenly spaced in the logarithm of the step")


class Settings(StudySettings):
    """Kawaguchi 2016: critical points of deep linear networks."""

    seeds: Seeds = Field(description="seeds of data sets, starts and directions")
    samples: PositiveCount = Field(description="number of examples N")
    inputs: PositiveCount = Field(description="input dimension d_x")
    outputs: Annotated[int, Field(ge=1, le=12, strict=True)] = Field(
        description="output dimension d_y, at most d_x; the family has 2^d_y points and more"
    )
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(description="size of the label noise")
    depths: Depths = Field(description="numbers of hidden layers H: H + 1 matrices")
    widths: LayerCounts = Field(description="hidden widths, the same for all layers of a network: the theorem's p")
    shown_width: PositiveCount = Field(description="the width of the figures, of the search and of the escapes")
    way_lengths: Sizes = Field(description="lengths t of the ways up and down from each saddle")
    slice_half: StepSize = Field(description="half the side of the slices through two saddles")
    slice_points: Annotated[PointCount, Field(ge=2)] = Field(description="points on a side of a slice")
    search: SearchSettings = Field(description="critical points found from random starts")
    escape: EscapeSettings = Field(description="gradient descent away from saddles")

    @model_validator(mode="after")
    def _assumptions(self) -> Settings:
        """What the theorem assumes and sizes alone can break; ranks and distinct eigenvalues are checked on the data."""
        if self.outputs > self.inputs:
            raise ValueError(f"outputs is {self.outputs} and inputs {self.inputs}, but the theorem needs d_y <= d_x")
        if self.samples < self.inputs:
            raise ValueError(
                f"samples is {self.samples} and inputs {self.inputs}, so X X^T has not full rank as the theorem needs"
            )
        if self.shown_width not in self.widths:
            raise ValueError(f"shown_width is {self.shown_width}, which is not among widths {self.widths}")
        return self


def recipes(settings: Settings) -> list[Recipe]:
    """None: some twenty examples for each data set are drawn where they are used."""
    return []


def family_size(outputs: int, width: int, depth: int) -> int:
    """Number of points of the family for one data set."""
    return sum(len(theory.middle_ranks(len(subset), width, depth)) for subset in theory.kept_subsets(outputs, width))


def cells(settings: Settings) -> list[Cell]:
    s, search, escape = settings, settings.search, settings.escape
    data = s.model_dump(include={"seeds", "samples", "inputs", "outputs", "noise", "depths"})
    points = len(s.seeds) * sum(family_size(s.outputs, width, depth) for width in s.widths for depth in s.depths)
    shown = len(s.seeds) * sum(family_size(s.outputs, s.shown_width, depth) for depth in s.depths)
    own = s.model_dump(include={"widths", "way_lengths", "shown_width", "slice_half", "slice_points"})
    tries = len(s.seeds) * len(s.depths) * search.starts * len(search.scales) * len(search.descents)
    walks = escape.most_steps * len(s.depths) * (3e-5 + shown * escape.directions * 1e-8)
    return [
        Cell("family", {"part": "family", **data, **own}, (), Cost(3 + points * 3e-3, 550)),
        Cell(
            "search", {"part": "search", **data, "width": s.shown_width, **search.model_dump()}, (),
            Cost(3 + tries * search.steps * 2.5e-5, 550),
        ),
        Cell("escape", {"part": "escape", **data, "width": s.shown_width, **escape.model_dump()}, (), Cost(3 + walks, 500)),
    ]  # fmt: skip
