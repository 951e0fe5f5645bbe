"""Fast loading of settings, and what a test tried."""

from __future__ import annotations

import functools

import pytest

from tests.bad_input import tally


@pytest.fixture
def quick(monkeypatch):
    """Files of settings are read once, and the data folder is looked at once."""
    from zeroloss import config
    from zeroloss.datasets import images

    monkeypatch.setattr(config, "read_yaml", functools.cache(config.read_yaml))
    monkeypatch.setattr(images, "available", functools.cache(images.available))


@pytest.fixture(autouse=True)
def _counted(record_property):
    """What a test tried goes with its report (tests/conftest.py adds up), for tests may run in several processes."""
    before = set(tally.TRIED)
    yield
    record_property("bad inputs", sorted(tally.TRIED - before))
