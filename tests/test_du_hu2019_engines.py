"""Du-Hu and Hu-Xiao-Pennington: loss, Gram matrix, exact reductions and bounds against independent computations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.errors import UserError
from zeroloss.kernels.linear_gram import linear_gram, partial_singular_values, spectra
from zeroloss.networks import deep_linear
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.theory import du_hu2019 as theory
from zeroloss.training.deep_linear_descent import descend


def problem(samples=3, outputs=2, inputs=20, seed=0, target="unit_phi"):
    return theory.gaussian_problem(numpy_generator(seed, "test"), inputs, samples, outputs, target)


def gaussian(depth, width, d_in=3, d_out=2, seeds=(0,)):
    generators = [torch_generator(seed, "start") for seed in seeds]
    return deep_linear.gaussian(deep_linear.layer_shapes(d_in, width, d_out, depth), width**-0.5, generators)


def printed_outputs(weights, x, width):
    """Eq. (1) as printed, in W."""
    product = x
    for layer in weights:
        product = layer @ product
    return product / (width ** (len(weights) - 1) * weights[-1].shape[0]) ** 0.5


@pytest.mark.parametrize(("depth", "width"), [(2, 5), (4, 3), (5, 6)])
def test_descent_is_that_of_the_printed_loss(depth, width):
    """Eqs. (1) and (2): autograd on the printed loss in W against the batched descent in V."""
    task = problem()
    x, y = torch.tensor(task.x), torch.tensor(task.y)
    eta = theory.gaussian_step(task, depth)
    layers = gaussian(depth, width)
    weights = [(layer[0] * width**0.5).requires_grad_() for layer in layers]
    expected = []
    for _ in range(6):
        loss = 0.5 * (printed_outputs(weights, x, width) - y).square().sum()
        expected.append(loss.item())
        gradients = torch.autograd.grad(loss, weights)
        weights = [(w - eta * g).detach().requires_grad_() for w, g in zip(weights, gradients, strict=True)]
    path = descend(layers, x, y, eta / width, 5, scale=(width / task.outputs) ** 0.5)
    np.testing.assert_allclose(path.losses[0], expected, rtol=1e-10)


@pytest.mark.parametrize(("depth", "width"), [(2, 4), (3, 5), (5, 3)])
def test_gram_is_that_of_the_jacobian(depth, width):
    x = torch.tensor(problem().x)
    layers = gaussian(depth, width, seeds=(0, 1))
    found = linear_gram(layers, x) / 2
    for number in range(2):
        weights = tuple(layer[number] * width**0.5 for layer in layers)
        jacobians = torch.autograd.functional.jacobian(lambda *w: printed_outputs(w, x, width).mT, weights)
        flat = torch.cat([part.reshape(x.shape[1] * 2, -1) for part in jacobians], dim=1)
        torch.testing.assert_close(found[number], flat @ flat.mT)


def test_partial_singular_values_are_of_all_products_but_the_whole():
    layers = gaussian(4, 5, seeds=(0, 1))
    least, largest = partial_singular_values(layers).T
    for number in range(2):
        values = []
        for i in range(4):
            for j in range(i, 4):
                if (i, j) == (0, 3):
                    continue
                product = layers[i][number]
                for layer in layers[i + 1 : j + 1]:
                    product = layer[number] @ product
                values.append(torch.linalg.svdvals(product))
        assert float(least[number]) == pytest.approx(min(v.min().item() for v in values))
        assert float(largest[number]) == pytest.approx(max(v.max().item() for v in values))


def test_orthogonal_starts_are_isometries():
    layers = deep_linear.compressed_orthogonal(3, 9, 2, 5, [torch_generator(0, "isometry")])
    torch.testing.assert_close(partial_singular_values(layers), torch.ones(1, 2, dtype=torch.float64))


def test_diverged_networks_have_no_spectrum():
    layers = gaussian(3, 4, seeds=(0, 1))
    layers[1][1, 0, 0] = torch.nan
    values = spectra(linear_gram(layers, torch.tensor(problem().x)))
    assert torch.isfinite(values[0]).all() and torch.isnan(values[1]).all()
    values = partial_singular_values(layers)
    assert torch.isfinite(values[0]).all() and torch.isnan(values[1]).all()


def test_inputs_reduce_to_their_span():
    """A network on X and one on R of X = Q R, with first layers W_1 and W_1 Q, have the same losses: any start."""
    generator = numpy_generator(3, "reduction")
    x, teacher = generator.standard_normal((30, 4)), generator.standard_normal((2, 30))
    q, r = np.linalg.qr(x)
    y = torch.tensor(teacher @ x)
    wide = deep_linear.orthogonal(deep_linear.layer_shapes(30, 32, 2, 4), [torch_generator(0, "wide")])
    for layers in (wide, gaussian(4, 32, d_in=30)):
        narrow = [layers[0] @ torch.tensor(q), *layers[1:]]
        eta, scale = 0.01 / 32, 4.0
        full = descend(layers, torch.tensor(x), y, eta, 200, scale=scale)
        less = descend(narrow, torch.tensor(r), y, eta, 200, scale=scale)
        assert full.losses[0, -1] < 0.5 * full.losses[0, 0]
        np.testing.assert_allclose(less.losses, full.losses, rtol=1e-10, atol=1e-18 * full.losses[0, 0])
    # the orthogonal start stays one: W_1 Q has orthonormal columns
    first = wide[0][0] @ torch.tensor(q)
    torch.testing.assert_close(first.mT @ first, torch.eye(4, dtype=torch.float64))


@pytest.mark.parametrize(("width", "depth"), [(5, 4), (7, 2), (12, 5), (40, 6)])
def test_wide_orthogonal_starts_compress_exactly(width, depth):
    """Orthogonal nets of any width against their width d_in + d_out form: losses agree to 1e-10."""
    task = problem(samples=5, outputs=3)
    x, y = torch.tensor(task.x), torch.tensor(task.y)
    generators = [torch_generator(seed, "orthogonal") for seed in range(3)]
    full = deep_linear.orthogonal(deep_linear.layer_shapes(5, width, 3, depth), generators)
    less = deep_linear.compressed(full[0], deep_linear.product(full[1:]), depth)
    assert less[0].shape[1] == min(width, 8)
    eta, scale = theory.orthogonal_step(task, depth) / width, (width / 3) ** 0.5
    a = descend(full, x, y, eta, 200, scale=scale)
    b = descend(less, x, y, eta, 200, scale=scale)
    assert (a.losses[:, -1] < 0.9 * a.losses[:, 0]).all()
    np.testing.assert_allclose(a.losses, b.losses, rtol=1e-10, atol=1e-18 * a.losses.max())


def test_compressed_orthogonal_starts_have_the_law_of_full_ones():
    """E |scale V_L ... V_1 x|^2 = |x|^2 for Haar layers, and all singular values of V_1 and V_L are 1."""
    generators = [torch_generator(seed, "law") for seed in range(800)]
    layers = deep_linear.compressed_orthogonal(3, 9, 2, 4, generators)
    assert [tuple(layer.shape[1:]) for layer in layers] == [(5, 3), (5, 5), (5, 5), (2, 5)]
    torch.testing.assert_close(layers[0].mT @ layers[0], torch.eye(3, dtype=torch.float64).expand(800, 3, 3))
    torch.testing.assert_close(layers[-1] @ layers[-1].mT, torch.eye(2, dtype=torch.float64).expand(800, 2, 2))
    squares = (9 / 2) * deep_linear.product(layers)[:, :, 0].square().sum(1)
    assert abs(float(squares.mean()) - 1) < 5 * float(squares.std()) / 800**0.5


def test_too_narrow_orthogonal_starts_are_refused():
    with pytest.raises(UserError, match=r"width 3: an orthogonal start needs at least max\(d_in, d_out\) = 4"):
        deep_linear.compressed_orthogonal(4, 3, 2, 3, [torch_generator(0, "a")])
    with pytest.raises(UserError, match="at least 2 layers"):
        deep_linear.compressed_orthogonal(4, 5, 2, 1, [torch_generator(0, "a")])


def test_outputs_keep_their_norm_on_average():
    """Claim 3.1, Gaussian start, 4000 networks."""
    layers = gaussian(4, 8, seeds=range(4000))
    squares = (8 / 2) * deep_linear.product(layers)[:, :, 0].square().sum(1)
    assert abs(float(squares.mean()) - 1) < 5 * float(squares.std()) / 4000**0.5


def test_products_of_chi_squares_are_products_of_matrices():
    from scipy import stats

    width, factors, draws = 6, 5, 3000
    found = theory.product_norms(width, factors, draws, numpy_generator(0, "norms"))
    generator = torch_generator(0, "matrices")
    vector = torch.zeros(draws, width, 1, dtype=torch.float64)
    vector[:, 0] = 1
    for _ in range(factors):
        vector = torch.randn(draws, width, width, generator=generator, dtype=torch.float64) @ vector / width**0.5
    assert stats.ks_2samp(found, vector.norm(dim=(1, 2)).numpy()).pvalue > 1e-3


def test_bartlett_triangles_give_the_singular_values_of_matrix_products():
    from scipy import stats

    width, factors, outputs, draws = 7, 4, 3, 3000
    found = theory.product_singular_values(width, factors, outputs, draws, numpy_generator(0, "triangles"))
    generator = torch_generator(1, "matrices")
    product = torch.eye(outputs, width, dtype=torch.float64).expand(draws, outputs, width)
    values = []
    for _ in range(factors):
        product = product @ torch.randn(draws, width, width, generator=generator, dtype=torch.float64) / width**0.5
        values.append(torch.linalg.svdvals(product))
    together = torch.cat(values, dim=1)
    for ours, theirs in zip(found, (together.amin(1), together.amax(1)), strict=True):
        assert stats.ks_2samp(ours, theirs.numpy()).pvalue > 1e-3


def test_problem_is_what_it_says():
    task = problem(samples=4, outputs=2, target="unit_phi")
    phi = task.y @ np.linalg.pinv(task.x)
    assert task.phi_norm == pytest.approx(1) == pytest.approx(np.linalg.norm(phi, 2))
    np.testing.assert_allclose(phi @ task.x, task.y)
    spectrum = np.linalg.eigvalsh(task.x.T @ task.x)
    assert (task.lambda_r, task.lambda_max) == pytest.approx((spectrum[0], spectrum[-1]))
    assert problem(target="unit").phi_norm < 1 < problem(target="raw").phi_norm
    # adding what the inputs cannot see never lowers the spectral norm: Phi is the minimiser of least norm
    generator = np.random.default_rng(0)
    inputs = np.linalg.qr(generator.standard_normal((9, 4)))[0]
    other = generator.standard_normal((2, 9)) @ (np.eye(9) - inputs @ inputs.T)
    assert np.linalg.norm(phi @ inputs.T + other, 2) >= np.linalg.norm(phi @ inputs.T, 2) - 1e-12


def test_contraction_and_steps():
    task = problem()
    for depth in (2, 7):
        eta = theory.gaussian_step(task, depth)
        assert theory.contraction(task, depth, eta, "gaussian") == pytest.approx(1 - 1 / (12 * task.kappa))
        eta = theory.orthogonal_step(task, depth)
        assert theory.contraction(task, depth, eta, "orthogonal") == pytest.approx(1 - 1 / (4 * task.kappa))
    assert theory.width_order(task, 8, "gaussian", 0.1) == pytest.approx(
        4 * theory.width_order(task, 2, "gaussian", 0.1)
    )
    assert theory.width_order(task, 8, "orthogonal", 0.1) == theory.width_order(task, 2, "orthogonal", 0.1)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6), depth=st.integers(2, 6), samples=st.integers(1, 4), outputs=st.integers(1, 3),
    start=st.sampled_from(["gaussian", "orthogonal"]),
)  # fmt: skip
def test_wide_networks_stay_below_their_bound(seed, depth, samples, outputs, start):
    """Theorem 4.1 of both papers over random targets, at widths of some hundred times what was found to be needed."""
    task = problem(samples, outputs, inputs=200, seed=seed)
    width, eta = 512, theory.gaussian_step(task, depth)
    generators = [torch_generator(seed + k, "start") for k in range(2)]
    if start == "gaussian":
        layers = deep_linear.gaussian(
            deep_linear.layer_shapes(samples, width, outputs, depth), width**-0.5, generators, torch.float32
        )
    else:
        layers = deep_linear.compressed_orthogonal(samples, width, outputs, depth, generators)
    path = descend(
        layers, torch.tensor(task.x), torch.tensor(task.y), eta / width, 40, scale=(width / outputs) ** 0.5,
        stop_below=1e-9 * (task.y**2).sum(),
    )  # fmt: skip
    bound = theory.contraction(task, depth, eta, start) ** np.arange(41)
    ratio = np.nan_to_num(path.losses / path.losses[:, :1], nan=0.0)
    assert (path.diverged_at < 0).all()
    assert (ratio <= bound * (1 + 1e-4)).all()
