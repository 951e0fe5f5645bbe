"""What runs again after a change: exactly what depends on it. Counted on a real Snakemake."""

from __future__ import annotations

import copy
import os
import shutil
import textwrap

import numpy as np
import pytest

from tests.conftest import MICRO

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

STUDY = "src/zeroloss/studies/du2018a"


def changed(**paths):
    """MICRO with some settings replaced; keys like synthetic__seeds."""
    values = copy.deepcopy(MICRO)
    for key, value in paths.items():
        part, name = key.split("__")
        values["studies"]["du2018a"][part][name] = value
    return values


def test_a_moved_or_touched_checkout_is_up_to_date(checkout):
    moved = checkout()
    assert moved.waiting() == {}
    for path in moved.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    assert moved.waiting() == {}


def test_editing_a_drawing_function_redraws_and_judges_nothing_anew(checkout):
    moved = checkout()
    moved.edit(f"{STUDY}/figures.py", "figsize=(10, 4.4)", "figsize=(9, 4.4)")
    assert moved.waiting() == {"figures": 1, "page": 1}


def test_editing_a_shared_panel_or_the_house_style_redraws(checkout):
    moved = checkout()
    moved.edit("src/zeroloss/plotting/curves.py", "linewidth=1.3, zorder=1", "linewidth=2, zorder=1")
    moved.edit("src/zeroloss/plotting/style.py", '"lines.linewidth": 1.6', '"lines.linewidth": 1.7')
    assert moved.waiting() == {"figures": 1, "page": 1}


def test_editing_a_table_or_a_claim_draws_nothing_anew(checkout):
    moved = checkout()
    moved.edit(f"{STUDY}/tables.py", '"decrease of ln MSE"', '"decrease of the logarithm"')
    assert moved.waiting() == {"tables": 1, "claims": 1, "page": 1}
    moved.edit(f"{STUDY}/claims.py", "<= 2**0.5", "< 2**0.5")
    assert moved.waiting() == {"tables": 1, "claims": 1, "page": 1}


def test_comments_and_docstrings_are_free(checkout):
    moved = checkout()
    moved.edit("src/zeroloss/training/gram_descent.py", "# G = P diag(r)", "# the masked residuals")
    moved.edit("src/zeroloss/training/gram_descent.py", "The iteration above on one device.", "The iteration.")
    assert moved.waiting() == {}


def test_editing_an_unrelated_module_reruns_nothing(checkout):
    moved = checkout()
    moved.edit("src/zeroloss/costs.py", "if seconds < 90:", "if seconds < 91:")
    (moved.folder / "src/zeroloss/theory/another.py").write_text("def f():\n    return 1\n")
    assert moved.waiting() == {}


TOY = '''
"""A study that trains nothing."""

from zeroloss.studies.contract import Cell, Cost, Study, StudySettings


class Settings(StudySettings):
    """Toy."""


def cells(settings):
    return [Cell("only", {"value": 1}, (), Cost(1, 100))]


def run(parameters, datasets, *, device, quiet):
    import pandas as pd

    return pd.DataFrame({"value": [parameters["value"]]})


def nothing(settings):
    return []


STUDY = Study("toy", "Toy", "0", "A toy.", Settings, nothing, cells, run, nothing, nothing, nothing)
'''


def test_a_study_is_one_module_and_one_block_and_an_engine_concerns_only_its_users(checkout):
    values = copy.deepcopy(MICRO)
    values["studies"]["toy"] = {}
    moved = checkout(values)
    (moved.folder / "src/zeroloss/studies/toy.py").write_text(textwrap.dedent(TOY))
    assert moved.waiting() == {"cell": 1, "metrics": 1, "tables": 1, "claims": 1, "page": 1}
    moved.snakemake("--rerun-triggers", "code", "params", "input", "software-env")
    assert moved.waiting() == {}
    moved.edit("src/zeroloss/training/gram_descent.py", "diverged_at = None", "diverged_at: int | None = None")
    counts = moved.waiting()
    # four cells of du2018a, none of the toy; then all that is made from them
    assert counts == {"cell": 4, "metrics": 1, "figures": 1, "tables": 1, "claims": 1, "page": 1}


def test_one_more_seed_runs_only_its_cells(checkout):
    moved = checkout(changed(synthetic__seeds=[0, 5]))
    assert moved.waiting() == {
        "dataset": 1, "cell": 2, "metrics": 1, "figures": 1, "tables": 1, "claims": 1, "page": 1,
    }  # fmt: skip


