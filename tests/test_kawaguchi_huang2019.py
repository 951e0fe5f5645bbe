"""Sizes and bound, the network, descent of the last layer against plain stepping and autograd, judges both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss import published
from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.networks import practical_size as net
from zeroloss.randomness import numpy_generator
from zeroloss.studies.kawaguchi_huang2019 import STUDY, claims, compute, experiment, size_claims, tables
from zeroloss.theory import assumptions
from zeroloss.theory import kawaguchi_huang2019 as theory
from zeroloss.training import last_layer

SETTINGS = load_config("laptop").study("kawaguchi_huang2019")
ONES = theory.WidthConstants(1, 1, 1)


def small(widths=(5, 3, 8), outputs=2, activation="softplus", scale=10.0):
    return net.Network(4, widths, outputs, activation, scale, 3.0, 0.5)


def problem(network, samples=6, seed=0):
    generator = numpy_generator(seed, "test")
    x = torch.from_numpy(generator.standard_normal((samples, network.inputs)))
    return x, torch.from_numpy(generator.standard_normal((samples, network.outputs)))


def flat(layers):
    return torch.cat([layer.flatten() for layer in layers])


# Sizes


def test_parameters_are_counted_as_in_the_network():
    network = small()
    layers = net.initial_layers(network, 0)
    assert theory.parameter_count(4, network.widths, 2) == sum(layer.numel() for layer in layers)
    assert theory.parameter_count(64, (161, 18, 1000), 10) == 42_391  # the facts' count for constants 1


def test_widths_of_the_proof():
    assert theory.construction_widths(1000, 3, 0.05, theory.WidthConstants(1, 10, 4)) == (161, 179, 4000)
    assert theory.construction_widths(1000, 2, 0.05, ONES) == (18, 1000)
    deep = theory.construction_widths(1000, 6, 0.05, ONES)
    assert len(deep) == 6 and len(set(deep[:4])) == 1


@pytest.mark.parametrize("depth", [2, 3, 7])
def test_construction_is_of_the_order_of_theorem_1(depth):
    """Constant-1 widths cost at most twice the bracket at every n: no hidden power of n or H."""
    for n in (10, 1000, 10**6):
        size = theory.parameter_count(100, theory.construction_widths(n, depth, 0.05, ONES), 10)
        assert size <= 2 * theory.required_size(n, depth, 0.05, 100, 10)


def test_old_and_new_sizes():
    assert theory.remark_size(100, 3, 20, 5) == 100 * 5 + 20 * 9 + 243
    assert theory.remark_size(100, 1, 20, 5) == theory.required_size(100, 1, 0.05, 20, 5) == 2500
    assert theory.earlier_size(10, 2, 3, 4) == 4 * 10**8 + 10**4 * 7
    assert theory.earlier_size(10, 1, 3, 4) == 700


def test_resnet18_is_counted_as_published():
    rows = published.load("network_sizes")
    assert theory.resnet18_parameters(1000, 7) == 11_689_512  # torchvision's number
    for _, row in rows[rows["network"] == "ResNet-18"].iterrows():
        assert row["parameters"] == theory.resnet18_parameters(row["outputs"], 7 if row["data"] == "ImageNet" else 3)
    lenet = rows[rows["network"] == "LeNet-300-100"].iloc[0]
    assert lenet["parameters"] == theory.parameter_count(784, (300, 100), 10)


def test_table_1_as_printed():
    table = published.load("kawaguchi_huang2019_table1")
    assert len(table) == 9 and list(table["n_power"].dropna()) == [1, 1, 6, 2, 8, 8, 1]
    sizes = {row["reference"]: tables.printed_size(row, 10, 2) for _, row in table.iterrows()}
    assert sizes["[17]"] == 4 * 10**8 and sizes["[19]"] == 2**12 * 10**8 and sizes["this paper"] == 10


# Losses and bound


def test_margin_loss_and_widths_as_defined():
    outputs = np.array([[1.0, 0.0, 0.2], [0.0, 3.0, 0.0], [0.4, 0.0, 0.5], [0.0, 0.0, 0.0]])
    classes = np.array([0, 1, 0, 2])
    assert theory.margin_loss(outputs, classes, 1.0) == pytest.approx([0.2, 0, 1, 1])
    assert theory.margin_loss(outputs, classes, 0.5) == pytest.approx([0, 0, 1, 1])
    assert list(theory.zero_one_loss(outputs, classes)) == [0, 0, 1, 1]
    # the margin loss lies between the error and the error with margin
    wide = numpy_generator(0, "margins").standard_normal((500, 4))
    picked = numpy_generator(0, "picked").integers(0, 4, 500)
    assert (theory.margin_loss(wide, picked, 0.7) >= theory.zero_one_loss(wide, picked)).all()
    log = theory.log_factor(500, 5, 0.1)
    assert theory.construction_widths(500, 5, 0.1, ONES) == (*[round(25 * log)] * 3, round(log), 500)


def test_bound_by_hand_and_its_directions():
    got = theory.generalisation_bound(np.array(2.3), 400, 10, 1.0, 2.0, 0.05)
    assert got == pytest.approx(100 * 5 / (2 * 20) + (np.log(np.pi**2 * 25 / 0.05) / 800) ** 0.5)
    grows = theory.generalisation_bound(np.array([0.0, 1, 5, 50]), 400, 10, 1.0, 1.0, 0.05)
    assert (np.diff(grows) >= 0).all()


def test_theorem_2_asks_for_nothing_above_the_threshold():
    size, equations = np.array([10.0, 20, 30]), np.full(3, 20.0)
    norm = theory.least_weight_norm(size, equations, np.full(3, 1e-6), np.ones(3))
    assert norm == pytest.approx([1e6, 1, 1])


# Assumptions


def test_activations_pass_and_others_fail():
    for scale in (1.0, 10.0):
        for function in assumptions.ACTIVATIONS.values():
            assert assumptions.check_activation(lambda z, f=function, a=scale: f(z, a)).holds
    relu, silu = (assumptions.check_activation(assumptions.OTHERS[name]) for name in ("ReLU", "SiLU"))
    assert not relu.analytic and relu.increasing and relu.lipschitz and relu.bounded_below
    assert silu.analytic and not silu.increasing
    assert not assumptions.check_activation(lambda z: 2 * z).lipschitz
    assert not assumptions.check_activation(lambda z: z).bounded_below


def test_softplus_does_not_overflow_and_tends_to_relu():
    z = torch.tensor([-1e5, -1.0, 0.0, 1.0, 1e5], dtype=torch.float64)
    value = net.ACTIVATIONS["softplus"][0](10 * z) / 10
    assert torch.isfinite(value).all() and torch.allclose(value, z.clamp(min=0), atol=np.log(2) / 10 + 1e-12)
    assert float(value[3]) == pytest.approx(1 + np.log1p(np.exp(-10)) / 10, rel=1e-15)
    for name, (value_of, slope_of) in net.ACTIVATIONS.items():
        assert np.allclose(value_of(z[1:4]), assumptions.ACTIVATIONS[name](z[1:4].numpy(), 1.0), atol=1e-15)
        points = z[1:4].clone().requires_grad_()
        (exact,) = torch.autograd.grad(value_of(points).sum(), points)
        assert torch.allclose(slope_of(z[1:4]), exact)


def test_gradients_of_losses_are_lipschitz_with_the_stated_zeta():
    for name, zeta in assumptions.ZETA.items():
        check = assumptions.check_loss(name, 5, 4000, numpy_generator(0, name))
        assert 0.99 * zeta < check.largest_quotient <= zeta * (1 + 1e-6) and check.least_product >= -1e-12


# Network


def test_initial_weights_have_the_stated_variances():
    network = net.Network(200, (300, 200), 50, "softplus", 10.0, 100.0, 10.0)
    layers = net.initial_layers(network, 0)
    weights = torch.cat([layer[:, :-1].flatten() for layer in layers])
    thresholds = torch.cat([layer[:, -1] for layer in layers])
    for drawn, variance in ((weights, 100.0), (thresholds, 10.0)):
        assert abs(float(drawn.mean())) < 4 * (variance / len(drawn)) ** 0.5
        assert float(drawn.var()) == pytest.approx(variance, rel=4 * (2 / len(drawn)) ** 0.5)
    assert not torch.equal(layers[0], net.initial_layers(network, 1)[0])


@pytest.mark.parametrize("activation", ["softplus", "sigmoid", "tanh"])
def test_jacobian_is_that_of_automatic_differentiation(activation):
    network = small(activation=activation, scale=2.0)
    x, y = problem(network)
    thetas = torch.stack([flat(net.initial_layers(network, seed)) for seed in (0, 1)])
    batch = (x.expand(2, -1, -1), y.expand(2, -1, -1))
    found, jacobian = net.residuals_and_jacobian(network, thetas, *batch)

    def residuals(theta):
        layers = [layer[0] for layer in net.split(network, theta[None])]
        return (net.features(network, layers, x) @ layers[-1].T - y).flatten()

    for index in range(2):
        assert torch.allclose(found[index], residuals(thetas[index]), atol=1e-13)
        assert torch.allclose(jacobian[index], torch.func.jacrev(residuals)(thetas[index]), atol=1e-12)


# Training of the last layer


def trained_by_autograd(network, layers, x, y, step, steps, loss):
    """theta <- theta - eta o grad J with entrywise eta, zero for all but the last layer."""
    theta = flat(layers)
    eta = torch.zeros_like(theta)
    eta[-layers[-1].numel() :] = step
    losses = []
    for _ in range(steps + 1):
        theta = theta.detach().requires_grad_()
        parts = [layer[0] for layer in net.split(network, theta[None])]
        value = loss(net.features(network, parts, x) @ parts[-1].T, y)
        losses.append(float(value.detach()))
        (gradient,) = torch.autograd.grad(value, theta)
        before, theta = theta, theta - eta * gradient
    return before.detach(), losses


@pytest.mark.parametrize("relative", [1.0, 1.9, 2.1])
def test_closed_form_is_entrywise_descent_of_the_whole_network(relative):
    network = small()
    x, y = problem(network)
    layers = net.initial_layers(network, 3)
    phi = net.features(network, layers, x)
    basis = last_layer.spectrum(phi)
    step = relative * last_layer.stable_step(basis, 1.0)
    path = last_layer.SquaredLossDescent.of(basis, phi @ layers[-1].T - y, step)
    end, losses = trained_by_autograd(network, layers, x, y, step, 37, lambda f, y: ((f - y) ** 2).sum() / (2 * len(y)))
    times = list(range(38))
    assert np.allclose(path.loss(times), losses, rtol=1e-9)
    assert (np.diff(losses) <= 0).all() == (relative < 2)
    weights = layers[-1] + path.coefficients([37])[0].T @ phi
    assert torch.allclose(weights.flatten(), end[-weights.numel() :], rtol=1e-8)
    assert torch.allclose(path.residuals([37])[0], phi @ weights.T - y, atol=1e-8 * float(phi.norm()))


def test_closed_form_reaches_the_minimiser_nearest_to_the_start():
    generator = numpy_generator(0, "wide")
    phi, y = (torch.from_numpy(generator.standard_normal(shape)) for shape in ((6, 9), (6, 2)))
    basis = last_layer.spectrum(phi)
    path = last_layer.SquaredLossDescent.of(basis, -y, last_layer.stable_step(basis, 1.0))
    weights = path.coefficients([10**7])[0].T @ phi
    nearest = torch.linalg.lstsq(phi, y, driver="gelsd").solution.T
    assert torch.allclose(weights, nearest, atol=1e-9)
    assert path.distance_to_minimiser() == pytest.approx(float(nearest.square().sum()), rel=1e-9)
    assert path.least_loss() == 0 and float(path.loss([10**7])[0]) < 1e-25


def test_out_of_reach_is_the_residual_of_least_squares():
    generator = numpy_generator(1, "narrow")
    phi, y = (torch.from_numpy(generator.standard_normal(shape)) for shape in ((9, 4), (9, 2)))
    path = last_layer.SquaredLossDescent.of(last_layer.spectrum(phi), -y, 0.1)
    rest = y - phi @ torch.linalg.lstsq(phi, y).solution
    assert path.least_loss() == pytest.approx(float(rest.square().sum()) / 18, rel=1e-9)
    assert int(path.spectrum.positive.sum()) == 4


def test_cross_entropy_in_function_space_is_descent_of_the_whole_network():
    network = small(outputs=3)
    x, _ = problem(network)
    classes = torch.tensor([0, 1, 2, 0, 1, 1])
    layers = net.initial_layers(network, 0)
    layers[-1] = torch.zeros_like(layers[-1])
    phi = net.features(network, layers, x)
    step = last_layer.stable_step(last_layer.spectrum(phi), assumptions.ZETA["cross_entropy"])
    end, losses = trained_by_autograd(network, layers, x, classes, step, 25, torch.nn.functional.cross_entropy)
    now = alpha = torch.zeros(1, 6, 3, dtype=torch.float64)
    targets = torch.nn.functional.one_hot(classes, 3).double()[None]
    for k in range(25):
        assert float(last_layer.cross_entropy(now[0], classes)) == pytest.approx(losses[k], rel=1e-10)
        scale = torch.full((1, 1, 1), step / 6, dtype=torch.float64)
        now, alpha = last_layer.cross_entropy_step((phi @ phi.T)[None], now, targets, alpha, scale)
    assert torch.allclose((alpha[0].T @ phi).flatten(), end[-27:], atol=1e-12)
    assert (np.diff(losses) < 0).all()


# Settings


def test_widths_come_near_to_their_ratios():
    part = SETTINGS.capacity
    for depth in part.depths:
        for outputs in part.outputs:
            widths = experiment.capacity_widths(part, depth, outputs)
            sizes = [theory.parameter_count(part.dimension, (w,) * depth, outputs) for w in widths]
            equations = part.samples * outputs
            assert sizes[0] < equations <= sizes[-1] and sorted(set(widths)) == widths


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"network": {"depth": 1}}, "network.depth is 1: it must be greater than or equal to 2"),
        (
            {"network": {"activation": "relu"}},
            "network.activation is 'relu': it must be 'softplus', 'sigmoid' or 'tanh'",
        ),
        ({"network": {"bottleneck_constant": 0.001}}, "every width must be >= 1"),
        ({"generalisation": {"samples": 1}}, "generalisation.samples is 1: it must be greater than or equal to 2"),
        ({"generalisation": {"relative_step": 2}}, "relative_step is 2: it must be less than 2"),
        ({"generalisation": {"sources": "all"}}, "sources is 'all': it must be auto or a list"),
        ({"cross_entropy": {"samples": 2000}}, "must not exceed generalisation.samples"),
        ({"network": {"failure_probability": 1}}, "failure_probability is 1: it must be less than 1"),
    ],
)
def test_what_is_wrong_gets_a_sentence(change, sentence):
    with pytest.raises(UserError) as caught:
        load_config("laptop", {"studies": {"kawaguchi_huang2019": change}})
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_available_is_every_known_source_at_hand(tmp_path):
    assert SETTINGS.generalisation.sources[0] == "digits"
    found = load_config(None, {"data": {"root": str(tmp_path)}}).study("kawaguchi_huang2019")
    assert "digits" in found.generalisation.sources


# Cells


@pytest.fixture(scope="module")
def tiny():
    settings = load_config("tiny").study("kawaguchi_huang2019")
    recipes = {recipe.name: recipe for recipe in STUDY.recipes(settings)}
    parts = []
    for cell in STUDY.cells(settings):
        data = [recipes[name].build(None) for name in cell.datasets]
        parts.append(STUDY.run(cell.parameters, data, device="cpu", quiet=True))
    return settings, pd.concat(parts, ignore_index=True)


def test_every_claim_table_and_figure_comes_out(tiny):
    from zeroloss.plotting.style import house_style

    settings, metrics = tiny
    for claim in STUDY.claims(settings):
        assert claim.judge(metrics, settings).verdict in ("reproduced", "differs", "undecided")
    for table in STUDY.tables(settings):
        assert len(table.make(metrics, settings))
    with house_style():
        for figure in STUDY.figures(settings):
            figure.draw(metrics, settings, **figure.options)


def test_random_labels_are_those_of_the_seed(tiny):
    settings, _ = tiny
    data = experiment.split_recipe(settings, "digits").build(None)
    first, again, other = (compute.labels_of(data, "random", seed)[0] for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any() and (compute.labels_of(data, "true", 0)[0] == data.y).all()


def test_splits_are_random_and_keep_every_image(tiny):
    settings, _ = tiny
    data = experiment.split_recipe(settings, "digits").build(None)
    new = compute.resplit(data, 0)
    assert new.x.shape == data.x.shape and new.x_test.shape == data.x_test.shape

    def content(one):
        images = np.concatenate([one.x, one.x_test]).reshape(len(one.y) + len(one.y_test), -1)
        labelled = np.column_stack([images, np.concatenate([one.y, one.y_test])])
        return labelled[np.lexsort(labelled.T)]

    assert (content(new) == content(data)).all() and (new.y != data.y).any()
    assert (compute.resplit(data, 0).y == new.y).all() and (compute.resplit(data, 1).y != new.y).any()


# Judges, both ways


def curves(**changes):
    rows = []
    for variant in experiment.VARIANTS:
        for labels in experiment.LABELS:
            for seed in range(5):
                row = {
                    "part": "curve", "source": "digits", "data_title": "digits", "fidelity": "", "variant": variant,
                    "labels": labels, "seed": seed, "step": 1000, "outputs": 10, "parameters": 100, "widths": "5, 5",
                    "train_accuracy": 1.0, "test_accuracy": 0.95 + seed * 1e-3 if labels == "true" else 0.1, "gap": 0.1,
                    "least_loss": 0.0, "loss": 1e-4, "distance": 1.0, "curvature": 1.0, "condition": 1e-9,
                    "weight_norm": (2.0 if labels == "true" else 4.0 + seed * 0.01), "true_gap": 0.5, "bound": 10.0,
                    "bound_features": 1000.0, "feature_size": 100.0,
                }  # fmt: skip
                rows.append(row)
    table = pd.DataFrame(rows)
    for key, value in changes.items():
        table[key] = value(table) if callable(value) else value
    return table


def swap(column, labels, value):
    return {column: lambda t: t[column].where(t["labels"] != labels, value)}


CURVE_CASES = [
    (claims.judge_fits_natural, {}, "reproduced"),
    (claims.judge_fits_natural, {"train_accuracy": 0.99}, "undecided"),
    (claims.judge_fits_random, {"train_accuracy": 0.99, "least_loss": 0.1}, "differs"),
    (claims.judge_generalises, {}, "reproduced"),
    (claims.judge_generalises, swap("test_accuracy", "true", 0.3), "differs"),
    (claims.judge_generalises, {"test_accuracy": lambda t: t["seed"] / 4}, "undecided"),
    (claims.judge_random_is_chance, {}, "reproduced"),
    (claims.judge_random_is_chance, swap("test_accuracy", "random", 0.2), "differs"),
    (claims.judge_norm, {}, "reproduced"),
    (claims.judge_norm, swap("weight_norm", "random", 1.0), "differs"),
    (claims.judge_norm, {"weight_norm": lambda t: 2 + (t["labels"] == "true") * (t["seed"] - 2) * 0.5}, "undecided"),
    (claims.judge_bound, {}, "reproduced"),
    (claims.judge_bound, {"bound": 0.1}, "undecided"),
    (claims.judge_bound, {"bound": 0.1, "bound_features": 0.2}, "differs"),
    (claims.judge_rate, {}, "reproduced"),
    (claims.judge_rate, {"loss": 1.0}, "differs"),
    (claims.judge_random_start, {}, "reproduced"),
    (claims.judge_random_start, {"test_accuracy": 0.1}, "differs"),
    (claims.judge_random_start, {"variant": "working"}, "undecided"),
    (claims.judge_constants, {}, "reproduced"),
    (claims.judge_constants, {"train_accuracy": 0.9}, "differs"),
    (claims.judge_constants, {"train_accuracy": 0.995}, "undecided"),
]  # fmt: skip


@pytest.mark.parametrize(("judge", "changes", "verdict"), CURVE_CASES)
def test_judges_of_curves_come_out_each_way(judge, changes, verdict):
    assert judge(curves(**changes), SETTINGS).verdict == verdict


@pytest.mark.parametrize(
    ("accuracy", "late", "verdict"),
    [(1.0, 0.1, "reproduced"), (0.9, 0.1, "undecided"), (0.9, 0.5, "differs")],
)
def test_judge_of_cross_entropy(accuracy, late, verdict):
    table = pd.concat([curves(step=k, loss=loss) for k, loss in ((10, 0.4), (100, late))])
    table = table[table["variant"] == "working"].assign(part="cross_entropy", train_accuracy=accuracy)
    assert claims.judge_cross_entropy(table, SETTINGS).verdict == verdict


def capacity(below, above, steep=2.0):
    rows = [
        {
            "part": "capacity", "depth": 1, "outputs": 1, "width": d, "parameters": d, "equations": 20, "seed": seed,
            "start": start, "error": error, "relative_error": error,
            "squared_norm": d * (1 + steep * (seed + 5) / (d / 20 - 0.9)) if d > 19 else 9.0,
        }
        for d, error in ((10, below), (20, above), (40, above))
        for seed in range(5)
        for start in range(2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_judges_of_capacity_come_out_each_way():
    judge = size_claims.judge_corollary
    assert judge(capacity(0.1, 1e-29), SETTINGS).verdict == "reproduced"
    assert judge(capacity(1e-29, 1e-29), SETTINGS).verdict == "differs"
    assert judge(capacity(0.1, 0.01), SETTINGS).verdict == "undecided"
    grow = size_claims.judge_weights_grow
    assert grow(capacity(0.1, 1e-29), SETTINGS).verdict == "reproduced"
    assert grow(capacity(0.1, 1e-29, steep=-0.005), SETTINGS).verdict == "differs"
    assert grow(capacity(0.1, 0.1), SETTINGS).verdict == "undecided"


@pytest.mark.parametrize(("hits", "verdict"), [(80, "reproduced"), (40, "differs"), (78, "undecided")])
def test_judge_of_trainability(hits, verdict):
    table = pd.DataFrame(
        {
            "part": "trainability", "bottleneck": 10.0, "last": 4.0, "widths": "5, 5, 400", "parameters": 900,
            "equations": 300, "start": range(80), "loss": 0.0, "reached": [1.0] * hits + [0.0] * (80 - hits),
        }
    )  # fmt: skip
    assert size_claims.judge_trainable(table, SETTINGS).verdict == verdict


def test_judges_of_sizes_come_out_each_way(monkeypatch):
    assert size_claims.judge_order_n(None, SETTINGS).verdict == "reproduced"
    assert size_claims.judge_table1(None, SETTINGS).verdict == "reproduced"
    assert size_claims.judge_practical(None, SETTINGS).verdict == "differs"
    large = tables.networks().assign(parameters=10**11)
    monkeypatch.setattr(size_claims, "networks", lambda: large)
    assert size_claims.judge_table1(None, SETTINGS).verdict == "differs"
    assert size_claims.judge_practical(None, SETTINGS).verdict == "reproduced"
    monkeypatch.setattr(theory, "parameter_count", lambda m_x, widths, m_y: widths[-1] ** 2)
    assert size_claims.judge_order_n(None, SETTINGS).verdict != "reproduced"


def test_judge_of_assumptions_comes_out_each_way(monkeypatch):
    assert size_claims.judge_assumptions(None, SETTINGS).verdict == "reproduced"
    monkeypatch.setitem(assumptions.OTHERS, "ReLU", assumptions.tanh)
    assert size_claims.judge_assumptions(None, SETTINGS).verdict == "differs"
