"""Bad values for every setting, made from the JSON schema of config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zeroloss.config import merged, project_folder, read_yaml, schema


@dataclass(frozen=True)
class Setting:
    """One setting (or block) as the schema describes it.

    Attributes:
        path: keys from the top; entries of a list of blocks are the number 0.
        kind: integer, number, boolean, array, enum, text or block.
        node: its part of the schema, references resolved.
        value: what the files of the scale give it.
    """

    path: tuple[str | int, ...]
    kind: str
    node: dict[str, Any]
    value: Any

    @property
    def name(self) -> str:
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")


@dataclass(frozen=True)
class Mistake:
    """A setting with a value that it must not have; ``at`` is the place that the sentence has to name."""

    setting: Setting
    value: Any
    why: str
    at: str


def written(scale: str) -> dict[str, Any]:
    """What the files of a scale say."""
    folder = project_folder()
    return merged(read_yaml(folder / "config.yaml"), read_yaml(folder / "workflow/scales" / f"{scale}.yaml"))


def settings(scale: str = "tiny") -> list[Setting]:
    """All settings of all studies, and the blocks they stand in."""
    whole = schema()
    values = written(scale)["studies"]

    def walk(node: dict[str, Any], path: tuple[str | int, ...], value: Any) -> Iterator[Setting]:
        node = _resolved(whole, node)
        kind = _kind(whole, node)
        yield Setting(path, kind, node, value)
        if kind == "block":
            for name, inner in node["properties"].items():
                yield from walk(inner, (*path, name), value[name])
        elif kind == "array" and isinstance(value, list) and value and isinstance(value[0], dict):
            yield from walk(node["items"], (*path, 0), value[0])

    studies = _resolved(whole, whole["properties"]["studies"])["properties"]
    return [found for name, node in studies.items() for found in walk(node, ("studies", name), values[name])]


def _resolved(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = {**whole["$defs"][node["$ref"].rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
    return node


def _kind(whole: dict[str, Any], node: dict[str, Any]) -> str:
    if "enum" in node or "const" in node:
        return "enum"
    if "anyOf" in node:
        return "text"  # names of data sets: one, or a list
    kind = {"object": "block", "string": "text"}.get(node["type"], node["type"])
    return kind


def mistakes(setting: Setting) -> list[Mistake]:
    """Values that the setting must refuse."""
    found: list[Mistake] = []

    def add(value: Any, why: str, at: str = "") -> None:
        found.append(Mistake(setting, value, why, f"{setting.name}{at}"))

    def scalars(node: dict[str, Any], kind: str, example: Any) -> Iterator[tuple[Any, str]]:
        yield {"a": 1}, "a mapping"
        yield None, "nothing"
        if kind in ("integer", "number"):
            yield "many", "a word"
            yield True, "true"
            yield float("nan"), "not a number"
            yield float("inf"), "infinity"
            yield "", "an empty text"
        if kind == "integer":
            yield 1.5, "a fraction"
            yield 10**400, "a number of 400 digits"
        if "minimum" in node:
            yield node["minimum"] - 1, "below the least"
        if "maximum" in node:
            yield node["maximum"] + 1, "above the largest"
        if "exclusiveMinimum" in node:
            yield node["exclusiveMinimum"], "the excluded least"
            yield node["exclusiveMinimum"] - 1, "below the excluded least"
        if "exclusiveMaximum" in node:
            yield node["exclusiveMaximum"], "the excluded largest"
            yield node["exclusiveMaximum"] + 1, "above the excluded largest"
        if kind == "boolean":
            yield "maybe", "a word"
            yield 2, "a number"
            yield 0.5, "a fraction"
        if kind == "enum":
            yield f"{example}x", "nearly an allowed one"
            yield 4, "a number"
        if kind == "text":
            yield 7, "a number"
            yield "no such thing", "an unknown text"
            yield "../../etc/passwd", "a path"

    if setting.kind == "block":
        for value in (5, None, [], "text", True, 0.5):
            add(value, f"{value!r} for a block")
        key = next(iter(setting.node["properties"]))
        for wrong, why in ((f"{key}x", "a neighbour's name"), ("zzz", "an unknown name"), (key.upper(), "in capitals")):
            add({wrong: 1}, why, f".{wrong}")
        add({7: 1}, "a number for a name", "")
        return found
    for value, why in scalars(setting.node, setting.kind, setting.value):
        add(value, why)
    if setting.kind in ("integer", "number", "boolean", "enum"):
        add([setting.value], "a list")
    if setting.kind == "array":
        value, items = setting.value, setting.node["items"]
        add("many", "a word")
        add(3, "a number")
        if not isinstance(value, list):
            return found
        if setting.node.get("minItems"):
            add([], "an empty list")
        if setting.node.get("minItems", 0) > 1:
            add(value[: setting.node["minItems"] - 1], "too few")
        if "maxItems" in setting.node:
            add(value * 9, "too many")
        if "type" in items:
            for wrong, why in scalars(items, items["type"], value[0]):
                add([*value[:-1], wrong], f"an entry that is {why}", f"[{len(value) - 1}]")
            add([value], "a list in a list", "[0]")
    return found


def nested(mistake: Mistake) -> dict[str, Any]:
    """The mistake as settings to lay over the files; entries of lists of blocks are given whole."""
    path, value = mistake.setting.path, mistake.value
    if mistake.setting.kind == "block" and isinstance(value, dict) and 0 in path:
        value = {**mistake.setting.value, **value}
    files = written("tiny")
    for depth in range(len(path) - 1, -1, -1):
        part = path[depth]
        before: Any = files
        for step in path[: depth + isinstance(part, int)]:
            before = before[step] if 0 in path[:depth] or isinstance(part, int) else {}
        if isinstance(part, int):
            value = [{**before, **value} if isinstance(value, dict) and isinstance(before, dict) else value]
        else:
            value = {**before, part: value} if 0 in path[:depth] else {part: value}
    return value
