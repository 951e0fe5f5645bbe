"""The fingerprint follows exactly the code that a function can reach."""

from __future__ import annotations

import pytest

from zeroloss import provenance

PACKAGE = {
    "__init__.py": "",
    "low/__init__.py": "",
    "low/numbers.py": """
LIMIT = 3
OTHER = 4

def small(x):
    '''Doc.'''
    return x < LIMIT  # comment

def big(x):
    return x > OTHER
""",
    "low/tools.py": """
from zeroloss.low import numbers

def check(x):
    return numbers.small(x)

class Box:
    def open(self):
        return numbers.big(self)
""",
    "top.py": """
import math
from zeroloss.low.tools import check, Box
from .low import numbers as n

def uses_check(x):
    return check(x)

def uses_box(x):
    return Box()

def uses_local(x):
    from zeroloss.low.numbers import big
    return big(x)

def uses_none(x):
    return math.sqrt(x)

def uses_module(x):
    return f(n)
""",
}


@pytest.fixture
def package(tmp_path):
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def fingerprints() -> dict[str, str]:
        for cached in (provenance._fingerprint, provenance._look_up, provenance._parse, provenance._path):
            cached.cache_clear()
        names = ("uses_check", "uses_box", "uses_local", "uses_none", "uses_module")
        return {name: provenance._fingerprint(tmp_path, (f"zeroloss.top:{name}",)) for name in names}

    def changed(file: str, old: str, new: str) -> set[str]:
        before = fingerprints()
        text = (tmp_path / file).read_text()
        assert old in text
        (tmp_path / file).write_text(text.replace(old, new))
        after = fingerprints()
        return {name for name in before if before[name] != after[name]}

    return changed


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("low/numbers.py", "x < LIMIT", "x <= LIMIT", {"uses_check", "uses_module"}),
        ("low/numbers.py", "LIMIT = 3", "LIMIT = 5", {"uses_check", "uses_module"}),
        ("low/numbers.py", "x > OTHER", "x >= OTHER", {"uses_box", "uses_local", "uses_module"}),
        ("low/tools.py", "return numbers.big(self)", "return None", {"uses_box"}),
        ("top.py", "return math.sqrt(x)", "return math.exp(x)", {"uses_none"}),
        ("low/numbers.py", "# comment", "# another", set()),
        ("low/numbers.py", "'''Doc.'''", "'''Other words.'''", set()),
        ("low/numbers.py", "return x < LIMIT", "return (x <\n            LIMIT)", set()),
        ("top.py", "def uses_none", "def new(x):\n    return check(x)\n\ndef uses_none", set()),
        (
            "low/numbers.py",
            "LIMIT = 3",
            "print('side effect')\nLIMIT = 3",
            {"uses_check", "uses_box", "uses_local", "uses_module"},
        ),
    ],
)
def test_exactly_the_dependants_change(package, file, old, new, expected):
    assert package(file, old, new) == expected


def test_real_steps_depend_on_what_they_use():
    """Training reaches the engine, drawing does not; the fingerprint of the project's own functions is stable."""
    from zeroloss.studies.du2018a import STUDY
    from zeroloss.studies.du2018a.figures import draw_figure1

    assert provenance.fingerprint(STUDY.run) == provenance.fingerprint(STUDY.run)
    assert provenance.fingerprint(STUDY.run) != provenance.fingerprint(draw_figure1)


def test_digest_ignores_the_order_of_keys():
    assert provenance.digest({"a": 1, "b": [2]}) == provenance.digest({"b": [2], "a": 1})
    assert provenance.digest({"a": 1}) != provenance.digest({"a": 1.5})
