"""Every file and every command of docs/tutorial.md, in its order, in a fresh copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT, copy_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(language, name of the file that the line before gives or nothing, text) of every fenced block."""
    text = (PROJECT / "docs" / page).read_text()
    found = []
    for match in BLOCK.finditer(text):
        before = text[: match.start()].rstrip().rsplit("\n", 1)[-1]
        name = re.fullmatch(r"`([\w./-]+)`:", before)
        found.append((match[1], name[1] if name else "", match[2]))
    return found


def add_toy(folder: Path) -> None:
    """Save the three pieces of docs/writing-a-study.md where it says."""
    pieces = blocks("writing-a-study.md")
    (module,) = [text for language, name, text in pieces if name == "src/zeroloss/studies/toy.py"]
    (folder / "src/zeroloss/studies/toy.py").write_text(module)
    settings = [text for language, _, text in pieces if language == "yaml"]
    assert len(settings) == 2
    for name, text in zip(("config.yaml", "workflow/scales/tiny.yaml"), settings, strict=True):
        values = yaml.safe_load((folder / name).read_text())
        values["studies"] |= yaml.safe_load(text)
        (folder / name).write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return copy_project(tmp_path_factory.mktemp("tutorial") / "zeroloss", ("du2018a", "du2018b"))


def test_every_command_works(folder):
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "ZEROLOSS_DEVICE": "cpu"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    ran = 0
    for language, name, text in blocks("tutorial.md"):
        if name:
            (folder / name).write_text(text)
        if language == "bash":
            if " toy " in text:
                add_toy(folder)
            for command in text.strip().splitlines():
                done = subprocess.run(
                    command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
                )
                assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
                ran += 1
    assert ran >= 12
    for promised in (
        "first/figures/du2018a_fig1.pdf",
        "wider/metrics/du2018a.parquet",
        "deeper/metrics/du2018b.parquet",
        "results/tiny/metrics/du2018a.parquet",
        "with_blobs/figures/du2018a_images_blobs.png",
        "try_toy/figures/toy_start.svg",
        "results/tiny/tables/toy_start.md",
    ):
        assert (folder / promised).is_file(), promised


def test_bash_is_there():
    assert shutil.which("bash"), "the tutorial's commands are for a POSIX shell"
