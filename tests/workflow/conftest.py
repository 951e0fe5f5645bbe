"""Starting Snakemake in a copy of the project, and counting what it does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import MICRO, copy_project

TINY = {"scale": "tiny", "device": "cpu"}
# what `make` uses: content decides, not file times
TRIGGERS = ["--rerun-triggers", "code", "params", "input", "software-env"]


def settings_file(folder: Path, values: dict) -> Path:
    path = folder / "test_settings.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


class Checkout:
    """A copy of the project with its own results."""

    def __init__(self, folder: Path, values: dict | None = None) -> None:
        self.folder = folder
        self.values = MICRO if values is None else values

    def snakemake(self, *arguments: str, cores: int = 2, check: bool = True, **more) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nocolor"]
        command += ["--configfile", str(settings_file(self.folder, self.values)), *arguments]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=900, env=environment, **more
        )
        if check and done.returncode:
            raise AssertionError(f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def zeroloss(self, *arguments: str) -> str:
        """The command line, with the package of this copy: what is installed may have more studies."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src")}
        command = [sys.executable, "-m", "zeroloss", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=900, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def waiting(self, *arguments: str) -> dict[str, int]:
        """Rule -> number of jobs that a run would start, without targets; those of all studies together."""
        done = self.snakemake("-n", *TRIGGERS, *arguments)
        table = re.search(r"Job stats:\njob\s+count\n-+\s+-+\n(.*?)\ntotal", done.stdout + done.stderr, re.DOTALL)
        counts = dict(re.findall(r"^(\S+)\s+(\d+)$", table[1], re.MULTILINE)) if table else {}
        found: dict[str, int] = {}
        for rule, count in counts.items():
            name = re.sub(r"^(cells|figures|tables)_.*", r"\1", rule)
            found[name] = found.get(name, 0) + int(count)
        return {rule: count for rule, count in found.items() if rule != "all"}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) >= 1, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """A checkout in which everything has been run once at micro size."""
    folder = copy_project(tmp_path_factory.mktemp("built") / "zeroloss")
    checkout = Checkout(folder)
    checkout.snakemake()
    assert checkout.waiting() == {}
    return folder


@pytest.fixture
def checkout(built, tmp_path) -> Callable[..., Checkout]:
    """A copy of the built checkout elsewhere, file times not kept: moving it is part of every test."""

    def copy(values: dict | None = None) -> Checkout:
        shutil.copytree(built, tmp_path / "moved", copy_function=shutil.copyfile, dirs_exist_ok=True)
        return Checkout(tmp_path / "moved", values)

    return copy
