"""What is computed: descent with and without the neuron, critical points, the theorem without its assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Cell, Cost
from zeroloss.studies.liang2018.settings import Settings
from zeroloss.studies.liang2018.toys import TOYS, Toy, ToyName, toy

# A gradient norm below this counts as a critical point; entries of the gradient are of order 1 at the starts.
STATIONARY = 1e-8
# Columns of the parameters.
A, W, B = 4, 5, 6


def recipes(settings: Settings) -> list[Recipe]:
    """None: a handful of inputs stands in the settings."""
    return []


def cells(settings: Settings) -> list[Cell]:
    data = {name: getattr(settings, name).model_dump() for name in TOYS}
    descent, critical, assumptions = settings.descent, settings.critical, settings.assumptions
    runs = len(descent.seeds) * (len(descent.regularisers) + 1)
    seconds = 3 + descent.steps * (2e-5 + 3e-7 * runs)
    tried = critical.starts * len(descent.regularisers) * critical.newton_steps
    cell = [
        Cell(
            f"descent_{name}",
            {"part": "descent", "toy": name, "data": data[name], **descent.model_dump()},
            (),
            Cost(seconds, 450),
        )
        for name in TOYS
    ]
    points = {"data": data, "regularisers": descent.regularisers, **critical.model_dump()}
    return [
        *cell,
        Cell(
            "points",
            {"part": "points", **points, "assumptions": assumptions.model_dump()},
            (),
            Cost(5 + tried * 6e-5, 600),
        ),
    ]


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """One row per run and record, per critical point, per bad minimum and per assumption; ``part`` tells which.

    float64 on the CPU: the networks have at most seven parameters.
    """
    from zeroloss.progress import Progress

    if parameters["part"] == "descent":
        with Progress(parameters["records"], f"liang2018 {parameters['toy']}", quiet) as progress:
            return run_descent(parameters, progress)
    from zeroloss.studies.liang2018.points import assumption_rows, bad_minimum_row, critical_rows

    with Progress(2 * len(TOYS) + 1, "liang2018 points", quiet) as progress:
        rows: list[dict[str, Any]] = []
        for name in TOYS:
            one = toy(name, parameters["data"][name])
            rows.append(bad_minimum_row(name, one, min(parameters["radii"])))
            progress.advance(state=f"{name}: bad minimum")
            rows += critical_rows(name, one, parameters)
            progress.advance(state=f"{name}: critical points")
        rows += assumption_rows(toy("dead_relu", parameters["data"]["dead_relu"]), parameters["assumptions"])
        progress.advance(state="assumptions")
    return pd.DataFrame(rows)


def starts(name: ToyName, one: Toy, parameters: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, list]:
    """Parameters (B, 7), lambda (B,), what is trained (B, 7) and labels (model, lambda, seed) of all runs.

    Each seed has one start of the base network, which it shares by all lambda and by the base network alone. The neuron
    starts silent, a = b = 0 and w ~ N(0, slope_scale^2): adding it changes no output.
    """
    theta, regularisers, trained, labels = [], [], [], []
    for seed in parameters["seeds"]:
        kick = numpy_generator(seed, "base", name).standard_normal(4) * parameters["distance"] * one.trained[:4]
        base = np.append(one.bad[:4] + kick, np.zeros(3))
        neuron = base.copy()
        neuron[W] = parameters["slope_scale"] * numpy_generator(seed, "neuron", name).standard_normal()
        for regulariser in [None, *parameters["regularisers"]]:
            alone = regulariser is None
            theta.append(base if alone else neuron)
            regularisers.append(1.0 if alone else regulariser)
            trained.append(np.append(one.trained[:4], np.zeros(3, bool)) if alone else one.trained)
            labels.append(("alone" if alone else "neuron", np.nan if alone else regulariser, seed))
    return np.array(theta), np.array(regularisers), np.array(trained), labels


def record_steps(steps: int, records: int) -> list[int]:
    """0 and about ``records`` steps evenly spaced in the logarithm, the last one ``steps``."""
    spaced = np.geomspace(1, steps, records).round().astype(int) if records > 1 else np.array([steps])
    return sorted({0, *spaced.tolist()})


def run_descent(parameters: Mapping[str, Any], progress: Any) -> pd.DataFrame:
    """All seeds, all lambda and the base network alone in one batch; a row per run and recorded step.

    ``diverged_at`` is the first recorded step at which a parameter or the loss is not finite, -1 where none is; from it
    on the values are NaN.
    """
    from zeroloss.theory.liang2018 import misclassification_rate
    from zeroloss.training.exponential_neuron import Problem, Runs, State, descend

    name = parameters["toy"]
    one = toy(name, parameters["data"])
    theta, regularisers, trained, labels = starts(name, one, parameters)
    runs = Runs(Problem(one.inputs, one.labels, one.unit), theta, regularisers, trained)
    diverged, tables = np.full(len(theta), -1), []

    def record(step: int, state: State) -> None:
        gradient = np.linalg.norm(state.gradient * trained, axis=1)
        good = np.isfinite(runs.theta).all(axis=1) & np.isfinite(state.loss) & np.isfinite(gradient)
        diverged[~good & (diverged < 0)] = step
        values = {
            "loss": state.loss, "base_loss": state.base_loss, "gradient": gradient,
            "rate": misclassification_rate(state.outputs, one.labels),
            "base_rate": misclassification_rate(state.base_outputs, one.labels),
            "a": runs.theta[:, A], "w": runs.theta[:, W], "b": runs.theta[:, B],
        }  # fmt: skip
        values = {key: np.where(diverged < 0, value, np.nan) for key, value in values.items()}
        tables.append(pd.DataFrame({"step": step, "index": np.arange(len(theta)), **values}))
        progress.advance(state=f"step {step}")

    descend(
        runs, parameters["step"], parameters["steps"], record_steps(parameters["steps"], parameters["records"]), record
    )
    table = pd.concat(tables, ignore_index=True)
    index = table.pop("index").to_numpy()
    return table.assign(
        part="descent", toy=name, bad_loss=one.bad_loss,
        model=[labels[k][0] for k in index], regulariser=[labels[k][1] for k in index],
        seed=[labels[k][2] for k in index], diverged_at=diverged[index],
    )  # fmt: skip
