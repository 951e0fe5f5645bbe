"""Settings, data sets and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import Field, field_validator, model_validator

from zeroloss.datasets.image_groups import ImageGroups
from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import ImageChoice, PositiveCount, Seeds, StepSize, Widths

Portion = Annotated[float, Field(ge=0, le=1)]
Portions = Annotated[list[Portion], Len(min_length=2)]
Classes = Annotated[list[Annotated[int, Field(ge=0, le=65_535, strict=True)]], Len(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class TaskSettings(StudySettings):
    """One problem with labels +1 and -1."""

    images: ImageChoice = Field(description="the images; the task is left out where no source is at hand")
    positive: Classes = Field(description="classes with the label +1")
    negative: Classes = Field(description="classes with the label -1")


class LimitSettings(StudySettings):
    """What follows from H-infinity alone, on all training images."""

    seeds: Seeds = Field(description="seeds of the noise on training and test labels")
    portions: Portions = Field(description="portions of random labels; 0 and 1 are among them")


class NetSettings(StudySettings):
    """Trained networks beside it."""

    seeds: Seeds = Field(description="seeds of initial weights and label noise")
    samples: PositiveCount = Field(description="n: the first training images; all where there are fewer")
    width: PositiveCount = Field(description="hidden units m")
    kappa: StepSize = Field(description="standard deviation of the initial weights")
    steps: PositiveCount = Field(description="steps of gradient descent")
    portions: Portions = Field(description="portions of random labels; 0 and 1 are among them")


class WidthSettings(StudySettings):
    """Theorem 4.1 as the width grows: networks against the prediction, true and random labels."""

    seeds: Seeds = Field(description="seeds of initial weights and of random labels")
    samples: PositiveCount = Field(description="n: the first training images; all where there are fewer")
    widths: Annotated[Widths, Len(min_length=2)] = Field(description="hidden units m")
    kappas: Annotated[list[StepSize], Len(min_length=1)] = Field(
        description="standard deviations of the initial weights"
    )
    steps: PositiveCount = Field(description="steps of gradient descent")


class Settings(StudySettings):
    """Fine-grained analysis of Arora et al. 2019."""

    tasks: Annotated[list[TaskSettings], Len(min_length=1)] = Field(description="image problems")
    relative_step: Annotated[float, Field(gt=0, le=1)] = Field(description="c in eta = c / lambda_max(H-infinity)")
    growth: Share = Field(description="steps that are recorded: each later than the last by this share")
    trust: Share = Field(description="largest share of the residual by which a jump over several steps may miss")
    limit: LimitSettings = Field(description="closed form")
    nets: NetSettings = Field(description="trained networks of Figures 1 and 2")
    widths: WidthSettings = Field(description="trained networks over m")

    @field_validator("tasks")
    @classmethod
    def _one_task_each(cls, tasks: list[TaskSettings]) -> list[TaskSettings]:
        found = [one.images.found for one in tasks if one.images.found]
        if not found:
            raise ValueError("none of these data sets is at hand")
        if len(set(found)) < len(found):
            raise ValueError(f"two tasks lead to the same data set: {', '.join(found)}")
        if any(set(one.positive) & set(one.negative) for one in tasks):
            raise ValueError("a class cannot have both labels")
        return tasks

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        for portions in (self.limit.portions, self.nets.portions):
            if not {0.0, 1.0} <= set(portions):
                raise ValueError("portions must hold 0 (true labels) and 1 (random labels)")
        return self


def present(settings: Settings) -> list[TaskSettings]:
    """The tasks whose images are at hand, in their order."""
    return [task for task in settings.tasks if task.images.found]


def samples_of(task: TaskSettings, part: NetSettings | WidthSettings) -> int:
    """n of the networks of a task."""
    return min(part.samples, task.images.train)


def names(settings: Settings) -> list[str]:
    """Sources of the tasks that are run."""
    return [str(task.images.found) for task in present(settings)]


def _recipe(task: TaskSettings) -> ImageGroups:
    images = task.images
    return ImageGroups(
        source=str(images.found), positive=tuple(task.positive), negative=tuple(task.negative), train=images.train,
        test=images.test,
    )  # fmt: skip


def recipes(settings: Settings) -> list[Recipe]:
    return [_recipe(task) for task in present(settings)]


# pixels of an image, for the cost alone
_PIXELS = {"digits": 64, "semeion": 256, "mnist": 784, "kmnist": 784, "fashion_mnist": 784}


def cells(settings: Settings) -> list[Cell]:
    """Three for each task: closed form, networks of the figures, networks over the width."""
    shared = {key: getattr(settings, key) for key in ("relative_step", "growth", "trust")}
    nets, widths, found = settings.nets, settings.widths, []
    for task in present(settings):
        source, n = str(task.images.found), task.images.train
        d, data = _PIXELS.get(source, 3072), (_recipe(task).name,)
        common = {**shared, "source": source}
        limit = Cost(6 + 4e-10 * n**3, 450 + 50 * n * n // 2**20, disk_mb=1 + n * (len(settings.limit.seeds) + 1) / 2e4)
        net_n, width_n = samples_of(task, nets), samples_of(task, widths)
        runs = (len(nets.portions) + 1) * len(nets.seeds)
        sweep = [(m, 2 * len(widths.kappas) * len(widths.seeds)) for m in widths.widths]
        found += [
            Cell(f"{source}_limit", {"part": "limit", **common, **settings.limit.model_dump()}, data, limit),
            Cell(
                f"{source}_nets", {"part": "nets", **common, **nets.model_dump(), "samples": net_n}, data,
                _net_cost(net_n, min(d, net_n + task.images.test), nets.steps, [(nets.width, runs)]), resumable=True,
            ),
            Cell(
                f"{source}_widths", {"part": "widths", **common, **widths.model_dump(), "samples": width_n}, data,
                _net_cost(width_n, min(d, width_n), widths.steps, sweep), resumable=True,
            ),
        ]  # fmt: skip
    return found


def _net_cost(n: int, d: int, steps: int, nets: list[tuple[int, int]]) -> Cost:
    """Two products of 2 n m d and about 3 ns per pre-activation a jump, a jump for about half of the steps (measured)."""
    moves = 0.5 * steps * sum(m * runs for m, runs in nets)
    widest = max(m for m, _ in nets)
    memory = 450 + (40 * n * n + 4 * widest * (2 * n + 4 * d)) // 2**20
    seconds = 6 + moves * (n * d * 4 / 8e10 + n * 3e-9) + 4e-10 * n**3
    return Cost(seconds, memory, gpu_speedup=30)  # an estimate: products of n x d with d x m, one network at a time
