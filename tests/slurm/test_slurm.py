"""The cluster profile on a real Slurm (one node, two pretend GPUs)."""

import copy
import itertools
import os
import shutil
import subprocess
import sys
import textwrap

import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import MICRO, PROJECT, copy_project
from tests.slurm.one_node import OneNode, why_not
from tests.workflow.conftest import Checkout
from zeroloss.plan import make_plan

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

PROFILE = ["--workflow-profile", "workflow/profiles/slurm"]
# a test does not wait as long as a real cluster deserves
SOON = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with OneNode(tmp_path_factory.mktemp("slurm")) as node:
        yield node


def submit(folder, *arguments, timeout=400):
    command = [sys.executable, "-m", "snakemake", "--nocolor", *PROFILE, *SOON, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)


FLAKY = '''
"""A study whose first cell fails once and whose second cell, if wanted, always."""

from pathlib import Path

from zeroloss.studies.contract import Cell, Cost, Study, StudySettings


class Settings(StudySettings):
    """Toy."""

    hopeless: bool


def cells(settings):
    found = [Cell("once", {"hopeless": False}, (), Cost(1, 600))]
    return [*found, Cell("always", {"hopeless": True}, (), Cost(1, 600))] if settings.hopeless else found


def run(parameters, datasets, *, device, quiet):
    import pandas as pd

    mark = Path("failed_once")
    if parameters["hopeless"] or not mark.exists():
        mark.touch()
        raise RuntimeError("the reason stands in the log")
    return pd.DataFrame({"value": [1.0]})


def nothing(settings):
    return []


STUDY = Study("flaky", "Flaky", "0", "A toy.", Settings, nothing, cells, run, nothing, nothing, nothing)
'''


def checkout_with_flaky_study(folder, hopeless):
    copy_project(folder)
    (folder / "src/zeroloss/studies/flaky.py").write_text(textwrap.dedent(FLAKY))
    values = copy.deepcopy(MICRO)
    values["studies"]["flaky"] = {"hopeless": hopeless}
    (folder / "micro.yaml").write_text(yaml.safe_dump(values))
    return folder


def test_a_study_runs_on_slurm_and_a_failing_job_gets_more_memory_and_time(slurm, tmp_path):
    """All of a study, with a cell beside it that fails at its first attempt; then everything is there, bit for bit."""
    folder = checkout_with_flaky_study(tmp_path / "cluster", hopeless=False)
    done = submit(folder, "--configfile", "micro.yaml")
    assert done.returncode == 0, done.stderr[-4000:]
    results = folder / "results/laptop"
    assert (results / "index.html").is_file() and (results / "figures/du2018a_fig1.pdf").is_file()
    once = [job for job in slurm.jobs() if "once" in job.get("Comment", "") + job.get("StdOut", "")]
    assert [job["JobState"] for job in once] == ["FAILED", "COMPLETED"]
    assert [job["MinMemoryNode"] for job in once] == ["600M", "1200M"]
    assert [job["TimeLimit"] for job in once] == ["00:05:00", "00:10:00"]
    # the cells and nothing else went to the cluster: four of du2018a, two attempts of the other
    assert len(slurm.jobs()) == 6
    # the same bits as on this machine without Slurm
    local = Checkout(copy_project(tmp_path / "local"))
    local.snakemake("--", "results/laptop/metrics/du2018a.parquet")
    here = pq.read_table(local.folder / "results/laptop/metrics/du2018a.parquet")
    assert here.equals(pq.read_table(results / "metrics/du2018a.parquet"))
    # nothing is left to do, neither there nor here
    assert Checkout(folder, yaml.safe_load((folder / "micro.yaml").read_text())).waiting() == {}


def test_a_job_that_always_fails_ends_the_run_and_its_log_is_shown(slurm, tmp_path):
    folder = checkout_with_flaky_study(tmp_path / "cluster", hopeless=True)
    (folder / "failed_once").touch()
    before = len(slurm.jobs())
    done = submit(
        folder, "--configfile", "micro.yaml", "--retries", "1", "--", "results/laptop/runs/flaky/always.parquet"
    )
    assert done.returncode == 1
    assert "the reason stands in the log" in done.stdout + done.stderr
    assert [job["JobState"] for job in slurm.jobs()[before:]] == ["FAILED", "FAILED"]
    assert not (folder / "results/laptop/runs/flaky/always.parquet").exists()


@pytest.mark.skipif(os.environ.get("ZEROLOSS_SLURM") != "whole", reason="takes up to ten minutes: ZEROLOSS_SLURM=whole")
def test_the_whole_tiny_scale_on_slurm(slurm, tmp_path):
    folder = copy_project(tmp_path / "cluster", studies=None)
    before = len(slurm.jobs())
    done = submit(folder, "--config", "scale=tiny", "device=cpu", timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    plan = make_plan("tiny", folder=folder)
    cells = list((folder / "results/tiny/runs").rglob("*.parquet"))
    assert len(cells) == sum(len(of) for of in plan.cells.values())
    assert (folder / "results/tiny/index.html").is_file()
    states = [job["JobState"] for job in slurm.jobs()[before:]]
    assert states == ["COMPLETED"] * sum(len(plan.bundles(study)) for study in plan.studies)
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    verify = [sys.executable, "-m", "zeroloss", "verify", "results/tiny", "--set", "device=cpu"]
    checked = subprocess.run(verify, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_gpu_jobs_get_one_device_each(slurm, tmp_path):
    """Four jobs, two devices: never two jobs on one device at the same time."""
    shutil.copy(PROJECT / "tests/slurm/Snakefile", tmp_path / "Snakefile")
    shutil.copytree(PROJECT / "workflow/profiles", tmp_path / "workflow/profiles")
    done = submit(tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    spans = []
    for path in tmp_path.glob("device_*.txt"):
        device, start, end = path.read_text().split()
        assert device in ("0", "1")
        spans.append((device, float(start), float(end)))
    assert len(spans) == 4 and {device for device, *_ in spans} == {"0", "1"}
    for device in ("0", "1"):
        own = sorted(span[1:] for span in spans if span[0] == device)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(own))
