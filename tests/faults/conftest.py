"""The undisturbed run that all others are compared with, and the line that says what was done."""

from __future__ import annotations

import copy
import random
import shutil
import time

import pytest

from tests.faults.harness import RUN, SEED, TALLY, VALUES, contents, project_of
from tests.workflow.conftest import Checkout


@pytest.fixture
def chance(request) -> random.Random:
    """The same moments in each session, others in each test."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> tuple[Checkout, dict[str, str], float]:
    """A checkout in which everything has been run once, the digest of each of its files, and the seconds it took."""
    checkout = project_of(VALUES, tmp_path_factory.mktemp("undisturbed") / "zeroloss")
    started = time.monotonic()
    checkout.snakemake(*RUN)
    return checkout, contents(checkout), time.monotonic() - started


@pytest.fixture
def expected(undisturbed) -> dict[str, str]:
    return undisturbed[1]


@pytest.fixture
def length(undisturbed) -> float:
    return undisturbed[2]


@pytest.fixture
def built(undisturbed, tmp_path) -> Checkout:
    """A copy of the undisturbed checkout, with its results and Snakemake's records."""
    shutil.copytree(undisturbed[0].folder, tmp_path / "zeroloss")
    return Checkout(tmp_path / "zeroloss", VALUES)


@pytest.fixture
def empty(undisturbed, tmp_path) -> Checkout:
    """A copy without results."""
    ignored = shutil.ignore_patterns("results", ".snakemake", "__pycache__")
    shutil.copytree(undisturbed[0].folder, tmp_path / "zeroloss", ignore=ignored)
    return Checkout(tmp_path / "zeroloss", VALUES)


@pytest.fixture(autouse=True)
def _counted(record_property):
    """What a test did goes with its report (tests/conftest.py adds up), for tests may run in several processes."""
    before = copy.deepcopy(TALLY)
    yield
    record_property("faults", TALLY.since(before))
