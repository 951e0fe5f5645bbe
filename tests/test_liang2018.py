"""One exponential neuron: gradients against autograd, minima by their derivatives, judges both ways, bad settings."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.networks import exponential_neuron as net
from zeroloss.randomness import numpy_generator
from zeroloss.studies.liang2018 import STUDY, claims, experiment, figures, points, tables
from zeroloss.studies.liang2018.toys import TOYS, good_parameters, toy
from zeroloss.theory import liang2018 as theory
from zeroloss.training.exponential_neuron import Problem, Runs, check_labels, descend

SETTINGS = load_config("laptop").study("liang2018")
TINY = load_config("tiny").study("liang2018")


def a_toy(name):
    return toy(name, getattr(SETTINGS, name).model_dump())


def tensors(one):
    return torch.from_numpy(one.inputs), torch.from_numpy(one.labels)


numbers = st.lists(st.floats(-2, 2), min_size=7, max_size=7)


@settings(max_examples=60, deadline=None)
@given(numbers, st.floats(0.01, 2), st.sampled_from(TOYS))
def test_neuron_identities_hold_everywhere(theta, regulariser, name):
    """dL/da = S + lambda a and dL/db = a S by automatic differentiation, hence lambda a^2 <= g sqrt(1 + a^2)."""
    one = a_toy(name)
    x, y = tensors(one)
    at = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net.total_loss(at, x, y, regulariser, one.unit), at)
    s, _ = points.neuron_sums(at.detach()[None], x, y, one.unit)
    a = theta[4]
    scale = 1 + abs(float(s[0]))
    assert float(gradient[4]) == pytest.approx(float(s[0]) + regulariser * a, abs=1e-12 * scale)
    assert float(gradient[6]) == pytest.approx(a * float(s[0]), abs=1e-12 * scale)
    g = float(gradient.norm())
    assert abs(a) <= theory.largest_neuron(np.array(g), regulariser) * (1 + 1e-9) + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=3), st.floats(0.01, 2), st.sampled_from(TOYS))
def test_gradient_by_hand_is_that_of_automatic_differentiation(theta, regulariser, name):
    one = a_toy(name)
    x, y = tensors(one)
    start = np.array(theta) + 1e-3  # off the kink of the ReLU at u = c = 0
    count = len(start)
    state = Runs(
        Problem(one.inputs, one.labels, one.unit), start, np.full(count, regulariser), np.ones((count, 7))
    ).state()
    for k in range(count):
        at = torch.from_numpy(start[k])
        exact = torch.func.grad(net.total_loss)(at, x, y, regulariser, one.unit).numpy()
        assert state.gradient[k] == pytest.approx(exact, rel=1e-10, abs=1e-9)
        assert state.loss[k] == pytest.approx(float(net.total_loss(at, x, y, regulariser, one.unit)), rel=1e-12)
        assert state.base_loss[k] == pytest.approx(float(net.base_loss(at, x, y, one.unit)), rel=1e-12)


def test_curvature_in_a_is_the_one_the_move_uses():
    one = a_toy("quadratic")
    x, y = tensors(one)
    at = torch.tensor([[0.3, 1.2, 1.0, -2.0, 0.2, 0.4, -0.1]], dtype=torch.float64)
    exact = torch.func.hessian(net.total_loss)(at[0], x, y, 0.5, one.unit)[4, 4]
    _, curved = points.neuron_sums(at, x, y, one.unit)
    assert float(curved[0]) + 0.5 == pytest.approx(float(exact), rel=1e-12)


def test_the_bad_minima_are_minima_and_another_network_has_loss_zero():
    for name in TOYS:
        one = a_toy(name)
        x, y = tensors(one)
        row = points.bad_minimum_row(name, one, 0.03)
        assert row["gradient"] < 1e-12
        assert row["base_loss"] == pytest.approx(one.bad_loss, rel=1e-12)
        good = torch.from_numpy(good_parameters(name, one))
        assert float(net.base_loss(good, x, y, one.unit)) == pytest.approx(0, abs=1e-20)
        assert row["neuron_gradient"] < 1e-12
        assert row["lowered"] > 0
        # no move of the base network alone lowers its loss
        kick = numpy_generator(0, name).standard_normal((2000, 7)) * 0.1 * one.trained
        near = torch.from_numpy(one.bad + kick)
        assert float(net.base_loss(near, x, y, one.unit).min()) >= one.bad_loss
    assert points.bad_minimum_row("quadratic", a_toy("quadratic"), 0.03)["curvature"] > 100
    # with a silent neuron the quadratic unit's point has no negative curvature, and is not a minimum
    assert points.bad_minimum_row("quadratic", a_toy("quadratic"), 0.03)["neuron_curvature"] > -1e-9


def test_hessian_of_the_quadratic_unit_in_closed_form():
    """L_uu = sum_i x_i^2 (-2 y_i l' + 4 c^2 l''), L_cc = sum_i (-2 y_i l' + 4 c^2 l''), L_uc = 0."""
    one = a_toy("quadratic")
    x, y = tensors(one)
    hessian = torch.func.hessian(net.base_loss)(torch.from_numpy(one.bad), x, y, one.unit)[:2, :2].numpy()
    d, c = theory.constant_fit(one.labels)[0], one.bad[1]
    slack = 1 - one.labels * d
    terms = -2 * one.labels * 3 * slack**2 + 4 * c**2 * 6 * slack
    assert hessian == pytest.approx(np.diag([(one.inputs**2 * terms).sum(), terms.sum()]), abs=1e-10)


@pytest.mark.parametrize("labels", [[1, -1], [1, 1, 1, -1], [1, -1, -1, -1, -1]])
def test_constant_fit_is_the_best_constant(labels):
    from scipy.optimize import minimize_scalar

    y = np.array(labels, float)
    found = minimize_scalar(lambda d: (np.maximum(1 - y * d, 0) ** 3).sum(), bounds=(-1, 1), method="bounded")
    d, loss = theory.constant_fit(labels)
    assert d == pytest.approx(found.x, abs=1e-5)
    assert loss == pytest.approx(found.fun, rel=1e-9)


@pytest.mark.parametrize("loss", ["cubic", "rational", "touching"])
def test_margin_losses_and_assumption_1(loss):
    """Non-decreasing; zero slope only where minimal; those minima are negative, save for the one that violates it."""
    z = (torch.arange(-600, 801, dtype=torch.float64) / 200).requires_grad_()
    value = net.margin_loss(z, loss)
    (slope,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), z)
    assert bool((slope >= 0).all())
    flat = z[slope == 0]
    assert bool((net.margin_loss(flat, loss) == 0).all())
    assert bool((flat < 0).all()) == (loss != "touching")
    # twice differentiable: the second derivative has no jump, larger steps than the grid's would show one
    assert float(second.diff().abs().max()) < 0.1
    convex = bool((second >= -1e-12).all())
    assert convex == (loss != "rational")


def test_largest_neuron_solves_its_equation():
    g = np.geomspace(1e-8, 10, 20)
    a = theory.largest_neuron(g, 0.3)
    assert 0.3 * a**2 == pytest.approx(g * np.sqrt(1 + a**2), rel=1e-9)
    assert theory.largest_neuron(np.array(0.0), 0.3) == 0


def test_slopes_follow_from_the_decay():
    """(x, 1) . (dw, db) / d ln t = 1/2, the decay of ln |a|; finite w raises the slope of w."""
    of_w, of_b = theory.exponent_growth(0.5)
    assert 0.5 * of_w + of_b == pytest.approx(0.5)
    ratio = theory.neuron_decay(np.array([1.0, 4.0]), 0.1, 0.5)
    assert ratio[0] == pytest.approx(2 * ratio[1])
    assert theory.exponent_growth(0.5, 2.0)[0] > of_w


def test_misclassification_counts_zero_as_positive():
    y = np.array([-1.0, 1.0])
    assert theory.misclassification_rate(np.zeros((1, 2)), y) == pytest.approx([0.5])
    assert theory.misclassification_rate(np.array([[-1.0, 1.0], [1.0, -1.0]]), y) == pytest.approx([0, 1])


def test_descent_is_plain_gradient_descent_and_overflow_is_recorded():
    one = a_toy("dead_relu")
    x, y = tensors(one)
    parameters = {**TINY.descent.model_dump(), "steps": 20, "records": 3, "toy": "dead_relu"}
    theta, weights, trained, labels = experiment.starts("dead_relu", one, parameters)
    runs = Runs(Problem(one.inputs, one.labels, one.unit), theta, weights, trained)
    descend(runs, 0.01, 20, [], lambda step, state: None)
    k = next(i for i, label in enumerate(labels) if label[0] == "neuron")
    at = torch.from_numpy(theta[k].copy())
    for _ in range(20):
        at = at - 0.01 * torch.func.grad(net.total_loss)(at, x, y, float(weights[k]), one.unit)
    assert runs.theta[k] == pytest.approx(at.numpy(), rel=1e-10)
    alone = next(i for i, label in enumerate(labels) if label[0] == "alone")
    assert (runs.theta[alone, 4:] == 0).all()
    wild = {**parameters, "part": "descent", "data": TINY.dead_relu.model_dump(), "step": 1e200}
    table = STUDY.run(wild, [], device="cpu", quiet=True)
    assert (table[table["model"] == "neuron"]["diverged_at"] > 0).all()
    late = table[(table["model"] == "neuron") & (table["step"] == 20)]
    assert late["loss"].isna().all()


BAD = [
    ({"descent": {"regularisers": [0.0]}}, r"regularisers\[0\] is 0.0: it must be greater than 0"),
    ({"descent": {"regularisers": [-1]}}, r"regularisers\[0\] is -1: it must be greater than 0"),
    ({"dead_relu": {"labels": [-1, -1, 1, 2]}}, r"dead_relu.labels\[3\] is 2: labels must be -1 or 1"),
    ({"dead_relu": {"labels": [-1, 1]}}, r"4 inputs and 2 labels"),
    ({"dead_relu": {"labels": [1, 1, 1, 1]}}, r"both labels must occur"),
    ({"dead_relu": {"inputs": [-1, 0.5, 0.5, 1]}}, r"input 0.5 has both labels: .* Assumption 2"),
    ({"dead_relu": {"labels": [1, -1, 1, 1]}}, r"must lie left of"),
    ({"quadratic": {"inputs": [-1, -0.8, -0.3, 0.3, 0.8, 2]}}, r"with each \(x, y\) there must be \(-x, y\)"),
    ({"quadratic": {"inputs": [-1, -0.4, -0.3, 0.3, 0.4, 1]}}, r"at least sqrt\(3\) times"),
]


@pytest.mark.parametrize(("block", "sentence"), BAD, ids=[sentence[:30] for _, sentence in BAD])
def test_bad_settings_get_a_sentence(block, sentence):
    with pytest.raises(UserError, match=sentence):
        load_config(None, {"studies": {"liang2018": block}})


def test_the_engine_refuses_what_the_theorem_excludes():
    with pytest.raises(UserError, match="input 1 has both labels"):
        check_labels(np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, -1.0]))
    with pytest.raises(UserError, match="label 0: labels must be -1 or 1"):
        check_labels(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    with pytest.raises(UserError, match="one label for each input"):
        check_labels(np.array([0.0, 1.0]), np.array([1.0]))
    problem = Problem(np.array([-1.0, 1.0]), np.array([-1.0, 1.0]), "relu")
    with pytest.raises(UserError, match="lambda is 0: it must be greater than 0"):
        Runs(problem, np.zeros((1, 7)), np.zeros(1), np.ones((1, 7)))
    with pytest.raises(UserError, match="allowed are relu, quadratic"):
        Problem(problem.inputs, problem.labels, "tanh")


@pytest.fixture(scope="module")
def point_rows():
    (cell,) = [cell for cell in STUDY.cells(TINY) if cell.name == "points"]
    small = {**cell.parameters, "starts": 8, "newton_steps": 60}
    first = STUDY.run(small, [], device="cpu", quiet=True)
    assert first.equals(STUDY.run(small, [], device="cpu", quiet=True))
    return first


def with_part(rows, part, **values):
    """The rows with one part's columns changed."""
    changed = rows.copy()
    for column, value in values.items():
        changed.loc[changed["part"] == part, column] = value
    return changed


