"""Gradient flow, perturbed patterns and the lemmas' bounds, against closed forms, autograd and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from zeroloss.errors import UserError
from zeroloss.kernels import perturbation
from zeroloss.kernels.relu_gram import coactivation_counts, extreme_eigenvalues, infinite_width_gram
from zeroloss.networks import two_layer
from zeroloss.theory import du2018a_lemmas as theory
from zeroloss.theory.binomial import fraction
from zeroloss.training.gradient_flow import GradientFlow, integrate, linearised_residual


def problem(samples: int, dimension: int, width: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, dimension, generator=generator, dtype=torch.float64)
    x = x / x.norm(dim=1, keepdim=True)
    y = torch.randn(samples, generator=generator, dtype=torch.float64)
    weights, signs = two_layer.initial_weights(width, dimension, seed)
    return x, y, weights.double(), signs.double()


@pytest.mark.parametrize("both", [False, True])
def test_field_is_the_gradient_of_automatic_differentiation(both):
    """At a state off the start; -dL/dW enters as X times it, -dL/da as it is, both times sqrt(m)."""
    x, y, weights, signs = problem(6, 9, 40)
    flow = GradientFlow(x @ x.T, weights @ x.T, signs, y, both)
    shift = 0.3 * torch.randn(weights.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    moved_signs = signs + 0.2 * shift[:, 0] if both else signs
    now = (weights + shift).requires_grad_()
    outputs = moved_signs.clone().requires_grad_()
    two_layer.loss(now, outputs, x, y).backward()
    state = [(shift @ x.T).reshape(-1)] + ([moved_signs - signs] if both else [])
    found = torch.from_numpy(flow.field(0.0, (torch.cat(state) * flow.root).numpy())) / flow.root
    torch.testing.assert_close(found[: 40 * 6].view(40, 6), -now.grad @ x.T)
    if both:
        torch.testing.assert_close(found[40 * 6 :], -outputs.grad)


@pytest.mark.parametrize("both", [False, True])
def test_metrics_are_those_of_the_weights(both):
    """The flow in weight space, by many small Euler steps: residual, distances and H to the step's accuracy."""
    x, y, weights, signs = problem(5, 7, 30)
    flow = GradientFlow(x @ x.T, weights @ x.T, signs, y, both)
    path = integrate(flow, np.array([0.0, 1.0, 2.0]), 1e-5)
    now, outputs, step = weights.clone(), signs.clone(), 5e-3
    for _ in range(400):
        residual = two_layer.outputs(now, outputs, x) - y
        change = two_layer.loss_gradient(now, outputs, x, y)
        if both:
            outputs = outputs - step * torch.relu(now @ x.T) @ residual / 30**0.5
        now = now - step * change
    assert path.squared_residual[-1] == pytest.approx(
        float((two_layer.outputs(now, outputs, x) - y).square().sum()), rel=0.05
    )
    assert path.max_distance[-1] == pytest.approx(float((now - weights).norm(dim=1).max()), rel=0.03)
    assert path.max_output_distance[-1] == pytest.approx(float((outputs - signs).abs().max()), rel=0.03, abs=1e-12)
    active = (now @ x.T >= 0).double() * outputs[:, None]
    least = float(torch.linalg.eigvalsh(x @ x.T * (active.T @ active) / 30)[0])
    assert path.lambda_min[-1] == pytest.approx(least, rel=0.08)  # one of the 150 patterns may be at its kink
    assert path.max_distance[0] == path.pattern_change[0] == 0


def test_linearised_residual_solves_the_linear_ode():
    x, y, *_ = problem(8, 10, 4)
    gram = infinite_width_gram(x)
    times = np.array([0.0, 0.7, 5.0])
    expected = [float(np.sum((expm(-gram.numpy() * t) @ y.numpy()) ** 2)) for t in times]
    np.testing.assert_allclose(linearised_residual(gram, y, times), expected, rtol=1e-10)


