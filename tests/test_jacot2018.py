"""Jacot et al. 2018: the kernel against automatic differentiation and the limit, descent against autograd, judges both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.config import load_config
from zeroloss.networks.tangent_net import TangentNet
from zeroloss.randomness import numpy_generator
from zeroloss.studies.jacot2018 import STUDY, claims, compute, curves, principal_claims
from zeroloss.studies.jacot2018.experiment import Settings
from zeroloss.theory import jacot2018 as theory

SETTINGS = load_config("laptop").study("jacot2018")
TINY = load_config("tiny").study("jacot2018")
PARAMETERS = {"layers": 4, "beta": 0.1}


@pytest.fixture
def net():
    return TangentNet.draw([2, 7, 6, 5, 1], 0.3, [0, 1], dtype=torch.float64, device="cpu")


def written_out(net, seed):
    """The definition, with parameters that autograd follows."""
    parameters = [p[seed].clone().requires_grad_() for p in (*net.weights, *net.biases)]

    def function(x):
        signal = x
        for layer in range(4):
            weight, bias = parameters[layer], parameters[4 + layer]
            signal = signal @ weight.T / weight.shape[1] ** 0.5 + net.beta * bias
            signal = signal if layer == 3 else signal.relu()
        return signal[:, 0]

    return parameters, function


@pytest.mark.parametrize("seed", [0, 1])
def test_outputs_and_kernel_are_those_of_the_definition(net, seed):
    x, z = torch.from_numpy(numpy_generator(0, "test").standard_normal((2, 4, 2)))
    parameters, function = written_out(net, seed)
    assert net.forward(x)[-1][seed].numpy() == pytest.approx(function(x).detach().numpy())
    rows = [
        torch.stack(
            [
                torch.cat([g.flatten() for g in torch.autograd.grad(v, parameters, retain_graph=True)])
                for v in function(q)
            ]
        )
        for q in (x, z)
    ]
    assert net.kernel(x, z)[seed].numpy() == pytest.approx((rows[0] @ rows[1].T).numpy())


def test_a_step_is_gradient_descent_on_the_mean_cost(net):
    generator = numpy_generator(1, "test")
    x, y = torch.from_numpy(generator.standard_normal((2, 5, 2))), torch.from_numpy(generator.standard_normal((2, 5)))
    wanted = []
    for seed in (0, 1):
        parameters, function = written_out(net, seed)
        gradient = torch.autograd.grad(((function(x[seed]) - y[seed]) ** 2).mean() / 2, parameters)
        wanted.append([p - 0.7 * g for p, g in zip(parameters, gradient, strict=True)])
    net.step(x, y, 0.7)
    for seed in (0, 1):
        for found, exact in zip((*net.weights, *net.biases), wanted[seed], strict=True):
            assert found[seed].numpy() == pytest.approx(exact.detach().numpy())


def test_networks_of_a_batch_are_those_drawn_alone():
    both = TangentNet.draw([2, 5, 1], 0.1, [3, 4], dtype=torch.float64, device="cpu")
    alone = TangentNet.draw([2, 5, 1], 0.1, [4], dtype=torch.float64, device="cpu")
    assert all(torch.equal(a[1], b[0]) for a, b in zip(both.weights, alone.weights, strict=True))


def test_wide_networks_approach_the_limit_kernel():
    angles = np.array([0.0, 1.0, 2.5])
    points = compute.circle(angles)
    net = TangentNet.draw([2, 300, 300, 300, 1], 0.1, range(40), dtype=torch.float32, device="cpu")
    kernels = net.kernel(points.float(), points.float()).double()
    exact = compute.limit_kernel(PARAMETERS, 2)(points)
    error = kernels.std(dim=0) / 40**0.5
    assert float(((kernels.mean(dim=0) - exact).abs() / error).max()) < 4
    assert float(exact[0, 0]) == pytest.approx(0.2825)


def test_trained_function_is_that_of_steps_on_the_kernel():
    """Linear dynamics written out, on draws of f_0."""
    generator = numpy_generator(2, "test")
    kernels = compute.limit_kernel(PARAMETERS, 2).kernels(compute.circle(generator.uniform(-3, 3, 6)))
    tangent, covariance = kernels.ntk.numpy(), kernels.nngp.numpy()
    y, n, rate = np.array([0.3, -0.4]), 2, 0.9
    f = generator.multivariate_normal(np.zeros(6), covariance, 40000)
    for _ in range(30):
        f = f - rate / n * (f[:, :n] - y) @ tangent[:n]
    found = theory.trained_function(tangent, covariance, y, rate, 30)
    assert found.mean == pytest.approx(f[:, n:].mean(axis=0), abs=4 * f.std() / 200)
    assert found.deviation == pytest.approx(f[:, n:].std(axis=0), rel=0.03)


def test_the_limit_passes_through_the_data():
    x = compute.circle(np.array(SETTINGS.function.data_angles))
    kernels = compute.limit_kernel(PARAMETERS, 2).kernels(torch.cat([x, x]))
    targets = np.array(SETTINGS.function.targets)
    found = theory.trained_function(kernels.ntk.numpy(), kernels.nngp.numpy(), targets, 1.0, 1000)
    assert found.mean == pytest.approx(targets, abs=1e-3)
    assert found.deviation == pytest.approx(np.zeros(4), abs=1e-3)


def test_principal_components():
    square = numpy_generator(3, "test").standard_normal((12, 12))
    kernel = square @ square.T
    values, functions = theory.principal_components(kernel, 3)
    assert kernel @ functions / 12 == pytest.approx(functions * values)
    assert (functions**2).mean(axis=0) == pytest.approx(np.ones(3))
    assert (np.diff(values) < 0).all()


def test_bad_settings():
    values = SETTINGS.model_dump()
    values["function"]["targets"] = [0.1]
    with pytest.raises(ValueError, match="one entry for each"):
        Settings.model_validate(values)


@pytest.mark.parametrize("angles", [[0.5, 0.5], [-1.0, 2 * np.pi - 1.0], [0.0, 2 * np.pi], [1e-9, -1e-9]])
def test_an_input_may_stand_once(angles):
    values = SETTINGS.model_dump()
    values["function"].update(data_angles=[2.5, *angles], targets=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="all must differ"):
        Settings.model_validate(values)
    values["function"].update(data_angles=[2.5], targets=[0.1])
    assert Settings.model_validate(values).function.data_angles == [2.5]


# ---------------------------------------------------------------- judges


@pytest.fixture(scope="module")
def tiny():
    data = [recipe.build(None) for recipe in STUDY.recipes(TINY)]
    parts = [
        STUDY.run(cell.parameters, data if cell.datasets else [], device="cpu", quiet=True)
        for cell in STUDY.cells(TINY)
    ]
    return pd.concat(parts, ignore_index=True)


def test_everything_is_drawn_and_judged(tiny):
    from zeroloss.plotting.style import house_style

    for claim in STUDY.claims(TINY):
        assert claim.judge(tiny, TINY).verdict in ("reproduced", "differs", "undecided")
    for table in STUDY.tables(TINY):
        assert len(table.make(tiny, TINY))
    with house_style():
        for figure in STUDY.figures(TINY):
            figure.draw(tiny, TINY, **figure.options)


def test_kernel_judges(tiny):
    assert claims.judge_published_kernel(tiny, TINY).verdict == "reproduced"
    assert claims.judge_own_kernel(tiny, TINY).verdict == "reproduced"
    other = tiny.copy()
    other.loc[other["part"] == "limit_kernel", "kernel"] *= 4
    assert claims.judge_published_kernel(other, TINY).verdict == "differs"
    assert claims.judge_own_kernel(other, TINY).verdict == "differs"
    assert claims.judge_published_kernel(tiny, TINY.model_copy(update={"beta": 0.2})).verdict == "undecided"
    assert claims.judge_own_kernel(tiny[~tiny["seed"].isin([2, 3])], TINY).verdict == "undecided"


def kernels(deviation, drift):
    """Ten initialisations at three widths."""
    noise = numpy_generator(0, "test").standard_normal(10)
    rows = [
        {"part": "kernel", "width": n, "seed": seed, "step": step, "gamma": g,
         "kernel": 0.3 + deviation(n) * noise[seed] + (drift(n) * (1 + 0.01 * seed) if step else 0.0)}
        for n in (100, 1000, 10000) for seed in range(10) for step in (0, 200) for g in (0.0, 1.0)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("deviation", "expected"),
    [(lambda n: n**-0.5, "reproduced"), (lambda n: 0.1, "differs"), (lambda n: 1 / n, "differs")],
)
def test_scatter(deviation, expected):
    assert claims.judge_scatter(kernels(deviation, lambda n: 0.0), SETTINGS).verdict == expected


@pytest.mark.parametrize(
    ("drift", "expected"),
    [(lambda n: 10 / n, "reproduced"), (lambda n: n**0.5, "differs"), (lambda n: n**-0.2, "undecided")],
)
def test_drift(drift, expected):
    assert claims.judge_drift(kernels(lambda n: 0.0, drift), SETTINGS).verdict == expected


def test_a_diverged_run_is_no_drift():
    table = kernels(lambda n: 0.0, lambda n: 1 / n)
    table.loc[(table["step"] > 0) & (table["width"] == 100), "kernel"] = np.nan
    found = claims.judge_drift(table, SETTINGS)
    assert found.verdict == "undecided" and "training diverged" in found.note
    table.loc[(table["step"] > 0) & (table["width"] == 100), "kernel"] = 1e6
    assert claims.judge_drift(table, SETTINGS).verdict == "undecided", "finite, and no training either"


def functions(spread, shift=0.0):
    """Draws around a made-up limit at the laptop's widths; ``spread`` by width."""
    generator = numpy_generator(0, "test functions")
    angles = np.linspace(-np.pi, np.pi, 101)
    rows = [{"part": "limit_function", "gamma": g, "mean": 0.0, "deviation": 0.1} for g in angles]
    for n in SETTINGS.function.widths:
        for seed in range(10):
            size = 0.1 * spread(n) * generator.standard_normal()
            rows += [{"part": "function", "width": n, "seed": seed, "gamma": g, "value": size + shift} for g in angles]
    return pd.DataFrame(rows)


