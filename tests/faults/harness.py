"""Faults on purpose, and the count of what came of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.conftest import copy_project
from tests.tally import Tally
from tests.workflow.conftest import TRIGGERS, Checkout, settings_file

SEED = 20261122
FULL = os.environ.get("ZEROLOSS_FAULTS", "reduced") == "full"
RESNET = "kawaguchi_huang2019_resnet"
# a study whose cells keep checkpoints, in some seconds a cell
RESUMABLE = {
    "seeds": [0, 1],
    "sources": [{"first_of": ["digits"], "train": 100, "test": 50}],
    "random": {"train": 50, "test": 20, "side": 8},
    "width": 2,
    "blocks": [1, 1],
    "epochs": 30,
    "batch": 25,
}
VALUES = {"device": "cpu", "studies": {RESNET: RESUMABLE}}
RUN = [*TRIGGERS, "--quiet", "rules", "--rerun-incomplete"]


TALLY = Tally()


def injected(kind: str, count: int = 1) -> None:
    """Count a fault."""
    TALLY.injected[kind] += count


def project_of(values: dict, folder: Path) -> Checkout:
    """A checkout of the studies in ``values`` alone, whose long cells keep their state after every epoch."""
    checkout = Checkout(copy_project(folder, tuple(values.get("studies", {"du2018a": {}}))), values)
    checkout.edit("src/zeroloss/checkpoint.py", "SECONDS_BETWEEN = 60.0", "SECONDS_BETWEEN = 0.0")
    return checkout


def results_of(checkout: Checkout) -> Path:
    return checkout.folder / "results" / checkout.values.get("scale", "laptop")


def contents(checkout: Checkout) -> dict[str, str]:
    """Digest of every file of a run; logs and benchmarks are of the run, not of the result."""
    results = results_of(checkout)
    files = (path for path in results.rglob("*") if path.is_file())
    relative = {str(path.relative_to(results)): path for path in files}
    kept = {name: path for name, path in sorted(relative.items()) if name.split("/")[0] not in ("logs", "benchmarks")}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in kept.items()}


def same(checkout: Checkout, expected: dict[str, str]) -> None:
    """All files are those of the undisturbed run, byte for byte, and there is none beside them."""
    found = contents(checkout)
    apart = sorted(name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name))
    TALLY.wrong += bool(apart)
    assert apart == []


def finish(checkout: Checkout, expected: dict[str, str]) -> str:
    """Run to the end; a run that cannot be finished is lost. Returns what it said."""
    done = checkout.snakemake(*RUN, check=False)
    TALLY.lost += done.returncode != 0
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    wait_for_the_last_worker(checkout)
    same(checkout, expected)
    return done.stderr


def wait_for_the_last_worker(checkout: Checkout, patience: float = 120.0) -> None:
    """Jobs outlive a scheduler that was killed; what they still write counts too."""
    deadline = time.monotonic() + patience
    while jobs(checkout):
        assert time.monotonic() < deadline, "a job does not end"
        time.sleep(0.1)


def jobs(checkout: Checkout) -> list[psutil.Process]:
    """Processes that compute a step of this checkout, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            is_job = len(words) > 4 and words[1:4] == ["-m", "zeroloss", "job"]
            if is_job and process.cwd() == str(checkout.folder):
                found.append(process)
    return found


def unlock(checkout: Checkout) -> None:
    """The documented one-liner (``make unlock``)."""
    done = checkout.snakemake("--unlock", check=False)
    TALLY.lost += done.returncode != 0
    assert done.returncode == 0, done.stderr


