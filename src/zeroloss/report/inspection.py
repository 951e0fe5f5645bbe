"""The provenance inside any file that a run leaves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from zeroloss.errors import UserError
from zeroloss.storage import read_provenance


def inspect(path: Path) -> dict[str, Any]:
    """Settings, seeds, versions, device and key of a .parquet or .npz; title, caption and key of a .png or .svg.

    Raises:
        UserError: the file is missing, damaged or of a kind that carries none.
    """
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".npz"):
        return read_provenance(path)
    if suffix not in (".png", ".svg"):
        raise UserError(f"{path} is not a file that carries provenance: allowed are .parquet, .npz, .png and .svg")
    try:
        title, description = _png(path) if suffix == ".png" else _svg(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except Exception as problem:  # a changed byte makes the libraries raise almost anything
        raise UserError(f"{path} is damaged ({type(problem).__name__})") from None
    found = re.fullmatch(r"(.*) \[key (\w+)\]", description, re.DOTALL)
    if found is None:
        raise UserError(f"{path} carries no zeroloss provenance: it was not written by this project")
    return {"title": title, "caption": found[1], "key": found[2]}


def _png(path: Path) -> tuple[str, str]:
    from PIL import Image

    with Image.open(path) as picture:
        return str(picture.info.get("Title", "")), str(picture.info.get("Description", ""))


def _svg(path: Path) -> tuple[str, str]:
    import xml.etree.ElementTree as ElementTree

    root = ElementTree.parse(path).getroot()
    tag = "{http://purl.org/dc/elements/1.1/}"
    return root.findtext(f".//{tag}title") or "", root.findtext(f".//{tag}description") or ""