def test_function_judges(tiny):
    assert claims.judge_published_function(tiny, SETTINGS).verdict == "reproduced"
    other = tiny.copy()
    other.loc[other["part"] == "limit_function", "mean"] += 0.1
    assert claims.judge_published_function(other, SETTINGS).verdict == "differs"
    assert claims.judge_own_function(functions(lambda n: 1.0), SETTINGS).verdict == "reproduced"
    assert claims.judge_own_function(functions(lambda n: 1.0, shift=1.0), SETTINGS).verdict == "differs"
    assert claims.judge_own_function(functions(lambda n: 10.0), SETTINGS).verdict == "differs"
    assert claims.judge_narrow(functions(lambda n: 10.0 if n == 50 else 1.0), SETTINGS).verdict == "reproduced"
    assert claims.judge_narrow(functions(lambda n: 0.02 if n == 50 else 1.0), SETTINGS).verdict == "differs"
    undecided = claims.judge_narrow(functions(lambda n: 1.0), SETTINGS)
    assert (undecided.verdict, undecided.note) == ("undecided", "the interval contains 1")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"layers": 3}, "layers"), ({"beta": 0.2}, "beta"), ({"rate": 0.5}, "rate"), ({"steps": 900}, "steps"),
        ({"data_angles": [-2.2, -0.95, 1.0, 2.3]}, "data_angles"), ({"targets": [-0.4, -0.2, 0.3, 0.5]}, "targets"),
    ],
)  # fmt: skip
def test_published_function_is_that_of_the_published_settings(tiny, changes, name):
    values = SETTINGS.model_dump()
    for key, value in changes.items():
        (values if key in values else values["function"])[key] = value
    found = claims.judge_published_function(tiny, Settings.model_validate(values))
    assert (found.verdict, found.note) == ("undecided", f"{name}: not the published one")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_diverged_functions_decide_nothing(value):
    judges = (claims.judge_own_function, claims.judge_narrow)
    network, limit = functions(lambda n: 1.0), functions(lambda n: 1.0)
    network.loc[(network["part"] == "function") & (network["seed"] == 3), "value"] = value
    limit.loc[limit["part"] == "limit_function", "deviation"] = value
    for judge in judges:
        for table in (network, limit):
            found = judge(table, SETTINGS)
            assert found.verdict == "undecided" and found.note.startswith("training diverged")