def start(checkout: Checkout, *arguments: str) -> subprocess.Popen:
    """The workflow in a session of its own, so that it can be killed with all its jobs."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor", *RUN, *arguments]
    command += ["--configfile", str(settings_file(checkout.folder, checkout.values))]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with open(checkout.folder / "said.txt", "wb") as said:
        return subprocess.Popen(
            command, cwd=checkout.folder, start_new_session=True, stdout=said, stderr=said, env=environment
        )


def wait_for_a_job(checkout: Checkout, process: subprocess.Popen, patience: float = 120.0) -> list[psutil.Process]:
    """The jobs that run, as soon as there is one; none where the workflow has ended."""
    deadline = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < deadline:
        if found := jobs(checkout):
            return found
        time.sleep(0.02)
    return []


def kill(checkout: Checkout, process: subprocess.Popen, kind: str, chance: random.Random) -> bool:
    """kill -9 of a worker, of the scheduler or of both; no answer, no clean-up. False where all had ended before."""
    victims = wait_for_a_job(checkout, process) if kind == "worker" else jobs(checkout)
    if process.poll() is not None:
        return False
    if kind == "worker":
        victims = [chance.choice(victims)]
    steps = []
    for victim in victims:
        with contextlib.suppress(psutil.Error):
            steps.append(victim.cmdline()[4])
    if kind == "worker":
        try:
            victims[0].kill()
        except psutil.NoSuchProcess:
            return kill(checkout, process, kind, chance)
    elif kind == "scheduler":
        os.kill(process.pid, signal.SIGKILL)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    injected(f"kill -9 of {kind}")
    TALLY.hit.update(steps or ["between jobs"])
    print(TALLY.line(), flush=True)
    return True


def compare_and_begin_anew(checkout: Checkout, process: subprocess.Popen, expected: dict[str, str]) -> None:
    """For a run that ended before it was killed."""
    TALLY.lost += process.returncode != 0
    assert process.returncode == 0, (checkout.folder / "said.txt").read_text()[-6000:]
    wait_for_the_last_worker(checkout)
    same(checkout, expected)
    shutil.rmtree(checkout.folder / "results")
    shutil.rmtree(checkout.folder / ".snakemake")


def kill_schedulers(
    checkout: Checkout, expected: dict[str, str], kinds: list[str], length: float, chance: random.Random
) -> None:
    """Kill, unlock, go on, kill again, all over a run; at the end everything is as if nothing had been.

    Args:
        checkout: without results, or with those of a run that was cut short.
        expected: digests of an undisturbed run.
        kinds: scheduler (its jobs live on) or both, in turn.
        length: of an undisturbed run, in seconds; a kill comes at most a quarter of it after the first job has begun.
        chance: where the moments come from.
    """
    waiting = list(kinds)
    while waiting:
        process = start(checkout)
        if chance.random() < 0.85:  # otherwise while Snakemake begins
            wait_for_a_job(checkout, process)
        deadline = time.monotonic() + chance.uniform(0, length / 4)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        if kill(checkout, process, waiting[0], chance):
            waiting.pop(0)
            process.wait(timeout=300)
            unlock(checkout)
        else:
            compare_and_begin_anew(checkout, process, expected)
    finish(checkout, expected)
    assert checkout.waiting() == {}


def kill_workers(
    checkout: Checkout, expected: dict[str, str], count: int, length: float, chance: random.Random
) -> None:
    """Kill one job after the other of a run that tries again, as the profiles for GPUs and clusters do."""
    killed = 0
    while killed < count:
        process = start(checkout, "--retries", str(count))
        while killed < count and process.poll() is None:
            time.sleep(chance.uniform(0, length / 5))
            killed += kill(checkout, process, "worker", chance)
        process.wait(timeout=1200)
        if killed < count:
            compare_and_begin_anew(checkout, process, expected)
    # the next run finds nothing to mend
    TALLY.lost += process.returncode != 0
    assert process.returncode == 0, (checkout.folder / "said.txt").read_text()[-6000:]
    finish(checkout, expected)


def why_no_mounts() -> str | None:
    """Why small and read-only file systems cannot be made here; None where they can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "mounting a small file system needs root on Linux"
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    return None if probe.returncode == 0 else f"no file system can be mounted here: {probe.stderr.strip()}"


@contextlib.contextmanager
def mounted(folder: Path, options: str):
    """A tmpfs on ``folder`` with these options."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
