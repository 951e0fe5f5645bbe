"""Curves through five points: kernels against exact fractions, Hessians against autograd, Adam against torch's, judges."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from zeroloss.config import load_config
from zeroloss.networks.relu_curve import ReluCurve, hessian_norm, hessian_trace, squared_error
from zeroloss.randomness import torch_generator
from zeroloss.studies.wu_zhu_e2017 import STUDY, claims, experiment
from zeroloss.theory import wu_zhu_e2017 as theory
from zeroloss.training.adam import Adam, minimise

SETTINGS = load_config("laptop").study("wu_zhu_e2017")
Y = np.array(SETTINGS.labels)
METHOD = Adam(1e-3, 0.9, 0.999, 1e-8)


def network(depth, width=8, seed=0):
    net = ReluCurve(depth, width)
    return net, net.initial(torch_generator(seed, "test", depth))


@pytest.mark.parametrize("depth", [1, 3])
def test_values_are_those_of_torchs_layers(depth):
    net, theta = network(depth)
    modules = []
    for weights, thresholds in net.layers(theta):
        layer = torch.nn.Linear(weights.shape[1], weights.shape[0], dtype=torch.float64)
        layer.weight.data, layer.bias.data = weights.clone(), thresholds[:, 0].clone()
        modules += [layer, torch.nn.ReLU()]
    reference = torch.nn.Sequential(*modules[:-1])
    x = torch.linspace(-1.2, 1.2, 7, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(net.values(theta, x), reference(x[:, None])[:, 0], atol=1e-14)
    both = torch.stack([theta, 2 * theta])
    assert torch.allclose(net.values(both, x)[0], net.values(theta, x), atol=1e-14)
    assert torch.allclose(net.values(both, torch.stack([x, x + 1]))[1], net.values(2 * theta, x + 1), atol=1e-12)
    assert theta.shape == (net.parameters,) == (sum(p.numel() for p in reference.parameters()),)


def test_initial_weights_have_their_variances():
    net = ReluCurve(2, 300)
    (first, _), (second, thresholds), _ = net.layers(net.initial(torch_generator(0, "variance")))
    assert float(first.var()) == pytest.approx(2.0, rel=0.3)
    assert float(second.var()) == pytest.approx(2 / 300, rel=0.02)
    assert float(thresholds.abs().max()) <= 300**-0.5


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_trace_and_norm_are_those_of_the_whole_hessian(depth):
    """Away from a solution, where the residuals' part of the Hessian counts."""
    net, theta = network(depth, width=6, seed=depth)
    x, y = torch.from_numpy(theory.NODES), torch.from_numpy(Y)
    hessian = torch.func.hessian(lambda at: squared_error(net, at, x, y))(theta)
    assert hessian_trace(net, theta, x) == pytest.approx(float(hessian.trace()), rel=1e-12)
    largest = float(torch.linalg.eigvalsh(hessian).abs().max())
    assert hessian_norm(net, theta, x, y) == pytest.approx(largest, rel=1e-7)


def test_adam_is_torchs():
    net, theta = network(2)
    x, y = torch.from_numpy(theory.NODES), torch.from_numpy(Y)
    reference = theta.clone().requires_grad_()
    optimizer = torch.optim.Adam([reference], lr=1e-2)
    for _ in range(50):
        optimizer.zero_grad()
        squared_error(net, reference, x, y).backward()
        optimizer.step()
    start = torch.stack([theta, theta + 0.1])
    fit = minimise(start, lambda at: squared_error(net, at, x, y), Adam(1e-2, 0.9, 0.999, 1e-8), 50)
    assert torch.allclose(fit.theta[0], reference.detach(), atol=1e-9)
    assert fit.loss[0] == pytest.approx(float(squared_error(net, fit.theta[0], x, y)))
    assert fit.steps.tolist() == [50, 50] and not fit.reached.any()


def test_each_run_stops_by_itself_and_divergence_is_recorded():
    """The loss |theta|^2: starts at different distances; one start overflows and leaves the others alone."""
    start = torch.tensor([[0.01], [0.1], [1e200]], dtype=torch.float64)
    fit = minimise(start, lambda at: at.square().sum(dim=1), METHOD, 300, target=1e-8)
    assert fit.reached.tolist() == [True, True, False] and fit.diverged.tolist() == [False, False, True]
    assert fit.steps[0] < fit.steps[1] < 300 and fit.steps[2] == 0
    assert (fit.loss[:2] < 1e-8).all() and float(fit.theta[2, 0]) == 1e200
    assert start[0, 0] == 0.01, "starts are left as they are"
    alone = minimise(start[:1], lambda at: at.square().sum(dim=1), METHOD, 300, target=1e-8)
    assert torch.equal(alone.theta[0], fit.theta[0])


