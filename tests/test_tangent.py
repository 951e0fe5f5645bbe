"""The fully connected tangent kernel: closed forms, quadrature, gradients of wide networks, errors, resume."""

from __future__ import annotations

import doctest
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from zeroloss.checkpoint import Checkpoints
from zeroloss.errors import UserError
from zeroloss.kernels import assembly, deep_gram, dual_activation, tangent
from zeroloss.kernels.relu_gram import infinite_width_gram
from zeroloss.kernels.tangent import TangentKernel
from zeroloss.networks.deep import ACTIVATIONS, Activation, Network, initial_weights
from zeroloss.randomness import torch_generator


def inputs(n, d, seed=0, unit=True, dtype=torch.float64):
    x = torch.randn(n, d, dtype=torch.float64, generator=torch_generator(seed, "tangent tests", n, d))
    return (x / x.norm(dim=1, keepdim=True) if unit else x).to(dtype)


@pytest.mark.parametrize("module", [tangent, dual_activation])
def test_the_examples_of_the_documentation_hold(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("name", ["relu", "erf", "softplus", "tanh"])
def test_dual_activations_are_what_sampling_gives(name):
    dual = dual_activation.dual_activation(name)
    covariance = torch.tensor([[1.3, 0.4], [0.4, 0.7]], dtype=torch.float64)
    draws = torch.randn(2, 1_000_000, dtype=torch.float64, generator=torch_generator(1, "duals"))
    u, v = torch.linalg.cholesky(covariance) @ draws
    found = dual.pairs(covariance[0, 1].clone(), covariance[0, 0], covariance[1, 1], 1.0)
    sigma = ACTIVATIONS[name]
    for ours, sampled in zip(found, (sigma.value(u) * sigma.value(v), sigma.slope(u) * sigma.slope(v)), strict=True):
        assert float(ours) == pytest.approx(float(sampled.mean()), abs=5 * float(sampled.std()) / 1000)
    for ours, f in zip(dual.variances(covariance[0, 0]), (sigma.value, sigma.slope), strict=True):
        assert float(ours) == pytest.approx(float(f(u).square().mean()), abs=5 * float(f(u).square().std()) / 1000)


def test_quadrature_agrees_with_the_closed_form_of_erf():
    x = inputs(6, 4)
    closed = TangentKernel(3, "erf", bias_variance=0.1).kernels(x)
    smooth = TangentKernel(3, ACTIVATIONS["erf"], bias_variance=0.1, nodes=80).kernels(x)
    for exact, ours in zip(closed, smooth, strict=True):
        assert torch.allclose(exact, ours, rtol=1e-6)


def test_one_hidden_layer_is_h_infinity_and_the_feature_kernel():
    """T_2 = c E[s' s'] x.x' + c E[s s]: with c = 2 the first term is 2 H-infinity of Du et al. 2018a."""
    x = inputs(20, 5)
    found = TangentKernel(1).kernels(x)
    assert torch.allclose(found.ntk - found.nngp, 2 * infinite_width_gram(x), atol=1e-14)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_unit_inputs_have_depth_plus_one_on_the_diagonal(depth):
    for dtype in (torch.float32, torch.float64):
        found = TangentKernel(depth).kernels(inputs(7, 3, dtype=dtype))
        assert torch.allclose(found.ntk.diagonal(), torch.full((7,), depth + 1.0, dtype=dtype), rtol=1e-6)
        assert torch.allclose(found.nngp.diagonal(), torch.ones(7, dtype=dtype), rtol=1e-6)


@pytest.mark.parametrize("name", ["relu", "erf", "tanh"])
def test_it_is_the_mean_of_the_gram_matrices_of_wide_networks(name):
    x, width, seeds = inputs(5, 4, seed=3), 512, range(24)
    network = Network("fully_connected", 2, width, name, c_res=0.5)
    grams = deep_gram.finite_grams(network, initial_weights(network, 1, 4, seeds), x[:, None]).sum(1)
    limit = TangentKernel(2, name)(x)
    error = grams.std(0) / len(seeds) ** 0.5
    # five standard errors and the bias of order 1 / m
    assert bool(((grams.mean(0) - limit).abs() <= 5 * error + 10 / width).all())


def test_jacots_parametrisation_is_that_of_networks_with_biases():
    """a~ = W a / sqrt(n) + beta b, gradients by automatic differentiation."""
    x, width, beta = inputs(4, 2, seed=5), 1500, 0.3
    sizes = [2, width, width, 1]
    grams = []
    for seed in range(10):
        generator = torch_generator(seed, "jacot test")
        parameters = []
        for below, above in pairwise(sizes):
            for shape in ((above, below), (above,)):
                parameters.append(torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_())
        rows = []
        for point in x:
            a = point
            for layer in range(3):
                a = a if layer == 0 else torch.relu(a)
                a = parameters[2 * layer] @ a / len(a) ** 0.5 + beta * parameters[2 * layer + 1]
            rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(a[0], parameters)]))
        rows = torch.stack(rows)
        grams.append(rows @ rows.T)
    grams = torch.stack(grams)
    limit = TangentKernel(2, weight_variance=1.0, bias_variance=beta**2, input_scale=1 / 2)(x)
    assert bool(((grams.mean(0) - limit).abs() <= 5 * grams.std(0) / 10**0.5 + 5 / width).all())


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("name", ["relu", "erf"])
def test_single_precision_and_blocks_change_nothing(name, unit, monkeypatch):
    x = inputs(70, 6, unit=unit)
    whole = TangentKernel(3, name, bias_variance=0.2)
    exact = whole(x)
    assert torch.equal(exact, exact.T)
    assert torch.linalg.norm(whole(x.float()).double() - exact) < 1e-5 * torch.linalg.norm(exact)
    monkeypatch.setattr(tangent, "EDGE", 16)
    assert torch.allclose(whole(x), exact, rtol=1e-12)
    off = ~torch.eye(70, dtype=torch.bool)
    assert torch.allclose(whole(x, x)[off], exact[off], rtol=1e-12)
    assert torch.allclose(whole(x[:3], x[3:]), exact[:3, 3:], rtol=1e-12)


