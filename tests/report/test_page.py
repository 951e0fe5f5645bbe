"""Coverage and page of a toy run: complete, valid, self-contained, escaped and always the same."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import Field

from zeroloss import storage, studies
from zeroloss.errors import UserError
from zeroloss.report import coverage, inventory, page
from zeroloss.report.shown import mathematics, number, text
from zeroloss.studies.contract import Claim, Figure, Study, StudySettings, Table

# ------------------------------------------------------------------------------ a study, its plan and what a run leaves


class Sizes(StudySettings):
    """Sizes of the toy."""

    widths: list[int] = Field(description="hidden widths m")
    step: float = Field(description="step size eta")


class Settings(StudySettings):
    """The toy."""

    seeds: list[int] = Field(description="seeds of everything")
    sizes: Sizes = Field(description="sizes")


def _nothing(*_: Any, **__: Any) -> Any:
    raise AssertionError("the page computes nothing")


FIGURES = [
    Figure("toy_curve", ("001-F1", "001-TH6"), "A curve", "n = 3 & seeds 0, 1.", "A line that falls.", _nothing),
    Figure("toy_paper", ("004-F7",), "Theirs", "From the paper.", "Two lines.", _nothing, {"published_only": True}),
]
TABLES = [Table("toy_rates", ("001-F1",), "Rates", "Rate by width.", _nothing)]
CLAIMS = [
    Claim("falls", ("001-TH6", "001-F1"), "The loss <script>alert(1)</script> falls like m^(-1/2).", _nothing),
    Claim("bounded", ("003-Q1",), "The loss stays below lambda_0.", _nothing),
]


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    toy = Study(
        name="toy",
        paper="Toy 2020: losses & <b>how</b> they fall",
        arxiv="2001.00001",
        summary="The first paragraph.\n\nThe second, with eta.",
        settings=Settings,
        recipes=lambda settings: [],
        cells=lambda settings: [],
        run=_nothing,
        figures=lambda settings: FIGURES,
        tables=lambda settings: TABLES,
        claims=lambda settings: CLAIMS,
        tests={"003-E2": "tests/test_toy.py::test_exact"},
    )
    monkeypatch.setattr(studies, "all_studies", lambda: {"toy": toy})
    return toy


@pytest.fixture
def plan(study: Study) -> Any:
    return SimpleNamespace(
        studies={"toy": study},
        figures={one.name: (study, one) for one in FIGURES},
        tables={one.name: (study, one) for one in TABLES},
        claims={"toy": tuple(CLAIMS)},
    )


@pytest.fixture
def order(plan: Any) -> dict[str, Any]:
    settings = {"seeds": [0, 1], "sizes": {"widths": [10, 20], "step": 0.1}}
    return {"scale": "tiny", "settings": {"scale": "tiny", "studies": {"toy": settings}}, "key": "0" * 32}


MADE = {
    "key": "a" * 32,
    "study": "toy",
    "scale": "tiny",
    "seeds": [7, 11],
    "data": {"sphere_n3": ["b" * 64]},
    "published": {"toy_fig1": "c" * 64},
    "code": {"here": "d" * 32, "cells": ["e" * 32]},
    "versions": {"here": {"python": "3.13.0"}, "cells": [{"python": "3.11.7", "torch": "2.13.0<x>"}]},
    "devices": ["NVIDIA H100"],
    "processors": ["AVX512"],
}


@pytest.fixture
def results(tmp_path: Path, plan: Any) -> Path:
    """What a run leaves, before the page is written."""
    svg = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="150.4pt"></svg>'
    for name in ("toy_curve", "toy_paper"):
        for ending in ("svg", "pdf"):
            storage.write_text(tmp_path / "figures" / f"{name}.{ending}", svg)
        fields = PngInfo()
        fields.add_text("zeroloss", storage.as_text(MADE))
        Image.new("L", (1, 1)).save(tmp_path / "figures" / f"{name}.png", pnginfo=fields)
    rates = pd.DataFrame({"set": ["a<b", None], "width": [10, 20], "rate": [0.123456, float("nan")]})
    cells = rates.to_csv(index=False)
    storage.write_text(tmp_path / "tables" / "toy_rates.csv", cells)
    made_so = {**MADE, "csv_sha256": hashlib.sha256(cells.encode()).hexdigest()}
    for ending in (".md", ".tex"):
        storage.write_text(tmp_path / "tables" / f"toy_rates{ending}", storage.as_comment(made_so, ending))
    head = {"study": "toy", "expected": "<= 1", "measured": "0.5", "spread": "", "tolerance": "0.1", "note": "a & b"}
    claims = [
        {"id": one.name, "items": " ".join(one.items), "statement": one.statement, **head, "verdict": verdict}
        for one, verdict in zip(CLAIMS, ("reproduced", "differs"), strict=True)
    ]
    for path in (tmp_path / "claims.csv", tmp_path / "claims" / "toy.csv"):
        storage.write_text(path, pd.DataFrame(claims).to_csv(index=False))
    metrics = pd.DataFrame({"seed": [0, 1], "data_title": "sphere", "fidelity": "synthetic"})
    made = {"versions": [{"python": "3.11.7"}], "devices": ["cpu"], "cells": {"one": "0"}}
    storage.write_table(metrics, tmp_path / "metrics" / "toy.parquet", made)
    coverage.write({"served": coverage.served(plan)}, tmp_path)
    return tmp_path


# ----------------------------------------------------------------------------------------------------------- coverage


def test_served_lists_figures_tables_claims_and_tests(plan: Any) -> None:
    served = coverage.served(plan)
    assert served["001-F1"] == [
        {"status": "figure", "output": "figures/toy_curve.pdf"},
        {"status": "table", "output": "tables/toy_rates.csv"},
        {"status": "claim", "output": "claims/toy.csv#falls"},
    ]
    assert served["003-E2"] == [{"status": "test", "output": "tests/test_toy.py::test_exact"}]
    assert served["004-F7"] == [{"status": "published-only", "output": "figures/toy_paper.pdf"}]
    assert list(served) == ["001-TH6", "001-F1", "003-Q1", "003-E2", "004-F7"]
    assert json.loads(json.dumps(served)) == served


def test_unknown_item_is_refused_with_its_study_and_id(plan: Any) -> None:
    plan.studies["toy"] = replace(plan.studies["toy"], tests={"009-F1": "tests/test_toy.py::test_exact"})
    with pytest.raises(UserError, match="study toy serves the item 009-F1"):
        coverage.served(plan)


def test_every_item_has_a_row_and_unserved_ones_say_why(results: Path) -> None:
    rows = pd.read_csv(results / "coverage.csv", dtype=str, keep_default_na=False)
    assert tuple(rows.columns) == coverage.COLUMNS
    assert list(rows["item"].unique()) == list(inventory.items())
    assert len(rows) == 85 + 3  # 001-F1 has three outputs, 001-TH6 two
    status = dict(zip(rows["item"], rows["status"], strict=True))
    assert status["002-?1"] == status["004-L1"] == "not-computable"
    assert status["000-E1"] == status["004-?2"] == "planned"
    assert set(status.values()) <= set(coverage.STATUSES)
    assert (rows.loc[rows["status"] == "not-computable", "why"] != "").all()
    assert (rows.loc[rows["status"].isin(["planned", "not-computable"]), "outputs"] == "").all()


# --------------------------------------------------------------------------------------------------------------- page


VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Every tag with its attributes; raises AssertionError where tags do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def values(self, tag: str, name: str) -> list[str]:
        return [found[name] or "" for of, found in self.tags if of == tag and name in found]


@pytest.fixture
def html(order: dict[str, Any], results: Path) -> str:
    page.write(order, results)
    return (results / "index.html").read_text(encoding="utf-8")


def test_texts_are_escaped(html: str) -> None:
    assert "<script" not in html
    assert "The loss &lt;script&gt;alert(1)&lt;/script&gt; falls like m<sup>−1/2</sup>." in html
    assert "Toy 2020: losses &amp; &lt;b&gt;how&lt;/b&gt; they fall" in html
    assert "a&lt;b" in html and "a &amp; b" in html and "a & b" not in html


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    reader = Reader(html)
    external = [link for link in reader.values("a", "href") if "//" in link]
    assert external and all(link.startswith("https://arxiv.org/abs/") for link in external)
    assert reader.values("link", "href") == ["data:,"]
    assert not any("//" in link for link in reader.values("img", "src"))
    assert not re.search(r"url\(|@import|@font-face", html)
    assert not {"script", "iframe", "object", "embed"} & {tag for tag, _ in reader.tags}


def test_each_figure_and_table_says_how_it_was_made(html: str) -> None:
    blocks = re.findall(r'<details class="made">.*?</details>', html, re.DOTALL)
    assert len(blocks) == len(FIGURES) + len(TABLES)
    for block in blocks:
        for fact in (
            "a" * 32, 'href="#study-toy"', "7, 11", f"sphere_n3 <code>sha256 {'b' * 64}", "c" * 64, "d" * 32, "e" * 32,
            "NVIDIA H100 (AVX512)", "python 3.11.7, torch 2.13.0&lt;x&gt;", "python 3.13.0",
        ):  # fmt: skip
            assert fact in block, fact
    for file in ("figures/toy_curve.pdf", "figures/toy_paper.pdf", "tables/toy_rates.csv"):
        assert html.count(f"python -m zeroloss inspect {file}<") == 1


def test_a_table_that_someone_has_edited_is_refused(order: dict[str, Any], results: Path) -> None:
    table = results / "tables" / "toy_rates.csv"
    table.write_text(table.read_text().replace("0.123456", "0.023456"))
    with pytest.raises(UserError, match=r"toy_rates\.csv has been changed since it was written"):
        page.write(order, results)


def test_a_browser_is_told_to_run_no_script_and_to_load_nothing_from_elsewhere(html: str) -> None:
    (meta,) = [found for tag, found in Reader(html).tags if found.get("http-equiv") == "Content-Security-Policy"]
    policy = dict(part.strip().split(" ", 1) for part in str(meta["content"]).split(";"))
    assert policy["default-src"] == "'none'"
    assert not {"script-src", "connect-src", "frame-src", "object-src"} & set(policy)
    assert not any("http" in value or "*" in value for value in policy.values())
    assert html.index("Content-Security-Policy") < html.index("<style")


def test_links_lead_somewhere(html: str, results: Path) -> None:
    reader = Reader(html)
    ids = [found["id"] for _, found in reader.tags if "id" in found]
    assert len(ids) == len(set(ids))
    for link in reader.values("a", "href"):
        if link.startswith("#"):
            assert unquote(link[1:]) in ids, link
        elif "//" not in link:
            assert (results / link).is_file(), link


def test_every_item_is_there_once(html: str) -> None:
    ids = [found["id"] for _, found in Reader(html).tags if found.get("id") in inventory.items()]
    assert ids.count("001-F1") == 1
    assert set(ids) == set(inventory.items())


def test_pictures_have_alternative_text_size_and_file(html: str, results: Path) -> None:
    pictures = [found for tag, found in Reader(html).tags if tag == "img"]
    assert [one["src"] for one in pictures] == ["figures/toy_curve.svg", "figures/toy_paper.svg"]
    for one in pictures:
        assert one["alt"] and (results / str(one["src"])).is_file()
        assert (one["width"], one["height"]) == ("400", "201")


def test_headings_descend_one_level_at_a_time(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Reader(html).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_scopes_and_page_has_language_and_title(html: str) -> None:
    reader = Reader(html)
    assert len(reader.values("th", "scope")) == sum(tag == "th" for tag, _ in reader.tags)
    assert reader.values("html", "lang") == ["en"]
    assert "<title>zeroloss, scale tiny" in html


def test_what_serves_several_items_is_shown_at_the_first_and_linked_from_the_others(html: str) -> None:
    assert html.count('id="figure-toy_curve"') == 1
    assert html.count('id="claim-toy-falls"') == 1
    starts = [html.index(f'<article class="item" id="{item}"') for item in ("001-TH6", "001-F1")]
    of_theorem = html[slice(*starts)]
    assert 'href="#figure-toy_curve"' in of_theorem and 'id="claim-toy-falls"' in of_theorem


def test_counts_verdicts_and_items(html: str) -> None:
    assert "1 reproduced" in html and "1 differs" in html and "0 undecided" in html
    assert "<strong>3 of 85</strong> regenerated, 1 checked by a test, 1 as published only" in html
    assert "76 planned, 4 with nothing to compute" in html


def test_settings_and_provenance_are_shown(html: str) -> None:
    assert "hidden widths m" in html and "<td>10, 20</td>" in html and "step size η" in html
    assert "python 3.11.7" in html and "synthetic" in html


def test_the_same_results_give_the_same_bytes_and_no_date(order: dict[str, Any], results: Path, html: str) -> None:
    page.write(order, results)
    assert (results / "index.html").read_text(encoding="utf-8") == html
    assert not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d", html)
    assert str(results) not in html


@pytest.mark.parametrize(
    "name", ["figures/toy_curve.png", "tables/toy_rates.csv", "claims.csv", "coverage.csv", "metrics/toy.parquet"]
)
def test_missing_file_is_named(order: dict[str, Any], results: Path, name: str) -> None:
    (results / name).unlink()
    with pytest.raises(UserError, match=f"{re.escape(name)} is missing"):
        page.write(order, results)
    assert not (results / "index.html").exists()


def test_output_that_no_study_declares_is_refused(order: dict[str, Any], results: Path) -> None:
    listed = results / "coverage.csv"
    listed.write_text(listed.read_text().replace("figures/toy_curve.pdf", "figures/other.pdf"))
    with pytest.raises(UserError, match=r"names figures/other\.pdf"):
        page.write(order, results)


def test_strange_verdict_is_refused(order: dict[str, Any], results: Path) -> None:
    listed = results / "claims.csv"
    listed.write_text(listed.read_text().replace("differs", "maybe"))
    with pytest.raises(UserError, match="verdict 'maybe': allowed are reproduced, differs, undecided"):
        page.write(order, results)


def test_checksum_follows_the_words_of_a_study(study: Any) -> None:
    before = page.template_checksum()
    assert before == page.template_checksum()
    object.__setattr__(study, "summary", "Something else.")
    assert page.template_checksum() != before


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.1235"), (12345.678, "12350"), (1.5e-7, "1.5 × 10⁻⁷"), (-3.0, "−3"), (20, "20"),
        (2000000, "2000000"), (1.5e6, "1.5 × 10⁶"), (float("nan"), "–"), (float("inf"), "∞"), (0.0, "0"),
    ],
)  # fmt: skip
def test_numbers_have_four_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_settings_are_not_rounded() -> None:
    assert text([0.123456, True, None, "auto"]) == "0.123456, yes, none, auto"


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("(1 - eta lambda_0/2)^k", "(1 - η λ<sub>0</sub>/2)<sup>k</sup>"),
        ("H^ℓ_ij, K^(H), 2^O(H)", "H<sup>ℓ</sup><sub>ij</sub>, K<sup>(H)</sup>, 2<sup>O(H)</sup>"),
        ("‖W‖_{2,∞} and n^{−2/(d−1)}", "‖W‖<sub>2,∞</sub> and n<sup>−2/(d−1)</sup>"),
        ("as_published 1e-5 >= -0.5", "as_published 1e-5 ≥ −0.5"),
        ("λ₀ of sqrt(m) & <b>", "λ<sub>0</sub> of √m &amp; &lt;b&gt;"),
    ],
)
def test_formulas_in_text(plain: str, shown: str) -> None:
    assert mathematics(plain) == shown
