"""The steps of the workflow. Each takes its order (``plan``) and the results folder, and writes whole files or none.

They are what one Snakemake job runs (``python -m zeroloss job ...``) and what ``python -m zeroloss run`` calls in turn.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroloss import checksums, storage
from zeroloss.checkpoint import Checkpoints
from zeroloss.devices import own_device, visible_devices
from zeroloss.errors import UserError
from zeroloss.provenance import versions

if TYPE_CHECKING:
    import pandas as pd

    from zeroloss.studies.contract import Study

Order = Mapping[str, Any]


# step -> what its order holds besides its name and key, with the type of each
_ORDERS: dict[str, dict[str, type]] = {
    "dataset": {"recipe": dict, "sources": dict, "code": str},
    "cell": {
        "study": str,
        "parameters": dict,
        "datasets": dict,
        "inputs": list,
        "resumable": bool,
        "gpu": bool,
        "code": str,
    },
    "cells": {"study": str, "cells": dict},
    "metrics": {"study": str, "cells": dict},
    "figures": {"study": str, "settings": dict, "metrics": str, "scale": str, "figures": dict},
    "tables": {"study": str, "settings": dict, "metrics": str, "scale": str, "tables": dict, "verdicts": dict},
    "all_claims": {"studies": dict},
    "coverage": {"served": dict, "scale": str},
    "page": {"scale": str, "settings": dict, "figures": dict, "tables": dict},
}


def check_order(step: str, order: Any) -> None:
    """Raise UserError where ``order`` is not of the form that a plan gives the orders of ``step``."""
    if not isinstance(order, dict):
        raise UserError("the job's order must be a JSON object, such as a plan makes")
    for name, kind in {"name": str, "key": str, **_ORDERS[step]}.items():
        if not isinstance(order.get(name), kind):
            raise UserError(f"the job's order has no {name!r} of type {kind.__name__}, which the step {step} needs")
    if step in ("figures", "tables") and not all(
        isinstance(own, dict) and isinstance(own.get("name"), str) for own in order[step].values()
    ):
        raise UserError(f"the job's order holds something under {step!r} that is no order of its own")
    if step == "cell" and sorted(map(str, order["inputs"])) != sorted(order["datasets"]):
        raise UserError("the job's order has other 'inputs' than 'datasets'")
    if step == "cells":
        for own in order["cells"].values():
            check_order("cell", own)
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", order["name"]) or order["name"].startswith("."):
        raise UserError(f"the job's order is named {order['name']!r}: letters, digits, '_', '-' and '.' only")


def _study(name: str) -> Study:
    # by its name alone: the other studies are no part of what a step computes, and importing them takes a second
    import importlib

    try:
        study: Study = importlib.import_module(f"zeroloss.studies.{name}").STUDY
    except (ModuleNotFoundError, AttributeError):
        raise UserError(f"{name} is not a study") from None
    return study


def _check_key(path: Path, expected: str) -> None:
    """Refuse a file that was made from other settings or other code than this run's."""
    found = storage.read_provenance(path).get("key")
    if found != expected:
        raise UserError(
            f"{path} was made with other settings, data or code (key {str(found)[:8]}, expected {expected[:8]}): "
            "give the settings of that run, or delete it and run again"
        )


def make_dataset(order: Order, results: Path, root: Path | None) -> None:
    """Build the data set ``order['name']`` from its recipe: ``datasets/<name>.npz``."""
    import importlib

    from pydantic import TypeAdapter, ValidationError

    recipe_type = importlib.import_module("zeroloss.datasets.kinds").AnyRecipe
    try:
        recipe = TypeAdapter(recipe_type).validate_python(order["recipe"])
    except ValidationError as problem:
        raise UserError(
            f"the recipe of {order['name']} is not one of this version of zeroloss: {problem.errors()[0]['msg']}"
        ) from None
    data = recipe.build(root)
    provenance = {name: order[name] for name in ("key", "name", "recipe", "sources", "code")}
    made = {**provenance, "sha256": data.checksum(), "versions": versions()}
    data.write(results / "datasets" / f"{order['name']}.npz", made)


