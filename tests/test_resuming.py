"""Cells that keep their state: killed right after a save and taken up, they give the table of an undisturbed run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zeroloss import pipeline
from zeroloss.checkpoint import Checkpoint, Checkpoints, KeptRows
from zeroloss.datasets.recipes import Dataset
from zeroloss.plan import make_plan

PLAN = make_plan("tiny", {"device": "cpu"})
CELLS = [
    ("arora2019_ntk", "kernels"),
    ("curse_of_dimension", "torus"),
    ("daniely2017", "features"),
    ("daniely2017", "trained"),
    ("jacot2018", "principal_small"),
    ("kawaguchi_huang2019", "capacity"),
    ("nguyen2019", "cnn_cnn13small_sigmoid"),
]


class Killed(BaseException):
    """What no code of a cell catches."""


def compute(study: str, cell: str, data: list[Dataset], folder: Path) -> pd.DataFrame:
    states = Checkpoints(folder, "key", seconds=0)
    declared = PLAN.cells[study][cell]
    assert declared.resumable
    return PLAN.studies[study].run(declared.parameters, data, device="cpu", quiet=True, checkpoints=states)


@pytest.mark.parametrize(("study", "cell"), CELLS)
def test_killed_after_a_save_and_taken_up(study, cell, tmp_path, monkeypatch):
    data = []
    for name in PLAN.cells[study][cell].datasets:
        pipeline.make_dataset(PLAN.dataset(name), tmp_path, None)
        data.append(Dataset.read(tmp_path / "datasets" / f"{name}.npz"))
    save, saves, kill_at = Checkpoint.save, [], 0

    def counted(self, arrays):
        save(self, arrays)
        saves.append(self)
        if len(saves) == kill_at:
            raise Killed

    monkeypatch.setattr(Checkpoint, "save", counted)
    expected = compute(study, cell, data, tmp_path / "undisturbed")
    total = len(saves)
    assert total >= 1
    for kill_at in {1, 1 + total // 2}:
        folder = tmp_path / str(kill_at)
        saves.clear()
        with pytest.raises(Killed):
            compute(study, cell, data, folder)
        done, before = len(saves), kill_at
        saves.clear()
        kill_at = 0
        found = compute(study, cell, data, folder)
        assert len(saves) <= total - done, f"what was saved after {before} saves is not done again"
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_kept_rows_have_the_types_and_bits_of_computed_ones(tmp_path):
    rows = [{"a": np.float64(0.1), "b": np.int64(3), "c": True, "d": None, "e": "é", "f": float("nan"), "g": 1e-320}]
    states = Checkpoints(tmp_path, "key", seconds=0)
    first = KeptRows(states).of("part", lambda: rows)
    again = KeptRows(states)
    assert "part" in again and "other" not in again
    second = again.of("part", lambda: pytest.fail("computed again"))
    assert json.dumps(first) == json.dumps(second)
    assert [type(value) for value in first[0].values()] == [float, int, bool, type(None), str, float, float]
    assert KeptRows(None).of("part", lambda: rows)[0]["a"] == 0.1
    assert "part" not in KeptRows(Checkpoints(tmp_path, "another key"))


def test_rows_are_kept_once_a_minute_and_not_after_every_part(tmp_path):
    states = Checkpoints(tmp_path, "key")
    KeptRows(states).of("part", lambda: [{"a": 1}])
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_is_no_number_is_refused(tmp_path):
    with pytest.raises((TypeError, AttributeError)):
        KeptRows(None).of("part", lambda: [{"a": object()}])
