"""The two-layer network and the Gram-space engine, against automatic differentiation and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.networks import two_layer
from zeroloss.training.gram_descent import GramDescent, Trajectory, descend


def problem(samples: int, dimension: int, width: int, seed: int = 0):
    """Inputs, labels, weights and signs in float64."""
    generator = np.random.default_rng(seed)
    x = torch.from_numpy(uniform_on_sphere(samples, dimension, generator))
    y = torch.from_numpy(generator.standard_normal(samples))
    weights, signs = two_layer.initial_weights(width, dimension, seed)
    return x, y, weights.double(), signs.double()


def in_weight_space(x, y, weights, signs, step_size: float, steps: int) -> Trajectory:
    """Gradient descent as the paper writes it, every metric by its definition."""
    start, path = weights.clone(), {"mse": [], "flips": [], "distance": [], "spectrum": {}}
    for k in range(steps + 1):
        if k:
            weights = weights - step_size * two_layer.loss_gradient(weights, signs, x, y)
        error, flips = 0.0, 0
        for i in range(len(x)):
            output = 0.0
            for r in range(len(weights)):
                z, z0 = float(weights[r] @ x[i]), float(start[r] @ x[i])
                output += float(signs[r]) * max(z, 0.0) / len(weights) ** 0.5
                flips += (z >= 0) != (z0 >= 0)
            error += (output - float(y[i])) ** 2
        active = (x @ weights.T >= 0).double()
        eigenvalues = torch.linalg.eigvalsh((x @ x.T) * (active @ active.T) / len(weights))
        path["mse"].append(error / len(x))
        path["flips"].append(flips / (len(x) * len(weights)))
        path["distance"].append(float((weights - start).norm(dim=1).max()))
        path["spectrum"][k] = (float(eigenvalues[0]), float(eigenvalues[-1]))
    return Trajectory(
        np.array(path["mse"]), np.array(path["flips"]), np.array(path["distance"]), path["spectrum"], None
    )


def assert_same_path(ours: Trajectory, expected: Trajectory, rtol: float) -> None:
    np.testing.assert_allclose(ours.mse, expected.mse, rtol=rtol)
    np.testing.assert_array_equal(ours.pattern_change, expected.pattern_change)
    np.testing.assert_allclose(ours.max_distance, expected.max_distance, rtol=rtol, atol=rtol)
    for step, pair in ours.spectrum.items():
        np.testing.assert_allclose(pair, expected.spectrum[step], rtol=1e-9, atol=1e-12)


def test_gradient_is_that_of_automatic_differentiation():
    x, y, weights, signs = problem(12, 7, 9)
    weights.requires_grad_(True)
    two_layer.loss(weights, signs, x, y).backward()
    by_hand = two_layer.loss_gradient(weights.detach(), signs, x, y)
    torch.testing.assert_close(by_hand, weights.grad, rtol=1e-12, atol=1e-14)


def test_outputs_are_the_sum_of_equation_1():
    x, _, weights, signs = problem(3, 4, 5)
    expected = [sum(float(a) * max(float(w @ p), 0) for w, a in zip(weights, signs, strict=True)) / 5**0.5 for p in x]
    np.testing.assert_allclose(two_layer.outputs(weights, signs, x).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(("samples", "dimension", "width"), [(8, 5, 6), (6, 20, 11), (10, 3, 1)])
def test_engine_equals_gradient_descent_in_weight_space(samples, dimension, width):
    x, y, weights, signs = problem(samples, dimension, width, seed=3)
    engine = GramDescent(x @ x.T, weights @ x.T, signs, y, step_size=0.3)
    assert_same_path(
        descend(engine, 15, spectrum_at=(0, 7, 15)), in_weight_space(x, y, weights, signs, 0.3, 15), rtol=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(
    samples=st.integers(1, 9),
    dimension=st.integers(1, 6),
    width=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    step_size=st.floats(0.01, 0.6),
)
def test_engine_equals_weight_space_on_any_problem(samples, dimension, width, seed, step_size):
    x, y, weights, signs = problem(samples, dimension, width, seed)
    engine = GramDescent(x @ x.T, weights @ x.T, signs, y, step_size)
    assert_same_path(descend(engine, 4), in_weight_space(x, y, weights, signs, step_size, 4), rtol=1e-7)


def test_block_boundaries_do_not_matter(monkeypatch):
    """The same bits would be asked too much (sums over blocks are ordered differently), the same path is not."""
    x, y, weights, signs = problem(10, 10, 201)
    whole = descend(GramDescent(x @ x.T, weights @ x.T, signs, y, 0.3), 10)
    monkeypatch.setattr("zeroloss.training.gram_descent._BLOCK_BYTES", 1)
    monkeypatch.setattr("zeroloss.training.gram_descent._LEAST_BLOCK_ROWS", 7)
    assert_same_path(descend(GramDescent(x @ x.T, weights @ x.T, signs, y, 0.3), 10), whole, rtol=1e-12)


def test_float32_follows_float64_to_its_own_precision():
    x, y, weights, signs = problem(60, 60, 300)
    exact = descend(GramDescent(x @ x.T, weights @ x.T, signs, y, 0.5), 60)
    single = GramDescent((x @ x.T).float(), (weights @ x.T).float(), signs.float(), y.float(), 0.5)
    np.testing.assert_allclose(descend(single, 60).mse, exact.mse, rtol=1e-3)


def test_unmeasured_engine_takes_the_same_steps():
    x, y, weights, signs = problem(20, 10, 40)
    measured = descend(GramDescent(x @ x.T, weights @ x.T, signs, y, 0.2), 5)
    bare = descend(GramDescent(x @ x.T, weights @ x.T, signs, y, 0.2, measure=False), 5)
    np.testing.assert_array_equal(bare.mse, measured.mse)
    assert np.isnan(bare.pattern_change).all()
    assert np.isnan(bare.max_distance).all()


def test_divergence_is_a_result():
    x, y, weights, signs = problem(20, 20, 50)
    path = descend(GramDescent(x @ x.T, weights @ x.T, signs, y, step_size=500.0), 200)
    assert path.diverged_at is not None
    assert len(path.mse) == path.diverged_at + 1 < 201


def test_same_problem_twice_gives_the_same_bits():
    x, y, weights, signs = (tensor.float() for tensor in problem(50, 50, 300))
    first, second = (descend(GramDescent(x @ x.T, weights @ x.T, signs, y, 0.3), 20, (0, 20)) for _ in range(2))
    np.testing.assert_array_equal(first.mse, second.mse)
    np.testing.assert_array_equal(first.max_distance, second.max_distance)
    assert first.spectrum == second.spectrum


def test_initial_weights_are_standard_normal_and_signs_fair():
    weights, signs = two_layer.initial_weights(4000, 50, seed=1)
    assert abs(float(weights.mean())) < 5 / (4000 * 50) ** 0.5
    assert abs(float(weights.square().mean()) - 1) < 5 * (2 / (4000 * 50)) ** 0.5
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(float(signs.sum())) < 5 * 4000**0.5
    other, _ = two_layer.initial_weights(4000, 50, seed=2)
    assert not torch.equal(weights, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_follows_cpu():
    x, y, weights, signs = problem(64, 64, 256)
    cpu = descend(GramDescent(x @ x.T, weights @ x.T, signs, y, 0.3), 30, (0, 30))
    gpu = descend(GramDescent((x @ x.T).cuda(), weights @ x.T, signs, y, 0.3), 30, (0, 30))
    np.testing.assert_allclose(gpu.mse, cpu.mse, rtol=1e-9)
    np.testing.assert_allclose(gpu.max_distance, cpu.max_distance, rtol=1e-9, atol=1e-12)
