"""What the Snakefile needs beside the plan: the environment of its jobs, and what a run says before it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from zeroloss import costs
from zeroloss.environment import DATA_VARIABLE, DEVICE_VARIABLE
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
