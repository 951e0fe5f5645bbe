"""Settings of the study, one block per question of the document."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import Field

from zeroloss.studies.contract import StudySettings
from zeroloss.studies.settings import PointCount, PositiveCount, Seeds, StableStep, StepSize, Widths

Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Distance = Annotated[float, Field(ge=1e-12, le=1, allow_inf_nan=False)]
Distances = Annotated[list[Distance], Len(min_length=2)]
Threshold = Annotated[Fraction, Field(description="fraction of the initial loss that counts as trained")]


class ExampleSettings(StudySettings):
    """The document's examples and counter-examples for lambda_0."""

    seeds: Seeds = Field(description="seeds of the random sets")
    samples: PositiveCount = Field(description="n of every random set")
    dimensions: Widths = Field(description="input dimensions d of the sets that the Gershgorin bound is tried on")
    pair_dimension: PositiveCount = Field(description="d of the set in which one pair is moved together")
    antipodal_dimension: PositiveCount = Field(description="d of the d + 1 pairs that are moved to antipodal positions")
    distances: Distances = Field(description="distances eps of the pair, in (0, 1]")


class ApproachSettings(StudySettings):
    """Q1: training while one pair of inputs approaches."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: PositiveCount = Field(description="number of inputs n, the pair included")
    dimension: PositiveCount = Field(description="input dimension d")
    widths: Widths = Field(description="hidden widths m")
    distances: Distances = Field(description="distances eps of the pair, in (0, 1]")
    relative_step: StableStep = Field(description="c in the step size eta = c / lambda_max(H-infinity)")
    threshold: Threshold
    most_steps: PositiveCount = Field(description="steps after which a run is given up as not trained")


class WidthSettings(StudySettings):
    """Q2: the smallest width that trains, against n."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: Widths = Field(description="numbers of inputs n, with d = n")
    fixed_dimension: PositiveCount = Field(description="d of the second series")
    fixed_samples: Widths = Field(description="numbers of inputs n of the second series, with d fixed")
    relative_step: StableStep = Field(description="c in the step size eta = c / lambda_max(H-infinity)")
    threshold: Threshold
    largest_width: PositiveCount = Field(description="width at which the search gives up")
    resolution: StepSize = Field(description="relative accuracy at which the bisection over m stops")
    resamples: PositiveCount = Field(description="bootstrap resamples of the fitted exponent")
    failure: Fraction = Field(description="delta in the theorem's width, for the table")


class OutputLawSettings(StudySettings):
    """Q3: output weights uniform on [-1, 1]."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: PositiveCount = Field(description="number of inputs n")
    dimension: PositiveCount = Field(description="input dimension d")
    widths: Widths = Field(description="hidden widths m")
    steps: PositiveCount = Field(description="full-batch gradient steps")
    relative_step: StableStep = Field(description="c in the step size eta = c / lambda_max(H-infinity)")
    threshold: Threshold


class RadiusSettings(StudySettings):
    """Q4: w_r on spheres of several radii against Gaussian."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: PositiveCount = Field(description="number of inputs n")
    dimension: PositiveCount = Field(description="input dimension d")
    width: PositiveCount = Field(description="hidden width m")
    radii: Annotated[list[StepSize], Len(min_length=2)] = Field(description="radii of the spheres")
    steps: PositiveCount = Field(description="full-batch gradient steps")
    relative_step: StableStep = Field(description="c in the step size eta = c / lambda_max(H-infinity)")
    spectrum_points: PointCount = Field(description="steps, evenly spaced in log(step), with eigenvalues of H(k)")


class MethodSettings(StudySettings):
    """Q9: other losses and other first-order methods."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: PositiveCount = Field(description="number of inputs n")
    dimension: PositiveCount = Field(description="input dimension d")
    width: PositiveCount = Field(description="hidden width m")
    steps: PositiveCount = Field(description="full-batch steps")
    relative_step: StableStep = Field(
        description="c in gradient descent's step c / lambda_max(H-infinity), square loss"
    )
    logistic_factor: StepSize = Field(description="steps of gradient methods are this times longer for logistic loss")
    adam_step: StepSize = Field(description="step size of Adam")
    adam_momentum: Fraction = Field(description="beta_1 of Adam")
    adam_memory: Fraction = Field(description="beta_2 of Adam")
    rmsprop_step: StepSize = Field(description="step size of RMSProp")
    rmsprop_memory: Fraction = Field(description="alpha of RMSProp")
    adaptive_floor: StepSize = Field(description="epsilon added to the root of the mean squared gradient")
    threshold: Threshold
    record_points: PointCount = Field(description="steps, evenly spaced in log(step), with patterns and distances")


class Settings(StudySettings):
    """McCloskey 2022 (document 003): its examples and its questions on training."""

    examples: ExampleSettings = Field(description="section 3: examples and counter-examples for lambda_0")
    approach: ApproachSettings = Field(description="Q1: one pair of inputs approaches")
    smallest_width: WidthSettings = Field(description="Q2: the smallest width that trains")
    output_law: OutputLawSettings = Field(description="Q3: output weights uniform on [-1, 1]")
    radius: RadiusSettings = Field(description="Q4: hidden weights on spheres")
    methods: MethodSettings = Field(description="Q9: other losses and methods")
