"""The 85 items of the five documents: each figure, table, formula and open question.

The lists stand in ``inventory.csv``, ``documents.csv`` and ``errata.csv`` beside this file. An item's id is its
document and a letter for its kind: ``001-F1`` is the first figure of document 001.
"""

from __future__ import annotations

import csv
import functools
import hashlib
from dataclasses import dataclass
from importlib import resources

FILES = ("inventory.csv", "documents.csv", "errata.csv")


@dataclass(frozen=True)
class Item:
    """One thing that a document shows, states or asks.

    Attributes:
        number: place in the inventory, from 1.
        item: id, e.g. ``001-F1``.
        document: ``000`` to ``004``.
        kind: figure, table, equation, theorem, question, schematic, list or unknown.
        where: place in the document.
        what: what it shows, in plain text.
        source: the paper it comes from.
        why: what stands in the way of regenerating it, if anything does.
        unserved: its status as long as no study serves it, ``planned`` or ``not-computable``.
    """

    number: int
    item: str
    document: str
    kind: str
    where: str
    what: str
    source: str
    why: str
    unserved: str


@dataclass(frozen=True)
class Document:
    """One of the five documents."""

    document: str
    title: str
    author: str
    year: str
    description: str


@dataclass(frozen=True)
class Erratum:
    """Something that a document prints and that is not copied here."""

    letter: str
    document: str
    printed: str
    correct: str


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(resources.files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()))


@functools.cache
def items() -> dict[str, Item]:
    """Every item by id, in the order of the documents."""
    found = {}
    for row in _rows("inventory.csv"):
        found[row["item"]] = Item(number=int(row.pop("number")), **row)
    return found


@functools.cache
def documents() -> tuple[Document, ...]:
    """The five documents."""
    return tuple(Document(**row) for row in _rows("documents.csv"))


@functools.cache
def errata() -> tuple[Erratum, ...]:
    """Errors of the documents that no figure, test or caption copies."""
    return tuple(Erratum(**row) for row in _rows("errata.csv"))


@functools.cache
def checksum() -> str:
    """sha256 of the three lists."""
    content = [resources.files(__package__).joinpath(name).read_bytes() for name in FILES]
    return hashlib.sha256(b"\0".join(content)).hexdigest()