def test_a_killed_assembly_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(tangent, "EDGE", 8)
    x, kernel = inputs(30, 4), TangentKernel(2)
    whole = kernel.kernels(x)
    real, calls = assembly.assemble, []

    def dying(block, *arguments, **options):
        def mortal(rows, columns):
            calls.append(rows)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return block(rows, columns)

        return real(mortal, *arguments, **options)

    monkeypatch.setattr(tangent, "assemble", dying)
    with pytest.raises(KeyboardInterrupt):
        kernel.kernels(x, checkpoints=Checkpoints(tmp_path, "key", seconds=0))
    first = len(calls)
    again = kernel.kernels(x, checkpoints=Checkpoints(tmp_path, "key", seconds=0))
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    assert len(calls) - first == 10 - 4, "the first band has four blocks"
    kernel.kernels(x, checkpoints=Checkpoints(tmp_path, "another key"))
    assert len(calls) - first == 16, "states of another order are not taken up"


def test_bad_input_gets_one_clear_sentence():
    x = inputs(4, 3)
    for make, words in [
        (lambda: TangentKernel(2, "sine"), "'sine' is not known; allowed are erf, relu, softplus, tanh"),
        (lambda: TangentKernel(-1), "depth is -1"),
        (lambda: TangentKernel(1, weight_variance=0.0), "weight_variance is 0"),
        (lambda: TangentKernel(1, bias_variance=-1.0), "bias_variance is -1"),
        (lambda: TangentKernel(1, unit_inputs=True)(2 * x), "input . has length 2: inputs of unit length"),
        (lambda: TangentKernel(1)(x[0]), r"shape \(3,\)"),
        (lambda: TangentKernel(1)(x.half()), "float32 or float64"),
        (lambda: TangentKernel(1)(x, x[:, :2]), "3 and 2 dimensions"),
    ]:
        with pytest.raises(UserError, match=words):
            make()


def test_too_many_samples_say_how_much_is_needed_and_offer_tiles():
    with pytest.raises(UserError, match=r"need 1\.49e\+03 GiB .* tile by tile"):
        assembly.require_memory(8 * 2 * 100_000**2 * 10, torch.device("cpu"), "two matrices")


def test_sine_activation_of_ones_own():
    """E[sin u sin v] = exp(-(s + t) / 2) sinh(c), a closed form that no code here knows."""
    sine = Activation(torch.sin, torch.cos)
    x = inputs(5, 3)
    found = TangentKernel(1, sine, weight_variance=1.0).kernels(x).nngp
    assert torch.allclose(found, math.exp(-1) * torch.sinh(x @ x.T), atol=1e-12)
    assert np.isclose(TangentKernel(1, sine).scale, 2 / (1 - math.exp(-2)))
