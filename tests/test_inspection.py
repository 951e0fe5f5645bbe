"""Each file of a run says how it was made, the same in every format, and nothing about the machine's owner."""

from __future__ import annotations

import copy
import getpass
import hashlib
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import MICRO
from zeroloss import __version__, pipeline, storage
from zeroloss.cli import main
from zeroloss.errors import UserError
from zeroloss.plan import make_plan
from zeroloss.report.inspection import inspect

FIGURE, TABLE = "du2018a_finding", "du2018a_agreement"
SECRET = "hunter2-correct-horse"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One small study from data sets to claims, in an environment that holds a secret; (plan, results)."""
    plan = make_plan("laptop", copy.deepcopy(MICRO))
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PIP_INDEX_URL", "HTTPS_PROXY"):
            patched.setenv(name, f"https://user:{SECRET}@example.org/simple")
        for name in plan.recipes:
            if name in {data for cell in plan.cells["du2018a"].values() for data in cell.datasets}:
                pipeline.make_dataset(plan.dataset(name), results, None)
        for name in plan.cells["du2018a"]:
            pipeline.run_cell(plan.cell("du2018a", name), results, "cpu", quiet=True)
        pipeline.collect_metrics(plan.metrics("du2018a"), results)
        pipeline.draw_figure(plan.figure(FIGURE), results)
        pipeline.make_table(plan.table(TABLE), results)
        pipeline.judge_claims(plan.verdicts("du2018a"), results)
    return plan, results


def files(results):
    return [
        *(results / "figures" / f"{FIGURE}.{ending}" for ending in ("pdf", "svg", "png")),
        *(results / "tables" / f"{TABLE}.{ending}" for ending in ("csv", "md", "tex")),
    ]


def test_every_format_says_the_same(made):
    _, results = made
    figure = [inspect(path) for path in files(results)[:3]]
    table = [inspect(path) for path in files(results)[3:]]
    assert figure[0] == figure[1] == figure[2] and table[0] == table[1] == table[2]
    assert figure[0]["data"] == table[0]["data"] and figure[0]["key"] != table[0]["key"]


def test_what_is_said_is_what_was_done(made):
    plan, results = made
    found, order = inspect(results / "figures" / f"{FIGURE}.pdf"), plan.figure(FIGURE)
    cells = [plan.cell("du2018a", name) for name in plan.cells["du2018a"]]
    assert found["key"] == order["key"] and found["metrics"] == plan.metrics("du2018a")["key"]
    assert found["settings"] == plan.config.study("du2018a").model_dump(mode="json")
    assert found["seeds"] == [0]
    assert found["code"] == {"here": order["code"], "cells": sorted({cell["code"] for cell in cells})}
    assert found["devices"] == ["cpu"] and len(found["processors"]) == 1
    (versions,) = found["versions"]["cells"]
    assert versions == found["versions"]["here"]
    assert versions["zeroloss"] == __version__ and versions["numpy"] == np.__version__
    assert found["published"] == order["published"] and set(found["published"]) == {"du2018a_fig1"}
    assert set(found["data"]) == {name for cell in cells for name in cell["datasets"]}


def test_data_checksums_are_of_the_numbers_that_were_read(made):
    """Computed here from the arrays by the rule in results/README.md, not by the code under test."""
    _, results = made
    for name, sums in inspect(results / "figures" / f"{FIGURE}.png")["data"].items():
        digest = hashlib.sha256()
        with np.load(results / "datasets" / f"{name}.npz", allow_pickle=False) as arrays:
            for member in ("x", "y", "x_test", "y_test"):
                array = arrays[member]
                digest.update(f"{member} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
        assert sums == [digest.hexdigest()]
        assert inspect(results / "datasets" / f"{name}.npz")["sha256"] == digest.hexdigest()


def test_the_same_run_gives_the_same_bytes(made):
    plan, results = made
    before = {path.name: path.read_bytes() for path in files(results)}
    pipeline.draw_figure(plan.figure(FIGURE), results)
    pipeline.make_table(plan.table(TABLE), results)
    assert {path.name: path.read_bytes() for path in files(results)} == before


def test_captions_of_tables_carry_the_key(made):
    plan, results = made
    key = plan.table(TABLE)["key"]
    assert f"[key {key}]" in (results / "tables" / f"{TABLE}.md").read_text()
    latex = (results / "tables" / f"{TABLE}.tex").read_text()
    assert f"[key {key}]" in latex[latex.index("\\caption{") :]


def test_nothing_of_the_machine_or_its_owner_is_written(made):
    _, results = made
    written = [path for path in results.rglob("*") if path.is_file()]
    assert len(written) > 12
    # a short name of a machine or user is found in any compressed picture by chance
    names = {name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 5}
    private = {SECRET, str(Path.home()), str(results), *names}
    for path in written:
        content = path.read_bytes()
        for text in private:
            assert text.encode() not in content, (path.name, text)


@pytest.mark.parametrize(
    "words", ["(a) \\ b) --> -- c\n{d}", "λ₀ ≤ ½ “x”", "]]></metadata><script>", "% \\end{table}", ""]
)
def test_any_words_come_back_from_every_format(tmp_path, words):
    from matplotlib.figure import Figure

    from zeroloss.plotting.style import save

    provenance = {"key": "k", "settings": {"name": words}}
    save(Figure(layout="constrained"), tmp_path / "f", title=words, note=words or "n", provenance=provenance)
    for ending in ("pdf", "svg", "png"):
        assert inspect(tmp_path / f"f.{ending}") == provenance
    for ending in (".md", ".tex"):
        comment = storage.as_comment(provenance, ending)
        assert comment.count("\n") == 0 and comment.count("--") == (2 if ending == ".md" else comment.count("--"))
        storage.write_text(tmp_path / f"t{ending}", f"before\n{comment}\nafter\n")
        assert inspect(tmp_path / f"t{ending}") == provenance


def test_a_changed_or_lonely_csv_is_refused(made, tmp_path):
    _, results = made
    for ending in ("csv", "md"):
        (tmp_path / f"t.{ending}").write_bytes((results / "tables" / f"{TABLE}.{ending}").read_bytes())
    assert inspect(tmp_path / "t.csv")["name"] == TABLE
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text() + "\n")
    with pytest.raises(UserError, match=r"t\.csv has been changed since it was written"):
        inspect(tmp_path / "t.csv")
    (tmp_path / "t.md").unlink()
    with pytest.raises(UserError, match=r"in the \.md file beside it, which is missing"):
        inspect(tmp_path / "t.csv")


@pytest.mark.parametrize("ending", ["pdf", "svg", "png", "md", "tex", "csv", "parquet", "npz"])
def test_files_of_others_get_a_sentence(tmp_path, capsys, ending):
    path = tmp_path / f"f.{ending}"
    assert main(["inspect", str(path)]) == 2
    assert "is missing" in capsys.readouterr().err
    for content in (b"", b"\x89PNG\r\n", b"<svg", b"%PDF /Keywords ({\\)", b"<!-- zeroloss {1} -->", b"\xff"):
        path.write_bytes(content)
        assert main(["inspect", str(path)]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1 and path.name in error and "Traceback" not in error
        assert any(word in error for word in ("damaged", "carries no", "missing")), error


def test_it_is_printed_as_json(made, capsys):
    _, results = made
    for path in files(results):
        assert main(["inspect", str(path)]) == 0
        assert json.loads(capsys.readouterr().out)["study"] == "du2018a"


def test_claims_say_which_metrics_they_were_judged_from(made, tmp_path):
    _, results = made
    assert inspect(results / "claims/du2018a.csv") == inspect(results / "metrics/du2018a.parquet")
    shutil.copytree(results, tmp_path / "copy")
    claims = tmp_path / "copy/claims/du2018a.csv"
    claims.write_text(claims.read_text().replace("differs", "reproduced").replace("undecided", "reproduced"))
    with pytest.raises(UserError, match="has been changed since it was written"):
        inspect(claims)
    (tmp_path / "claims.csv").write_text("id\n")
    with pytest.raises(UserError, match="inspect one of"):
        inspect(tmp_path / "claims.csv")
    with pytest.raises(UserError, match="is a folder: one file of a run is needed"):
        inspect(tmp_path)
