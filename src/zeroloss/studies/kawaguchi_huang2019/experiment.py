"""Settings, data sets and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import (
    ImageSources,
    LayerCount,
    LayerCounts,
    PositiveCount,
    Seed,
    Seeds,
    StableStep,
    StepSize,
    Widths,
)
from zeroloss.theory.kawaguchi_huang2019 import WidthConstants, construction_widths, parameter_count

# the network of the proof, and what becomes of it when one choice is changed
VARIANTS = ("working", "random_start", "constants_1", "unit_variances")
VARIANT_NAMES = {
    "working": "working constants",
    "random_start": "last layer starts at N(0, c_w)",
    "constants_1": "width constants 1",
    "unit_variances": "c_w = c_b = a = 1",
}
LABELS = ("true", "random")

Depth = Annotated[LayerCount, Field(ge=2)]
Constant = Annotated[float, Field(gt=0, le=1e6)]
Failure = Annotated[float, Field(gt=0, lt=1)]
Samples = Annotated[PositiveCount, Field(ge=2)]
Constants = Annotated[list[Constant], Len(min_length=2)]


class NetworkSettings(StudySettings):
    """The network of the proof of Theorem 1."""

    activation: Literal["softplus", "sigmoid", "tanh"] = Field(description="sigma; Assumption 2 excludes ReLU")
    scale: StepSize = Field(description="a in sigma(a z) / a: softplus tends to ReLU as a grows")
    weight_variance: StepSize = Field(description="c_w, variance of initial weights")
    bias_variance: StepSize = Field(description="c_b, variance of initial thresholds")
    depth: Depth = Field(description="hidden layers H; Theorem 1 needs 2, its remark for H = 1 is another network")
    failure_probability: Failure = Field(description="delta in the widths")
    hidden_constant: Constant = Field(description="m_1..m_(H-2) over H^2 log(H n^2 / delta)")
    bottleneck_constant: Constant = Field(description="m_(H-1) over log(H n^2 / delta)")
    last_constant: Constant = Field(description="m_H over n")

    @property
    def constants(self) -> WidthConstants:
        return WidthConstants(self.hidden_constant, self.bottleneck_constant, self.last_constant)


class GeneralisationSettings(StudySettings):
    """The generalisation figure: squared loss, any number of steps in closed form."""

    seeds: Seeds = Field(description="seeds of split into training and test images, initial weights, random labels")
    sources: ImageSources = Field(
        description="available (every known data set at hand; digits always is), auto, or a list of data sets"
    )
    samples: Samples = Field(description="training images n")
    test_samples: PositiveCount = Field(description="test images")
    steps: PositiveCount = Field(description="full-batch steps of the last layer")
    points_per_decade: PositiveCount = Field(description="steps recorded in each factor of ten")
    relative_step: StableStep = Field(description="c in eta = c / (zeta lambda_max(K / n)); 2 and above diverges")
    margin: StepSize = Field(description="rho of the margin loss and of the bound")
    bound_scale: Annotated[float, Field(ge=1)] = Field(
        description="the bound's varsigma, fixed in advance; large enough to resolve the norm"
    )
    bound_failure: Failure = Field(description="the bound's delta'")


class CrossEntropySettings(StudySettings):
    """The same with cross-entropy, stepped in function space; on the first of the data sets."""

    seeds: Seeds = Field(description="seeds of split into training and test images, initial weights, random labels")
    samples: Samples = Field(description="training images n")
    steps: PositiveCount = Field(description="full-batch steps of the last layer")


class TrainabilitySettings(StudySettings):
    """Probable trainability: random starts that reach epsilon, against the size d."""

    seed: Seed = Field(description="inputs, labels and starts")
    starts: PositiveCount = Field(description="random starts of each network")
    samples: Samples = Field(description="n, on the sphere")
    dimension: PositiveCount = Field(description="m_x")
    outputs: PositiveCount = Field(description="m_y; labels uniform on [-1, 1]")
    bottleneck_constants: Constants = Field(description="m_(H-1) over log(H n^2 / delta)")
    last_constants: Constants = Field(description="m_H over n")
    epsilon: StepSize = Field(description="the loss to reach")
    steps: PositiveCount = Field(description="within so many steps")


class CapacitySettings(StudySettings):
    """Corollary and Theorem 2: the least loss over all parameters, against d / (n m_y)."""

    seeds: Seeds = Field(description="data sets: inputs, random labels and starts")
    samples: Samples = Field(description="n, on the sphere")
    dimension: PositiveCount = Field(description="m_x")
    outputs: Widths = Field(description="m_y; labels uniform on [-1, 1]")
    depths: LayerCounts = Field(description="hidden layers H, all of one width")
    ratios: Constants = Field(description="d / (n m_y) to come near to with whole widths, below 1 from below")
    weight_variance: StepSize = Field(description="c_w of the starts; tanh units")
    bias_variance: StepSize = Field(description="c_b of the starts")
    starts: PositiveCount = Field(description="random starts of Levenberg-Marquardt for each data set and width")
    newton_steps: PositiveCount = Field(description="most steps of Levenberg-Marquardt")

    @model_validator(mode="after")
    def _few_equations(self) -> CapacitySettings:
        sizes = max(self.ratios) * self.samples * max(self.outputs)
        if sizes > 1e6:
            raise ValueError(
                f"samples times the largest of outputs and of ratios is {sizes:g}: it must be at most 1e6, for the widths "
                "of that size are looked for one by one, and Levenberg-Marquardt solves dense systems"
            )
        return self


class SizeSettings(StudySettings):
    """TABLE I and the sizes of the remarks."""

    samples: Annotated[list[Samples], Len(min_length=2)] = Field(description="n of the curves")
    depths: Widths = Field(description="H of Theorem 1's curves")
    dimension: PositiveCount = Field(description="m_x of the curves")
    outputs: PositiveCount = Field(description="m_y of the curves")


class Settings(StudySettings):
    """Kawaguchi and Huang 2019."""

    network: NetworkSettings = Field(description="the network of the construction")
    generalisation: GeneralisationSettings = Field(description="the generalisation figure")
    cross_entropy: CrossEntropySettings = Field(description="the same with cross-entropy")
    trainability: TrainabilitySettings = Field(description="probable trainability against size")
    capacity: CapacitySettings = Field(description="Theorem 2 and its corollary")
    sizes: SizeSettings = Field(description="TABLE I and the remarks on sizes")

    @model_validator(mode="after")
    def _sizes_are_possible(self) -> Settings:
        if self.cross_entropy.samples > self.generalisation.samples:
            raise ValueError(
                f"cross_entropy.samples must not exceed generalisation.samples = {self.generalisation.samples}, "
                "whose images it takes"
            )
        for samples in (self.generalisation.samples, self.cross_entropy.samples, *self.sizes.samples):
            for variant in VARIANTS:
                _at_least_one(
                    "network.hidden_constant, bottleneck_constant and last_constant",
                    lambda variant=variant, samples=samples: widths_of(self, variant, samples),  # type: ignore[misc]
                )
        for bottleneck in self.trainability.bottleneck_constants:
            for last in self.trainability.last_constants:
                constants = WidthConstants(self.network.hidden_constant, bottleneck, last)
                _at_least_one(
                    "trainability.bottleneck_constants and last_constants",
                    lambda constants=constants: construction_widths(  # type: ignore[misc]
                        self.trainability.samples, self.network.depth, self.network.failure_probability, constants
                    ),
                )
        return self


def _at_least_one(settings: str, widths: Callable[[], tuple[int, ...]]) -> None:
    try:
        widths()
    except ValueError as problem:
        raise ValueError(f"{settings}: {problem}") from None


def widths_of(settings: Settings, variant: str, samples: int) -> tuple[int, ...]:
    """m_1..m_H of a variant; ValueError where one is below 1."""
    network = settings.network
    constants = WidthConstants(1, 1, 1) if variant == "constants_1" else network.constants
    return construction_widths(samples, network.depth, network.failure_probability, constants)


def split_recipe(settings: Settings, source: str) -> ImageSplit:
    part = settings.generalisation
    return ImageSplit(source=source, train=part.samples, test=part.test_samples)


def recipes(settings: Settings) -> list[Recipe]:
    return [split_recipe(settings, source) for source in settings.generalisation.sources]


def capacity_widths(settings: Settings | CapacitySettings, depth: int, outputs: int) -> list[int]:
    """Widths whose size comes nearest to each ratio of n m_y: from below where the ratio is below 1, else from above."""
    part = settings.capacity if isinstance(settings, Settings) else settings
    equations, found, width = part.samples * outputs, set(), 1

    def size(width: int) -> int:
        return parameter_count(part.dimension, (width,) * depth, outputs)

    for ratio in sorted(part.ratios):
        while size(width) < ratio * equations:
            width += 1
        below = ratio < 1 and size(width) > ratio * equations
        if not (below and width == 1):
            found.add(width - 1 if below else width)
    return sorted(found)


def _network_parameters(settings: Settings) -> dict[str, Any]:
    network = settings.network
    names = ("activation", "scale", "weight_variance", "bias_variance")
    return {name: getattr(network, name) for name in names}


def _variant_parameters(settings: Settings, variant: str, samples: int) -> dict[str, Any]:
    """What a variant changes, in full: widths, variances, scale, start of the last layer."""
    found = {**_network_parameters(settings), "widths": list(widths_of(settings, variant, samples))}
    if variant == "unit_variances":
        found |= {"scale": 1.0, "weight_variance": 1.0, "bias_variance": 1.0}
    return {**found, "variant": variant, "random_start": variant == "random_start"}


def _generalisation_cost(samples: int, widths: Mapping[str, tuple[int, ...]], seeds: int, points: int) -> Cost:
    last = max(group[-1] for group in widths.values())
    # products of features, one eigendecomposition, and for each recorded step weights and predictions of 20 columns
    flops = 2.0 * samples**2 * last + 25.0 * samples**3 + points * 80.0 * samples * last
    memory = 600 + (3.0 * samples * last + 6.0 * samples**2) * 8 / 2**20
    # float64 products gain more on a GPU, eigendecompositions less
    return Cost(3 + seeds * len(widths) * flops / 25e9, int(memory), gpu_speedup=30)


def cells(settings: Settings) -> list[Cell]:
    part, entropy, trials, capacity = (
        settings.generalisation, settings.cross_entropy, settings.trainability, settings.capacity,
    )  # fmt: skip
    shared: dict[str, Any] = part.model_dump(exclude={"sources", "samples", "test_samples"})
    decades = len(str(part.steps))
    first = part.sources[0]
    found: list[Cell] = []
    own: dict[str, Any]
    for source in part.sources:
        # what the choices matter is shown on the first data set alone
        variants = VARIANTS if source == first else VARIANTS[:1]
        widths = {variant: widths_of(settings, variant, part.samples) for variant in variants}
        cost = _generalisation_cost(part.samples, widths, len(part.seeds), decades * part.points_per_decade)
        own = {
            "part": "curve",
            "source": source,
            "networks": [_variant_parameters(settings, variant, part.samples) for variant in variants],
        }
        found.append(Cell(f"squared_{source}", {**shared, **own}, (split_recipe(settings, source).name,), cost))
    own = {
        **entropy.model_dump(),
        "part": "cross_entropy",
        "source": first,
        "networks": [_variant_parameters(settings, "working", entropy.samples)],
    }
    work = len(entropy.seeds) * 2 * entropy.steps * (20.0 * entropy.samples**2 / 20e9 + 1.2e-5)
    cost = Cost(4 + work, 600, gpu_speedup=20)  # products of 20 columns: 12 us a step go to starting them
    found.append(Cell("cross_entropy", {**shared, **own}, (split_recipe(settings, first).name,), cost))
    networks = [
        {"bottleneck": bottleneck, "last": last, "widths": list(
            construction_widths(
                trials.samples, settings.network.depth, settings.network.failure_probability,
                WidthConstants(settings.network.hidden_constant, bottleneck, last),
            )
        )}
        for bottleneck in trials.bottleneck_constants
        for last in trials.last_constants
    ]  # fmt: skip
    own = {**trials.model_dump(), **_network_parameters(settings), "part": "trainability", "networks": networks}
    work = len(networks) * trials.starts * (trials.samples / 100) ** 3 * 4e-3
    found.append(Cell("trainability", own, (), Cost(3 + work, 500, gpu_speedup=2)))
    sizes = {
        f"{depth} {outputs}": capacity_widths(settings, depth, outputs)
        for depth in capacity.depths
        for outputs in capacity.outputs
    }
    own = {**capacity.model_dump(), "widths": sizes, "part": "capacity"}
    batch = len(capacity.seeds) * capacity.starts
    work = sum(
        batch * capacity.newton_steps * (capacity.samples * outputs / 60) ** 2 * 1.2e-4
        for outputs in capacity.outputs
        for depth in capacity.depths
        for _ in sizes[f"{depth} {outputs}"]
    )
    found.append(Cell("capacity", own, (), Cost(4 + work, 700), resumable=True))
    return found
