"""The study of Du et al. 2018a: its claims can come out either way, its tables compute what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zeroloss.config import load_config
from zeroloss.datasets.recipes import Dataset
from zeroloss.errors import UserError
from zeroloss.plan import make_plan
from zeroloss.studies.du2018a import STUDY, claims, tables
from zeroloss.studies.du2018a import experiment as study
from zeroloss.theory.statistics import Estimate

SETTINGS = load_config("laptop", {"studies": {"du2018a": {"images": {"sources": ["digits"]}}}}).study("du2018a")
WIDTHS = [500, 1000, 2000, 4000, 8000]


def metrics(rate=lambda m: 0.05, change=lambda m: m**-0.5, lambda_ratio=lambda m: 0.9, noise=0.001) -> pd.DataFrame:
    """Made-up metrics of all variants with a given rate of decrease, pattern change and eigenvalue per width."""
    rows = []
    generator = np.random.default_rng(0)
    groups = [("as_published", "sphere", "gaussian", s) for s in (0, 1, 2)]
    groups += [("as_printed", "sphere", "gaussian", s) for s in (0, 1, 2)]
    groups += [("images", "digits", labels, 0) for labels in ("true", "random")]
    for variant, source, labels, seed in groups:
        for width in WIDTHS:
            steps = np.arange(101)
            factor = 1 + noise * generator.standard_normal()
            rows.append(
                pd.DataFrame(
                    {
                        "variant": variant, "source": source, "labels": labels, "seed": seed, "width": width,
                        "step": steps, "step_size": 0.1,
                        "mean_squared_error": 1.5 * np.exp(-rate(width) * factor * steps),
                        "pattern_change": change(width) * factor * steps / 100,
                        "max_distance": change(width) * factor * steps / 100,
                        "lambda_min": 0.25 * lambda_ratio(width), "lambda_max": 1.2, "lambda_0": 0.25,
                        "lambda_max_limit": 1.2, "diverged": False, "data_title": source, "fidelity": "made up",
                    }
                )
            )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def verdict(judge, table) -> str:
    return judge(table, SETTINGS).verdict


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(lambda m: 1e-3 * m**0.5, "reproduced"), (lambda m: 5 / m**0.5, "differs"), (lambda m: 0.05, "undecided")],
)
def test_faster_with_width(rate, expected):
    assert verdict(claims.judge_faster_with_width, metrics(rate, noise=0.01)) == expected


@pytest.mark.parametrize(("rate", "expected"), [(lambda m: 0.05, "reproduced"), (lambda m: 1e-3 * m**0.5, "differs")])
def test_width_free_rate(rate, expected):
    assert verdict(claims.judge_width_free_rate, metrics(rate)) == expected


@pytest.mark.parametrize(
    "judge",
    [claims.judge_width_free_rate, claims.judge_faster_with_width, claims.judge_patterns_printed,
     claims.judge_distance_published],
)  # fmt: skip
@pytest.mark.parametrize("how", ["rises", "diverged"])
def test_a_run_that_does_not_descend_decides_nothing(judge, how):
    """Ratios of rates that are negative look as equal as those of good runs."""
    table = metrics(lambda m: -0.05) if how == "rises" else metrics().assign(diverged=True)
    found = judge(table, SETTINGS)
    assert (found.verdict, found.measured) == ("undecided", "not measurable")
    assert "did not descend (m = 500, seed 0; m = 1000, seed 0 and 13 more)" in found.note


def test_width_free_rate_is_undecided_where_the_interval_holds_the_tolerance():
    table = metrics(lambda m: 0.05 * (1.35 if m == 500 else 1), noise=0.1)
    found = claims.judge_width_free_rate(table, SETTINGS)
    assert found.verdict == "undecided"


@pytest.mark.parametrize(
    ("power", "noise", "expected"),
    [
        (-0.5, 0.001, "reproduced"),
        (-0.42, 0.001, "reproduced"),  # inside the tolerance with certainty
        (-0.3, 0.001, "differs"),
        (-1, 0.02, "differs"),
    ],
)
def test_fall_with_width(power, noise, expected):
    table = metrics(change=lambda m: m**power, noise=noise)
    for judge in (
        claims.judge_patterns_published,
        claims.judge_patterns_printed,
        claims.judge_distance_published,
        claims.judge_distance_printed,
    ):
        assert verdict(judge, table) == expected
    assert claims.judge_distance_printed(table[table["seed"] == 0], SETTINGS).verdict == "undecided"


@pytest.mark.parametrize(
    ("mean", "half_width", "expected"),
    [
        (-0.45, 0.02, "reproduced"),  # all of the interval within the tolerance
        (-0.42, 0.15, "reproduced"),  # close, and the interval covers -1/2
        (-0.42, 0.05, "undecided"),  # close, but the interval neither covers -1/2 nor stays within the tolerance
        (-0.38, 0.13, "undecided"),  # outside the tolerance, but the interval reaches into it
        (-0.38, 0.01, "differs"),
        (-0.75, 0.2, "undecided"),
        (-0.75, 0.1, "differs"),
        (-0.5, float("nan"), "undecided"),  # one seed
    ],
)
def test_a_slope_needs_evidence_either_way(mean, half_width, expected):
    assert claims._slope_verdict(Estimate(mean, half_width, 3)) == expected


def test_rate_bound():
    bound = -np.log1p(-0.1 * 0.25 / 2)
    assert verdict(claims.judge_rate_bound_sphere, metrics(lambda m: 1.01 * bound)) == "reproduced"
    assert verdict(claims.judge_rate_bound_sphere, metrics(lambda m: 0.99 * bound)) == "differs"
    assert verdict(claims.judge_rate_bound_images, metrics(lambda m: 0.99 * bound)) == "differs"
    table = metrics(lambda m: 2 * bound)
    late = (table["step"] == 57) & (table["width"] == 2000) & (table["seed"] == 1)
    table.loc[late, "mean_squared_error"] = 1.6  # one step of one run is enough
    found = claims.judge_rate_bound_sphere(table, SETTINGS)
    assert found.verdict == "differs"
    assert "m = 2000, seed 1, step 57" in found.measured


def test_a_diverged_run_breaks_the_bound():
    table = metrics()
    table.loc[(table["width"] == 500) & (table["variant"] == "as_printed"), "diverged"] = True
    found = claims.judge_rate_bound_sphere(table, SETTINGS)
    assert found.verdict == "differs"
    assert "diverged: sphere as_printed" in found.note


def test_eigenvalue():
    assert verdict(claims.judge_eigenvalue_sphere, metrics(lambda_ratio=lambda m: 0.51)) == "reproduced"
    found = claims.judge_eigenvalue_images(metrics(lambda_ratio=lambda m: 0.6 if m >= 2000 else 0.4), SETTINGS)
    assert found.verdict == "reproduced"
    assert "holds from m = 2000 on" in found.note
    assert verdict(claims.judge_eigenvalue_sphere, metrics(lambda_ratio=lambda m: 0.49)) == "differs"


def published_metrics(shift: float) -> pd.DataFrame:
    """Our table filled with the paper's own curves, the three seeds 2 % apart, all shifted by ``shift`` in ln."""
    table = metrics()
    curves = study.published_curves(SETTINGS)
    for panel, column in (("a", "mean_squared_error"), ("b", "pattern_change"), ("c", "max_distance")):
        values = curves[curves["panel"] == panel].set_index(["width", "step"])["value"]
        ours = (table["variant"] == "as_published") & (table["step"] > 0)
        index = pd.MultiIndex.from_frame(table.loc[ours, ["width", "step"]])
        paper = values.reindex(index).to_numpy()
        wobble = np.exp(0.02 * (table.loc[ours, "seed"] - 1) + shift)
        exact = np.exp(paper) if panel == "a" else paper if panel == "b" else paper**0.5
        table.loc[ours, column] = exact * wobble
    return table


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "reproduced"), (0.3, "differs"), (-0.3, "differs")])
def test_agreement(shift, expected):
    table = published_metrics(shift)
    for judge in (claims.judge_agreement_a, claims.judge_agreement_b, claims.judge_agreement_c):
        assert verdict(judge, table) == expected


