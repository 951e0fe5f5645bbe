"""The 3-spin target, closed forms of radial units, and both particle engines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import wasserstein_distance

from zeroloss.checkpoint import Checkpoints
from zeroloss.randomness import numpy_generator
from zeroloss.theory import rotskoff2018 as theory
from zeroloss.theory.three_spin import ThreeSpin, sphere_points
from zeroloss.training.particle_flow import SphereParticles, flow
from zeroloss.training.particle_sgd import FreshPoints, Phase, SigmoidParticles, start, three_spin, train

# The target


def test_the_target_is_the_printed_sum():
    drawn = numpy_generator(3, "three spin", 4).standard_normal((4, 4, 4))
    x = numpy_generator(0, "x").standard_normal(4)
    printed = sum(drawn[p, q, r] * x[p] * x[q] * x[r] for p in range(4) for q in range(4) for r in range(4)) / 4
    assert ThreeSpin.draw(4, 3).values(x) == pytest.approx(printed, rel=1e-12)


@pytest.mark.parametrize("dimension", [3, 5, 10])
def test_mean_square_and_harmonic_parts_on_the_sphere(dimension):
    spin = ThreeSpin.draw(dimension, 0)
    x = sphere_points(200_000, dimension, numpy_generator(1, "x"))
    f = spin.values(x)
    error = f.var() ** 0.5 * (2 / len(x)) ** 0.5 * f.var() ** 0.5
    assert np.mean(f**2) == pytest.approx(spin.mean_square, abs=6 * error)
    # the rest has no part of degree 1
    rest = (f - x @ spin.linear) @ x / len(x)
    assert np.abs(rest).max() < 6 * (spin.mean_square / len(x)) ** 0.5


def test_the_mean_square_is_d_over_draws_of_the_coefficients():
    found = np.array([ThreeSpin.draw(10, seed).mean_square for seed in range(300)])
    assert abs(found.mean() - 10) < 5 * found.std() / len(found) ** 0.5


# Closed forms


@pytest.mark.parametrize("dimension", [3, 5, 10])
@pytest.mark.parametrize("kappa", [0.3, 5.0, -5.0])
def test_harmonic_factors_are_the_integrals_of_funk_and_hecke(dimension, kappa):
    weight = lambda t: (1 - t * t) ** ((dimension - 3) / 2)  # noqa: E731
    total = quad(weight, -1, 1, epsabs=1e-13)[0]
    polynomials = {0: lambda t: 1.0, 1: lambda t: t, 3: lambda t: ((dimension + 2) * t**3 - 3 * t) / (dimension - 1)}
    for degree, polynomial in polynomials.items():
        integral = quad(lambda t, p=polynomial: np.exp(kappa * t) * p(t) * weight(t), -1, 1, epsabs=1e-15)[0] / total
        assert theory.harmonic_factor(degree, kappa, dimension) == pytest.approx(integral, rel=1e-9)


@pytest.mark.parametrize("dimension", [2, 5, 10])
def test_the_series_of_the_sphere_average(dimension):
    kappas = np.array([1e-3, 1.0, 7.0, 20.0])
    found = theory.sphere_average(kappas, dimension)
    expected = [theory.harmonic_factor(0, float(kappa), dimension) for kappa in kappas]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert theory.sphere_average(np.zeros(1), dimension) == 1


@pytest.mark.parametrize("exponent", [1.0, -0.7])
def test_the_radial_loss_is_the_monte_carlo_loss(exponent):
    d, n = 5, 6
    spin, generator = ThreeSpin.draw(d, 0), numpy_generator(2, "particles")
    y, c = sphere_points(n, d, generator), generator.standard_normal(n)
    x = sphere_points(400_000, d, generator)
    squares = 0.5 * (spin.values(x) - np.exp(exponent * x @ y.T) @ c / n) ** 2
    error = squares.std() / len(x) ** 0.5
    assert float(theory.radial_loss(spin, exponent, c, y)) == pytest.approx(squares.mean(), abs=5 * error)


def test_the_grid_integrates_polynomials_exactly():
    x, weights = theory.sphere_grid(6)
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    # E x1^4 = 9/5 . 1 ... on |x|^2 = 3: 3 d^2 / (d (d + 2)) = 9/5
    assert weights @ x[:, 0] ** 4 == pytest.approx(9 / 5, rel=1e-13)
    assert weights @ (x[:, 0] ** 2 * x[:, 2] ** 2) == pytest.approx(3 / 5, rel=1e-13)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 3**0.5, rtol=1e-14)


def test_the_start_variance_is_a_gaussian_integral():
    integrand = lambda z: np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5 / (1 + np.exp(-(11**0.5) * z)) ** 2  # noqa: E731
    assert theory.sigmoid_start_variance(10, 2.0) == pytest.approx(4 * quad(integrand, -12, 12)[0], rel=1e-8)


def test_the_transport_distance_is_scipys():
    first, second = numpy_generator(0, "a").standard_normal(50), 1 + numpy_generator(0, "b").standard_normal(170)
    assert theory.transport_distance(first, second) == pytest.approx(wasserstein_distance(first, second), rel=1e-10)
    assert theory.transport_distance(first, first) == 0


# The flow on the sphere


def sphere_state(realisations, n, d, exponent=1.0):
    spin, generator = ThreeSpin.draw(d, 0), numpy_generator(1, "state")
    y = np.stack([sphere_points(n, d, generator) for _ in range(realisations)])
    c = generator.standard_normal((realisations, n))
    return spin, SphereParticles(torch.as_tensor(spin.tensor), exponent, torch.as_tensor(y), torch.as_tensor(c))


@pytest.mark.parametrize("exponent", [1.0, -1.0])
def test_velocities_are_the_energys_gradient_along_the_sphere(exponent):
    realisations, n, d = 3, 7, 5
    spin, particles = sphere_state(realisations, n, d, exponent)
    y, c = particles.positions.clone().requires_grad_(), particles.charges.clone().requires_grad_()
    target = torch.as_tensor(spin.tensor)
    f = torch.einsum("pqr,knp,knq,knr->kn", target, y, y, y)
    kernel = torch.exp(exponent * y @ y.transpose(1, 2))
    energy = -(c * f).mean(1) + torch.einsum("ki,kij,kj->k", c, kernel, c) / (2 * n**2)
    energy.sum().backward()
    particles.evaluate()
    torch.testing.assert_close(particles.energy, energy.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(particles.charge_velocity, -n * c.grad, rtol=1e-10, atol=1e-12)
    radial = (y.grad * y.detach()).sum(2, keepdim=True) * y.detach() / d
    torch.testing.assert_close(particles.position_velocity, -n * (y.grad - radial), rtol=1e-10, atol=1e-11)
    along = (particles.position_velocity * particles.positions).sum(2).abs().max()
    assert along < 1e-12


def test_the_flow_stays_on_the_sphere_and_its_energy_never_rises():
    _, particles = sphere_state(4, 20, 5)
    reached, charges, positions, largest = flow(particles, 2e-3, 500, [0, 1, 100, 500])
    assert reached == [0, 1, 100, 500]
    assert charges.shape == (4, 4, 20) and positions.shape == (4, 4, 20, 5)
    assert (largest <= 1e-12).all()
    assert np.abs(np.linalg.norm(positions, axis=3) / 5**0.5 - 1).max() < 1e-12


def test_realisations_of_a_batch_move_as_they_would_alone():
    _, together = sphere_state(3, 9, 5)
    alone = SphereParticles(
        torch.as_tensor(ThreeSpin.draw(5, 0).tensor), 1.0, together.positions[1:2], together.charges[1:2]
    )
    _, charges, _, _ = flow(together, 1e-2, 50, [50])
    _, expected, _, _ = flow(alone, 1e-2, 50, [50])
    np.testing.assert_allclose(charges[0, 1], expected[0, 0], rtol=1e-10, atol=1e-12)


def test_the_printed_sign_has_no_lower_bound():
    _, particles = sphere_state(2, 30, 5, exponent=-1.0)
    _, charges, _, _ = flow(particles, 1e-2, 150, [0, 150])
    assert (np.abs(charges[-1]).max(axis=1) > 100 * np.abs(charges[0]).max(axis=1)).all()
    assert (particles.energy < -1e4).all()


def test_a_diverging_flow_ends_and_says_so():
    _, particles = sphere_state(2, 10, 5)
    reached, _, _, largest = flow(particles, 1e3, 400, [0, 100, 200, 300, 400])
    assert reached[-1] < 400 and np.isinf(largest).all()


def test_outputs_of_radial_units():
    _, particles = sphere_state(2, 4, 5)
    x = torch.as_tensor(sphere_points(3, 5, numpy_generator(0, "x")))
    expected = [
        [(particles.charges[r] * torch.exp(particles.positions[r] @ point)).mean() for point in x] for r in range(2)
    ]
    torch.testing.assert_close(particles.outputs(x), torch.tensor(expected, dtype=torch.float64))


class InterruptedRunError(Exception):
    pass


def test_an_interrupted_flow_ends_with_the_same_bits(tmp_path):
    recorded = [0, 1, 10, 30, 60]
    expected = flow(sphere_state(2, 8, 5)[1], 1e-2, 60, recorded)
    checkpoints, steps = Checkpoints(tmp_path, "key", seconds=0), []

    def stop(count):
        steps.append(count)
        if len(steps) == 40:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        flow(sphere_state(2, 8, 5)[1], 1e-2, 60, recorded, checkpoint=checkpoints.part("a"), advance=stop)
    steps.clear()
    found = flow(sphere_state(2, 8, 5)[1], 1e-2, 60, recorded, checkpoint=checkpoints.part("a"), advance=steps.append)
    assert len(steps) == 30
    assert found[0] == expected[0]
    for one, other in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(one, other)


# Sigmoid units and SGD


def sigmoid_state(realisations=3, n=6, d=4, dtype=torch.float64):
    weights, charges = start(range(realisations), n, d, 2.0, "test")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(realisations, 11, d + 1, generator=generator, dtype=dtype)
    y = torch.randn(realisations, 11, generator=generator, dtype=dtype)
    return SigmoidParticles(weights.to(dtype), charges.to(dtype)), x, y


def test_a_step_is_n_times_the_gradient():
    particles, x, y = sigmoid_state()
    weights, charges = particles.weights.clone().requires_grad_(), particles.charges.clone().requires_grad_()
    outputs = (torch.sigmoid(x @ weights.transpose(1, 2)) * charges[:, None]).mean(2)
    loss = 0.5 * (y - outputs).square().mean(1)
    loss.sum().backward()
    n, dt = charges.shape[1], 0.3
    particles.step(x, y, dt)
    torch.testing.assert_close(particles.weights, (weights - dt * n * weights.grad).detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(particles.charges, (charges - dt * n * charges.grad).detach(), rtol=1e-12, atol=1e-14)


def test_outputs_of_sigmoid_units():
    particles, x, _ = sigmoid_state()
    points = x[0]
    expected = (torch.sigmoid(points @ particles.weights.transpose(1, 2)) * particles.charges[:, None]).mean(2)
    torch.testing.assert_close(particles.outputs(points), expected)


def test_the_target_of_the_engine_is_that_of_the_theory():
    spin, x = ThreeSpin.draw(6, 0), sphere_points(20, 6, numpy_generator(0, "x"))
    found = three_spin(torch.as_tensor(spin.tensor), torch.as_tensor(x))
    np.testing.assert_allclose(found.numpy(), spin.values(x), rtol=1e-12)


def test_fresh_points_lie_on_the_sphere_and_do_not_depend_on_company():
    target = torch.as_tensor(ThreeSpin.draw(5, 0).tensor, dtype=torch.float32)
    x, y = FreshPoints(target, [0, 1, 2], "batches").draw(7, 3)
    alone, values = FreshPoints(target, [1], "batches").draw(7, 3)
    assert x.shape == (7, 3, 3, 6) and y.shape == (7, 3, 3)
    assert torch.equal(x[:, 1], alone[:, 0]) and torch.equal(y[:, 1], values[:, 0])
    torch.testing.assert_close(x[..., :5].norm(dim=-1), torch.full((7, 3, 3), 5**0.5))
    assert (x[..., 5] == 1).all()
    assert not torch.equal(x[0, 0], x[1, 0])
    torch.testing.assert_close(y[2, 0], three_spin(target, x[2, 0, :, :5]))


def training(checkpoint=None, advance=None, dt=0.1):
    target = torch.as_tensor(ThreeSpin.draw(4, 0).tensor, dtype=torch.float32)
    particles = SigmoidParticles(*start([0, 1], 8, 4, 1.0, "test"))
    points = FreshPoints(target, [0, 1], "batches")
    points.block_length = lambda batch: 5
    phases = [Phase(30, 2, dt), Phase(12, 4, dt)]
    record = lambda: particles.charges.mean(1).numpy().copy()  # noqa: E731
    return train(particles, points, phases, [0, 7, 30, 42], record, checkpoint=checkpoint, advance=advance)


def test_training_records_what_is_asked_and_keeps_the_ends_of_its_phases():
    kept, ends = training()
    assert kept.shape == (4, 2) and len(ends) == 2
    np.testing.assert_array_equal(kept[2], ends[0][1].mean(1).numpy())
    np.testing.assert_array_equal(kept[3], ends[1][1].mean(1).numpy())


@pytest.mark.parametrize("calls", [1, 4, 6, 7, 8])
def test_interrupted_training_ends_with_the_same_bits(tmp_path, calls):
    expected, expected_ends = training()
    checkpoints, seen = Checkpoints(tmp_path, "key", seconds=0), []

    def stop(count):
        seen.append(count)
        if len(seen) == calls:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        training(checkpoints.part("a"), stop)
    kept, ends = training(checkpoints.part("a"))
    np.testing.assert_array_equal(kept, expected)
    for (weights, charges), (other_weights, other_charges) in zip(ends, expected_ends, strict=True):
        assert torch.equal(weights, other_weights) and torch.equal(charges, other_charges)


def test_a_diverging_run_is_not_finite_and_no_error():
    kept, _ = training(dt=1e38)
    assert not np.isfinite(kept[-1]).all()
