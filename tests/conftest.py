"""What all tests share: where the project is, settings small enough for a test, and a checkout to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.tally import Tally

PROJECT = Path(__file__).resolve().parents[1]

# one seed, a few dozen units: a study in about a second a job
MICRO = {
    "device": "cpu",
    "studies": {
        "du2018a": {
            "synthetic": {
                "seeds": [0],
                "samples": 20,
                "dimension": 20,
                "widths": [10, 20],
                "steps": 10,
                "spectrum_points": 2,
            },
            "images": {"seeds": [0], "sources": ["digits"], "samples": 20, "widths": [10, 20], "steps": 10},
        }
    },
}


# the longest files first and each whole on one worker: with `-n 2` the rest fills the gaps
LONGEST = (
    "workflow/test_whole.py",
    "slurm/",
    "workflow/test_end_to_end.py",
    "faults/",
    "workflow/test_reruns.py",
    "test_tutorial.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        name = item.path.relative_to(PROJECT / "tests").as_posix()
        return next((k for k, start in enumerate(LONGEST) if name.startswith(start)), len(LONGEST))

    items.sort(key=rank)  # stable: the order within a file stays


# What tests tried travels with their reports: they may run in several processes, and only this one prints. (A conftest.py
# of a folder below is not loaded in the process that prints.)
TRIED: set[str] = set()
FAULTS = Tally()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties if report.when == "teardown" else ():
        if name == "bad inputs":
            TRIED.update(value)
        if name == "faults":
            FAULTS.add(value)


def pytest_terminal_summary(terminalreporter) -> None:
    if TRIED:
        terminalreporter.write_line(f"{len(TRIED)} different bad inputs were refused, each with one sentence")
    if FAULTS.injected:
        terminalreporter.write_line(FAULTS.line())


@pytest.fixture
def project() -> Path:
    return PROJECT


def copy_project(target: Path, studies: tuple[str, ...] | None = ("du2018a",)) -> Path:
    """The parts of the project that a run needs, without results or caches; None keeps all studies.

    A study is one module or package and one block of settings, so leaving it out is leaving out these two.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in ("Snakefile", "config.yaml", "pyproject.toml"):
        shutil.copy(PROJECT / name, target / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "workflow"):
        shutil.copytree(PROJECT / name, target / name, ignore=ignored, dirs_exist_ok=True)
    left_out = set(yaml.safe_load((target / "config.yaml").read_text())["studies"]) - set(studies or ())
    for name in left_out if studies is not None else ():
        module = target / "src/zeroloss/studies" / name
        shutil.rmtree(module) if module.is_dir() else module.with_suffix(".py").unlink()
        for file in [target / "config.yaml", *(target / "workflow/scales").glob("*.yaml")]:
            values = yaml.safe_load(file.read_text())
            values["studies"].pop(name, None)
            file.write_text(yaml.safe_dump(values, sort_keys=False))
    return target


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch, request):
    """Tests see no data folder unless they ask for one: what they check must not depend on the machine."""
    if "original_data" not in request.fixturenames and "test_original_files" not in request.node.nodeid:
        monkeypatch.delenv("ZEROLOSS_DATA", raising=False)
    monkeypatch.delenv("ZEROLOSS_DEVICE", raising=False)
