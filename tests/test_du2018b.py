"""The study of Du et al. 2018b: its claims can come out either way, and what it draws needs no torch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zeroloss.config import load_config
from zeroloss.datasets.image_classes import ImageClasses
from zeroloss.errors import UserError
from zeroloss.plan import make_plan
from zeroloss.studies.du2018b import STUDY, claims, compute, tables

SETTINGS = load_config("laptop").study("du2018b")
ARCHITECTURES = ("fully_connected", "resnet", "conv_resnet")
SEEDS = range(5)
ABOUT = {"data_title": "made up", "fidelity": "made up"}


def wobble(seed: int) -> float:
    return 1 + 0.01 * (seed - 2)


def limits(fall=None) -> pd.DataFrame:
    fall = fall or {"fully_connected": lambda h: 0.32**h, "resnet": lambda h: h**-2.0, "conv_resnet": lambda h: h**-2.0}
    rows = [
        {
            "part": "limit", "architecture": a, "source": source, "seed": seed, "depth": h, "contraction": 0.32,
            "lambda_min": wobble(seed) * fall[a](h), "floor": 1e-13, "lambda_min_printed": fall[a](h),
            "lambda_min_total": 0.1, "lambda_max_total": 40.0, **ABOUT,
        }
        for a in ARCHITECTURES for h in SETTINGS.depths_of(a) for seed in SEEDS
        for source in ("sphere", "digits_two", "digits_ten")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def curves(final=lambda architecture, depth: 1e-3, slack=-0.1, still=False, diverged=False) -> pd.DataFrame:
    rows = []
    problems = [("sphere", "gaussian"), *((f"digits_{t}", lab) for t in ("two", "ten") for lab in ("true", "random"))]
    for a in ARCHITECTURES:
        for source, labels in problems:
            depths = (SETTINGS.sphere if source == "sphere" else SETTINGS.digits).depths
            for depth in depths:
                for seed in SEEDS:
                    end = final(a, depth)
                    losses = [1, end, end, end] if still else [1, end**0.3, end**0.6, end]
                    rows.append(
                        pd.DataFrame(
                            {
                                "part": "curve", "architecture": a, "source": source, "labels": labels, "depth": depth,
                                "width": 100, "seed": seed, "step": [0, 5, 30, 400], "loss": losses,
                                "relative_loss": np.array(losses) ** wobble(seed), "worst_slack": slack,
                                "worst_slack_slides": slack, "step_size": 0.02, "lambda_min": 1e-3,
                                "diverged_at": 7 if diverged and seed == 1 else -1, "experiment": "training", **ABOUT,
                            }
                        )
                    )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def layers(power=-0.5, noise=1.0) -> pd.DataFrame:
    rows = []
    for a in ARCHITECTURES:
        for part, experiment, depths, widths in (
            ("start", "widths", [4], SETTINGS.widths_of(a)),
            ("layer", "widths", [4], SETTINGS.widths_of(a)),
            ("layer", "training", SETTINGS.sphere.depths, [100]),
        ):
            for depth in depths:
                for m in widths:
                    for h in range(1, depth + 2):
                        for seed in SEEDS:
                            # noise tilts every seed's line, half of them up and half down
                            value = float(m) ** (power + 0.05 * noise * (seed - 2))
                            step = 60 if experiment == "widths" else 400
                            rows.append(
                                {
                                    "part": part, "architecture": a, "source": "sphere", "experiment": experiment,
                                    "depth": depth, "width": m, "layer": h, "seed": seed, "step": step, "error": value,
                                    "drift": value, "moved_rms": value, "is_output": h > depth, "diverged_at": -1,
                                }
                            )  # fmt: skip
    return pd.DataFrame(rows)


def norms(mean=1.0, spread=0.02) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"part": "norm", "architecture": a, "layer": h, "seed": s, "norm": mean + spread * (s - 2), "norm_limit": 1.0}
            for a in ARCHITECTURES for h in range(11) for s in SEEDS
        ]
    )  # fmt: skip


def printed(place=0.0, spread=0.1) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"part": "printed", "architecture": a, "seed": s, "place": place + spread * (s - 2)}
            for a in ARCHITECTURES for s in SEEDS
        ]
    )  # fmt: skip


def stable(fall=lambda h: 1.0) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "part": "stable", "architecture": a, "depth": h, "seed": s, "lambda_min": 1 / h**2, "edge": 0.05,
                "largest_step": 0.04 * fall(h) * wobble(s), "multiple": 1.0, "at_grid_end": False,
            }
            for a in ("fully_connected", "resnet") for h in SETTINGS.stable.depths for s in SEEDS
        ]
    )  # fmt: skip


def verdict(judge, table: pd.DataFrame) -> str:
    return judge(table, SETTINGS).verdict


def test_norms():
    assert verdict(claims.judge_norms, norms()) == "reproduced"
    assert verdict(claims.judge_norms, norms(1.2)) == "differs"
    assert verdict(claims.judge_norms, norms(1.2, 0.5)) == "undecided"


def test_least_eigenvalues():
    assert verdict(claims.judge_exponential, limits()) == "reproduced"
    assert verdict(claims.judge_square_resnet, limits()) == "reproduced"
    powers = dict.fromkeys(ARCHITECTURES, lambda h: h**-3.0)
    for judge in (claims.judge_exponential, claims.judge_square_resnet, claims.judge_square_conv):
        assert verdict(judge, limits(powers)) == "differs"
    lost = limits().assign(lambda_min=1e-20)
    assert verdict(claims.judge_exponential, lost) == verdict(claims.judge_square_resnet, lost) == "undecided"


@pytest.mark.parametrize(
    ("place", "spread", "expected"),
    [(0.0, 0.1, "reproduced"), (1.0, 0.1, "differs"), (0.5, 0.1, "undecided"), (0.0, 3.0, "undecided")],
)
def test_printed_last_line(place, spread, expected):
    assert verdict(claims.judge_printed, printed(place, spread)) == expected


@pytest.mark.parametrize(
    ("judge", "power", "noise", "expected"),
    [
        (claims.judge_start, -0.5, 1, "reproduced"), (claims.judge_start, -0.2, 0.1, "differs"),
        (claims.judge_start, -0.35, 3, "undecided"), (claims.judge_movement, -0.55, 1, "reproduced"),
        (claims.judge_movement, 0, 0.1, "differs"), (claims.judge_movement, -0.65, 3, "undecided"),
        (claims.judge_drift, -1, 1, "reproduced"), (claims.judge_drift, -0.2, 0.1, "differs"),
        (claims.judge_drift, -0.35, 3, "undecided"),
    ],
)  # fmt: skip
def test_slopes_over_width(judge, power, noise, expected):
    assert verdict(judge, layers(power, noise)) == expected


def test_rate_bounds():
    for judge in (claims.judge_rate_fully_connected, claims.judge_rate_resnets, claims.judge_rate_slides):
        assert verdict(judge, curves()) == "reproduced"
        assert verdict(judge, curves(slack=1e-3)) == "differs"
        found = judge(curves(diverged=True), SETTINGS)
        assert found.verdict == "differs" and "diverged" in found.note


def test_labels():
    assert verdict(claims.judge_labels, curves()) == "reproduced"
    assert verdict(claims.judge_labels, curves(lambda a, h: 0.1)) == "undecided"
    assert verdict(claims.judge_labels, curves(lambda a, h: 0.1, still=True)) == "differs"
    assert verdict(claims.judge_labels, curves(diverged=True)) == "differs"


def test_depth():
    def plain_is_slow(architecture: str, depth: int) -> float:
        return np.exp(-0.1) if architecture == "fully_connected" and depth > 2 else 1e-3

    assert verdict(claims.judge_depth, curves(plain_is_slow)) == "reproduced"
    assert verdict(claims.judge_depth, curves()) == "differs"
    noisy = curves(lambda a, h: np.exp(-3.45) if h > 2 and a == "fully_connected" else 1e-3)
    noisy.loc[(noisy["seed"] == 0) & (noisy["depth"] > 2), "relative_loss"] **= 1.3
    assert verdict(claims.judge_depth, noisy) == "undecided"


def test_stable_step():
    assert verdict(claims.judge_stable, stable()) == "reproduced"
    assert verdict(claims.judge_stable, stable(lambda h: 0.7**h)) == "differs"
    assert verdict(claims.judge_stable, stable().assign(at_grid_end=True)) == "undecided"


def test_conservative_table_counts_orders_of_magnitude():
    found = tables.conservative_table(curves(), SETTINGS)
    row = found[(found["architecture"] == "fully connected") & (found["H"] == 2)].iloc[0]
    assert row["orders of magnitude, m"] == pytest.approx(np.log10(4 * (40 / 1e-3) ** 4 / 100))
    assert row["orders of magnitude, eta"] == pytest.approx(np.log10(0.02 / (1e-3 / 1600 / 4)))


def test_digits_of_some_classes():
    recipe = ImageClasses(source="digits", samples=20, classes=(3, 8))
    data = recipe.build(None)
    assert set(data.y) == {3.0, 8.0} and np.allclose(np.linalg.norm(data.x, axis=1), 1)
    assert set(compute.encoded(data).ravel()) == {-1.0, 1.0}
    other = ImageClasses(source="digits", samples=20, classes=(3, 8), labels="random").build(None)
    assert np.array_equal(other.x, data.x) and not np.array_equal(other.y, data.y)
    ten = compute.encoded(ImageClasses(source="digits", samples=20, classes=tuple(range(10))).build(None))
    assert ten.shape == (20, 10) and (ten.sum(1) == 1).all()
    with pytest.raises(
        UserError, match=r"digits has \d+ training images of the classes \[3\, 8\], fewer than the 9999"
    ):
        ImageClasses(source="digits", samples=9999, classes=(3, 8)).build(None)


def test_pixels_must_divide_the_inputs():
    with pytest.raises(UserError, match="pixels must divide dimension"):
        load_config("laptop", {"studies": {"du2018b": {"pixels": 7}}})


def test_a_training_cell_computes_what_the_tables_need():
    plan = make_plan("tiny")
    cell = plan.cells["du2018b"]["digits_resnet"]
    data = [plan.recipes[name].build(None) for name in cell.datasets]
    table = STUDY.run(cell.parameters, data, device="cpu", quiet=True)
    assert set(table["part"]) == {"curve", "layer"}
    assert set(zip(table["source"], table["labels"], strict=True)) == {
        (f"digits_{task}", labels) for task in ("two", "ten") for labels in ("true", "random")
    }
    final = tables.final_losses(table)
    assert (final["relative_loss"] < 1).all() and (final["diverged_at"] == -1).all()
    assert table.equals(STUDY.run(cell.parameters, data, device="cpu", quiet=True))


def test_figures_are_drawn_without_torch(tmp_path):
    import subprocess
    import sys

    path = tmp_path / "metrics.parquet"
    pd.concat([limits(), curves(), layers(), norms(), printed(), stable()], ignore_index=True).to_parquet(path)
    code = (
        "import sys, pandas as pd\n"
        "from zeroloss.plan import make_plan\n"
        "from zeroloss.plotting.style import house_style\n"
        "plan = make_plan('laptop')\n"
        "for study, figure in plan.figures.values():\n"
        "    if study.name == 'du2018b':\n"
        "        with house_style():\n"
        f"            figure.draw(pd.read_parquet({str(path)!r}), plan.config.study('du2018b'), **figure.options)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True, timeout=120)