def test_settings_of_one_part_leave_the_other_alone(checkout):
    moved = checkout(changed(images__relative_step=0.5))
    assert moved.waiting()["cell"] == 2
    assert "dataset" not in moved.waiting()


@pytest.mark.parametrize("how", ["file", "command line"])
def test_an_override_is_laid_over_the_scale_not_over_the_default(checkout, how):
    """One setting changed at the scale tiny: all others are those of tiny."""
    moved = checkout({} if how == "command line" else {"studies": {"du2018a": {"images": {"relative_step": 0.5}}}})
    more = ["studies={du2018a: {images: {relative_step: 0.5}}}"] if how == "command line" else []
    done = moved.snakemake(
        "-n", "-p", "--config", "scale=tiny", *more, "--", "results/tiny/runs/du2018a/digits_true_seed0.parquet"
    )
    assert '"samples": 100' in done.stdout
    assert '"step": 0.5' in done.stdout
    assert '"widths": [50, 100, 200, 400]' in done.stdout


def test_a_correction_of_published_numbers_retrains_nothing(checkout):
    moved = checkout()
    moved.edit("src/zeroloss/published/du2018a_fig1.csv", "a,500,1,0.340455", "a,500,1,0.340456")
    assert moved.waiting() == {"figures": 1, "tables": 1, "claims": 1, "page": 1}


def test_files_without_a_record_are_judged_by_their_own_key(checkout):
    """Someone removed .snakemake: what fits is taken as it is, what does not is named instead of passing as done."""
    moved = checkout()
    shutil.rmtree(moved.folder / ".snakemake")
    # without records Snakemake goes by file times; at worst the cheap steps are done again, never a cell
    assert not {"cell", "dataset"} & set(moved.waiting())
    moved.values = changed(synthetic__steps=9)
    done = moved.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "was made with other settings, data or code, and Snakemake has no record of it" in done.stdout + done.stderr


def own_images(folder, seed):
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(seed)
    images = generator.integers(1, 255, (40, 6, 6)).astype(np.uint8)
    labels = np.arange(40) % 10
    np.savez(folder / "mine.npz", x_train=images, y_train=labels, x_test=images[:5], y_test=labels[:5])


def test_swapping_a_data_file_reruns_what_used_it_whatever_its_date(checkout, tmp_path):
    own_images(tmp_path / "data", seed=0)
    values = changed(images__sources=["digits", "mine"])
    values["data"] = {"root": str(tmp_path / "data")}
    moved = checkout(values)
    moved.snakemake("--rerun-triggers", "code", "params", "input", "software-env")
    assert (moved.folder / "results/laptop/figures/du2018a_images_mine.pdf").is_file()
    assert moved.waiting() == {}
    old = os.stat(tmp_path / "data/mine.npz")
    own_images(tmp_path / "data", seed=1)
    os.utime(tmp_path / "data/mine.npz", (old.st_atime, old.st_mtime))
    counts = moved.waiting()
    assert counts == {
        "dataset": 2, "cell": 2, "metrics": 1, "figures": 1, "tables": 1, "claims": 1, "page": 1,
    }  # fmt: skip
    # interrupted after the data sets: what used the old file is still known to be out of date
    targets = [f"results/laptop/datasets/mine_n20_{labels}.npz" for labels in ("true", "random0")]
    moved.snakemake("--rerun-triggers", "code", "params", "input", "software-env", "--", *targets)
    assert moved.waiting() == {**{k: v for k, v in counts.items() if k != "dataset"}}


def test_files_made_with_other_settings_are_refused_by_name(checkout):
    """Someone copies a cell of another run into results/: Snakemake knows nothing of it, the file itself does."""
    moved, other = checkout(), changed(synthetic__steps=9)
    cell = moved.folder / "results/laptop/runs/du2018a/as_printed_seed0.parquet"
    good = cell.read_bytes()
    moved.values = other
    moved.snakemake("--rerun-triggers", "params", "--", "results/laptop/runs/du2018a/as_printed_seed0.parquet")
    assert cell.read_bytes() != good
    moved.values = MICRO
    done = moved.snakemake(
        "--rerun-triggers",
        "input",
        "--forcerun",
        "metrics",
        "--",
        "results/laptop/metrics/du2018a.parquet",
        check=False,
    )
    log = (moved.folder / "results/laptop/logs/metrics/du2018a.log").read_text()
    assert done.returncode != 0
    assert "as_printed_seed0.parquet was made with other settings, data or code" in log
    assert "Traceback" not in log
