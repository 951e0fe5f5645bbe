"""What all tests share: where the project is, settings small enough for a test, and a checkout to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

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


@pytest.fixture
def project() -> Path:
    return PROJECT


def copy_project(target: Path) -> Path:
    """The parts of the project that a run needs, without results or caches."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("Snakefile", "config.yaml", "pyproject.toml"):
        shutil.copy(PROJECT / name, target / name)
    for name in ("src", "workflow"):
        shutil.copytree(
            PROJECT / name,
            target / name,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
            dirs_exist_ok=True,
        )
    return target


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch, request):
    """Tests see no data folder unless they ask for one: what they check must not depend on the machine."""
    if "original_data" not in request.fixturenames and "test_original_files" not in request.node.nodeid:
        monkeypatch.delenv("ZEROLOSS_DATA", raising=False)
    monkeypatch.delenv("ZEROLOSS_DEVICE", raising=False)
