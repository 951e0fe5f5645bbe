"""The settings of a run: ``config.yaml``, what a scale changes in it, and what the user overrides, checked as one.

Values stand in the YAML files alone; the models here and in the studies give types, limits and descriptions. The
schema in ``workflow/schemas`` is written from them (``python -m zeroloss config --schema``).
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from zeroloss.environment import DATA_VARIABLE
from zeroloss.errors import UserError
from zeroloss.studies import all_studies
from zeroloss.studies.contract import StudySettings

Scale = Literal["tiny", "laptop", "paper"]
SCALES: tuple[Scale, ...] = get_args(Scale)
Device = Literal["auto", "cpu", "cuda"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Strict):
    """Where original data files are."""

    root: Path | None = Field(
        description="folder with original image files; null takes the environment variable ZEROLOSS_DATA, if it is set"
    )


Studies = create_model(
    "Studies",
    __base__=_Strict,
    __doc__="One block of settings per study.",
    **{  # type: ignore[call-overload]
        name: (study.settings, Field(description=study.paper)) for name, study in all_studies().items()
    },
)


class Config(_Strict):
    """Everything that decides what a run computes."""

    scale: Scale = Field(description="tiny (smoke run), laptop (default) or paper (printed sizes)")
    device: Device = Field(description="auto takes the GPU where there is one; cpu; cuda")
    seconds_per_job: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="cells of one study share a job until they are expected to take this long on one core; "
        "0 makes each a job of its own. No part of any result",
    )
    data: DataSettings
    studies: Studies  # type: ignore[valid-type]

    def study(self, name: str) -> StudySettings:
        """The settings of one study."""
        return getattr(self.studies, name)


def project_folder() -> Path:
    """The folder that holds config.yaml: the working directory, or else the checkout this package is part of.

    Raises:
        UserError: neither has one.
    """
    for folder in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (folder / "config.yaml").is_file() and (folder / "workflow" / "scales").is_dir():
            return folder
    raise UserError("no config.yaml here: run zeroloss from the top folder of its repository")


def parse_yaml(text: str) -> Any:
    """The value of a YAML text; of two equal keys of one mapping neither is taken.

    Raises:
        UserError: not YAML, a key given twice, a number or date that does not exist, nested too deeply.
    """
    import yaml

    try:
        loader = _strict_loader()(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        said = str(getattr(problem, "problem", None) or problem).splitlines()[0]
        raise UserError(f"not valid YAML{where}: {said}") from None
    except ValueError as problem:  # of int() and date(), which see what looks like a number or a date
        raise UserError(f"not valid YAML: {str(problem).split(';')[0]}") from None
    except RecursionError:
        raise UserError("not valid YAML: nested too deeply") from None


@functools.cache
def _strict_loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that a mapping has twice, which YAML forbids and PyYAML takes the last of."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if (key.tag, key.value) in seen:
                        raise yaml.constructor.ConstructorError(
                            problem=f"the key {key.value} is there twice", problem_mark=key.start_mark
                        )
                    seen.add((key.tag, key.value))
            return super().construct_mapping(node, deep)

    return Loader


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping.

    Raises:
        UserError: missing, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnicodeDecodeError as problem:
        raise UserError(f"{path} cannot be read: it is not UTF-8 text (byte {problem.start})") from None
    except OSError as problem:
        raise UserError(f"{path} cannot be read: {problem.strerror or problem}") from None
    try:
        content = parse_yaml(text)
    except UserError as problem:
        raise UserError(f"{path} is {problem}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a mapping of settings")
    return content


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the mappings of ``change`` merged in key by key; other values, lists too, are replaced."""
    result = dict(base)
    for key, value in change.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def typed(value: Any) -> Any:
    """Settings with their types: ``snakemake --config`` hands over every nested value as a string."""
    if isinstance(value, Mapping):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    if isinstance(value, str):
        try:
            return parse_yaml(value)
        except UserError:
            return value
    return value


