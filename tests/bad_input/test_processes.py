"""A handful of the same through real processes: ``python -m zeroloss`` and Snakemake."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.bad_input.tally import check_sentence, tried
from tests.conftest import copy_project


def run(folder, *arguments: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONPATH": "src"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "du2018a", "--set", "studies.du2018a.synthetic.widths=[0]"], "synthetic.widths[0] is 0: it must be"),
        (["inspect", "Snakefile"], "Snakefile is not a file that carries provenance"),
    ],
)
def test_command_line(tmp_path, arguments, words):
    folder = copy_project(tmp_path / "copy")
    done = run(folder, "zeroloss", *arguments)
    assert done.returncode == 2 and done.stdout == ""
    check_sentence(done.stderr.rstrip("\n"), words)
    assert not (folder / "results").exists()
    tried("process", arguments)


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("scale: tiny\nstudies: {du2018a: {synthetic: {steps: 5, steps: 6}}}\n", "the key steps is there twice"),
        (
            "scale: tiny\nstudies: {du2018a: {synthetic: {steps: many}}}\n",
            "synthetic.steps is 'many': it must be a valid",
        ),
    ],
)
def test_snakemake(tmp_path, content, words):
    folder = copy_project(tmp_path / "copy")
    (folder / "mine.yaml").write_text(content)
    done = run(folder, "snakemake", "--cores", "1", "--nocolor", "--configfile", "mine.yaml")
    said = [line for line in done.stderr.splitlines() if words in line]
    assert done.returncode != 0 and len(said) == 1, done.stderr
    check_sentence(said[0], words)
    assert "Traceback" not in done.stderr
    assert not (folder / "results").exists()
    tried("snakemake", content)
