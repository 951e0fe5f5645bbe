# Functions that the rules share. The plan of each scale comes from the package; a rule adds only paths to it.
import functools
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile

SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))

try:
    from zeroloss.config import SCALES, read_yaml, typed
    from zeroloss.errors import UserError
    from zeroloss.plan import make_plan
    from zeroloss.studies.contract import FIGURE_FORMATS, TABLE_FORMATS
    from zeroloss.storage import is_current
    from zeroloss.workflow import (
        announce,
        clear_up,
        damaged,
        explain_failure,
        lost,
        prepare_environment,
        require_writable,
    )
except ModuleNotFoundError as problem:
    raise WorkflowError(
        f"{problem.name} is not installed: see docs/install.md, or use `make reproduce`"
    ) from None


@functools.cache
def plan_of(scale):
    try:
        # Snakemake has read them, but takes the last of a key that is there twice
        for file in workflow.config_settings.configfiles:
            read_yaml(Path(file))
        plan = make_plan(scale, typed(OVERRIDES), Path(workflow.basedir))
        plan.check_sources()
        return plan
    except UserError as problem:
        raise WorkflowError(str(problem)) from None


def order_as_text(function, *names):
    try:
        return json.dumps(function(*names), sort_keys=True)
    except KeyError:
        raise WorkflowError(
            f"the settings of this scale have no {' '.join(names)}"
        ) from None
    except UserError as problem:
        raise WorkflowError(str(problem)) from None


def recorded(file):
    return workflow.persistence.metadata(IOFile(str(file))) is not None


def refuse_unrecorded(file, order):
    # A file whose record in .snakemake is gone would pass for up to date whatever it was made from: its own key decides.
    unrecorded = os.path.exists(file) and not recorded(file)
    key = json.loads(order)["key"]
    if unrecorded and (file in DAMAGED or not is_current(Path(file), key)):
        raise WorkflowError(
            f"{file} is damaged or was made with other settings, data or code, and Snakemake has no record of it: "
            "delete it (or the whole results folder of this scale) and run again"
        )
    return order


PLAN = plan_of(None)
SCALE = PLAN.scale
STUDIES = list(PLAN.studies)
RESULTS = Path("results") / SCALE
prepare_environment(SOURCE, PLAN)


def look_at_files():
    # Snakemake asks whether a file is there, not whether it is whole. Jobs on a cluster read this file too: not for them.
    if not workflow.is_main_process:
        return []
    try:
        require_writable(Path(".snakemake"), "Snakemake keeps its records there")
    except UserError as problem:
        raise WorkflowError(str(problem)) from None
    found = damaged(PLAN, RESULTS)
    for name, why in found.items():
        print(
            f"zeroloss: {RESULTS / name} is damaged ({why}): it is made again",
            file=sys.stderr,
        )
    return [str(RESULTS / name) for name in found]


DAMAGED = look_at_files()


def force_damaged():
    # called by functions of inputs: the earliest moment at which Snakemake has a graph of jobs, and has not judged them
    workflow.dag.forcefiles.update(DAMAGED)


wildcard_constraints:
    scale="|".join(SCALES),
    study="|".join(STUDIES),
    dataset=r"[A-Za-z0-9_.-]+",
    cell=r"[a-z0-9_]+",
    figure=r"[a-z0-9_]+",
    table=r"[a-z0-9_]+",


# Inputs and orders, one pair for each rule. The order holds all that decides a job's output, code included, so it is
# the parameter by which Snakemake knows whether a file is up to date. (A function that also took `output` would not be
# recorded as a parameter at all.)


def dataset_order(wildcards):
    order = order_as_text(plan_of(wildcards.scale).dataset, wildcards.dataset)
    return refuse_unrecorded(
        f"results/{wildcards.scale}/datasets/{wildcards.dataset}.npz", order
    )


def cell_order(wildcards):
    order = order_as_text(
        plan_of(wildcards.scale).cell, wildcards.study, wildcards.cell
    )
    return refuse_unrecorded(
        f"results/{wildcards.scale}/runs/{wildcards.study}/{wildcards.cell}.parquet",
        order,
    )


def cell_of(wildcards):
    cells = plan_of(wildcards.scale).cells[wildcards.study]
    if wildcards.cell not in cells:
        raise WorkflowError(
            f"{wildcards.cell} is not a cell of {wildcards.study}: allowed are {', '.join(cells)}"
        )
    return cells[wildcards.cell]


