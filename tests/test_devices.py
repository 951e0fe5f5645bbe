"""Jobs beside each other take one GPU each; the locks do not need a GPU to be tried."""

import subprocess
import sys
import time

import pytest

from zeroloss import devices
from zeroloss.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from zeroloss.devices import own_device
with own_device(["0", "1"], Path(sys.argv[1])) as position:
    print(position, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder, seconds):
    return subprocess.Popen([sys.executable, "-c", HOLD, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True)


def test_two_jobs_have_two_devices_and_a_third_waits_for_one_whose_job_was_killed(tmp_path):
    jobs = [holder(tmp_path, 60), holder(tmp_path, 60)]
    try:
        assert sorted(job.stdout.readline().strip() for job in jobs) == ["0", "1"]
        with pytest.raises(UserError, match=r"all GPUs \(0, 1\)"), devices.own_device(["0", "1"], tmp_path, patience=0):
            pass
        third = holder(tmp_path, 0)
        time.sleep(0.2)
        assert third.poll() is None
        jobs[1].kill()
        assert third.stdout.readline().strip() in ("0", "1")
        assert third.wait(timeout=20) == 0
    finally:
        for job in jobs:
            job.kill()


def test_the_devices_named_in_the_environment_are_the_visible_ones(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8a, 3")
    assert devices.visible_devices() == ["GPU-8a", "3"]


def test_no_device_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no GPU is visible"), devices.own_device([], tmp_path):
        pass
