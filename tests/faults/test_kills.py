"""kill -9 of a worker, of the scheduler, of both, at random moments; SIGTERM at a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.faults.harness import (
    FULL,
    RESNET,
    RUN,
    TALLY,
    Checkout,
    contents,
    finish,
    injected,
    kill_schedulers,
    kill_workers,
    project_of,
    results_of,
)
from zeroloss.checkpoint import TERMINATED

pytestmark = [pytest.mark.faults, pytest.mark.workflow, pytest.mark.slow]


def test_workers_killed_at_random_moments(empty, expected, length, chance):
    kill_workers(empty, expected, 20 if FULL else 1, length, chance)


def test_schedulers_killed_at_random_moments_with_and_without_their_jobs(empty, expected, length, chance):
    kinds = ["scheduler", "both"] * (14 if FULL else 1)
    chance.shuffle(kinds)
    kill_schedulers(empty, expected, kinds, length, chance)


@pytest.mark.skipif(not FULL, reason="only at full counts (make test-faults): runs of the tiny scale")
def test_the_tiny_scale_too(tmp_path, chance):
    values = {"scale": "tiny", "device": "cpu"}
    once = project_of(values, tmp_path / "undisturbed")
    started = time.monotonic()
    once.snakemake(*RUN)
    length, expected = time.monotonic() - started, contents(once)
    kill_workers(project_of(values, tmp_path / "workers"), expected, 4, length, chance)
    kill_schedulers(project_of(values, tmp_path / "schedulers"), expected, ["both", "scheduler"] * 2, length, chance)


def order_of_a_long_cell(checkout: Checkout) -> str:
    """What the workflow would hand to the job of the study's first cell."""
    program = (
        "import json, sys, yaml; from zeroloss.plan import make_plan;"
        "plan = make_plan('laptop', yaml.safe_load(open('test_settings.yaml')));"
        f"print(json.dumps(plan.cell('{RESNET}', 'digits')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(checkout.folder / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_sigterm_at_a_time_limit_keeps_the_state_and_the_rest_is_computed_later(built, expected):
    """What Slurm does before it kills a job, twice, at two moments of the cell."""
    results = results_of(built)
    order = order_of_a_long_cell(built)
    (results / f"runs/{RESNET}/digits.parquet").unlink()
    checkpoints = results / f"checkpoints/{RESNET}/digits"
    command = [sys.executable, "-m", "zeroloss", "job", "cell", order, "--results", str(results), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(built.folder / "src")}
    for part in ("seed0.npz", "seed1.npz"):
        process = subprocess.Popen(command, cwd=built.folder, env=environment, stderr=subprocess.PIPE, text=True)
        while not (checkpoints / part).is_file():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
        injected("SIGTERM")
        assert process.returncode == TERMINATED, said
        assert time.monotonic() - sent < 30
        assert "asked to end: state kept in" in said
        assert not (results / f"runs/{RESNET}/digits.parquet").exists()
        assert (checkpoints / part).is_file()
    # a state that was cut off is not taken up
    (checkpoints / "seed1.npz").write_bytes((checkpoints / "seed1.npz").read_bytes()[:-100])
    injected("truncated checkpoint")
    done = subprocess.run(command, cwd=built.folder, env=environment, capture_output=True, text=True)
    TALLY.lost += done.returncode != 0
    assert done.returncode == 0, done.stderr
    assert "seed1.npz is damaged: starting this part from its beginning" in done.stderr
    assert not checkpoints.exists()
    finish(built, expected)


def test_two_processes_on_one_cell_do_not_hurt_each_other(built, expected):
    """The scheduler was killed, its job lives on, and the next run starts the same job."""
    results = results_of(built)
    order = order_of_a_long_cell(built)
    cell = results / f"runs/{RESNET}/digits.parquet"
    whole = cell.read_bytes()
    cell.unlink()
    command = [sys.executable, "-m", "zeroloss", "job", "cell", order, "--results", str(results), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(built.folder / "src")}
    pair = [subprocess.Popen(command, cwd=built.folder, env=environment, stderr=subprocess.PIPE, text=True)]
    time.sleep(0.5)
    pair.append(subprocess.Popen(command, cwd=built.folder, env=environment, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=300)[1] for process in pair]
    injected("two processes on one cell")
    TALLY.lost += any(process.returncode for process in pair)
    assert [process.returncode for process in pair] == [0, 0], said
    assert cell.read_bytes() == whole
    assert not (results / f"checkpoints/{RESNET}/digits").exists()
