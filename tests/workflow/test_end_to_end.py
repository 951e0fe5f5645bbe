"""The workflow at the tiny scale of one study: its files, its bits, wrong settings."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import copy_project
from tests.workflow.conftest import TINY, TRIGGERS, Checkout

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TRIGGERED = [*TRIGGERS, "--quiet", "rules"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Checkout:
    """The tiny scale of one study, run on two cores."""
    checkout = Checkout(copy_project(tmp_path_factory.mktemp("tiny") / "zeroloss"), TINY)
    done = checkout.snakemake()
    assert "training jobs, about" in done.stderr, "a run says beforehand what it will need"
    return checkout


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
    assert (results / "benchmarks/du2018a/cells_0.tsv").is_file()
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


def test_one_core_and_jobs_of_one_cell_give_the_same_bits_and_so_does_the_command_line(tiny, tmp_path):
    expected = cells(tiny.folder / "results/tiny")
    single = Checkout(copy_project(tmp_path / "single"), {**TINY, "seconds_per_job": 0})
    assert single.waiting()["cell"] == 6
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
    assert not {"cell", "cells"} & set(counts)
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
