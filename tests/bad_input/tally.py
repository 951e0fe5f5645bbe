"""Every bad input that the tests of this folder tried, and the one form that all their sentences have."""

from __future__ import annotations

import hashlib
import re

# digests of what was put in: a set, so that the same input tried twice counts once
TRIED: set[str] = set()

JARGON = re.compile(
    r"Traceback|Value error|value_error|input_value|input_type|type=|pydantic|instance of|Input should|validation"
    r"|Error\b(?!\))|<class|0x[0-9a-f]{6}|\bNoneType\b|errors\.pydantic\.dev"
)


def check_sentence(said: str, *names: str) -> None:
    """One line, short enough to read, without words of the libraries, with every one of ``names`` in it."""
    assert said and "\n" not in said, said
    assert len(said) < 700, said
    assert not JARGON.search(said), said
    for name in names:
        assert name in said, f"{name!r} is not in: {said}"


def tried(kind: str, what: object) -> None:
    """Count one bad input."""
    TRIED.add(hashlib.sha256(f"{kind} {what}".encode()).hexdigest()[:16])
