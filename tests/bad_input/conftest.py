"""Fast loading of settings, and the number of bad inputs at the end of the run."""

from __future__ import annotations

import functools

import pytest

from tests.bad_input import tally

SEEN: set[str] = set()


@pytest.fixture
def quick(monkeypatch):
    """Files of settings are read once, and the data folder is looked at once."""
    from zeroloss import config
    from zeroloss.datasets import images

    monkeypatch.setattr(config, "read_yaml", functools.cache(config.read_yaml))
    monkeypatch.setattr(images, "available", functools.cache(images.available))


@pytest.fixture(autouse=True)
def _counted(record_property):
    """What a test tried goes with its report, for tests may run in several processes."""
    before = set(tally.TRIED)
    yield
    record_property("bad inputs", sorted(tally.TRIED - before))


def pytest_runtest_logreport(report):
    for name, value in report.user_properties:
        if name == "bad inputs":
            SEEN.update(value)


def pytest_terminal_summary(terminalreporter):
    if SEEN:
        terminalreporter.write_line(f"{len(SEEN)} different bad inputs were refused, each with one sentence")
