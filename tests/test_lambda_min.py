"""The study of lambda_0: theory against quadrature and sampling, the search against closed forms, judges both ways."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.kernels.matched_gram import gram_under_gaussian, sampled_split_grams, split_gram
from zeroloss.kernels.relu_gram import extreme_eigenvalues, infinite_width_gram
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.studies.lambda_min import STUDY, claims, sphere_claims, tables
from zeroloss.theory import lambda_min as theory
from zeroloss.training.separated_sets import (
    batched_gram,
    line_separation,
    push_apart,
    smallest_least_eigenvalue,
)

SETTINGS = load_config("laptop").study("lambda_min")


def sphere(n, d, seed=0, positive=False):
    x = numpy_generator(seed, "test").standard_normal((n, d))
    x = torch.from_numpy(np.abs(x) if positive else x)
    return x / x.norm(dim=1, keepdim=True)


def test_harmonics_of_dimension_15():
    values, shares = theory.harmonics(15)
    assert values[:7] == pytest.approx([0.010970, 1 / 60, 1.32836e-3, 0, 9.1255e-6, 0, 3.4221e-7], rel=1e-4)
    assert shares[1] == 0.25
    assert shares[3::2].max() == 0


@pytest.mark.parametrize("dimension", [3, 5, 50, 1000])
def test_harmonics_agree_with_quadrature_and_sum_to_one_half(dimension):
    from scipy.integrate import quad

    values, shares = theory.harmonics(dimension)
    power = (dimension - 3) / 2

    def weight(t):
        return (1 - t * t) ** power

    def kernel(t):
        return t * (math.pi - math.acos(t)) / (2 * math.pi)

    def degree_2(t):
        return (dimension * t * t - 1) / (dimension - 1)

    whole = quad(weight, -1, 1)[0]
    for degree, polynomial in ((0, lambda t: 1.0), (2, degree_2)):
        exact = quad(lambda t, p=polynomial: kernel(t) * p(t) * weight(t), -1, 1)[0] / whole
        assert values[degree] == pytest.approx(exact, rel=1e-3 if dimension == 3 else 1e-6)
    assert 0.49 < shares.sum() <= 0.5 + 1e-9


def test_bulk_edge_has_the_steps_and_the_limit():
    assert theory.bulk_edge(2, 10**5) == pytest.approx(0.5, abs=0.01)
    assert theory.bulk_edge(3000, 3000) == pytest.approx(0.25, abs=0.005)
    gap = 0.5 - theory.bulk_edge(100, 10**5)
    assert gap == pytest.approx(0.5 * (100 / 10**5) ** 0.5, rel=0.05)
    assert theory.plateaus()[2] == pytest.approx(0.25 - 1 / (2 * math.pi))


def test_bulk_edge_is_that_of_a_sample():
    least = np.mean([extreme_eigenvalues(infinite_width_gram(sphere(300, 100, seed)))[0] for seed in range(3)])
    assert theory.bulk_edge(300, 100) == pytest.approx(least, rel=0.02)


@pytest.mark.parametrize("angle", [1e-6, 0.3, 1.5, 2.0, 3.1])
def test_pair_eigenvalue(angle):
    x = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    assert float(theory.pair_eigenvalue(angle)) == pytest.approx(
        extreme_eigenvalues(infinite_width_gram(x))[0], abs=1e-15
    )
    assert float(theory.pair_eigenvalue(1e-6)) == pytest.approx(1e-6 / (2 * math.pi), rel=1e-5)


def test_expected_least_angle_against_draws():
    angles = [
        float(torch.arccos((x @ x.T).fill_diagonal_(-1).clamp(-1, 1).max()))
        for x in (sphere(300, 3, seed) for seed in range(200))
    ]
    assert theory.expected_least_angle(300, 3) == pytest.approx(np.mean(angles), rel=0.15)


def test_gram_under_gaussian_against_samples_and_identity():
    x, variances = sphere(6, 4), torch.tensor([1.0, 0.5, 0.2, 0.1], dtype=torch.float64)
    generator = torch_generator(0, "weights")
    w = torch.randn(400_000, 4, generator=generator, dtype=torch.float64) * variances.sqrt()
    active = (w @ x.T >= 0).double()
    sampled = (x @ x.T) * (active.T @ active) / len(w)
    assert torch.allclose(gram_under_gaussian(x, torch.diag(variances)), sampled, atol=0.005)
    assert torch.allclose(gram_under_gaussian(x, torch.eye(4, dtype=torch.float64)), infinite_width_gram(x), atol=1e-14)


def test_split_gram_against_samples():
    x = sphere(8, 4, positive=True)
    uniform, split = sampled_split_grams(x, 300_000, torch_generator(0, "w"), chunk=50_000)
    assert torch.allclose(split_gram(x), split, atol=0.004)
    assert torch.allclose(infinite_width_gram(x), uniform, atol=0.004)
    gain = extreme_eigenvalues(split_gram(x))[0] / extreme_eigenvalues(infinite_width_gram(x))[0]
    assert 1 <= gain <= theory.split_gain_limit(4) + 1e-12


def test_batched_gram_is_the_kernel_and_its_gradient_is_right():
    x = sphere(5, 3)
    assert torch.allclose(batched_gram(x[None])[0], infinite_width_gram(x), atol=1e-14)
    assert torch.autograd.gradcheck(lambda z: batched_gram(z), (x[None].clone().requires_grad_(),))


def test_push_apart_separates_lines():
    x = sphere(6, 3)[None].repeat(2, 1, 1)
    x[0, 1] = -x[0, 0] + 1e-3 * x[0, 2]
    x = x / x.norm(dim=-1, keepdim=True)
    wanted = torch.tensor([0.3, 0.1], dtype=torch.float64)
    assert bool((line_separation(push_apart(x, wanted, 2000)) >= wanted * (1 - 1e-9)).all())


def test_search_finds_the_pair_and_the_chain():
    delta = torch.full((16,), 0.02, dtype=torch.float64)
    for n in (2, 3):
        starts = sphere(16 * n, 2).reshape(16, n, 2)
        starts[::2] = starts[::2, :1] + 0.02 * starts[::2]
        starts = starts / starts.norm(dim=-1, keepdim=True)
        least, achieved = smallest_least_eigenvalue(starts, delta, 80)
        assert bool((achieved >= delta * (1 - 1e-6)).any())
        expected = (
            float(theory.pair_eigenvalue(2 * math.asin(0.01))) if n == 2 else float(theory.chain_eigenvalue(0.02, 3))
        )
        assert float(least.min()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_chain_eigenvalue_is_that_of_the_path(n):
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)
    # H's constant part is of order 1: what is left of order delta are the vectors of sum 0
    basis = np.linalg.qr(np.hstack([np.ones((n, 1)), np.eye(n)[:, : n - 1]]))[0][:, 1:]
    nearest = np.linalg.eigvalsh(-basis.T @ distance @ basis)[0]
    assert float(theory.chain_eigenvalue(1.0, n)) == pytest.approx(nearest / (2 * math.pi), rel=1e-9)


def slopes(power, n_range=(100, 300, 1000, 2000), d=3, spread=0.02):
    generator = np.random.default_rng(0)
    rows = [
        {"part": "sphere", "samples": n, "dimension": d, "lambda_0": n**power * (1 + spread * generator.standard_normal()),
         "pair_bound": 1.0}
        for n in n_range for _ in range(20)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("power", "expected"), [(-1.0, "reproduced"), (-0.7, "differs"), (-1.4, "differs")])
def test_fixed_dimension(power, expected):
    assert sphere_claims.judge_dimension_3(slopes(power), SETTINGS).verdict == expected


def test_fixed_dimension_is_undecided_where_it_cannot_be_decided():
    assert sphere_claims.judge_dimension_3(slopes(-1.0, n_range=(100,)), SETTINGS).verdict == "undecided"
    noisy = slopes(-1.0, n_range=(100, 200))
    noisy["lambda_0"] *= np.exp(2 * np.random.default_rng(1).standard_normal(len(noisy)))
    assert sphere_claims.judge_dimension_3(noisy, SETTINGS).verdict == "undecided"


@pytest.mark.parametrize(("power", "expected"), [(-0.5, "reproduced"), (-1.0, "differs")])
def test_high_dimension(power, expected):
    rows = [
        {"part": "sphere", "samples": 10, "dimension": d, "lambda_0": 0.5 - 0.9 * d**power * factor, "pair_bound": 0.5}
        for d in (100, 300, 1000) for factor in (0.98, 1.0, 1.02)
    ]  # fmt: skip
    assert sphere_claims.judge_high_dimension(pd.DataFrame(rows), SETTINGS).verdict == expected


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "reproduced"), (0.05, "differs")])
def test_bulk_edge_and_pair_bound_judges(shift, expected):
    rows = [
        {"part": "sphere", "samples": 1000, "dimension": d, "lambda_0": theory.bulk_edge(1000, d) + shift + noise,
         "pair_bound": theory.bulk_edge(1000, d) + 0.01}
        for d in (100, 1000) for noise in (-1e-4, 0.0, 1e-4)
    ]  # fmt: skip
    assert sphere_claims.judge_bulk_edge(pd.DataFrame(rows), SETTINGS).verdict == expected
    assert sphere_claims.judge_pair_bound(pd.DataFrame(rows), SETTINGS).verdict == expected


def orthant(scale=1.0, gain=None):
    paper = {4: 3.96e-4, 5: 0.0015, 6: 0.0032, 7: 0.0072}
    splits = {4: 5.43e-4, 5: 0.0017, 6: 0.0032, 7: 0.0072}
    rows = []
    for d, value in paper.items():
        for draw, wobble in enumerate((-0.2, -0.1, 0.0, 0.1, 0.2)):
            uniform = scale * value * math.exp(wobble / (d - 1))
            split = uniform * (gain or splits[d] / value)
            for law, least in (("uniform", uniform), ("split", split)):
                rows.append(
                    {
                        "part": "orthant",
                        "dimension": d,
                        "draw": draw,
                        "law": law,
                        "method": "closed form",
                        "lambda_0": least,
                    }
                )
    return pd.DataFrame(rows)


def test_table_2_judges_both_ways():
    assert claims.judge_table2(orthant(), SETTINGS).verdict == "reproduced"
    assert claims.judge_table2(orthant(scale=3.0), SETTINGS).verdict == "differs"
    assert claims.judge_split_gain(orthant(), SETTINGS).verdict == "reproduced"
    assert claims.judge_split_gain(orthant(gain=1.1), SETTINGS).verdict == "differs"
    tiny = load_config("tiny").study("lambda_min")
    assert claims.judge_table2(orthant(), tiny).verdict == "undecided"


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, "reproduced"), (1.0, "undecided"), (2.0, "differs")])
def test_covariance(ratio, expected):
    rows = [
        {"part": "anisotropic", "power": power, "draw": draw, "law": law,
         "lambda_0": value * (1 + 0.02 * (-1) ** draw * (law != "isotropic"))}
        for power in (1.0, 2.0) for draw in range(10)
        for law, value in (("isotropic", 1.0), ("covariance", ratio), ("inverse covariance", 1 / ratio))
    ]  # fmt: skip
    assert claims.judge_covariance(pd.DataFrame(rows), SETTINGS).verdict == expected
    assert claims.judge_inverse_covariance(pd.DataFrame(rows), SETTINGS).verdict == expected


def separated(power=1.0, factor=1.0):
    rows = [
        {"part": "separated", "samples": n, "dimension": 2, "separation": delta, "starts": 8.0,
         "lambda_0": factor * float(theory.chain_eigenvalue(delta**power, n))}
        for n in (2, 3) for delta in (0.01, 0.03, 0.1, 0.2, 0.3)
    ]  # fmt: skip
    grid = {"part": "grid", "samples": 3, "dimension": 2, "separation": 0.2, "starts": 9.0}
    return pd.DataFrame([*rows, {**grid, "lambda_0": float(theory.chain_eigenvalue(0.2, 3))}])


def test_separated_judges_both_ways():
    assert claims.judge_linear_in_separation(separated(), SETTINGS).verdict == "reproduced"
    assert claims.judge_linear_in_separation(separated(power=2.0), SETTINGS).verdict == "differs"
    assert claims.judge_chain(separated(), SETTINGS).verdict == "reproduced"
    assert claims.judge_chain(separated(factor=1.2), SETTINGS).verdict == "differs"
    assert claims.judge_grid(separated(), SETTINGS).verdict == "reproduced"
    assert claims.judge_grid(separated(factor=1.2), SETTINGS).verdict == "differs"


def test_antipodal_pairs():
    from zeroloss.studies.lambda_min.experiment import _antipodal

    table = pd.DataFrame(_antipodal())
    assert claims.judge_antipodal(table, SETTINGS).verdict == "reproduced"
    assert claims.judge_antipodal(table.assign(lambda_0=0.1), SETTINGS).verdict == "differs"
    assert len(tables.antipodal_table(table, SETTINGS)) == 7


def test_settings_must_fit():
    with pytest.raises(UserError, match="draws has 1 entries for 6 sample sizes"):
        load_config("laptop", {"studies": {"lambda_min": {"sphere": {"draws": [5]}}}})


def test_small_sets_run_and_repeat():
    tiny = load_config("tiny").study("lambda_min")
    cell = next(cell for cell in STUDY.cells(tiny) if cell.name == "sphere_small")
    parameters = {**cell.parameters, "dimensions": [2, 20], "sizes": [[10, 4], [40, 2]]}
    first = STUDY.run(parameters, [], device="cpu", quiet=True)
    assert first.equals(STUDY.run(parameters, [], device="cpu", quiet=True))
    assert len(first) == 12
    assert (first["lambda_0"] <= first["pair_bound"] + 1e-12).all()