def load_config(
    scale: str | None = None, overrides: Mapping[str, Any] | None = None, folder: Path | None = None
) -> Config:
    """The checked settings of one scale.

    Args:
        scale: tiny, laptop or paper; None takes ``scale`` of the overrides or of config.yaml.
        overrides: settings laid over the files, e.g. those of the command line.
        folder: where config.yaml and workflow/scales are; None finds it.

    Raises:
        UserError: one sentence per wrong setting, with its key, its value and what is allowed.
    """
    folder = folder or project_folder()
    overrides = dict(overrides or {})
    values = read_yaml(folder / "config.yaml")
    scale = scale or overrides.get("scale") or values.get("scale")
    if scale not in SCALES:
        raise UserError(f"scale is {scale!r}: allowed are {', '.join(SCALES)}")
    change = folder / "workflow" / "scales" / f"{scale}.yaml"
    if change.is_file():
        values = merged(values, read_yaml(change))
    values = merged(merged(values, overrides), {"scale": scale})
    root = _data_root(values)
    if isinstance(values.get("data"), dict):
        values["data"] = {**values["data"], "root": root}
    try:
        config = Config.model_validate(values, context={"data_root": root})
    except ValidationError as problem:
        raise UserError("\n".join(dict.fromkeys(_sentence(error) for error in problem.errors()))) from None
    if wrong := list(_truths(values, config, ())):
        raise UserError("\n".join(f"{_key(loc)} is {value}: it must be a number" for loc, value in wrong))
    return config


def _data_root(values: Mapping[str, Any]) -> Path | None:
    data = values.get("data")
    root = data.get("root") if isinstance(data, Mapping) else None
    origin = "data.root"
    if root is None and os.environ.get(DATA_VARIABLE):
        root, origin = os.environ[DATA_VARIABLE], f"the environment variable {DATA_VARIABLE}"
    if root is None:
        return None
    if not isinstance(root, str | Path):
        raise UserError(f"data.root is {root!r}: it must be the path of a folder, or null")
    try:
        path = Path(root).expanduser()
        found = path.is_dir()
    except (OSError, RuntimeError, ValueError) as problem:  # too long a name, an unknown user's home
        raise UserError(f"{origin} is {shown(str(root))}, which is not a folder: {_reason(problem)}") from None
    if not found:
        raise UserError(f"{origin} is {str(root)!r}, which is not a folder")
    return path


def _reason(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)


def _truths(given: Any, checked: Any, loc: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], bool]]:
    """Where true or false was given for a number: Python counts them as 1 and 0, and so do the models."""
    if isinstance(checked, BaseModel) and isinstance(given, Mapping):
        for name, value in given.items():
            yield from _truths(value, getattr(checked, name), (*loc, name))
    elif isinstance(checked, list) and isinstance(given, list):
        for index, (value, inner) in enumerate(zip(given, checked, strict=False)):
            yield from _truths(value, inner, (*loc, index))
    elif isinstance(given, bool) and not isinstance(checked, bool):
        yield loc, given


def _key(loc: Sequence[str | int]) -> str:
    first, *rest = (_printable(str(loc[0])), *loc[1:]) if loc else ("settings",)
    return "".join((str(first), *(f"[{part}]" if isinstance(part, int) else f".{_printable(part)}" for part in rest)))


def _printable(text: str) -> str:
    return text if text.isprintable() and len(text) <= 80 else shown(text)


def _sentence(error: Any) -> str:
    """One validation error as a sentence with the key, the value and what is allowed."""
    key, kind = _key(error["loc"]), error["type"]
    if kind in ("extra_forbidden", "invalid_key"):
        *parents, last = error["loc"]
        allowed = sorted(_fields(parents))
        close = difflib.get_close_matches(str(last), allowed, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{key} is not a setting: {hint}allowed here are {', '.join(allowed)}"
    if kind == "missing":
        return f"{key} is missing: config.yaml must give it a value"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error" and isinstance(error["input"], Mapping):
        # a rule of a whole block: its message begins with the setting that breaks it
        named = re.match(r"[a-z][a-z0-9_]*", message)
        inside = named is not None and named[0] in _fields(error["loc"])
        return f"{key}.{message}" if inside else f"{key}: {message}"
    message = re.sub(r" or instance of \w+$|, unable to .*| after validation", "", message)
    message = message.replace("Input should be", "it must be").replace("should have", "must have")
    message = message.replace("String should match pattern", "it must match the pattern")
    return f"{key} is {shown(error['input'])}: {message[0].lower()}{message[1:]}"


def _fields(loc: Sequence[str | int]) -> tuple[str, ...]:
    """Names of the settings of the block at ``loc``; none where that is no block."""
    model: Any = Config
    for part in loc:
        if isinstance(part, str):
            model = model.model_fields[part].annotation if hasattr(model, "model_fields") else None
        while get_origin(model) in (list, Annotated):
            model = get_args(model)[0]
    return tuple(getattr(model, "model_fields", ()))


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict = 3, 12, 4
_SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 75, 40, 75


def shown(value: Any) -> str:
    """A value in at most 80 characters, whatever it is (a few lines of YAML can hold billions of entries)."""
    try:
        text = _SHORT.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = "a number of many digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def schema() -> dict[str, Any]:
    """The JSON schema of config.yaml, from the models."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
