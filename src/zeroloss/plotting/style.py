"""House style: colours with a second cue, sizes for paper and slide, files with their provenance inside."""

from __future__ import annotations

import io
import logging
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from zeroloss.storage import METADATA_KEY, as_text, atomic_path

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
_RC: Any = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    # text as paths, and identifiers from a fixed salt: the same picture is the same file everywhere
    "svg.fonttype": "path",
    "svg.hashsalt": "zeroloss",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the house style to what is drawn inside the block, on a canvas that needs no screen."""
    mpl.use("Agg")
    # it warns of the dates inside matplotlib's own fonts whenever a subset of them goes into a pdf
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    with mpl.rc_context(_RC):
        yield
    plt.close("all")


@dataclass(frozen=True)
class Cue:
    """How one series is told apart: colour and marker together, so that colour alone never carries the meaning."""

    colour: tuple[float, float, float]
    marker: str


def ordered_cues(values: Sequence[int | float]) -> dict[int | float, Cue]:
    """Cues for an ordered quantity such as width: dark to light (viridis, safe for colour-blind readers)."""
    # what seaborn's color_palette gives; importing it costs as long as drawing does, so only pictures that need it do
    points = np.linspace(0, 1, len(values) + 3)[1:-2]
    colours = mpl.colormaps["viridis"](points)[:, :3].tolist()
    return {value: Cue(tuple(colours[k]), _MARKERS[k % len(_MARKERS)]) for k, value in enumerate(values)}


def save(canvas: Figure, stem: Path, *, title: str, note: str, provenance: Mapping[str, Any]) -> None:
    """Write ``stem``.pdf, .svg and .png, with the note below the picture and all words and facts in their metadata.

    The canvas must have the layout "constrained", which makes room for the note; legends belong above the panels.
    ``provenance`` (JSON values, with a ``key``) goes where each format has a place for such: the pdf's Keywords, the
    svg's dc:source, the png's text field ``zeroloss`` (``python -m zeroloss inspect`` reads all of them).
    """
    lines = textwrap.wrap(note, int(canvas.get_figwidth() * 15))
    canvas.supxlabel("\n".join(lines), fontsize=8, color="0.35")
    # one layout for the three files, found once: it costs as much as a file
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")
    about, made = f"{note} [key {provenance['key']}]", as_text(provenance)
    dates = {"CreationDate": None, "ModDate": None}
    metadata = {
        "pdf": {"Title": title, "Subject": about, "Keywords": made, "Creator": "zeroloss", **dates},
        "svg": {"Title": title, "Description": about, "Source": made, "Creator": "zeroloss", "Date": None},
        "png": {"Title": title, "Description": about, METADATA_KEY.decode(): made, "Software": "zeroloss"},
    }
    for suffix, entries in metadata.items():
        # drawn in memory: on a full disk matplotlib's clean-up would hide the reason behind an error of its own
        drawn = io.BytesIO()
        canvas.savefig(drawn, format=suffix, metadata=entries)
        with atomic_path(stem.with_name(f"{stem.name}.{suffix}")) as temporary:
            temporary.write_bytes(drawn.getvalue())
