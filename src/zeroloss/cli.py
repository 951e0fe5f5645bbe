"""The command line: ``python -m zeroloss``. Works without Snakemake."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zeroloss import __version__
from zeroloss.errors import UserError, closest

_DESCRIPTION = """\
Figures, tables and claims of the theory of why gradient descent reaches zero training loss.

The whole pipeline with caching and parallel jobs is Snakemake's: snakemake --cores 2
The commands here do its parts by hand, also on a machine without Snakemake."""

_EXAMPLES = """\
examples:
  python -m zeroloss list                                  what there is: studies, figures, tables, claims
  python -m zeroloss run du2018a --scale tiny              train, draw, tabulate and judge one study
  python -m zeroloss run du2018a --set studies.du2018a.synthetic.widths=[100,400] --out try
                                                           the same with your own widths, into the folder "try"
  python -m zeroloss run du2018a --scale paper --device cuda --only cells
                                                           the heavy part on a GPU machine; copy results/ home after
  python -m zeroloss cost --scale paper                    jobs, hours, memory and disk, before you start
  python -m zeroloss inspect results/laptop/metrics/du2018a.parquet
                                                           settings, seeds, versions and device behind a file"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not hasattr(given, "handler"):
        parser.print_help()
        return 0
    try:
        given.handler(given)
    except UserError as problem:
        for line in str(problem).splitlines():
            print(f"zeroloss: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("zeroloss: interrupted; finished files are kept, run again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("zeroloss", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=shape)
    parser.add_argument("--version", action="version", version=f"zeroloss {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    settings = argparse.ArgumentParser(add_help=False)
    group = settings.add_argument_group("settings")
    group.add_argument("--scale", metavar="SCALE", help="tiny, laptop or paper (default: as in config.yaml)")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one setting of config.yaml, e.g. studies.du2018a.synthetic.samples=300; may be repeated",
    )
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--out", type=Path, metavar="DIR", help="results folder (default: results/SCALE)")

    def command(name: str, handler: Callable[[Any], None], text: str, parents: Sequence[Any], **more: Any) -> Any:
        sub = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            parents=list(parents),
            formatter_class=shape,
            **more,
        )
        sub.set_defaults(handler=handler)
        return sub

    command("list", _list, "what a scale consists of: studies, cells, figures, tables, claims", [settings])
    run = command(
        "run",
        _run,
        "compute, draw, tabulate and judge one study; what is up to date is kept",
        [settings, where],
        epilog="example: python -m zeroloss run du2018a --scale tiny",
    )
    run.add_argument("study", metavar="STUDY")
    run.add_argument("--device", metavar="DEVICE", help="auto, cpu or cuda (default: as in config.yaml)")
    run.add_argument("--only", choices=("cells",), help="train only; draw elsewhere, from the same results folder")
    run.add_argument("--cell", action="append", metavar="CELL", help="only this cell (see list); may be repeated")
    run.add_argument("--force", action="store_true", help="compute again what is up to date")
    draw = command("draw", _draw, "draw figures from metrics that are there", [settings, where])
    draw.add_argument("figure", nargs="+", metavar="FIGURE")
    check = command(
        "check", _check, "judge a study's claims from metrics that are there, and print them", [settings, where]
    )
    check.add_argument("study", metavar="STUDY")
    need = command("cost", _cost, "what a scale will need: jobs, core-hours, GPU-hours, memory, disk", [settings])
    need.add_argument(
        "--measured", type=Path, metavar="DIR", help="compare with what the jobs of a results folder have taken"
    )
    config = command("config", _config, "print the checked settings, or their schema", [settings])
    config.add_argument("--schema", action="store_true", help="print the JSON schema of config.yaml instead")
    look = command("inspect", _inspect, "print the provenance inside a file of results/", [])
    look.add_argument("file", type=Path, metavar="FILE")
    again = command(
        "verify",
        _verify,
        "compute a sample of cells again and compare with what lies in a results folder",
        [settings],
        epilog="exit status 1 where a cell differs, is missing, or was made from something else",
    )
    again.add_argument("results", type=Path, metavar="DIR", help="a results folder, such as results/laptop")
    again.add_argument("--cells", type=int, default=5, metavar="N", help="size of the sample (default: 5)")
    again.add_argument("--seed", type=int, default=0, metavar="SEED", help="of the sample (default: 0)")
    again.add_argument(
        "--study", action="append", default=[], metavar="STUDY", help="only of this study; may be repeated"
    )
    again.add_argument("--device", metavar="DEVICE", help="auto, cpu or cuda (default: as in config.yaml)")
    job = command("job", _job, "one step of the workflow (Snakemake calls this)", [])
    job.add_argument("step", metavar="STEP")
    job.add_argument("order", metavar="ORDER", help="the job's JSON document")
    job.add_argument("--results", type=Path, required=True)
    job.add_argument("--device", help="default: the environment variable ZEROLOSS_DEVICE, or auto")
    job.add_argument("--threads", type=int, default=1)
    return parser


