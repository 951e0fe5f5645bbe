"""Checksums of files that carry none themselves: pictures, tables and pages, which other programs must be able to read.

``checksums/<file>.sha256`` in a results folder has one line per file that a step wrote, as ``sha256sum`` writes it:
``cd results/laptop && sha256sum --quiet -c checksums/*/*.sha256 checksums/*.sha256`` looks at all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zeroloss import storage


def _of(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _path(results: Path, name: str) -> Path:
    return results / "checksums" / f"{name}.sha256"


@contextmanager
def recorded(results: Path, files: Sequence[str]) -> Iterator[None]:
    """Record the checksums of ``files``, paths below ``results`` that the block writes, under the name of the first.

    While they are written there is no record, so nobody takes half of a new set for damaged.
    """
    record = _path(results, files[0])
    with storage.clear_refusals(record):
        record.unlink(missing_ok=True)
    yield
    storage.write_text(record, "".join(f"{_of(results / name)}  {name}\n" for name in files))


def write_text(results: Path, name: str, text: str) -> None:
    """Write UTF-8 text to ``name`` below ``results``, and its checksum."""
    with recorded(results, [name]):
        storage.write_text(results / name, text)


def damaged(results: Path, name: str) -> list[str]:
    """Files recorded under ``name`` that are there and are not what was written; empty where there is no record."""
    try:
        lines = [line.split("  ", 1) for line in _path(results, name).read_text(encoding="utf-8").splitlines()]
        return [file for digest, file in lines if (results / file).is_file() and _of(results / file) != digest]
    except FileNotFoundError:
        return []
    except ValueError:  # the record itself is damaged: nothing vouches for the file
        return [name]
