"""Files that are either whole or absent: every write goes to a temporary name and is renamed.

Tables are parquet files whose schema metadata carry their provenance as JSON under the key ``zeroloss`` and a digest of
all that the file says under ``zeroloss_digest``; arrays are .npz, whose members carry a checksum each. So a file that was
cut off, or changed on the disk, is noticed when it is read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroloss.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

METADATA_KEY = b"zeroloss"
DIGEST_KEY = b"zeroloss_digest"
# seconds without a change after which a temporary file of another machine counts as left behind
ABANDONED = 600.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def clear_refusals(path: Path) -> Iterator[None]:
    """Say in one sentence (UserError) that the disk is full or that the folder of ``path`` cannot be written to."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _FULL:
            raise UserError(
                f"the disk of {path.parent} is full: {path.name} could not be written; make room and run again"
            ) from None
        if problem.errno in _REFUSED:
            reason = os.strerror(problem.errno)
            raise UserError(f"{path.parent} cannot be written to ({reason}): {path.name} was not made") from None
        raise


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to ``path`` when the block succeeds.

    The temporary file keeps the suffix (libraries choose formats by it). On failure it is removed and ``path`` is left
    as it was. What a killed process left of earlier attempts at the same file is removed first.

    Raises:
        UserError: the disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    with clear_refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent, path)
        temporary, held = _claim(path)
        try:
            yield temporary
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(held)


def _claim(path: Path) -> tuple[Path, int]:
    """A new temporary file beside ``path``, and a descriptor that holds its lock for as long as this process writes it."""
    while True:
        temporary = path.with_name(f".{path.stem}.{_machine()}{uuid.uuid4().hex[:12]}{path.suffix}")
        held = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        # where a file system has no locks, nothing is ever taken for left behind (remove_abandoned)
        if _lock(held) is not False and os.fstat(held).st_nlink:
            return temporary, held
        # another process looked at the file before it was locked, and took it for left behind
        os.close(held)


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _lock(descriptor: int) -> bool | None:
    """Lock an open file without waiting: False where another process holds it, None where that cannot be known.

    The lock is the operating system's: it is gone with the process, however that ends.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def remove_abandoned(folder: Path, of: Path | None = None) -> list[Path]:
    """Remove temporary files that killed processes left in ``folder``; those being written stay.

    A file being written is locked by its writer. Some file systems keep locks to one machine: what another machine
    left must also be unchanged for ``ABANDONED`` seconds.

    Args:
        folder: looked at alone, without folders inside it.
        of: the file whose temporaries are meant; all files by default.

    Returns:
        What was removed.
    """
    stem, suffix = (re.escape(of.stem), re.escape(of.suffix)) if of else (".+", r"\.\w+")
    pattern = re.compile(rf"\.{stem}\.([0-9a-f]{{6}})?[0-9a-f]{{12}}{suffix}")
    removed = []
    for name in os.listdir(folder):
        found = pattern.fullmatch(name)
        if not found:
            continue
        with contextlib.suppress(OSError):
            held = os.open(folder / name, os.O_RDWR)
            try:
                idle = time.time() - os.fstat(held).st_mtime
                if (found[1] == _machine() or idle > ABANDONED) and _lock(held):
                    os.unlink(folder / name)
                    removed.append(folder / name)
            finally:
                os.close(held)
    return removed


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def as_text(provenance: Mapping[str, Any]) -> str:
    """Provenance as one line of JSON in ASCII: what pictures and texts carry in their metadata under ``zeroloss``."""
    return json.dumps(provenance, sort_keys=True, separators=(",", ":"))


def as_comment(provenance: Mapping[str, Any], suffix: str) -> str:
    """Provenance as one line that a reader of a .md or .tex file does not see."""
    line = f"{METADATA_KEY.decode()} {as_text(provenance)}"
    # two hyphens would end an HTML comment; within a JSON text one may be written as its number
    return f"% {line}" if suffix == ".tex" else f"<!-- {line.replace('--', '-' + chr(92) + 'u002d')} -->"


def _digest(table: pd.DataFrame, provenance: str) -> str:
    """Of names, types and values of all columns and of the provenance, whatever libraries hold them."""
    import pandas as pd

    found = hashlib.sha256(provenance.encode())
    for name, column in table.items():
        if column.dtype.kind in "fiub":
            kind, values = column.dtype.str, column.to_numpy().tobytes()
        else:
            codes, texts = pd.factorize(column)
            kind, values = "text", codes.astype("<i8").tobytes() + json.dumps([str(text) for text in texts]).encode()
        found.update(json.dumps([str(name), kind, len(column)]).encode())
        found.update(values)
    return found.hexdigest()


def write_table(table: pd.DataFrame, path: Path | str, provenance: Mapping[str, Any]) -> None:
    """Write a tidy table as parquet, with ``provenance`` (JSON values) in the file's metadata.

    The bytes depend on the table and the provenance alone: no time stamp, no host name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    about = json.dumps(provenance, sort_keys=True)
    # of the table as a reader gets it
    metadata = {METADATA_KEY: about.encode(), DIGEST_KEY: _digest(arrow.to_pandas(), about).encode()}
    metadata = {**(arrow.schema.metadata or {}), **metadata}
    with atomic_path(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary, compression="zstd")


