"""Whether results are what this code makes: a sample of cells is computed again and compared.

On the platform that made a file the comparison is bit for bit. On another one (other versions of the libraries, another
kind of processor or device) last digits may differ, and grow along a training run: there a column passes when its values
agree to a relative tolerance.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zeroloss import pipeline, storage
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator

if TYPE_CHECKING:
    import pandas as pd

    from zeroloss.plan import Plan

# of a column's largest absolute value; rounding in float32 is 6e-8, and training amplifies it
TOLERANCE = 1e-3

Outcome = Literal["identical", "close", "differs", "made otherwise", "missing"]
PASSED: tuple[Outcome, ...] = ("identical", "close")


@dataclass(frozen=True)
class Check:
    """What one cell came to.

    Attributes:
        study, cell: which one.
        outcome: identical (all bits), close (another platform, within the tolerance), differs, made otherwise (with
            other settings, data or code), missing (or damaged).
        detail: what differs, in a sentence; empty where nothing does.
    """

    study: str
    cell: str
    outcome: Outcome
    detail: str = ""


def choose(plan: Plan, cells: int, seed: int, studies: Sequence[str] = ()) -> list[tuple[str, str]]:
    """A random sample of (study, cell), without repetition; all where there are no more than ``cells``."""
    everything = [(study, cell) for study in studies or plan.studies for cell in plan.cells[plan.study(study).name]]
    order = numpy_generator(seed, "cells to verify").permutation(len(everything))
    return [everything[index] for index in sorted(order[:cells])]


def verify(plan: Plan, results: Path, sample: Sequence[tuple[str, str]], device: str) -> Iterator[Check]:
    """Compute the cells of ``sample`` again, in a temporary folder, and compare each with its file below ``results``.

    Raises:
        UserError: there is no such folder.
    """
    if not results.is_dir():
        raise UserError(f"{results} is no folder: name one that a run has left, such as results/laptop")
    with tempfile.TemporaryDirectory(prefix="zeroloss_verify_") as folder:
        for study, cell in sample:
            yield _check(plan, results, Path(folder), study, cell, device)


def _check(plan: Plan, results: Path, again: Path, study: str, cell: str, device: str) -> Check:
    name = Path("runs") / study / f"{cell}.parquet"
    order = plan.cell(study, cell)
    try:
        found, before = storage.read_provenance(results / name), storage.read_table(results / name)
    except UserError as problem:
        return Check(study, cell, "missing", str(problem))
    if found.get("key") != order["key"]:
        return Check(study, cell, "made otherwise", _what_changed(found, order))
    for dataset in order["datasets"]:
        if not storage.is_current(again / "datasets" / f"{dataset}.npz", order["datasets"][dataset]):
            pipeline.make_dataset(plan.dataset(dataset), again, plan.config.data.root)
    pipeline.run_cell(order, again, device, threads=int(found.get("threads", 1)), quiet=True)
    made, after = storage.read_provenance(again / name), storage.read_table(again / name)
    platform = [part for part in ("device", "processor", "versions") if made.get(part) != found.get(part)]
    differences = compare(before, after)
    if not differences:
        return Check(study, cell, "identical")
    worst = max(differences, key=lambda column: differences[column])
    said = f"{len(differences)} columns, most in {worst}: {differences[worst]:.2g} of its largest value"
    if not platform:
        return Check(study, cell, "differs", f"{said}, on the platform that made it")
    outcome: Outcome = "close" if differences[worst] <= TOLERANCE else "differs"
    return Check(study, cell, outcome, f"{said}; made with another {', '.join(platform)}")


def _what_changed(found: dict[str, Any], order: dict[str, Any]) -> str:
    parts = [part for part in ("parameters", "datasets", "code") if found.get(part) != order[part]]
    return f"made with other {', '.join(parts) or 'settings'}: give the same --set as in the run, or run again"


def compare(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float]:
    """Columns that differ in a bit -> largest difference over the column's largest absolute value.

    Infinity where the difference is no number: other columns or rows, texts, a NaN on one side.
    """
    if list(before.columns) != list(after.columns) or len(before) != len(after):
        return {"the table's shape": float("inf")}
    differences = {}
    for column in before.columns:
        one, two = before[column], after[column]
        if one.equals(two):
            continue
        differences[str(column)] = float("inf")
        if one.dtype.kind in "fiu" and two.dtype.kind in "fiu":
            a, b = one.to_numpy(float), two.to_numpy(float)
            # equal infinities and NaN at the same places are no difference
            apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
            gap = np.abs(a[apart] - b[apart])
            if np.isfinite(gap).all():
                scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
                differences[str(column)] = float(gap.max(initial=0.0) / scale) if scale else float("inf")
    return differences
