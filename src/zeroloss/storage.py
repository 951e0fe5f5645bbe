"""Files that are either whole or absent: every write goes to a temporary name and is renamed.

Tables are parquet files whose schema metadata carry their provenance as JSON under the key ``zeroloss``.
"""

from __future__ import annotations

import json
import os
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


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to ``path`` when the block succeeds.

    The temporary file keeps the suffix (libraries choose formats by it). On failure it is removed and
    ``path`` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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


def write_table(table: pd.DataFrame, path: Path | str, provenance: Mapping[str, Any]) -> None:
    """Write a tidy table as parquet, with ``provenance`` (JSON values) in the file's metadata.

    The bytes depend on the table and the provenance alone: no time stamp, no host name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), METADATA_KEY: json.dumps(provenance, sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary, compression="zstd")


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a table written by :func:`write_table`.

    Raises:
        UserError: the file is missing or is not a whole parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to build it") from None
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{path} is damaged ({type(problem).__name__}): delete it and run the workflow again") from None


def read_provenance(path: Path | str) -> dict[str, Any]:
    """The provenance that :func:`write_table` or :func:`write_arrays` stored in the file.

    Raises:
        UserError: the file is missing, damaged or was not written by zeroloss.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if Path(path).suffix == ".npz":
        return read_arrays(path, only_provenance=True)[1]
    try:
        metadata = pq.read_schema(path).metadata or {}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to build it") from None
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise UserError(f"{path} is damaged ({type(problem).__name__}): delete it and run the workflow again") from None
    if METADATA_KEY not in metadata:
        raise UserError(f"{path} carries no zeroloss provenance: it was not written by this project")
    return _provenance(path, metadata[METADATA_KEY])


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
    try:
        with np.load(path, allow_pickle=False) as members:
            wanted = [name for name in members.files if name == "provenance" or not only_provenance]
            arrays = {name: members[name] for name in wanted}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to build it") from None
    except Exception as problem:  # a changed byte makes the libraries raise almost anything
        raise UserError(f"{path} is damaged ({type(problem).__name__}): delete it and run the workflow again") from None
    if "provenance" not in arrays:
        raise UserError(f"{path} carries no zeroloss provenance: it was not written by this project")
    return arrays, _provenance(path, str(arrays.pop("provenance")))


def is_current(path: Path, key: str) -> bool:
    """Whether the file is there, whole, and carries this key."""
    try:
        return read_provenance(path).get("key") == key
    except UserError:
        return False
