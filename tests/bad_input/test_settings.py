"""Settings: whatever is put for any of them, one sentence names it and says what is allowed."""

from __future__ import annotations

import functools

import pytest

from tests.bad_input import from_schema
from tests.bad_input.tally import check_sentence, tried
from zeroloss import config
from zeroloss.config import load_config
from zeroloss.errors import UserError


@functools.cache
def all_settings():
    return from_schema.settings()


def test_every_count_has_both_limits():
    """A count without an upper limit is memory asked for, or a plan that never ends."""
    for setting in all_settings():
        for node in (setting.node, setting.node.get("items", {})):
            if node.get("type") == "integer" and "enum" not in node:
                least = node.get("minimum", node.get("exclusiveMinimum"))
                most = node.get("maximum", node.get("exclusiveMaximum"))
                assert least is not None and most is not None, setting.name


@pytest.mark.parametrize("study", sorted({setting.path[1] for setting in all_settings()}))
def test_wrong_values(quick, monkeypatch, study):
    monkeypatch.setattr(from_schema, "read_yaml", config.read_yaml)
    monkeypatch.setattr(from_schema, "written", functools.cache(from_schema.written))
    problems = []
    for setting in all_settings():
        if setting.path[1] != study:
            continue
        for mistake in from_schema.mistakes(setting):
            label = f"{mistake.at}: {mistake.why}"
            try:
                load_config("tiny", from_schema.nested(mistake))
            except UserError as problem:
                tried("setting", f"{setting.name} = {mistake.value!r}")
                said = str(problem).splitlines()
                try:
                    # of a list of pairs every number in the wrong place is named
                    assert len(said) == 1 or mistake.why == "a list in a list", said
                    check_sentence(said[0])
                    # the entry itself, its whole list, or a rule of the block that names the list
                    assert said[0].startswith((mistake.at, f"{setting.name} is ", f"{setting.name}: ")), said[0]
                    assert any(word in said[0] for word in ("must", "allowed", "labels")), said[0]
                except AssertionError as wrong:
                    problems.append(f"{label}\n    {wrong}")
            except Exception as crash:
                problems.append(f"{label}\n    {type(crash).__name__}: {crash}")
            else:
                problems.append(f"{label}\n    accepted")
    assert not problems, f"{len(problems)} problems\n" + "\n".join(problems[:40])
