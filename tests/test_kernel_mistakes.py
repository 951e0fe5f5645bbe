"""What a user of the kernel library does wrong gets one sentence; what is right keeps working, steep activations too."""

from __future__ import annotations

import doctest
import resource
import warnings

import numpy as np
import psutil
import pytest
import torch
from scipy import integrate

from zeroloss.errors import UserError
from zeroloss.kernels import arguments, assembly, regression
from zeroloss.kernels.convolutional import ConvolutionalKernel
from zeroloss.kernels.dual_activation import dual_activation
from zeroloss.kernels.regression import interpolate
from zeroloss.kernels.tangent import TangentKernel
from zeroloss.networks.deep import Activation, gauss_hermite
from zeroloss.randomness import torch_generator


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch_generator(seed, "kernel mistakes", *shape))


def unit(n, d, seed=0):
    x = normal(n, d, seed=seed)
    return x / x.norm(dim=1, keepdim=True)


def replaced(values, value, *where):
    values = values.clone()
    values[where] = value
    return values


def refused(call, words):
    with pytest.raises(UserError, match=words) as told:
        call()
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


X = unit(4, 3)
IMAGES = normal(2, 1, 4, 4)
GRAM, TARGETS = torch.eye(3, dtype=torch.float64), torch.ones(3, 2)

MISTAKES = {
    "half a layer": (lambda: TangentKernel(2.5), "depth is 2.5.*whole number"),
    "depth in quotes": (lambda: TangentKernel("2"), "depth is '2'.*whole number"),
    "no nodes": (lambda: TangentKernel(1, nodes=0), "nodes is 0: .* 1 to 4000"),
    "too many nodes": (lambda: TangentKernel(1, "tanh", nodes=10**9), "1 to 4000"),
    "half a node": (lambda: dual_activation("tanh", 10.5), "nodes is 10.5"),
    "NaN as bias": (lambda: TangentKernel(1, bias_variance=float("nan")), "bias_variance is nan"),
    "no inputs": (lambda: TangentKernel(1)(X[:0]), r"shape \(0, 3\)"),
    "no second inputs": (lambda: TangentKernel(1)(X, X[:0]), r"shape \(0, 3\)"),
    "a list": (lambda: TangentKernel(1)([[1.0, 0.0]]), "builtins.list: a torch tensor is needed"),
    "an array": (lambda: TangentKernel(1)(X.numpy()), r"numpy.ndarray: a torch tensor.*torch\.from_numpy"),
    "a list for the diagonal": (lambda: TangentKernel(1).diagonal([[1.0]]), "a torch tensor is needed"),
    "NaN": (lambda: TangentKernel(1)(replaced(X, torch.nan, 2, 1)), "input 2 has entries that are NaN"),
    "NaN, unit": (lambda: TangentKernel(1, unit_inputs=True)(replaced(X, torch.nan, 2, 1)), "input 2 has entries"),
    "infinity in the second": (lambda: TangentKernel(1)(X, replaced(X, -torch.inf, 3, 0)), "input 3 .* infinite"),
    "depths as a number": (lambda: ConvolutionalKernel(3, True), r"depths is 3: it takes a tuple .* \(3,\)"),
    "depths in quotes": (lambda: ConvolutionalKernel(("3",), True), "depths is .*whole numbers"),
    "half a convolution": (lambda: ConvolutionalKernel((3.5,), True), "depths is .*whole numbers"),
    "NaN images": (lambda: ConvolutionalKernel((3,), True)(replaced(IMAGES, torch.nan, 1, 0, 2, 2)), "image 1 has"),
    "no images": (lambda: ConvolutionalKernel((3,), True)(IMAGES[:0]), r"shape \(0, 1, 4, 4\)"),
    "images as an array": (lambda: ConvolutionalKernel((3,), True)(IMAGES.numpy()), "torch.from_numpy"),
    "targets of one dimension": (lambda: interpolate(GRAM, TARGETS[:, 0]), r"targets have shape \(3,\).*\[:, None\]"),
    "too few targets": (lambda: interpolate(GRAM, TARGETS[:2]), "2 targets .* 3 inputs"),
    "not square": (lambda: interpolate(GRAM[:2], TARGETS[:2]), r"shape \(2, 3\): it takes a square"),
    "gram as an array": (lambda: interpolate(GRAM.numpy(), TARGETS), "numpy.ndarray: a torch tensor"),
    "targets as a list": (lambda: interpolate(GRAM, [[1.0]] * 3), "targets are of type builtins.list"),
    "whole-number gram": (lambda: interpolate(GRAM.int(), TARGETS), "torch.int32.*float32 or float64"),
    "whole-number targets": (lambda: interpolate(GRAM, TARGETS.long()), "torch.int64.*float32 or float64"),
    "NaN gram": (lambda: interpolate(replaced(GRAM, torch.nan, 0, 1), TARGETS), "matrix has entries that are not finite"),
    "infinite targets": (lambda: interpolate(GRAM, replaced(TARGETS, torch.inf, 0, 1)), "targets have entries"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(mistake):
    refused(*MISTAKES[mistake])


def test_the_examples_hold():
    assert not doctest.testmod(arguments).failed and not doctest.testmod(regression).failed


def test_whole_numbers_of_numpy_and_lists_of_depths_are_taken():
    assert torch.equal(TangentKernel(np.int64(2))(X), TangentKernel(2)(X))
    assert torch.equal(ConvolutionalKernel([3], False)(IMAGES), ConvolutionalKernel((np.int32(3),), False)(IMAGES))


# quadrature


def test_the_rule_is_numpys_and_stays_a_rule_where_numpys_overflows():
    points, weights = np.polynomial.hermite_e.hermegauss(100)
    ours = gauss_hermite(100)
    assert np.allclose(ours[0], points, rtol=1e-13, atol=1e-13)
    assert np.allclose(ours[1], weights / weights.sum(), rtol=0, atol=1e-14)
    for nodes in (400, 2000, 8000):
        z, w = gauss_hermite(nodes)
        assert [float(w @ z**k) for k in (0, 2, 4, 6)] == pytest.approx([1, 1, 3, 15], rel=1e-11)


def reference(x):
    """Tangent kernel of one hidden layer of tanh: sums over a grid, whose error falls like exp(-2 pi 0.5 / step) here."""
    z = np.arange(-10, 10, 0.04)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    def slope(u):
        return 1 - np.tanh(u) ** 2

    normaliser = 1 / integrate.quad(lambda t: np.tanh(t) ** 2 * np.exp(-t * t / 2) / np.sqrt(2 * np.pi), -12, 12)[0]
    covariance = x @ x.T
    found = np.empty_like(covariance)
    for i, j in np.ndindex(covariance.shape):
        deviation = covariance[i, i] ** 0.5
        along = covariance[i, j] / deviation
        u, v = deviation * z[:, None], along * z[:, None] + max(0.0, covariance[j, j] - along**2) ** 0.5 * z
        values, slopes = (
            integrate.trapezoid(integrate.trapezoid(f(u) * f(v) * weight[:, None] * weight, z, axis=1), z)
            for f in (np.tanh, slope)
        )
        found[i, j] = normaliser * (values + slopes * covariance[i, j])
    return found


@pytest.mark.parametrize(("length", "nodes"), [(2, 200), (3, 400)])
def test_more_nodes_help_a_steep_tanh_and_nothing_warns(length, nodes):
    x = length * unit(3, 3, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(lambda: TangentKernel(1, "tanh")(x), r"100 nodes .* error of \d.*take more nodes \(4000 at most")
        found = TangentKernel(1, "tanh", nodes=nodes)(x).numpy()
    # the quadrature lets 1e-5 of each of the two expectations through
    assert np.allclose(found, reference(x.numpy()), rtol=2e-5)


def test_an_input_of_zero_is_no_error_of_the_quadrature():
    found = TangentKernel(2, "tanh")(replaced(X, 0.0, 1))
    assert bool((found[1] == 0).all()) and bool(torch.isfinite(found).all())


def test_an_activation_that_overflows_is_told():
    steep = Activation(lambda z: torch.exp(z**2), torch.ones_like)
    refused(lambda: TangentKernel(1, steep, weight_variance=1.0)(10 * X), "the activation is not finite")
    slope = Activation(torch.ones_like, lambda z: torch.exp(z**2))
    refused(lambda: TangentKernel(1, slope, weight_variance=1.0)(10 * X), "the activation is not finite")


# memory


def test_a_block_that_does_not_fit_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(assembly, "free_memory", lambda device: 2**34)
    monkeypatch.setattr(ConvolutionalKernel, "_block", lambda *arguments: pytest.fail("a block was made"))
    large = torch.zeros(2, 1, 256, 256)
    refused(
        lambda: ConvolutionalKernel((3,), True)(large), "256 x 256, .* need 96 GiB and 16 GiB are free: .*fewer pixels"
    )
    monkeypatch.setattr(assembly, "free_memory", lambda device: 2**20)
    refused(lambda: ConvolutionalKernel((3,), False)(large), "need 0.00317 GiB and .*fewer pixels or float32")


def test_a_limit_of_the_process_counts_as_memory(monkeypatch):
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda which: (used + 2**28, resource.RLIM_INFINITY))
    assert assembly.free_memory(torch.device("cpu")) < 2**29
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1, 1))
    assert assembly.free_memory(torch.device("cpu")) == 0


