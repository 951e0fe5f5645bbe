"""The settings of a run: ``config.yaml``, what a scale changes in it, and what the user overrides, checked as one.

Values stand in the YAML files alone; the models here and in the studies give types, limits and descriptions. The
schema in ``workflow/schemas`` is written from them (``python -m zeroloss config --schema``).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

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


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping.

    Raises:
        UserError: missing, not YAML, or not a mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"{path} cannot be read: {problem}") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UserError(f"{path} is not valid YAML{where}: {getattr(problem, 'problem', None) or problem}") from None
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
    import yaml

    if isinstance(value, Mapping):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    if isinstance(value, str):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
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
        return Config.model_validate(values, context={"data_root": root})
    except ValidationError as problem:
        raise UserError("\n".join(_sentence(error, values) for error in problem.errors())) from None


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
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(f"{origin} is {str(root)!r}, which is not a folder")
    return path


def _sentence(error: Any, values: Mapping[str, Any]) -> str:
    """One validation error as a sentence with the key, the value and what is allowed."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    if error["type"] == "extra_forbidden":
        *parents, last = error["loc"]
        model: Any = Config
        for part in parents:
            model = model.model_fields[part].annotation if hasattr(model, "model_fields") else model
        allowed = sorted(getattr(model, "model_fields", {}))
        close = difflib.get_close_matches(str(last), allowed, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{key} is not a setting: {hint}allowed here are {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{key} is missing: config.yaml must give it a value"
    message = error["msg"].removeprefix("Value error, ")
    message = re.sub(r" or instance of \w+$", "", message)
    message = message.replace("Input should be", "it must be").replace("should have", "must have")
    return f"{key} is {_shown(error['input'])}: {message[0].lower()}{message[1:]}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def schema() -> dict[str, Any]:
    """The JSON schema of config.yaml, from the models."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
