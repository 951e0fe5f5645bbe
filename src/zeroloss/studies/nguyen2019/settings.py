"""Settings of the study, one block per experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Len
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from zeroloss.errors import UserError
from zeroloss.studies.contract import StudySettings
from zeroloss.studies.settings import LayerCount, PointCount, PositiveCount, Seed, Seeds, StepSize, Widths
from zeroloss.theory.nguyen2019 import check_width

Momentum = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(gt=1, allow_inf_nan=False)]
Layer = Annotated[str, Field(pattern=r"^(([1-9]\d?)x([1-9]\d?) [1-9]\d{0,5}( /[1-9]\d?)?|pool|full [1-9]\d{0,6})$")]
Variant = Literal["plain", "skip", "rand"]
Scaling = Literal["layer", "network", "entries", "unit", "unit_layer"]  # those of training.surface.SCALINGS


def _first_at_hand(value: Any, info: ValidationInfo) -> Any:
    """A list of data sets -> the first of them that is at hand; one name stays as it is."""
    from zeroloss.datasets import images

    if info.context is None and isinstance(value, str):
        return value  # settings stored with a result
    root: Path | None = (info.context or {}).get("data_root")
    available = images.available(root)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("it must be the name of a data set or a list of names")
    known = {*images.known_sources(), *available}
    for name in names:
        if name not in known:
            raise ValueError(f"{name} is not a known data set; allowed are {', '.join(sorted(known))}")
    return next((name for name in names if name in available), names[0])


def _first_block_at_hand(value: Any, info: ValidationInfo) -> Any:
    """A list of blocks with a source each -> the first of them whose data set is at hand, else the last, alone."""
    if info.context is None or not isinstance(value, list):
        return value  # settings stored with a result; or no list, which the type refuses
    if not value or not all(isinstance(block, dict) and "source" in block for block in value):
        return value  # what is wrong with an entry, the type of the entries says
    from zeroloss.datasets import images

    available = images.available(info.context.get("data_root"))
    try:
        chosen = [block | {"source": _first_at_hand(block["source"], info)} for block in value]
    except ValueError:
        return value
    return [next((block for block in chosen if block["source"] in available), chosen[-1])]


ImageSource = Annotated[str, BeforeValidator(_first_at_hand, json_schema_input_type=str | list[str])]


def _enough(name: str, hidden: int, samples: int) -> None:
    try:
        check_width(hidden, samples)
    except UserError as error:
        raise ValueError(f"{name}: {error}") from None


class RankSettings(StudySettings):
    """Lemma 3.2: the rank of Psi(U) for random U, with M = N neurons in two hidden layers."""

    seed: Seed = Field(description="seed of inputs and weights")
    draws: PositiveCount = Field(description="draws of inputs and weights for each point")
    samples: Widths = Field(description="numbers of samples N; M = N hidden neurons, half in each of two layers")
    dimensions: Widths = Field(description="input dimensions d; the largest is judged")

    exact_samples: PositiveCount = Field(
        description="largest N at which a draw that float64 cannot certify is decided with many digits"
    )
    digits: Annotated[int, Field(ge=50, le=100_000, strict=True)] = Field(
        description="decimal digits of that elimination"
    )

    @model_validator(mode="after")
    def _even(self) -> Self:
        if any(n % 2 for n in self.samples):
            raise ValueError("samples: every N must be even, half of the neurons are in each layer")
        return self


class SurfaceImages(StudySettings):
    """Images of Figure 3 and the sizes that go with them."""

    source: ImageSource = Field(description="a data set, or a list of which the first at hand is taken")
    samples: PositiveCount = Field(description="number of images N; as many hidden neurons M are wired")
    widths: Annotated[list[PositiveCount], Len(2, 2)] = Field(
        description="neurons of the two hidden layers; together at least N"
    )
    seeds: Seeds = Field(description="seeds of initial weights and directions; the images are those of the first")
    epochs: PositiveCount = Field(description="passes over the images")
    batch: PositiveCount = Field(description="images per step")
    compared_seeds: Annotated[int, Field(ge=0, le=10**12, strict=True)] = Field(
        description="number of seeds, the first ones, for which the other readings of scaling are computed"
    )

    @model_validator(mode="after")
    def _checks(self) -> Self:
        _enough("widths", sum(self.widths), self.samples)
        return self


class SurfaceSettings(StudySettings):
    """Figure 3: the loss on random planes through the solution that SGD finds."""

    images: Annotated[
        list[SurfaceImages],
        BeforeValidator(_first_block_at_hand, json_schema_input_type=list[SurfaceImages]),
        Len(min_length=1),
    ] = Field(description="images and sizes; of several entries the first with its data set at hand is taken")
    rate: StepSize = Field(description="learning rate")
    momentum: Momentum = Field(description="Nesterov momentum")
    scaling: Scaling = Field(description="length of the random directions: the reading that is drawn and judged")
    sigmoid_extent: StepSize = Field(description="half-width of the plane, sigmoid")
    softplus_extent: StepSize = Field(description="half-width of the plane, softplus")
    points: Annotated[PointCount, Field(ge=5)] = Field(description="grid points per axis, odd")
    above: Factor = Field(description="a valley is bad if its least loss is more than this times the solution's")
    depth: Factor = Field(description="a valley counts if its rim is at least this times its least loss")

    @property
    def taken(self) -> SurfaceImages:
        """The entry of ``images`` whose data set is at hand; the others are left out when the settings are read."""
        return self.images[0]

    @model_validator(mode="after")
    def _checks(self) -> Self:
        if self.points % 2 == 0:
            raise ValueError("points must be odd, so that the solution is a point of the grid")
        return self


class DeepImages(StudySettings):
    """Images of Figure 5 and how long they are trained on."""

    source: ImageSource = Field(description="a data set, or a list of which the first at hand is taken")
    samples: PositiveCount = Field(description="number of images N; as many hidden neurons are wired")
    seeds: Seeds = Field(description="seeds of initial weights and of the wired neurons; images are those of the first")
    epochs: PositiveCount = Field(description="passes over the images")
    batch: PositiveCount = Field(description="images per step")
    record_every: PositiveCount = Field(description="epochs between records")


class DeepSettings(StudySettings):
    """Figure 5: a very deep and narrow network with and without skip connections."""

    images: Annotated[
        list[DeepImages],
        BeforeValidator(_first_block_at_hand, json_schema_input_type=list[DeepImages]),
        Len(min_length=1),
    ] = Field(description="images and epochs; of several entries the first with its data set at hand is taken")
    depth: LayerCount = Field(description="hidden layers")
    width: PositiveCount = Field(description="neurons per hidden layer")
    rates: Annotated[list[StepSize], Len(min_length=1)] = Field(description="learning rates; the best is drawn bold")
    momentum: Momentum = Field(description="Nesterov momentum")

    @property
    def taken(self) -> DeepImages:
        """The entry of ``images`` whose data set is at hand; the others are left out when the settings are read."""
        return self.images[0]

    @model_validator(mode="after")
    def _checks(self) -> Self:
        _enough("depth", self.depth * self.width, self.taken.samples)
        return self


class ArchitectureSettings(StudySettings):
    """One convolutional network of Tables 1, 2 and 4."""

    name: str = Field(pattern=r"^[a-z0-9]+$", description="name of its cells")
    row: Literal["CNN13", "VGG11"] = Field(description="the row of the paper's tables that it stands beside")
    reduced: bool = Field(description="whether it is smaller than the paper's")
    source: ImageSource = Field(description="a data set, or a list of which the first at hand is taken")
    samples: PositiveCount = Field(description="training images N; as many hidden neurons are wired")
    test_samples: PositiveCount = Field(description="test images")
    layers: Annotated[list[Layer], Len(min_length=1)] = Field(
        description="hidden layers: '3x3 64', '3x3 64 /2', 'pool', 'full 128'"
    )
    variants: Annotated[list[Variant], Len(min_length=1)] = Field(
        description="plain; skip: all weights trained; rand: hidden weights stay random"
    )


class CnnSettings(StudySettings):
    """Tables 1, 2 and 4: convolutional networks with and without skip connections."""

    architectures: Annotated[list[ArchitectureSettings], Len(min_length=1)] = Field(description="the networks")
    seeds: Seeds = Field(description="seeds of initial weights, wired neurons and order of the images")
    rate: StepSize = Field(description="learning rate at the start; divided by 10 at 50 % and 75 % of the epochs")
    momentum: Momentum = Field(description="Nesterov momentum")
    epochs: PositiveCount = Field(description="passes over the images where all weights are trained")
    rand_epochs: PositiveCount = Field(description="passes where only the output layer is trained")
    gain: StepSize = Field(description="variance of hidden weights at the start times their fan-in")
    batch: PositiveCount = Field(description="images per step")
    record_every: PositiveCount = Field(description="epochs between records")

    @model_validator(mode="after")
    def _own_names(self) -> Self:
        names = [one.name for one in self.architectures]
        if len(set(names)) < len(names):
            raise ValueError(f"architectures: every name must be different, and they are {', '.join(names)}")
        return self


class Settings(StudySettings):
    """Nguyen, Mukkamala, Hein 2019."""

    rank: RankSettings = Field(description="Lemma 3.2: rank of the feature matrix")
    surfaces: SurfaceSettings = Field(description="Figure 3: loss surfaces")
    deep: DeepSettings = Field(description="Figure 5: 150 layers")
    cnn: CnnSettings = Field(description="Tables 1, 2, 4")
