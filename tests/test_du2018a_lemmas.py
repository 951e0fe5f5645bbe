"""The study of the lemmas: its claims come out either way, its tables compute what they say, its cells run."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.plan import make_plan
from zeroloss.studies.du2018a_lemmas import STUDY, claims, experiment, tables
from zeroloss.theory import du2018a_lemmas as theory

SETTINGS = load_config("laptop").study("du2018a_lemmas")
LAMBDA_0, LAMBDA_MAX = 0.23, 1.2
ABOUT = {
    "lambda_0": LAMBDA_0,
    "lambda_max_limit": LAMBDA_MAX,
    "data_title": "toys",
    "fidelity": "made up",
    "labels": "y",
}
GENERATOR = np.random.default_rng(0)


def judged(name: str, table: pd.DataFrame):
    claim = next(one for one in STUDY.claims(SETTINGS) if one.name == name)
    return claim.judge(table, SETTINGS)


def initial(ratio=lambda m: 1.0, entry=0.5, power=-0.5, draws=200, bad=0) -> pd.DataFrame:
    """Made-up rows of Lemma 3.1; ``bad`` draws break whatever is asked."""
    rows = []
    for width in SETTINGS.initial.widths:
        bound = theory.entry_deviation(width, SETTINGS.initial.samples, SETTINGS.failure_probability)
        for seed in range(draws):
            broken = seed < bad
            rows.append(
                {
                    "part": "initial", "seed": seed, "width": width, "samples": 100, **ABOUT,
                    "lambda_min": LAMBDA_0 * (0.5 if broken else ratio(width)),
                    "gap": 5 * width**power * (1 + 0.01 * GENERATOR.standard_normal()),
                    "entry_gap": bound * (1.1 if broken else entry),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def perturbed(kept=0.9, reach=1.0, change=0.01, flipped=0.5, safe_kept=0.95) -> pd.DataFrame:
    rows = []
    safe = theory.safe_radius(100, LAMBDA_0, 0.05)
    for seed in range(3):
        for width in (256, 4096):
            for radius in (safe, *SETTINGS.perturbed.radii):
                for direction in experiment.DIRECTIONS:
                    within = reach * theory.flip_probability(radius) * (1 + 0.01 * GENERATOR.standard_normal())
                    rows.append(
                        {
                            "part": "perturbed", "seed": seed, "width": width, "samples": 100, **ABOUT,
                            "direction": direction, "radius": radius, "safe": radius == safe,
                            "flipped": flipped * within, "reachable": within,
                            "gram_change": change * theory.gram_change_bound(radius, 100, 0.05),
                            "lambda_min": LAMBDA_0 * (safe_kept if radius == safe else kept if radius <= 1 else 0.2),
                            "lambda_min_start": LAMBDA_0,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def flow(exponent=lambda m: 2.0, distance=0.2, single=0.5, part="flow") -> pd.DataFrame:
    rows = []
    for trained in experiment.TRAINED:
        for seed in range(5):
            cases = [("flow", 30, width, distance) for width in SETTINGS.flow.widths] + [("single", 1, 64, single)]
            for part, samples, width, share in cases:
                time = np.linspace(0, SETTINGS.flow.horizon / LAMBDA_0, 41)
                unit = theory.distance_bound(4.0, samples, width, LAMBDA_0, 1.0)
                rows.append(
                    pd.DataFrame(
                        {
                            "part": part, "seed": seed, "width": width, "samples": samples, **ABOUT,
                            "trained": trained, "time": time, "residual": 4.0,
                            "ratio": np.exp(-exponent(width) * LAMBDA_0 * time), "linearised": np.exp(-2 * LAMBDA_0 * time),
                            "max_distance": share * unit * (1 - np.exp(-time)) * (1 + 0.01 * seed),
                            "max_output_distance": 0.0, "pattern_change": 0.0, "evaluations": 100,
                            "lambda_min": 0.9 * LAMBDA_0, "least_so_far": (0.9 + 0.01 * seed) * LAMBDA_0,
                        }
                    )
                )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def descent(distance=0.05, power=-0.5, rate=2.0, breaks=0.95, fails=1.05, proven_excess=-1e-6) -> pd.DataFrame:
    rows, sweep, steps = [], [], np.arange(SETTINGS.descent.steps + 1)
    limit = 2 / LAMBDA_MAX
    for seed in range(5):
        for width in SETTINGS.descent.widths:
            eta = 0.5 * limit
            scale = 20.0 * (width / 64) ** (power + 0.5)
            unit = theory.distance_bound(10.0, 100, width, LAMBDA_0, 4.0) * scale / 20
            rows.append(
                pd.DataFrame(
                    {
                        "part": "descent", "seed": seed, "width": width, "samples": 100, **ABOUT, "step": steps,
                        "step_size": eta, "relative_step": 0.5, "residual": 10.0, "diverged": False,
                        "ratio": (1 - eta * LAMBDA_0 / 2) ** (rate * steps),
                        "max_distance": distance * unit * (1 - 0.9**steps) * (1 + 0.01 * seed),
                    }
                )
            )  # fmt: skip
        for width in SETTINGS.descent.sweep_widths:
            for relative in (1e-6, *SETTINGS.descent.sweep_relative_steps):
                proven = relative == 1e-6
                above = proven_excess if proven else (1.0 if relative >= breaks else -1.0)
                row = {
                    "part": "sweep", "seed": seed, "width": width, "samples": 100, **ABOUT, "proven": proven,
                    "step_size": relative * limit, "relative_step": relative, "residual": 10.0, "diverged": False,
                    "excess": above, "broken_at": 3.0 if above > 1e-9 else np.nan, "peak": 1.0,
                    "ratio": 2.0 if relative >= fails else 0.1,
                }  # fmt: skip
                sweep.append(row)
    return pd.concat([*rows, pd.DataFrame(sweep)], ignore_index=True)


@pytest.mark.parametrize(("bad", "expected"), [(0, "reproduced"), (10, "undecided"), (60, "differs")])
def test_entries(bad, expected):
    assert judged("hoeffding-entries", initial(bad=bad)).verdict == expected


def test_three_quarters():
    assert judged("three-quarters", initial()).verdict == "reproduced"
    assert judged("three-quarters", initial(bad=8)).verdict == "undecided"
    # all fail, but below the width that the lemma asks for: no counterexample
    assert judged("three-quarters", initial(ratio=lambda m: 0.6)).verdict == "undecided"
    wide = initial(ratio=lambda m: 0.6)
    wide["width"] *= 1_000_000
    assert judged("three-quarters", wide).verdict == "differs"


@pytest.mark.parametrize(("power", "expected"), [(-0.5, "reproduced"), (-0.45, "reproduced"), (-0.3, "differs")])
def test_slopes(power, expected):
    assert judged("gram-rate", initial(power=power)).verdict == expected
    assert judged("distance-slope", descent(power=power)).verdict == expected


def test_a_slope_whose_interval_reaches_the_tolerance_is_undecided():
    table = initial(power=-0.3, draws=3)
    table["gap"] *= table["width"] ** (0.3 * (table["seed"] - 1))
    assert judged("gram-rate", table).verdict == "undecided"


def test_flip_probability():
    assert judged("flip-probability", perturbed()).verdict == "reproduced"
    assert judged("flip-probability", perturbed(reach=1.2)).verdict == "differs"
    assert judged("flip-probability", perturbed(flipped=1.1)).verdict == "differs"


@pytest.mark.parametrize(("change", "expected"), [(0.01, "reproduced"), (1.5, "differs")])
def test_gram_change(change, expected):
    assert judged("gram-change", perturbed(change=change)).verdict == expected


def test_gram_change_missed_once_is_undecided():
    table = perturbed()
    table.loc[0, "gram_change"] = 1e9
    assert judged("gram-change", table).verdict == "undecided"


def test_safe_radius():
    assert judged("safe-radius", perturbed()).verdict == "reproduced"
    assert judged("safe-radius", perturbed(safe_kept=0.49)).verdict == "differs"
    unfit = perturbed(safe_kept=0.49)
    unfit["lambda_min_start"] = 0.7 * LAMBDA_0
    assert judged("safe-radius", unfit).verdict == "undecided"


@pytest.mark.parametrize(
    ("single", "printed", "corrected"),
    [(0.5, "reproduced", "reproduced"), (1.3, "differs", "reproduced"), (2.2, "differs", "differs")],
)
def test_distance_constants(single, printed, corrected):
    table = flow(single=single)
    assert judged("distance-printed", table).verdict == printed
    assert judged("distance-corrected", table).verdict == corrected
    # a flow whose eigenvalue fell below lambda_0 / 2 is no instance of the lemma
    table.loc[table["part"] == "single", "least_so_far"] = 0.4 * LAMBDA_0
    assert judged("distance-printed", table).verdict == "reproduced"


def test_distance_of_descent():
    assert judged("distance-descent", descent()).verdict == "reproduced"
    assert judged("distance-descent", descent(distance=1.2)).verdict == "differs"
    assert judged("distance-descent", descent(distance=1.2, rate=0.5)).verdict == "undecided"


def test_flow_rate():
    assert judged("flow-hidden", flow()).verdict == "reproduced"
    assert judged("flow-both", flow(lambda m: 0.9)).verdict == "differs"
    found = judged("flow-hidden", flow(lambda m: 2.0 if m >= 1024 else 0.9))
    assert found.verdict == "reproduced"
    assert "from m = 1024 on" in found.note


def test_proven_step():
    assert judged("proven-step", descent()).verdict == "reproduced"
    assert judged("proven-step", descent(proven_excess=1e-6)).verdict == "differs"


def test_thresholds():
    found = tables.thresholds(descent(breaks=0.95, fails=1.2))
    assert set(found["rate_holds"]) == {0.9} and set(found["rate_breaks"]) == {0.95}
    assert set(found["trains"]) == {1.1} and set(found["fails"]) == {1.2}
    assert found["predicted"].iloc[0] == pytest.approx(1 - LAMBDA_0 / (4 * LAMBDA_MAX))
    assert judged("rate-threshold", descent(breaks=0.95)).verdict == "reproduced"
    assert judged("rate-threshold", descent(breaks=0.4)).verdict == "differs"
    assert judged("rate-threshold", descent(breaks=9)).verdict == "undecided"
    assert judged("divergence-threshold", descent(fails=1.05)).verdict == "reproduced"
    assert judged("divergence-threshold", descent(fails=1.7)).verdict == "differs"
    assert judged("divergence-threshold", descent(fails=9)).verdict == "undecided"


def test_predicted_threshold_is_where_the_frozen_rate_breaks():
    eta = 2 / LAMBDA_MAX * tables.thresholds(descent())["predicted"].iloc[0]
    assert (1 - eta * LAMBDA_MAX) ** 2 == pytest.approx(1 - eta * LAMBDA_0 / 2)


def everything() -> pd.DataFrame:
    return pd.concat([initial(draws=30), perturbed(), flow(single=1.3), descent()], ignore_index=True)


def test_conservatism():
    table = tables.conservatism_table(everything(), SETTINGS).set_index("quantity")
    assert len(table) == 6
    lemma = table.iloc[0]
    assert lemma["seen to suffice"] == SETTINGS.initial.widths[0]
    assert lemma["orders of magnitude"] == pytest.approx(np.log10(lemma["asked for"] / lemma["seen to suffice"]))
    assert table.iloc[1]["seen to suffice"] == 1.0
    assert table.iloc[1]["orders of magnitude"] > 6
    assert (table["orders of magnitude"] > 3).all()
    none = tables.conservatism_table(
        pd.concat([initial(ratio=lambda m: 0.1, draws=5), perturbed(), flow(lambda m: 0.5), descent()]), SETTINGS
    )
    assert none["seen to suffice"].isna().tolist() == [True, False, True, True, False, False]


def test_flow_table_measures_exponents():
    table = tables.flow_table(everything(), SETTINGS)
    np.testing.assert_allclose(table["exponent / lambda_0"], 2.0, rtol=1e-6)
    np.testing.assert_allclose(table["same, H(0) frozen"], 2.0, rtol=1e-6)


@pytest.fixture(scope="module")
def micro() -> tuple:
    """All cells at a toy size: metrics as the workflow would have them."""
    own = {
        "initial": {"draws": 4, "samples": 10, "dimension": 10, "widths": [16, 64, 128]},
        "perturbed": {"seeds": [0, 1], "samples": 10, "dimension": 12, "widths": [32, 64], "radii": [0.1, 1.0]},
        "flow": {"samples": 5, "dimension": 8, "widths": [16, 32], "points": 8, "single_draws": 3},
        "descent": {"samples": 10, "dimension": 10, "widths": [32, 64], "sweep_widths": [32], "steps": 30},
    }
    plan = make_plan("tiny", {"studies": {"du2018a_lemmas": own}})
    parts = [
        STUDY.run(cell.parameters, [plan.recipes[name].build(None) for name in cell.datasets], device="cpu", quiet=True)
        for cell in plan.cells["du2018a_lemmas"].values()
    ]
    return pd.concat(parts, ignore_index=True), plan.config.study("du2018a_lemmas")


def test_every_cell_runs_and_every_claim_and_table_can_read_it(micro):
    metrics, settings = micro
    sizes = metrics.groupby("part").size().to_dict()
    assert sizes == {
        "initial": 12, "perturbed": 2 * 2 * 3 * 3, "flow": 2 * 2 * 2 * 9, "single": 3 * 9,
        "descent": 2 * 2 * 31, "sweep": 2 * 10,
    }  # fmt: skip
    for claim in STUDY.claims(settings):
        assert claim.judge(metrics, settings).verdict in ("reproduced", "differs", "undecided")
    for table in STUDY.tables(settings):
        assert len(table.make(metrics, settings))


def test_safe_radius_was_added_and_moves_stay_in_reach(micro):
    table = tables.part(micro[0], "perturbed")
    assert table["safe"].astype(bool).groupby([table["seed"], table["width"]]).sum().eq(3).all()
    assert (table["flipped"] <= table["reachable"]).all()


def test_a_step_beyond_all_limits_is_recorded_as_diverged():
    own = {
        "descent": {
            "seeds": [0], "samples": 10, "dimension": 10, "widths": [512], "sweep_widths": [512],
            "sweep_relative_steps": [0.5, 1e9], "steps": 30,
        }
    }  # fmt: skip
    plan = make_plan("tiny", {"studies": {"du2018a_lemmas": own}})
    cell = plan.cells["du2018a_lemmas"]["descent"]
    table = STUDY.run(cell.parameters, [plan.recipes[cell.datasets[0]].build(None)], device="cpu", quiet=True)
    last = table[(table["part"] == "sweep") & (table["relative_step"] == 1e9)].iloc[0]
    assert last["diverged"]
    assert last["diverged_at"] >= 1
    assert tables.thresholds(table)["fails"].tolist() == [1e9]


def test_more_inputs_than_dimensions_is_refused_for_the_adversary():
    with pytest.raises(UserError, match="samples must be at most dimension"):
        load_config("tiny", {"studies": {"du2018a_lemmas": {"perturbed": {"samples": 31}}}})


def test_figures_are_drawn_without_torch(micro, tmp_path):
    path = tmp_path / "metrics.parquet"
    everything().to_parquet(path)
    code = (
        "import sys, pandas as pd\n"
        "from pathlib import Path\n"
        "from zeroloss.config import load_config\n"
        "from zeroloss.plotting.style import house_style\n"
        "from zeroloss.studies.du2018a_lemmas import STUDY\n"
        "settings = load_config('laptop').study('du2018a_lemmas')\n"
        f"metrics = pd.read_parquet({str(path)!r})\n"
        "with house_style():\n"
        "    for figure in STUDY.figures(settings):\n"
        "        canvas = figure.draw(metrics, settings, **figure.options)\n"
        f"        canvas.savefig(Path({str(tmp_path)!r}) / (figure.name + '.png'), dpi=40)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True, timeout=120)
    assert len(list(tmp_path.glob("*.png"))) == 5


def test_items_are_served():
    from zeroloss.report.coverage import served

    wanted = {"001-E2", "001-TH1", "001-TH2", "001-TH3", "001-TH5", "001-TH6", "003-TH1", "003-E1", "002-TH1"}
    assert wanted <= set(served(make_plan("tiny")))
    assert claims.claims(SETTINGS)
