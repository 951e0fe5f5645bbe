"""Cells that share a job (``seconds_per_job``)."""

from __future__ import annotations

import itertools
import json

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import MICRO
from zeroloss import pipeline
from zeroloss.plan import make_plan

PLAN = make_plan("tiny")


@given(st.floats(0, 1000))
def test_every_cell_is_in_one_job_and_no_job_is_longer_than_asked(seconds):
    plan = make_plan("tiny", {"seconds_per_job": seconds})
    for study in ("du2018b", "zhang2017"):
        cells, bundles = plan.cells[study], plan.bundles(study)
        assert [name for names in bundles for name in names] == list(cells)
        for names in bundles:
            assert len(names) == 1 or sum(cells[name].cost.seconds for name in names) <= seconds
        for names, after in itertools.pairwise(bundles):
            # the next one would not have found room
            assert sum(cells[name].cost.seconds for name in (*names, after[0])) > seconds


def test_by_default_each_cell_is_a_job_of_its_own():
    plan = make_plan("laptop")
    for study, cells in plan.cells.items():
        assert plan.bundles(study) == [(name,) for name in cells]


def test_the_key_of_a_cell_does_not_depend_on_its_job():
    other = make_plan("tiny", {"seconds_per_job": 0})
    for study, cells in PLAN.cells.items():
        assert {name: PLAN.cell(study, name) for name in cells} == {name: other.cell(study, name) for name in cells}
    assert PLAN.page()["key"] == other.page()["key"]


def test_orders_fit_into_a_command_line():
    """Linux takes at most 128 KiB for one argument."""
    for study in PLAN.studies:
        orders = [PLAN.figures_of(study), PLAN.tables_of(study)]
        orders += [PLAN.cells_of(study, names) for names in PLAN.bundles(study)]
        assert max(len(json.dumps(order).encode()) for order in orders) < 2**16
    whole = make_plan("paper", {"seconds_per_job": 1e12})
    for study in whole.studies:
        (names,) = whole.bundles(study)
        assert len(json.dumps(whole.cells_of(study, names)).encode()) < 2**17


def test_cells_of_one_job_are_the_files_of_jobs_of_their_own(tmp_path):
    plan = make_plan("laptop", MICRO)
    names = list(plan.cells["du2018a"])[:2]
    for folder in ("together", "alone"):
        for name in dict.fromkeys(one for cell in names for one in plan.cells["du2018a"][cell].datasets):
            pipeline.make_dataset(plan.dataset(name), tmp_path / folder, None)
    pipeline.run_cells(plan.cells_of("du2018a", tuple(names)), tmp_path / "together", "cpu")
    for name in reversed(names):
        pipeline.run_cell(plan.cell("du2018a", name), tmp_path / "alone", "cpu", quiet=True)
        path = f"runs/du2018a/{name}.parquet"
        assert (tmp_path / "together" / path).read_bytes() == (tmp_path / "alone" / path).read_bytes()


def test_what_figures_and_tables_share_is_taken_apart_and_put_together_again():
    for study in ("du2018a", "zhang2017"):
        together = PLAN.figures_of(study)
        assert together["figures"]
        for name, own in together["figures"].items():
            whole = {**together, **own}
            assert {part: whole[part] for part in PLAN.figure(name)} == PLAN.figure(name)
        together = PLAN.tables_of(study)
        for name, own in together["tables"].items():
            assert {part: {**together, **own}[part] for part in PLAN.table(name)} == PLAN.table(name)
        verdicts = {**together, **together["verdicts"]}
        assert {part: verdicts[part] for part in PLAN.verdicts(study)} == PLAN.verdicts(study)


def test_an_order_is_the_same_in_this_process_and_in_a_job():
    """Snakemake hands orders over as text with sorted keys."""
    for study, cells in PLAN.cells.items():
        orders = [PLAN.cell(study, name) for name in cells] + [PLAN.figures_of(study), PLAN.tables_of(study)]
        for order in orders:
            order = {name: value for name, value in order.items() if name not in ("gpu", "key")}
            assert json.dumps(order) == json.dumps(order, sort_keys=True)
        for name, cell in cells.items():
            assert PLAN.cell(study, name)["inputs"] == list(cell.datasets)


def test_data_sets_come_in_the_declared_order_however_the_order_travels(tmp_path):
    """Rows of several data sets stood in another order after a run by Snakemake than after one by hand."""
    order = PLAN.cell("du2018b", "digits_resnet")
    assert order["inputs"] != sorted(order["inputs"])
    tables = []
    for folder, travelled in (("here", order), ("job", json.loads(json.dumps(order, sort_keys=True)))):
        for name in order["inputs"]:
            pipeline.make_dataset(PLAN.dataset(name), tmp_path / folder, None)
        pipeline.run_cell(travelled, tmp_path / folder, "cpu", quiet=True)
        tables.append(tmp_path / folder / "runs/du2018b/digits_resnet.parquet")
    assert tables[0].read_bytes() == tables[1].read_bytes()
    sources = pd.read_parquet(tables[0])["source"].drop_duplicates().tolist()
    assert len(sources) == 2 and sources != sorted(sources)
