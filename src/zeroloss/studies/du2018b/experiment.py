"""Settings, data sets and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import AfterValidator, Field, model_validator

from zeroloss.datasets.image_classes import ImageClasses
from zeroloss.datasets.recipes import Recipe
from zeroloss.datasets.sphere import SpherePoints
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import LayerCount, PositiveCount, Seeds, StableStep, StepSize, Widths, distinct

ARCHITECTURES = ("fully_connected", "resnet", "conv_resnet")
NAMES = {"fully_connected": "fully connected", "resnet": "ResNet", "conv_resnet": "convolutional ResNet"}
LABELS = ("true", "random")
TASKS = ("two", "ten")
TEN = tuple(range(10))

Depth = Annotated[LayerCount, Field(ge=2)]
Nodes = Annotated[int, Field(ge=1, le=200, strict=True)]  # numpy tested its Gauss-Hermite rules up to degree 100
Depths = Annotated[list[Depth], Len(min_length=2)]
Multiples = Annotated[list[StepSize], Len(min_length=2)]


class LimitSettings(StudySettings):
    """K^(H) by quadrature, no training."""

    fully_connected_depths: Depths = Field(description="depths H, fully connected: 0.3^H reaches rounding near H = 25")
    resnet_depths: Depths = Field(description="depths H of the ResNet")
    conv_depths: Depths = Field(description="depths H of the convolutional ResNet")


class TrainingSettings(StudySettings):
    """Loss against step for several depths."""

    width: PositiveCount = Field(description="m, fully connected and ResNet")
    conv_width: PositiveCount = Field(description="m, channels of the convolutional ResNet")
    depths: Depths = Field(description="depths H")
    steps: PositiveCount = Field(description="full-batch gradient steps")


class WidthSettings(StudySettings):
    """Gram matrices and movement of the layers against width."""

    seeds: Seeds = Field(description="seeds of the initial weights")
    depth: Depth = Field(description="depth H")
    widths: Widths = Field(description="m, fully connected and ResNet")
    conv_widths: Widths = Field(description="m, channels of the convolutional ResNet")
    steps: PositiveCount = Field(description="full-batch gradient steps")
    printed_seeds: PositiveCount = Field(
        description="number of networks, at depth 2 and the largest width, that tell printed from right last line"
    )


class StableSettings(StudySettings):
    """The largest step size that trains."""

    width: PositiveCount = Field(description="m, fully connected and ResNet")
    depths: Depths = Field(description="depths H")
    multiples: Multiples = Field(description="step sizes tried, as multiples of 2 / lambda_max of the sum of G^(h)(0)")
    steps: PositiveCount = Field(description="steps after which the loss must be below its start")


class Settings(StudySettings):
    """Du et al. 2018b."""

    activation: Literal["softplus", "tanh"] = Field(description="sigma: smooth, as the theorems ask")
    c_res: Annotated[float, Field(gt=0, lt=1)] = Field(description="factor of the residual branches")
    patch: PositiveCount = Field(description="q, pixels of a patch of the convolutional ResNet")
    pixels: PositiveCount = Field(description="p: an input of d numbers is cut into p pixels of d / p channels")
    nodes: Nodes = Field(description="Gauss-Hermite nodes per dimension for the limits")
    conv_nodes: Nodes = Field(description="the same for the convolutional ResNet, which has p^2 times the pairs")
    seeds: Seeds = Field(description="seeds of the initial weights; for the limits, of the inputs on the sphere")
    samples: PositiveCount = Field(description="n inputs, on the sphere and of the digits")
    dimension: PositiveCount = Field(description="d of the inputs on the sphere")
    two_classes: Annotated[
        list[Annotated[int, Field(ge=0, le=9, strict=True)]], Len(2, 2), AfterValidator(distinct)
    ] = Field(description="the two digits of the two-class problem")
    relative_step: StableStep = Field(description="c in eta = c / lambda_max of the limit of the sum of all G^(h)")
    limits: LimitSettings = Field(description="least eigenvalue of K^(H) against depth")
    sphere: TrainingSettings = Field(description="training on the sphere with labels N(0, 1)")
    digits: TrainingSettings = Field(description="training on digits with true and with random labels")
    widths: WidthSettings = Field(description="widths")
    stable: StableSettings = Field(description="largest stable step size against depth")

    @model_validator(mode="after")
    def _pixels_divide(self) -> Settings:
        if self.dimension % self.pixels or 64 % self.pixels:
            raise ValueError(
                f"pixels must divide dimension and the 64 numbers of a digit: {self.pixels} does not divide "
                f"{self.dimension if self.dimension % self.pixels else 64}"
            )
        return self

    def width_of(self, part: TrainingSettings, architecture: str) -> int:
        return part.conv_width if architecture == "conv_resnet" else part.width

    def widths_of(self, architecture: str) -> list[int]:
        return self.widths.conv_widths if architecture == "conv_resnet" else self.widths.widths

    def depths_of(self, architecture: str) -> list[int]:
        limits = self.limits
        depths = (limits.fully_connected_depths, limits.resnet_depths, limits.conv_depths)
        return dict(zip(ARCHITECTURES, depths, strict=True))[architecture]


def sphere_recipe(settings: Settings, seed: int) -> SpherePoints:
    return SpherePoints(samples=settings.samples, dimension=settings.dimension, seed=seed)


def digits_recipe(settings: Settings, task: str, labels: str) -> ImageClasses:
    classes = tuple(settings.two_classes) if task == "two" else TEN
    return ImageClasses.model_validate(
        {"source": "digits", "samples": settings.samples, "classes": classes, "labels": labels}
    )


def recipes(settings: Settings) -> list[Recipe]:
    return [
        *(sphere_recipe(settings, seed) for seed in settings.seeds),
        *(digits_recipe(settings, task, labels) for task in TASKS for labels in LABELS),
    ]


def _step_seconds(settings: Settings, architecture: str, width: int, depth: int) -> float:
    """Expected seconds of one step of one network: forward and backward of H products, and the update."""
    pixels, patch = (settings.pixels, settings.patch) if architecture == "conv_resnet" else (1, 1)
    flops = 6.0 * settings.samples * pixels * patch * width**2 * depth
    touched = 20.0 * settings.samples * pixels * width * depth
    return flops / 50e9 + touched / 0.8e9 + 3e-5 * depth


# estimated: 0.3 s a step of one core at the paper scale and 3 ms of a GPU (ten layers of small products)
GPU_SPEEDUP = 100.0


def _training_cost(settings: Settings, part: TrainingSettings, architecture: str, problems: int) -> Cost:
    width = settings.width_of(part, architecture)
    seconds = sum(_step_seconds(settings, architecture, width, depth) for depth in part.depths)
    return Cost(3 + seconds * part.steps * len(settings.seeds) * problems, memory_mb=700, gpu_speedup=GPU_SPEEDUP)


def cells(settings: Settings) -> list[Cell]:
    network: dict[str, Any] = {
        "activation": settings.activation,
        "c_res": settings.c_res,
        "patch": settings.patch,
        "pixels": settings.pixels,
        "nodes": settings.nodes,
        "conv_nodes": settings.conv_nodes,
    }
    training = {"seeds": settings.seeds, "relative_step": settings.relative_step}
    sphere = (sphere_recipe(settings, settings.seeds[0]).name,)
    inputs = [sphere_recipe(settings, seed).name for seed in settings.seeds]
    inputs += [digits_recipe(settings, task, "true").name for task in TASKS]
    depths = {architecture: settings.depths_of(architecture) for architecture in ARCHITECTURES}
    plain = settings.nodes**2 * (max(depths["fully_connected"]) + sum(depths["resnet"]))
    conv = (settings.conv_nodes * settings.pixels) ** 2 * sum(depths["conv_resnet"])
    found = [
        Cell(
            "limits",
            {"experiment": "limits", "depths": depths, **network},
            tuple(inputs),
            Cost(3 + settings.samples**2 / 2 * 7e-9 * (plain + conv) * len(inputs), 600),
        )
    ]
    problems = [digits_recipe(settings, task, labels).name for task in TASKS for labels in LABELS]
    for architecture in ARCHITECTURES:
        for name, part, data in (("sphere", settings.sphere, sphere), ("digits", settings.digits, tuple(problems))):
            own = {
                "experiment": "training",
                "architecture": architecture,
                "width": settings.width_of(part, architecture),
                "depths": part.depths,
                "steps": part.steps,
            }
            cost = _training_cost(settings, part, architecture, len(data))
            found.append(Cell(f"{name}_{architecture}", {**own, **network, **training}, data, cost))
    seconds = 0.0
    for architecture in ARCHITECTURES:
        for width in settings.widths_of(architecture):
            once = _step_seconds(settings, architecture, width, settings.widths.depth)
            seconds += once * (settings.widths.steps * len(settings.widths.seeds) + settings.widths.printed_seeds / 4)
    own = settings.widths.model_dump() | {
        "experiment": "widths",
        "widths": {architecture: settings.widths_of(architecture) for architecture in ARCHITECTURES},
        "relative_step": settings.relative_step,
    }
    del own["conv_widths"]
    found.append(Cell("widths", {**own, **network}, sphere, Cost(3 + seconds, 900, gpu_speedup=GPU_SPEEDUP)))
    stable = settings.stable
    seconds = sum(_step_seconds(settings, "resnet", stable.width, depth) for depth in stable.depths)
    seconds *= 2 * len(settings.seeds) * len(stable.multiples) * stable.steps
    own = {**stable.model_dump(), "experiment": "stable", "seeds": settings.seeds}
    found.append(Cell("stable", {**own, **network}, sphere, Cost(3 + seconds, 900, gpu_speedup=GPU_SPEEDUP)))
    return found