def test_judge_of_the_identities(point_rows):
    assert claims.judge_silent_at_critical(point_rows, TINY).verdict == "reproduced"
    loud = with_part(point_rows, "critical", a=0.5, gradient=1e-9)
    assert claims.judge_silent_at_critical(loud, TINY).verdict == "differs"
    broken = with_part(point_rows, "critical", defect_b=1.0)
    assert claims.judge_silent_at_critical(broken, TINY).verdict == "differs"
    nowhere = with_part(point_rows, "critical", gradient=1.0, a=0.0)
    assert claims.judge_silent_at_critical(nowhere, TINY).verdict == "undecided"


def test_judge_of_local_minima(point_rows):
    assert claims.judge_local_is_global(point_rows, TINY).verdict == "reproduced"
    strict = with_part(point_rows, "critical", gradient=0.0, loss=1.0, lowered=0.0, curvature=1.0)
    assert claims.judge_local_is_global(strict, TINY).verdict == "differs"
    open_ = with_part(point_rows, "critical", gradient=0.0, loss=1.0, lowered=0.0, curvature=0.0)
    assert claims.judge_local_is_global(open_, TINY).verdict == "undecided"
    wrong = with_part(point_rows, "critical", gradient=0.0, loss=0.0, base_rate=0.5)
    assert claims.judge_local_is_global(wrong, TINY).verdict == "differs"


