"""ZAS: bounds and detectors against exact cases, starts and targets, the nonlinear engine, judges both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.networks import deep_linear, residual_blocks
from zeroloss.randomness import torch_generator
from zeroloss.studies.wu_wang_ma2019 import STUDY, claims, experiment, growth_claims, starts, tables
from zeroloss.theory import zero_asymmetric as theory
from zeroloss.training import deep_linear_descent, residual_descent

SETTINGS = load_config("laptop").study("wu_wang_ma2019")
TINY = load_config("tiny").study("wu_wang_ma2019")


# Theorem 4.3


def test_proven_step_by_hand():
    # phi = max(2, 3/sqrt(8), 1) = 2: 1/(4 512 64) against 1/(144 64 16)
    assert theory.proven_step(8, 1.0) == pytest.approx(min(1 / 131072, 1 / 147456))
    # L = 2, |Phi| = 1: phi = 3/sqrt(2)
    assert theory.proven_step(2, 1.0) == pytest.approx(1 / (144 * 4 * (9 / 2) ** 2))
    # a tiny target in a deep network: phi = 1
    assert theory.proven_step(100, 0.1) == pytest.approx(1 / 4e6)


def test_guaranteed_steps_are_where_the_envelope_is_at_the_ratio():
    steps = theory.proven_steps(4, 1.0, 1e-3)
    assert theory.log_envelope(np.array([steps]), theory.proven_step(4, 1.0))[0] == pytest.approx(np.log(1e-3))


def test_zas_starts_at_four_times_the_guaranteed_rate():
    # at the start only W_L moves: R(1) = (1 - eta)^2 R(0) for any Phi
    layers = deep_linear.zero_asymmetric(deep_linear.layer_shapes(3, 3, 3, 5), 1)
    phi = torch.randn(3, 3, generator=torch_generator(0, "phi"), dtype=torch.float64)
    losses = deep_linear_descent.descend(layers, torch.eye(3, dtype=torch.float64), phi, 0.01, 1).losses[0]
    assert losses[1] / losses[0] == pytest.approx(0.99**2, rel=1e-12)


def test_one_step_of_size_one_from_zas_reaches_any_target():
    layers = deep_linear.zero_asymmetric(deep_linear.layer_shapes(4, 4, 4, 7), 1)
    phi = torch.randn(4, 4, generator=torch_generator(1, "phi"), dtype=torch.float64)
    path = deep_linear_descent.descend(layers, torch.eye(4, dtype=torch.float64), phi, 1.0, 5, stop_below=1e-28)
    assert path.converged_at[0] == 1


# plateaus and signs


def test_plateau_of_a_made_up_curve():
    eta, t = 0.01, np.arange(3001)
    flat = 1.5 + 1.0 * np.exp(-0.02 * t)
    falling = np.where(t < 1500, flat, 1.5 * np.exp(-0.02 * (t - 1500)))
    (found,) = theory.plateaus(falling, eta)
    assert found.height == pytest.approx(1.5, abs=1e-3)
    assert 0 < found.first < 300 and 1490 < found.last < 1510
    assert theory.plateaus(np.exp(-0.0051 * t / 5), eta) == []  # ln R falls by 0.1 a window
    assert len(theory.plateaus(np.exp(-0.0004 * t), eta)) == 1


@pytest.mark.parametrize("values", [[1.0] * 50, [np.nan] * 500])
def test_no_plateau_in_too_short_a_curve(values):
    assert theory.plateaus(np.array(values), 0.01) == []


def test_sign_barrier_is_the_least_loss_of_a_product_of_the_other_sign():
    phi = np.diag([2.0, -0.5, 1.0])
    assert theory.sign_barrier(phi, -1.0) == theory.sign_barrier(phi, 0.0) == 0.0
    assert theory.sign_barrier(phi, 1.0) == pytest.approx(0.125)
    generator = np.random.default_rng(0)
    tried = phi + 0.6 * generator.standard_normal((20000, 3, 3))
    losses = 0.5 * ((tried - phi) ** 2).sum(axis=(1, 2))
    assert losses[np.linalg.det(tried) > 0].min() >= 0.125


def test_a_saddle_of_the_identity_start_is_a_plateau_at_half_a_missing_direction():
    layers = deep_linear.identity(deep_linear.layer_shapes(3, 3, 3, 4), 1)
    eye, phi = torch.eye(3, dtype=torch.float64), torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    losses = deep_linear_descent.descend(layers, eye, phi, 0.02, 3000).losses[0]
    assert theory.plateaus(losses, 0.02)[-1].height == pytest.approx(0.5, abs=0.01)


# growth


@pytest.mark.parametrize(("law", "exponential"), [(lambda d: np.exp(0.7 * d), 1.0), (lambda d: d**3.0, 0.0)])
def test_growth_tells_exponential_from_power(law, exponential):
    generator = np.random.default_rng(1)
    depths = (2, 4, 6, 8, 10, 12)
    times = {depth: 20 * law(depth) * np.exp(0.05 * generator.standard_normal(10)) for depth in depths}
    found = theory.growth(times, 1e9, 400, generator)
    assert found.exponential_share == pytest.approx(exponential, abs=0.02)
    if exponential:
        assert found.rate_interval[0] < 0.7 < found.rate_interval[1]
    capped = theory.growth({**times, 12: np.full(10, np.nan)}, 1e9, 400, generator)
    assert capped.depths == (2, 4, 6, 8, 10)
    assert theory.growth({2: np.ones(3), 3: np.ones(3)}, 1e9, 10, generator) is None


# starts and targets


def test_near_identity_has_its_variance():
    generators = [torch_generator(seed, "near") for seed in range(200)]
    layers = deep_linear.near_identity(deep_linear.layer_shapes(5, 5, 5, 4), generators)
    noise = torch.stack([layer - torch.eye(5, dtype=torch.float64) for layer in layers])
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.var()) == pytest.approx(1 / 20, rel=0.05)


@pytest.mark.parametrize("dimension", [2, 5])
def test_targets(dimension):
    make = {name: [starts.target(name, dimension, seed) for seed in range(200)] for name in starts.TARGETS}
    for rotation in make["rotation"][:5]:
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(dimension), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
    for positive, indefinite in zip(make["positive"][:5], make["indefinite"][:5], strict=True):
        assert np.linalg.eigvalsh(positive) == pytest.approx(np.geomspace(0.5, 2, dimension))
        assert np.linalg.eigvalsh(indefinite)[0] == pytest.approx(-0.5) and np.linalg.det(indefinite) < 0
    assert np.mean([np.sum(phi**2) for phi in make["gaussian"]]) == pytest.approx(dimension, rel=0.1)
    np.testing.assert_array_equal(make["minus"][0], -make["plus"][0])


def test_determinant_sign_needs_no_product():
    layers = [torch.diag_embed(torch.tensor([[1e-200, -1.0]], dtype=torch.float64))] * 3
    assert starts.determinant_sign(layers) == -1
    assert starts.determinant_sign(starts.start("zas", 3, 4, 0)) == 0


def test_runs_leave_out_copies_of_what_is_not_random():
    found = starts.runs(["zas", "haar"], ["plus", "gaussian"], [3, 4], [0.1])
    assert [(one.start, one.target, one.seed) for one in found] == [
        ("zas", "plus", 3), ("zas", "gaussian", 3), ("zas", "gaussian", 4), ("haar", "plus", 3), ("haar", "plus", 4),
        ("haar", "gaussian", 3), ("haar", "gaussian", 4),
    ]  # fmt: skip


def test_a_large_step_is_recorded_as_divergence():
    parameters = {
        "part": "depth", "kind": "fixed", "seeds": [0], "dimensions": [3], "depths": [4], "starts": ["zas"],
        "targets": ["minus"], "step_sizes": [5.0, 0.05], "steps": 300, "goal": 1e-3,
    }  # fmt: skip
    found = experiment.run(parameters, [], device="cpu", quiet=True).set_index("step_size")
    assert found.loc[5.0, "diverged_at"] > 0 and np.isnan(found.loc[5.0, "iterations"])
    assert found.loc[0.05, "diverged_at"] == -1 and found.loc[0.05, "iterations"] > 0
    best = experiment.best_of(found.reset_index(), ("start", "depth"))
    assert best["step_size"].tolist() == [0.05]


def test_best_of_keeps_a_run_that_never_reaches():
    table = pd.DataFrame({"depth": [2, 2, 4], "step_size": [0.1, 0.2, 0.1], "iterations": [9.0, np.nan, np.nan],
                          "diverged_at": [-1, 3, -1]})  # fmt: skip
    best = experiment.best_of(table, ("depth",)).set_index("depth")["iterations"]
    assert best[2] == 9 and np.isnan(best[4])


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("depth.depths", [1, 2], "at least 2 layers"),
        ("escape.depths", [2], "step_sizes has 3 entries for 1 depths"),
        ("escape.singular_depth", 5, "singular_depth 5 is not one of depths"),
        ("depth.step_grid", [0.1, 0.1], "every entry must be different"),
        ("identity.depth", 1, "greater than or equal to 2"),
        ("growth.step_size", -1.0, "greater than 0"),
        ("residual.sources", ["minst"], "minst is not a known data set"),
    ],
)
def test_bad_settings_get_a_sentence(key, value, sentence):
    block, name = key.split(".")
    with pytest.raises(UserError, match=sentence):
        load_config(None, {"studies": {"wu_wang_ma2019": {block: {name: value}}}})


def test_non_square_targets_have_no_zero_asymmetric_start():
    with pytest.raises(UserError, match="square"):
        deep_linear.near_identity(deep_linear.layer_shapes(2, 3, 3, 3), [torch_generator(0, "x")])


# nonlinear residual networks


def _small(name, depth=3, count=2):
    generators = [torch_generator(seed, "blocks") for seed in range(count)]
    z = torch.randn(count, 6, 12, generator=torch_generator(0, "z"))
    return residual_blocks.start(name, depth, 6, 4, generators), z, torch.arange(12) % 4


def test_mzas_starts_at_zero_and_its_blocks_are_the_identity():
    network, z, classes = _small("mzas")
    assert float(residual_blocks.outputs(network, z).abs().max()) == 0
    path = residual_descent.descend(network, z, classes, [0.1, 0.1], 60)
    assert path.losses[:, 0] == pytest.approx(0.5)
    assert (path.losses[:, -1] < 0.3).all()


def test_batched_networks_are_those_run_alone_and_divergence_stays_apart():
    network, z, classes = _small("near_identity")
    both = residual_descent.descend(network, z, classes, [0.02, 1e4], 30)
    assert both.diverged_at[0] == -1 and 0 < both.diverged_at[1] <= 30
    assert np.isnan(both.losses[1, both.diverged_at[1] :]).all() and np.isfinite(both.losses[0]).all()
    # by hand, one network, plain autograd
    own = [part[0].clone().requires_grad_() for part in network.weights]
    for k in range(5):
        h = z[0]
        for u, v in zip(own[0], own[1], strict=True):
            h = h + u @ torch.relu(v @ h)
        wanted = torch.nn.functional.one_hot(classes, 4).float().T
        loss = ((own[2] @ h - wanted) ** 2).sum() / 24
        assert both.losses[0, k] == pytest.approx(loss.item(), rel=1e-5)
        own = [
            (p - 0.02 * g).detach().requires_grad_() for p, g in zip(own, torch.autograd.grad(loss, own), strict=True)
        ]


def test_unknown_residual_start():
    with pytest.raises(UserError, match="allowed are mzas, near_identity, he"):
        residual_blocks.start("zas", 2, 4, 2, [])


# judges, with made-up metrics


def table(*parts):
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


@pytest.mark.parametrize(("same", "verdict"), [(True, "reproduced"), (False, "differs")])
def test_symmetry_judge(same, verdict):
    metrics = pd.DataFrame({"part": "symmetry", "depth": [4, 8], "identical": [True, same], "gap": 0.0, "steps": 9})
    assert claims.judge_symmetry(metrics, SETTINGS).verdict == verdict


def escape(start, heights, target="minus", iterations=10.0):
    key = {"start": start, "target": target, "depth": 4, "diverged_at": -1}
    ends = [{"part": "escape_end", **key, "seed": seed, "iterations": iterations} for seed in range(2)]
    return pd.DataFrame([*ends, *({"part": "plateau", **key, "seed": seed, "height": h} for seed, h in heights)])


def test_plateau_judges():
    clean = table(escape("zas", []), escape("near_identity", [(0, 0.5), (1, 1.01)]))
    assert claims.judge_zas_no_plateau(clean, SETTINGS).verdict == "reproduced"
    assert claims.judge_near_identity_plateau(clean, SETTINGS).verdict == "reproduced"
    assert claims.judge_plateau_heights(clean, SETTINGS).verdict == "reproduced"
    dirty = table(escape("zas", [(1, 0.7)]), escape("near_identity", [(1, 0.5)]))
    assert claims.judge_zas_no_plateau(dirty, SETTINGS).verdict == "differs"
    # a run that diverges has no plateau, and says nothing about saddles
    lost = clean.assign(diverged_at=clean["diverged_at"].where(clean["part"] != "escape_end", 3))
    assert claims.judge_zas_no_plateau(lost, SETTINGS).verdict == "undecided"
    assert claims.judge_near_identity_plateau(dirty, SETTINGS).verdict == "differs"
    assert claims.judge_plateau_heights(dirty, SETTINGS).verdict == "differs"
    assert claims.judge_plateau_heights(escape("zas", []).assign(height=0.0), SETTINGS).verdict == "undecided"


def fixed(start, dimension, reached, depth=8, target="minus", obstructed=False):
    row = {"part": "depth", "kind": "fixed", "start": start, "dimension": dimension, "depth": depth, "target": target}
    return pd.DataFrame([{**row, "seed": 0, "iterations": 9.0 if reached else np.nan, "obstructed": obstructed,
                          "sign": 1.0, "diverged_at": -1}])  # fmt: skip


def test_parity_judge():
    right = table(fixed("near_identity", 4, True), fixed("near_identity", 5, False))
    assert claims.judge_parity(right, SETTINGS).verdict == "reproduced"
    # two layers do not count
    assert claims.judge_parity(table(right, fixed("near_identity", 5, True, depth=2)), SETTINGS).verdict == "reproduced"
    assert claims.judge_parity(table(right, fixed("near_identity", 5, True)), SETTINGS).verdict == "differs"
    assert claims.judge_parity(fixed("near_identity", 5, False), SETTINGS).verdict == "undecided"


def test_determinant_judge():
    right = table(fixed("haar", 4, True), fixed("haar", 5, False, obstructed=True))
    assert claims.judge_haar_determinant(right, SETTINGS).verdict == "reproduced"
    assert claims.judge_haar_determinant(table(right, fixed("haar", 5, False)), SETTINGS).verdict == "undecided"
    crossed = table(right, fixed("haar", 5, True, obstructed=True))
    assert claims.judge_haar_determinant(crossed, SETTINGS).verdict == "differs"


def test_identity_judge():
    row = {"part": "identity", "step": 0}
    good = pd.DataFrame([{**row, "target": "+", "plateau": 0.0, "reached": True, "final_loss": 1e-3},
                         {**row, "target": "-", "plateau": 0.5, "reached": False, "final_loss": 0.504}])  # fmt: skip
    assert claims.judge_identity(good, SETTINGS).verdict == "reproduced"
    assert claims.judge_identity(good.assign(reached=True), SETTINGS).verdict == "differs"
    assert claims.judge_identity(good.assign(final_loss=0.45), SETTINGS).verdict == "differs"


@pytest.mark.parametrize(
    ("power", "noise", "verdict"),
    [(1.0, 0.1, "reproduced"), (4.0, 0.1, "differs"), (3.0, 0.8, "undecided"), (None, 0.0, "undecided")],
)
def test_polynomial_judge(power, noise, verdict):
    generator = np.random.default_rng(3)
    rows = [
        {"part": "depth", "kind": "best", "start": "zas", "target": "gaussian", "dimension": 5, "depth": depth, "seed": seed,
         "step_size": 0.1, "diverged_at": -1,
         "iterations": np.nan if power is None else 9 * depth**power * np.exp(noise * generator.normal())}
        for depth in (2, 4, 8, 16) for seed in range(5)
    ]  # fmt: skip
    assert growth_claims.judge_zas_polynomial(pd.DataFrame(rows), SETTINGS).verdict == verdict


@pytest.mark.parametrize(
    ("law", "noise", "verdict"),
    [(lambda d: 20 * np.exp(0.4 * d), 0.05, "reproduced"), (lambda d: d**3.0, 0.05, "differs"),
     (lambda d: 20 * np.exp(0.2 * d), 2.0, "undecided"), (lambda d: np.nan, 0.0, "undecided")],
)  # fmt: skip
def test_exponential_judge(law, noise, verdict):
    generator = np.random.default_rng(4)
    rows = [
        {"part": "growth", "start": "xavier", "dimension": d, "depth": depth, "seed": seed, "diverged_at": -1,
         "iterations": law(depth) * np.exp(noise * generator.normal())}
        for d in SETTINGS.growth.dimensions for depth in (2, 4, 6, 8, 10, 12) for seed in range(10)
    ]  # fmt: skip
    for judge in (growth_claims.judge_scalar_exponential, growth_claims.judge_matrix_exponential):
        assert judge(pd.DataFrame(rows), SETTINGS).verdict == verdict


@pytest.mark.parametrize(("excess", "verdict"), [(-1e-6, "reproduced"), (1e-12, "reproduced"), (1e-6, "differs")])
def test_envelope_judge(excess, verdict):
    row = {"part": "envelope", "target": "$2$", "depth": 4, "step": 7, "steps": 100, "excess": excess}
    assert growth_claims.judge_envelope(pd.DataFrame([row]), SETTINGS).verdict == verdict


def images(mzas, other, lost=0):
    deepest, last = max(TINY.residual.depths), TINY.residual.steps
    row = {"part": "residual", "source": "digits", "depth": deepest, "step": last, "step_size": 0.1, "error": 0.5}
    rows = [{**row, "start": "mzas", "seed": seed, "loss": mzas * (1 + 1e-3 * seed)} for seed in (0, 1)]
    rows += [{**row, "start": "near_identity", "seed": seed, "loss": other} for seed in range(lost, 2)]
    return pd.DataFrame([*rows, {**row, "start": "near_identity", "seed": 0, "loss": 1.0, "step": 0}])


@pytest.mark.parametrize(
    ("mzas", "other", "lost", "verdict"),
    [(0.1, 0.2, 0, "reproduced"), (0.2, 0.1, 0, "differs"), (0.1, 0.1001, 0, "undecided"), (0.1, 0.2, 2, "reproduced"),
     (0.1, 0.2, 1, "undecided")],
)  # fmt: skip
def test_residual_judge(mzas, other, lost, verdict):
    judged = growth_claims.judge_residual_near_identity(images(mzas, other, lost), TINY)
    assert judged.verdict == verdict


# everything together


@pytest.fixture(scope="module")
def metrics():
    recipes = {recipe.name: recipe for recipe in STUDY.recipes(TINY)}
    return pd.concat(
        [
            STUDY.run(cell.parameters, [recipes[name].build(None) for name in cell.datasets], device="cpu", quiet=True)
            for cell in STUDY.cells(TINY)
        ],
        ignore_index=True,
    )


def test_every_judge_and_table_takes_what_the_cells_give(metrics):
    for claim in STUDY.claims(TINY):
        assert claim.judge(metrics, TINY).verdict in ("reproduced", "differs", "undecided")
    for made in STUDY.tables(TINY):
        assert len(made.make(metrics, TINY))
    steps = tables.steps_table(metrics, TINY)
    assert (steps["orders of magnitude"] > 1).all()


def test_the_same_cell_gives_the_same_bits(metrics):
    cell = next(cell for cell in STUDY.cells(TINY) if cell.name == "escape")
    again = STUDY.run(cell.parameters, [], device="cpu", quiet=True)
    before = metrics[metrics["part"] == "escape"]["loss"].to_numpy()
    np.testing.assert_array_equal(again[again["part"] == "escape"]["loss"].to_numpy(), before)


def test_figures_draw(metrics):
    from zeroloss.plotting.style import house_style

    for figure in STUDY.figures(TINY):
        with house_style():
            canvas = figure.draw(metrics, TINY, **figure.options)
            assert canvas.axes and canvas.get_layout_engine() is not None
