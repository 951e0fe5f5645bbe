"""Files are whole or absent, and say when they are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zeroloss import storage
from zeroloss.errors import UserError


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    storage.write_text(path, "first")

    def fail_half_way() -> None:
        with storage.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_table_and_its_provenance_come_back(tmp_path):
    table = pd.DataFrame({"width": [1, 2], "value": [0.1, float("nan")], "name": ["a", "é"]})
    storage.write_table(table, tmp_path / "t.parquet", {"key": "k", "seed": 3})
    pd.testing.assert_frame_equal(storage.read_table(tmp_path / "t.parquet"), table)
    assert storage.read_provenance(tmp_path / "t.parquet") == {"key": "k", "seed": 3}


def test_same_content_is_the_same_file(tmp_path):
    table = pd.DataFrame({"value": np.arange(5.0)})
    for name in ("a", "b"):
        storage.write_table(table, tmp_path / f"{name}.parquet", {"y": 1, "x": 2})
        storage.write_arrays(tmp_path / f"{name}.npz", {"x": np.arange(3)}, {"key": "k"})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_missing_damaged_and_foreign_files_are_named(tmp_path, suffix):
    path = tmp_path / f"f.{suffix}"
    with pytest.raises(UserError, match="is missing"):
        storage.read_provenance(path)
    if suffix == "parquet":
        storage.write_table(pd.DataFrame({"a": np.arange(1000)}), path, {"key": "k"})
    else:
        storage.write_arrays(path, {"a": np.arange(1000)}, {"key": "k"})
    whole = path.read_bytes()
    assert storage.is_current(path, "k")
    assert not storage.is_current(path, "other")
    for broken in (b"", whole[: len(whole) // 2], b"nonsense"):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="is damaged"):
            storage.read_provenance(path)
        assert not storage.is_current(path, "k")
    pd.DataFrame({"a": [1]}).to_parquet(path) if suffix == "parquet" else np.savez(path, a=1)
    with pytest.raises(UserError, match="carries no zeroloss provenance"):
        storage.read_provenance(path)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "p.npz", provenance=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="is damaged"):
        storage.read_arrays(tmp_path / "p.npz")
