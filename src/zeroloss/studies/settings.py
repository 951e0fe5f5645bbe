"""Types of settings that several studies use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from annotated_types import Len
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

PositiveCount = Annotated[int, Field(ge=1, strict=True)]
StepSize = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _distinct(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("every entry must be different")
    return values


Seeds = Annotated[list[Annotated[int, Field(ge=0, strict=True)]], Len(min_length=1), AfterValidator(_distinct)]
Widths = Annotated[list[PositiveCount], Len(min_length=1), AfterValidator(_distinct), AfterValidator(sorted)]


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
        return [name for name in available if name in images.known_sources()]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError("it must be auto or a list of data sets (or available: every known one at hand)")
    known = {*images.known_sources(), *available}
    for name in value:
        if name not in known:
            raise ValueError(f"{name} is not a known data set; allowed are auto and {', '.join(sorted(known))}")
    return _distinct(value)


ImageSources = Annotated[list[str], BeforeValidator(_image_sources, json_schema_input_type=str | list[str])]
