"""The ResNet-18 figure: sources at hand, cells, checkpoints, judges both ways, pictures."""

import numpy as np
import pandas as pd
import pytest

from zeroloss.checkpoint import Checkpoints
from zeroloss.config import load_config
from zeroloss.datasets.recipes import Dataset
from zeroloss.errors import UserError
from zeroloss.studies.kawaguchi_huang2019_resnet import STUDY, claims, experiment, figures, tables

NAME = "kawaguchi_huang2019_resnet"
SMALL = {"seeds": [0, 1], "epochs": 2, "drop_after": 1, "batch": 8, "width": 2, "blocks": [1, 1]}
SMALL["random"] = {"train": 16, "test": 8, "side": 6, "channels": 3, "classes": 4}


def load(scale="laptop", **changes):
    return load_config(scale, {"studies": {NAME: changes}}).study(NAME)


def sources(*entries):
    return [{"first_of": list(names), "train": 10, "test": 5} for names in entries]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with a user's cifar100.npz and cifar10_lossy as an .npz of one's own."""
    rng = np.random.default_rng(0)
    for name, classes in (("cifar100", 100), ("cifar10", 10)):
        arrays = {"y_train": np.arange(200) % classes, "y_test": np.arange(200) % classes}
        arrays |= {key: rng.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8) for key in ("x_train", "x_test")}
        np.savez(tmp_path / f"{name}.npz", **arrays)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no_downloads"))
    monkeypatch.setenv("ZEROLOSS_DATA", str(tmp_path))
    return tmp_path


def test_only_sources_at_hand_are_run(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = load()
    assert experiment.names(settings) == ["digits", "random"]
    assert "CIFAR-100" in experiment.absent(settings) and "MNIST" in experiment.absent(settings)
    (figure,) = STUDY.figures(settings)
    assert "cifar100.npz" in figure.caption and "SVHN" in figure.caption and "not ResNet-18" in figure.caption


def test_the_first_source_at_hand_is_taken(folder):
    settings = load(sources=sources(["cifar10_lossy", "cifar10"], ["cifar100"], ["mnist"]))
    assert experiment.names(settings) == ["cifar10", "cifar100", "random"]
    assert experiment.absent(settings) == ["MNIST"]
    split = STUDY.recipes(settings)[1].build(folder)
    assert split.info["classes"] == 100 and split.x.shape == (10, 32, 32, 3)


def test_settings_stored_with_results_keep_what_was_found(folder, monkeypatch):
    settings = load(sources=sources(["cifar100"], ["digits"]))
    monkeypatch.delenv("ZEROLOSS_DATA")
    assert experiment.Settings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (sources(["minst"]), r"sources\[0\].first_of is .*minst is not a known data set; allowed are cifar10, .*svhn"),
        ([{"first_of": ["digits"], "train": 0, "test": 5}], r"sources\[0\].train is 0: it must be greater"),
        ([{"first_of": [], "train": 1, "test": 5}], r"sources\[0\].first_of is \[\]: list must have at least 1"),
        ([{"first_of": ["digits"], "train": 1}], r"sources\[0\].test is missing"),
        ([{**sources(["digits"])[0], "found": "mnist"}], r"sources\[0\].found is looked up in data.root"),
        (sources(["digits"], ["digits"]), r"sources is .*two entries lead to the same data set"),
        (sources(["cifar100"]), r"sources is .*none of these data sets is at hand"),
    ],
)
def test_what_is_wrong_gets_a_sentence(entries, sentence, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=sentence):
        load(sources=entries)


def build(settings, cell):
    recipes = {recipe.name: recipe for recipe in STUDY.recipes(settings)}
    return [recipes[name].build(None) for name in cell.datasets]


@pytest.fixture
def one_thread():
    """As in a job: threads of a busy machine wait for each other at every convolution."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_cell_that_is_killed_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    settings = load(sources=sources(["digits"]), **SMALL)
    assert [cell.name for cell in STUDY.cells(settings)] == ["digits", "random"]
    for cell in STUDY.cells(settings):
        assert cell.resumable and cell.cost.seconds > 0
        data = build(settings, cell)

        def run(checkpoints, cell=cell, data=data):
            return STUDY.run(cell.parameters, data, device="cpu", quiet=True, checkpoints=checkpoints)

        whole = run(Checkpoints(tmp_path / cell.name / "a", "k"))
        assert len(whole) == 2 * 2 and not whole["diverged"].any()
        assert whole["learning_rate"].tolist() == pytest.approx([0.1, 0.01] * 2)
        # killed between the seeds: a checkpoint of the first is there
        half = Checkpoints(tmp_path / cell.name / "b", "k", seconds=0)
        STUDY.run({**cell.parameters, "seeds": [0]}, data[:1], device="cpu", quiet=True, checkpoints=half)
        pd.testing.assert_frame_equal(run(half), whole)


