"""What a run will need, said beforehand and compared afterwards; and a clear stop where this machine cannot hold it.

Seconds of a core were measured at the default scale and extrapolated; speeds of a GPU are estimates (``ASSUMPTIONS``).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zeroloss import storage
from zeroloss.errors import UserError
from zeroloss.studies.contract import GPU_START_SECONDS, Cost

# what figures, tables, metrics, logs and the page of all studies take beside the training jobs' tables; measured
REST_MB = 45

ASSUMPTIONS = f"""\
core-hours: everything on CPUs, one thread a job; from times on one core of a server processor, extrapolated.
GPU-hours: with device=cuda; an ESTIMATE, measured nowhere. One data-centre GPU (H100 class: about 25 TFLOP/s in float32
without TF32, 3 TB/s), faster than a core by the factor in the column speed-up, and {GPU_START_SECONDS:.0f} s for a job to start.
core-hours beside: what then still runs on CPUs alone; a job on a GPU holds one core as well.
memory: peak of the largest job. disk: tables of the training jobs; figures and the page take some {REST_MB} MB more, data
sets what their files take unpacked."""


def describe(costs: Sequence[Cost], cores: int = 1, gpu: bool = False) -> str:
    """One sentence: jobs, time on ``cores`` cores (and, if there is a ``gpu``, on it), memory of the largest job, disk."""
    beside = [cost for cost in costs if not (gpu and cost.gpu_speedup)]
    seconds = sum(cost.seconds for cost in beside)
    wall = max([seconds / max(cores, 1), *(cost.seconds for cost in beside)], default=0.0)
    memory = max((cost.memory_mb for cost in costs), default=0)
    disk = sum(cost.disk_mb for cost in costs)
    on_gpu = f"an estimated {duration(sum(cost.gpu_seconds for cost in costs))} of one GPU and " if gpu else ""
    return (
        f"{len(costs)} training jobs, {on_gpu}about {duration(seconds)} of one core ({duration(wall)} on {cores}), "
        f"up to {memory} MB of memory each, {disk:.0f} MB of disk"
    )


def table(planned: Mapping[str, Mapping[str, Cost]]) -> str:
    """Study by study: jobs, core-hours, GPU-hours, memory and disk, as a Markdown table with the assumptions below it.

    Args:
        planned: study -> cell -> cost.
    """
    rows = [_row(name, list(cells.values())) for name, cells in planned.items()]
    rows.append(_row("all", [cost for cells in planned.values() for cost in cells.values()]))
    return f"{_markdown(rows)}\n\n{ASSUMPTIONS}"


def _row(name: str, costs: Sequence[Cost]) -> dict[str, Any]:
    on_gpu = [cost for cost in costs if cost.gpu_speedup]
    gain = sum(cost.seconds for cost in on_gpu) / sum(cost.gpu_seconds for cost in on_gpu) if on_gpu else 0.0
    return {
        "study": name,
        "jobs": str(len(costs)),
        "core-hours": _hours(sum(cost.seconds for cost in costs)),
        "longest job, core-hours": _hours(max((cost.seconds for cost in costs), default=0)),
        "GPU-hours": _hours(sum(cost.gpu_seconds for cost in on_gpu)),
        "speed-up": f"{gain:.2g}" if 0 < gain < 10 else f"{gain:.0f}" if gain else "",
        "core-hours beside": _hours(sum(cost.seconds for cost in costs if not cost.gpu_speedup)),
        "memory, MB": str(max((cost.memory_mb for cost in costs), default=0)),
        "disk, MB": f"{sum(cost.disk_mb for cost in costs):.0f}",
    }


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.0f}" if hours >= 99.5 else f"{hours:.2g}" if hours else "0"


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    import pandas as pd

    align = ["left"] + ["right"] * (len(rows[0]) - 1)
    # texts, so that nothing is rounded a second time
    return pd.DataFrame(list(rows)).to_markdown(index=False, colalign=align, disable_numparse=True)


def measured(planned: Mapping[str, Mapping[str, Cost]], results: Path) -> str:
    """Planned beside measured: wall seconds and peak memory of the jobs that Snakemake has run into ``results``.

    Args:
        planned: study -> cell -> cost, of the settings of that run.
        results: a results folder; ``benchmarks/<study>/<cell>.tsv`` below it is read.

    Returns:
        A Markdown table with the ratios measured / planned, and a sentence for each job beyond its plan.
    Raises:
        UserError: there are no benchmarks of these jobs, or one is damaged.
    """
    rows, beyond = [], []
    for study, cells in planned.items():
        found = {
            name: _benchmark(path)
            for name in cells
            if (path := results / "benchmarks" / study / f"{name}.tsv").is_file()
        }
        if not found:
            continue
        expected = {name: _on_its_device(cells[name], results / "runs" / study / f"{name}.parquet") for name in found}
        said, took = sum(expected.values()), sum(seconds for seconds, _ in found.values())
        memory = {name: cells[name].memory_mb for name in found}
        most = max(megabytes for _, megabytes in found.values())
        rows.append(
            {
                "study": study,
                "jobs": f"{len(found)} of {len(cells)}",
                "planned, s": f"{said:.0f}",
                "measured, s": f"{took:.0f}",
                "ratio": f"{took / said:.2f}",
                "planned, MB": str(max(memory.values())),
                "measured, MB": f"{most:.0f}",
                "largest ratio of a job": f"{max(found[name][1] / memory[name] for name in found):.2f}",
            }
        )
        for name, (seconds, megabytes) in found.items():
            if megabytes > memory[name]:
                beyond.append(f"{study} {name}: {megabytes:.0f} MB of memory, planned were {memory[name]}")
            if seconds > 2 * expected[name] + 60:
                beyond.append(f"{study} {name}: {seconds:.0f} s, planned were {expected[name]:.0f}")
    if not rows:
        raise UserError(
            f"{results} has no benchmarks of these jobs: Snakemake writes them where each cell is a job of its own "
            "(seconds_per_job: 0), `run` does not"
        )
    note = "Seconds are wall time: beside other work a job takes longer than planned."
    return "\n".join([_markdown(rows), "", note, *beyond])


def _benchmark(path: Path) -> tuple[float, float]:
    """Wall seconds and peak resident memory (MB) of a job, from Snakemake's benchmark; NaN memory counts as 0."""
    import csv

    try:
        with path.open(encoding="utf-8") as handle:
            row = list(csv.DictReader(handle, delimiter="\t"))[-1]
        # a job of a fraction of a second ends before its memory is looked at: "-" or "NA"
        memory = row["max_rss"] or ""
        return float(row["s"]), float(memory) if memory[:1].isdigit() else 0.0
    except (OSError, UnicodeDecodeError, IndexError, KeyError, ValueError, TypeError):
        raise UserError(f"{path} is not a benchmark of Snakemake, or is damaged: delete it") from None


