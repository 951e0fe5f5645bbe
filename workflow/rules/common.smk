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
    from zeroloss.errors import UserError, closest
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


def plan_of_this_run():
    try:
        # Snakemake has read them, but takes the last of a key that is there twice
        for file in workflow.config_settings.configfiles:
            read_yaml(Path(file))
        plan = make_plan(None, typed(OVERRIDES), Path(workflow.basedir))
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


PLAN = plan_of_this_run()
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
    scale=SCALE,
    study="|".join(STUDIES),
    dataset=r"[A-Za-z0-9_.-]+",
    cell=r"[a-z0-9_]+",


# Inputs and orders, one pair for each rule. The order holds all that decides a job's output, code included, so it is
# the parameter by which Snakemake knows whether a file is up to date. (A function that also took `output` would not be
# recorded as a parameter at all.)


def dataset_order(wildcards):
    order = order_as_text(PLAN.dataset, wildcards.dataset)
    return refuse_unrecorded(
        f"results/{wildcards.scale}/datasets/{wildcards.dataset}.npz", order
    )


def cell_order(wildcards):
    order = order_as_text(PLAN.cell, wildcards.study, wildcards.cell)
    return refuse_unrecorded(
        f"results/{wildcards.scale}/runs/{wildcards.study}/{wildcards.cell}.parquet",
        order,
    )


def cell_of(wildcards):
    cells = PLAN.cells[wildcards.study]
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


def minutes(costs, attempt):
    # three times the expectation, and never less than a busy cluster node needs to start Python; no GPU has been
    # timed, so a job there gets half an hour more
    on_gpu = any(uses_gpu(cost) for cost in costs)
    seconds = sum(
        cost.gpu_seconds if uses_gpu(cost) else cost.seconds for cost in costs
    )
    return int((30 if on_gpu else 5) + 3 * seconds / 60) * attempt


def cell_minutes(wildcards, attempt):
    return minutes([cell_of(wildcards).cost], attempt)


def uses_gpu(cost):
    return PLAN.config.device == "cuda" and cost.gpu_speedup > 0


def cell_gpus(wildcards):
    return int(uses_gpu(cell_of(wildcards).cost))


# The same for several cells in one job.


def bundles():
    return [
        (study, part, names)
        for study in STUDIES
        for part, names in enumerate(PLAN.bundles(study))
    ]


def bundle_costs(study, names):
    return [PLAN.cells[study][name].cost for name in names]


def bundle_order(study, names, wildcards):
    order = order_as_text(PLAN.cells_of, study, names)
    for name, own in json.loads(order)["cells"].items():
        path = f"results/{wildcards.scale}/runs/{study}/{name}.parquet"
        refuse_unrecorded(path, json.dumps(own))
    return order


def bundle_datasets(study, names, wildcards):
    force_damaged()
    used = dict.fromkeys(
        name for cell in names for name in PLAN.cells[study][cell].datasets
    )
    return [f"results/{wildcards.scale}/datasets/{name}.npz" for name in used]


def bundle_memory(study, names, wildcards, attempt):
    return max(cost.memory_mb for cost in bundle_costs(study, names)) * attempt


def bundle_minutes(study, names, wildcards, attempt):
    return minutes(bundle_costs(study, names), attempt)


def bundle_gpus(study, names):
    return int(any(uses_gpu(cost) for cost in bundle_costs(study, names)))


def study_cells(wildcards):
    force_damaged()
    names = PLAN.cells[wildcards.study]
    return [
        f"results/{wildcards.scale}/runs/{wildcards.study}/{name}.parquet"
        for name in names
    ]


def metrics_order(wildcards):
    order = order_as_text(PLAN.metrics, wildcards.study)
    return refuse_unrecorded(
        f"results/{wildcards.scale}/metrics/{wildcards.study}.parquet", order
    )


# Targets that do not exist get a sentence of their own, for Snakemake's does not say which there are.
UNKNOWN = rf"(?!{SCALE}/)[^/]+/.+|{SCALE}/(?:figures|tables)/(?!(?:{'|'.join([*PLAN.figures, *PLAN.tables])})\.)[^/]+"


def explain_unknown(wildcards):
    scale, kind, name = f"{wildcards.unknown}//".split("/", 2)
    if scale in SCALES and scale != SCALE:
        raise WorkflowError(
            f"results/{wildcards.unknown} is of another scale than this run ({SCALE}): add --config scale={scale}"
        )
    if scale != SCALE:
        raise WorkflowError(
            f"there is no scale {scale}: results/{SCALE} holds what this run makes"
        )
    declared = {"figures": PLAN.figures, "tables": PLAN.tables}[kind]
    stem = name.partition(".")[0]
    raise WorkflowError(
        f"{stem} is not a {kind[:-1]} of scale {SCALE}{closest(stem, declared)}: allowed are {', '.join(declared)}"
    )


# Figures and tables are made study by study, and their files do not carry its name.


def metrics_of(study, wildcards):
    force_damaged()
    return f"results/{wildcards.scale}/metrics/{study}.parquet"


def figures_order(study, wildcards):
    return order_as_text(PLAN.figures_of, study)


def tables_order(study, wildcards):
    return order_as_text(PLAN.tables_of, study)


def declared_by(study, declared):
    return {
        name: one
        for name, (of, one) in getattr(PLAN, declared).items()
        if of.name == study
    }


def captions_of(study, declared):
    # Snakemake's report shows one text for all files of a job
    return {one.title: one.caption for one in declared_by(study, declared).values()}


def all_claims_order(wildcards):
    return order_as_text(PLAN.all_claims)


def coverage_order(wildcards):
    return order_as_text(PLAN.coverage)


def page_order(wildcards):
    return order_as_text(PLAN.page)


def page_inputs(wildcards):
    force_damaged()
    files = [
        f"figures/{name}.{kind}" for name in PLAN.figures for kind in FIGURE_FORMATS
    ]
    files += [f"tables/{name}.{kind}" for name in PLAN.tables for kind in TABLE_FORMATS]
    files += [f"metrics/{name}.parquet" for name in PLAN.studies]
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
