"""Fast loading of settings, and the number of bad inputs at the end of the run."""

from __future__ import annotations

import functools

import pytest


@pytest.fixture
def quick(monkeypatch):
    """Files of settings are read once, and the data folder is looked at once."""
    from zeroloss import config
    from zeroloss.datasets import images

    monkeypatch.setattr(config, "read_yaml", functools.cache(config.read_yaml))
    monkeypatch.setattr(images, "available", functools.cache(images.available))
