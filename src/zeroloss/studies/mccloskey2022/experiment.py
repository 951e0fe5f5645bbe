"""Cells of the study, and which function computes each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.studies.contract import Cell, Cost
from zeroloss.studies.mccloskey2022 import examples, training
from zeroloss.studies.mccloskey2022.settings import Settings

LOSSES = ("square", "logistic")


def recipes(settings: Settings) -> list[Recipe]:
    """None: the experiments move and resize the inputs, so they draw them themselves."""
    return []


def cells(settings: Settings) -> list[Cell]:
    found = []
    for part, block in (
        ("examples", settings.examples),
        ("approach", settings.approach),
        ("smallest_width", settings.smallest_width),
        ("output_law", settings.output_law),
        ("radius", settings.radius),
    ):
        parameters = {"part": part, **block.model_dump(mode="json")}
        if part == "smallest_width":
            for judged in ("resamples", "failure"):  # used when drawing and judging only: no reason to run again
                del parameters[judged]
        found.append(Cell(part, parameters, (), _cost(part, settings)))
    for loss in LOSSES:
        parameters = {"part": "methods", "loss": loss, **settings.methods.model_dump(mode="json")}
        found.append(Cell(f"methods_{loss}", parameters, (), _cost("methods", settings)))
    return found


def _cost(part: str, settings: Settings) -> Cost:
    """From the operations of each part, at the rates measured on one core (30 Gflop/s for these small products).

    A GPU is expected to spend as long on starting such small products; on the stacked ones of ``methods`` it gains.
    """
    if part == "examples":
        one = settings.examples
        sets = len(one.seeds) * (len(one.dimensions) + 5 * len(one.distances))
        return Cost(3 + sets * 1e-3, 400, 0.1)
    if part == "approach":
        a = settings.approach
        # measured: about 8 / distance^2 steps at a relative step of 1
        steps = sum(min(a.most_steps, 10 + 8 / (distance**2 * a.relative_step)) for distance in a.distances)
        return Cost(3 + len(a.seeds) * steps * 2 * a.samples**2 * sum(a.widths) / 20e9, 500, 0.2, gpu_speedup=1)
    if part == "smallest_width":
        w = settings.smallest_width
        sizes = [(n, 20.0) for n in w.samples] + [(n, 4.0 * n) for n in w.fixed_samples]
        steps = sum(100 + 60 * (extra / 20) for _, extra in sizes) * 12
        return Cost(3 + len(w.seeds) * steps * 2.5e-5, 450, 0.1, gpu_speedup=1)
    if part == "output_law":
        o = settings.output_law
        return Cost(3 + len(o.seeds) * 3 * o.steps * sum(o.widths) * 2 * o.samples**2 / 25e9, 500, 0.2, gpu_speedup=1)
    if part == "radius":
        r = settings.radius
        runs = len(r.seeds) * (1 + len(r.radii))
        return Cost(3 + runs * r.steps * r.width * 2 * r.samples**2 / 25e9, 500, 0.2, gpu_speedup=1)
    m = settings.methods
    flops = 5 * len(m.seeds) * m.steps * 4.0 * m.samples * m.dimension * m.width
    memory = 600 + int(len(m.seeds) * m.width * (m.samples * 14 + m.dimension * 28) / 2**20)
    return Cost(3 + flops / 12e9, memory, 0.3, gpu_speedup=50)


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """One cell: the table of its part, with the columns that the page needs of every data set."""
    from zeroloss.progress import Progress

    part = parameters["part"]
    by_seed = {
        "approach": (training.approach, len(parameters.get("distances", ())) * len(parameters.get("widths", ()))),
        "smallest_width": (
            training.smallest_width,
            len(parameters.get("fixed_samples", ()))
            + len(parameters.get("samples", ()) if part == "smallest_width" else ()),
        ),
        "output_law": (training.output_law, len(parameters.get("widths", ()))),
        "radius": (training.radius, 1 + len(parameters.get("radii", ()))),
    }
    seeds = parameters["seeds"]
    total = len(seeds) * by_seed[part][1] if part in by_seed else 5
    with Progress(total, f"mccloskey2022 {part}", quiet) as progress:
        if part == "examples":
            table = examples.run_examples(parameters)
        elif part == "methods":
            table = training.methods(parameters, device, lambda state: progress.advance(state=state))
        else:
            one = by_seed[part][0]
            tables = [
                one(parameters, seed, device, lambda state, s=seed: progress.advance(state=f"seed {s}, {state}"))  # type: ignore[misc]
                for seed in seeds
            ]
            table = pd.concat(tables, ignore_index=True)
    labels = {"examples": "none", "methods": "random signs"}.get(part, "y ~ N(0, 1)")
    labels += ", +1 and -1 on the close pair" if part == "approach" else ""
    return table.assign(data_title="uniform on the sphere", fidelity="synthetic", labels=labels)
