"""The convolutional tangent kernel, and both kernels against the stored values of neural-tangents."""

from __future__ import annotations

import csv
import doctest
import importlib.util
import json
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import torch

from zeroloss.checkpoint import Checkpoints
from zeroloss.errors import UserError
from zeroloss.kernels import convolutional, regression
from zeroloss.kernels.convolutional import ConvolutionalKernel
from zeroloss.kernels.tangent import TangentKernel
from zeroloss.randomness import torch_generator


def script(project):
    path = project / "benchmarks/oracles/neural_tangents_values.py"
    spec = importlib.util.spec_from_file_location("neural_tangents_values", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def oracle():
    from tests.conftest import PROJECT

    return script(PROJECT)


@pytest.fixture(scope="module")
def stored():
    """(case, kernel) -> symmetric matrix, float64, of neural-tangents 0.6.5."""
    from tests.conftest import PROJECT

    entries = defaultdict(dict)
    with open(PROJECT / "tests/data/neural_tangents_values.csv") as handle:
        for row in csv.DictReader(handle):
            entries[row["case"], row["kernel"]][int(row["row"]), int(row["column"])] = float(row["value"])
    found = {}
    for key, cells in entries.items():
        matrix = np.empty((1 + max(i for i, _ in cells),) * 2)
        for (i, j), value in cells.items():
            matrix[i, j] = matrix[j, i] = value
        found[key] = torch.from_numpy(matrix)
    return found


def dense_kernels(oracle, name, dtype):
    depth, activation, weight, bias, unit = oracle.FULLY_CONNECTED[name]
    kernel = TangentKernel(depth, activation, weight_variance=weight, bias_variance=bias)
    x = torch.from_numpy(oracle.vectors(unit)).to(dtype)
    return kernel.kernels(x), kernel.diagonal(x.double())


def image_kernel(oracle, name, dtype):
    depth, pooling = oracle.CONVOLUTIONAL[name]
    return ConvolutionalKernel((depth,), pooling, all_trained=True)(torch.from_numpy(oracle.images()).to(dtype))[0]


# float32 entries carry 1e-7 of the diagonal; the requirement on each entry is 5e-5 of itself
TOLERANCE = {torch.float64: 1e-9, torch.float32: 5e-5}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ["relu_1", "relu_3", "relu_5", "relu_3_bias", "erf_2", "erf_4_bias"])
def test_fully_connected_kernels_are_those_of_neural_tangents(oracle, stored, name, dtype):
    found, exact = dense_kernels(oracle, name, dtype)
    off = ~torch.eye(len(found.ntk), dtype=torch.bool)
    for kernel, ours, diagonal in zip(("nngp", "ntk"), found, exact, strict=True):
        theirs = stored[name, kernel]
        scale = theirs.abs().clamp(min=1e-2 * theirs.abs().max())  # erf: some entries pass through zero
        assert float(((ours.double() - theirs).abs() / scale)[off].max()) <= TOLERANCE[dtype]
        assert torch.allclose(ours.double().diagonal(), diagonal, rtol=1e-6)
        # neural-tangents takes arccos on the diagonal, which loses half the digits
        assert torch.allclose(theirs.diagonal(), diagonal, rtol=1e-7)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ["vanilla_3", "vanilla_6", "pooling_3", "pooling_6"])
def test_convolutional_kernels_are_those_of_neural_tangents(oracle, stored, name, dtype):
    ours, theirs = image_kernel(oracle, name, dtype).double(), stored[name, "ntk"]
    off = ~torch.eye(len(ours), dtype=torch.bool)
    assert float((ours / theirs - 1).abs()[off].max()) <= TOLERANCE[dtype]
    assert torch.allclose(ours.diagonal(), theirs.diagonal(), rtol=1e-4)


@pytest.mark.oracle
def test_stored_values_are_what_neural_tangents_gives_now(project, stored):
    """Live, in an environment of its own: ZEROLOSS_NEURAL_TANGENTS names its Python."""
    python = os.environ.get("ZEROLOSS_NEURAL_TANGENTS", sys.executable)
    if subprocess.run([python, "-c", "import neural_tangents"], capture_output=True).returncode:
        pytest.skip("neural-tangents is not importable: set ZEROLOSS_NEURAL_TANGENTS to a Python that has it")
    program = project / "benchmarks/oracles/neural_tangents_values.py"
    done = subprocess.run([python, program], capture_output=True, text=True, check=True)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert len(rows) == 720
    for row in rows:
        value = stored[row["case"], row["kernel"]][int(row["row"]), int(row["column"])]
        assert float(row["value"]) == pytest.approx(float(value), rel=1e-6), json.dumps(row)


def images(n, channels, height, width, seed=0):
    return torch.randn(
        n, channels, height, width, dtype=torch.float64, generator=torch_generator(seed, "cntk tests", n, height)
    )


