"""Types of settings that several studies use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from annotated_types import Len
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator
from pydantic.json_schema import SkipJsonSchema

from zeroloss.studies.contract import StudySettings

# beyond any machine: counts from here on are mistakes, and memory would be asked for before anything could be said
PositiveCount = Annotated[int, Field(ge=1, le=10**12, strict=True)]
# planning makes an entry for each layer, block or recorded step
LayerCount = Annotated[int, Field(ge=1, le=10_000, strict=True)]
PointCount = Annotated[int, Field(ge=1, le=100_000, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
StepSize = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# c in a step size c / (largest eigenvalue): from 2 on gradient descent diverges
StableStep = Annotated[float, Field(gt=0, lt=2)]


def distinct(values: list[int]) -> list[int]:
    """The values; ValueError where one is there twice."""
    if len(set(values)) < len(values):
        raise ValueError("every entry must be different")
    return values


Seeds = Annotated[list[Seed], Len(min_length=1), AfterValidator(distinct)]
Widths = Annotated[list[PositiveCount], Len(min_length=1), AfterValidator(distinct), AfterValidator(sorted)]
LayerCounts = Annotated[list[LayerCount], Len(min_length=1), AfterValidator(distinct), AfterValidator(sorted)]


def _image_sources(value: Any, info: ValidationInfo) -> Any:
    """``auto`` -> digits and, where data.root holds them, MNIST and Fashion-MNIST; ``available`` -> all at hand."""
    from zeroloss.datasets import images

    if info.context is None and isinstance(value, list):
        return value  # settings stored with a result: checked when they were loaded, maybe where other data was
    root: Path | None = (info.context or {}).get("data_root")
    available = images.available(root)
    if value == "auto":
        return ["digits", *(name for name in ("mnist", "fashion_mnist") if name in available)]
    if value == "available":
        # the JPEG copy of CIFAR-10 is no data set of its own where the exact images are there
        known = [name for name in available if name in images.known_sources()]
        return [name for name in known if name != "cifar10_lossy" or "cifar10" not in known]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError("it must be auto or a list of data sets (or available: every known one at hand)")
    _refuse_unknown(value, {*images.known_sources(), *available}, "auto, available and ")
    return distinct(value)


def _refuse_unknown(names: list[str], known: set[str], besides: str = "") -> None:
    for name in names:
        if name not in known:
            raise ValueError(
                f"{name} is not a known data set; allowed are {besides}{', '.join(sorted(known))}, or put {name}.npz "
                "into the data folder (data.root or ZEROLOSS_DATA)"
            )


ImageSources = Annotated[list[str], BeforeValidator(_image_sources, json_schema_input_type=str | list[str])]


def _image_source(value: Any, info: ValidationInfo) -> Any:
    """A list of data sets in order of preference -> the first that is at hand."""
    from zeroloss.datasets import images

    if info.context is None and isinstance(value, str):
        return value  # settings stored with a result: chosen when they were loaded, maybe where other data was
    root: Path | None = (info.context or {}).get("data_root")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("it must be a data set or a list of data sets in order of preference")
    _refuse_unknown(names, {*images.known_sources(), *images.available(root)})
    return images.first_available(names, root)


ImageSource = Annotated[str, BeforeValidator(_image_source, json_schema_input_type=str | list[str])]
"""One data set, or in the YAML file a list of which the first at hand is taken: after loading, one name."""

# data sets that no checksum is kept of: <name>.npz in the data folder brings them
BROUGHT_BY_USERS = ("cifar100", "svhn")


class ImageChoice(StudySettings):
    """Images that a study wants: the first of some sources that is at hand, or none where none is."""

    first_of: Annotated[list[str], Len(min_length=1)] = Field(description="names of sources, the preferred one first")
    train: PositiveCount = Field(description="training images: the first of the source")
    test: PositiveCount = Field(description="test images: the first of its test set")
    # no setting: what is at hand is looked up when settings are loaded, and stored with results
    found: SkipJsonSchema[str | None] = Field(None, description="the source that is taken; null where none is at hand")

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, value: Any, info: ValidationInfo) -> Any:
        """Fill in ``found``. At hand is what needs no network: data.root, earlier downloads, digits."""
        from zeroloss.datasets import images

        if not isinstance(value, dict) or not isinstance(value.get("first_of"), list):
            return value
        if info.context is None and "found" in value:
            return value  # settings stored with a result, maybe where other data was
        if "found" in value:
            raise ValueError("found is looked up in data.root and cannot be set")
        available = images.available((info.context or {}).get("data_root"))
        known = {*images.known_sources(), *available, *BROUGHT_BY_USERS}
        if not all(isinstance(name, str) for name in value["first_of"]):
            return value
        try:
            _refuse_unknown(value["first_of"], known)
        except ValueError as problem:
            raise ValueError(f"first_of is {value['first_of']}: {problem}") from None
        return {**value, "found": next((name for name in value["first_of"] if name in available), None)}
