"""What the Snakefile needs beside the plan: the environment of its jobs, what a run looks at and says before it starts."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from zeroloss import checksums, costs, storage
from zeroloss.environment import DATA_VARIABLE, DEVICE_VARIABLE
from zeroloss.errors import UserError
from zeroloss.plan import Plan
from zeroloss.storage import is_current


def prepare_environment(source: Path, plan: Plan) -> None:
    """Let jobs find this checkout's package, this interpreter, the data folder and the device.

    Jobs then run the same code whether the package is installed or not, whether the environment is activated or not,
    and none of this is part of what decides if a file is up to date.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    os.environ[DEVICE_VARIABLE] = plan.config.device
    if plan.config.data.root:
        os.environ[DATA_VARIABLE] = str(plan.config.data.root.resolve())


def announce(plan: Plan, results: Path, cores: int, local: bool) -> None:
    """Say on stderr what the cells still to be computed will need; stop where this machine cannot hold them.

    Args:
        plan: of the scale that is run.
        results: its results folder.
        cores: jobs beside each other.
        local: whether jobs run on this machine; those of a cluster are not held against it.

    Raises:
        UserError: memory or disk do not suffice.
    """
    waiting = [
        cell.cost
        for study, cells in plan.cells.items()
        for name, cell in cells.items()
        if not is_current(results / "runs" / study / f"{name}.parquet", plan.cell(study, name)["key"])
    ]
    if not waiting:
        return
    print(
        f"zeroloss, scale {plan.scale}: {costs.describe(waiting, cores, gpu=plan.config.device == 'cuda')}.",
        file=sys.stderr,
        flush=True,
    )
    if local:
        costs.require(waiting, cores, results)


def require_writable(folder: Path, purpose: str) -> None:
    """UserError where a folder, or the nearest one above that exists, cannot be written to."""
    found = folder
    while not found.exists():
        found = found.parent
    if not os.access(found, os.W_OK):
        raise UserError(
            f"{found} cannot be written to, and {purpose}: make it writable, or work in a copy of this checkout elsewhere"
        )


def clear_up(results: Path) -> None:
    """Remove temporary files that killed processes left anywhere below ``results``; those being written stay."""
    for folder, _, _ in os.walk(results):
        storage.remove_abandoned(Path(folder))


def computed(plan: Plan) -> Iterator[str]:
    """Everything that carries its provenance: data sets, cells, metrics."""
    yield from (f"datasets/{name}.npz" for name in plan.recipes)
    yield from (f"runs/{study}/{name}.parquet" for study, cells in plan.cells.items() for name in cells)
    yield from (f"metrics/{study}.parquet" for study in plan.studies)


def lost(plan: Plan, results: Path, recorded: Callable[[Path], bool]) -> list[str]:
    """Data sets, cells and metrics that a run here has made (``recorded``) and that are no longer there.

    What was never made here is not missed: metrics may have been brought without the cells behind them.
    """
    return [name for name in computed(plan) if not (results / name).exists() and recorded(results / name)]


def damaged(plan: Plan, results: Path) -> dict[str, str]:
    """Files of the plan that are there and are not what was written -> why; they have to be made again.

    A file that was made from something else is whole, and is none of these: its key says so.
    """
    found = {}
    for name in computed(plan):
        path = results / name
        if path.exists():
            try:
                storage.check_whole(path)
                storage.read_provenance(path)
            except UserError:
                found[name] = "it cannot be read, or is not what was written"
    named = [f"figures/{name}.pdf" for name in plan.figures] + [f"tables/{name}.csv" for name in plan.tables]
    named += [f"claims/{name}.csv" for name in plan.studies] + ["claims.csv", "coverage.csv", "index.html"]
    for name in named:
        found |= dict.fromkeys(checksums.damaged(results, name), "its checksum is not that of what was written")
    return found


def explain_failure(results: Path) -> None:
    """Say on stderr that the disk is full, where it is: the log of the failed job may have found no room to do so."""
    if results.exists() and shutil.disk_usage(results).free < 2**20:
        print(f"zeroloss: the disk of {results} is full: make room and run again", file=sys.stderr, flush=True)