@pytest.mark.parametrize("pooling", [False, True])
def test_it_is_the_mean_of_the_kernels_of_wide_networks(pooling):
    """Gradients by automatic differentiation of a CNN with the authors' untrained layers."""
    x, width, nets, depth = images(3, 2, 4, 3), 160, 40, 3
    grams = []
    for seed in range(nets):
        generator = torch_generator(seed, "cntk networks")
        w1 = torch.randn(width, 2, 3, 3, dtype=torch.float64, generator=generator).requires_grad_()
        w2 = torch.randn(width, width, 3, 3, dtype=torch.float64, generator=generator).requires_grad_()
        top = torch.randn(width if pooling else (width, 4, 3), dtype=torch.float64, generator=generator)
        top.requires_grad_()
        trained = (w2,) if pooling else (w1, w2, top)
        g = torch.nn.functional.conv2d(x, w1, padding=1).relu() * (2 / 9 / width) ** 0.5
        g = torch.nn.functional.conv2d(g, w2, padding=1).relu() * (2 / 9 / width) ** 0.5
        outputs = g.mean(dim=(2, 3)) @ top if pooling else torch.einsum("ncij,cij->n", g, top)
        rows = [
            torch.cat([part.flatten() for part in torch.autograd.grad(one, trained, retain_graph=True)])
            for one in outputs
        ]
        grams.append(torch.stack(rows) @ torch.stack(rows).T)
    grams = torch.stack(grams)
    limit = ConvolutionalKernel((depth,), pooling)(x)[0]
    error = 5 * grams.std(0) / nets**0.5 + 5 / width * limit.abs().max()
    assert bool(((grams.mean(0) - limit).abs() <= error).all())
    assert float((error / limit.abs()).diagonal().max()) < 0.25, "the test would see a factor"


@pytest.mark.parametrize("pooling", [False, True])
def test_blocks_depths_and_precision_change_nothing(pooling, monkeypatch):
    x = images(9, 2, 4, 5)
    kernel = ConvolutionalKernel((3, 4, 6), pooling)
    whole = kernel(x)
    assert torch.equal(whole, whole.mT)
    for k, depth in enumerate(kernel.depths):
        assert torch.equal(ConvolutionalKernel((depth,), pooling)(x)[0], whole[k])
    assert torch.allclose(kernel(x[:4], x[4:]), whole[:, :4, 4:], rtol=1e-12)
    assert torch.allclose(kernel(x, x), whole, rtol=1e-7)
    assert float((kernel(x.float()).double() / whole - 1).abs().max()) < 2e-6
    monkeypatch.setitem(convolutional.ENTRIES, "cpu", 1)
    assert torch.allclose(kernel(x), whole, rtol=1e-12)


def test_one_pixel_is_the_fully_connected_kernel():
    """A 3 x 3 patch of a 1 x 1 image is that pixel: the recursion with 2 / 9 in the place of 2."""
    x = images(6, 4, 1, 1)
    dense = TangentKernel(3, weight_variance=2 / 9)(x.flatten(1))
    for pooling in (False, True):
        assert torch.allclose(ConvolutionalKernel((4,), pooling, all_trained=True)(x)[0], dense, rtol=1e-12)


def test_an_empty_image_has_no_kernel_and_no_nan():
    x = images(3, 1, 4, 4)
    x[0] = 0
    for pooling in (False, True):
        found = ConvolutionalKernel((3,), pooling)(x)[0]
        assert bool((found[0] == 0).all()) and bool(torch.isfinite(found).all())


def test_finished_bands_are_taken_up(tmp_path, monkeypatch):
    monkeypatch.setitem(convolutional.ENTRIES, "cpu", 4 * 12)
    x, kernel = images(7, 1, 4, 3), ConvolutionalKernel((3, 4), False)
    whole = kernel(x, checkpoints=Checkpoints(tmp_path, "key", seconds=0), name="here")
    assert len(list(tmp_path.glob("here_rows*.npz"))) == 4
    long = kernel(x, checkpoints=Checkpoints(tmp_path / "long", "key"), name="here")
    assert torch.equal(long, whole) and len(list((tmp_path / "long").glob("*.npz"))) == 1, "not a file a row"
    monkeypatch.setattr(ConvolutionalKernel, "_block", None)
    assert torch.equal(kernel(x, checkpoints=Checkpoints(tmp_path / "long", "key"), name="here"), whole)
    assert torch.equal(kernel(x, checkpoints=Checkpoints(tmp_path, "key"), name="here"), whole)


def test_bad_images_get_one_clear_sentence():
    x = images(2, 3, 4, 4)
    for make, words in [
        (lambda: ConvolutionalKernel((1, 3), False), "depths are .1, 3.*2 at least$"),
        (lambda: ConvolutionalKernel((2, 3), True), "3 at least where first and last"),
        (lambda: ConvolutionalKernel((3,), True)(x[0]), r"shape \(3, 4, 4\)"),
        (lambda: ConvolutionalKernel((3,), True)(x.int()), "float32 or float64"),
        (lambda: ConvolutionalKernel((3,), True)(x, x[:, :1]), r"\(3, 4, 4\) and \(1, 4, 4\)"),
    ]:
        with pytest.raises(UserError, match=words):
            make()


def test_interpolation_names_equal_inputs():
    generator = torch_generator(0, "regression tests")
    x = torch.randn(12, 4, dtype=torch.float64, generator=generator)
    y = torch.randn(12, 2, dtype=torch.float64, generator=generator)
    kernel = TangentKernel(2)
    gram = kernel(x)
    assert torch.allclose(gram @ regression.interpolate(gram, y), y, atol=1e-10)
    assert not doctest.testmod(regression).failed and not doctest.testmod(convolutional).failed
    x[7] = x[3]
    with pytest.raises(UserError, match="inputs 3 and 7 are equal"):
        regression.interpolate(kernel(x, x) * 1.0, y)
    with pytest.raises(UserError, match="not finite"):
        regression.interpolate(gram * torch.nan, y)
    with pytest.raises(UserError, match=r"no two inputs are equal .* float64"):
        regression.interpolate(torch.tensor([[1.0, 0, 0.9], [0, 1, 0.9], [0.9, 0.9, 1]]), y[:3])