@pytest.mark.parametrize("order", [4, 6, 20, 40])
def test_kernel_regression_is_the_exact_interpolant(order):
    """Against K alpha = y solved in fractions, K_ij = (1 + x_i x_j)^p."""
    nodes = [Fraction(k, 2) - 1 for k in range(5)]
    labels = [Fraction(str(value)) for value in SETTINGS.labels]
    rows = [
        [(1 + a * b) ** order for b in nodes] + [label] for a, label in zip(nodes, labels, strict=True)
    ]  # fmt: skip
    for k in range(5):
        pivot = next(row for row in range(k, 5) if rows[row][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for other in range(5):
            if other != k:
                factor = rows[other][k]
                rows[other] = [value - factor * base for value, base in zip(rows[other], rows[k], strict=True)]
    alpha = [row[-1] for row in rows]
    coefficients, rank = theory.polynomial_fit(theory.NODES, Y, order)
    assert rank == 5
    for x in (Fraction(-6, 5), Fraction(-7, 10), Fraction(1, 3), Fraction(9, 10), Fraction(6, 5)):
        exact = float(sum(a * (1 + x * node) ** order for a, node in zip(alpha, nodes, strict=True)))
        ours = float((theory.polynomial_features(np.array([float(x)]), order) @ coefficients)[0])
        assert ours == pytest.approx(exact, rel=1e-8, abs=1e-9)


def test_features_make_the_kernel():
    x = np.linspace(-1.2, 1.2, 9)
    for order in (3, 10, 40):
        features = theory.polynomial_features(x, order)
        kernel = (1 + np.outer(x, x)) ** order
        lengths = np.sqrt(np.diag(kernel))
        normalised = (
            (features @ features.T) / lengths[:, None] / lengths
        )  # where x x' < 0 all digits cancel against these
        np.testing.assert_allclose(normalised, kernel / lengths[:, None] / lengths, atol=1e-14)


def test_order_3_has_the_error_of_the_best_cubic_and_fits_a_sine():
    """Labels of sin(pi x) at these points lie on a cubic: they would hide that p = 3 cannot interpolate."""
    coefficients, rank = theory.polynomial_fit(theory.NODES, Y, 3)
    features = theory.polynomial_features(theory.NODES, 3)
    assert rank == 4
    assert np.mean((features @ coefficients - Y) ** 2) == pytest.approx(theory.cubic_error(Y), rel=1e-12)
    sine = np.sin(np.pi * theory.NODES)
    assert theory.cubic_error(sine) == pytest.approx(0, abs=1e-25)
    np.testing.assert_allclose(features @ theory.polynomial_fit(theory.NODES, sine, 3)[0], sine, atol=1e-12)


def test_overshoot_law_is_the_limit():
    """The ratio tends to 1; other labels than those of the settings, larger orders than float64 needs in the study."""
    y = np.array([0.7, 0.5, -0.2, 0.1, 0.4])
    ratios = []
    for order in (40, 80):
        coefficients, _ = theory.polynomial_fit(theory.NODES, y, order)
        values = theory.polynomial_features(experiment.GRID, order) @ coefficients
        ratios.append(np.abs(values[experiment.INNER]).max() / float(theory.overshoot_law(y, order)))
    assert abs(ratios[1] - 1) < abs(ratios[0] - 1) < 0.1 and abs(ratios[1] - 1) < 0.02


def test_measures_of_a_known_curve():
    found = experiment.complexity(np.interp(experiment.GRID, theory.NODES, Y))
    assert found["variation"] == pytest.approx(3.8) and found["max_inside"] == pytest.approx(0.9)
    assert theory.total_variation(Y) == pytest.approx(3.8)
    steep = experiment.complexity(experiment.GRID * 2)
    assert steep == pytest.approx({"max_inside": 2.0, "max_outside": 2.4, "variation": 4.0})
    assert experiment.GRID[experiment.INNER][[0, -1]] == pytest.approx([-1, 1])


def test_constructed_depths_must_be_trained():
    raw = SETTINGS.model_dump()
    raw["constructed"]["depths"] = [5]
    with pytest.raises(ValidationError, match=r"constructed.depths has \[5\], which networks.depths lacks"):
        experiment.Settings.model_validate(raw)


def made_up(seeds=5, **changes):
    """Solutions as the paper says they are; ``changes`` are of the form family__column=value."""
    rows = []
    for seed in range(seeds):
        for depth in SETTINGS.networks.depths:
            for family in ("trained", "constructed"):
                if family == "constructed" and depth not in SETTINGS.constructed.depths:
                    continue
                for attack in SETTINGS.constructed.labels if family == "constructed" else [0.0]:
                    row = {
                        "part": "solution", "family": family, "depth": depth, "seed": seed, "attack": attack,
                        "error": 9e-9, "reached": True, "diverged": False, "max_inside": 1.0 + attack,
                        "max_outside": 2.0, "variation": 4.0 * (1 + attack) + 0.01 * seed,
                        "hessian_trace": 50 * (1 + attack) + seed, "hessian_norm": 30 * (1 + attack) + seed,
                    }  # fmt: skip
                    for name, value in changes.items():
                        of, column = name.split("__")
                        if of == family:
                            row[column] = value(row) if callable(value) else value
                    rows.append(row)
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("judge", "changes", "verdict"),
    [
        (claims.judge_depth, {}, "reproduced"),
        (claims.judge_depth, {"trained__variation": 6.0}, "differs"),
        (claims.judge_depth, {"trained__max_inside": lambda row: 2.0 if row["depth"] == 6 else 1.0}, "differs"),
        (claims.judge_depth, {"trained__variation": lambda row: 6.0 if row["seed"] == 0 else 4.0}, "undecided"),
        (claims.judge_depth, {"trained__reached": lambda row: row["depth"] != 6}, "undecided"),
        (claims.judge_depth, {"trained__reached": lambda row: row["seed"] != 0}, "undecided"),
        (claims.judge_constructed, {}, "reproduced"),
        (claims.judge_constructed, {"constructed__variation": 5.0}, "differs"),
        (claims.judge_constructed, {"constructed__reached": False}, "differs"),
        (claims.judge_constructed, {"constructed__error": lambda row: 1e-7 if row["seed"] else 1e-9}, "undecided"),
        (claims.judge_sharper, {}, "reproduced"),
        (claims.judge_sharper, {"constructed__hessian_norm": lambda row: 10 + row["seed"]}, "differs"),
        (claims.judge_sharper, {"constructed__hessian_trace": lambda row: 50 * 4.0 ** (row["seed"] - 2)}, "undecided"),
        (claims.judge_rank, {}, "reproduced"),
        (claims.judge_rank, {"constructed__hessian_trace": lambda row: 40 / (1 + row["attack"])}, "differs"),
        (claims.judge_rank, {"constructed__reached": False, "trained__reached": False}, "undecided"),
    ],
)
def test_judges_of_networks(judge, changes, verdict):
    assert judge(made_up(**changes), SETTINGS).verdict == verdict


def test_one_seed_decides_nothing_about_a_mean():
    assert claims.judge_sharper(made_up(seeds=1), SETTINGS).verdict == "undecided"


def kernels(orders=(3, 4, 6, 10, 20, 40), **columns):
    tables = [experiment._kernel({"labels": SETTINGS.labels}, order) for order in orders]
    metrics = pd.concat(tables, ignore_index=True)
    for name, change in columns.items():
        rows = metrics["part"] == "kernel"
        metrics.loc[rows, name] = change(metrics[rows])
    return metrics


@pytest.mark.parametrize(
    ("judge", "metrics", "verdict"),
    [
        (claims.judge_interpolates, kernels(), "reproduced"),
        (claims.judge_interpolates, kernels(error=lambda rows: 1e-3), "differs"),
        (claims.judge_interpolates, kernels(error=lambda rows: 0.0), "differs"),
        (claims.judge_interpolates, kernels((4, 6)), "undecided"),
        (claims.judge_overshoot, kernels(), "reproduced"),
        (claims.judge_overshoot, kernels(max_inside=lambda rows: 1.0), "differs"),
        (claims.judge_overshoot, kernels((3, 4, 20)), "undecided"),
    ],
)
def test_judges_of_kernels(judge, metrics, verdict):
    assert judge(metrics, SETTINGS).verdict == verdict


def test_a_small_run_end_to_end(tmp_path):
    """Both cells on toy sizes: the same bits twice, every column that pictures and judges read, everything draws."""
    raw = load_config("tiny").study("wu_zhu_e2017").model_dump()
    raw["networks"] |= {"depths": [1, 2], "width": 10, "most_steps": 300}
    raw["constructed"] |= {"steps": 60, "points": 10}
    raw["seeds"] = [0, 1]
    settings = experiment.Settings.model_validate(raw)
    tables = [STUDY.run(c.parameters, [], device="cpu", quiet=True) for c in STUDY.cells(settings)]
    again = STUDY.run(STUDY.cells(settings)[1].parameters, [], device="cpu", quiet=True)
    pd.testing.assert_frame_equal(tables[1], again)
    metrics = pd.concat(tables, ignore_index=True)
    solved = metrics[metrics["part"] == "solution"]
    assert len(solved) == 2 * 2 + 2 * 2 and solved["hessian_trace"].notna().all()
    assert (solved["hessian_norm"] <= solved["hessian_trace"] * (1 + 1e-9) + 1).all()
    assert (
        solved[solved["reached"].astype(bool)]["error"].max() < settings.networks.target or not solved["reached"].any()
    )
    from zeroloss.plotting.style import house_style

    for figure in STUDY.figures(settings):
        with house_style():
            figure.draw(metrics, settings, **figure.options).canvas.draw()
    for table in STUDY.tables(settings):
        assert len(table.make(metrics, settings))
    for claim in STUDY.claims(settings):
        assert claim.judge(metrics, settings).verdict in ("reproduced", "differs", "undecided")
