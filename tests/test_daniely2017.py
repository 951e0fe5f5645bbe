"""Depth 3 against its bound, expansions against quadrature, the lower bound against projections, judges both ways."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import eval_gegenbauer, eval_legendre

from zeroloss.config import load_config
from zeroloss.networks.inner_product import inner_product_sine, inner_products
from zeroloss.studies.daniely2017 import STUDY, claims, figures, tables
from zeroloss.studies.daniely2017.compute import points
from zeroloss.theory import daniely2017 as theory
from zeroloss.training.adam import Adam
from zeroloss.training.fresh_samples import ShallowNetworks, train

SETTINGS = load_config("tiny").study("daniely2017")


@pytest.fixture(scope="module")
def metrics():
    tabled = [STUDY.run(cell.parameters, [], device="cpu", quiet=True) for cell in STUDY.cells(SETTINGS)]
    return pd.concat(tabled, ignore_index=True)


def test_squares_never_fall_below_the_inner_product():
    x, inner = points(500, 4, np.random.default_rng(0))
    excess = inner_products(4, 16)(x)[:, 0] - inner
    assert excess.min() > -1e-12 and excess.max() <= 2 * 4 / 16**2


def test_assembled_network_is_the_two_halves():
    net = inner_product_sine(3, 5.0, (20, 30))
    whole = net.assemble()
    x, _ = points(100, 3, np.random.default_rng(1))
    assert np.abs(whole(x)[:, 0] - net(x)).max() < 1e-12
    assert whole.hidden == 2 and whole.units == net.units
    assert whole.largest_weight == net.largest_weight


@pytest.mark.parametrize("dimension", [2, 3, 5])
def test_depth3_keeps_to_the_error_it_is_built_for(dimension):
    k = theory.printed_frequency(dimension)
    pieces = theory.pieces_for(0.3, k, dimension)
    x, inner = points(400, dimension, np.random.default_rng(2))
    error = np.abs(inner_product_sine(dimension, k, pieces)(x) - np.sin(k * inner)).max()
    assert error <= theory.depth3_error(pieces, k, dimension) <= 0.3


@pytest.mark.parametrize("dimension", [3, 4, 6])
def test_coefficients_are_those_of_quadrature(dimension):
    """Against Gegenbauer polynomials on the distribution of <x, x'>."""
    k, order = 9.0, dimension / 2 - 1
    t = np.cos((np.arange(20000) + 0.5) * np.pi / 20000)
    weight = (1 - t**2) ** ((dimension - 2) / 2)
    weight /= weight.sum()
    found = theory.spectrum(k, dimension)
    for n, log_count, energy in zip(found.degrees[:6], found.log_harmonics, found.energies, strict=False):
        legendre = eval_gegenbauer(n, order, t) / eval_gegenbauer(n, order, 1.0)
        assert (weight * legendre**2).sum() == pytest.approx(math.exp(-log_count), rel=1e-6)
        coefficient = math.exp(log_count / 2) * (weight * np.sin(k * t) * legendre).sum()
        assert energy == pytest.approx(coefficient**2, abs=1e-7)
    assert found.energies.sum() == pytest.approx(theory.variance(k, dimension), rel=1e-9)
    assert theory.variance(k, dimension) == pytest.approx((weight * np.sin(k * t) ** 2).sum(), rel=1e-6)


def test_harmonics_in_three_and_two_dimensions():
    n = np.arange(1, 9)
    assert np.allclose(np.exp(theory.log_harmonics(n, 3)), 2 * n + 1)
    assert np.allclose(np.exp(theory.log_harmonics(n, 4)), (n + 1) ** 2)
    assert np.allclose(np.exp(theory.log_harmonics(n, 2)), 2)


def test_projection_of_a_neuron_is_at_most_its_norm_over_the_root_of_the_harmonics():
    """The step of the proof that limits depth 2, on S^2 by Monte Carlo: <psi, L_n> with error bars."""
    generator = np.random.default_rng(3)
    x, inner = points(200000, 3, generator)
    w, b = 2 * generator.standard_normal(6), 0.3
    neuron = np.maximum(x @ w + b, 0)
    norm = theory.neuron_norms(w, np.array(b), 3)
    assert np.sqrt((neuron**2).mean()) <= norm * 1.01
    for n in (1, 2, 3):
        values = neuron * math.sqrt(2 * n + 1) * eval_legendre(n, inner)
        assert abs(values.mean()) <= norm / math.sqrt(2 * n + 1) + 4 * values.std() / math.sqrt(len(values))


def test_least_error_is_the_optimum_and_the_inverse_of_the_mass():
    found = theory.spectrum(20.0, 4)
    for share in (0.1, 0.5, 0.9):
        mass = math.exp(found.mass_for(share))
        assert found.least_error(mass) == pytest.approx(share * found.energies.sum(), rel=1e-6)
        generator = np.random.default_rng(4)
        for _ in range(50):  # no other choice of coefficients within the mass does better
            trial = generator.uniform(0, 1, len(found.energies)) * np.sqrt(found.energies)
            trial *= min(1.0, mass / math.sqrt((np.exp(found.log_harmonics) * trial**2).sum()))
            assert ((np.sqrt(found.energies) - trial) ** 2).sum() >= found.least_error(mass) - 1e-12
    assert found.least_error(1e12) == 0 and found.least_error(0.0) == pytest.approx(found.energies.sum(), rel=1e-6)