@pytest.mark.parametrize("rate", [15.0, 50.0, 100.0, 1000.0])
def test_a_rate_that_is_too_large_is_drawn_and_says_so(rate):
    from zeroloss.plotting.style import house_style

    settings = Settings.model_validate({**TINY.model_dump(), "rate": rate})
    data = [recipe.build(None) for recipe in STUDY.recipes(settings)]
    metrics = pd.concat(
        [STUDY.run(c.parameters, data if c.datasets else [], device="cpu", quiet=True) for c in STUDY.cells(settings)]
    )
    found = {claim.name: claim.judge(metrics, settings) for claim in STUDY.claims(settings)}
    for name in ("drift", "own-function", "narrow", *(("rate", "across") if rate > 15 else ())):
        assert found[name].verdict == "undecided" and "training diverged" in found[name].note, name
    assert all(len(one.measured) < 200 for one in found.values())
    with house_style():
        for figure in STUDY.figures(settings):
            figure.draw(metrics, settings, **figure.options).canvas.draw()
    for table in STUDY.tables(settings):
        assert len(table.make(metrics, settings))


def principal(rate, across):
    rows = [{"part": "eigenvalue", "beta": b, "index": k, "eigenvalue": v * (10 if b == 1 else 1)}
            for b in (0.1, 1.0) for k, v in enumerate((0.3, 0.02, 0.01), 1)]  # fmt: skip
    rows += [
        {"part": "along", "width": n, "seed": seed, "step": t, "along": 0.5 * (1 - 0.02 * rate(n)) ** t,
         "across": across(n) * (1 + 0.01 * seed) * t / 250}
        for n in SETTINGS.principal.widths for seed in range(3) for t in range(0, 251, 5)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_principal_judges():
    right = principal(lambda n: 1.0, lambda n: n**-0.5)
    wrong = principal(lambda n: 3.0, lambda n: 0.3)
    assert principal_claims.judge_rate(right, SETTINGS).verdict == "reproduced"
    assert principal_claims.judge_rate(wrong, SETTINGS).verdict == "differs"
    assert principal_claims.judge_across(right, SETTINGS).verdict == "reproduced"
    assert principal_claims.judge_across(wrong, SETTINGS).verdict == "differs"
    assert (
        principal_claims.judge_across(right[right["seed"].isna() | (right["seed"] == 0)], SETTINGS).verdict
        == "undecided"
    )
    assert principal_claims.judge_footnote(right, SETTINGS).verdict == "reproduced"
    right.loc[right["beta"] == 1.0, "eigenvalue"] *= 10
    assert principal_claims.judge_footnote(right, SETTINGS).verdict == "differs"


def test_published_curves():
    kernels = curves.published_kernels()
    assert kernels.groupby(["width", "step"])["init"].nunique().eq(10).all()
    percentiles = curves.published_function(np.linspace(-3, 3, 7))
    assert (percentiles["P10"] <= percentiles["P50"] + 0.01).all()
    assert (percentiles["P50"] <= percentiles["P90"] + 0.01).all()


def test_study_serves_its_item():
    assert {item for figure in STUDY.figures(SETTINGS) for item in figure.items} == {"004-F10"}
