"""Files that were cut off, changed or deleted: noticed, named, made again; and times moved back, which mean nothing."""

from __future__ import annotations

import hashlib
import os
import time

import numpy as np
import pandas as pd
import pytest

from tests.faults.harness import FULL, RESNET, TALLY, Checkout, finish, injected, results_of, same
from zeroloss import checksums, storage
from zeroloss.errors import UserError

pytestmark = [pytest.mark.faults]

# one file of every kind that a run leaves
KINDS = [
    "datasets/digits_split_100_50.npz",
    f"runs/{RESNET}/digits.parquet",
    f"metrics/{RESNET}.parquet",
    f"figures/{RESNET}_fig1.pdf",
    f"figures/{RESNET}_fig1.svg",
    f"figures/{RESNET}_fig1.png",
    f"tables/{RESNET}_sizes.csv",
    f"tables/{RESNET}_sizes.md",
    f"tables/{RESNET}_sizes.tex",
    f"claims/{RESNET}.csv",
    "claims.csv",
    "coverage.csv",
    "index.html",
]


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def empty_file(whole: bytes) -> bytes:
    return b""


def changed(whole: bytes) -> bytes:
    """One bit, in the contents of the file: a parquet file also has bits that say nothing."""
    place = len(whole) // 4
    return whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :]


def break_all(checkout: Checkout, how, names=KINDS) -> None:
    for name in names:
        path = results_of(checkout) / name
        path.write_bytes(how(path.read_bytes()))
        injected(f"{how.__name__.replace('_', ' ')}")


@pytest.mark.workflow
@pytest.mark.slow
@pytest.mark.parametrize("how", [cut, empty_file, changed] if FULL else [changed])
def test_damaged_files_are_named_and_made_again(built, expected, how):
    break_all(built, how)
    said = finish(built, expected)
    for name in KINDS:
        assert f"{results_of(built).relative_to(built.folder) / name} is damaged" in said
    assert built.waiting() == {}


@pytest.mark.workflow
@pytest.mark.slow
def test_deleted_files_are_made_again_and_what_hangs_on_nothing_is_not(built, expected):
    for name in KINDS:
        (results_of(built) / name).unlink()
        injected("deleted")
    counts = built.waiting()
    # the other cell and its data are there
    assert counts["cell"] == 1 and counts["dataset"] == 1
    finish(built, expected)


@pytest.mark.workflow
@pytest.mark.slow
def test_times_moved_back_and_forth_change_nothing(built, expected):
    """A restored backup, a wrong clock: every file is years older or newer than what it was made from."""
    for path in results_of(built).rglob("*"):
        if path.is_file():
            moment = time.time() + (-1 if "runs" in path.parts else 1) * 10**8
            os.utime(path, (moment, moment))
            injected("file time moved")
    assert built.waiting() == {}
    same(built, expected)


@pytest.mark.workflow
@pytest.mark.slow
def test_a_damaged_file_without_a_record_is_named_and_left_to_its_owner(built):
    """Nothing says who made it: it may be the only copy of what a GPU machine computed."""
    (built.folder / ".snakemake").rename(built.folder / "elsewhere")
    break_all(built, changed, KINDS[1:2])
    done = built.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "digits.parquet is damaged or was made with other settings" in done.stdout + done.stderr


def test_no_changed_byte_of_a_table_or_of_arrays_passes(tmp_path, chance):
    """Wherever a bit is turned, the file is refused or says exactly what it said before."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {"name": ["a", None] * 20, "seed": np.arange(40), "value": generator.normal(size=40), "whole": [True] * 40}
    )
    storage.write_table(table, tmp_path / "a.parquet", {"key": "k" * 32, "versions": {"torch": "2"}})
    storage.write_arrays(tmp_path / "a.npz", {"x": generator.normal(size=30), "y": np.arange(5)}, {"key": "k" * 32})

    def read(path):
        if path.suffix == ".parquet":
            return storage.read_table(path).to_csv(), storage.read_provenance(path)
        arrays, provenance = storage.read_arrays(path)
        return {name: array.tobytes() for name, array in arrays.items()}, provenance

    for path in (tmp_path / "a.parquet", tmp_path / "a.npz"):
        whole, before, noticed = path.read_bytes(), read(path), 0
        places = range(len(whole)) if FULL else chance.sample(range(len(whole)), 300)
        for place in places:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
            try:
                after = read(path)
            except UserError:
                noticed += 1
            else:
                TALLY.wrong += after != before
                assert after == before, place
        injected("bit turned", len(places))
        assert noticed > len(places) / 3


def test_checksums_are_those_of_sha256sum_and_notice_a_change(tmp_path):
    checksums.write_text(tmp_path, "tables/a.csv", "x\n1\n")
    digest = hashlib.sha256(b"x\n1\n").hexdigest()
    assert (tmp_path / "checksums/tables/a.csv.sha256").read_text() == f"{digest}  tables/a.csv\n"
    assert checksums.damaged(tmp_path, "tables/a.csv") == []
    (tmp_path / "tables/a.csv").write_text("x\n2\n")
    assert checksums.damaged(tmp_path, "tables/a.csv") == ["tables/a.csv"]
    (tmp_path / "checksums/tables/a.csv.sha256").write_text("nonsense")
    assert checksums.damaged(tmp_path, "tables/a.csv") == ["tables/a.csv"]
    (tmp_path / "checksums/tables/a.csv.sha256").unlink()
    assert checksums.damaged(tmp_path, "tables/a.csv") == []


def test_expected_results_hold_no_temporary_file(expected):
    assert [name for name in expected if name.rsplit("/", 1)[-1].startswith(".")] == []
