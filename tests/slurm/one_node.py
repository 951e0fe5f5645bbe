"""A Slurm of one node on this machine, with two pretend GPUs; needs root and Debian's packages, no systemd.

Its configuration lies in /etc/slurm because Snakemake's job steps drop SLURM_CONF: a machine that has one already is
left alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import psutil

FOLDER = Path("/etc/slurm")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "munge", "munged")
FIRST_LINE = "# one node for the tests of zeroloss"

# accounting_storage/none: as on many small clusters, squeue is all there is. DefMemPerCPU: without it a job takes all
# memory and jobs run one by one. config_overrides: the machine may have another number of cores than written here.
SLURM = """\
{first_line}
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
StateSaveLocation={state}/state
SlurmdSpoolDir={state}/spool
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
MinJobAge=3600
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP
"""
# character devices that every Linux has stand for GPUs: Slurm then sets CUDA_VISIBLE_DEVICES as for real ones
GRES = "NodeName={host} Name=gpu File=/dev/null Flags=nvidia_gpu_env\nNodeName={host} Name=gpu File=/dev/zero\n"


def why_not() -> str | None:
    """Why it cannot be started here, in one sentence; None where it can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "starting Slurm needs root"
    if lacking := [name for name in PROGRAMS if shutil.which(name) is None and not Path("/usr/sbin", name).exists()]:
        return f"no {', '.join(lacking)}: apt-get install slurmctld slurmd slurm-client munge"
    present = FOLDER / "slurm.conf"
    if present.exists() and not present.read_text().startswith(FIRST_LINE):
        return f"{present} exists: this machine has a Slurm of its own"
    return None


class OneNode:
    """Start on entering, stop on leaving.

    Args:
        state: folder for its state and logs.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self.own_munged = False

    def __enter__(self) -> OneNode:
        host = socket.gethostname().split(".")[0]
        memory = int(psutil.virtual_memory().total / 2**20 * 0.9)
        words = {"first_line": FIRST_LINE, "host": host, "state": self.state, "cores": os.cpu_count(), "memory": memory}
        for folder in (FOLDER, self.state / "state", self.state / "spool"):
            folder.mkdir(parents=True, exist_ok=True)
        (FOLDER / "slurm.conf").write_text(SLURM.format(**words))
        (FOLDER / "gres.conf").write_text(GRES.format(**words))
        (FOLDER / "cgroup.conf").write_text("ConstrainCores=no\n")
        self.own_munged = subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode != 0
        if self.own_munged:  # also where a socket is there but its daemon was killed: --force takes the socket over
            subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", "0755", "/run/munge"], check=True)
            subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged", "--force"], check=True)
        subprocess.run(["/usr/sbin/slurmctld", "-c"], check=True, capture_output=True)
        subprocess.run(["/usr/sbin/slurmd", "-N", host], check=True, capture_output=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.ask("sinfo", "-h", "-o", "%T") == "idle":
                return self
            time.sleep(0.2)
        self.__exit__()
        raise RuntimeError(f"Slurm does not become idle:\n{(self.state / 'slurmctld.log').read_text()[-2000:]}")

    def __exit__(self, *problem: object) -> None:
        self.ask("scancel", "--user=root")
        for name in ("slurmd", "slurmctld"):
            pid = self.state / f"{name}.pid"
            if pid.exists():
                subprocess.run(["kill", pid.read_text().strip()], check=False)
        if self.own_munged:
            subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged", "--stop"], check=False)
        for name in ("slurm.conf", "gres.conf", "cgroup.conf"):
            (FOLDER / name).unlink(missing_ok=True)

    def ask(self, *command: str) -> str:
        """Standard output of a Slurm command; nothing where the daemon does not answer."""
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
        except subprocess.TimeoutExpired:
            return ""

    def jobs(self) -> list[dict[str, str]]:
        """What Slurm remembers of every job, oldest first: JobId, JobState, MinMemoryNode, TimeLimit, ..."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        records = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        # without jobs there is a line that says so
        return sorted((record for record in records if "JobId" in record), key=lambda record: int(record["JobId"]))
