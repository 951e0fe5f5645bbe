"""The study of Du and Hu 2019: its claims can come out either way, and what it draws needs no torch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.plan import make_plan
from zeroloss.studies.du_hu2019 import STUDY, claims, start_claims, tables
from zeroloss.studies.du_hu2019.widths import least_widths

SETTINGS = load_config("laptop").study("du_hu2019")
PART, HEAT = SETTINGS.theorem, SETTINGS.heat
SEEDS = range(5)


def runs(start: str, least, iterations=lambda depth: 20.0) -> pd.DataFrame:
    """The bound holds from the width least(depth, seed) on."""
    rows = [
        {
            "part": "run", "start": start, "depth": depth, "width": width, "seed": seed, "start_loss": 100.0,
            "slack": -0.1 if width >= least(depth, seed) else 0.5, "iterations": iterations(depth) * (1 + 0.01 * seed),
        }
        for depth in PART.depths for width in PART.widths for seed in SEEDS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def heat(start: str, target: str, least) -> pd.DataFrame:
    rows = []
    for depth in HEAT.depths:
        for width in HEAT.widths:
            for seed in SEEDS:
                good, broken = width >= least(depth, seed), seed == 0 and width == 16 and depth > 64
                rows.append(
                    {
                        "part": "heat", "start": start, "target": target, "depth": depth, "width": width, "seed": seed,
                        "relative_loss": np.inf if broken else 1e-5 if good else 0.1,
                        "diverged_at": 7 if broken else -1, "converged_at": 30 if good else -1,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def gram(start: str, low=0.6, high=1.5, band=lambda depth: 0.05) -> pd.DataFrame:
    rows = [
        {
            "part": "gram", "start": start, "depth": depth, "width": width, "seed": seed, "step": step,
            "relative_min": low, "relative_max": high,
            "singular_min": 1 - (band(depth) * (32 / width) if step else 0.0), "singular_max": 1.0,
        }
        for depth in PART.depths for width in PART.widths for seed in SEEDS for step in PART.recorded_steps
    ]  # fmt: skip
    return pd.DataFrame(rows)


def products(power=1.0, rate=lambda q, a: 0.01 * a, part="vector") -> pd.DataFrame:
    rows = []
    for q in SETTINGS.products.factors:
        for aspect in SETTINGS.products.aspects:
            draws = 100000
            if part == "vector":
                outside = round(draws * np.exp(-rate(q, aspect)))
            else:
                outside = round(draws / (1 + (aspect / (16 * q ** (power - 1))) ** 4))
            rows.append(
                {
                    "part": part,
                    "depth": q,
                    "width": round(q * aspect),
                    "aspect": aspect,
                    "outside": outside,
                    "draws": draws,
                }
            )
    return pd.DataFrame(rows)


def norms(mean=1.0, spread=0.1) -> pd.DataFrame:
    rows = [
        {"part": "norm", "depth": depth, "seed": seed, "output_ratio": mean + spread * (seed - 2)}
        for depth in SETTINGS.products.factors for seed in SEEDS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def stuck(leave=0) -> pd.DataFrame:
    rows = [
        {
            "part": "stuck", "target": target, "depth": depth, "seed": seed, "diverged_at": -1,
            "left_at": 5 if seed < leave else -1,
        }
        for target in ("raw", "unit") for depth in SETTINGS.stuck.depths for seed in range(20)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def verdict(judge, table: pd.DataFrame) -> str:
    return judge(table, SETTINGS).verdict


def linear(depth, seed):
    return 2 * depth if depth < 64 else 100 + seed


def test_least_widths():
    table = pd.DataFrame({"depth": 2, "seed": [0] * 4 + [1] * 4, "width": [1, 2, 4, 8] * 2})
    found = least_widths(table, pd.Series([True, False, True, True, True, True, True, False]))
    assert found["width"].iloc[0] == 4 and np.isnan(found["width"].iloc[1])


def test_bounds():
    for start, judge in (("gaussian", claims.judge_bound_gaussian), ("orthogonal", claims.judge_bound_orthogonal)):
        assert verdict(judge, runs(start, linear)) == "reproduced"
        assert verdict(judge, runs(start, lambda depth, seed: 9999)) == "differs"
        # broken only where even the widest is not aspect x L
        assert verdict(judge, runs(start, lambda depth, seed: 9999 if depth == 64 else 8)) == "undecided"


def test_width_slopes():
    assert verdict(claims.judge_width_gaussian, runs("gaussian", linear)) == "reproduced"
    assert verdict(claims.judge_width_gaussian, runs("gaussian", lambda d, s: d**0.5 * 8)) == "differs"
    assert verdict(claims.judge_width_gaussian, runs("gaussian", lambda d, s: 1)) == "undecided"
    noisy = runs("gaussian", lambda d, s: 6 * (d / 2) ** (0.3 * s) if d < 16 else 9999)
    assert verdict(claims.judge_width_gaussian, noisy) == "undecided"
    assert verdict(claims.judge_width_orthogonal, runs("orthogonal", lambda d, s: 8)) == "reproduced"
    assert verdict(claims.judge_width_orthogonal, runs("orthogonal", lambda d, s: 3 * d)) == "differs"
    assert verdict(claims.judge_width_orthogonal, runs("orthogonal", lambda d, s: 9999)) == "undecided"


def test_iterations():
    assert verdict(claims.judge_iterations, runs("gaussian", linear)) == "reproduced"
    assert verdict(claims.judge_iterations, runs("gaussian", linear, lambda depth: 5.0 * depth)) == "differs"
    never = runs("gaussian", linear).assign(iterations=np.nan)
    assert verdict(claims.judge_iterations, never) == "undecided"


def test_spectrum():
    assert verdict(claims.judge_spectrum, gram("gaussian")) == "reproduced"
    assert verdict(claims.judge_spectrum, gram("gaussian", low=0.1)) == "differs"
    assert verdict(claims.judge_spectrum, gram("gaussian", high=9)) == "differs"
    one = gram("gaussian")
    one.loc[(one["depth"] == 32) & (one["width"] == 256) & (one["seed"] == 0), "relative_min"] = 0.2
    assert verdict(claims.judge_spectrum, one) == "undecided"
    assert verdict(claims.judge_spectrum, gram("gaussian").assign(width=4, depth=64)) == "undecided"


def test_maps():
    for target in ("unit", "raw"):
        gaussian = getattr(claims, f"judge_map_{target}_gaussian")
        orthogonal = getattr(claims, f"judge_map_{target}_orthogonal")
        assert verdict(gaussian, heat("gaussian", target, lambda d, s: 5 * d)) == "reproduced"
        assert verdict(gaussian, heat("gaussian", target, lambda d, s: 20 * d**0.3)) == "differs"
        assert verdict(gaussian, heat("gaussian", target, lambda d, s: 9999)) == "undecided"
        assert verdict(orthogonal, heat("orthogonal", target, lambda d, s: 32)) == "reproduced"
        assert verdict(orthogonal, heat("orthogonal", target, lambda d, s: 2 * d)) == "differs"


def test_norms():
    assert verdict(start_claims.judge_norm, norms()) == "reproduced"
    assert verdict(start_claims.judge_norm, norms(1.6)) == "differs"
    assert verdict(start_claims.judge_norm, norms(1.6, 2)) == "undecided"


def test_products():
    assert verdict(start_claims.judge_vectors, products()) == "reproduced"
    assert verdict(start_claims.judge_vectors, products(rate=lambda q, a: 1.5 * np.log(a))) == "differs"
    assert verdict(start_claims.judge_vectors, products(rate=lambda q, a: 0.01 * a * (1 + q / 32))) == "differs"
    assert verdict(start_claims.judge_vectors, products(rate=lambda q, a: 20)) == "undecided"
    assert verdict(start_claims.judge_products, products(part="products")) == "reproduced"
    assert verdict(start_claims.judge_products, products(1.5, part="products")) == "differs"
    never = products(part="products").assign(outside=100000)
    assert verdict(start_claims.judge_products, never) == "undecided"


def test_isometry():
    assert verdict(start_claims.judge_isometry, gram("orthogonal")) == "reproduced"
    assert verdict(start_claims.judge_isometry, gram("orthogonal", band=lambda depth: 0.01 * depth)) == "differs"
    assert verdict(start_claims.judge_isometry, gram("orthogonal", band=lambda depth: 9)) == "undecided"


def test_stuck():
    assert verdict(start_claims.judge_stuck, stuck()) == "reproduced"
    assert verdict(start_claims.judge_stuck, stuck(4)) == "undecided"
    assert verdict(start_claims.judge_stuck, stuck(12)) == "differs"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theorem": {"depths": [1, 4]}}, "greater than or equal to 2"),
        ({"heat": {"widths": [8, 32]}}, r"heat.widths: 8 is below max\(samples, outputs\) = 16"),
        ({"inputs": 8}, "heat.samples: 16 inputs of dimension 8 have a lower rank"),
        ({"theorem": {"drawn_widths": [5]}}, "drawn_widths must be among"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        load_config("laptop", {"studies": {"du_hu2019": change}})


def test_conservative_table_counts_orders_of_magnitude():
    stable = pd.DataFrame([{"part": "stable", "start": "gaussian", "depth": 8, "multiple": 4.0, "at_grid_end": False}])
    found = tables.conservative_table(pd.concat([runs("gaussian", linear), stable]), SETTINGS)
    row = found[(found["start"] == "gaussian") & (found["L"] == 8)].iloc[0]
    assert row["least m found"] == 16
    assert row["orders of magnitude, m"] == pytest.approx(np.log10(row["m of the theorem, C = 1"] / 16))
    assert row["largest stable / theorem"] == pytest.approx(4)


@pytest.fixture(scope="module")
def metrics():
    """All cells of the tiny scale, computed once."""
    plan = make_plan("tiny")
    return pd.concat(
        [STUDY.run(cell.parameters, [], device="cpu", quiet=True) for cell in plan.cells["du_hu2019"].values()],
        ignore_index=True,
    )


def test_cells_repeat_themselves_and_record_divergence(metrics):
    cell = make_plan("tiny").cells["du_hu2019"]["heat_raw_gaussian_shallow"]
    first, second = (STUDY.run(cell.parameters, [], device="cpu", quiet=True) for _ in range(2))
    assert first.equals(second)
    ended = metrics[metrics["part"].isin(["run", "heat", "stuck"])]
    assert (ended["diverged_at"] >= 0).any()
    assert (np.isinf(ended["relative_loss"]) == (ended["diverged_at"] >= 0)).all()
    orthogonal = metrics[(metrics["part"] == "gram") & (metrics["start"] == "orthogonal") & (metrics["step"] == 0)]
    assert np.abs(orthogonal[["singular_min", "singular_max"]] - 1).to_numpy().max() < 1e-5


def test_figures_are_drawn_without_torch(metrics, tmp_path):
    import subprocess
    import sys

    path = tmp_path / "metrics.parquet"
    metrics.to_parquet(path)
    code = (
        "import sys, pandas as pd\n"
        "from zeroloss.plan import make_plan\n"
        "from zeroloss.plotting.style import house_style\n"
        "plan = make_plan('tiny')\n"
        "for study, figure in plan.figures.values():\n"
        "    if study.name == 'du_hu2019':\n"
        "        with house_style():\n"
        f"            figure.draw(pd.read_parquet({str(path)!r}), plan.config.study('du_hu2019'), **figure.options)\n"
        "for study, table in plan.tables.values():\n"
        "    if study.name == 'du_hu2019':\n"
        f"        assert len(table.make(pd.read_parquet({str(path)!r}), plan.config.study('du_hu2019')))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True, timeout=200)
