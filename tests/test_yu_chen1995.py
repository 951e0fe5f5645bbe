"""Sigmoid networks and saddles at zero: derivatives against autograd, engines against scipy, judges both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.config import load_config
from zeroloss.networks import sigmoid_layer as net
from zeroloss.randomness import numpy_generator
from zeroloss.studies.yu_chen1995 import STUDY, claims, experiment
from zeroloss.training.deep_linear_escape import escape_steps, product
from zeroloss.training.least_squares import gradient_descent, levenberg_marquardt

SETTINGS = load_config("laptop").study("yu_chen1995")


def batch(units=4, n=6, columns=3, starts=3, seed=0):
    generator = numpy_generator(seed, "test")
    theta = torch.from_numpy(generator.standard_normal((starts, (units - 1) * (columns + 1) + 1)))
    x = torch.from_numpy(generator.standard_normal((starts, n, columns)))
    return theta, x, torch.from_numpy(generator.standard_normal((starts, n)))


def test_jacobian_is_that_of_automatic_differentiation():
    theta, x, y = batch()
    found, jacobian = net.residuals_and_jacobian(theta, x, y)
    for k in range(3):
        exact = torch.func.jacrev(net.residuals)(theta[k], x[k], y[k])
        assert torch.allclose(jacobian[k], exact, atol=1e-13)
    assert torch.allclose(found, net.residuals(theta, x, y))
    assert net.parameter_count(4, 2) == theta.shape[1]


def test_copies_keep_the_function_and_curvature_is_a_block_of_the_hessian():
    theta, x, y = batch(units=2)
    one, x, y = theta[0], x[0], y[0]
    wide = net.with_copies(one, 3, 0, 5)
    assert torch.allclose(net.residuals(wide, x, y), net.residuals(one, x, y), atol=1e-14)

    def loss(at):
        return 0.5 * (net.residuals(at, x, y) ** 2).sum()

    # moving two copies apart leaves f to first order: the second derivative is that of B alone, times 2 / 5
    direction = torch.zeros_like(wide)
    step = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    direction[:3], direction[3:6] = step, -step
    second = direction @ torch.func.hessian(loss)(wide) @ direction
    assert float(second) == pytest.approx(float(2 / 5 * step @ net.curvature_of_unit(one, x, y)[0] @ step), rel=1e-9)


def test_levenberg_marquardt_ends_where_scipy_ends():
    from scipy.optimize import minimize

    theta, x, y = batch(units=2, n=8, starts=4)
    y = torch.tanh(x[:, :, 0])

    def model(at):
        return net.residuals_and_jacobian(at, x, y)

    start = gradient_descent(theta, model, 0.02, 500)
    ours = levenberg_marquardt(start, model, 500)
    losses = 0.5 * (model(ours)[0] ** 2).sum(dim=1)
    assert bool((losses <= 0.5 * (model(start)[0] ** 2).sum(dim=1)).all())
    for k in range(4):

        def value(flat, k=k):
            found, jacobian = net.residuals_and_jacobian(torch.from_numpy(flat)[None], x[k : k + 1], y[k : k + 1])
            return float(0.5 * (found**2).sum()), (found[:, None] @ jacobian)[0, 0].numpy()

        theirs = minimize(
            value, start[k].numpy(), jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15}
        )
        assert float(losses[k]) <= theirs.fun * 1.01 + 1e-12


def test_as_wide_as_the_samples_can_be_fitted():
    """n - 1 sigmoids and the constant have full rank on distinct patterns: the copied minimum is not global."""
    parameters = {**SETTINGS.starts.model_dump(), "problems": [0]}
    x, _ = experiment.problem(parameters, 0, smooth=True)
    weights = numpy_generator(0, "rank").standard_normal((len(x) - 1, x.shape[1])) * 3
    features = np.hstack([1 / (1 + np.exp(-x @ weights.T)), np.ones((len(x), 1))])
    assert np.linalg.matrix_rank(features) == len(x)


@pytest.mark.parametrize("depth", [3, 4])
def test_hessian_at_zero_is_exactly_zero_from_depth_3(depth):
    parameters = {**SETTINGS.saddle.model_dump(), "directions": 3}
    row = experiment._curvature_at_zero(parameters, depth, 0, "linear")
    assert row["hessian_largest_entry"] == 0.0
    assert row["gradient"] == 0.0
    assert row["order"] == pytest.approx(depth, abs=0.2)
    two = experiment._curvature_at_zero(parameters, 2, 0, "linear")
    assert two["hessian_least"] == pytest.approx(-two["top_singular_value"], rel=1e-12)


def test_escape_steps_follow_gradient_descent():
    layers = 0.3 * torch.linalg.qr(torch.from_numpy(numpy_generator(0, "q").standard_normal((1, 3, 2, 2))))[0]
    target = torch.diag(torch.tensor([1.0, 0.5], dtype=torch.float64))
    taken = float(escape_steps(layers, target, 0.1, 5000)[0])
    w, losses = layers.clone().requires_grad_(), []
    for _ in range(int(taken) + 2):
        loss = 0.5 * ((product(w)[0] - target) ** 2).sum()
        losses.append(float(loss))
        (gradient,) = torch.autograd.grad(loss, w)
        w = (w - 0.1 * gradient).detach().requires_grad_()
    half = 0.25 * float((target**2).sum())
    assert losses[int(taken)] > half >= losses[int(taken) + 1]
    assert escape_steps(layers, target, 0.1, 1).isnan().all()


def test_kinds():
    kinds = [
        experiment.kind_of(*end)
        for end in ((np.nan, 1, 1), (0, 0, 0), (0.1, 1, 1), (0.1, 0, 1), (0.1, 0, 0), (0.1, 0, -1))
    ]
    assert kinds == ["diverged", "zero", "unfinished", "strict minimum", "flat", "saddle"]


def starts(kinds):
    """kinds: {units: [kind, ...]}, one problem."""
    rows = [
        {"part": "starts", "problem": 0, "units": units, "start": k, "kind": kind,
         "relative_loss": 0.0 if kind == "zero" else 0.1}
        for units, all_kinds in kinds.items() for k, kind in enumerate(all_kinds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [(["zero"] * 5, "reproduced"), (["zero", "strict minimum"], "differs"), (["zero", "flat"], "undecided")],
)
def test_wide_reaches_zero(kinds, expected):
    assert claims.judge_wide_reaches_zero(starts({10: kinds}), SETTINGS).verdict == expected


@pytest.mark.parametrize(
    ("kinds", "expected"), [(["zero", "flat"], "reproduced"), (["zero"], "differs"), (["flat"], "undecided")]
)
def test_narrow_gets_stuck(kinds, expected):
    assert claims.judge_narrow_gets_stuck(starts({4: kinds}), SETTINGS).verdict == expected


def copied(**changes):
    row = {
        "part": "copied", "problem": 0, "units": 10, "example": 0, "narrow_units": 2, "relative_loss": 0.1, "curvature": -1e-15,
        "gradient": 1e-12, "unit_curvature": 1e-3, "start": 0, "before": 0.1001, "after": 0.1 + 1e-9,
    }  # fmt: skip
    return pd.DataFrame([{**row, **changes}])


def test_every_minimum_global():
    assert claims.judge_every_minimum_global(copied(), SETTINGS).verdict == "differs"
    for change in ({"curvature": -1e-3}, {"after": 0.05}, {"gradient": 1e-3}, {"relative_loss": 0.0, "after": 0.0}):
        assert claims.judge_every_minimum_global(copied(**change), SETTINGS).verdict == "reproduced"
    assert claims.judge_every_minimum_global(starts({10: ["zero"]}), SETTINGS).verdict == "undecided"


def curvature(deep=0.0, relu=0.5):
    rows = [
        {"part": "curvature", "activation": name, "depth": depth, "seed": 0, "hessian_least": -3.0 if depth == 2 else deep,
         "hessian_largest_entry": deep, "top_singular_value": 3.0, "parallelogram_defect": relu if name == "ReLU" else 1e-16}
        for name in ("linear", "ReLU") for depth in (2, 3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_saddle_judges_both_ways():
    assert claims.judge_hessian_at_zero(curvature(), SETTINGS).verdict == "reproduced"
    assert claims.judge_hessian_at_zero(curvature(deep=1e-9), SETTINGS).verdict == "differs"
    assert claims.judge_relu_has_no_hessian(curvature(), SETTINGS).verdict == "reproduced"
    assert claims.judge_relu_has_no_hessian(curvature(relu=0.0), SETTINGS).verdict == "differs"


@pytest.mark.parametrize(
    ("time", "power", "logarithm"),
    [
        (lambda depth, e: e ** (2 - depth) if depth > 2 else np.log(1 / e), "reproduced", "reproduced"),
        (lambda depth, e: 3 / e, "differs", "differs"),
        (lambda depth, e: np.nan, "undecided", "undecided"),
    ],
)
def test_escape_judges(time, power, logarithm):
    rows = [
        {"part": "escape", "depth": depth, "seed": seed, "scale": e, "time": time(depth, e)}
        for depth in (2, 3, 4) for seed in (0, 1) for e in SETTINGS.saddle.scales
    ]  # fmt: skip
    assert claims.judge_escape_power(pd.DataFrame(rows), SETTINGS).verdict == power
    assert claims.judge_escape_logarithm(pd.DataFrame(rows), SETTINGS).verdict == logarithm


def test_cells_run_and_repeat():
    tiny = load_config("tiny").study("yu_chen1995")
    cell = STUDY.cells(tiny)[0]
    small = {"starts": 3, "units": [2, 10], "descent_steps": 20, "newton_steps": 60, "problems": [0]}
    first = STUDY.run({**cell.parameters, **small}, [], device="cpu", quiet=True)
    again = STUDY.run({**cell.parameters, **small}, [], device="cpu", quiet=True)
    assert first.equals(again)
    assert (first[first["part"] == "starts"]["kind"] != "diverged").all()
    wild = STUDY.run({**cell.parameters, **small, "relative_step": 1e200}, [], device="cpu", quiet=True)
    assert (wild[wild["part"] == "starts"]["kind"] == "diverged").any()
