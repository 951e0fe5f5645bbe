"""Theorem 1 exactly, its growth laws, complexities against brute force, tiled against dense solves, judges both ways."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.kernels import tiled_solve
from zeroloss.kernels.relu_gram import infinite_width_gram
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.studies.zhang2017_theory import STUDY, claims, figures, kernel_claims, rademacher_claims, tables
from zeroloss.theory import zhang2017 as theory
from zeroloss.training.sign_fitting import best_correlations

SETTINGS = load_config("laptop").study("zhang2017_theory")
TINY = load_config("tiny").study("zhang2017_theory")


def problem(n, d=7, seed=0):
    generator = numpy_generator(seed, "test", n)
    return generator.standard_normal((n, d)), generator.choice([-1.0, 1.0], n), generator.standard_normal(d)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("n", [1, 2, 20])
def test_theorem_1_fits_any_labels(n, share):
    x, y, a = problem(n)
    network, matrix = theory.interpolate(x, y, a, share)
    assert np.abs(network(x) - y).max() <= theory.residual_bound(network, matrix, x)
    assert network.parameters == 2 * n + 7
    assert (np.triu(matrix, 1) == 0).all()
    assert (np.diag(matrix) > 0).all()


def test_lemma_1_in_exact_arithmetic():
    """det(A - t I) vanishes at each x_i - b_i, and A w = y is solved by fractions to the same numbers."""
    x = [Fraction(k * k + 1, 7) for k in range(5)]
    b = [x[0] - 1, *((p + q) / 2 for p, q in itertools.pairwise(x))]
    matrix = [[max(xi - bj, Fraction(0)) for bj in b] for xi in x]

    def determinant(rows):
        if not rows:
            return Fraction(1)
        return sum(
            (-1) ** j * entry * determinant([row[:j] + row[j + 1 :] for row in rows[1:]])
            for j, entry in enumerate(rows[0])
        )

    for i in range(5):
        value = x[i] - b[i]
        shifted = [[entry - value * (j == k) for k, entry in enumerate(row)] for j, row in enumerate(matrix)]
        assert determinant(shifted) == 0
    floats = theory.ramp_matrix(np.array(x, float), np.array(b, float))
    assert floats == pytest.approx(np.array(matrix, float))


def test_condition_number_is_that_of_numpy():
    x, y, a = problem(15)
    _, matrix = theory.interpolate(x, y, a, 0.5)
    assert theory.condition_number(matrix) == pytest.approx(np.linalg.cond(matrix, np.inf), rel=1e-6)


def test_at_the_previous_sample_the_function_is_the_polygon_through_the_samples():
    x, y, a = problem(40)
    network, _ = theory.interpolate(x, y, a, 1.0)
    at = x @ a
    order = np.argsort(at)
    between = np.linspace(at.min(), at.max(), 200)
    assert network.along(between) == pytest.approx(np.interp(between, at[order], y[order]), abs=1e-9)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_slopes_obey_the_recursion(share):
    x, y, a = problem(30)
    network, _ = theory.interpolate(x, y, a, share)
    at = np.sort(x @ a)
    steps = np.diff(y[np.argsort(x @ a)]) / np.diff(at)
    slopes = np.cumsum(network.weights)
    expected = steps / share - (1 - share) / share * slopes[:-1]
    # a sum of weights forgets what is small beside its largest term
    assert slopes[1:] == pytest.approx(expected, abs=1e-11 * np.abs(network.weights).max())


def test_equal_projections_are_refused_and_overflow_is_a_result():
    with pytest.raises(ValueError, match="coincide"):
        theory.interpolate(np.ones((2, 1)), np.array([1.0, -1.0]), np.ones(1), 0.5)
    x, y, a = problem(900)
    network, matrix = theory.interpolate(x, y, a, 0.1)
    assert not np.isfinite(network.weights).all()
    assert theory.condition_number(matrix) == math.inf


@pytest.mark.parametrize("depth", [2, 3, 4, 7, 21])
def test_corollary_1(depth):
    x, y, a = problem(20)
    network, matrix = theory.interpolate(x, y, a, 0.5)
    layers = theory.deepen(network, depth)
    assert len(layers) == depth + 1  # the projection, k - 1 hidden layers, the output
    assert np.abs(theory.layered_outputs(layers, x) - y).max() <= theory.residual_bound(network, matrix, x, depth)
    assert max(len(layer.biases) for layer in layers) <= math.ceil(20 / (depth - 1)) + 3
    assert theory.connections(layers) <= 4 * 20 + 7 + 8 * depth


def test_least_gap_of_normal_numbers():
    draws = np.sort(numpy_generator(0, "gap").standard_normal((4000, 60)), axis=1)
    least = np.diff(draws, axis=1).min(axis=1).mean()
    assert least == pytest.approx(theory.expected_least_gap(60), rel=0.05)


def test_complexities_are_suprema():
    """Nothing in the ball does better than the closed form, its maximiser does as well, and the mean obeys its bounds."""
    generator = numpy_generator(0, "complexity")
    x = generator.standard_normal((8, 3))
    gram = x @ x.T
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=8)))
    linear = theory.linear_suprema(x, signs, 2.0)
    assert linear == pytest.approx(theory.kernel_suprema(gram, signs, 2.0))
    best = signs[77] @ x
    best *= 2 / np.linalg.norm(best)
    assert (signs[77] @ (x @ best)) / 8 == pytest.approx(linear[77])
    other = generator.standard_normal((500, 3))
    other *= 2 / np.linalg.norm(other, axis=1, keepdims=True)
    assert ((other @ x.T @ signs[77]) / 8).max() <= linear[77]
    bound = theory.norm_bound(np.diag(gram), 2.0)
    assert bound / 2**0.5 <= linear.mean() <= bound  # the exact mean, over all signs
    assert (linear**2).mean() == pytest.approx(bound**2)


def test_networks_reach_any_signs_and_do_not_pass_one():
    x = torch.randn(30, 10, generator=torch_generator(0, "inputs"))
    signs = torch.where(torch.rand(3, 30, generator=torch_generator(0, "signs")) < 0.5, -1.0, 1.0)
    best, steps = best_correlations(x, signs, 32, steps=400, step_size=0.02, generator=torch_generator(0, "weights"))
    assert best.tolist() == [1.0, 1.0, 1.0]
    assert steps < 400
    none, taken = best_correlations(x, signs, 32, steps=0, step_size=0.02, generator=torch_generator(0, "weights"))
    assert taken == 0
    assert (none.abs() < 1).all()


def images(n, d=12, seed=0):
    x = torch.rand(n, d, generator=torch_generator(seed, "images"), dtype=torch.float64)
    return x, torch.eye(3, dtype=torch.float64)[torch.arange(n) % 3]


@pytest.mark.parametrize("name", ["gaussian", "relu"])
def test_tiles_solve_what_cholesky_solves(name):
    x, y = images(150)
    kernel = tiled_solve.gaussian_kernel(0.7) if name == "gaussian" else tiled_solve.relu_kernel
    if name == "relu":
        x = x / x.norm(dim=1, keepdim=True)
    dense = tiled_solve.solve_dense(kernel, x, y)
    tiled = tiled_solve.solve_tiled(kernel, x, y, rank=40, tolerance=1e-11, most_iterations=2000, tile_mb=0.02)
    assert dense.residual < 1e-10
    assert tiled.residual < 1e-10
    assert 0 < tiled.iterations < 2000
    assert (tiled.alpha - dense.alpha).norm() <= 1e-5 * dense.alpha.norm()


def test_a_preconditioner_saves_iterations_and_the_limit_is_kept():
    x, y = images(150)
    kernel = tiled_solve.gaussian_kernel(0.7)
    few, many = (
        tiled_solve.solve_tiled(kernel, x, y, rank=rank, tolerance=1e-8, most_iterations=2000, tile_mb=1).iterations
        for rank in (100, 1)
    )
    assert few < many
    stopped = tiled_solve.solve_tiled(kernel, x, y, rank=1, tolerance=1e-8, most_iterations=3, tile_mb=1)
    assert stopped.iterations == 3
    assert stopped.residual > 1e-8


def test_kernels_are_the_known_ones():
    x, _ = images(20)
    squares = torch.cdist(x, x).square()
    assert torch.allclose(tiled_solve.gaussian_kernel(0.3)(x, x), torch.exp(-0.3 * squares), atol=1e-12)
    unit = x / x.norm(dim=1, keepdim=True)
    assert torch.allclose(tiled_solve.relu_kernel(unit, unit), infinite_width_gram(unit), atol=1e-8)


def test_two_equal_inputs_are_refused():
    x, y = images(6)
    x[1] = x[0]
    with pytest.raises(UserError, match="singular to rounding"):
        tiled_solve.solve_dense(tiled_solve.gaussian_kernel(0.5), x, y)


# ---------------------------------------------------------------- judges


def built(**changes):
    """Rows as the theory wants them: cond = 10 n^3, least eigenvalue its expectation, growth ln 3 at s = 0.25."""
    rows = []
    for n, seed, rule in itertools.product((10, 30, 100, 300, 1000), range(10), ("0.25", "0.5", "1")):
        wobble = math.exp(0.1 * math.sin(seed + n))
        row = {
            "part": "construction", "data_title": "Gaussian", "rule": rule, "precision": "float64", "samples": n,
            "dimension": 50, "seed": seed, "distinct": True, "residual": 1e-9, "bound": 1e-8, "right": 1.0,
            "parameters": 2 * n + 50, "least_eigenvalue": 0.5 * theory.expected_least_gap(n) * wobble,
            "eigenvalue_error": 0.0, "least_singular": 1e-9, "condition": 10.0 * n**3 * wobble,
            "steepest": 3.0**n if n <= 300 else np.inf,
        }  # fmt: skip
        rows.append(row | {key: value(row) for key, value in changes.items()})
        if rule == "0.5":
            single = row | {"precision": "float32", "right": 0.9, "residual": 5.0}
            rows.append(single | {"right": changes["single"](row)} if "single" in changes else single)
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("judge", "changes"),
    [
        (claims.judge_exact_fit, {"residual": lambda row: 1e-7}),
        (claims.judge_exact_fit, {"right": lambda row: 0.99}),
        (claims.judge_exact_fit, {"parameters": lambda row: 3 * row["samples"]}),
        (claims.judge_lemma, {"eigenvalue_error": lambda row: 1e-9}),
        (claims.judge_lemma, {"least_eigenvalue": lambda row: 0.0}),
        (claims.judge_least_gap, {"least_eigenvalue": lambda row: row["samples"] ** -1.0}),
        (claims.judge_condition_midpoint, {"condition": lambda row: row["samples"] ** 5.0}),
        (claims.judge_condition_previous, {"condition": lambda row: row["samples"] ** 2.0}),
        (claims.judge_growth, {"steepest": lambda row: 2.0 ** row["samples"] if row["samples"] < 1000 else np.inf}),
        (claims.judge_float32, {"single": lambda row: 1.0}),
    ],
)
def test_construction_judges_both_ways(judge, changes):
    assert judge(built(), SETTINGS).verdict == "reproduced"
    assert judge(built(**changes), SETTINGS).verdict == "differs"


def test_construction_judges_undecided():
    assert claims.judge_float32(built()[lambda t: t["samples"] <= 100], TINY).verdict == "undecided"
    noisy = built(condition=lambda row: row["samples"] ** (3.0 if row["seed"] % 2 else 9.0))
    assert claims.judge_condition_previous(noisy, SETTINGS).verdict == "undecided"


def test_corollary_judge_both_ways():
    row = {"part": "depth", "depth": 5, "samples": 200, "dimension": 50, "seed": 0, "residual": 1e-9, "bound": 1e-8}
    good = pd.DataFrame([row | {"hidden_width": 53, "connections": 880}])
    assert claims.judge_corollary(good, SETTINGS).verdict == "reproduced"
    for change in ({"hidden_width": 60}, {"connections": 1000}, {"residual": 1e-7}):
        assert claims.judge_corollary(good.assign(**change), SETTINGS).verdict == "differs"


def complexities(power=-0.5, ratio=0.9, fitted=1.0, true=0.5):
    rows = []
    for n, draw in itertools.product((75, 150, 300, 600, 1200), range(40)):
        base = {"part": "rademacher", "data_title": "digits", "samples": n, "draw": draw, "radius": 1.0}
        bound, wobble = n**-0.5, 1 + 0.05 * math.sin(draw + n)
        for name in ("linear", "relu kernel", "gaussian kernel"):
            rows.append(
                {**base, "class": name, "value": ratio * wobble * n**power * 75 ** (-0.5 - power), "bound": bound}
            )
        rows.append({**base, "class": "ball of random labels", "value": 2.0})
        rows.append({**base, "class": "ball of the true labels", "value": 2.0 * true})
        if draw < 5:
            for width in (4, 64):
                value = fitted if width == 64 else 0.5
                rows.append({**base, "class": "network", "width": width, "parameters": 66 * width + 1, "value": value})
    return pd.DataFrame(rows)


def test_rademacher_judges_both_ways():
    for judge in (
        rademacher_claims.judge_linear,
        rademacher_claims.judge_relu_kernel,
        rademacher_claims.judge_gaussian_kernel,
    ):
        assert judge(complexities(), SETTINGS).verdict == "reproduced"
        assert judge(complexities(power=-0.3), SETTINGS).verdict == "differs"
        assert judge(complexities(ratio=0.5), SETTINGS).verdict == "differs"
    assert rademacher_claims.judge_networks(complexities(), SETTINGS).verdict == "reproduced"
    assert rademacher_claims.judge_networks(complexities(fitted=0.9), SETTINGS).verdict == "differs"
    poor = complexities()[lambda t: (t["class"] != "network") | (t["width"] == 4)]
    assert rademacher_claims.judge_networks(poor, SETTINGS).verdict == "undecided"
    assert rademacher_claims.judge_balls(complexities(), SETTINGS).verdict == "reproduced"
    assert rademacher_claims.judge_balls(complexities(true=1.5), SETTINGS).verdict == "differs"


def solutions(fall=-0.5, ratio=3.0, residual=1e-13, title="digits", sizes=(125, 250, 500, 1000), error=0.1):
    rows = []
    for n, seed, kernel in itertools.product(sizes, range(5), ("gaussian", "relu")):
        base = {
            "part": "kernel",
            "data_title": title,
            "kernel": kernel,
            "samples": n,
            "seed": seed,
            "solver": "cholesky",
        }
        base |= {"residual": residual, "coefficient_norm": 5.0}
        true = error * (n / sizes[0]) ** fall + 0.001 * math.sin(seed)
        rows.append({**base, "label_kind": "true", "test_error": true, "norm": 10.0})
        rows.append({**base, "label_kind": "random", "test_error": 0.9, "norm": 10.0 * ratio})
    solver = {"part": "solver", "kernel": "relu", "samples": 1000, "prediction_gap": 1e-7, "residual": 1e-9}
    return pd.DataFrame([*rows, solver | {"iterations": 50}])


def test_kernel_judges_both_ways():
    good = solutions()
    for judge, bad in (
        (kernel_claims.judge_interpolates, solutions(residual=1e-3)),
        (kernel_claims.judge_falls, solutions(fall=0.2)),
        (kernel_claims.judge_norm, solutions(ratio=0.9)),
        (kernel_claims.judge_tiles, good.assign(prediction_gap=0.1)),
    ):
        assert judge(good, SETTINGS).verdict == "reproduced"
        assert judge(bad, SETTINGS).verdict == "differs"
    assert kernel_claims.judge_falls(solutions(fall=0.0), SETTINGS).verdict == "undecided"
    assert kernel_claims.judge_published(good, SETTINGS).verdict == "undecided"
    assert kernel_claims.judge_tiles(good[good["part"] == "kernel"], SETTINGS).verdict == "undecided"


@pytest.mark.parametrize(("error", "verdict"), [(0.0125, "reproduced"), (0.02, "differs")])
def test_published_error_at_the_published_size(error, verdict):
    table = solutions(title="MNIST", sizes=(60000,), error=error)
    assert kernel_claims.judge_published(table, SETTINGS).verdict == verdict


def test_cells_run_repeat_and_can_be_drawn():
    """One seed of each part, twice: the same table; both solvers, figures and tables from it."""
    from zeroloss.plotting.style import house_style

    data = STUDY.recipes(TINY)[0].build(None)
    tables_of = []
    for _ in range(2):
        parts = []
        for cell in STUDY.cells(TINY):
            parts.append(STUDY.run(cell.parameters, [data], device="cpu", quiet=True))
        tables_of.append(pd.concat(parts, ignore_index=True))
    metrics = tables_of[0]
    assert metrics.equals(tables_of[1])
    assert set(metrics["part"]) == {"construction", "depth", "curve", "mark", "rademacher", "kernel", "solver"}
    assert set(metrics["solver"].dropna()) == {"cholesky", "tiles"}
    with house_style():
        for figure in figures.figures(TINY):
            assert figure.draw(metrics, TINY, **figure.options).axes
    for table in tables.tables(TINY):
        assert len(table.make(metrics, TINY))


def test_settings_must_fit():
    for change, message in (
        ({"pool": 500}, "pool must hold"),
        ({"construction": {"shares": [0.25, 1.0]}}, "shares must hold 0.5"),
        ({"construction": {"depths": [300]}}, "a layer needs a sample"),
    ):
        with pytest.raises(UserError, match=message):
            load_config("laptop", {"studies": {"zhang2017_theory": change}})