def test_inputs_are_standardised_by_the_training_images():
    rng = np.random.default_rng(0)
    x, x_test = (rng.integers(0, 256, (n, 5, 5, 3)).astype(np.uint8) for n in (20, 7))
    train, test = experiment.standardised(Dataset(x, np.zeros(20), {}, x_test, np.zeros(7)))
    np.testing.assert_allclose(train.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(train.std((0, 1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(
        test[..., 0], (x_test[..., 0] - x[..., 0].mean()) / x[..., 0].std(), rtol=1e-4, atol=1e-5
    )
    grey, _ = experiment.standardised(Dataset(x[..., 0], np.zeros(20), {}, x_test[..., 0], np.zeros(7)))
    assert grey.shape == (20, 5, 5, 1) and grey.dtype == np.float32


def test_published_curves_have_the_sources_names():
    curves = experiment.published_curves()
    assert set(curves["source"]) == {"cifar100", "cifar10", "svhn", "mnist", "kmnist", "fashion_mnist", "random"}
    assert curves["value"].between(0, 1).all()
    assert tables.first_published("random", 0.9) == 6 and tables.first_published("cifar10", 0.9) == 7
    assert np.isnan(tables.first_published("digits", 0.9))


def made_up(speeds, seeds=3, epochs=30, drop=20, kink=2.0, test=None, ceiling=1.0, noise=0.02):
    """Metrics whose ln loss falls by ``speed`` an epoch, and by ``kink`` more over the drop."""
    rng, rows = np.random.default_rng(0), []
    for source, speed in speeds.items():
        for seed in range(seeds):
            for epoch in range(1, epochs + 1):
                log = -speed * epoch - kink * (epoch > drop) + noise * rng.standard_normal()
                accuracy = ceiling * (1 - 0.9 * np.exp(log))
                rows.append({
                    "source": source, "seed": seed, "samples": 1000, "test_samples": 1000, "classes": 10, "side": 8,
                    "channels": 1, "parameters": 78_000, "diverged": False, "epoch": epoch, "step": 32 * epoch,
                    "loss": 2.3 * np.exp(log), "normalised_loss": np.exp(log), "train_accuracy": accuracy,
                    "test_accuracy": (test or {}).get(source, 0.9 if source != "random" else 0.1),
                })  # fmt: skip
    return pd.DataFrame(rows)


GOOD = made_up({"digits": 1.0, "random": 0.2})


@pytest.mark.parametrize(
    ("judge", "metrics", "verdict"),
    [
        (claims.judge_fits, GOOD, "reproduced"),
        (claims.judge_fits, made_up({"digits": 1.0, "random": 0.2}, ceiling=0.99), "differs"),
        (claims.judge_fits, GOOD.assign(diverged=True), "differs"),
        (claims.judge_natural_first, GOOD, "reproduced"),
        (claims.judge_natural_first, made_up({"digits": 0.2, "random": 1.0}), "differs"),
        (claims.judge_natural_first, made_up({"digits": 0.2, "random": 0.2}), "undecided"),
        (claims.judge_natural_first, made_up({"digits": 1.0, "random": 1.0}, seeds=1), "undecided"),
        (claims.judge_natural_first, made_up({"digits": 1.0, "random": 0.01}, kink=0), "undecided"),
        (claims.judge_natural_first, made_up({"cifar10": 1.0, "random": 0.2}), "undecided"),
        (claims.judge_order, GOOD, "undecided"),
        (claims.judge_order, made_up({"mnist": 1.0, "cifar10_lossy": 0.5, "random": 0.2}), "reproduced"),
        (claims.judge_order, made_up({"mnist": 0.5, "cifar10": 1.0, "random": 0.2}), "differs"),
        (claims.judge_order, made_up({"mnist": 1.0, "cifar10": 0.2, "random": 0.2}, noise=0.2), "undecided"),
        (claims.judge_kink, GOOD, "reproduced"),
        (claims.judge_kink, made_up({"digits": 1.0, "random": 0.2}, kink=-1.0), "differs"),
        (claims.judge_kink, made_up({"digits": 1.0, "random": 0.2}, kink=0.0), "undecided"),
        (claims.judge_kink, made_up({"digits": 1.0, "random": 1.0}), "undecided"),
        (claims.judge_parameters, GOOD, "reproduced"),
        (claims.judge_parameters, GOOD.assign(parameters=10**16), "differs"),
        (claims.judge_parameters, made_up({"digits": 1.0, "random": 0.2}, ceiling=0.9), "undecided"),
        (claims.judge_generalises, GOOD, "reproduced"),
        (claims.judge_generalises, made_up({"digits": 1.0, "random": 0.2}, test={"digits": 0.1}), "undecided"),
        (claims.judge_generalises, made_up({"digits": 1.0, "random": 0.2}, test={"random": 0.2}), "differs"),
        (claims.judge_generalises, made_up({"digits": 1.0, "random": 0.2}, test={"digits": 0.02}), "differs"),
    ],
)  # fmt: skip
def test_judges_come_out_each_way(judge, metrics, verdict):
    found = judge(metrics, load())
    assert found.verdict == verdict, found


def test_kink_is_the_excess_of_the_fall():
    losses = pd.Series(np.exp([-0.1, -0.2, -0.3, -0.4, -1.5]), index=range(17, 22))
    assert claims.kinks(losses, 20) == pytest.approx(1.0)


def test_labels_keep_their_order_and_distance():
    values = [0.95, 0.03, 0.04, 0.15, 0.16]
    heights = figures.spread_labels(values, 0.05)
    assert np.diff(np.sort(heights)).min() >= 0.05 - 1e-12
    assert np.argsort(heights).tolist() == np.argsort(values).tolist()


@pytest.mark.parametrize("speeds", [{"digits": 1.0, "random": 0.2}, {"digits": 0.001, "random": 0.001}])
def test_pictures_and_tables_of_any_run(speeds):
    from zeroloss.plotting.style import house_style

    metrics, settings = made_up(speeds), load(sources=sources(["digits"]))
    with house_style():
        canvas = figures.draw_figure1(metrics, settings)
        assert len(canvas.axes) == 3 and all(axes.get_xscale() == "log" for axes in canvas.axes)
    summary = tables.make_summary(metrics, settings)
    assert summary["data set"].tolist() == ["digits", "Random"] and summary["published"].tolist() == ["-", "6"]
    sizes = tables.make_sizes(metrics, settings).set_index("data set")
    printed = sizes.loc["ResNet-18, printed n"]
    # "50000^8, about 10^37" and "about 10^7"
    assert printed["parameters"] == 11_173_962
    assert printed.iloc[-1] == pytest.approx(37.6 - 7.05, abs=0.05)