def _plan(given: argparse.Namespace) -> Any:
    from zeroloss.config import parse_yaml, shown
    from zeroloss.plan import make_plan

    overrides: dict[str, Any] = {}
    for text in given.set:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            raise UserError(f"--set {shown(text)} is not KEY=VALUE, such as studies.du2018a.synthetic.samples=300")
        try:
            parsed = parse_yaml(value)
        except UserError as problem:
            raise UserError(f"--set {shown(text)}: {shown(value)} is not a YAML value ({problem})") from None
        *parents, last = key.split(".")
        inner = overrides
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise UserError(f"--set {shown(text)}: {parent} was given a value before and cannot have parts")
        inner[last] = parsed
    if getattr(given, "device", None):
        overrides["device"] = given.device
    return make_plan(given.scale, overrides)


def _scale_of(given: argparse.Namespace, results: Path | None) -> None:
    """results/laptop is of the scale laptop, where nothing else is said."""
    from zeroloss.config import SCALES

    if given.scale is None and results is not None and results.resolve().name in SCALES:
        given.scale = results.resolve().name


def _list(given: argparse.Namespace) -> None:
    plan = _plan(given)
    for name, study in plan.studies.items():
        print(f"{name}  {study.paper} (arXiv {study.arxiv}), scale {plan.scale}")
        for cell in plan.cells[name].values():
            print(f"  cell    {cell.name}  about {cell.cost.seconds:.0f} s, {cell.cost.memory_mb} MB")
        for kind, declared in (("figure", plan.figures), ("table", plan.tables)):
            for of, one in declared.values():
                if of.name == name:
                    print(f"  {kind:<7} {one.name}  {one.title} [{' '.join(one.items)}]")
        for claim in plan.claims[name]:
            print(f"  claim   {claim.name}  {claim.statement} [{' '.join(claim.items)}]")


def _results(given: argparse.Namespace, plan: Any) -> Path:
    from zeroloss.config import project_folder

    return _folder("--out", given.out) if given.out else project_folder() / "results" / plan.scale


def _folder(option: str, path: Path) -> Path:
    """``path``, where files can be written below it; said before anything is computed."""
    try:
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    except OSError as problem:
        raise UserError(f"{option} {str(path)[:80]!r} cannot be used: {problem.strerror}") from None
    if not existing.is_dir():
        raise UserError(f"{option} {path}: {existing} is a file, a folder is needed")
    if not os.access(existing, os.W_OK):
        raise UserError(f"{option} {path}: no permission to write in {existing}")
    return path


def _run(given: argparse.Namespace) -> None:
    from zeroloss import costs, pipeline
    from zeroloss.checkpoint import Checkpoints
    from zeroloss.storage import is_current

    plan = _plan(given)
    study, results = plan.study(given.study), _results(given, plan)
    cells = plan.cells[study.name]
    for name in given.cell or ():
        if name not in cells:
            raise UserError(f"{name} is not a cell of {study.name}: allowed are {', '.join(cells)}")
    pipeline.resolve_device(plan.config.device)
    # all orders before the first job, and all data before the first training: what is absent is said at once
    orders = {name: plan.cell(study.name, name) for name in given.cell or cells}
    paths = {name: results / "runs" / study.name / f"{name}.parquet" for name in orders}
    stale = [name for name, order in orders.items() if given.force or not is_current(paths[name], order["key"])]
    costs.require([cells[name].cost for name in stale], 1, results)
    wanted = dict.fromkeys(dataset for name in stale for dataset in cells[name].datasets)
    # those made of outside files first: nothing is written when one of them is refused
    for dataset in sorted(wanted, key=lambda name: not plan.dataset(name)["sources"]):
        data_order = plan.dataset(dataset)
        if not is_current(results / "datasets" / f"{dataset}.npz", data_order["key"]):
            pipeline.make_dataset(data_order, results, plan.config.data.root)
    for name, order in orders.items():
        if name in stale:
            pipeline.run_cell(order, results, plan.config.device)
        else:  # a kill between its last two steps leaves the state of a cell that is done
            Checkpoints(results / "checkpoints" / study.name / name, order["key"]).remove()
        print(paths[name] if name in stale else f"{paths[name]} is up to date")
    if given.only == "cells" or given.cell:
        return
    pipeline.collect_metrics(plan.metrics(study.name), results)
    for name, (of, _) in plan.figures.items():
        if of.name == study.name:
            pipeline.draw_figure(plan.figure(name), results)
            print(results / "figures" / f"{name}.pdf")
    for name, (of, _) in plan.tables.items():
        if of.name == study.name:
            pipeline.make_table(plan.table(name), results)
            print(results / "tables" / f"{name}.csv")
    _judge(plan, study.name, results)


