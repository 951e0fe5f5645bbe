"""The study of document 003: its theory against brute force, its engines against autograd, its judges both ways."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.config import load_config
from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.errors import UserError
from zeroloss.kernels.relu_gram import extreme_eigenvalues, infinite_width_gram
from zeroloss.networks import two_layer
from zeroloss.plan import make_plan
from zeroloss.studies.mccloskey2022 import STUDY, claims, claims_drift, examples, tables
from zeroloss.theory import mccloskey2022 as theory
from zeroloss.theory.bootstrap import slope_of_medians
from zeroloss.training import first_order
from zeroloss.training.gram_descent import GramDescent, descend

SETTINGS = load_config("laptop").study("mccloskey2022")
SEEDS = range(5)


def problem(n=9, d=6, m=14, seed=0, batch=1):
    """Inputs (B, n, d), targets, weights, output weights uniform on [-1, 1]; float64."""
    generator = np.random.default_rng(seed)
    x = np.stack([uniform_on_sphere(n, d, generator) for _ in range(batch)])
    arrays = x, generator.choice([-1.0, 1.0], (batch, n)), generator.standard_normal((batch, m, d))
    return *(torch.from_numpy(one) for one in arrays), torch.from_numpy(generator.uniform(-1, 1, (batch, m)))


# theory


def test_close_pair_formula_is_the_least_eigenvalue_of_the_pair():
    for distance in (1e-6, 1e-3, 0.1, 0.5, 1.0):
        x = examples.moved_to(uniform_on_sphere(2, 5, np.random.default_rng(0)), 0, 1, distance)
        assert np.linalg.norm(x[0] - x[1]) == pytest.approx(distance, rel=1e-9)
        found, _ = extreme_eigenvalues(infinite_width_gram(torch.from_numpy(x)))
        assert float(theory.close_pair_lambda_0(distance)) == pytest.approx(found, rel=1e-6)


def test_moving_to_the_antipode():
    x = examples.moved_to(uniform_on_sphere(4, 5, np.random.default_rng(0)), 2, 0, 1e-3, -1.0)
    assert np.linalg.norm(x[0] + x[2]) == pytest.approx(1e-3, rel=1e-9)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0)


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(2, 12), dimension=st.integers(2, 300), seed=st.integers(0, 1000))
def test_gershgorin_margin_is_a_lower_bound(samples, dimension, seed):
    gram = infinite_width_gram(torch.from_numpy(uniform_on_sphere(samples, dimension, np.random.default_rng(seed))))
    by_rows = min(0.5 - sum(abs(float(gram[i, j])) for j in range(samples) if j != i) for i in range(samples))
    margin = theory.gershgorin_margin(gram.numpy())
    assert margin == pytest.approx(by_rows, abs=1e-13)
    assert extreme_eigenvalues(gram)[0] >= margin - 1e-13


def test_linear_steps_counts_the_steps_of_a_plain_loop():
    generator = np.random.default_rng(0)
    eigenvalues, error = generator.uniform(0.01, 1.0, 7), generator.standard_normal(7)
    left, steps = error.copy(), 0
    while (left**2).sum() > 1e-3 * (error**2).sum():
        left, steps = left * (1 - 0.9 * eigenvalues), steps + 1
    assert theory.linear_steps(eigenvalues, error, 0.9, 1e-3) == steps


def test_bound_steps_is_the_first_step_below_the_threshold():
    k = theory.bound_steps(1e-3, 0.5, 0.2)
    assert (1 - 0.05) ** k <= 1e-3 < (1 - 0.05) ** (k - 1)


@pytest.mark.parametrize("method", [theory.heavy_ball, theory.nesterov])
def test_accelerated_constants_beat_gradient_descent_on_a_quadratic(method):
    curvature = np.array([0.1, 0.5, 2.0])
    eta, beta = method(0.1, 2.0)

    def left(step, momentum, look_ahead):
        x, v = np.ones(3), np.zeros(3)
        for _ in range(60):
            v = momentum * v - step * curvature * (x + momentum * v if look_ahead else x)
            x = x + v
        return np.abs(x).max()

    assert left(eta, beta, method is theory.nesterov) < 0.1 * left(1 / 2.0, 0.0, False)


def test_changed_patterns_against_monte_carlo():
    drift = np.array([0.1, 0.5, 1.0])
    z = np.abs(0.7 * np.random.default_rng(0).standard_normal(400_000))
    expected = np.mean([(z <= one).mean() for one in drift])
    assert theory.changed_patterns(drift, 0.7) == pytest.approx(expected, abs=5 * (0.25 / 4e5) ** 0.5)


def test_bootstrap_recovers_an_exponent_and_its_interval_holds_it():
    generator = np.random.default_rng(0)
    groups = {n: 3 * n**1.5 * np.exp(0.2 * generator.standard_normal(15)) for n in (10.0, 20.0, 40.0, 80.0)}
    found = slope_of_medians(groups, 1000, np.random.default_rng(1))
    assert found.low < 1.5 < found.high
    assert found.high - found.low < 0.4
    exact = slope_of_medians({n: np.full(5, n**2) for n in (1.0, 2.0, 4.0)}, 50, np.random.default_rng(1))
    assert (exact.value, exact.low, exact.high) == pytest.approx((2, 2, 2))


# engines


def test_gram_descent_with_any_output_weights_is_autograd_in_weight_space():
    (x,), (y,), (start,), (a,) = problem(n=12, m=20)
    engine = GramDescent(x @ x.T, start @ x.T, a, y, step_size=0.4)
    first = engine.hidden_gram()
    path = descend(engine, 15, [15])
    weights = start.clone()
    for k in range(16):
        weights.requires_grad_(True)
        value = two_layer.loss(weights, a, x, y)
        assert path.mse[k] == pytest.approx(2 * float(value.detach()) / len(x), rel=1e-9)
        if k < 15:
            (gradient,) = torch.autograd.grad(value, weights)
            weights = (weights - 0.4 * gradient).detach()
    weights = weights.detach()
    distances = (weights - start).norm(dim=1)
    assert path.max_distance[15] == pytest.approx(float(distances.max()), rel=1e-9)
    torch.testing.assert_close(engine.distances().sort()[0], distances.sort()[0])
    flips = ((weights @ x.T >= 0) != (start @ x.T >= 0)).double().mean()
    assert path.pattern_change[15] == float(flips)
    # H(0) is the Gram matrix of the gradients of the outputs: sum_r a_r^2 P_ri P_rj x_i.x_j / m
    leaf = start.clone().requires_grad_(True)
    rows = [torch.autograd.grad(out, leaf, retain_graph=True)[0].flatten() for out in two_layer.outputs(leaf, a, x)]
    jacobian = torch.stack(rows)
    torch.testing.assert_close(first, jacobian @ jacobian.T)


def test_a_zero_output_weight_is_refused():
    (x,), (y,), (start,), (a,) = problem()
    a[3] = 0.0
    with pytest.raises(UserError, match="leave it out"):
        GramDescent(x @ x.T, start @ x.T, a, y, 0.1)


@pytest.mark.parametrize("loss", first_order.LOSSES)
def test_gradient_of_several_networks_is_that_of_automatic_differentiation(loss):
    x, y, weights, a = problem(batch=3)
    networks = first_order.Networks(x, y, weights, a, loss)
    gradient = networks.gradient()
    for b in range(3):
        leaf = weights[b].clone().requires_grad_(True)
        value = first_order.losses(two_layer.outputs(leaf, a[b], x[b])[None], y[b][None], loss).sum()
        (expected,) = torch.autograd.grad(value, leaf)
        torch.testing.assert_close(gradient[b], expected)


@pytest.mark.parametrize("name", first_order.METHODS)
def test_methods_are_those_of_torch(name):
    x, y, weights, a = problem()
    eta, beta = 0.05 if name in ("adam", "rmsprop") else 0.3, 0.6
    method = first_order.Method(name, torch.tensor([eta]), torch.tensor([beta], dtype=torch.float64), 0.9, 1e-8)
    networks = first_order.Networks(x, y, weights, a, "square")
    eta = float(torch.tensor(eta))  # the float32 that the engine was given
    path = first_order.train(networks, method, 12, 0.5, [0, 12])
    leaf = weights[0].clone().requires_grad_(True)
    optimiser = {
        "gradient_descent": lambda: torch.optim.SGD([leaf], eta),
        "heavy_ball": lambda: torch.optim.SGD([leaf], eta, momentum=beta),
        "nesterov": lambda: torch.optim.SGD([leaf], eta, momentum=beta, nesterov=True),
        "adam": lambda: torch.optim.Adam([leaf], eta, betas=(beta, 0.9)),
        "rmsprop": lambda: torch.optim.RMSprop([leaf], eta, alpha=0.9),
    }[name]()
    for k in range(13):
        optimiser.zero_grad()
        value = two_layer.loss(leaf, a[0], x[0], y[0])
        assert path.loss[k, 0] == pytest.approx(float(value.detach()), rel=1e-6)
        if k < 12:
            value.backward()
            optimiser.step()
    moved = float((leaf.detach() - weights[0]).norm()) / len(leaf) ** 0.5
    assert path.records[-1].rms_distance[0] == pytest.approx(moved, rel=1e-6)


def test_a_diverged_network_does_not_spoil_its_neighbour():
    x, y, weights, a = problem(batch=2)
    method = first_order.Method("gradient_descent", torch.tensor([0.2, 200.0]), torch.zeros(2), 0.9, 1e-8)
    path = first_order.train(first_order.Networks(x, y, weights, a, "square"), method, 40, 0.9, [40])
    assert path.diverged_at[0] == -1
    assert path.diverged_at[1] > 0
    assert np.isfinite(path.loss[:, 0]).all()
    assert np.isnan(path.loss[path.diverged_at[1] :, 1]).all()


# judges


def verdict(judge, **columns) -> str:
    return judge(pd.DataFrame(columns), SETTINGS).verdict


def close_pair(power=1.0, factor=1.0):
    eps = np.tile(SETTINGS.examples.distances, 5)
    return {
        "part": "pair_in_set", "seed": np.repeat(SEEDS, len(eps) // 5), "distance": eps,
        "lambda_0": factor * eps**power / (2 * math.pi),
    }  # fmt: skip


def test_judges_of_the_examples():
    ok = {"part": "orthogonal", "samples": 20}
    assert verdict(claims.judge_orthogonal, **ok, lambda_0=[0.5, 0.5]) == "reproduced"
    assert verdict(claims.judge_orthogonal, **ok, lambda_0=[0.5, 0.499]) == "differs"
    sets = {"part": "gershgorin", "dimension": 10, "lambda_0": [0.3, 0.2]}
    assert verdict(claims.judge_gershgorin, **sets, gershgorin=[0.2, 0.1]) == "reproduced"
    assert verdict(claims.judge_gershgorin, **sets, gershgorin=[0.2, 0.21]) == "differs"
    assert verdict(claims.judge_gershgorin, **sets, gershgorin=[-0.2, -0.1]) == "undecided"
    assert verdict(claims.judge_pair, **close_pair()) == "reproduced"
    assert verdict(claims.judge_pair, **close_pair(power=2)) == "differs"
    assert verdict(claims.judge_pair, **close_pair(factor=1.1)) == "differs"
    table = {"seed": [0, 0, 0], "distance": [1.0, 1e-6, 1e-6], "part": ["antipode_in_set"] * 2 + ["antipode"]}
    assert verdict(claims.judge_antipode, **table, lambda_0=[0.3, 0.3, 0.5]) == "reproduced"
    assert verdict(claims.judge_antipode, **table, lambda_0=[0.3, 1e-7, 0.5]) == "differs"


def approach(power=-1.0, rest=14, share=0.99, bound=1e5, missing=False):
    rows = []
    for seed in SEEDS:
        for eps in (1.0, 0.2, 0.1):
            steps = (1 + 0.01 * seed) * eps**power * 10
            rows.append(
                {
                    "part": "approach", "seed": seed, "width": 512, "distance": eps, "lambda_0": eps,
                    "steps_to_threshold": np.nan if missing and eps == 0.1 else steps, "steps_bound": bound,
                    "steps_linear": 5 / eps, "steps_rest": rest if eps == 0.1 else 14, "share_of_pair": share,
                    "diverged": False,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_judges_of_the_approach():
    judge = claims.judge_approach_bound
    assert judge(approach(), SETTINGS).verdict == "reproduced"
    assert judge(approach(bound=50), SETTINGS).verdict == "differs"
    assert judge(approach(missing=True), SETTINGS).verdict == "undecided"
    judge = claims.judge_approach_slope
    assert judge(approach(), SETTINGS).verdict == "reproduced"
    assert judge(approach(power=-2), SETTINGS).verdict == "differs"
    assert judge(approach(missing=True), SETTINGS).verdict == "undecided"
    judge = claims.judge_only_the_pair
    assert judge(approach(), SETTINGS).verdict == "reproduced"
    assert judge(approach(rest=40), SETTINGS).verdict == "differs"
    assert judge(approach(share=0.5), SETTINGS).verdict == "differs"


@pytest.mark.parametrize(("power", "expected"), [(1.0, "reproduced"), (6.0, "undecided"), (8.0, "differs")])
def test_judge_of_the_exponent(power, expected):
    noise = np.random.default_rng(0)
    rows = [
        {
            "part": "smallest_width", "series": "square", "seed": seed, "samples": n,
            "smallest_width": n**power * np.exp(0.3 * noise.standard_normal()),
        }
        for n in (10, 20, 40)
        for seed in range(9)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    assert claims.judge_exponent_square(table, SETTINGS).verdict == expected
    table.loc[table["samples"] > 10, "smallest_width"] = np.nan  # most seeds found nothing: not measurable
    assert claims.judge_exponent_square(table, SETTINGS).verdict == "undecided"


def test_unknown_widths_count_as_the_largest():
    rows = [
        {"part": "smallest_width", "series": "square", "samples": 10, "smallest_width": width}
        for width in (5.0, 6.0, np.nan)
    ]
    (values,) = tables.width_groups(pd.DataFrame(rows), SETTINGS, "square").values()
    assert sorted(values) == [5.0, 6.0, SETTINGS.smallest_width.largest_width]


def test_judges_of_the_output_law():
    def table(same, rescaled, power=-0.5):
        rows = [
            {
                "part": "output_law", "seed": seed, "width": width, "law": law, "step_factor": factor,
                "steps_to_threshold": steps, "gram_deviation": (1 + 0.01 * seed) * width**power,
            }
            for seed in SEEDS
            for width in (256, 1024)
            for law, factor, steps in (("signs", 1.0, 50), ("uniform", 1.0, same), ("uniform", 3.0, rescaled))
        ]  # fmt: skip
        return pd.DataFrame(rows)

    assert claims.judge_law_rate(table(150, 50), SETTINGS).verdict == "reproduced"
    assert claims.judge_law_rate(table(100, 50), SETTINGS).verdict == "differs"
    assert claims.judge_law_rate(table(150, 70), SETTINGS).verdict == "differs"
    assert claims.judge_law_rate(table(np.nan, 50), SETTINGS).verdict == "undecided"
    assert claims.judge_law_limit(table(150, 50), SETTINGS).verdict == "reproduced"
    assert claims.judge_law_limit(table(150, 50, power=-1), SETTINGS).verdict == "differs"


def radius_table(power=-1.0, ratio=1.0, eigenvalue=0.9, shift=0.0):
    laws = [("gaussian", 10.0), *(("sphere", r) for r in (1.0, 3.0, 10.0, 30.0))]
    rows = [
        {
            "part": "radius", "law": law, "radius": r, "seed": seed, "width": 4096, "dimension": 100, "step": step,
            "pattern_change": 0.01 * (r / 10) ** power * (1 if law == "gaussian" else ratio), "mean_distance": 0.3,
            "lambda_min": 0.2 * (1.0 if step == 0 else eigenvalue) + (shift if law == "sphere" else 0.0),
            "lambda_0": 0.2, "diverged": False,
        }
        for law, r in laws
        for seed in SEEDS
        for step in (0, 100)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_judges_of_the_radius():
    assert claims_drift.judge_same_start(radius_table(), SETTINGS).verdict == "reproduced"
    assert claims_drift.judge_same_start(radius_table(shift=0.1), SETTINGS).verdict == "differs"
    assert claims_drift.judge_flips_by_radius(radius_table(), SETTINGS).verdict == "reproduced"
    assert claims_drift.judge_flips_by_radius(radius_table(power=-0.5), SETTINGS).verdict == "differs"
    assert claims_drift.judge_gaussian_is_a_radius(radius_table(), SETTINGS).verdict == "reproduced"
    assert claims_drift.judge_gaussian_is_a_radius(radius_table(ratio=1.2), SETTINGS).verdict == "differs"
    assert claims_drift.judge_eigenvalue_unit_sphere(radius_table(), SETTINGS).verdict == "reproduced"
    assert claims_drift.judge_eigenvalue_unit_sphere(radius_table(eigenvalue=0.4), SETTINGS).verdict == "differs"


def methods_table(fast=10.0, far=1.2, tail=-1.0):
    rows = []
    for seed in SEEDS:
        wobble = 1 + 0.01 * seed
        for name in first_order.METHODS:
            adaptive = name in ("adam", "rmsprop")
            steps = 50 if name == "gradient_descent" else 300 if adaptive else fast * wobble
            common = {"seed": seed, "method": name, "lambda_0": 0.1, "lambda_max_limit": 2.0}
            one = {"steps_to_threshold": steps, "distance_at_threshold": far * wobble if adaptive else 1.0}
            rows.append({"part": "methods", "loss_name": "square", **common, **one})
        for step in (100, 400, 700, 1000):
            curve = {"step": step, "loss": wobble * step**tail, "relative_loss": step**tail}
            common = {"part": "methods_curve", "loss_name": "logistic", "method": "gradient_descent", "seed": seed}
            rows.append({**common, **curve})
    return pd.DataFrame(rows)


def test_judges_of_the_methods():
    judge = claims_drift.judge_acceleration
    assert judge(methods_table(), SETTINGS).verdict == "reproduced"
    assert judge(methods_table(fast=90), SETTINGS).verdict == "differs"
    assert judge(methods_table(fast=49), SETTINGS).verdict == "undecided"
    judge = claims_drift.judge_least_distance
    assert judge(methods_table(), SETTINGS).verdict == "reproduced"
    assert judge(methods_table(far=0.8), SETTINGS).verdict == "differs"
    assert judge(methods_table(far=0.98), SETTINGS).verdict == "undecided"
    judge = claims_drift.judge_logistic_tail
    assert judge(methods_table(), SETTINGS).verdict == "reproduced"
    assert judge(methods_table(tail=-0.5), SETTINGS).verdict == "differs"
    judge = claims_drift.judge_every_method_trains
    assert judge(methods_table(), SETTINGS).verdict == "reproduced"
    assert judge(methods_table(fast=np.nan), SETTINGS).verdict == "differs"


# the whole


def test_every_item_is_served():
    from zeroloss.report.coverage import served

    found = served(make_plan("tiny"))
    for item in ("003-Q1", "003-Q2", "003-Q3", "003-Q4", "003-Q9", "003-E2", "003-E3", "003-F1"):
        kinds = {entry["status"] for entry in found[item] if "mccloskey2022" in entry["output"]}
        assert {"figure", "claim"} <= kinds, item


def test_a_cell_gives_the_same_table_again():
    cell = make_plan("tiny").cells["mccloskey2022"]["approach"]
    small = {**cell.parameters, "seeds": [0], "widths": [64], "distances": [1.0, 0.5]}
    one, two = (STUDY.run(small, [], device="cpu", quiet=True) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    assert (one[one["part"] == "approach"]["steps_rest"] > 0).all()
