"""One module per paper. A module that defines ``STUDY`` is a study; nothing else has to be told of it."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from zeroloss.studies.contract import Study


@functools.cache
def all_studies() -> dict[str, Study]:
    """Every study, by name, in alphabetical order of module."""
    found = {}
    for entry in sorted(pkgutil.iter_modules(__path__), key=lambda entry: entry.name):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        if isinstance(study := getattr(module, "STUDY", None), Study):
            found[study.name] = study
    return found