def run_cell(order: Order, results: Path, device: str, threads: int = 1, quiet: bool = False) -> None:
    """Compute one cell: ``runs/<study>/<cell>.parquet``."""
    import torch

    from zeroloss.datasets.recipes import Dataset

    chosen = resolve_device(device if order["gpu"] or device not in ("auto", "cuda") else "cpu")
    # results depend on the number of threads in the last digits, so it is part of the step, not of the machine
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    paths = [results / "datasets" / f"{name}.npz" for name in order["inputs"]]
    for path, name in zip(paths, order["inputs"], strict=True):
        _check_key(path, order["datasets"][name])
    study = _study(order["study"])
    datasets = [Dataset.read(path) for path in paths]
    checkpoints = Checkpoints(results / "checkpoints" / order["study"] / order["name"], order["key"])
    more = {"checkpoints": checkpoints} if order["resumable"] else {}
    with contextlib.ExitStack() as held:
        if more:
            held.enter_context(checkpoints.heeding_sigterm())
        if chosen == "cuda":
            torch.cuda.set_device(held.enter_context(own_device(visible_devices())))
        table = study.run(order["parameters"], datasets, device=chosen, quiet=quiet, **more)
    provenance = {name: order[name] for name in ("key", "study", "name", "parameters", "datasets", "code")}
    # what was read, whichever machine made it: a key tells only how it was to be made
    provenance["data"] = {name: data.checksum() for name, data in zip(order["inputs"], datasets, strict=True)}
    hardware = torch.cuda.get_device_name() if chosen == "cuda" else "cpu"
    processor = torch.backends.cpu.get_cpu_capability()
    provenance |= {"versions": versions(), "device": hardware, "processor": processor, "threads": threads}
    storage.write_table(table, results / "runs" / order["study"] / f"{order['name']}.parquet", provenance)
    checkpoints.remove()


def run_cells(order: Order, results: Path, device: str, threads: int = 1) -> None:
    """Compute the cells of ``order['cells']`` one after the other; each is the same file as from a job of its own."""
    for own in order["cells"].values():
        run_cell(own, results, device, threads)


def resolve_device(device: str) -> str:
    """``cpu`` or ``cuda`` from ``auto``, ``cpu`` or ``cuda``; UserError where there is no such device."""
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device is {device!r}: allowed are auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device is 'cuda', but torch finds no GPU here: use device=auto or device=cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def collect_metrics(order: Order, results: Path) -> None:
    """All cells of a study in one table: ``metrics/<study>.parquet``."""
    import pandas as pd

    parts = []
    for cell, key in sorted(order["cells"].items()):
        path = results / "runs" / order["study"] / f"{cell}.parquet"
        _check_key(path, key)
        parts.append((path, storage.read_table(path)))
    table = pd.concat([part for _, part in parts], ignore_index=True)
    made = [storage.read_provenance(path) for path, _ in parts]
    provenance = {
        "key": order["key"],
        "study": order["study"],
        "cells": dict(order["cells"]),
        "seeds": sorted({seed for one in made for seed in _seeds(one["parameters"])}),
        "data": {
            name: sorted({one["data"][name] for one in made if name in one["data"]})
            for name in sorted({name for one in made for name in one["data"]})
        },
        "code": sorted({one["code"] for one in made}),
        "versions": [dict(pair) for pair in sorted({tuple(sorted(one["versions"].items())) for one in made})],
        "devices": sorted({one["device"] for one in made}),
        "processors": sorted({one["processor"] for one in made}),
    }
    storage.write_table(table, results / "metrics" / f"{order['study']}.parquet", provenance)


def _seeds(parameters: Any) -> Iterator[int]:
    """Every seed among the parameters of a cell, at any depth: ``seed``, ``seeds``, ``data_seed`` and the like."""
    if isinstance(parameters, Mapping):
        for key, value in parameters.items():
            if key.rpartition("_")[2] in ("seed", "seeds"):
                yield from (int(one) for one in (value if isinstance(value, list | tuple) else [value]))
            else:
                yield from _seeds(value)
    elif isinstance(parameters, list | tuple):
        for one in parameters:
            yield from _seeds(one)


def _history(order: Order, results: Path) -> dict[str, Any]:
    """How a figure or table is made: its order, and what its study's metrics say of the cells behind it."""
    made = storage.read_provenance(results / "metrics" / f"{order['study']}.parquet")
    names = ("key", "name", "title", "caption", "study", "scale", "settings", "published", "metrics")
    own = {name: order[name] for name in names}
    cells = {name: made[name] for name in ("seeds", "data", "devices", "processors")}
    here = {"code": order["code"], "versions": versions()}
    return {**own, **cells, **{name: {"here": here[name], "cells": made[name]} for name in here}}