def test_wide_flow_follows_the_linear_ode():
    """At m = 20000 H moves by about 1 %: the flow is r' = -H r to a few percent, and below exp(-lambda_0 t)."""
    x, y, weights, signs = problem(6, 12, 20000)
    flow = GradientFlow(x @ x.T, weights @ x.T, signs, y, False)
    hidden, outputs = flow.unpack(flow.initial_state)
    residual = flow.residual(hidden, outputs)
    lambda_0 = extreme_eigenvalues(infinite_width_gram(x))[0]
    times = np.linspace(0, 4 / lambda_0, 5)
    path = integrate(flow, times, 1e-4)
    frozen = linearised_residual(flow.hidden_gram(hidden, outputs), residual, times)
    np.testing.assert_allclose(path.squared_residual, frozen, rtol=0.08)
    share = path.squared_residual / path.squared_residual[0]
    assert (share <= theory.flow_bound(times, lambda_0) * (1 + 1e-9)).all()


@pytest.mark.parametrize("both", [False, True])
def test_solver_error_at_the_tolerance_of_the_study(both):
    """Against a ten times finer tolerance: within 1 % in |r|^2 above 1e-4 of its start, within 0.1 % in the distance."""
    x, y, weights, signs = problem(10, 30, 64)
    flow = GradientFlow(x @ x.T, weights @ x.T, signs, y, both)
    times = np.linspace(0, 9, 10)
    rough, fine = (integrate(flow, times, tolerance) for tolerance in (1e-4, 1e-5))
    large = fine.squared_residual > 1e-4 * fine.squared_residual[0]
    np.testing.assert_allclose(rough.squared_residual[large], fine.squared_residual[large], rtol=0.01)
    np.testing.assert_allclose(rough.max_distance, fine.max_distance, rtol=1e-3)
    assert (rough.squared_residual[~large] < 1.1e-4 * fine.squared_residual[0]).all()