def test_judge_of_the_assumptions(point_rows):
    assert claims.judge_assumptions_needed(point_rows, TINY).verdict == "reproduced"
    harmless = point_rows.copy()
    harmless.loc[harmless["dropped"] == "lambda > 0", ["base_loss", "base_rate"]] = 0.0
    assert claims.judge_assumptions_needed(harmless, TINY).verdict == "differs"
    blind = with_part(point_rows, "assumption", least_change=0.0, gradient=0.0)
    assert claims.judge_assumptions_needed(blind, TINY).verdict == "undecided"


def runs(share=0.01, base_rate=0.0, gradient=1e-3, gap=0.0, power=-0.5, slopes=(0.2, 0.4), seeds=(0, 1, 2)):
    """Made-up runs of descent of both toys, the last steps only."""
    steps = np.geomspace(SETTINGS.descent.steps / 10, SETTINGS.descent.steps, 12).round().astype(int)
    rows = []
    for name in TOYS:
        bad = a_toy(name).bad_loss
        for seed in seeds:
            for model, regulariser in (("alone", np.nan), ("neuron", 1.0)):
                for step in steps:
                    t = step / steps[-1]
                    own = model == "alone"
                    rows.append(
                        {"part": "descent", "toy": name, "model": model, "regulariser": regulariser, "seed": seed,
                         "step": step, "bad_loss": bad, "loss": bad * (1 + gap if own else share),
                         "base_loss": bad * (1 + gap) if own else base_rate, "gradient": gradient,
                         "rate": 0.0, "base_rate": base_rate, "a": -0.1 * t ** (power + 0.001 * seed),
                         "w": -3 - slopes[0] * np.log(t), "b": 3 + slopes[1] * np.log(t), "diverged_at": -1}
                    )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("gap", "verdict"), [(0.0, "reproduced"), (0.1, "undecided"), (-0.1, "differs")])
