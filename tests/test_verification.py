"""Computing cells again and comparing: what is identical, what is not, and what is said about it."""

import copy

import numpy as np
import pandas as pd
import pytest

from tests.conftest import MICRO
from zeroloss import pipeline, storage, verification
from zeroloss.errors import UserError
from zeroloss.plan import make_plan


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One small study, computed once; (plan, results, the cells' names)."""
    plan = make_plan("laptop", copy.deepcopy(MICRO))
    results = tmp_path_factory.mktemp("results")
    cells = sorted(plan.cells["du2018a"])[:2]
    for name in cells:
        for dataset in plan.cells["du2018a"][name].datasets:
            pipeline.make_dataset(plan.dataset(dataset), results, None)
        pipeline.run_cell(plan.cell("du2018a", name), results, "cpu", quiet=True)
    return plan, results, cells


@pytest.fixture
def rewrite(made):
    """Change a cell's file for one test: ``rewrite(table -> table, provenance -> provenance)``."""
    _, results, cells = made
    path = results / "runs/du2018a" / f"{cells[0]}.parquet"
    before = path.read_bytes()

    def change(table=lambda t: t, provenance=lambda p: p):
        storage.write_table(table(storage.read_table(path)), path, provenance(storage.read_provenance(path)))

    yield change
    path.write_bytes(before)


def checks(made, count=1):
    plan, results, cells = made
    return list(verification.verify(plan, results, [("du2018a", name) for name in cells[:count]], "cpu"))


def nudged(factor):
    return lambda table: table.assign(mean_squared_error=table["mean_squared_error"] * factor)


def test_what_the_code_makes_is_identical(made):
    assert [check.outcome for check in checks(made, 2)] == ["identical", "identical"]


def test_one_bit_on_the_same_platform_differs(made, rewrite):
    rewrite(lambda table: table.assign(mean_squared_error=np.nextafter(table["mean_squared_error"], np.inf)))
    (check,) = checks(made)
    assert check.outcome == "differs"
    assert "mean_squared_error" in check.detail and "on the platform that made it" in check.detail


@pytest.mark.parametrize(("factor", "outcome"), [(1.0005, "close"), (1.005, "differs")])
def test_another_platform_has_a_tolerance(made, rewrite, factor, outcome):
    rewrite(nudged(factor), lambda found: {**found, "processor": "another"})
    (check,) = checks(made)
    assert check.outcome == outcome
    assert "made with another processor" in check.detail


def test_other_settings_damage_and_absence(made, rewrite):
    plan, results, cells = made
    rewrite(provenance=lambda found: {**found, "key": "0" * 32, "parameters": {}})
    assert checks(made)[0].outcome == "made otherwise"
    assert "made with other parameters" in checks(made)[0].detail
    path = results / "runs/du2018a" / f"{cells[0]}.parquet"
    path.write_bytes(path.read_bytes()[:100])
    assert checks(made)[0].outcome == "missing"
    with pytest.raises(UserError, match="is no folder"):
        list(verification.verify(plan, results / "nowhere", [], "cpu"))


def test_samples_are_reproducible_and_without_repetition(made):
    plan = made[0]
    some = verification.choose(plan, 3, 0)
    assert some == verification.choose(plan, 3, 0) and len(set(some)) == 3
    everything = verification.choose(plan, 10**6, 0)
    assert len(everything) == sum(len(cells) for cells in plan.cells.values())
    assert {study for study, _ in verification.choose(plan, 10**6, 0, ["du2018a"])} == {"du2018a"}


def test_comparison_of_columns():
    table = pd.DataFrame({"a": [1.0, np.nan, np.inf], "b": [1, 2, 3], "c": ["x", "y", "z"]})
    assert verification.compare(table, table.copy()) == {}
    assert verification.compare(table, table.assign(b=[1, 2, 4])) == {"b": pytest.approx(1 / 3)}
    assert verification.compare(table, table.assign(a=[1.0, 2.0, np.inf])) == {"a": np.inf}
    assert verification.compare(table, table.assign(c=["x", "y", ""])) == {"c": np.inf}
    assert verification.compare(table, table[["a"]]) == {"the table's shape": np.inf}
