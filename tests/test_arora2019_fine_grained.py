"""Fine-grained analysis: closed forms against sampling and training, jumps against single steps, judges both ways."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.checkpoint import Checkpoints
from zeroloss.config import load_config
from zeroloss.datasets.image_groups import ImageGroups
from zeroloss.errors import UserError
from zeroloss.kernels.relu_gram import infinite_width_gram
from zeroloss.networks import two_layer
from zeroloss.randomness import numpy_generator
from zeroloss.studies.arora2019_fine_grained import STUDY, claims, compute, cues, published_claims, width_claims
from zeroloss.studies.arora2019_fine_grained.experiment import Settings
from zeroloss.theory import arora2019_fine_grained as theory
from zeroloss.training.limit_jumps import LimitBasis, TwoLayerNet, descend, schedule

SETTINGS = load_config("laptop").study("arora2019_fine_grained")
TINY = load_config("tiny").study("arora2019_fine_grained")


@pytest.fixture(scope="module")
def problem():
    generator = numpy_generator(0, "test")
    x = torch.from_numpy(generator.standard_normal((30, 8)))
    x /= x.norm(dim=1, keepdim=True)
    y = torch.from_numpy(generator.choice([-1.0, 1.0], 30))
    return x, y, LimitBasis.of(infinite_width_gram(x), "test")


def network(x, width=200, kappa=1.0):
    weights, signs = two_layer.initial_weights(width, x.shape[1], 0)
    return TwoLayerNet(x, weights.double() * kappa, signs.double()), weights.double() * kappa, signs.double()


# ---------------------------------------------------------------- theory


def test_predicted_loss_is_gradient_descent_on_the_limit(problem):
    x, y, basis = problem
    gram = infinite_width_gram(x)
    eta = 1 / float(basis.eigenvalues[-1])
    u, losses = torch.zeros_like(y), []
    for _ in range(21):
        losses.append(float((y - u).square().sum()) / 60)
        u = u - eta * gram @ (u - y)
    values, projections = basis.eigenvalues.numpy(), (basis.vectors.T @ y).numpy()
    found = theory.predicted_loss(values, projections, eta * np.arange(21), eta)
    assert found == pytest.approx(np.array(losses), rel=1e-9)
    flow = theory.predicted_loss(values, projections, np.array([0.3]), 0.0)
    exact = torch.linalg.matrix_exp(-0.3 * gram) @ y
    assert flow[0] == pytest.approx(float(exact.square().sum()) / 60)


def test_complexity_is_the_quadratic_form(problem):
    x, y, basis = problem
    inverse = float(y @ torch.linalg.solve(infinite_width_gram(x), y))
    values, projections = basis.eigenvalues.numpy(), (basis.vectors.T @ y).numpy()
    assert theory.squared_norm(values, projections) == pytest.approx(inverse)
    assert theory.complexity(values, projections) == pytest.approx(math.sqrt(2 * inverse / 30))
    assert theory.noisy_complexity(values, projections, 0.0) == pytest.approx(math.sqrt(2 * inverse / 30))


@pytest.mark.parametrize("portion", [0.3, 1.0])
def test_expected_complexity_is_the_mean_over_noise(problem, portion):
    _, y, basis = problem
    values, vectors = basis.eigenvalues.numpy(), basis.vectors.numpy()
    squares = [
        theory.complexity(values, vectors.T @ compute.noisy_labels(y.numpy(), portion, seed, "train")) ** 2
        for seed in range(2000)
    ]
    expected = theory.noisy_complexity(values, vectors.T @ y.numpy(), portion) ** 2
    assert np.mean(squares) == pytest.approx(expected, abs=4 * np.std(squares) / 2000**0.5)


def test_implied_time_inverts_the_loss(problem):
    _, _, basis = problem
    values = basis.eigenvalues.numpy()
    loss = theory.predicted_loss(values, np.ones(30), np.array([2.5]), 0.0)[0]
    assert theory.implied_time(values, np.ones(30), loss) == pytest.approx(2.5)


def test_interpolated_spectrum_keeps_the_trace():
    index = np.array([5, 50, 100])
    found = theory.interpolated_spectrum(index, np.array([2.0, 0.1, 0.02]), 100)
    assert found.sum() == pytest.approx(50)
    assert (np.diff(found) <= 1e-12).all()
    assert found[index - 1] == pytest.approx([2.0, 0.1, 0.02])


def test_orders_of_the_theorem():
    assert theory.required_width(10, 0.1, 0.01, 0.1, 1.0) == pytest.approx(1e7 / (1e-4 * 1e-4 * 1e-4))
    assert theory.allowed_step(10, 0.1) == pytest.approx(1e-3)


# ---------------------------------------------------------------- training


def test_single_steps_are_gradient_descent(problem):
    x, y, basis = problem
    net, weights, signs = network(x)
    done = descend(net, y, basis, 0.05, range(11), 1e-12)
    for _ in range(10):
        weights = weights - 0.05 * two_layer.loss_gradient(weights, signs, x, y)
    assert net.weights.numpy() == pytest.approx(weights.numpy(), abs=1e-10)
    assert done.squared_residual[-1] == pytest.approx(2 * float(two_layer.loss(weights, signs, x, y)), rel=1e-9)
    assert done.moves == 10


def test_jumps_agree_with_single_steps_and_are_fewer(problem):
    x, y, basis = problem
    eta = 0.05 / float(basis.eigenvalues[-1])
    steps = schedule(400, 0.1)
    single, jumped = (descend(network(x, 500)[0], y, basis, eta, steps, trust) for trust in (1e-12, 0.05))
    assert np.abs(np.log(single.squared_residual / jumped.squared_residual)).max() < 0.02
    assert jumped.moves < 200 <= single.moves


def test_the_residual_summed_over_a_jump_is_that_of_its_steps(problem):
    _, y, basis = problem
    gram = basis.vectors @ torch.diag(basis.eigenvalues) @ basis.vectors.T
    rho, foretold = basis.impulse(y, 0.1, 7)
    residual, total = y.clone(), torch.zeros_like(y)
    for _ in range(7):
        total += 0.1 * residual
        residual = residual - 0.1 * gram @ residual
    assert rho.numpy() == pytest.approx(total.numpy())
    assert foretold.numpy() == pytest.approx(residual.numpy())


def test_divergence_is_recorded(problem):
    """A limit that is taken for a tenth of itself asks for ten times too much."""
    x, y, basis = problem
    smaller = LimitBasis(basis.eigenvalues / 10, basis.vectors)
    done = descend(network(x)[0], y, smaller, 9.9 / float(basis.eigenvalues[-1]), range(500), 1e-12)
    assert done.diverged_at is not None
    assert len(done.steps) == len(done.squared_residual) < 500


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(problem, tmp_path):
    x, y, basis = problem
    steps = schedule(100, 0.2)
    whole = descend(network(x)[0], y, basis, 0.05, steps, 0.05)
    state = Checkpoints(tmp_path, "key", seconds=0.0)
    descend(network(x)[0], y, basis, 0.05, steps[:8], 0.05, checkpoint=state.part("run"))
    again = descend(network(x)[0], y, basis, 0.05, steps, 0.05, checkpoint=state.part("run"))
    assert (again.squared_residual == whole.squared_residual).all()
    assert torch.equal(again.weights, whole.weights)


def test_parallel_inputs_are_refused():
    x = torch.eye(3, dtype=torch.float64)[[0, 1, 1]]
    with pytest.raises(UserError, match="parallel"):
        LimitBasis.of(infinite_width_gram(x), "test")


# ---------------------------------------------------------------- data


def test_image_groups():
    recipe = ImageGroups(source="digits", positive=(0, 2), negative=(1,), train=200, test=100)
    data = recipe.build(None)
    assert np.linalg.norm(data.x, axis=1) == pytest.approx(np.ones(200))
    assert set(data.y) == set(data.y_test) == {-1.0, 1.0}
    assert not (data.x[:, None] == data.x_test[None]).all(axis=2).any()
    with pytest.raises(UserError, match="lower train or test"):
        recipe.model_copy(update={"train": 500}).build(None)


def test_fewer_inputs_than_dimensions_keep_their_geometry():
    data = ImageGroups(source="digits", positive=(0,), negative=(1,), train=20, test=10).build(None)
    wide = compute.Problem(data, 20, 1.0, "cpu", tested=True)
    exact = np.concatenate([data.x, data.x_test]) @ data.x.T
    found = torch.cat([wide.x, wide.x_test]) @ wide.x.T
    assert wide.x.shape == (20, 30)
    assert found.numpy() == pytest.approx(exact)


def test_noise_is_nested():
    y = np.ones(5000)
    some, more = (compute.noisy_labels(y, portion, 0, "train") for portion in (0.3, 0.6))
    assert (more[some < 0] < 0).all()
    assert (more < 0).mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nets": {"portions": [0.5, 1.0]}}, "must hold 0"),
        (
            {"tasks": [{"images": {"first_of": ["digits"], "train": 9, "test": 9}, "positive": [0], "negative": [0]}]},
            "both",
        ),
    ],
)
def test_bad_settings(change, message):
    values = SETTINGS.model_dump()
    for key, value in change.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    values["tasks"] = [
        {**task, "images": {**task["images"], "found": task["images"]["first_of"][0]}} for task in values["tasks"]
    ]
    with pytest.raises(ValueError, match=message):
        Settings.model_validate(values)


# ---------------------------------------------------------------- judges


@pytest.fixture(scope="module")
def tiny():
    data = [recipe.build(None) for recipe in STUDY.recipes(TINY)]
    parts = [STUDY.run(cell.parameters, data, device="cpu", quiet=True) for cell in STUDY.cells(TINY)]
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


def ends(**losses):
    rows = [
        {"part": "end", "source": "x", "label": label, "seed": seed, "loss": loss * (1 + 0.01 * seed**2)}
        for label, loss in losses.items()
        for seed in range(5)
    ]
    return pd.DataFrame(rows).replace({"worst": "worst case"})


def test_order():
    right = ends(true=0.1, random=0.3, worst=0.5)
    assert claims.judge_order(right, SETTINGS).verdict == "reproduced"
    assert claims.judge_order(ends(true=0.4, random=0.3, worst=0.5), SETTINGS).verdict == "differs"
    assert claims.judge_order(right[right["seed"] == 0], SETTINGS).verdict == "undecided"


def test_projections(tiny):
    assert claims.judge_concentration(tiny, TINY).verdict == "reproduced"
    assert claims.judge_uniform(tiny, TINY).verdict == "reproduced"
    other = tiny.copy()
    other.loc[other["label"] == "random", "projection"] = tiny.loc[tiny["label"] == "true", "projection"].mean()
    assert claims.judge_uniform(other, TINY).verdict == "differs"
    swapped = tiny.copy()
    spectrum = swapped["part"] == "spectrum"
    swapped.loc[spectrum, "index"] = swapped.loc[spectrum, "index"].max() + 1 - swapped.loc[spectrum, "index"]
    assert claims.judge_concentration(swapped, TINY).verdict == "differs"


def test_complexity(tiny):
    assert claims.judge_rise(tiny, TINY).verdict == "reproduced"
    other = tiny.copy()
    noise = other["part"] == "noise"
    other.loc[noise, "complexity"] = other.loc[noise, "complexity"].to_numpy()[::-1]
    assert claims.judge_rise(other, TINY).verdict == "differs"
    assert claims.judge_same_order(tiny, TINY).verdict == "reproduced"
    assert claims.judge_same_order(other, TINY).verdict == "differs"


@pytest.mark.parametrize(
    ("loss", "complexity", "expected"),
    [(0.2, 0.5, "reproduced"), (0.9, 0.5, "differs"), (0.2, 1.5, "undecided")],
)
def test_bound(loss, complexity, expected):
    table = pd.DataFrame(
        {
            "part": "noise",
            "source": "x",
            "portion": [0.0],
            "complexity": complexity,
            "test_clipped": loss,
            "test_samples": 400,
        }
    )
    assert claims.judge_bound(table, SETTINGS).verdict == expected


def widths(gap, ratio=0.5):
    rows = [
        {
            "part": "width", "source": "x", "label": label, "kappa": kappa, "width": m, "seed": seed, "diverged": False,
            "loss": 0.5 * (1 - gap(m) * (1 + 0.01 * seed)) ** 2, "predicted": 0.5, "distance": ratio, "squared_norm": 1.0,
        }
        for label in ("true", "random") for kappa in SETTINGS.widths.kappas for m in SETTINGS.widths.widths for seed in range(5)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_width_claims():
    right, wrong = widths(lambda m: m**-0.5), widths(lambda m: 0.2)
    assert width_claims.judge_prediction(right, SETTINGS).verdict == "reproduced"
    assert width_claims.judge_prediction(wrong, SETTINGS).verdict == "differs"
    assert width_claims.judge_gap_rate(right, SETTINGS).verdict == "reproduced"
    assert width_claims.judge_gap_rate(wrong, SETTINGS).verdict == "differs"
    assert width_claims.judge_gap_rate(right[right["seed"] == 0], SETTINGS).verdict == "undecided"
    assert width_claims.judge_printed_kappa(right, SETTINGS).verdict == "reproduced"
    assert width_claims.judge_printed_kappa(wrong, SETTINGS).verdict == "differs"
    assert width_claims.judge_distance(right, SETTINGS).verdict == "reproduced"
    assert width_claims.judge_distance(widths(lambda m: 0.2, 1.2), SETTINGS).verdict == "differs"


def test_jumps_claim(tiny):
    assert width_claims.judge_jumps(tiny, TINY).verdict == "reproduced"
    other = tiny.copy()
    other.loc[other["part"] == "check", "loss"] *= 1.1
    assert width_claims.judge_jumps(other, TINY).verdict == "differs"


def test_published_curves_and_times(monkeypatch):
    assert cues.published_spectrum("mnist").sum() == pytest.approx(5000)
    assert set(cues.published_curves("cifar")["label"]) == {"true", "random", "worst case"}
    assert published_claims.judge_time(pd.DataFrame(), SETTINGS).verdict == "differs"
    assert published_claims.judge_one_scale(pd.DataFrame(), SETTINGS).verdict == "differs"

    def consistent(dataset):
        """Curves of the limit at the printed step."""
        values = cues.published_spectrum(dataset)
        iterations = np.linspace(100, 2000, 8)
        random = theory.predicted_loss(values, np.ones_like(values), iterations * 1e-3, 0.0)
        worst = 0.5 * np.exp(-2 * values.min() * iterations * 1e-3)
        parts = [pd.DataFrame({"label": label, "iteration": iterations, "loss": loss})
                 for label, loss in (("random", random), ("worst case", worst))]  # fmt: skip
        return pd.concat(parts)

    monkeypatch.setattr(cues, "published_curves", consistent)
    assert published_claims.judge_time(pd.DataFrame(), SETTINGS).verdict == "reproduced"
    assert published_claims.judge_one_scale(pd.DataFrame(), SETTINGS).verdict == "reproduced"


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "reproduced"), (1.2, "differs")])
def test_published_eigenvalues(tiny, factor, expected):
    assert published_claims.judge_spectrum(tiny, TINY).verdict == "undecided"
    task = TINY.tasks[0].model_dump() | {"positive": [0], "negative": [1]}
    task["images"] |= {"train": 10000, "found": "mnist"}
    settings = TINY.model_copy(update={"tasks": [type(TINY.tasks[0]).model_validate(task)]})
    values = cues.published_spectrum("mnist") * factor
    table = pd.DataFrame(
        {"source": "mnist", "part": "spectrum", "label": "true", "index": np.arange(1, 10001), "eigenvalue": values}
    )
    assert published_claims.judge_spectrum(table, settings).verdict == expected


def test_study_serves_its_items():
    items = {item for figure in STUDY.figures(SETTINGS) for item in figure.items}
    assert items == {"004-F9", "003-Q11"}
