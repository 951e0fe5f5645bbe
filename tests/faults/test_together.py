"""Several at once in one folder, and what killed ones leave there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.harness import (
    RESNET,
    RUN,
    TALLY,
    finish,
    injected,
    results_of,
    start,
    wait_for_a_job,
)
from zeroloss import storage

pytestmark = [pytest.mark.faults]

WRITER = """
import sys, time
from zeroloss import storage
with storage.atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("half", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def writer_of(path: Path):
    """Another process, in the middle of writing ``path``."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "half\n"
        yield process
    finally:
        process.kill()
        process.wait()


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def test_what_a_killed_writer_left_is_removed_and_what_a_live_one_writes_stays(tmp_path):
    path = tmp_path / "table.name.csv"
    with writer_of(path) as live, writer_of(path) as killed:
        assert len(hidden(tmp_path)) == 2, "the second writer takes nothing from the first"
        killed.kill()
        killed.wait()
        injected("kill -9 of a writer")
        storage.write_text(tmp_path / "table.csv", "another file")
        assert len(hidden(tmp_path)) == 2, "files of another name are none of its business"
        storage.write_text(path, "whole")
        assert path.read_text() == "whole"
        assert len(hidden(tmp_path)) == 1
        assert storage.remove_abandoned(tmp_path) == []
        live.kill()
        live.wait()
        injected("kill -9 of a writer")
        assert len(storage.remove_abandoned(tmp_path)) == 1
    assert hidden(tmp_path) == []


def test_files_of_another_machine_and_of_others_are_left_alone_for_a_while(tmp_path):
    elsewhere = tmp_path / ".a.ffffff0123456789ab.csv"
    foreign = [tmp_path / ".hidden.csv", tmp_path / ".a.0123.csv", tmp_path / "a.0123456789ab.csv"]
    for path in (elsewhere, *foreign):
        path.write_text("?")
    storage.write_text(tmp_path / "a.csv", "whole")
    assert elsewhere.exists()
    long_ago = time.time() - 2 * storage.ABANDONED
    for path in (elsewhere, *foreign):
        os.utime(path, (long_ago, long_ago))
    assert storage.remove_abandoned(tmp_path) == [elsewhere]
    assert all(path.exists() for path in foreign)


@pytest.mark.workflow
@pytest.mark.slow
def test_two_workflows_and_the_command_line_in_one_folder(empty, expected):
    """The second workflow is refused; ``zeroloss run`` may go on beside the first; after a kill one line frees the folder."""
    first = start(empty)
    wait_for_a_job(empty, first)
    second = empty.snakemake(*RUN, check=False)
    injected("second workflow")
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert "Traceback" not in second.stderr
    assert first.poll() is None, (empty.folder / "said.txt").read_text()[-3000:]
    by_hand = [sys.executable, "-m", "zeroloss", "run", RESNET, "--set", "device=cpu"]
    by_hand += ["--set", f"studies={empty.values['studies']}", "--scale", "laptop"]
    environment = {**os.environ, "PYTHONPATH": str(empty.folder / "src")}
    beside = subprocess.run(by_hand, cwd=empty.folder, env=environment, capture_output=True, text=True, timeout=600)
    injected("command line beside a workflow")
    TALLY.lost += beside.returncode != 0
    assert beside.returncode == 0, beside.stderr[-3000:]
    if first.poll() is None:
        os.killpg(first.pid, signal.SIGKILL)
        injected("kill -9 of both")
    first.wait()
    # a temporary file as a kill in the middle of a write leaves it
    left = results_of(empty) / f"metrics/.{RESNET}.{storage._machine()}0123456789ab.parquet"
    left.write_bytes(b"PAR1")
    make = ["make", "--no-print-directory", "unlock", "ready=", f"python={sys.executable}"]
    shutil.copy(Path(__file__).parents[2] / "Makefile", empty.folder)
    freed = subprocess.run(make, cwd=empty.folder, capture_output=True, text=True)
    assert freed.returncode == 0, freed.stderr
    (results_of(empty) / "index.html").unlink(missing_ok=True)
    finish(empty, expected)
