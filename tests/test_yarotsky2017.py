"""Constructed networks against formulas and explicit assembly, best free knots against the law, judges both ways."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from zeroloss.config import load_config
from zeroloss.networks.layered_relu import affine, carry, on_the_same_input, polyline, side_by_side
from zeroloss.networks.yarotsky import REACH, LocalTaylor, bump, chain, product, square, tooth
from zeroloss.studies.yarotsky2017 import STUDY, claims, figures, tables
from zeroloss.theory import free_knots
from zeroloss.theory import yarotsky2017 as theory

SETTINGS = load_config("tiny").study("yarotsky2017")


@pytest.fixture(scope="module")
def metrics():
    (cell,) = STUDY.cells(SETTINGS)
    return STUDY.run(cell.parameters, [], device="cpu", quiet=True)


def test_tooth_is_the_sawtooth():
    x = np.linspace(0, 1, 1001)
    for times in (1, 2, 4):
        phase = (2.0 ** (times - 1) * x) % 1.0
        expected = np.where(phase <= 0.5, 2 * phase, 2 - 2 * phase)
        assert np.abs(tooth(times)(x[:, None])[:, 0] - expected).max() < 1e-12


@pytest.mark.parametrize("levels", [1, 2, 5, 12])
def test_square_interpolates_at_dyadic_points_and_errs_exactly_in_the_middle(levels):
    net = square(levels)
    nodes = np.arange(2**levels + 1) / 2.0**levels
    middles = (nodes[:-1] + nodes[1:]) / 2
    assert (net(nodes[:, None])[:, 0] == nodes**2).all()
    assert (net(middles[:, None])[:, 0] - middles**2 == 2.0 ** (-2 * levels - 2)).all()
    assert (net.hidden, net.units) == (levels, 4 * levels)
    assert net.largest_weight == (4 if levels > 1 else 1)


def test_square_is_linear_between_nodes():
    """So that the errors at the middles are the largest: x^2 is convex."""
    levels, x = 4, np.random.default_rng(0).uniform(size=500)
    nodes = np.arange(2**levels + 1) / 2.0**levels
    assert np.abs(square(levels)(x[:, None])[:, 0] - np.interp(x, nodes, nodes**2)).max() < 1e-14


def test_mean_square_of_the_error_and_telgarskys_bound():
    t = (np.arange(200000) + 0.5) / 200000
    for levels in (1, 3):
        error = square(levels)(t[:, None])[:, 0] - t**2
        assert (error**2).mean() == pytest.approx(theory.square_mean_error(levels), rel=1e-4)
        assert theory.square_lower_bound(4 * levels, levels) < theory.square_mean_error(levels)


def test_product_is_zero_with_a_zero_factor_and_keeps_to_its_bound():
    generator = np.random.default_rng(0)
    x = generator.uniform(-REACH, REACH, (2000, 2))
    for levels in (1, 4, 8):
        net = product(levels)
        assert np.abs(net(x)[:, 0] - x.prod(axis=1)).max() <= theory.product_error(levels, REACH)
        assert np.abs(net(np.column_stack([x[:, 0], np.zeros(2000)]))).max() < 1e-14
        assert net.hidden == levels + 1
        # both factors in the middle of an interval and their sum at a node: the bound is attained
        middle = 2 * REACH * 2.0 ** (-levels - 1)
        worst = net(np.array([[middle, middle]]))[0, 0] - middle**2
        assert abs(worst) == theory.product_error(levels, REACH)


def test_chain_multiplies():
    x = np.random.default_rng(1).uniform(-1, 1, (200, 4))
    for factors in (1, 2, 3, 4):
        found = chain(factors, 12)(x[:, :factors])[:, 0]
        assert np.abs(found - x[:, :factors].prod(axis=1)).max() <= 4 * theory.product_error(12, REACH)


def test_layers_compose_stack_and_carry():
    x = np.random.default_rng(2).uniform(-1, 1, (50, 1))
    one, two = polyline(np.array([-1.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0])), affine([[2.0]], [1.0])
    assert np.allclose(one(x), np.abs(x))
    assert np.allclose(one.then(two)(x), 2 * np.abs(x) + 1)
    both = on_the_same_input([one, two])
    assert np.allclose(both(x), np.hstack([np.abs(x), 2 * x + 1])) and both.hidden == 1
    assert np.allclose(carry(1, 3)(x), x) and carry(1, 3).units == 6
    with pytest.raises(ValueError, match="hidden layers differ"):
        side_by_side([one, two])


@pytest.mark.parametrize(("dimension", "smoothness"), [(1, 1), (1, 3), (2, 1), (2, 2)])
def test_local_evaluation_and_counts_are_those_of_the_whole_network(dimension, smoothness):
    wave = theory.random_waves([0], dimension, 3.0)
    net = LocalTaylor(dimension, smoothness, 3, 5)
    whole = net.assemble(wave.derivative)
    x = np.random.default_rng(3).uniform(0, 1, (60, dimension))
    x[0], x[1] = 0, 1
    assert np.abs(whole(x)[:, 0] - net(x, wave.derivative)[0]).max() < 1e-12
    assert (whole.hidden, whole.units) == (net.hidden, net.units)
    # nodes at 0 have a bias less for each linear factor
    assert 0.98 * net.connections <= whole.connections <= net.connections


def test_bumps_are_a_partition_of_unity():
    x = np.linspace(0, 1, 301)
    assert np.abs(sum(bump(3 * 7 * (x - k / 7)) for k in range(8)) - 1).max() < 1e-12


def test_derivatives_of_waves():
    waves, h = theory.random_waves([0, 1], 2, 5.0), 1e-6
    x = np.random.default_rng(4).uniform(size=(5, 2))
    step = np.array([0, h])
    ahead, behind = x + step, x - step
    slope = (waves.derivative((1, 0), ahead) - waves.derivative((1, 0), behind)) / (2 * h)
    assert np.allclose(slope, waves.derivative((1, 1), x), atol=1e-6)
    assert np.abs(waves.frequencies).max(axis=1) == pytest.approx([5.0, 5.0])


def test_sizes_for_an_accuracy_are_the_least():
    for d, n in ((1, 1), (1, 3), (2, 2)):
        for accuracy in (0.1, 0.001):
            grid = theory.grid_for(accuracy, d, n)
            taylor = 2**d * d**n / math.factorial(n) * np.array([grid, grid - 1.0]) ** -n
            assert taylor[0] <= accuracy / 2 * (1 + 1e-9) < taylor[1] * (1 + 2e-9)


def test_best_free_knots_of_the_square_and_of_the_exponential():
    for pieces in (1, 2, 7, 30):
        found = free_knots.best_error(np.square, 0.0, 1.0, pieces)
        assert found == pytest.approx(1 / (8 * pieces**2), rel=1e-7)
    # many pieces: (integral of sqrt(f''))^2 / (16 p^2)
    assert free_knots.best_error(np.exp, 0.0, 1.0, 64) == pytest.approx(
        (2 * (math.exp(0.5) - 1)) ** 2 / (16 * 64**2), rel=1e-3
    )


def test_fewest_pieces_of_a_wave():
    least, most = free_knots.fewest_pieces(np.sin, np.array([np.pi]), 0.0, 2 * np.pi, 1e-4)
    x = np.linspace(0, 2 * np.pi, 4001)
    law = np.trapezoid(np.abs(np.sin(x)) ** 0.5, x) / (4 * math.sqrt(1e-4))
    assert most - least == 1 and abs(most - 1 - law) <= 1.5  # two arches, each rounded up


def test_the_whole_study_on_toy_sizes(metrics):
    verdicts = {claim.name: claim.judge(metrics, SETTINGS).verdict for claim in STUDY.claims(SETTINGS)}
    assert verdicts["square-exact"] == verdicts["theorem-error"] == "reproduced"
    for table in tables.tables(SETTINGS):
        assert len(table.make(metrics, SETTINGS))
    from zeroloss.plotting.style import house_style

    with house_style():
        for figure in figures.figures(SETTINGS):
            assert figure.draw(metrics, SETTINGS).axes


def changed(metrics, part, **columns):
    rows = metrics["part"] == part
    return metrics.assign(**{c: metrics[c].where(~rows, change(metrics)) for c, change in columns.items()})


@pytest.mark.parametrize(
    ("judge", "part", "change"),
    [
        (claims.judge_square, "square", {"error": lambda m: m["error"] * (1 + 1e-15)}),
        (claims.judge_mean_square, "square", {"mean_square": lambda m: m["mean_square"] * 1.001}),
        (claims.judge_shallow, "square", {"shallow_error": lambda m: m["shallow_error"] / 2}),
        (claims.judge_product, "product", {"error": lambda m: m["bound"] * 1.1}),
        (claims.judge_error, "smooth", {"error": lambda m: m["accuracy"] * 1.1}),
        (claims.judge_depth, "smooth", {"hidden": lambda m: m["hidden"] ** 2}),
        (claims.judge_size, "smooth", {"units": lambda m: m["units"] / m["epsilon"]}),
        (claims.judge_rate, "smooth", {"error": lambda m: m["error"] ** 0.5}),
    ],
)
def test_judges_see_what_differs(metrics, judge, part, change):
    assert judge(metrics, SETTINGS).verdict == "reproduced"
    assert judge(changed(metrics, part, **change), SETTINGS).verdict == "differs"


def test_the_crossing_has_three_verdicts(metrics):
    assert claims.judge_crossing(metrics, SETTINGS).verdict == "undecided"
    better = changed(metrics, "smooth", error=lambda m: 1e-9 * m["error"])
    assert claims.judge_crossing(better, SETTINGS).verdict == "reproduced"
    flat = changed(metrics, "smooth", error=lambda m: m["units"] ** -0.5)
    assert claims.judge_crossing(flat, SETTINGS).verdict == "differs"
    one = pd.DataFrame(metrics[metrics["seed"].isin([0]) | metrics["seed"].isna()])
    assert claims.judge_rate(one, SETTINGS).verdict == "undecided"