def test_judge_of_the_base_network_alone(point_rows, gap, verdict):
    both = pd.concat([point_rows, runs(gap=gap)], ignore_index=True)
    assert claims.judge_alone_stuck(both, SETTINGS).verdict == verdict


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.01, "reproduced"), (0.5, "undecided"), (1.0, "differs"), (np.nan, "undecided")]
)
def test_judge_of_the_lowered_loss(share, verdict):
    assert claims.judge_neuron_lowers_loss(runs(share=share), SETTINGS).verdict == verdict


@pytest.mark.parametrize(
    ("share", "rate", "verdict"), [(0.01, 0.0, "reproduced"), (0.01, 0.5, "differs"), (0.5, 0.5, "undecided")]
)
def test_judges_of_the_repaired_base_network(share, rate, verdict):
    table = runs(share=share, base_rate=rate)
    assert claims.judge_dead_relu_repaired(table, SETTINGS).verdict == verdict
    assert claims.judge_quadratic_repaired(table, SETTINGS).verdict == verdict


@pytest.mark.parametrize(
    ("gradient", "rate", "verdict"), [(1e-9, 0.0, "reproduced"), (1e-9, 0.5, "differs"), (1e-3, 0.5, "undecided")]
)
def test_judge_of_arrival(gradient, rate, verdict):
    assert claims.judge_arrived(runs(gradient=gradient, base_rate=rate), SETTINGS).verdict == verdict


