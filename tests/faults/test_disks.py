"""A full disk, a read-only disk: one sentence, nothing half-written; with room again the run ends with the same bytes."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.faults.harness import (
    RUN,
    TALLY,
    contents,
    finish,
    injected,
    mounted,
    remount,
    results_of,
    start,
    wait_for_a_job,
    why_no_mounts,
)
from zeroloss import checksums, storage
from zeroloss.errors import UserError
from zeroloss.plotting.style import house_style, save

pytestmark = [pytest.mark.faults, pytest.mark.skipif(why_no_mounts() is not None, reason=str(why_no_mounts()))]


def draw(path):
    import matplotlib.pyplot as plt

    with house_style():
        canvas, axes = plt.subplots(layout="constrained")
        axes.plot(np.arange(1000.0), np.random.default_rng(0).normal(size=1000))
        save(canvas, path.with_suffix(""), title="t", note="n", provenance={"key": "k"})


# every way in which a run writes a file
WRITERS = {
    "parquet": lambda path: storage.write_table(
        pd.DataFrame({"value": np.random.default_rng(0).normal(size=50_000)}), path, {"key": "k"}
    ),
    "npz": lambda path: storage.write_arrays(path, {"x": np.zeros(50_000)}, {"key": "k"}),
    "csv": lambda path: checksums.write_text(path.parent, path.name, "1234567\n" * 50_000),
    "pdf": draw,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_write_to_a_full_disk_leaves_nothing_and_says_so(tmp_path, kind):
    folder = tmp_path / "small"
    with mounted(folder, "size=8k"):
        injected("full disk")
        with pytest.raises(
            UserError, match=rf"the disk of {folder} is full: f\.{kind} could not be written; make room"
        ):
            WRITERS[kind](folder / f"f.{kind}")
        assert [path for path in folder.rglob("*") if path.is_file()] == []
        remount(folder, "size=8m")
        WRITERS[kind](folder / f"f.{kind}")
        assert (folder / f"f.{kind}").stat().st_size > 8192


@pytest.mark.parametrize("kind", WRITERS)
def test_a_write_to_a_read_only_disk_says_so(tmp_path, kind):
    folder = tmp_path / "fixed"
    with mounted(folder, "size=8m"):
        WRITERS[kind](folder / f"f.{kind}")
        remount(folder, "ro")
        injected("read-only disk")
        with pytest.raises(UserError, match=rf"{folder}\S* cannot be written to \(Read-only file system\): "):
            WRITERS[kind](folder / f"f.{kind}")


@pytest.mark.workflow
@pytest.mark.slow
def test_a_run_on_a_full_disk_stops_with_a_sentence_and_goes_on_when_there_is_room(empty, expected):
    results = results_of(empty)
    with mounted(results.parent, "size=20m"):
        run = start(empty)
        wait_for_a_job(empty, run)
        # what the first look found free is taken by something else
        filler = results.parent / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as handle:
            while True:
                handle.write(bytes(4096))
        injected("full disk")
        run.wait(timeout=300)
        said = (empty.folder / "said.txt").read_text()
        assert run.returncode != 0
        assert f"zeroloss: the disk of {results.relative_to(empty.folder)} is full: make room and run again" in said
        assert "Traceback" not in said
        filler.unlink()
        whole = contents(empty)
        TALLY.wrong += any(expected.get(name) != digest for name, digest in whole.items())
        assert {name: digest for name, digest in whole.items() if expected.get(name) != digest} == {}
        finish(empty, expected)


@pytest.mark.workflow
@pytest.mark.slow
def test_results_that_cannot_be_written_to_are_named_before_any_job(built):
    results = results_of(built)
    kept = built.folder.parent / "kept"
    shutil.move(results, kept)
    with mounted(results, "size=50m"):
        shutil.copytree(kept, results, dirs_exist_ok=True)
        # where a file that has to be made again is still there, Snakemake says it: "Write-protected output files"
        for name in ("claims.csv", "index.html"):
            (results / name).unlink()
        before = contents(built)
        remount(results, "ro")
        injected("read-only disk")
        done = built.snakemake(*RUN, check=False)
        said = done.stdout + done.stderr
        assert done.returncode != 0
        assert f"{results.relative_to(built.folder)} cannot be written to, and results go there" in said
        assert "Traceback" not in said
        assert contents(built) == before
    shutil.move(kept, results)


@pytest.mark.workflow
@pytest.mark.slow
def test_a_checkout_that_cannot_be_written_to_is_named(undisturbed, tmp_path):
    folder = tmp_path / "fixed"
    with mounted(folder, "size=100m"):
        ignored = shutil.ignore_patterns(".snakemake", "results", "__pycache__")
        shutil.copytree(undisturbed[0].folder, folder, ignore=ignored, dirs_exist_ok=True)
        remount(folder, "ro")
        injected("read-only disk")
        command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "test_settings.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "cannot be written to, and Snakemake keeps its records there" in said
    assert "Traceback" not in said
