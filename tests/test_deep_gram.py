"""Gram recursions of Du et al. 2018b: quadrature against closed forms, limits against wide networks and autograd."""

from __future__ import annotations

import math

import pytest
import torch

from tests.test_deep import KINDS, inputs, network
from zeroloss.kernels.deep_gram import finite_grams, limit_grams, limits_over_depth, pair_expectations
from zeroloss.networks.deep import contraction_rate, forward, gauss_hermite, initial_weights


def covariance(size: int = 7) -> torch.Tensor:
    root = torch.randn(size, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return root @ root.T / 10


def test_gauss_hermite_moments():
    z, w = gauss_hermite(12)
    assert [float(w @ z**k) for k in (0, 1, 2, 4, 6)] == pytest.approx([1, 0, 1, 3, 15], abs=1e-12)


def test_quadrature_agrees_with_williams_closed_form_for_erf():
    """E erf(u) erf(v) = 2/pi arcsin(2 c / sqrt((1 + 2 a)(1 + 2 b))) (Williams 1997); slopes by its derivative in c."""
    k = covariance()
    values, slopes, means = pair_expectations(k, "erf", 60)
    scale = torch.outer(1 + 2 * k.diagonal(), 1 + 2 * k.diagonal())
    assert torch.allclose(values, 2 / math.pi * torch.asin(2 * k / scale.sqrt()), atol=1e-7)
    assert torch.allclose(slopes, 4 / math.pi / (scale - 4 * k**2).sqrt(), atol=1e-7)
    assert float(means.abs().max()) < 1e-14


def test_quadrature_agrees_with_the_arc_cosine_kernels_for_relu():
    """Cho and Saul 2009. ReLU has a kink, so quadrature is first order in 1 / nodes there."""
    k = covariance()
    values, _, means = pair_expectations(k, "relu", 200)
    length = k.diagonal().sqrt()
    angle = torch.acos((k / torch.outer(length, length)).clamp(-1, 1))
    expected = torch.outer(length, length) * (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
    assert torch.allclose(values, expected, atol=2e-3)
    assert torch.allclose(means, length / (2 * math.pi) ** 0.5, atol=5e-3)


@pytest.mark.parametrize(("activation", "error"), [("softplus", 2e-4), ("tanh", 2e-2)])
def test_quadrature_is_symmetric_positive_and_converged(activation, error):
    """tanh has its poles at pi / 2, softplus at pi: so much slower does quadrature converge."""
    k = covariance()
    coarse, fine = pair_expectations(k, activation, 24), pair_expectations(k, activation, 80)
    for a, b in zip(coarse, fine, strict=True):
        assert torch.allclose(a, b, atol=error)
    for matrix in fine[:2]:
        assert torch.equal(matrix, matrix.T) and float(torch.linalg.eigvalsh(matrix)[0]) > 0


def jacobian_grams(net, weights, x):
    """The Gram matrices by one backward pass per input: slow and obviously right."""
    own = [w.clone().requires_grad_() for w in weights]
    u = forward(net, own, x).outputs[0, :, 0]
    rows = [torch.autograd.grad(u[i], own, retain_graph=True) for i in range(len(u))]
    flat = [torch.stack([row[h].flatten() for row in rows]) for h in range(len(own))]
    return torch.stack([part @ part.T for part in flat])


@pytest.mark.parametrize("kind", KINDS)
def test_factored_gram_is_that_of_automatic_differentiation(kind):
    """002-E3: H^l = G^(l) / n, the inner products of the gradients of the outputs."""
    net, x = network(kind), inputs(kind)
    weights = initial_weights(net, *x.shape[1:], [0, 1])
    found = finite_grams(net, weights, x)
    for s in range(2):
        expected = jacobian_grams(net, [w[s : s + 1] for w in weights], x)
        assert torch.allclose(found[s], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_wide_networks_tend_to_the_limits(kind):
    """Every layer: the mean over networks is the limit within its own error, and the error falls like m^(-1/2)."""
    x, errors = inputs(kind), {}
    sizes = (32, 128) if kind == "conv_resnet" else (64, 256)
    for width in sizes:
        seeds = range(30)
        net = network(kind, width=width)
        limits = limit_grams(net, x, 32).layers
        grams = finite_grams(net, initial_weights(net, *x.shape[1:], seeds), x)
        errors[width] = ((grams - limits).norm(dim=(2, 3)) / limits.norm(dim=(1, 2))).mean(0)
        gap = (grams.mean(0) - limits).norm(dim=(1, 2)) / limits.norm(dim=(1, 2))
        # the mean of 30 networks has 1 / sqrt(30) of one network's error; 1/m corrections come on top
        assert (gap < 3 * errors[width] / 30**0.5 + 4 / width).all(), gap
    ratio = errors[sizes[0]] / errors[sizes[1]]
    assert ((ratio > 1.5) & (ratio < 2.8)).all(), ratio


def test_inputs_of_unequal_length_tell_the_pairing_of_the_cross_terms():
    """b_i goes with sigma(v): wide networks lie at our pairing (0), not at the printed one (1), on the line between."""
    x = inputs("resnet") * torch.tensor([0.1, 0.3, 1.0, 2.0, 4.0, 6.0], dtype=torch.float64)[:, None, None]
    net = network("resnet", depth=2, width=500)
    limit = limit_grams(net, x, 40).layers[-1]
    below, _, means = pair_expectations(x[:, 0] @ x[:, 0].T, "softplus", 40)
    first, (_, _, averages) = net.first_scale * means, pair_expectations(net.first_scale**2 * below, "softplus", 40)
    right = torch.outer(first, averages) + torch.outer(averages, first)
    line = net.branch_scale * ((first * averages)[:, None] + (first * averages)[None] - right)
    grams = finite_grams(net, initial_weights(net, 1, 12, range(40)), x)[:, -1]
    place = float(((grams.mean(0) - limit) * line).sum() / line.square().sum())
    assert abs(place) < 0.25


def test_a_convolution_over_one_pixel_is_the_resnet():
    x = inputs("resnet")
    a, b = limit_grams(network("resnet"), x, 20), limit_grams(network("conv_resnet"), x, 20)
    # the two outer thirds of the patch are padding, so only the weights' number differs
    assert torch.allclose(a.layers, b.layers, rtol=1e-12)


def test_shared_layers_give_the_same_limits():
    x = inputs("fully_connected")
    for depth, limits in limits_over_depth(network("fully_connected"), [2, 4], x, 16):
        alone = limit_grams(network("fully_connected", depth=depth), x, 16)
        assert torch.allclose(limits.layers, alone.layers, rtol=1e-13)
        assert torch.allclose(limits.printed, alone.printed, rtol=1e-13)
        assert limits.norms.numpy() == pytest.approx([1.0] * (depth + 1), abs=1e-4)


def test_printed_last_line_is_another_matrix():
    x = inputs("fully_connected")
    limits = limit_grams(network("fully_connected", depth=2), x, 24)
    assert (limits.printed - limits.last).norm() / limits.last.norm() > 0.01
    assert torch.allclose(limits.printed.diagonal(), limits.last.diagonal(), rtol=1e-3)  # all variances are 1


def test_contraction_rate_is_the_fall_of_the_least_eigenvalue():
    x, least = inputs("fully_connected"), {}
    for depth, limits in limits_over_depth(network("fully_connected"), [9, 10], x, 40):
        least[depth] = float(torch.linalg.eigvalsh(limits.last)[0])
    assert least[10] / least[9] == pytest.approx(contraction_rate("softplus"), rel=1e-2)
    assert contraction_rate("softplus") < 1 < contraction_rate("tanh")