@pytest.mark.parametrize(
    ("power", "slopes", "seeds", "verdict"),
    [
        (-0.5, (0.2, 0.4), (0, 1, 2), "reproduced"),
        (-1.0, (0.2, 0.4), (0, 1, 2), "differs"),
        (-0.5, (0.4, 0.4), (0, 1, 2), "differs"),
        (-0.5, (0.2, 0.4), (0,), "undecided"),
    ],
)
def test_judge_of_the_decay(power, slopes, seeds, verdict):
    table = runs(power=power, slopes=slopes, seeds=seeds)
    assert claims.judge_decay(table, SETTINGS).verdict == verdict


def test_the_law_of_decay_is_the_leading_order_of_the_run_itself():
    """1 / a^2 grows by 2 lambda (1 + x^2 coth^2(w x)) per unit of time, up to a relative error of order a."""
    one = a_toy("dead_relu")
    start = np.append(one.bad[:4], [0.0, 0.7, 0.0])[None]
    engine = Runs(Problem(one.inputs, one.labels, one.unit), start, np.array([1.0]), np.ones((1, 7)))
    seen = []
    descend(engine, 1e-3, 50000, [10000, 12000, 40000, 50000], lambda step, state: seen.append(engine.theta[0].copy()))
    errors = []
    for early, late, time in ((seen[0], seen[1], 2.0), (seen[2], seen[3], 10.0)):
        grown = (late[4] ** -2 - early[4] ** -2) / time
        lever = 0.5 / np.tanh(0.5 * (early[5] + late[5]) / 2)
        errors.append(abs(grown / (2 * (1 + lever**2)) - 1))
    # a halves when the time is four times as long
    assert errors[1] < 0.1
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.3)


def test_the_drawing_needs_no_metrics_and_has_one_skip_neuron():
    from zeroloss.plotting.style import house_style

    with house_style():
        canvas = figures.draw_network_a(pd.DataFrame(), SETTINGS)
        canvas.draw_without_rendering()
    texts = {text.get_text() for text in canvas.axes[0].texts}
    assert {"$x_1$", r"$\exp$", "$a$"} <= texts


def test_layered_graphs():
    from zeroloss.plotting.network_graph import Connection, Neuron, layer_to_layer, layered_graph, positions

    first, second = [Neuron("a", "", 0), Neuron("b", "", 0)], [Neuron("c", "", 1, 3.0)]
    graph = layered_graph([*first, *second], layer_to_layer(first, second))
    assert nx.is_directed_acyclic_graph(graph) and graph.number_of_edges() == 2
    places = positions(graph, 2.0)
    assert [tuple(places[name]) for name in "abc"] == [(0, 1), (0, -1), (1, 3)]
    with pytest.raises(ValueError, match="no such neuron"):
        layered_graph(first, [Connection("a", "z")])
    with pytest.raises(ValueError, match="close a circle"):
        layered_graph(first, [Connection("a", "b"), Connection("b", "a")])


def test_tables_and_figures_from_made_up_metrics(point_rows):
    from zeroloss.plotting.style import house_style

    both = pd.concat([point_rows, runs()], ignore_index=True)
    for declared in tables.tables(TINY):
        assert len(declared.make(both, TINY)) > 0
    with house_style():
        for figure in figures.figures(TINY):
            figure.draw(both, TINY, **figure.options).draw_without_rendering()
