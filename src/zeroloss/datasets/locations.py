"""Where the files of a known data set lie in a folder, and whether they are the published ones."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from zeroloss.datasets.sources import Form, KnownFile, Source
from zeroloss.errors import UserError


@dataclass(frozen=True)
class Found:
    """A form found below ``base``; ``paths`` are parallel to ``form.files``."""

    form: Form
    base: Path
    paths: tuple[Path, ...]


def file_digest(path: Path, like: str = "") -> str:
    """Checksum of a file: md5 where ``like`` is one, sha256 otherwise; in the notation of this module.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open(path, "rb") as handle:
            return _stream_digest(handle, like)
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror or problem}") from None


def _stream_digest(handle: BinaryIO, like: str) -> str:
    if like.startswith("md5:"):
        # names what the publisher chose; says nothing about security
        return "md5:" + hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]
    return hashlib.file_digest(handle, "sha256").hexdigest()  # type: ignore[arg-type]


def _content_digest(path: Path, like: str) -> str:
    try:
        with gzip.open(path, "rb") as handle:
            return _stream_digest(cast(BinaryIO, handle), like)
    except (OSError, EOFError, zlib.error):
        return "unreadable"


def verify(path: Path, known: KnownFile) -> str:
    """Checksum of ``path`` after comparison with the published one.

    A ``.gz`` file that was compressed anew passes where its unpacked bytes are the published ones; an unpacked
    file without a published checksum passes unverified (:func:`is_published` tells).

    Raises:
        UserError: the checksum differs or the file cannot be read.
    """
    unpacked = path.name != known.name
    expected = known.content if unpacked else known.digest
    found = file_digest(path, expected)
    if expected in ("", found):
        return found
    if not unpacked and known.content and _content_digest(path, known.content) == known.content:
        return found
    raise UserError(
        f"{path} is not the published file: its checksum is {found} instead of {expected}; "
        "delete it and fetch it again from the official address, or use it under another name as an .npz file"
    )


def is_published(path: Path, known: KnownFile) -> bool:
    """Whether there is a published checksum for this form (packed or unpacked) of the file."""
    return path.name == known.name or bool(known.content)


def _candidates(form: Form, base: Path) -> Iterator[tuple[str, tuple[Path | None, ...]]]:
    """Per folder of the form: the path of each file, None where it is absent."""
    for folder in form.folders:
        paths = []
        for known in form.files:
            names = [known.name, known.name.removesuffix(".gz")]
            paths.append(next((p for n in names if (p := base / folder / n).is_file()), None))
        yield folder, tuple(paths)


def locate(source: Source, base: Path) -> Found | None:
    """The first form of ``source`` whose files all lie below ``base``; None where there is none."""
    for form in source.forms:
        for folder, paths in _candidates(form, base):
            whole = tuple(path for path in paths if path is not None)
            if len(whole) == len(form.files) and (folder or not form.shared_names or _is_ours(whole[1], form.files[1])):
                return Found(form, base, whole)
    return None


def _is_ours(path: Path, known: KnownFile) -> bool:
    try:
        verify(path, known)
    except UserError:
        return False
    return is_published(path, known)


def missing(source: Source, base: Path | None) -> str:
    """What :func:`locate` looked for, in words: the absent files of the form that is nearest to whole."""
    best = source.forms[0]
    folder, absent = best.folders[0], [known.name for known in best.files]
    for form in source.forms if base else ():
        for place, paths in _candidates(form, base):  # type: ignore[arg-type]
            lacking = [known.name for known, path in zip(form.files, paths, strict=True) if path is None]
            # in the root itself, files with shared names may be those of another data set
            if 0 < len(lacking) < len(form.files) and (place or not form.shared_names):
                folder, absent = place, lacking
    return ", ".join((Path(folder) / name).as_posix() for name in absent)


def check_name(name: str) -> None:
    """Raise UserError where ``name`` could be anything but a plain file stem (it becomes part of paths)."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(f"data set name {name!r} is not allowed: letters, digits, '_', '-' and '.' only")
