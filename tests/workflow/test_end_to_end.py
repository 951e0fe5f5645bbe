"""The whole workflow at the tiny scale: its files, its bits, its page in a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import copy_project
from tests.workflow.conftest import TRIGGERS, Checkout
from zeroloss.plan import make_plan

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TINY = {"scale": "tiny", "device": "cpu"}
TRIGGERED = [*TRIGGERS, "--quiet", "rules"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Checkout:
    """The tiny scale of one study, run on two cores."""
    checkout = Checkout(copy_project(tmp_path_factory.mktemp("tiny") / "zeroloss"), TINY)
    done = checkout.snakemake()
    assert "training jobs, about" in done.stderr, "a run says beforehand what it will need"
    return checkout


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Checkout:
    """The tiny scale of all studies: every rule, figure, table and claim there is."""
    checkout = Checkout(copy_project(tmp_path_factory.mktemp("whole") / "zeroloss", studies=None), TINY)
    checkout.snakemake(*TRIGGERED)
    return checkout


def test_every_study_runs_and_every_item_is_accounted_for(whole):
    results = whole.folder / "results/tiny"
    with_scale = make_plan("tiny", folder=whole.folder)
    for study in with_scale.studies:
        for output in with_scale.outputs(study):
            assert (results / output).stat().st_size > 0, output
    claims = pd.read_csv(results / "claims.csv", keep_default_na=False)
    assert set(claims["study"]) == {name for name, declared in with_scale.claims.items() if declared}
    assert set(claims["verdict"]) <= {"reproduced", "differs", "undecided"}
    assert not claims.duplicated(["study", "id"]).any()
    coverage = pd.read_csv(results / "coverage.csv", keep_default_na=False)
    assert coverage["item"].nunique() == 85
    assert whole.waiting() == {}


def cells(folder: Path) -> dict[str, bytes]:
    """What was computed: every parquet file of a results folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_every_file_that_is_promised(tiny):
    results = tiny.folder / "results/tiny"
    for name in ("du2018a_fig1", "du2018a_finding", "du2018a_images_digits"):
        for suffix in ("pdf", "svg", "png"):
            assert (results / f"figures/{name}.{suffix}").stat().st_size > 5000
    for name in ("du2018a_agreement", "du2018a_rates", "du2018a_data"):
        for suffix in ("csv", "md", "tex"):
            assert (results / f"tables/{name}.{suffix}").stat().st_size > 0
    metrics = pd.read_parquet(results / "metrics/du2018a.parquet")
    assert list(metrics) == [
        "variant", "source", "labels", "seed", "width", "step", "step_size", "mean_squared_error", "pattern_change",
        "max_distance", "lambda_min", "lambda_max", "lambda_0", "lambda_max_limit", "diverged", "data_title", "fidelity",
    ]  # fmt: skip
    assert len(metrics) == (2 * 2 * 5 + 2 * 4) * 101
    claims = pd.read_csv(results / "claims.csv", keep_default_na=False)
    assert list(claims) == [
        "id", "study", "items", "statement", "expected", "measured", "spread", "tolerance", "verdict", "note",
    ]  # fmt: skip
    assert len(claims) == 13
    assert set(claims["verdict"]) <= {"reproduced", "differs", "undecided"}
    coverage = pd.read_csv(results / "coverage.csv", keep_default_na=False)
    assert coverage["item"].nunique() == 85
    assert list(coverage) == ["item", "document", "kind", "status", "outputs", "why"]
    assert (results / "index.html").stat().st_size > 20_000
    assert (results / "benchmarks/du2018a/as_published_seed0.tsv").is_file()
    left = [path for path in results.rglob("*") if path.name.startswith(".") and path.is_file()]
    assert left == [], "no temporary file is left behind"


def test_provenance_travels_with_a_cell(tiny):
    path = tiny.folder / "results/tiny/runs/du2018a/as_printed_seed1.parquet"
    found = json.loads(tiny.zeroloss("inspect", str(path)))
    assert found["parameters"]["seed"] == 1
    assert found["parameters"]["step"] == 0.1
    assert found["device"] == "cpu"
    assert found["threads"] == 1
    assert {"torch", "numpy", "python"} <= set(found["versions"])
    assert len(found["code"]) == len(found["key"]) == 32


def test_a_second_run_does_nothing(tiny):
    assert "Nothing to be done" in tiny.snakemake(*TRIGGERS).stderr


