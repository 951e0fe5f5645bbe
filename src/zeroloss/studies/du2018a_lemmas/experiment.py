"""Settings, data sets, cells; what a cell computes is in ``parts``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import Field, model_validator

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.datasets.sphere import SpherePoints
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PointCount, PositiveCount, Seed, Seeds, StepSize, Widths

Samples = Annotated[PositiveCount, Field(description="number of inputs n")]
Dimension = Annotated[PositiveCount, Field(description="input dimension d")]
HiddenWidths = Annotated[Widths, Field(description="hidden widths m")]
Fractions = Annotated[list[StepSize], Field(min_length=1)]


class InitialSettings(StudySettings):
    """Lemma 3.1: one data set, many draws of the initial weights (the lemma's probability is over these)."""

    data_seed: Seed = Field(description="seed of the one data set")
    draws: PositiveCount = Field(description="independent draws of the initial weights, seeds 0, 1, ...")
    samples: Samples
    dimension: Dimension
    widths: HiddenWidths


class PerturbedSettings(StudySettings):
    """Lemma 3.2: every hidden unit moved by R."""

    seeds: Seeds = Field(description="seeds of inputs, initial weights and random directions")
    samples: Samples
    dimension: Dimension
    widths: HiddenWidths
    radii: Fractions = Field(description="lengths R of the moves")

    @model_validator(mode="after")
    def _independent_inputs(self) -> Self:
        if self.samples > self.dimension:
            raise ValueError(
                f"samples must be at most dimension = {self.dimension}: adversarial moves need linearly independent inputs"
            )
        return self


class FlowSettings(StudySettings):
    """Theorems 3.2 and 3.3 and Lemma 3.3: gradient flow, hidden layer or both layers trained."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: Samples
    dimension: Dimension
    widths: HiddenWidths
    horizon: StepSize = Field(description="last time, in units of 1/lambda_0")
    points: PointCount = Field(description="times at which metrics are taken, evenly spaced, beside t = 0")
    tolerance: StepSize = Field(description="relative and absolute tolerance of the solver per step")
    single_draws: PositiveCount = Field(description="draws of the single-input problem (n = 1), seeds 0, 1, ...")
    single_width: PositiveCount = Field(description="its hidden width m")


class DescentSettings(StudySettings):
    """Theorem 4.1 and Corollary 4.1: gradient descent, one step size with all metrics and a sweep of step sizes."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: Samples
    dimension: Dimension
    widths: HiddenWidths = Field(description="hidden widths m of Corollary 4.1")
    steps: PositiveCount = Field(description="full-batch gradient steps")
    relative_step: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Corollary 4.1: step size over 2/lambda_max(H-infinity); from 1 on gradient descent diverges"
    )
    sweep_widths: Widths = Field(description="hidden widths m of the sweep of step sizes")
    sweep_relative_steps: Fractions = Field(description="step sizes of the sweep over 2/lambda_max(H-infinity)")


class Settings(StudySettings):
    """Du et al. 2018a, the lemmas."""

    failure_probability: float = Field(gt=0, lt=1, description="delta of the lemmas' bounds")
    initial: InitialSettings = Field(description="Lemma 3.1")
    perturbed: PerturbedSettings = Field(description="Lemma 3.2")
    flow: FlowSettings = Field(description="Theorems 3.2 and 3.3, Lemma 3.3")
    descent: DescentSettings = Field(description="Theorem 4.1, Corollary 4.1")


TRAINED = ("hidden", "both")
DIRECTIONS = ("random", "most flips", "one input")


def _sphere(settings: PerturbedSettings | FlowSettings | DescentSettings, seed: int) -> SpherePoints:
    return SpherePoints(samples=settings.samples, dimension=settings.dimension, seed=seed)


def _initial_sphere(settings: InitialSettings) -> SpherePoints:
    return SpherePoints(samples=settings.samples, dimension=settings.dimension, seed=settings.data_seed)


def recipes(settings: Settings) -> list[Recipe]:
    found = [_initial_sphere(settings.initial)]
    for block in (settings.perturbed, settings.flow, settings.descent):
        found += [_sphere(block, seed) for seed in block.seeds]
    return list({recipe.name: recipe for recipe in found}.values())


def _cell(name: str, part: str, block: StudySettings, data: Sequence[Recipe], cost: Cost, **own: Any) -> Cell:
    parameters = {"part": part, **block.model_dump(mode="json"), **own}
    return Cell(name, parameters, tuple(recipe.name for recipe in data), cost)


def _costs(settings: Settings) -> dict[str, Cost]:
    """From timings on one core: see docs/du2018a_lemmas.md."""
    initial, perturbed, flow, descent = settings.initial, settings.perturbed, settings.flow, settings.descent
    n = initial.samples
    work = initial.draws * sum(m * (2e-8 * initial.dimension + 5e-11 * n * initial.dimension) for m in initial.widths)
    start = initial.draws * len(initial.widths) * (2e-3 + 3e-10 * n**3)
    memory = 500 + int(16e-6 * max(initial.widths) * (n + initial.dimension))
    # on a GPU the products gain, drawing and spectra (on the CPU) do not
    found = {"initial": Cost(3 + work + start, memory, gpu_speedup=2)}
    n = perturbed.samples
    moves = len(perturbed.seeds) * sum(m * (1.2e-4 * (n / 100) ** 2 + 3e-9 * n * n) for m in perturbed.widths)
    eigen = 3 * len(perturbed.seeds) * len(perturbed.widths) * len(perturbed.radii) * 4e-9 * n**3
    found["perturbed"] = Cost(
        3 + moves + eigen, 550 + int(4e-6 * max(perturbed.widths) * n * len(perturbed.radii) + 3e-2 * n * n)
    )
    n = flow.samples
    ode = len(flow.seeds) * sum(8e-6 * n * m + 0.1 for m in flow.widths) * flow.horizon / 5
    found["flow"] = Cost(3 + ode, 450 + int(1.5e-4 * n * max(flow.widths)))
    n = descent.samples
    step = 3.5e-11 * n * n + 4e-9 * n
    trained = len(descent.seeds) * descent.steps * sum(m * step for m in descent.widths)
    swept = len(descent.seeds) * descent.steps * (len(descent.sweep_relative_steps) + 1)
    seconds = 3 + trained + swept * sum(m * step for m in descent.sweep_widths)
    found["descent"] = Cost(seconds, 600, gpu_speedup=20)
    return found


def cells(settings: Settings) -> list[Cell]:
    costs = _costs(settings)
    initial, perturbed, flow, descent = settings.initial, settings.perturbed, settings.flow, settings.descent
    times = [_sphere(flow, seed) for seed in flow.seeds]
    return [
        _cell("initial", "initial", initial, [_initial_sphere(initial)], costs["initial"]),
        _cell(
            "perturbed",
            "perturbed",
            perturbed,
            [_sphere(perturbed, seed) for seed in perturbed.seeds],
            costs["perturbed"],
            failure_probability=settings.failure_probability,
        ),
        *(_cell(f"flow_{trained}", "flow", flow, times, costs["flow"], trained=trained) for trained in TRAINED),
        _cell(
            "descent", "descent", descent, [_sphere(descent, seed) for seed in descent.seeds], costs["descent"]
        ),
    ]  # fmt: skip


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """The rows of one cell; column ``part`` tells what they are about, ``parts`` lists their columns."""
    from zeroloss.studies.du2018a_lemmas import parts

    return {
        "initial": parts.run_initial,
        "perturbed": parts.run_perturbed,
        "flow": parts.run_flow,
        "descent": parts.run_descent,
    }[parameters["part"]](parameters, datasets, device, quiet)
