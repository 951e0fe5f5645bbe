"""The page of a run, ``index.html``: per document and item the figures, tables and verdicts, with their settings.

One file beside ``figures/``, ``tables/``, ``claims/`` and ``metrics/``, to which it links; it needs no network and no
script. It shows what the studies declare and what ``claims.csv`` and ``coverage.csv`` say, and no time of day: the
same results give the same page.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zeroloss import __version__, checksums, storage
from zeroloss.errors import UserError
from zeroloss.report import coverage, inspection, inventory
from zeroloss.report.shown import ShownTable, mathematics, read_csv, read_texts, setting_groups, shown_table
from zeroloss.studies.contract import CLAIM_COLUMNS, FIGURE_FORMATS, TABLE_FORMATS

if TYPE_CHECKING:
    from zeroloss.studies.contract import Figure, Study, Table

TEMPLATE, STYLE = "page.html.j2", "page.css"
VERDICTS = ("reproduced", "differs", "undecided")
SCALES = {
    "tiny": "Toy sizes of a smoke run: each figure, table and claim is made, but its verdict proves nothing.",
    "laptop": "Sizes that two cores afford in half an hour: the papers' own wherever possible.",
    "paper": "The sizes printed in the papers.",
}


class Size(NamedTuple):
    """Width and height of a picture in CSS pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Serving:
    """Something that serves items: shown in full at ``home``, the first item it names, and linked from the others."""

    kind: str
    name: str
    anchor: str
    home: str
    content: Mapping[str, Any]


