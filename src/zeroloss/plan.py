"""What a run consists of: every data set, cell, figure, table and claim of one scale, and the key of each.

A key is a digest of all that decides an output's content: parameters, code that it can reach (``provenance``), and the
keys of what it is made from. Equal keys mean equal content, so caching never looks at file times, and an interrupted
run can be taken up without asking what was finished before.

An *order* is the JSON document that one job of the workflow gets; it holds the key.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zeroloss import pipeline, published
from zeroloss.config import Config, load_config
from zeroloss.datasets.recipes import Recipe
from zeroloss.errors import UserError, closest
from zeroloss.provenance import digest, fingerprint
from zeroloss.report import coverage, inventory, page
from zeroloss.studies import all_studies
from zeroloss.studies.contract import FIGURE_FORMATS, TABLE_FORMATS, Cell, Claim, Figure, Study, Table

Order = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything one scale consists of, by name."""

    config: Config
    recipes: Mapping[str, Recipe] = field(init=False)
    cells: Mapping[str, Mapping[str, Cell]] = field(init=False)
    figures: Mapping[str, tuple[Study, Figure]] = field(init=False)
    tables: Mapping[str, tuple[Study, Table]] = field(init=False)
    claims: Mapping[str, tuple[Claim, ...]] = field(init=False)

    def __post_init__(self) -> None:
        recipes: dict[str, Recipe] = {}
        cells: dict[str, dict[str, Cell]] = {}
        figures: dict[str, tuple[Study, Figure]] = {}
        tables: dict[str, tuple[Study, Table]] = {}
        claims: dict[str, tuple[Claim, ...]] = {}
        for name, study in self.studies.items():
            settings = self.config.study(name)
            recipes.update({recipe.name: recipe for recipe in study.recipes(settings)})
            cells[name] = {cell.name: cell for cell in study.cells(settings)}
            figures.update({figure.name: (study, figure) for figure in study.figures(settings)})
            tables.update({table.name: (study, table) for table in study.tables(settings)})
            claims[name] = tuple(study.claims(settings))
        filled = {"recipes": recipes, "cells": cells, "figures": figures, "tables": tables, "claims": claims}
        for key, value in filled.items():
            object.__setattr__(self, key, value)

    @property
    def studies(self) -> dict[str, Study]:
        return all_studies()

    @functools.cached_property
    def scale(self) -> str:
        return self.config.scale

    def study(self, name: str) -> Study:
        """A study by name; UserError with the allowed names where there is none."""
        if name not in self.studies:
            raise UserError(
                f"{name} is not a study{closest(name, self.studies)}: allowed are {', '.join(self.studies)}"
            )
        return self.studies[name]

    def outputs(self, study: str) -> list[str]:
        """Final files of one study, relative to the results folder of the scale."""
        files = [f"metrics/{study}.parquet", f"claims/{study}.csv"]
        for folder, declared, formats in self._rendered():
            files += [
                f"{folder}/{name}.{ext}" for name, (of, _) in declared.items() if of.name == study for ext in formats
            ]
        return files

    def _rendered(self) -> list[tuple[str, Mapping[str, tuple[Study, Any]], tuple[str, ...]]]:
        return [("figures", self.figures, FIGURE_FORMATS), ("tables", self.tables, TABLE_FORMATS)]

    def check_sources(self) -> None:
        """Look at every original data file now; UserError where one is missing without a download, or damaged."""
        for name in self.recipes:
            self.dataset(name)

    # Orders, from the ground up. Each is cached because the keys of later ones contain those of earlier ones.

    @functools.cache  # noqa: B019  a plan lives as long as the process
    def dataset(self, name: str) -> Order:
        recipe = self.recipes[name]
        sources = recipe.sources(self.config.data.root)
        content = {"recipe": recipe.model_dump(), "sources": sources}
        return _order(content, name=name, code=fingerprint(type(recipe), pipeline.make_dataset))

    @functools.cache  # noqa: B019
    def cell(self, study: str, name: str) -> Order:
        cell = self.cells[study][name]
        content = {
            "study": study,
            "parameters": dict(cell.parameters),
            "resumable": cell.resumable,
            "datasets": {dataset: self.dataset(dataset)["key"] for dataset in cell.datasets},
            # a job's order comes with sorted keys, and ``run`` gets its data sets in the order that the cell declares
            "inputs": list(cell.datasets),
        }
        order = _order(content, name=name, code=fingerprint(self.studies[study].run, pipeline.run_cell))
        # a cell that only a CPU computes gets no GPU, whatever the device; like the device it is no part of the key
        return {**order, "gpu": cell.cost.gpu_speedup > 0}

    def bundles(self, study: str) -> list[tuple[str, ...]]:
        """The cells of a study by name, those together that share a job (``seconds_per_job``), in order."""
        found: list[list[str]] = []
        seconds = 0.0
        for name, cell in self.cells[study].items():
            seconds += cell.cost.seconds
            if not found or seconds > self.config.seconds_per_job:
                found.append([])
                seconds = cell.cost.seconds
            found[-1].append(name)
        return [tuple(names) for names in found]

    def cells_of(self, study: str, names: tuple[str, ...]) -> Order:
        """Some cells of a study, for one job."""
        return _order({"study": study, "cells": {name: self.cell(study, name) for name in names}}, name=study)

    @functools.cache  # noqa: B019
    def metrics(self, study: str) -> Order:
        content = {"study": study, "cells": {name: self.cell(study, name)["key"] for name in self.cells[study]}}
        return _order(content, name=study, code=fingerprint(pipeline.collect_metrics))

    def _from_metrics(self, study: str) -> dict[str, Any]:
        return {
            "study": study,
            "scale": self.scale,
            "settings": self.config.study(study).model_dump(mode="json"),
            "metrics": self.metrics(study)["key"],
            "published": {name: published.checksum(name) for name in self.studies[study].published},
        }

    def figure(self, name: str) -> Order:
        study, figure = self.figures[name]
        words = {"caption": figure.caption, "title": figure.title, "alt": figure.alt, "options": dict(figure.options)}
        content = {**self._from_metrics(study.name), **words}
        return _order(content, name=name, code=fingerprint(figure.draw, pipeline.draw_figure))

    def table(self, name: str) -> Order:
        study, table = self.tables[name]
        content = {**self._from_metrics(study.name), "caption": table.caption, "title": table.title}
        return _order(content, name=name, code=fingerprint(table.make, pipeline.make_table))

    def verdicts(self, study: str) -> Order:
        claims = self.claims[study]
        words = [{"name": claim.name, "items": claim.items, "statement": claim.statement} for claim in claims]
        code = fingerprint(*(claim.judge for claim in claims), pipeline.judge_claims)
        return _order({**self._from_metrics(study), "claims": words}, name=study, code=code)

    # One job draws all figures of a study, another makes its tables and claims: starting Python and reading the
    # metrics costs as long as drawing one.

    def figures_of(self, study: str) -> Order:
        """All figures of a study: what they share once, then what is each one's own."""
        orders = {name: self.figure(name) for name, (of, _) in self.figures.items() if of.name == study}
        return self._together(study, figures={name: self._own(order) for name, order in orders.items()})

    def tables_of(self, study: str) -> Order:
        """All tables of a study and its claims, in the same form."""
        orders = {name: self.table(name) for name, (of, _) in self.tables.items() if of.name == study}
        tables = {name: self._own(order) for name, order in orders.items()}
        return self._together(study, tables=tables, verdicts=self._own(self.verdicts(study)))

    def _own(self, order: Order) -> Order:
        shared = self._from_metrics(order["study"])
        return {name: value for name, value in order.items() if name not in shared}

    def _together(self, study: str, **parts: Order) -> Order:
        return _order({**self._from_metrics(study), **parts}, name=study)

    def all_claims(self) -> Order:
        content = {"studies": {name: self.verdicts(name)["key"] for name in self.studies}}
        return _order(content, name="claims", code=fingerprint(pipeline.join_claims))

    def coverage(self) -> Order:
        content = {"served": coverage.served(self), "scale": self.scale, "inventory": inventory.checksum()}
        return _order(content, name="coverage", code=fingerprint(coverage.write))

    def page(self) -> Order:
        content = {
            "scale": self.scale,
            "settings": self.config.model_dump(mode="json", exclude={"data", "device", "seconds_per_job"}),
            "figures": {name: self.figure(name)["key"] for name in self.figures},
            "tables": {name: self.table(name)["key"] for name in self.tables},
            "claims": self.all_claims()["key"],
            "coverage": self.coverage()["key"],
        }
        return _order(content, name="index", code=fingerprint(page.write), template=page.template_checksum())


def _order(content: Order, **more: Any) -> Order:
    # the very form in which a job gets it: a step must not see another order of keys, or tuples, where it is called here
    order: Order = json.loads(json.dumps({**content, **more}, sort_keys=True))
    return {**order, "key": digest(order)}


def make_plan(scale: str | None = None, overrides: Mapping[str, Any] | None = None, folder: Path | None = None) -> Plan:
    """The plan of one scale; UserError where a setting is wrong."""
    return Plan(load_config(scale, overrides, folder))