@contextmanager
def _whole(path: Path | str) -> Iterator[None]:
    """Say in one sentence that a file cannot be read."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to build it") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: its permissions forbid it") from None
    except Exception as problem:
        # a changed byte makes the libraries raise almost anything
        raise UserError(f"{path} is damaged ({type(problem).__name__}): delete it and run the workflow again") from None


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a table written by :func:`write_table`.

    Raises:
        UserError: the file is missing, or is not what was written.
    """
    import pyarrow.parquet as pq

    with _whole(path):
        arrow = pq.read_table(path)
        table, metadata = arrow.to_pandas(), arrow.schema.metadata or {}
        about, digest = (metadata.get(key) for key in (METADATA_KEY, DIGEST_KEY))
        # files of earlier versions have no digest
        if about is not None and digest is not None and _digest(table, about.decode()) != digest.decode():
            raise ValueError
    return table


def read_provenance(path: Path | str) -> dict[str, Any]:
    """The provenance that :func:`write_table` or :func:`write_arrays` stored in the file.

    Raises:
        UserError: the file is missing, damaged or was not written by zeroloss.
    """
    import pyarrow.parquet as pq

    if Path(path).suffix == ".npz":
        return read_arrays(path, only_provenance=True)[1]
    with _whole(path):
        metadata = pq.read_schema(path).metadata or {}
        if METADATA_KEY in metadata:
            return _provenance(path, metadata[METADATA_KEY])
    raise UserError(f"{path} carries no zeroloss provenance: it was not written by this project")


def _provenance(path: Path | str, text: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged (its provenance is no JSON object): delete it and run the workflow again")
    return found


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray], provenance: Mapping[str, Any]) -> None:
    """Write arrays as .npz with ``provenance`` beside them (member ``provenance``, a JSON string)."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        members: dict[str, Any] = {**arrays, "provenance": np.array(json.dumps(provenance, sort_keys=True))}
        np.savez(handle, **members)


def read_arrays(path: Path | str, only_provenance: bool = False) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`write_arrays` wrote: ``(arrays, provenance)``. Pickled members are refused.

    With ``only_provenance`` the arrays are left on the disk.

    Raises:
        UserError: the file is missing, damaged or was not written by zeroloss.
    """
    with _whole(path), np.load(path, allow_pickle=False) as members:
        if len(set(members.files)) < len(members.files):
            raise ValueError  # a changed byte has made two names one
        wanted = [name for name in members.files if name == "provenance" or not only_provenance]
        arrays = {name: members[name] for name in wanted}
    if "provenance" not in arrays:
        raise UserError(f"{path} carries no zeroloss provenance: it was not written by this project")
    return arrays, _provenance(path, str(arrays.pop("provenance")))


def is_current(path: Path, key: str) -> bool:
    """Whether the file is there, whole, and carries this key."""
    try:
        return read_provenance(path).get("key") == key
    except UserError:
        return False


def check_whole(path: Path) -> None:
    """Read a .parquet or .npz from end to end; UserError where it is missing or is not what was written."""
    if path.suffix == ".npz":
        read_arrays(path)
    else:
        read_table(path)
