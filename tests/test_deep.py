"""Deep networks and their descent: the definitions of Du et al. 2018b against plain scripts and quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from zeroloss.networks import deep
from zeroloss.networks.deep import Network, forward, initial_weights, loss, patches
from zeroloss.theory import du2018b as theory
from zeroloss.training.deep_descent import descend

KINDS = ("fully_connected", "resnet", "conv_resnet")


def network(kind: str, depth: int = 3, width: int = 20, **more) -> Network:
    return Network(kind, depth, width, "softplus", 0.5, 3 if kind == "conv_resnet" else 1, **more)


def inputs(kind: str, samples: int = 6, dimension: int = 12, seed: int = 0) -> torch.Tensor:
    x = torch.randn(samples, dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x = x / x.norm(dim=1, keepdim=True)
    return x.view(samples, 4 if kind == "conv_resnet" else 1, -1)


def test_c_sigma_is_the_integral():
    for name, function in (("softplus", lambda z: np.logaddexp(0, z)), ("tanh", np.tanh)):
        value, _ = integrate.quad(lambda z, f=function: f(z) ** 2 * stats.norm.pdf(z), -40, 40)
        assert deep.c_sigma(name) == pytest.approx(1 / value, rel=1e-9)
    assert deep.c_sigma("relu") == pytest.approx(2, rel=1e-12)


def test_softplus_has_no_cut_where_float64_would_see_it():
    z = torch.tensor([19.0, 21.0, 30.0], dtype=torch.float64)
    assert deep.ACTIVATIONS["softplus"].value(z).numpy() == pytest.approx(np.logaddexp(0, z.numpy()), rel=1e-15)


@pytest.mark.parametrize("name", sorted(deep.ACTIVATIONS))
def test_slopes_are_derivatives(name):
    z = torch.linspace(-3, 3, 40, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(deep.ACTIVATIONS[name].value(z).sum(), z)
    assert torch.allclose(deep.ACTIVATIONS[name].slope(z), slope, atol=1e-14)


def test_c_sigma_keeps_the_norm():
    """001-E3: |x^(h)| stays near 1 at every depth with c_sigma, and not with another constant."""
    net = network("fully_connected", depth=10, width=600)
    x = inputs("fully_connected")
    norms = [
        part.square().sum(dim=(2, 3)).mean() for part in forward(net, initial_weights(net, 1, 12, [0, 1]), x).features
    ]
    assert max(abs(float(norm) - 1) for norm in norms) < 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_forward_is_the_papers_formula(kind):
    """Layer by layer, one input and one seed at a time, channels before pixels as in the paper."""
    net, x = network(kind), inputs(kind)
    weights = initial_weights(net, *x.shape[1:], [3, 4])
    found = forward(net, weights, x).outputs
    m, sigma = net.width, torch.nn.functional.softplus

    def phi(image: torch.Tensor) -> torch.Tensor:  # (d, p) -> (q d, p)
        if kind != "conv_resnet":
            return image
        channels, pixels = image.shape
        result = torch.zeros(3, channels, pixels, dtype=image.dtype)
        for k in range(3):
            for pixel in range(pixels):
                if 0 <= pixel + k - 1 < pixels:
                    result[k, :, pixel] = image[:, pixel + k - 1]
        return result.reshape(3 * channels, pixels)

    for s in range(2):
        for i in range(len(x)):
            here = (deep.c_sigma("softplus") / m) ** 0.5 * sigma(weights[0][s] @ phi(x[i].T))
            for w in weights[1:-1]:
                if kind == "fully_connected":
                    here = (deep.c_sigma("softplus") / m) ** 0.5 * sigma(w[s] @ here)
                else:
                    here = here + 0.5 / (net.depth * m**0.5) * sigma(w[s] @ phi(here))
            expected = (weights[-1][s, 0] * here.T.reshape(-1)).sum()
            assert float(found[s, i, 0]) == pytest.approx(float(expected), rel=1e-12)


def test_patches_have_the_printed_norms():
    x = inputs("conv_resnet")
    seen = patches(x, 3)
    assert seen.shape == (6, 4, 9)
    lengths, before = seen.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1)
    assert (lengths >= before).all() and (lengths <= 3**0.5 * before).all()


def test_weights_of_a_seed_do_not_depend_on_the_other_seeds():
    net = network("resnet")
    both, alone = initial_weights(net, 1, 12, [5, 9]), initial_weights(net, 1, 12, [9])
    assert all(torch.equal(b[1], a[0]) for b, a in zip(both, alone, strict=True))
    assert abs(float(both[1].std()) - 1) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_descent_is_that_of_a_plain_script(kind):
    """002-E2: u(0), u(1), ... with ten outputs, against torch's own optimiser, one seed alone."""
    net, x = network(kind, outputs=3), inputs(kind)
    y = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = initial_weights(net, *x.shape[1:], [0, 1])
    path = descend(net, weights, x, y, [0.01, 0.02], 15)
    own = [w[1:].clone().requires_grad_() for w in weights]
    optimiser = torch.optim.SGD(own, lr=0.02)
    for k in range(16):
        value = loss(forward(net, own, x).outputs, y).sum()
        assert path.losses[1, k] == pytest.approx(value.item(), rel=1e-10)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()


