"""Zhang et al. 2017: the list of runs, preprocessing, cells taken up again, and judges that come out each way."""

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss import published
from zeroloss.checkpoint import Checkpoints
from zeroloss.config import load_config
from zeroloss.datasets import corruption
from zeroloss.plan import make_plan
from zeroloss.randomness import torch_generator
from zeroloss.studies.zhang2017 import STUDY, claims, compute, runs
from zeroloss.studies.zhang2017 import claims_generalisation as generalisation
from zeroloss.studies.zhang2017.measures import ends, first_epoch, relative_times
from zeroloss.studies.zhang2017.runs import NETWORKS, SETTINGS_OF_FIGURE, Run
from zeroloss.training.augmentation import Augmentation, rotated, whitened


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """As in the workflow: two threads on these small products only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def settings():
    return load_config("laptop", {"studies": {"zhang2017": {"source": "digits"}}}).study("zhang2017")


def test_no_network_is_trained_twice(settings):
    found = runs.runs(settings)
    bare = [tuple(vars(run).items())[1:] for run in found]
    without_length = [tuple(item for item in one if item[0] != "whole") for one in bare]
    assert len(set(without_length)) == len(found)


def test_cells_hold_every_run_once(settings):
    held = [Run(**one) for cell in runs.cells(settings) for one in cell.parameters["runs"]]
    assert sorted(map(repr, held)) == sorted(map(repr, runs.runs(settings)))


def test_every_row_of_the_printed_tables_has_runs(settings):
    from zeroloss.studies.zhang2017 import tables

    found = pd.DataFrame([vars(run) for run in runs.runs(settings)])
    metrics = found.assign(
        epoch=1, steps=1, loss=1.0, train_accuracy=0.5, test_accuracy=0.5, final_train_accuracy=0.5, diverged=False
    )
    assert tables.table_1(metrics, settings)["epochs, ours"].notna().all()
    assert tables.table_4(metrics, settings)["epochs, ours"].notna().all()
    assert len(tables.table_1(metrics, settings)) == 19 and len(tables.table_2(metrics, settings)) == 8


def test_paper_scale_has_the_printed_sizes_and_can_be_resumed():
    plan = make_plan("paper")
    settings = plan.config.study("zhang2017")
    sizes = settings.sizes
    assert (settings.source, sizes.train, sizes.test, sizes.crop, sizes.pool) == ("cifar10", 50_000, 10_000, 28, 1)
    assert len(settings.corruptions) == 11 and settings.precision == "float32"
    for cell in plan.cells["zhang2017"].values():
        assert cell.resumable == (cell.cost.seconds > 300)
        if cell.parameters["runs"][0]["network"].startswith("inception"):
            assert cell.resumable


def test_source_without_sizes_is_refused():
    from zeroloss.errors import UserError

    with pytest.raises(UserError, match="this study has sizes for"):
        load_config("laptop", {"studies": {"zhang2017": {"source": "mnist"}}})


def test_the_definition_of_overfitting_gives_the_printed_epochs(settings):
    """At .05, and at no round number beside it, Figure 1 a crosses at the epochs of Figure 1 b."""
    curves, times = published.load("zhang2017_fig1a"), published.load("zhang2017_fig1b")
    epochs = times[times["model"] == "Inception"].set_index("label_corruption")["inferred_epochs"]
    for name, share in (("true labels", 0.0), ("random labels", 1.0)):
        path = curves[curves["series"] == name].rename(columns={"average_loss": "loss"})
        path = path.assign(epoch=(path["thousand_steps"] / 0.391).round())
        assert first_epoch(path, settings.overfit_loss) == epochs[share]
        assert first_epoch(path, 0.1) != epochs[share]


def frames(count=6, side=10, colours=3):
    return np.random.default_rng(0).random((count, side, side, colours), np.float32)


def test_mean_pooling_and_padding():
    pooled = corruption.mean_pooled(frames(2, 4), 2)
    assert pooled.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(pooled[1, 1, 0, 2], frames(2, 4)[1, 2:4, 0:2, 2].mean(), rtol=1e-6)
    padded = corruption.padded(frames(2, 4), 1)
    assert padded.shape == (2, 6, 6, 3) and not padded[:, 0].any() and not padded[:, :, -1].any()


@pytest.mark.parametrize("inputs", ["true", "shuffled", "random", "gaussian"])
def test_randomised_inputs_keep_shape_and_scale(inputs):
    train, test = compute.randomised(frames(400, 6), frames(100, 6), inputs, seed=3)
    assert train.shape == (400, 6, 6, 3) and test.shape == (100, 6, 6, 3)
    assert abs(train.mean() - 0.5) < 0.02 and abs(train.std() - 12**-0.5) < 0.02
    if inputs in ("shuffled", "random"):
        np.testing.assert_allclose(np.sort(train[5, ..., 0], None), np.sort(frames(400, 6)[5, ..., 0], None))


def test_without_randomness_augmentation_is_the_preprocessing_of_the_test_images():
    x = torch.tensor(frames()).permute(0, 3, 1, 2)
    ours = Augmentation(crop=8, pool=2)(x, torch_generator(0, "a"))
    theirs = corruption.whiten_each(compute.small(frames(), {"crop": 8, "pool": 2}))
    np.testing.assert_allclose(ours.permute(0, 2, 3, 1).numpy(), theirs, rtol=1e-4, atol=1e-5)


def test_random_crops_are_windows_of_the_frame():
    x = torch.tensor(frames(50)).permute(0, 3, 1, 2)
    ours = Augmentation(crop=8, pool=1, crops=True)(x, torch_generator(0, "a"))
    seen = set()
    for image, frame in zip(ours, x, strict=True):
        windows = [(i, j, whitened(frame[None, :, i : i + 8, j : j + 8])[0]) for i in range(3) for j in range(3)]
        hits = [(i, j) for i, j, window in windows if torch.allclose(image, window, atol=1e-5)]
        assert len(hits) == 1
        seen.add(hits[0])
    assert len(seen) == 9


def test_flips_and_rotations():
    x = torch.tensor(frames(40)).permute(0, 3, 1, 2)
    ours = Augmentation(crop=10, pool=1, flips=True)(x, torch_generator(0, "a"))
    kept = [torch.allclose(one, whitened(frame[None])[0], atol=1e-5) for one, frame in zip(ours, x, strict=True)]
    turned = [
        torch.allclose(one, whitened(frame.flip(2)[None])[0], atol=1e-5) for one, frame in zip(ours, x, strict=True)
    ]
    assert all(a != b for a, b in zip(kept, turned, strict=True)) and 8 < sum(kept) < 32
    quarter = rotated(x, torch.full((40,), torch.pi / 2))
    torch.testing.assert_close(quarter, x.rot90(1, (2, 3)), rtol=1e-3, atol=1e-4)


TINY = {
    "source": "digits",
    "corruptions": [0.0, 1.0],
    "digits": {
        "seeds": [0], "table_seeds": [0], "train": 60, "test": 40, "batch": 20, "inception_divisor": 16,
        "alexnet_divisor": 16, "mlp_width": 8, "inception_epochs": 3, "alexnet_epochs": 3, "mlp_epochs": 3,
        "norm_epochs": 3, "augmented_epochs": 3,
    },
}  # fmt: skip


def small_cell(group):
    small = load_config("tiny", {"studies": {"zhang2017": TINY}}).study("zhang2017")
    (recipe,) = runs.recipes(small)
    return next(cell for cell in runs.cells(small) if cell.name == f"{group}_0"), recipe.build(None)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("group", ["curves", "random_augmented"])
def test_a_cell_taken_up_again_has_the_same_bytes(group, tmp_path, monkeypatch):
    from zeroloss.progress import Progress

    cell, data = small_cell(group)
    whole = compute.run(cell.parameters, [data], device="cpu", quiet=True)
    advance, calls = Progress.advance, []

    def kill(self, *given, **more):
        calls.append(1)
        if len(calls) == 6:
            raise KilledError
        advance(self, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "advance", kill)
        kept = Checkpoints(tmp_path, key="k", seconds=0)
        with pytest.raises(KilledError):
            compute.run(cell.parameters, [data], device="cpu", quiet=True, checkpoints=kept)
    again = compute.run(cell.parameters, [data], device="cpu", quiet=True, checkpoints=Checkpoints(tmp_path, key="k"))
    pd.testing.assert_frame_equal(whole, again, check_exact=True)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_other_precisions_train_and_leave_torch_as_it_was(precision):
    cell, data = small_cell("norm")
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    table = compute.run({**cell.parameters, "precision": precision}, [data], device="cpu", quiet=True)
    assert np.isfinite(table["loss"]).all()
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before


def path(run, losses, test=0.5, final=1.0, training=None):
    """Made-up metrics of one run."""
    count = len(losses)
    return pd.DataFrame(
        {
            **vars(run),
            "epoch": np.arange(1, count + 1),
            "steps": np.arange(1, count + 1) * 10,
            "loss": losses,
            "train_accuracy": training if training is not None else np.linspace(0.1, 1, count),
            "test_accuracy": test,
            "final_train_accuracy": final,
            "diverged": ~np.isfinite(losses[-1]),
        }
    )


def falling(epochs):
    """From ln 10 to .01 in so many epochs."""
    return np.geomspace(2.303, 0.01, epochs)


SPEED = {"true labels": 8, "shuffled pixels": 14, "gaussian": 20, "random pixels": 23, "random labels": 40}


def five(settings, speed=SPEED, final=1.0, first=None):
    tables = []
    for seed in settings.sizes.seeds:
        for name, epochs in speed.items():
            inputs, share = SETTINGS_OF_FIGURE[name]
            losses = falling(epochs + seed)
            losses[0] = first or losses[0]
            tables.append(path(Run("x", "inception", seed, inputs=inputs, share=share), losses, final=final))
    return pd.concat(tables, ignore_index=True)


def test_all_fit(settings):
    assert claims.judge_all_fit(five(settings), settings).verdict == "reproduced"
    cut = five(settings, final=0.9)
    assert claims.judge_all_fit(cut, settings).verdict == "undecided"
    assert claims.judge_all_fit(cut.assign(loss=1.0), settings).verdict == "differs"


def test_order(settings):
    assert claims.judge_order(five(settings), settings).verdict == "reproduced"
    other = {**SPEED, "random labels": 10}
    assert claims.judge_order(five(settings, other), settings).verdict == "differs"
    never = five(settings)
    never.loc[never["share"] == 1, "loss"] = 2.0
    assert claims.judge_order(never, settings).verdict == "undecided"


def test_initial_loss(settings):
    assert claims.judge_initial_loss(five(settings), settings).verdict == "reproduced"
    assert claims.judge_initial_loss(five(settings, first=3.0), settings).verdict == "differs"


def corrupted(settings, slower, top=0.9, hits=0.1):
    tables = []
    for network in runs.CORRUPTED:
        for seed in settings.sizes.seeds:
            for share in settings.corruptions:
                epochs = round(20 * (1 + (slower[network] - 1) * share)) + seed
                test = (1 - share) * top + share * hits
                tables.append(path(Run("x", network, seed, share=share), falling(epochs), test=test))
    return pd.concat(tables, ignore_index=True)


PUBLISHED = {"inception": 3.6, "alexnet": 1.55, "mlp_1": 1.96}


def test_time_to_overfit(settings):
    metrics = corrupted(settings, PUBLISHED)
    times = relative_times(ends(metrics, settings), "inception", settings.corruptions)
    assert times[1.0].mean() == pytest.approx(3.6, rel=0.1)
    assert claims.judge_time_grows(metrics, settings).verdict == "reproduced"
    assert claims.judge_published_slowdown(metrics, settings).verdict == "reproduced"
    faster = corrupted(settings, {**PUBLISHED, "mlp_1": 0.5})
    assert claims.judge_time_grows(faster, settings).verdict == "differs"
    assert claims.judge_published_slowdown(faster, settings).verdict == "differs"
    never = metrics.assign(loss=metrics["loss"].where(metrics["network"] != "alexnet", 1.0))
    assert claims.judge_time_grows(never, settings).verdict == "undecided"
    assert claims.judge_published_slowdown(never, settings).verdict == "undecided"


def test_test_error(settings):
    rising = corrupted(settings, PUBLISHED)
    assert generalisation.judge_error_rises(rising, settings).verdict == "reproduced"
    assert generalisation.judge_chance(rising, settings).verdict == "reproduced"
    still_good = corrupted(settings, PUBLISHED, top=0.3, hits=0.5)
    assert generalisation.judge_error_rises(still_good, settings).verdict == "differs"
    assert generalisation.judge_chance(still_good, settings).verdict == "differs"


def regularised(settings, plain, best, final=1.0, loss=None):
    losses = falling(20) if loss is None else np.full(20, loss)
    tables = []
    for seed in settings.sizes.table_seeds:
        tables.append(path(Run("x", "inception", seed), losses, test=plain, final=final))
        for crops, decays in generalisation.REGULARISERS.values():
            run = Run("x", "inception", seed, crops=crops, decays=decays)
            tables.append(path(run, losses, test=best, final=final))
        for how in ({"decays": True}, {"crops": True, "slow": True}, {"augmented": True, "slow": True}):
            tables.append(path(Run("x", "inception", seed, share=1.0, **how), losses, final=final))
    return pd.concat(tables, ignore_index=True)


def test_regularisers(settings):
    assert generalisation.judge_regularisers(regularised(settings, 0.86, 0.89), settings).verdict == "reproduced"
    assert generalisation.judge_regularisers(regularised(settings, 0.6, 0.89), settings).verdict == "differs"
    assert generalisation.judge_regularisers(regularised(settings, 0.8, 0.8, 0.9), settings).verdict == "undecided"


def test_regularised_random_labels(settings):
    judge = generalisation.judge_regularised_random
    assert judge(regularised(settings, 0.8, 0.8), settings).verdict == "reproduced"
    assert judge(regularised(settings, 0.8, 0.8, 0.5), settings).verdict == "undecided"
    assert judge(regularised(settings, 0.8, 0.8, 0.5, loss=2.3), settings).verdict == "differs"


def normed(settings, gain, wobble=0.0):
    tables = []
    for seed in settings.sizes.seeds:
        for network, test in (("inception", 0.85 + gain + 0.001 * seed), ("inception_plain", 0.85)):
            training = np.full(20, 1.0)
            training[1::2] -= wobble if network == "inception" else 0.01
            tables.append(path(Run("x", network, seed), falling(20), test=test, training=training))
    return pd.concat(tables, ignore_index=True)


def test_batch_norm_and_early_stopping(settings):
    assert generalisation.judge_norm(normed(settings, 0.03), settings).verdict == "reproduced"
    assert generalisation.judge_norm(normed(settings, -0.03), settings).verdict == "differs"
    assert generalisation.judge_norm(normed(settings, 0.5), settings).verdict == "differs"
    assert generalisation.judge_norm(normed(settings, 0.03, wobble=0.1), settings).verdict == "differs"
    assert generalisation.judge_norm(normed(settings, -0.001), settings).verdict == "undecided"
    assert generalisation.judge_early_stopping(normed(settings, 0.03), settings).verdict == "reproduced"
    peaked = normed(settings, 0.03)
    peaked.loc[peaked["epoch"] == 5, "test_accuracy"] = 0.99
    assert generalisation.judge_early_stopping(peaked, settings).verdict == "differs"


def test_items_are_all_served(settings):
    served = {
        item for kind in (STUDY.figures, STUDY.tables, STUDY.claims) for one in kind(settings) for item in one.items
    }
    assert served >= {"002-F1", "003-Q11", "004-F4", "004-F5", "004-F6", "004-F7", "004-F8", "004-T1"}


def test_printed_networks_are_named_as_in_the_published_files():
    assert set(published.load("zhang2017_table1")["network"]) == set(NETWORKS)
    assert {NETWORKS[name] for name in runs.CORRUPTED} - {"MLP 1x512"} < set(published.load("zhang2017_fig1b")["model"])
    assert NETWORKS["mlp_1"] in set(published.load("zhang2017_fig1c")["model"])
