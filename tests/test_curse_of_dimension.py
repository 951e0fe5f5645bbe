"""Nested errors against plain kernel regression and Monte Carlo, judges both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from scipy.special import gamma, kv

from zeroloss.config import load_config
from zeroloss.kernels.matern import matern, nested_errors
from zeroloss.studies.curse_of_dimension import STUDY, claims, figures, tables
from zeroloss.theory import curse_of_dimension as theory

SETTINGS = load_config("tiny").study("curse_of_dimension")


@pytest.fixture(scope="module")
def metrics():
    found = [STUDY.run(cell.parameters, [], device="cpu", quiet=True) for cell in STUDY.cells(SETTINGS)]
    return pd.concat(found, ignore_index=True)


@pytest.mark.parametrize("smoothness", [0.5, 1.5, 2.5])
def test_closed_forms_are_maternss(smoothness):
    r = np.linspace(0.01, 4, 50)
    scaled = np.sqrt(2 * smoothness) * r
    general = 2 ** (1 - smoothness) / gamma(smoothness) * scaled**smoothness * kv(smoothness, scaled)
    assert np.allclose(matern(r, smoothness), general, rtol=1e-12)
    assert matern(np.zeros(1), smoothness)[0] == 1
    with pytest.raises(ValueError, match="allowed are"):
        matern(r, 1.0)


@pytest.mark.parametrize("noise", [1e-10, 0.3])
def test_nested_errors_are_those_of_plain_regression(noise):
    generator = np.random.default_rng(0)
    train, test = generator.uniform(size=(30, 2)), generator.uniform(size=(9, 2))
    found = nested_errors(train, test, 0.5, 1.5, noise, 2, generator)
    for n in (1, 7, 30):
        gram = matern(cdist(train[:n], train[:n]) / 1.5, 0.5) + noise * np.eye(n)
        cross = matern(cdist(train[:n], test) / 1.5, 0.5)
        variance = 1 - (cross * np.linalg.solve(gram, cross)).sum(axis=0)
        assert found.mean[n - 1] == pytest.approx(variance.mean(), rel=1e-8)
        near = cdist(train[:n], test).min(axis=0)
        assert found.nearest[n - 1] == pytest.approx((2 - 2 * matern(near / 1.5, 0.5)).mean() + noise)


def test_drawn_functions_have_the_exact_mean_error():
    generator = np.random.default_rng(1)
    train, test = generator.uniform(size=(40, 2)), generator.uniform(size=(20, 2))
    found = nested_errors(train, test, 1.5, 1.0, 1e-8, 4000, generator)
    for n in (5, 20, 40):
        draws = found.drawn[n - 1]
        assert draws.mean() == pytest.approx(found.mean[n - 1], abs=5 * draws.std() / len(draws) ** 0.5)


def test_a_matrix_that_rounding_makes_indefinite_is_reported():
    points = np.repeat(np.linspace(0, 1e-9, 20)[:, None], 2, axis=0)
    found = nested_errors(points, np.array([[0.5]]), 2.5, 1.0, 0.0, 1, np.random.default_rng(2))
    assert found.diverged and np.isnan(found.mean).all()


def test_the_torus_has_circles_of_length_one():
    x = np.linspace(0, 1, 10001)[:, None]
    steps = np.linalg.norm(np.diff(theory.on_torus(x), axis=0), axis=1)
    assert steps.sum() == pytest.approx(1, rel=1e-6)
    corners = theory.on_torus(np.array([[0.0, 0.0], [0.5, 0.5]]))
    assert np.linalg.norm(corners[0] - corners[1]) == pytest.approx(theory.diameter("torus", 2))


def test_the_whole_study_on_toy_sizes(metrics):
    for claim in STUDY.claims(SETTINGS):
        assert claim.judge(metrics, SETTINGS).verdict in ("reproduced", "differs", "undecided")
    for table in tables.tables(SETTINGS):
        assert len(table.make(metrics, SETTINGS)) == len(SETTINGS.dimensions) * len(SETTINGS.smoothness)
    from zeroloss.plotting.style import house_style

    with house_style():
        for figure in figures.figures(SETTINGS):
            assert figure.draw(metrics, SETTINGS).axes


def made_up(exponent=1.0, noisy=1.0, nearest=1.0, drawn=1.0, scatter=0.01):
    rows = []
    for domain, has_noise in (("torus", False), ("cube", False), ("torus", True)):
        for d in (1, 2, 8):
            for s in (0.5, 1.5):
                for seed in range(5):
                    wobble = 1 + scatter * (seed - 2)
                    rate = noisy * theory.noisy_rate(s, d) if has_noise else exponent * theory.rate(s, d)
                    for n in SETTINGS.samples:
                        error = float(n) ** -(rate * wobble)
                        rows.append(
                            {"domain": domain, "noisy": has_noise, "dimension": d, "smoothness": s, "seed": seed,
                             "samples": n, "error": error, "drawn_error": error * (drawn * wobble) ** 0.5,
                             "nearest_error": float(n) ** -(nearest * theory.nearest_rate(s, d) * wobble), "resolved": True}
                        )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("judge", "changes", "verdict"),
    [
        (claims.judge_rate, {}, "reproduced"),
        (claims.judge_rate, {"exponent": 1.5}, "differs"),
        (claims.judge_rate, {"scatter": 0.6}, "undecided"),
        (claims.judge_cube, {}, "reproduced"),
        (claims.judge_cube, {"exponent": 4.0}, "differs"),
        (claims.judge_nearest, {}, "reproduced"),
        (claims.judge_nearest, {"nearest": 0.5}, "differs"),
        (claims.judge_noise, {"scatter": 0.001}, "reproduced"),
        (claims.judge_noise, {"scatter": 0.001, "noisy": 2.0}, "differs"),
        (claims.judge_noise, {"scatter": 0.001, "noisy": 1.25}, "differs"),
        (claims.judge_drawn, {}, "reproduced"),
        (claims.judge_drawn, {"drawn": 1.5}, "differs"),
    ],
)
def test_judges_decide_both_ways(judge, changes, verdict):
    assert judge(made_up(**changes), SETTINGS).verdict == verdict


def test_one_seed_decides_nothing():
    table = made_up()
    one = table[table["seed"] == 0]
    for judge in (claims.judge_rate, claims.judge_drawn, claims.judge_noise):
        assert judge(one, SETTINGS).verdict == "undecided"
