"""The study: engine, predictions, pictures and tables from a tiny run, judges both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.config import load_config
from zeroloss.datasets.recipes import Dataset
from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.errors import UserError
from zeroloss.kernels.tangent import TangentKernel
from zeroloss.networks.deep import Network, forward, initial_weights
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.studies.arora2019_ntk import (
    STUDY,
    claims,
    compute,
    convergence_claims,
    experiment,
    figures,
    table_claims,
    tables,
    tables_of_images,
)
from zeroloss.training.scaled_descent import descend_scaled

LAPTOP = load_config("laptop").study("arora2019_ntk")
TINY = load_config("tiny").study("arora2019_ntk")
NETWORK = Network("fully_connected", 2, 24, "relu", c_res=0.5)


def problem(n=6, more=5, d=4):
    generator = numpy_generator(0, "scaled descent tests")
    x = torch.from_numpy(uniform_on_sphere(n + more, d, generator))
    return x[:n], torch.from_numpy(generator.choice([-1.0, 1.0], n)), x[n:]


def train(weights, symmetrised, scales=(1.0, 0.5), **options):
    x, y, test = problem()
    settings = {"step_size": 0.1, "tolerance": 1e-9, "most_steps": 7, **options}
    return descend_scaled(
        NETWORK, weights, x, y, test, scales=torch.tensor(scales), symmetrised=symmetrised, **settings
    )


# ---------------------------------------------------------------- engine


@pytest.mark.parametrize("symmetrised", [False, True])
def test_descent_is_that_of_plain_automatic_differentiation(symmetrised):
    x, y, test = problem()
    weights = initial_weights(NETWORK, 1, 4, [0, 1])
    done = train(weights, symmetrised)
    for run, kappa in enumerate((1.0, 0.5)):
        halves = [[w[run : run + 1].clone().requires_grad_() for w in weights] for _ in range(1 + symmetrised)]

        def f(points, halves=halves, kappa=kappa):
            parts = [forward(NETWORK, half, points[:, None]).outputs[0, :, 0] for half in halves]
            return kappa * ((parts[0] - parts[1]) / 2**0.5 if len(parts) == 2 else parts[0])

        for k in range(7):
            difference = f(x) - y
            assert float(difference.detach().norm() / y.norm()) == pytest.approx(float(done.path[run, k]), rel=1e-9)
            flat = [w for half in halves for w in half]
            gradients = torch.autograd.grad(difference.square().sum() / 2, flat)
            with torch.no_grad():
                for w, g in zip(flat, gradients, strict=True):
                    w -= 0.1 / kappa**2 * g
        assert torch.allclose(f(test), done.test_outputs[run], rtol=1e-9)


def test_a_symmetrised_start_is_zero_and_a_finished_run_stays():
    done = train(initial_weights(NETWORK, 1, 4, [0, 1]), True, tolerance=0.5, most_steps=200)
    assert torch.allclose(done.path[:, 0], torch.ones(2, dtype=torch.float64))
    for run in range(2):
        end = int(done.steps[run])
        assert done.path[run, end] <= 0.5 < done.path[run, end - 1]
        assert float(done.path[run, end:].std(correction=0)) == 0
    assert (done.diverged_at == -1).all()


def test_a_diverged_run_is_recorded_and_leaves_the_others_alone():
    weights = initial_weights(NETWORK, 1, 4, [0, 0])
    done = train(weights, False, scales=(1.0, 1.0), step_size=0.1)
    wild = [w.clone() for w in weights]
    wild[0][1] *= 1e3
    mixed = train(wild, False, scales=(1.0, 1.0), step_size=0.1)
    assert mixed.diverged_at[1] > 0 and mixed.diverged_at[0] == -1
    assert torch.isnan(mixed.test_outputs[1]).all()
    assert torch.allclose(mixed.test_outputs[0], done.test_outputs[0])


def test_what_a_start_leaves_is_what_sampling_gives():
    """Residuals of draws of the Gaussian process, taken through the linear flow."""
    x, _, test = problem()
    both = TangentKernel(2).kernels(torch.cat([x, test]))
    found = compute.start_share(both.nngp, both.ntk, 6)
    factor = torch.linalg.cholesky(both.nngp)
    f = factor @ torch.randn(11, 40_000, dtype=torch.float64, generator=torch_generator(0, "floors"))
    left = f[6:] - both.ntk[6:, :6] @ torch.linalg.solve(both.ntk[:6, :6], f[:6])
    assert found == pytest.approx(float(left.square().mean().sqrt()), rel=0.01)


# ---------------------------------------------------------------- images


def image_data(n=12, more=9, side=8, channels=3, classes=3):
    generator = numpy_generator(0, "image tests")
    shape = (side, side) if channels == 1 else (side, side, channels)
    x = generator.integers(0, 256, (n + more, *shape)).astype(np.uint8)
    y = np.arange(n + more) % classes
    info = {
        "title": "noise",
        "fidelity": "synthetic",
        "classes": classes,
        "largest": 255,
        "recipe": {"source": "noise"},
    }
    return Dataset(x[:n], y[:n], info, x[n:], y[n:])


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_averaged_and_standardised_by_channel(channels):
    data = image_data(channels=channels)
    x, z = tables_of_images.prepare(data, 4)
    assert x.shape == (12, channels, 4, 4) and z.shape == (9, channels, 4, 4)
    assert np.allclose(x.mean(axis=(0, 2, 3)), 0) and np.allclose(x.std(axis=(0, 2, 3)), 1)
    raw = data.x.reshape(12, 8, 8, channels).astype(float)
    first = raw[:, :2, 2:4, 0].mean(axis=(1, 2))
    assert np.corrcoef(first, x[:, 0, 0, 1])[0, 1] == pytest.approx(1)
    with pytest.raises(UserError, match="8 x 8 pixels, which do not divide into a side of 3"):
        tables_of_images.prepare(data, 3)


def test_a_test_image_that_was_trained_on_gets_its_own_label():
    data = image_data()
    same = Dataset(data.x, data.y, data.info, data.x, data.y)
    parameters = {"depths": [3, 4], "single": False, "side": 4, "samples": [4, 8, 12]}
    rows = pd.DataFrame(tables_of_images.accuracies(parameters, same, "cpu", True, None))
    assert set(rows["kernel"]) == {"CNTK-V", "CNTK-GAP", "NTK"}
    assert (rows[rows["samples"] == 12]["accuracy"] == 1).all()
    two = rows[(rows["problem"] == "first two classes") & (rows["samples"] == 12)]
    assert (two["trained_on"] == 8).all() and (two["test"] == 8).all() and (two["right"] == "1" * 8).all()


# ---------------------------------------------------------------- the whole, tiny


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    built = {recipe.name: recipe.build(None) for recipe in STUDY.recipes(TINY)}
    parts = []
    for cell in STUDY.cells(TINY):
        extra = {"checkpoints": None} if cell.resumable else {}
        data = [built[name] for name in cell.datasets]
        parts.append(STUDY.run(cell.parameters, data, device="cpu", quiet=True, **extra))
    return pd.concat(parts, ignore_index=True)


def test_every_figure_table_and_claim_comes_of_a_tiny_run(metrics):
    from zeroloss.plotting.style import house_style

    with house_style():
        for figure in STUDY.figures(TINY):
            assert figure.draw(metrics, TINY, **figure.options).axes
    for table in STUDY.tables(TINY):
        assert len(table.make(metrics, TINY))
    for claim in STUDY.claims(TINY):
        assert claim.judge(metrics, TINY).verdict in ("reproduced", "differs", "undecided")
    assert {item for part in (*STUDY.figures(TINY), *STUDY.claims(TINY)) for item in part.items} == {
        "004-E4", "004-E5", "004-TH9", "004-T2",
    }  # fmt: skip


def test_cifar_has_its_cell_where_it_is_at_hand():
    assert LAPTOP.convolutional.at_hand[0].images.found == "digits"
    names = [cell.name for cell in STUDY.cells(LAPTOP)]
    assert names[:3] == ["kernels", "convergence_sphere", "convergence_images"] and "cntk_digits" in names
    with pytest.raises(ValueError, match=r"must be images\.train"):
        experiment.Tiles(images=LAPTOP.convolutional.sources[0].images, side=8, samples=[1, 2, 3])


# ---------------------------------------------------------------- judges


def entries(power=-0.5, ratio=1.0, noise=0.01):
    generator = numpy_generator(0, "made-up entries")
    return pd.DataFrame(
        [
            {
                "part": "entry", "activation": "relu", "depth": depth, "width": m, "seed": seed, "scale": 2.0,
                "relative_error": m**power * np.exp(noise * generator.standard_normal()),
                "mean_ratio": ratio + noise * generator.standard_normal(),
                "square_norm": ratio + noise * generator.standard_normal(),
            }
            for depth in (1, 2) for m in (64, 256, 1024) for seed in range(6)
        ]
    )  # fmt: skip


def gaps(power=-0.5, floor=0.5, extra=1.0, small=0.3, noise=0.02, residual=1e-3, path=0.0):
    """Made-up networks: gap_symmetrised = m^power, plain: squares added with kappa floor, times ``extra``."""
    generator = numpy_generator(0, "made-up gaps")
    rows = []
    for place in ("sphere", "images"):
        about = {"place": place, "data_title": place}
        rows.append({"part": "floor", **about, "floor": floor})
        for kappa in (1.0, small):
            for seed in range(5):
                for m in (64, 128, 256, 512):
                    clean = m**power
                    plain = extra * ((kappa * floor) ** 2 + clean**2) ** 0.5
                    for start, gap in (("symmetrised", clean), ("plain", plain)):
                        value = gap * np.exp(noise * generator.standard_normal())
                        row = {"part": "gap", **about, "kappa": kappa, "seed": seed, "width": m, "start": start}
                        rows.append({**row, "gap": value, "residual": residual})
                for step in range(3):
                    row = {"part": "path", **about, "kappa": kappa, "seed": seed, "width": 512, "step": step}
                    rows.append({**row, "limit": 0.5**step, "loss_residual": 0.5**step + path})
    return pd.DataFrame(rows)


def verdict(judge, table, settings=LAPTOP):
    return judge(table, settings).verdict


def test_the_recursions_judges():
    for judge, good, bad in [
        (claims.judge_rate, {}, {"power": -0.3}),
        (claims.judge_mean, {}, {"ratio": 1.2}),
        (claims.judge_c_sigma, {}, {"ratio": 0.5}),
    ]:
        assert verdict(judge, entries(**good)) == "reproduced"
        assert verdict(judge, entries(**bad)) == "differs"
        assert verdict(judge, entries(noise=3.0)) == "undecided"


def test_the_predictors_judges():
    row = {
        "part": "regression", "samples": 100, "depth": 2, "residual": 1e-12, "condition": 1e3, "lambda_min": 0.1,
        "tiled_difference": 1e-8, "tiled_residual": 1e-8, "iterations": 9.0,
    }  # fmt: skip
    for judge, spoil, missing in [
        (claims.judge_interpolation, {"residual": 1e-3}, {"residual": np.nan}),
        (claims.judge_tiles, {"tiled_difference": 1e-3}, {"tiled_difference": np.nan}),
    ]:
        assert verdict(judge, pd.DataFrame([row])) == "reproduced"
        assert verdict(judge, pd.DataFrame([row | spoil])) == "differs"
        assert verdict(judge, pd.DataFrame([row | missing])) == "undecided"


def test_the_theorems_judges():
    its = convergence_claims
    for judge, bad, vague in [
        (its.judge_width_sphere, {"power": -0.2}, {"noise": 2.0}),
        (its.judge_width_images, {"power": -0.9}, {"residual": 0.1}),
        (its.judge_floor, {"extra": 1.5}, {"noise": 1.5}),
        (its.judge_small_kappa, {"small": 0.999, "floor": 0.0, "extra": 1.0, "noise": 0.0}, {"residual": 1.0}),
        (its.judge_flow, {"path": 0.4}, None),
    ]:
        assert verdict(judge, gaps()) == "reproduced", judge
        if judge is not its.judge_small_kappa:
            assert verdict(judge, gaps(**bad)) == "differs", judge
        if vague:
            assert verdict(judge, gaps(**vague)) == "undecided", judge
    worse = gaps()
    worse.loc[(worse["kappa"] < 1) & (worse["start"] == "plain"), "gap"] = 3.0
    assert verdict(its.judge_small_kappa, worse) == "differs"
    assert verdict(its.judge_flow, gaps().query("part != 'path'")) == "undecided"


def accuracy_rows(vanilla, pooled, depths=(3, 4), **about):
    """Rows of the largest n; strings of right answers by (kernel, depth)."""
    base = {
        "part": "cntk", "source": "digits", "problem": "all classes", "samples": 250, "side": 8, "data_title": "digits",
        "test": 400, **about,
    }  # fmt: skip
    rows = []
    for depth in depths:
        for kernel, share in (("CNTK-V", vanilla(depth)), ("CNTK-GAP", pooled(depth))):
            right = "1" * int(400 * share) + "0" * (400 - int(400 * share))
            rows.append({**base, "kernel": kernel, "depth": depth, "right": right, "accuracy": share})
    return pd.DataFrame(rows)


def test_the_judges_of_the_tables():
    pooling, depth = (table_claims._judge_pooling("digits"), table_claims._judge_depth("digits"))
    assert verdict(pooling, accuracy_rows(lambda d: 0.6, lambda d: 0.7)) == "reproduced"
    assert verdict(pooling, accuracy_rows(lambda d: 0.7, lambda d: 0.6)) == "differs"
    assert verdict(pooling, accuracy_rows(lambda d: 0.7, lambda d: 0.705)) == "undecided"
    assert verdict(depth, accuracy_rows(lambda d: 0.6, lambda d: 0.7)) == "reproduced"
    assert verdict(depth, accuracy_rows(lambda d: 0.6, lambda d: 0.3 + d / 10)) == "differs"
    assert verdict(depth, accuracy_rows(lambda d: 0.6, lambda d: 0.5 + d / 25)) == "undecided"
    sizes = {"source": "cifar10", "side": 32, "samples": 2000, "test": 10000}
    printed = accuracy_rows(lambda d: 0.4094 if d == 3 else 0.4254, lambda d: 0.4971 if d == 3 else 0.5106, **sizes)
    assert verdict(table_claims.judge_published, printed) == "reproduced"
    assert verdict(table_claims.judge_published, printed.assign(accuracy=printed["accuracy"] + 0.04)) == "differs"
    assert verdict(table_claims.judge_published, printed.assign(side=8)) == "undecided"


def test_tables_hold_the_printed_rows(metrics):
    first, second = tables.table_1(metrics, TINY), tables.table_2(metrics, TINY)
    printed = first[first["source"] == "published"]
    assert list(printed["CNTK-GAP"])[:5] == [49.71, 51.06, 51.73, 51.92, 52.22]
    assert second[second["source"] == "published"]["RF-GAP"].max() == 90.65
    assert len(figures.figures(TINY)) == 8 + (len(TINY.convolutional.at_hand) > 1)