def test_one_input_attains_the_bound():
    """n = 1: the distance tends to |r(0)| / (sqrt(m) H) while no pattern flips, the printed bound has lambda_0 for H."""
    x, y = torch.ones(1, 1, dtype=torch.float64), torch.tensor([0.8], dtype=torch.float64)
    z = torch.tensor([[2.0], [3.0], [2.5], [-1.0], [-2.0], [-3.0], [-1.0], [-1.0]], dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    flow = GradientFlow(x @ x.T, z, signs, y, False)
    path = integrate(flow, np.array([0.0, 60.0]), 1e-7)
    residual = abs(float(flow.residual(z, signs)))
    assert path.lambda_min[0] == pytest.approx(3 / 8)
    assert path.max_distance[-1] == pytest.approx(residual / (8**0.5 * 3 / 8), rel=1e-4)
    printed = theory.distance_bound(residual, 1, 8, 0.5, theory.DISTANCE_CONSTANTS["printed"])
    assert printed < path.max_distance[-1] < 2 * printed


def test_one_input_has_counts_too():
    active = torch.tensor([[True], [False], [True]] * 11)
    assert coactivation_counts(active).tolist() == [[22.0]]


RADII = [0.05, 0.3, 1.0, 2.0]


def flips(patterns: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return (patterns != (z >= 0)).sum(2)


def test_greedy_moves_flip_what_they_afford():
    """Never more than is in reach; at least what greedy affords; for orthogonal inputs exactly the best prefix."""
    z = torch.randn(300, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = flips(perturbation.greedy_patterns(torch.eye(8, dtype=torch.float64), z, RADII), z)
    sums = z.abs().sort(dim=1).values.square().cumsum(1)
    for radius, count in zip(RADII, found, strict=True):
        assert torch.equal(count, (sums <= radius**2).sum(1))


def test_greedy_moves_are_moves_of_that_length():
    """Whether a pattern can be reached within R is a quadratic programme: its dual is checked by brute force."""
    x, *_ = problem(5, 6, 1)
    gram = x @ x.T
    z = torch.randn(40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for radius, patterns in zip(RADII, perturbation.greedy_patterns(gram, z, RADII), strict=True):
        for row, pattern in zip(z, patterns, strict=True):
            assert shortest_move(gram, row, pattern) <= radius * (1 + 1e-9)


def shortest_move(gram: torch.Tensor, z: torch.Tensor, pattern: torch.Tensor) -> float:
    """Least length that brings z into the closed orthant of ``pattern``: the active set that is feasible and shortest."""
    signs = torch.where(pattern, 1.0, -1.0).double()
    best = float("inf")
    for size in range(len(z) + 1):
        for chosen in itertools.combinations(range(len(z)), size):
            index = list(chosen)
            solved = torch.linalg.solve(gram[index][:, index], -z[index]) if index else torch.zeros(0).double()
            after = z + gram[:, index] @ solved
            if (signs * after >= -1e-12).all():
                best = min(best, float((-z[index] @ solved).clamp_min(0)) ** 0.5)
    return best


def test_dependent_inputs_get_a_sentence():
    x, *_ = problem(5, 3, 1)
    with pytest.raises(UserError, match="linearly dependent"):
        perturbation.greedy_patterns(x @ x.T, torch.randn(4, 5, dtype=torch.float64), [1.0])


def test_random_and_single_input_moves():
    x, _, weights, _ = problem(6, 10, 20000)
    z = weights @ x.T
    generator = torch.Generator().manual_seed(3)
    moved = perturbation.random_patterns(x, z, [1e-9, 0.5], generator)
    assert torch.equal(moved[0], z >= 0)
    # P(flip) for two standard normals of correlation rho = 1/sqrt(1 + R^2/d), roughly: arccos(rho)/pi
    assert float((moved[1] != (z >= 0)).double().mean()) == pytest.approx(np.arctan(0.5 / 10**0.5) / np.pi, rel=0.1)
    off = perturbation.switched_off_patterns(x @ x.T, z, [1.0], 2)[0]
    assert float(off[:, 2].double().mean()) == pytest.approx(0.1587, abs=0.01)  # P(z > 1)
    expected = ((weights - 1.0 * x[2]) @ x.T) >= 0
    assert (off != expected).sum() <= 1


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 5), st.integers(2, 500), st.floats(0.01, 0.5), st.floats(1e-4, 0.5))
def test_bounds_fit_together(radius, samples, delta, lambda_0):
    assert theory.flip_probability(radius) <= theory.flip_probability_bound(radius) * (1 + 1e-12)
    safe = theory.safe_radius(samples, lambda_0, delta)
    assert theory.gram_change_bound(safe, samples, delta) == pytest.approx(lambda_0 / 4)
    width = theory.initial_width(samples, lambda_0, delta)
    assert samples * theory.entry_deviation(width, samples, delta) == pytest.approx(lambda_0 / 4)
    proven = theory.proven_width(samples, lambda_0, delta, 3.0, 2.0)
    assert theory.distance_bound(3.0, samples, proven, lambda_0, 2.0) == pytest.approx(safe)


def test_flip_probability_against_monte_carlo():
    z = np.random.default_rng(0).standard_normal(200_000)
    for radius in (0.05, 0.7, 2.0):
        assert np.mean(np.abs(z) < radius) == pytest.approx(theory.flip_probability(radius), abs=0.005)


def test_hoeffding_interval_covers():
    x, *_ = problem(10, 10, 1)
    limit = infinite_width_gram(x)
    bound, missed = theory.entry_deviation(50, 10, 0.1), 0
    for seed in range(200):
        weights, _ = two_layer.initial_weights(50, 10, seed)
        hidden = x @ x.T * coactivation_counts(weights.double() @ x.T >= 0) / 50
        missed += bool((hidden - limit).abs().max() > bound)
    assert missed <= 20


def test_clopper_pearson_interval():
    """Hand values: for 0 of n the upper end is 1 - 0.025^(1/n); symmetric under swapping hits and misses."""
    none, all_ = fraction(0, 20), fraction(20, 20)
    assert none.low == 0 and none.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert (all_.low, all_.high) == (pytest.approx(1 - none.high), 1)
    some, swapped = fraction(7, 30), fraction(23, 30)
    assert some.low == pytest.approx(1 - swapped.high)
    assert fraction(7, 30, comparisons=10).low < some.low < 7 / 30 < some.high