def test_agreement_table_measures_the_shift():
    found = tables.agreement_table(published_metrics(0.1), SETTINGS)
    assert len(found) == 15
    panels = found.groupby("panel")["deviation over the curve, %"].mean()
    assert panels["a"] == pytest.approx(100 * np.expm1(0.1), rel=1e-6)
    assert panels["b"] == pytest.approx(100 * np.expm1(0.1), rel=1e-6)
    assert panels["c"] == pytest.approx(100 * np.expm1(0.2), rel=1e-6)  # the square doubles it


def test_agreement_is_undecided_where_it_cannot_be_decided():
    tiny = load_config("tiny").study("du2018a")
    assert claims.judge_agreement_a(metrics(), tiny).verdict == "undecided"
    one = load_config("laptop", {"studies": {"du2018a": {"synthetic": {"seeds": [0]}}}}).study("du2018a")
    alone = published_metrics(0.0)
    assert claims.judge_agreement_a(alone[alone["seed"] == 0], one).verdict == "undecided"


def test_every_claim_figure_and_table_names_known_items():
    plan = make_plan("tiny")
    from zeroloss.report.coverage import served

    assert {"001-F1", "001-TH4", "001-TH6", "001-E1", "001-E2", "003-E2", "003-E3"} <= set(served(plan))