def _on_its_device(cost: Cost, path: Path) -> float:
    """Expected seconds on the device that made the file; those of a core where it is absent."""
    try:
        device = storage.read_provenance(path).get("device", "cpu")
    except UserError:
        device = "cpu"
    return cost.gpu_seconds if device != "cpu" and cost.gpu_speedup else cost.seconds


def duration(seconds: float) -> str:
    """Some seconds as people say it: 80 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def require(costs: Sequence[Cost], cores: int, folder: Path) -> None:
    """Stop where memory or disk of this machine cannot hold the jobs.

    Args:
        costs: of the jobs still to be run here.
        cores: how many may run beside each other.
        folder: where results go; its nearest existing parent tells the free disk.

    Raises:
        UserError: one sentence with what is needed, what is there and what to do.
    """
    import psutil

    free_memory = psutil.virtual_memory().available / 2**20
    largest = sorted((cost.memory_mb for cost in costs), reverse=True)
    if largest and largest[0] > free_memory:
        raise UserError(
            f"one job needs about {largest[0]} MB of memory and this machine has {free_memory:.0f} MB free: "
            "lower samples or widths in config.yaml, or run on a larger machine"
        )
    together = sum(largest[: max(cores, 1)])
    if together > free_memory:
        fit = next(count for count in range(len(largest), 0, -1) if sum(largest[:count]) <= free_memory)
        raise UserError(
            f"{cores} jobs beside each other need about {together} MB of memory and this machine has "
            f"{free_memory:.0f} MB free: use --cores {fit}"
        )
    while not folder.exists():
        folder = folder.parent
    free_disk, disk = shutil.disk_usage(folder).free / 2**20, sum(cost.disk_mb for cost in costs)
    if disk > free_disk:
        raise UserError(f"results need about {disk:.0f} MB of disk and {folder} has {free_disk:.0f} MB free: make room")