def _draw(given: argparse.Namespace) -> None:
    from zeroloss import pipeline

    plan = _plan(given)
    for name in given.figure:
        if name not in plan.figures:
            first, more = list(plan.figures)[:8], len(plan.figures) - 8
            others = f" and {more} more (python -m zeroloss list)" if more > 0 else ""
            raise UserError(
                f"{name} is not a figure{closest(name, plan.figures)}: allowed are {', '.join(first)}{others}"
            )
    for name in given.figure:
        pipeline.draw_figure(plan.figure(name), _results(given, plan))
        print(_results(given, plan) / "figures" / f"{name}.pdf")


def _check(given: argparse.Namespace) -> None:
    plan = _plan(given)
    _judge(plan, plan.study(given.study).name, _results(given, plan))


def _judge(plan: Any, study: str, results: Path) -> None:
    import pandas as pd

    from zeroloss import pipeline

    pipeline.judge_claims(plan.verdicts(study), results)
    path = results / "claims" / f"{study}.csv"
    for claim in pd.read_csv(path, keep_default_na=False).itertuples():
        print(f"{claim.verdict:<11} {claim.statement}\n{'':<11} measured {claim.measured}; expected {claim.expected}")
        if claim.note:
            print(f"{'':<11} {claim.note}")
    print(path)
    if plan.scale == "tiny":
        print("scale tiny: toy sizes, whose verdicts show that everything runs and say nothing about the paper")


def _cost(given: argparse.Namespace) -> None:
    from zeroloss import costs

    _scale_of(given, given.measured)
    plan = _plan(given)
    planned = {name: {cell.name: cell.cost for cell in cells.values()} for name, cells in plan.cells.items()}
    print(f"scale {plan.scale}\n")
    print(costs.measured(planned, given.measured) if given.measured else costs.table(planned))


def _config(given: argparse.Namespace) -> None:
    import yaml

    from zeroloss.config import schema

    if given.schema:
        print(yaml.safe_dump(schema(), sort_keys=False, allow_unicode=True, width=110), end="")
        return
    print(yaml.safe_dump(_plan(given).config.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")


def _inspect(given: argparse.Namespace) -> None:
    from zeroloss.report.inspection import inspect

    print(json.dumps(inspect(given.file), indent=2, sort_keys=True, ensure_ascii=False))


def _verify(given: argparse.Namespace) -> None:
    from zeroloss import costs, verification

    _scale_of(given, given.results)
    if given.cells < 1:
        raise UserError(f"--cells {given.cells}: at least 1 cell has to be computed again")
    plan = _plan(given)
    sample = verification.choose(plan, given.cells, given.seed, given.study)
    print(costs.describe([plan.cells[study][cell].cost for study, cell in sample]), file=sys.stderr)
    checks = []
    for check in verification.verify(plan, given.results, sample, plan.config.device):
        checks.append(check)
        print(
            f"{check.outcome:<14} {check.study} {check.cell}{': ' + check.detail if check.detail else ''}", flush=True
        )
    passed = sum(check.outcome in verification.PASSED for check in checks)
    print(f"{passed} of {len(checks)} cells are what this code makes")
    if passed < len(checks):
        raise SystemExit(1)


# a job is short: what only these two steps need is imported by them
def _write_coverage(order: dict[str, Any], results: Path) -> None:
    from zeroloss.report import coverage

    coverage.write(order, results)


def _write_page(order: dict[str, Any], results: Path) -> None:
    from zeroloss.report import page

    page.write(order, results)


def _job(given: argparse.Namespace) -> None:
    from zeroloss import pipeline
    from zeroloss.environment import DATA_VARIABLE, DEVICE_VARIABLE

    steps: dict[str, Callable[..., None]] = {
        "metrics": pipeline.collect_metrics,
        "figures": pipeline.draw_figures,
        "tables": pipeline.make_tables,
        "all_claims": pipeline.join_claims,
        "coverage": _write_coverage,
        "page": _write_page,
    }
    if given.step not in ("dataset", "cell", "cells", *steps):
        raise UserError(f"{given.step} is not a step: allowed are dataset, cell, cells, {', '.join(steps)}")
    try:
        order = json.loads(given.order)
    except (ValueError, RecursionError):
        raise UserError("the job's order is not JSON") from None
    pipeline.check_order(given.step, order)
    _folder("--results", given.results)
    if given.threads < 1:
        raise UserError(f"--threads {given.threads}: at least 1 thread is needed")
    if given.step == "dataset":
        root = os.environ.get(DATA_VARIABLE)
        pipeline.make_dataset(order, given.results, Path(root) if root else None)
    elif given.step in ("cell", "cells"):
        device = given.device or os.environ.get(DEVICE_VARIABLE) or "auto"
        run = pipeline.run_cell if given.step == "cell" else pipeline.run_cells
        run(order, given.results, device, given.threads)
    else:
        steps[given.step](order, given.results)
