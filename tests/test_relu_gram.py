"""H-infinity and H(W): closed form, exact cases, Monte Carlo and bounds that always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.errors import UserError
from zeroloss.kernels import relu_gram


def sphere(samples: int, dimension: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(uniform_on_sphere(samples, dimension, np.random.default_rng(seed)))


def test_closed_form_agrees_with_monte_carlo():
    """E[x.y 1{w.x >= 0, w.y >= 0}] over 400,000 draws of w; five standard errors of the mean are the tolerance."""
    x, draws = sphere(6, 3), 400_000
    w = torch.from_numpy(np.random.default_rng(1).standard_normal((draws, 3)))
    active = (w @ x.T >= 0).double()
    probability = active.T @ active / draws
    estimate = (x @ x.T) * probability
    error = (x @ x.T).abs() * (probability * (1 - probability) / draws).sqrt()
    assert ((estimate - relu_gram.infinite_width_gram(x)).abs() <= 5 * error + 1e-12).all()


def test_orthogonal_inputs_give_one_half():
    gram = relu_gram.infinite_width_gram(torch.eye(7, dtype=torch.float64))
    torch.testing.assert_close(gram, 0.5 * torch.eye(7, dtype=torch.float64), rtol=0, atol=1e-16)
    assert relu_gram.limit_spectrum(torch.eye(7, dtype=torch.float64), "axes").lambda_0 == pytest.approx(0.5, abs=1e-15)


def test_antipodal_pair_has_entry_zero():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(relu_gram.infinite_width_gram(x), 0.5 * torch.eye(2, dtype=torch.float64))
    assert relu_gram.parallel_pair(x) is None


@settings(max_examples=60, deadline=None)
@given(samples=st.integers(2, 12), dimension=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_entries_are_at_most_one_half(samples, dimension, seed):
    gram = relu_gram.infinite_width_gram(sphere(samples, dimension, seed))
    assert (gram.abs() <= 0.5 + 1e-15).all()
    assert torch.equal(gram.diagonal(), torch.full((samples,), 0.5, dtype=torch.float64))
    torch.testing.assert_close(gram, gram.T, rtol=0, atol=1e-15)
    assert relu_gram.extreme_eigenvalues(gram)[0] >= -1e-12


@settings(max_examples=60, deadline=None)
@given(samples=st.integers(2, 8), dimension=st.integers(8, 200), seed=st.integers(0, 10_000))
def test_gershgorin_bound(samples, dimension, seed):
    """Row sums of |H_ij|, j != i, of at most 1/2 - delta imply lambda_0 >= delta (document 003)."""
    gram = relu_gram.infinite_width_gram(sphere(samples, dimension, seed))
    delta = 0.5 - float((gram.abs().sum(dim=1) - 0.5).max())
    assert relu_gram.extreme_eigenvalues(gram)[0] >= delta - 1e-13


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_angle_of_almost_parallel_inputs_keeps_its_digits(gap, sign):
    """The angle itself is known here; arccos of the cosine would lose up to all of it at gap = 1e-8."""
    x = torch.tensor([[1.0, 0.0], [sign * math.cos(gap), sign * math.sin(gap)]], dtype=torch.float64)
    expected = gap if sign > 0 else math.pi - gap
    assert float(relu_gram.angles(x)[0, 1]) == pytest.approx(expected, rel=1e-9 if sign > 0 else 1e-15)


def test_lambda_0_of_a_close_pair_is_gap_over_two_pi():
    """Two unit inputs at angle e: lambda_0 = 1/2 - cos(e)(pi - e)/(2 pi) = e / (2 pi) + O(e^2)."""
    gap = 1e-5
    x = torch.tensor([[1.0, 0.0], [math.cos(gap), math.sin(gap)]], dtype=torch.float64)
    assert relu_gram.limit_spectrum(x, "pair").lambda_0 == pytest.approx(gap / (2 * math.pi), rel=1e-4)


def test_duplicates_are_named():
    x = sphere(5, 4)
    x[3] = x[1]
    assert relu_gram.parallel_pair(x) == (1, 3)
    with pytest.raises(UserError, match="inputs 1 and 3 of toy are parallel"):
        relu_gram.limit_spectrum(x, "toy")


def test_linearly_dependent_tangents_are_refused():
    """More antipodal pairs than dimensions: x 1{w.x>=0} - (-x) 1{w.-x>=0} = x spans only d directions."""
    half = sphere(3, 2)
    with pytest.raises(UserError, match="zero to rounding"):
        relu_gram.limit_spectrum(torch.cat([half, -half]), "pairs")


def test_inputs_must_have_unit_length():
    with pytest.raises(UserError, match="unit length"):
        relu_gram.infinite_width_gram(2 * sphere(3, 3))


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (64, 1), (300, 1), (1, 9), (3, 17), (129, 64), (300, 50)])
def test_coactivation_counts_are_exact(shape):
    active = torch.from_numpy(np.random.default_rng(0).random(shape) < 0.5)
    expected = active.numpy().astype(np.int64)
    np.testing.assert_array_equal(relu_gram.coactivation_counts(active).numpy(), expected.T @ expected)


def test_extreme_eigenvalues_agree_with_scipy():
    from scipy.linalg import eigvalsh

    gram = relu_gram.infinite_width_gram(sphere(40, 5))
    spectrum = eigvalsh(gram.numpy())
    assert relu_gram.extreme_eigenvalues(gram) == pytest.approx((spectrum[0], spectrum[-1]), rel=1e-10)