def test_cells_group_widths_and_one_more_seed_changes_no_other_cell():
    before = make_plan(
        "laptop", {"studies": {"du2018a": {"synthetic": {"seeds": [0, 1]}, "images": {"sources": ["digits"]}}}}
    )
    after = make_plan(
        "laptop", {"studies": {"du2018a": {"synthetic": {"seeds": [0, 1, 7]}, "images": {"sources": ["digits"]}}}}
    )
    old, new = before.cells["du2018a"], after.cells["du2018a"]
    assert set(new) - set(old) == {"as_published_seed7", "as_printed_seed7"}
    assert all(before.cell("du2018a", name)["key"] == after.cell("du2018a", name)["key"] for name in old)
    assert before.metrics("du2018a")["key"] != after.metrics("du2018a")["key"]


def test_spectrum_steps_span_the_run():
    assert study.spectrum_steps(100, 8) == [0, 1, 2, 4, 7, 14, 27, 52, 100]
    assert study.spectrum_steps(1, 5) == [0, 1]


def test_step_sizes():
    assert study.step_size("sqrt_width", 0.001, 8000, 1.2) == pytest.approx(0.0894, abs=5e-5)
    assert study.step_size("fixed", 0.1, 8000, 1.2) == 0.1
    assert study.step_size("relative", 1.0, 8000, 250.0) == 0.004


def test_duplicate_images_get_a_message_not_a_nan():
    x = np.eye(5)
    x[4] = x[2]
    data = Dataset(x, np.ones(5), {"title": "toys", "labels": "parity of the class", "fidelity": "made up"})
    cell = make_plan("tiny").cells["du2018a"]["digits_true_seed0"]
    with pytest.raises(
        UserError, match=r"inputs 2 and 4 of toys, parity of the class are parallel.*drop_parallel: true"
    ):
        STUDY.run(cell.parameters, [data], device="cpu", quiet=True)


def test_run_returns_one_row_per_width_and_step():
    plan = make_plan("tiny")
    cell = plan.cells["du2018a"]["as_printed_seed0"]
    data = plan.recipes[cell.datasets[0]].build(None)
    table = STUDY.run(cell.parameters, [data], device="cpu", quiet=True)
    assert table.groupby("width").size().to_dict() == dict.fromkeys([50, 100, 200, 400, 800], 101)
    assert table["lambda_min"].notna().groupby(table["width"]).sum().eq(9).all()
    assert (table.groupby("width")["mean_squared_error"].diff().dropna() < 0).all()
    assert (table["lambda_0"] > 0).all()


@pytest.mark.parametrize("name", ["du2018a_fig1", "du2018a_finding", "du2018a_images_digits"])
def test_figures_are_drawn_without_torch(name, tmp_path):
    import subprocess
    import sys

    path = tmp_path / "metrics.parquet"
    metrics().to_parquet(path)
    code = (
        "import sys, pandas as pd\n"
        "from zeroloss.plan import make_plan\n"
        "from zeroloss.plotting.style import house_style, save\n"
        "from pathlib import Path\n"
        "images = {'sources': ['digits'], 'widths': [500, 1000, 2000, 4000, 8000]}\n"
        "plan = make_plan('laptop', {'studies': {'du2018a': {'images': images}}})\n"
        f"study, figure = plan.figures[{name!r}]\n"
        "with house_style():\n"
        f"    canvas = figure.draw(pd.read_parquet({str(path)!r}), plan.config.study('du2018a'), **figure.options)\n"
        f"    save(canvas, Path({str(tmp_path)!r}) / 'f', title='t', note=figure.caption, provenance={{'key': 'k'}})\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True, timeout=120)
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (tmp_path / "f.svg").read_bytes()
    first = (tmp_path / "f.svg").read_bytes()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert (tmp_path / "f.svg").read_bytes() == first
