"""The provenance inside any file that a run leaves."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroloss import checksums
from zeroloss.errors import UserError
from zeroloss.storage import METADATA_KEY, read_provenance

_KEY = METADATA_KEY.decode()


def inspect(path: Path) -> dict[str, Any]:
    """How a file was made: key, settings or parameters, seeds, data sets, code, versions, devices.

    Pictures (.pdf, .svg, .png) and tables (.md, .tex, and .csv with its .md beside it) carry what .parquet and .npz do;
    those of a figure or table are its study's, with all cells behind it. Claims of a study (.csv in the folder ``claims``)
    are judged from its metrics, whose provenance is theirs.

    Raises:
        UserError: the file is missing, damaged, carries no provenance or is of a kind that cannot; a .csv has been
            changed since it was written.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'missing'}: one file of a run is needed")
    if suffix in (".parquet", ".npz"):
        return read_provenance(path)
    if suffix == ".csv":
        return _of_csv(path)
    if suffix not in _READERS:
        allowed = ", ".join([".parquet", ".npz", ".csv", *_READERS])
        raise UserError(f"{path} is not a file that carries provenance: allowed are {allowed}")
    try:
        text = _READERS[suffix](path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except Exception as problem:  # a changed byte makes the libraries raise almost anything
        raise UserError(f"{path} is damaged ({type(problem).__name__})") from None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or "key" not in found:
        raise UserError(f"{path} carries no zeroloss provenance: it was not written by this project")
    return found


def _of_csv(path: Path) -> dict[str, Any]:
    beside, results = path.with_suffix(".md"), path.absolute().parent.parent
    if path.absolute().parent.name == "claims":
        # claims are judged from the metrics and from nothing else that was computed
        if checksums.damaged(results, f"claims/{path.name}"):
            raise UserError(f"{path} has been changed since it was written")
        return read_provenance(results / "metrics" / f"{path.stem}.parquet")
    if path.name == "claims.csv":
        raise UserError(f"{path} joins the claims of all studies: inspect one of claims/*.csv beside it")
    if not beside.is_file():
        raise UserError(f"{path} carries no provenance: that of a table is in the .md file beside it, which is missing")
    found = inspect(beside)
    if found.get("csv_sha256") != hashlib.sha256(path.read_bytes()).hexdigest():
        raise UserError(f"{path} has been changed since it was written, or is not the table of {beside.name}")
    return found


def _png(path: Path) -> str:
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as picture:
        return str(picture.info.get(_KEY, ""))


def _svg(path: Path) -> str:
    import xml.etree.ElementTree as ElementTree

    # the metadata stand before the drawing, which is long: no more than them is read
    for _, element in ElementTree.iterparse(path):  # noqa: S314  expat refuses entities that grow
        if element.tag == "{http://purl.org/dc/elements/1.1/}source":
            return element.text or ""
        if element.tag == "{http://www.w3.org/2000/svg}metadata":
            break
    return ""


def _pdf(path: Path) -> str:
    # the document information as matplotlib writes it: ASCII, with parentheses and backslashes escaped by a backslash
    found = re.search(rb"/Keywords \(((?:\\.|[^\\)])*)\)", path.read_bytes(), re.DOTALL)
    return re.sub(rb"\\(.)", rb"\1", found[1]).decode("ascii") if found else ""


def _comment(path: Path) -> str:
    found = re.search(rf"^(?:<!--|%) {_KEY} (\{{.*?\}})(?: -->)?$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


_READERS: dict[str, Callable[[Path], str]] = {
    ".pdf": _pdf,
    ".svg": _svg,
    ".png": _png,
    ".md": _comment,
    ".tex": _comment,
}