def test_gradients_are_autograds_and_adam_is_torchs():
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, 4, 5), (2, 3, 5), (2, 3, 5), (2, 3)]
    start = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    x = torch.randn(2, 7, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(2, 3, 7, generator=generator, dtype=torch.float64)
    leaves = [one.clone().requires_grad_() for one in start]
    loss = 0.5 * (ShallowNetworks(*leaves).outputs(x) - y).square().mean(dim=2).sum()
    for ours, theirs in zip(ShallowNetworks(*start).gradients(x, y), torch.autograd.grad(loss, leaves), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)

    nets = ShallowNetworks(*(one.clone() for one in start))
    train(nets, lambda step: (x, y), Adam(1e-2, 0.9, 0.999, 1e-8), 20)
    optimizer = torch.optim.Adam(leaves, lr=1e-2)
    for k in range(20):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - k / 20)
        optimizer.zero_grad()
        (0.5 * (ShallowNetworks(*leaves).outputs(x) - y).square().mean(dim=2).sum()).backward()
        optimizer.step()
    assert torch.allclose(nets.weights, leaves[0].detach(), atol=1e-9)


def test_the_whole_study_on_toy_sizes(metrics):
    assert set(metrics["part"]) == {"sized", "built", "curve", "spectrum", "needed", "features", "trained"}
    verdicts = {claim.name: claim.judge(metrics, SETTINGS).verdict for claim in STUDY.claims(SETTINGS)}
    assert verdicts["depth3-error"] == verdicts["depth3-size"] == "reproduced"
    for table in tables.tables(SETTINGS):
        assert len(table.make(metrics, SETTINGS))
    from zeroloss.plotting.style import house_style

    with house_style():
        for figure in figures.figures(SETTINGS):
            assert figure.draw(metrics, SETTINGS).axes


def made_up(random_error=1.0, high=1.0, low=0.01, growth=1.0, bound=0.1, size=0.1, tilt=-1.0):
    rows = []
    for d in (3, 4, 5):
        rows.append({"part": "built", "dimension": d, "frequency": d**3, "accuracy": 0.5, "sup": 0.4, "bound": 0.45,
                     "mean_square": 0.02, "variance": 0.5, "width": size * d**5 * math.pi / 0.5,
                     "largest_weight": 1.0})  # fmt: skip
        for seed in (0, 1, 2):
            for f in (1, 2, 4, 8, d**3):
                error = (
                    random_error if f == d**3 else min(1.0, 0.5 * f / (8 * (1 + 0.001 * seed) * math.exp(tilt * d / 3)))
                )
                rows.append(
                    {
                        "part": "features",
                        "dimension": d,
                        "seed": seed,
                        "width": 9,
                        "frequency": f,
                        "relative_error": error,
                    }
                )
            for f in (1, 2, 8):
                error = {1: low, 8: high}.get(f, 0.2 + 0.1 * d - 0.01 * seed)
                rows.append({"part": "trained", "dimension": d, "seed": seed, "width": 9, "frequency": f,
                             "relative_error": error, "mean_square": error / 2, "bound": bound * error,
                             "standard_error": 1e-4, "variance": 0.5, "diverged": False, "mass": 1.0})  # fmt: skip
    for d in range(3, 15):
        rows.append({"part": "needed", "dimension": d, "log2_neurons": d * math.log2(d) * (0.1 + growth * d / 40)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("judge", "changes", "verdict"),
    [
        (claims.judge_error, {}, "reproduced"),
        (claims.judge_size, {}, "reproduced"),
        (claims.judge_size, {"size": 2.0}, "differs"),
        (claims.judge_features, {}, "reproduced"),
        (claims.judge_features, {"random_error": 0.2}, "differs"),
        (claims.judge_trained, {}, "reproduced"),
        (claims.judge_trained, {"high": 0.2}, "differs"),
        (claims.judge_trained, {"low": 0.8}, "differs"),
        (claims.judge_breaking, {}, "reproduced"),
        (claims.judge_breaking, {"tilt": 1.0}, "differs"),
        (claims.judge_bound, {}, "reproduced"),
        (claims.judge_bound, {"bound": 0.0}, "undecided"),
        (claims.judge_bound, {"bound": 0.6}, "differs"),
        (claims.judge_growth, {}, "reproduced"),
        (claims.judge_growth, {"growth": -0.5}, "differs"),
    ],
)
def test_judges_decide_both_ways(judge, changes, verdict):
    assert judge(made_up(**changes), SETTINGS).verdict == verdict


def test_depths_are_compared_where_both_are_there():
    table = made_up()
    deep = table["part"] == "built"
    some = claims.judge_features(table[~deep | (table["dimension"] == 4)], SETTINGS)
    assert some.verdict == "reproduced" and "d = 3" not in some.measured
    assert some.note.endswith("left out, no depth 3 built: d = 3, 5")
    none = claims.judge_features(table[~deep | (table["dimension"] == 2)], SETTINGS)
    assert none.verdict == "undecided" and "nan" not in none.measured and "d = 3, 4, 5" in none.note


def test_a_network_beyond_its_error_differs():
    table = made_up()
    table.loc[table["part"] == "built", "sup"] = 0.6
    assert claims.judge_error(table, SETTINGS).verdict == "differs"


def test_breaking_frequency_is_interpolated_and_ends_where_the_range_does():
    table = pd.DataFrame({"frequency": [1.0, 2.0, 4.0], "relative_error": [0.1, 0.3, 0.7]})
    assert claims.breaking_frequency(table, 0.5) == pytest.approx(math.sqrt(8))
    assert claims.breaking_frequency(table, 0.9) == 4 and claims.breaking_frequency(table, 0.05) == 1
    broken = table.assign(relative_error=[0.1, 0.3, np.nan])
    assert claims.breaking_frequency(broken, 0.5) == 4