def test_one_core_gives_the_same_bits_and_so_does_the_command_line(tiny, tmp_path):
    expected = cells(tiny.folder / "results/tiny")
    single = Checkout(copy_project(tmp_path / "single"), TINY)
    single.snakemake("--quiet", "rules", "--", "results/tiny/metrics/du2018a.parquet", cores=1)
    assert cells(single.folder / "results/tiny") == expected
    by_hand = ["--set", "device=cpu", "--out", str(tmp_path / "by_hand")]
    tiny.zeroloss("run", "du2018a", "--scale", "tiny", *by_hand)
    assert cells(tmp_path / "by_hand") == expected


def test_results_of_the_command_line_are_taken_as_the_workflows_own(tiny, tmp_path):
    """The heavy part may be done elsewhere, without Snakemake, and dropped into results/."""
    other = Checkout(copy_project(tmp_path / "other"), TINY)
    other.zeroloss("run", "du2018a", "--scale", "tiny", "--only", "cells", "--set", "device=cpu")
    counts = other.waiting()
    assert "cell" not in counts
    assert "dataset" not in counts
    other.snakemake(*TRIGGERED)
    assert cells(other.folder / "results/tiny") == cells(tiny.folder / "results/tiny")


def test_report_of_snakemake(tiny, tmp_path):
    tiny.snakemake("--report", str(tmp_path / "report.zip"))
    assert (tmp_path / "report.zip").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"studies": {"du2018a": {"synthetic": {"width": [1]}}}},
            "synthetic.width is not a setting: did you mean widths?",
        ),
        (
            {"studies": {"du2018a": {"synthetic": {"printed_step": -1}}}},
            "printed_step is -1: it must be greater than 0",
        ),
        ({"scale": "huge"}, "scale is 'huge': allowed are tiny, laptop, paper"),
        ({"data": {"root": "/no/such/place"}}, "data.root is '/no/such/place', which is not a folder"),
    ],
)
def test_a_wrong_setting_stops_before_any_job(tmp_path, values, sentence):
    checkout = Checkout(copy_project(tmp_path / "wrong"), values)
    done = checkout.snakemake(check=False)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout.folder / "results").exists()


def test_an_unknown_target_is_named(tiny):
    done = tiny.snakemake("-n", "--", "results/tiny/figures/nothing.pdf", check=False)
    assert done.returncode != 0
    assert "nothing is not a figure of scale tiny: allowed are du2018a_fig1" in done.stdout + done.stderr


def test_too_little_memory_is_said_beforehand(tmp_path):
    values = {"studies": {"du2018a": {"synthetic": {"widths": [4_000_000_000]}}}}
    checkout = Checkout(copy_project(tmp_path / "large"), values)
    done = checkout.snakemake(check=False)
    assert done.returncode != 0
    assert "one job needs about" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout.folder / "results").exists()


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.browser
@pytest.mark.skipif(
    not (chromium() and shutil.which("chromedriver")),
    reason="Chromium and its driver are not installed (Debian: apt-get install chromium chromium-driver)",
)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(whole, tmp_path, width):
    """No broken image, no message on the console, nothing from the network, nothing wider than the window."""
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = chromium()
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get((whole.folder / "results/tiny/index.html").as_uri())
        # on a busy machine get() has been seen to come back while the page was still being read
        whole_page = "return document.readyState === 'complete' && [...document.images].every(i => i.complete)"
        WebDriverWait(browser, 60).until(lambda b: b.execute_script(whole_page))
        pictures = browser.execute_script(
            "return [...document.images].map(i => [i.src, i.complete && i.naturalWidth > 0, i.alt.length > 0])"
        )
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        text = browser.find_element("tag name", "body").text
        links = browser.execute_script(
            "return [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))"
            ".filter(id => !document.getElementById(id))"
        )
        messages = browser.get_log("browser")
    finally:
        browser.quit()
    assert {Path(src).name for src, _, _ in pictures} == {
        path.name for path in (whole.folder / "results/tiny/figures").glob("*.svg")
    }
    assert all(complete and alt for _, complete, alt in pictures), pictures
    assert all(name.startswith("file:") for name in loaded), loaded
    assert overflow <= 0
    assert links == []
    assert messages == []
    assert "001-F1" in text
    assert "scale tiny" in text.lower()