def test_slides_and_paper_describe_the_same_descent():
    """002-E1: R = L / n with step n eta moves the weights as L with step eta; f has the slides' form W_L sigma(...)."""
    net, x, y = network("fully_connected"), inputs("fully_connected"), torch.ones(6, 1, dtype=torch.float64)
    weights = initial_weights(net, 1, 12, [0])
    eta, n = 0.01, 6
    ours = descend(net, weights, x, y, [eta], 5).losses[0] / n
    slides = [w.clone().requires_grad_() for w in weights]
    for k in range(6):
        risk = (forward(net, slides, x).outputs - y).square().sum() / (2 * n)
        assert risk.item() == pytest.approx(ours[k], rel=1e-12)
        gradient = torch.autograd.grad(risk, slides)
        slides = [(w - n * eta * g).detach().requires_grad_() for w, g in zip(slides, gradient, strict=True)]


def test_divergence_is_recorded_and_stays_alone():
    net, x, y = network("resnet"), inputs("resnet"), torch.ones(6, 1, dtype=torch.float64)
    weights = initial_weights(net, 1, 12, [0, 0])
    path = descend(net, weights, x, y, [0.01, 1e4], 20, (0, 20))
    assert path.diverged_at[0] == -1 and np.isfinite(path.losses[0]).all()
    at = path.diverged_at[1]
    assert 1 <= at <= 5 and np.isnan(path.losses[1, at + 1 :]).all()
    last = path.records[-1]
    assert last.step == 20 and np.isfinite(last.drift[0]).all() and np.isnan(last.drift[1]).all()
    assert np.isfinite(last.lambda_min_total[0]) and np.isnan(last.lambda_min_total[1])
    assert path.losses[0] == pytest.approx(
        descend(net, [w[:1] for w in weights], x, y, [0.01], 20).losses[0], rel=1e-12
    )


def test_movement_is_measured_as_said():
    net, x, y = network("resnet", depth=2), inputs("resnet"), torch.ones(6, 1, dtype=torch.float64)
    weights = initial_weights(net, 1, 12, [0])
    path = descend(net, weights, x, y, [0.05], 1, (0, 1))
    start, end = path.records
    assert not start.moved_rms.any() and not start.drift.any()
    frozen = [w.clone().requires_grad_() for w in weights]
    gradient = torch.autograd.grad(loss(forward(net, frozen, x).outputs, y).sum(), frozen)
    change = 0.05 * gradient[1][0]
    assert end.moved_max[0, 1] == pytest.approx(float(change.norm(dim=1).max()), rel=1e-9)
    assert end.moved_rms[0, 1] == pytest.approx(float(change.norm()) / 20**0.5, rel=1e-9)
    assert end.moved_relative[0, 1] == pytest.approx(float(change.norm() / weights[1].norm()), rel=1e-9)
    assert end.moved_max[0, 2] == pytest.approx(0.05 * float(gradient[2].abs().max()), rel=1e-9)


def test_theorems_in_orders_of_magnitude():
    assert theory.step_order("fully_connected", 0.1, 10, 3) == pytest.approx(0.1 / 100 / 8)
    assert theory.step_order("resnet", 0.1, 10, 3) == pytest.approx(0.1 * 9 / 100)
    assert theory.width_order("fully_connected", 0.1, 10, 3, 0.1) == pytest.approx(8 * 1e8)
    assert theory.width_order("resnet", 0.1, 10, 3, 0.1) == pytest.approx(1e8 / 3**6, rel=1e-9)
    assert theory.width_order("conv_resnet", 0.1, 10, 3, 0.1) == pytest.approx(1e8 / 9, rel=1e-9)
    assert theory.linear_rate_bound(np.array([2]), 0.5, 0.4)[0] == pytest.approx(0.81)
    assert theory.slide_rate_bound(np.array([2]), 0.5, 0.4)[0] == pytest.approx(0.64)