def cell_datasets(wildcards):
    force_damaged()
    # Not ancient(), though a data set made again with the same key is the same: where one is made again Snakemake
    # would then not look at its cells at all, not even at those whose own parameters changed or whose file is damaged.
    return [
        f"results/{wildcards.scale}/datasets/{name}.npz"
        for name in cell_of(wildcards).datasets
    ]


def cell_memory(wildcards, attempt):
    return cell_of(wildcards).cost.memory_mb * attempt


def cell_minutes(wildcards, attempt):
    # three times the expectation, and never less than a busy cluster node needs to start Python; no GPU has been
    # timed, so a job there gets half an hour more
    cost = cell_of(wildcards).cost
    expected, least = (
        (cost.gpu_seconds, 30) if cell_gpus(wildcards) else (cost.seconds, 5)
    )
    return int(least + 3 * expected / 60) * attempt


def cell_gpus(wildcards):
    on_gpu = PLAN.config.device == "cuda" and cell_of(wildcards).cost.gpu_speedup > 0
    return int(on_gpu)


def study_cells(wildcards):
    force_damaged()
    names = plan_of(wildcards.scale).cells[wildcards.study]
    return [
        f"results/{wildcards.scale}/runs/{wildcards.study}/{name}.parquet"
        for name in names
    ]


def metrics_order(wildcards):
    order = order_as_text(plan_of(wildcards.scale).metrics, wildcards.study)
    return refuse_unrecorded(
        f"results/{wildcards.scale}/metrics/{wildcards.study}.parquet", order
    )


def metrics_of(kind):
    # the metrics file that a figure or table is made from
    def path(wildcards):
        force_damaged()
        declared = getattr(plan_of(wildcards.scale), f"{kind}s")
        name = wildcards[kind]
        if name not in declared:
            raise WorkflowError(
                f"{name} is not a {kind} of scale {wildcards.scale}: allowed are {', '.join(declared)}"
            )
        return f"results/{wildcards.scale}/metrics/{declared[name][0].name}.parquet"

    return path


def figure_order(wildcards):
    return order_as_text(plan_of(wildcards.scale).figure, wildcards.figure)


def figure_caption(wildcards):
    return plan_of(wildcards.scale).figures[wildcards.figure][1].caption


def figure_labels(wildcards):
    return {"figure": plan_of(wildcards.scale).figures[wildcards.figure][1].title}


def figure_study(wildcards):
    return plan_of(wildcards.scale).figures[wildcards.figure][0].paper


def table_order(wildcards):
    return order_as_text(plan_of(wildcards.scale).table, wildcards.table)


def table_caption(wildcards):
    return plan_of(wildcards.scale).tables[wildcards.table][1].caption


def table_labels(wildcards):
    return {"table": plan_of(wildcards.scale).tables[wildcards.table][1].title}


def table_study(wildcards):
    return plan_of(wildcards.scale).tables[wildcards.table][0].paper


def verdicts_order(wildcards):
    return order_as_text(plan_of(wildcards.scale).verdicts, wildcards.study)


def all_claims_order(wildcards):
    return order_as_text(plan_of(wildcards.scale).all_claims)


def coverage_order(wildcards):
    return order_as_text(plan_of(wildcards.scale).coverage)


def page_order(wildcards):
    return order_as_text(plan_of(wildcards.scale).page)


def page_inputs(wildcards):
    force_damaged()
    plan = plan_of(wildcards.scale)
    files = [
        f"figures/{name}.{kind}" for name in plan.figures for kind in FIGURE_FORMATS
    ]
    files += [f"tables/{name}.{kind}" for name in plan.tables for kind in TABLE_FORMATS]
    files += [f"metrics/{name}.parquet" for name in plan.studies]
    return [f"results/{wildcards.scale}/{name}" for name in files]


def everything(wildcards):
    force_damaged()
    outputs = [output for study in STUDIES for output in PLAN.outputs(study)]
    names = (*outputs, "claims.csv", "coverage.csv", "index.html")
    # what was deleted is made again, also where all that is made from it is still there
    return [
        f"results/{SCALE}/{name}" for name in (*names, *lost(PLAN, RESULTS, recorded))
    ]


def announce_needs():
    # on a cluster there are jobs beside each other, but no number of cores
    asked = workflow.resource_settings
    beside = (asked.cores if workflow.local_exec else asked.nodes) or 1
    try:
        require_writable(RESULTS, "results go there")
        clear_up(RESULTS)
        announce(PLAN, RESULTS, beside, workflow.local_exec)
    except UserError as problem:
        raise WorkflowError(str(problem)) from None
