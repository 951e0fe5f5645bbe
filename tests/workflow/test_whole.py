"""The whole workflow at the tiny scale, all studies: every file that is promised, and the page in a browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import copy_project
from tests.workflow.conftest import TINY, TRIGGERS, Checkout
from zeroloss.plan import make_plan

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Checkout:
    """The tiny scale of all studies: every rule, figure, table and claim there is."""
    checkout = Checkout(copy_project(tmp_path_factory.mktemp("whole") / "zeroloss", studies=None), TINY)
    checkout.snakemake(*TRIGGERS, "--quiet", "rules")
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