def template_checksum() -> str:
    """A digest of what the page says beside results: template, style, inventory and the studies' own words."""
    from zeroloss import studies

    words = {
        name: [study.paper, study.arxiv, study.summary, study.settings.model_json_schema()]
        for name, study in studies.all_studies().items()
    }
    parts = [_resource(TEMPLATE), _resource(STYLE), inventory.checksum(), json.dumps(words, sort_keys=True)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def write(order: Mapping[str, Any], results: Path) -> None:
    """Write ``index.html`` from the files of a run.

    Raises:
        UserError: a file that the page shows or links to is missing or damaged.
    """
    checksums.write_text(results, "index.html", _render(_content(order, results)))


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _render(content: Mapping[str, Any]) -> str:
    import jinja2
    from markupsafe import Markup

    # a browser that reads this refuses scripts and all that is not this page, its style or a picture beside it, should
    # a text ever get past the escaping
    policy = (
        "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["mathematics"] = mathematics
    style = Markup(_resource(STYLE))  # noqa: S704  a file of this package
    return environment.from_string(_resource(TEMPLATE)).render(style=style, policy=policy, **content)


def _content(order: Mapping[str, Any], results: Path) -> dict[str, Any]:
    """Everything that the template shows."""
    declared = _Declared(order, results)
    rows = read_texts(results / "coverage.csv", coverage.COLUMNS)
    entries = [_entry(item, rows, declared) for item in inventory.items().values()]
    documents = [_document(document, entries) for document in inventory.documents()]
    statuses = Counter(entry["status"] for entry in entries)
    return {
        "version": __version__,
        "scale": order["scale"],
        "scale_meaning": SCALES.get(order["scale"], ""),
        "verdicts": _counted(declared.claims.values()),
        "statuses": {name: statuses[name] for name in _SUMMARY},
        "total": len(entries),
        "documents": documents,
        "studies": [_study(study, declared, results) for study in declared.studies.values()],
        "rows": rows,
        "errata": inventory.errata(),
    }


_SUMMARY = ("regenerated", "test", "published-only", "planned", "not-computable")


class _Declared:
    """What the studies declare for the settings of an order, by the name of the output that coverage.csv gives it."""

    def __init__(self, order: Mapping[str, Any], results: Path) -> None:
        from zeroloss import studies

        self.results = results
        known, settings = studies.all_studies(), order["settings"]["studies"]
        self.studies: dict[str, Study] = {name: known[name] for name in known if name in settings}
        self.settings = {name: study.settings.model_validate(settings[name]) for name, study in self.studies.items()}
        self.figures: dict[str, Figure] = {}
        self.tables: dict[str, Table] = {}
        for name, study in self.studies.items():
            self.figures |= {f"figures/{one.name}.pdf": one for one in study.figures(self.settings[name])}
            self.tables |= {f"tables/{one.name}.csv": one for one in study.tables(self.settings[name])}
        claims = read_texts(results / "claims.csv", CLAIM_COLUMNS)
        self.claims = {f"claims/{one['study']}.csv#{one['id']}": one for one in claims}

    @functools.cache  # noqa: B019  lives as long as one page
    def serving(self, output: str) -> Serving:
        """What the template needs of one output; UserError where no study declares it."""
        if figure := self.figures.get(output):
            return Serving("figure", figure.title, f"figure-{figure.name}", figure.items[0], self._figure(figure))
        if table := self.tables.get(output):
            return Serving("table", table.title, f"table-{table.name}", table.items[0], self._table(table))
        if claim := self.claims.get(output):
            anchor = f"claim-{claim['study']}-{claim['id']}"
            return Serving("claim", claim["statement"], anchor, claim["items"].split()[0], claim)
        raise UserError(
            f"{self.results / 'coverage.csv'} names {output}, which this run does not have: "
            "delete it and run the workflow again"
        )

    def _figure(self, figure: Figure) -> dict[str, Any]:
        files = _present(self.results, "figures", figure.name, FIGURE_FORMATS)
        words = {"title": figure.title, "caption": figure.caption, "alt": figure.alt}
        # the png says the same as the svg and the pdf, and is read in no time
        made = inspection.inspect(self.results / files["png"])
        return {**words, "files": files, "size": _svg_size(self.results / files["svg"]), "made": made}

    def _table(self, table: Table) -> dict[str, Any]:
        files = _present(self.results, "tables", table.name, TABLE_FORMATS)
        cells: ShownTable = shown_table(read_csv(self.results / files["csv"]))
        made = inspection.inspect(self.results / files["csv"])
        return {"title": table.title, "caption": table.caption, "files": files, "cells": cells, "made": made}


def _present(results: Path, folder: str, name: str, formats: tuple[str, ...]) -> dict[str, str]:
    """Format -> address of a file relative to the page."""
    files = {ending: f"{folder}/{name}.{ending}" for ending in formats}
    for file in files.values():
        if not (results / file).is_file():
            raise UserError(f"{results / file} is missing: run the workflow again to build it")
    return files


def _svg_size(path: Path) -> Size | None:
    """Size of an SVG in CSS pixels, if its first tag says so in pt or px."""
    with path.open(encoding="utf-8", errors="replace") as handle:
        tag = re.search(r"<svg\b[^>]*>", handle.read(4096))
    found = [re.search(rf'\b{side}="([\d.]+)(pt|px)?"', tag[0]) for side in ("width", "height")] if tag else []
    sizes = [round(float(one[1]) * (4 / 3 if one[2] == "pt" else 1)) for one in found if one]
    return Size(*sizes) if len(sizes) == 2 else None


def _entry(item: inventory.Item, rows: list[dict[str, str]], declared: _Declared) -> dict[str, Any]:
    """One item with its best status and all that serves it, by kind."""
    own = [row for row in rows if row["item"] == item.item]
    if not own:
        raise UserError(f"coverage.csv has no row for the item {item.item}: delete it and run the workflow again")
    status = next((status for status in coverage.STATUSES if status in {row["status"] for row in own}), "planned")
    summary = "regenerated" if status in coverage.REGENERATED else status
    tests = [row["outputs"] for row in own if row["status"] == "test"]
    shown = [declared.serving(row["outputs"]) for row in own if row["outputs"] and row["status"] != "test"]
    short = item.item.partition("-")[2]
    return {**asdict(item), "status": summary, "short": short, "shown": shown, "tests": tests}


def _document(document: inventory.Document, entries: list[dict[str, Any]]) -> dict[str, Any]:
    own = [entry for entry in entries if entry["document"] == document.document]
    done = [entry for entry in own if entry["shown"] or entry["tests"]]
    open_ = [entry for entry in own if entry not in done]
    statuses = Counter(entry["status"] for entry in open_)
    counted = {name: statuses[name] for name in _SUMMARY}
    return {**asdict(document), "entries": own, "done": done, "open": open_, "open_statuses": counted}


def _counted(claims: Any) -> dict[str, int]:
    found = Counter(claim["verdict"] for claim in claims)
    if strange := sorted(set(found) - set(VERDICTS)):
        raise UserError(f"claims.csv has the verdict {strange[0]!r}: allowed are {', '.join(VERDICTS)}")
    return {verdict: found[verdict] for verdict in VERDICTS}


_DATA_COLUMNS = {"data_title": "data set", "labels": "labels", "fidelity": "fidelity"}


def _study(study: Study, declared: _Declared, results: Path) -> dict[str, Any]:
    """Words, settings and provenance of one study."""
    path = results / "metrics" / f"{study.name}.parquet"
    made = storage.read_provenance(path)
    metrics = storage.read_table(path)
    shared = [name for name in _DATA_COLUMNS if name in metrics]
    data = metrics[shared].dropna(how="all").drop_duplicates().rename(columns=_DATA_COLUMNS) if shared else None
    return {
        "name": study.name,
        "paper": study.paper,
        "arxiv": study.arxiv,
        "summary": [part.strip() for part in re.split(r"\n\s*\n", study.summary) if part.strip()],
        "verdicts": _counted(claim for claim in declared.claims.values() if claim["study"] == study.name),
        "settings": setting_groups(declared.settings[study.name]),
        "seeds": sorted(int(seed) for seed in metrics["seed"].dropna().unique()) if "seed" in metrics else [],
        "versions": made.get("versions", []),
        "devices": made.get("devices", []),
        "cells": len(made.get("cells", {})),
        "data": shown_table(data) if data is not None else None,
        "files": {"metrics": f"metrics/{study.name}.parquet", "claims": f"claims/{study.name}.csv"},
    }
