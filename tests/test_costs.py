"""What a scale needs: said per study, compared with what was measured, and printed in the documents as it is."""

from __future__ import annotations

import re

import pytest

from tests.conftest import MICRO
from zeroloss import costs, pipeline
from zeroloss.cli import main
from zeroloss.errors import UserError
from zeroloss.plan import make_plan
from zeroloss.studies.contract import GPU_START_SECONDS, Cost

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def rows(text):
    """Cells of the Markdown table in a text: first column -> the others by name."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {line[0]: dict(zip(lines[0][1:], line[1:], strict=True)) for line in lines[2:]}


def test_hours_of_cores_and_of_gpus_are_apart():
    planned = {
        "on_gpu": {"a": Cost(3600, 500, 2.0, gpu_speedup=10), "b": Cost(7200, 900, 1.0, gpu_speedup=10)},
        "mixed": {"c": Cost(360_000, 700, gpu_speedup=1000), "d": Cost(1800, 400)},
        "on_cpu": {"e": Cost(36, 300)},
    }
    found = rows(costs.table(planned))
    assert found["on_gpu"]["core-hours"] == "3"
    assert found["on_gpu"]["GPU-hours"] == "0.31"  # 0.3 h and twice ten seconds
    assert found["on_gpu"]["core-hours beside"] == "0"
    assert found["on_gpu"]["memory, MB"] == "900" and found["on_gpu"]["disk, MB"] == "3"
    assert found["on_gpu"]["longest job, core-hours"] == "2"
    assert found["mixed"] == {
        "jobs": "2", "core-hours": "100", "longest job, core-hours": "100", "GPU-hours": "0.1", "speed-up": "973",
        "core-hours beside": "0.5", "memory, MB": "700", "disk, MB": "2",
    }  # fmt: skip
    assert found["on_cpu"]["GPU-hours"] == "0" and found["on_cpu"]["speed-up"] == ""
    assert found["all"]["jobs"] == "5" and found["all"]["core-hours"] == "104"
    assert "ESTIMATE" in costs.table(planned)


def test_the_sentence_before_a_run_counts_a_gpu_apart():
    some = [Cost(7200, 500, gpu_speedup=100), Cost(3600, 400)]
    assert "about 3.0 h of one core (2.0 h on 2)" in costs.describe(some, 2)
    assert "an estimated 82 s of one GPU and about 60 min of one core (60 min on 2)" in costs.describe(
        some, 2, gpu=True
    )
    assert some[0].gpu_seconds == GPU_START_SECONDS + 72 and some[1].gpu_seconds == 0


@pytest.mark.parametrize("scale", ["tiny", "laptop", "paper"])
def test_every_study_has_its_row(scale, capsys):
    assert main(["cost", "--scale", scale]) == 0
    found = rows(capsys.readouterr().out)
    plan = make_plan(scale)
    assert list(found) == [*plan.studies, "all"]
    for name, cells in plan.cells.items():
        assert found[name]["jobs"] == str(len(cells))
        assert float(found[name]["core-hours"]) > 0 and int(found[name]["memory, MB"]) > 200


def test_the_documents_print_what_the_command_says(project, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # what was downloaded once is no part of the document
    assert main(["cost", "--scale", "paper"]) == 0
    said = capsys.readouterr().out
    text = (project / "docs/cluster.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^<!-- cost:[^\n]*\n(.*?)^<!-- end of cost", text, re.DOTALL | re.MULTILINE)
    assert block == said, "run make cost-table"


def test_the_documents_name_the_long_cells_that_keep_no_state(project, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    long = {}
    for study, cells in make_plan("paper").cells.items():
        for name, cell in cells.items():
            seconds = cell.cost.gpu_seconds or cell.cost.seconds
            if seconds > 600 and not cell.resumable:
                long[f"{study}/{name}"] = seconds
    text = (project / "docs/cluster.md").read_text(encoding="utf-8")
    paragraph = text[text.index("**Time limits.**") :].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z0-9_]+/[a-z0-9_]+)`", paragraph)) == set(long)
    assert max(long.values()) < 70 * 60


def test_a_cell_that_only_a_cpu_computes_gets_no_gpu(monkeypatch, tmp_path):
    """device=cuda asks torch for a GPU in jobs that use one, and in no other."""
    plan = make_plan("tiny", {"device": "cuda"})
    assert plan.cell("liang2018", next(iter(plan.cells["liang2018"])))["gpu"] is False
    assert plan.cell("du2018a", "as_printed_seed0")["gpu"] is True
    asked = []
    monkeypatch.setattr(pipeline, "resolve_device", lambda device: asked.append(device) or "cpu")
    name = min(plan.cells["kawaguchi2016"].values(), key=lambda cell: cell.cost.seconds).name
    pipeline.run_cell(plan.cell("kawaguchi2016", name), tmp_path, "cuda", quiet=True)
    assert asked == ["cpu"]


@pytest.fixture
def benchmarks(tmp_path):
    """What Snakemake leaves of the cells of one small study; (plan, results, write)."""
    plan, results = make_plan("laptop", MICRO), tmp_path / "laptop"
    folder = results / "benchmarks" / "du2018a"
    folder.mkdir(parents=True)

    def write(cell, seconds, memory):
        (folder / f"{cell}.tsv").write_text(f"{HEADER}{seconds}\t0:00:10\t{memory}\t0\t0\t0\t0\t0\t90\t{seconds}\n")

    planned = {name: {cell.name: cell.cost for cell in cells.values()} for name, cells in plan.cells.items()}
    return planned, results, write


def test_measured_beside_planned(benchmarks):
    planned, results, write = benchmarks
    cells = planned["du2018a"]
    for name, cost in cells.items():
        write(name, 2 * cost.seconds, cost.memory_mb / 2)
    found = rows(costs.measured(planned, results))
    assert list(found) == ["du2018a"]
    assert found["du2018a"]["ratio"] == "2.00" and found["du2018a"]["largest ratio of a job"] == "0.50"
    assert found["du2018a"]["jobs"] == f"{len(cells)} of {len(cells)}"
    (first, cost), (second, _) = list(cells.items())[:2]
    write(first, 3 * cost.seconds + 60, cost.memory_mb + 1)
    write(second, 0.2, "-")
    text = costs.measured(planned, results)
    assert f"du2018a {first}: {cost.memory_mb + 1:.0f} MB of memory, planned were {cost.memory_mb}" in text
    assert f"du2018a {first}: {3 * cost.seconds + 60:.0f} s, planned were {cost.seconds:.0f}" in text
    assert second not in text


def test_a_cell_from_a_gpu_is_compared_with_the_plan_of_a_gpu(benchmarks):
    import pandas as pd

    from zeroloss import storage

    planned, results, write = benchmarks
    name, cost = next(iter(planned["du2018a"].items()))
    write(name, 20 * cost.gpu_seconds, 100)
    made = {"device": "NVIDIA H100"}
    storage.write_table(pd.DataFrame({"a": [1]}), results / "runs" / "du2018a" / f"{name}.parquet", made)
    assert rows(costs.measured(planned, results))["du2018a"]["ratio"] == "20.00"


@pytest.mark.parametrize("content", ["", HEADER, "a\tb\n1\t2\n", f"{HEADER}x\ty\tz\n", "\xff\xfe"])
def test_a_damaged_benchmark_is_named(benchmarks, content):
    planned, results, _ = benchmarks
    path = results / "benchmarks" / "du2018a" / f"{next(iter(planned['du2018a']))}.tsv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=f"{path.name} is not a benchmark of Snakemake"):
        costs.measured(planned, results)


def test_no_benchmarks_get_a_sentence(tmp_path, capsys):
    assert main(["cost", "--measured", str(tmp_path / "tiny")]) == 2
    assert "tiny has no benchmarks of these jobs" in capsys.readouterr().err