def _inputs(order: Order, results: Path) -> tuple[Study, Any, pd.DataFrame]:
    """The study, its settings and its metrics, as a figure, table or claim needs them."""
    study = _study(order["study"])
    path = results / "metrics" / f"{order['study']}.parquet"
    _check_key(path, order["metrics"])
    settings = study.settings.model_validate(order["settings"])
    return study, settings, storage.read_table(path)


def _by_name(declared: list[Any], name: str) -> Any:
    for one in declared:
        if one.name == name:
            return one
    raise UserError(f"{name} is none of {', '.join(one.name for one in declared)}")


def draw_figures(order: Order, results: Path) -> None:
    """Draw every figure of a study: what they share is in ``order``, the rest in ``order['figures']``, by name."""
    for own in order["figures"].values():
        draw_figure({**order, **own}, results)


def make_tables(order: Order, results: Path) -> None:
    """Write every table of a study (``order['tables']``) and decide its claims (``order['verdicts']``)."""
    for own in order["tables"].values():
        make_table({**order, **own}, results)
    judge_claims({**order, **order["verdicts"]}, results)


def draw_figure(order: Order, results: Path) -> None:
    """Draw one figure: ``figures/<name>.pdf``, ``.svg`` and ``.png``, with its provenance in the files' metadata."""
    from zeroloss.plotting.style import house_style, save
    from zeroloss.studies.contract import FIGURE_FORMATS

    study, settings, metrics = _inputs(order, results)
    figure = _by_name(study.figures(settings), order["name"])
    files = [f"figures/{figure.name}.{kind}" for kind in FIGURE_FORMATS]
    with house_style(), checksums.recorded(results, files):
        canvas = figure.draw(metrics, settings, **figure.options)
        note = f"{figure.name}, scale {order['scale']}. {figure.caption}"
        title = f"{study.paper}: {figure.title}"
        save(canvas, results / "figures" / figure.name, title=title, note=note, provenance=_history(order, results))


def make_table(order: Order, results: Path) -> None:
    """Write one table: ``tables/<name>.csv`` (full precision), ``.md`` and ``.tex`` (four digits).

    A csv file has no place for more than its cells: its provenance is in the two others, with its checksum.
    """
    import hashlib

    study, settings, metrics = _inputs(order, results)
    declared = _by_name(study.tables(settings), order["name"])
    table = declared.make(metrics, settings)
    caption = f"{declared.caption} Scale: {order['scale']}. [key {order['key']}]"
    cells = table.to_csv(index=False, lineterminator="\n")
    provenance = {**_history(order, results), "csv_sha256": hashlib.sha256(cells.encode()).hexdigest()}
    shown = table.to_markdown(index=False, floatfmt=".4g")
    latex = table.to_latex(index=False, escape=True, float_format="%.4g", caption=caption, label=f"tab:{declared.name}")
    texts = {
        "csv": cells,
        "md": f"{shown}\n\n{caption}\n\n{storage.as_comment(provenance, '.md')}\n",
        "tex": f"{storage.as_comment(provenance, '.tex')}\n{latex}",
    }
    files = {f"tables/{declared.name}.{kind}": text for kind, text in texts.items()}
    with checksums.recorded(results, list(files)):
        for name, text in files.items():
            storage.write_text(results / name, text)


def judge_claims(order: Order, results: Path) -> None:
    """Decide every claim of a study: ``claims/<study>.csv``."""
    import pandas as pd

    from zeroloss.studies.contract import CLAIM_COLUMNS

    study, settings, metrics = _inputs(order, results)
    rows = []
    for claim in study.claims(settings):
        found = claim.judge(metrics, settings)
        head = {"id": claim.name, "study": study.name, "items": " ".join(claim.items), "statement": claim.statement}
        rows.append({**head, **vars(found)})
    table = pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))
    checksums.write_text(results, f"claims/{study.name}.csv", table.to_csv(index=False, lineterminator="\n"))


def join_claims(order: Order, results: Path) -> None:
    """The claims of all studies in one file: ``claims.csv``."""
    import pandas as pd

    parts = [pd.read_csv(results / "claims" / f"{name}.csv", keep_default_na=False) for name in order["studies"]]
    table = pd.concat(parts, ignore_index=True)
    checksums.write_text(results, "claims.csv", table.to_csv(index=False, lineterminator="\n"))