# equal inputs in single precision


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("d", [2, 10, 784])
@pytest.mark.parametrize(
    "kernel",
    [
        TangentKernel(0),
        TangentKernel(1),
        TangentKernel(2),
        TangentKernel(6, bias_variance=0.1),
        TangentKernel(2, "erf"),
    ],
)
def test_equal_inputs_are_named_in_single_precision_and_near_ones_are_let_through(kernel, d, length):
    n = 300 if d > 2 else 30
    x = length * unit(n, d, seed=3)
    y = normal(n, 1, seed=4)
    if kernel.depth == 0:
        n = min(n, d)  # the linear kernel has rank d
        x, y = x[:n], y[:n]
    twin = n - 2
    if n > 4:
        x[twin] = x[1]
        refused(lambda: interpolate(kernel(x.float()), y), rf"inputs 1 and {twin} are equal")
        refused(lambda: interpolate(kernel(x), y), rf"inputs 1 and {twin} are equal|singular to rounding.*nearest")
    # one percent apart: nothing of this may be refused
    x[twin] = x[1] + 0.01 * length * unit(1, d, seed=6)[0]
    assert regression._equal_pair(kernel(x.float())) is None
    assert regression._equal_pair(kernel(x)) is None


def test_nearest_neighbours_of_smooth_kernels_are_let_through():
    """Entries of 0.9995 are exact there, near all others or far from them."""
    for scale in (0.02, 2.0):
        x = torch.cat([scale * normal(60, 3, seed=7), torch.zeros(2, 3, dtype=torch.float64)])
        x[61, 0] = 0.03
        assert regression._equal_pair(torch.exp(-torch.cdist(x, x).square() / 2).float()) is None
    far = torch.eye(4)
    far[0, 1] = far[1, 0] = 0.9995
    assert torch.isfinite(interpolate(far, torch.ones(4, 1))).all(), "entries of zero say nothing"
