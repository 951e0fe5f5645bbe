"""The batched engine for deep linear networks against automatic differentiation and exact cases."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.errors import UserError
from zeroloss.networks import deep_linear
from zeroloss.randomness import torch_generator
from zeroloss.training.deep_linear_descent import CHUNK, descend

NETWORKS = 3


def start(depth, width=4, d_in=3, d_out=2, seed=0, dtype=torch.float64):
    generators = [torch_generator(seed + b, "start") for b in range(NETWORKS)]
    return deep_linear.gaussian(deep_linear.layer_shapes(d_in, width, d_out, depth), 0.35, generators, dtype)


def data(n=5, d_in=3, d_out=2):
    generator = torch_generator(7, "data")
    x = torch.randn(d_in, n, generator=generator, dtype=torch.float64)
    return x, torch.randn(NETWORKS, d_out, n, generator=generator, dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(depth=st.integers(2, 6), width=st.integers(1, 6), scale=st.floats(0.2, 3.0))
def test_steps_are_those_of_automatic_differentiation(depth, width, scale):
    layers, (x, y), eta = start(depth, width), data(), np.array([1e-3, 2e-3, 3e-4]) / scale**2
    path = descend(layers, x, y, eta, 4, scale=scale)
    for b in range(NETWORKS):
        own = [layer[b].clone().requires_grad_() for layer in layers]
        for k in range(5):
            found = x
            for layer in own:
                found = layer @ found
            loss = 0.5 * (scale * found - y[b]).square().sum()
            assert path.losses[b, k] == pytest.approx(loss.item(), rel=1e-11)
            if k == 4:
                break
            gradients = torch.autograd.grad(loss, own)
            own = [(layer - eta[b] * g).detach().requires_grad_() for layer, g in zip(own, gradients, strict=True)]
        for layer, expected in zip(path.layers, own, strict=True):
            torch.testing.assert_close(layer[b], expected.detach(), rtol=1e-10, atol=1e-12)


def test_runs_end_one_by_one_and_leave_the_others_alone():
    layers = deep_linear.zero_asymmetric(deep_linear.layer_shapes(2, 2, 2, 3), 3)
    x = torch.eye(2, dtype=torch.float64)
    steps = 4 * CHUNK + 7
    together = descend(layers, x, -x, [0.2, 20.0, 0.001], steps, stop_below=1e-6)
    alone = descend([layer[2:] for layer in layers], x, -x, 0.001, steps, stop_below=1e-6)
    assert 0 < together.converged_at[0] < CHUNK and together.diverged_at[0] == -1
    assert together.losses[0, together.converged_at[0]] <= 1e-6 < together.losses[0, together.converged_at[0] - 1]
    assert np.isnan(together.losses[0, together.converged_at[0] + 1 :]).all()
    assert together.diverged_at[1] > 0 and together.converged_at[1] == -1
    assert together.converged_at[2] == together.diverged_at[2] == -1
    assert np.isfinite(together.losses[2]).all()
    np.testing.assert_array_equal(together.losses[2], alone.losses[0])


def test_observer_sees_the_layers_before_the_step():
    layers, (x, y) = start(3), data()
    seen = {}
    descend(
        layers, x, y, 0.01, 5, record_at=(0, 5), observe=lambda k, who, now: seen.update({k: (who, now[0].clone())})
    )
    torch.testing.assert_close(seen[0][1], layers[0])
    np.testing.assert_array_equal(seen[5][0], np.arange(NETWORKS))
    torch.testing.assert_close(seen[5][1], descend(layers, x, y, 0.01, 5).layers[0])


def test_zero_asymmetric_start_treats_plus_and_minus_identity_alike():
    # W_L and the target change their sign together: the same numbers but for that sign
    layers = deep_linear.zero_asymmetric(deep_linear.layer_shapes(5, 5, 5, 8), 2)
    x = torch.eye(5, dtype=torch.float64)
    path = descend(layers, x, torch.stack([x, -x]), 0.01, 300)
    np.testing.assert_array_equal(path.losses[0], path.losses[1])
    assert path.losses[0, -1] < 1e-3 * path.losses[0, 0]


def test_scaling_of_du_and_hu_is_the_same_descent():
    width, depth, d_out, eta = 4, 5, 2, 0.01
    x, y = data()
    ours = start(depth, width)
    theirs = [layer * width**0.5 for layer in ours]
    a = descend(ours, x, y, eta / width, 20, scale=(width / d_out) ** 0.5)
    b = descend(theirs, x, y, eta, 20, scale=(width ** (depth - 1) * d_out) ** -0.5)
    np.testing.assert_allclose(a.losses, b.losses, rtol=1e-10)


def test_haar_matrices_are_orthogonal_with_determinants_of_both_signs():
    found = torch.stack([deep_linear.haar(3, 3, torch_generator(seed, "haar")) for seed in range(200)])
    torch.testing.assert_close(found @ found.mT, torch.eye(3, dtype=torch.float64).expand(200, 3, 3))
    positive = int((torch.linalg.det(found) > 0).sum())
    # binomial(200, 1/2): outside 65..135 with probability 7e-7
    assert 65 <= positive <= 135
    # E tr(Q) = 0 and E tr(Q)^2 = 1 for Haar measure
    trace = found.diagonal(dim1=1, dim2=2).sum(1)
    assert abs(trace.mean()) < 5 / 200**0.5
    assert deep_linear.haar(2, 5, torch_generator(0, "wide")).shape == (2, 5)


@pytest.mark.parametrize("depth", [0, 1])
def test_depth_below_two_is_refused(depth):
    with pytest.raises(UserError, match="at least 2 layers"):
        deep_linear.layer_shapes(2, 2, 2, depth)


def test_bad_shapes_and_steps_are_refused():
    with pytest.raises(UserError, match="square"):
        deep_linear.zero_asymmetric(deep_linear.layer_shapes(3, 4, 2, 3), 1)
    layers, (x, y) = start(3), data()
    with pytest.raises(UserError, match="do not chain"):
        descend(layers, x[:2], y, 0.1, 1)
    with pytest.raises(UserError, match="positive"):
        descend(layers, x, y, [0.1, 0.0, 0.1], 1)
