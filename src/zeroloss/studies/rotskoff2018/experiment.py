"""Settings and cells; what a cell computes is in ``compute`` and ``fluctuations``."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PositiveCount, Seeds, StepSize, Widths

Dimension = Annotated[int, Field(ge=2, le=10_000, strict=True)]
Sizes = Annotated[list[PositiveCount], Len(min_length=2)]


class IdentitySettings(StudySettings):
    """Equations (1.1)-(1.4) and (1.7) on a grid of the sphere in R^3."""

    seeds: Seeds = Field(description="draws of the particles")
    widths: Widths = Field(description="numbers of particles n")
    order: PositiveCount = Field(description="heights of the grid; twice as many longitudes")
    orders: Sizes = Field(description="orders of the grids that the closed forms of F and K are compared with")
    charge_mean: float = Field(description="mean of the charges c; their standard deviation is 1")
    start_draws: PositiveCount = Field(
        description="draws of n independent particles, for the mean excess of their loss"
    )


class SphereSettings(StudySettings):
    """Figure 1: radial units, particle flow on the sphere."""

    seeds: Seeds = Field(description="realisations: seeds of the starting positions")
    dimension: Dimension = Field(description="d")
    exponent: StepSize = Field(description="a in phi(x, y) = exp(-a |x - y|^2 / 2)")
    widths: Widths = Field(description="numbers of particles n")
    step: StepSize = Field(description="Euler step dt")
    steps: PositiveCount = Field(description="number of steps")
    recorded: PositiveCount = Field(
        description="times at which the loss is taken, evenly spaced in log t, beside 0 and 1"
    )
    printed_steps: PositiveCount = Field(description="steps of the flow with the sign of the exponent as printed")
    drawn_width: PositiveCount = Field(description="n of the map of f_n, among widths")
    map_points: Annotated[int, Field(ge=3, le=10_000, strict=True)] = Field(
        description="polar angles of the map; twice as many azimuths"
    )


class SigmoidRun(StudySettings):
    """One dimension of Figures 2 to 4."""

    dimension: Annotated[int, Field(ge=4, le=10_000, strict=True)] = Field(
        description="d; at least 4, for three great circles"
    )
    widths: Widths = Field(description="numbers of units n")
    step: StepSize = Field(description="dt of SGD and quench; not printed")
    steps: PositiveCount = Field(description="SGD steps with batch floor(n / batch_divisor)")
    quench_steps: PositiveCount = Field(description="further steps with the square of that batch")


class SigmoidSettings(StudySettings):
    """Figures 2 to 4: sigmoid units, SGD and quench."""

    seeds: Seeds = Field(description="realisations: seeds of starts and batches")
    runs: Annotated[list[SigmoidRun], Len(min_length=1)] = Field(description="one entry for each dimension")
    batch_divisor: PositiveCount = Field(description="the batch has P = floor(n / this) points, at least one")
    charge_deviation: StepSize = Field(
        description="standard deviation of c at the start; weights and thresholds have 1"
    )
    test_points: PositiveCount = Field(description="points that the final loss is taken over")
    curve_points: PositiveCount = Field(description="points that the loss over time is taken over")
    recorded: PositiveCount = Field(description="times of the loss curve during SGD; a quarter more during the quench")
    slice_points: PositiveCount = Field(description="angles of a slice along a great circle")

    @model_validator(mode="after")
    def _one_run_each(self) -> SigmoidSettings:
        dimensions = [run.dimension for run in self.runs]
        if len(set(dimensions)) < len(dimensions):
            raise ValueError("runs: every dimension may stand once")
        return self

    def batch(self, width: int) -> int:
        """P of SGD; the quench takes its square."""
        return max(1, width // self.batch_divisor)


class FluctuationSettings(StudySettings):
    """The 1/n test: how independent particles spread about the mean-field limit, at equal times."""

    seeds: Seeds = Field(description="realisations: seeds of the starts; they all see the same points")
    dimension: Dimension = Field(description="d")
    points: PositiveCount = Field(description="points of the sphere; their empirical measure is mu")
    widths: Widths = Field(description="numbers of units n")
    reference: PositiveCount = Field(description="units of the network that stands for the limit n -> infinity")
    step: StepSize = Field(description="Euler step of the flow")
    times: Annotated[list[PositiveCount], Len(min_length=1)] = Field(
        description="steps after which it is looked at, beside 0"
    )
    sgd_width: PositiveCount = Field(description="n of the SGD runs, among widths")
    sgd_batch: PositiveCount = Field(description="their batch: points drawn from mu with replacement")
    sgd_step: StepSize = Field(description="their step; they end at the time of the flow")


class Settings(StudySettings):
    """Rotskoff, Vanden-Eijnden 2018: networks as interacting particles."""

    target_seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = Field(
        description="seed of the 3-spin functions, one each d"
    )
    identity: IdentitySettings = Field(description="the loss as an energy of particles")
    sphere: SphereSettings = Field(description="Figure 1")
    sigmoid: SigmoidSettings = Field(description="Figures 2 to 4")
    fluctuations: FluctuationSettings = Field(description="the 1/n test of this project")

    @model_validator(mode="after")
    def _possible(self) -> Settings:
        if self.sphere.drawn_width not in self.sphere.widths:
            raise ValueError("sphere.drawn_width must be among sphere.widths")
        if self.fluctuations.sgd_width not in self.fluctuations.widths:
            raise ValueError("fluctuations.sgd_width must be among fluctuations.widths")
        if self.fluctuations.reference < 4 * max(self.fluctuations.widths):
            raise ValueError("fluctuations.reference must be at least four times the largest of fluctuations.widths")
        return self


# estimates: the sums over units are elementwise (exponentials), a hundred times as fast on a GPU at n = 1024 and bound by
# the calls of a step at n below some 128; all realisations go in one batch
GPU_SPEEDUP = {"sphere": 20.0, "sigmoid": 20.0, "fluctuations": 20.0}


def recipes(settings: Settings) -> list[Recipe]:
    return []


# measured on one busy core: nanoseconds for a pair of particles and step (exp in float64), for a sigmoid unit, point and
# step, and for an input of one of them; seconds for the calls of a step
_PAIR, _UNIT, _INPUT, _CALLS = 3e-9, 1.2e-9, 0.06e-9, 1e-4


def _sgd_seconds(realisations: int, width: int, dimension: int, batch: int, steps: int) -> float:
    points = batch * (3e-8 * dimension + 1e-9 * dimension**2)
    return steps * (_CALLS + realisations * (batch * width * (_UNIT + _INPUT * dimension) + points))


def cells(settings: Settings) -> list[Cell]:
    sphere, sigmoid, fluctuations = settings.sphere, settings.sigmoid, settings.fluctuations
    common = {"target_seed": settings.target_seed}
    found = []

    def add(name: str, experiment: str, own: dict[str, Any], seconds: float, memory_mb: int, resumable: bool) -> None:
        parameters = {**common, "experiment": experiment, **own}
        cost = Cost(4 + seconds, memory_mb, 2.0, gpu_speedup=GPU_SPEEDUP.get(experiment, 0.0))
        found.append(Cell(name, parameters, (), cost, resumable=resumable))

    identity = settings.identity
    seconds = identity.start_draws * sum(width**2 for width in identity.widths) * 1e-7
    add("identity", "identity", identity.model_dump(), seconds, 500, False)
    steps = sphere.steps + sphere.printed_steps
    pairs = len(sphere.seeds) * sum(width**2 for width in sphere.widths)
    seconds = steps * (pairs * _PAIR + len(sphere.widths) * _CALLS)
    memory = 500 + 30 * len(sphere.seeds) * max(sphere.widths) ** 2 * 8 // 10**6
    add("sphere", "sphere", sphere.model_dump(), seconds, memory, True)
    shared = sigmoid.model_dump(exclude={"runs"})
    for run in sigmoid.runs:
        seconds, memory = 0.0, 500
        for width in run.widths:
            for steps, batch in ((run.steps, sigmoid.batch(width)), (run.quench_steps, sigmoid.batch(width) ** 2)):
                seconds += _sgd_seconds(len(sigmoid.seeds), width, run.dimension, batch, steps)
                # a GPU takes all realisations at once
                memory = max(memory, 500 + len(sigmoid.seeds) * batch * width * 8 // 10**6)
        name = f"sigmoid_d{run.dimension}"
        add(name, "sigmoid", {**shared, **run.model_dump()}, seconds, memory, True)
    units = len(fluctuations.seeds) * sum(fluctuations.widths) + fluctuations.reference
    last = max(fluctuations.times)
    seconds = last * units * fluctuations.points * (_UNIT + _INPUT * fluctuations.dimension)
    seconds += _sgd_seconds(
        len(fluctuations.seeds), fluctuations.sgd_width, fluctuations.dimension, fluctuations.sgd_batch,
        int(last * fluctuations.step / fluctuations.sgd_step),
    )  # fmt: skip
    most = max(fluctuations.reference, len(fluctuations.seeds) * max(fluctuations.widths))
    memory = 500 + most * fluctuations.points * 8 // 10**6
    add("fluctuations", "fluctuations", fluctuations.model_dump(), seconds, memory, False)
    return found
