"""Cells, and what each computes; one table per cell, the column ``part`` tells experiments apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.image_classes import ImageClasses
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.studies.contract import Cell, Cost
from zeroloss.studies.wu_wang_ma2019 import starts
from zeroloss.studies.wu_wang_ma2019.settings import Settings
from zeroloss.theory import zero_asymmetric as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.progress import Progress
    from zeroloss.training.deep_linear_descent import LinearPath

Rows = list[dict[str, Any]]
ESCAPE_TARGETS = ("plus", "minus", "gaussian")
BEST_TARGETS = ("plus", "minus", "gaussian")
CLASSES = tuple(range(10))
# measured: seconds of one layer of one network of width 5 in one step, float64, in a large batch; and of a call
PER_LAYER, PER_CALL = 7e-7, 1.4e-5


def recipes(settings: Settings) -> list[Recipe]:
    """Images for the nonlinear networks; all else is drawn where it is used."""
    return [_images(settings, source) for source in settings.residual.sources]


def _images(settings: Settings, source: str) -> ImageClasses:
    return ImageClasses(source=source, samples=settings.residual.samples, classes=CLASSES, labels="true", seed=0)


# estimated: matrices of some tens of rows are starts of kernels on a GPU, one after the other, as on a core
LAUNCH_BOUND = 1.0
RESIDUAL_SPEEDUP = 10.0  # stacked networks of width 128


def cells(settings: Settings) -> list[Cell]:
    seeds, depth, residual = settings.seeds, settings.depth, settings.residual
    escape = settings.escape
    count = 3 * (3 * len(seeds) + 2 + len(seeds))
    found = [
        Cell(
            "escape",
            {"part": "escape", "seeds": seeds, **escape.model_dump()},
            (),
            Cost(4 + 0.4 * count * escape.steps * sum(escape.depths) * PER_LAYER, 450, gpu_speedup=LAUNCH_BOUND),
        )
    ]
    common = {
        "part": "depth", "seeds": seeds, "dimensions": depth.dimensions, "steps": depth.steps, "goal": depth.goal,
        "kind": "fixed", "starts": list(starts.STARTS), "targets": list(starts.TARGETS), "step_sizes": [depth.fixed_step],
    }  # fmt: skip
    count = len(depth.dimensions) * (6 * 3 * len(seeds) + 4 * 2 * len(seeds) + 4)
    jobs = {
        "depth": [value for value in depth.depths if value < depth.split_from],
        **{f"depth_l{value}": [value] for value in depth.depths if value >= depth.split_from},
    }
    for name, depths in jobs.items():
        seconds = 4 + 0.45 * count * depth.steps * sum(depths) * PER_LAYER
        found.append(Cell(name, {**common, "depths": depths}, (), Cost(seconds, 500, gpu_speedup=LAUNCH_BOUND)))
    best = {**common, "kind": "best", "targets": list(BEST_TARGETS), "step_sizes": depth.step_grid}
    count = len(depth.dimensions) * len(depth.step_grid) * 3 * 3 * len(seeds)
    seconds = 4 + 0.3 * count * depth.steps * sum(depth.best_depths) * PER_LAYER
    found.append(
        Cell("depth_best", {**best, "depths": depth.best_depths}, (), Cost(seconds, 600, gpu_speedup=LAUNCH_BOUND))
    )
    deep = {**best, "starts": ["zas"], "depths": depth.deep_depths}
    small = {
        "part": "small", "deep": deep, "growth": settings.growth.model_dump(), "goal": depth.goal,
        "theorem": settings.theorem.model_dump(), "identity": settings.identity.model_dump(),
    }  # fmt: skip
    calls = float(settings.theorem.steps * sum(settings.theorem.depths))
    calls += 0.5 * len(settings.growth.dimensions) * settings.growth.steps * sum(settings.growth.depths)
    found.append(Cell("small", small, (), Cost(6 + calls * PER_CALL, 450, gpu_speedup=LAUNCH_BOUND)))
    for source in residual.sources:
        for blocks in residual.depths:
            parameters = {"part": "residual", "seeds": seeds, **residual.model_dump(exclude={"sources", "depths"})}
            nets = len(seeds) * 3 * (residual.steps + len(residual.step_grid) * residual.pilot_steps)
            seconds = 4 + nets * blocks * residual.samples * residual.width**2 * 2.2e-10
            parameters |= {"depth": blocks, "source": source}
            cost = Cost(seconds, 600, gpu_speedup=RESIDUAL_SPEEDUP)
            found.append(Cell(f"residual_{source}_l{blocks}", parameters, (_images(settings, source).name,), cost))
    return found


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """Everything linear is float64 (saddles amplify rounding), the nonlinear networks are float32."""
    from zeroloss.progress import Progress

    parts: dict[str, Callable[..., Rows]] = {
        "escape": _escape,
        "depth": _depth,
        "small": _small,
        "residual": _residual,
    }
    part = parameters["part"]
    with Progress(_batches(parameters), f"wu_wang_ma2019 {part}", quiet) as progress:
        table = pd.DataFrame(parts[part](parameters, datasets, device, progress))
    if part == "escape" and "height" not in table:  # where every run diverges there is no plateau
        table = table.assign(first=np.nan, last=np.nan, height=np.nan)
    return table


def _batches(parameters: Mapping[str, Any]) -> int:
    if parameters["part"] == "small":
        growth, theorem = parameters["growth"], parameters["theorem"]
        return (
            _batches(parameters["deep"])
            + len(growth["dimensions"]) * len(growth["depths"])
            + 2 * (len(theorem["depths"]) + len(theorem["table_depths"]))
            + 1
        )
    return len(parameters.get("depths", range(3))) * len(parameters.get("dimensions", (0,)))


def kept_steps(steps: int, points: int) -> list[int]:
    """0 and steps spaced evenly in the logarithm up to the last."""
    return sorted({0, *np.unique(np.geomspace(1, steps, points).round().astype(int)).tolist()})


def _descend(group: starts.Batch, steps: int, goal: float, **more: Any) -> LinearPath:
    import torch

    from zeroloss.training.deep_linear_descent import descend

    eye = torch.eye(group.targets.shape[1], dtype=torch.float64)
    return descend(
        group.layers,
        eye,
        torch.from_numpy(group.targets),
        group.step_sizes,
        steps,
        stop_below=goal * 0.5 * group.norms**2,
        **more,
    )


def _ends(group: starts.Batch, path: LinearPath, dimension: int, depth: int, goal: float) -> Rows:
    """One row per run: how it ended, and whether the sign of its determinant stands in its way."""
    rows = []
    for index, run_ in enumerate(group.runs):
        barrier = theory.sign_barrier(group.targets[index], group.signs[index])
        reached = path.converged_at[index]
        finite = path.losses[index][np.isfinite(path.losses[index])]
        rows.append(
            {
                "start": run_.start, "target": run_.target, "seed": run_.seed, "step_size": run_.step_size,
                "dimension": dimension, "depth": depth, "iterations": float(reached) if reached >= 0 else np.nan,
                "diverged_at": int(path.diverged_at[index]), "norm": group.norms[index],
                "initial_loss": finite[0], "final_loss": finite[-1], "sign": group.signs[index],
                "obstructed": barrier > goal * 0.5 * group.norms[index] ** 2,
            }
        )  # fmt: skip
    return rows


def _escape(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress) -> Rows:
    """Curves (part escape), ends, plateaus, the symmetry of the two signs, singular values."""
    dimension, steps, goal = parameters["dimension"], parameters["steps"], parameters["goal"]
    kept = kept_steps(steps, parameters["points"])
    rows: Rows = []
    for depth, eta in zip(parameters["depths"], parameters["step_sizes"], strict=True):
        wanted = starts.runs(list(starts.STARTS), ESCAPE_TARGETS, parameters["seeds"], [eta])
        group = starts.batch(wanted, dimension, depth, device)
        watched = depth == parameters["singular_depth"]
        singular: Rows = []
        observe = _singular_values(group, singular, depth) if watched else None
        path = _descend(group, steps, goal, record_at=set(kept) if watched else (), observe=observe)
        ends = _ends(group, path, dimension, depth, goal)
        rows += [{"part": "escape_end", **end} for end in ends] + singular
        for run_, losses, end in zip(wanted, path.losses, ends, strict=True):
            name = {"start": run_.start, "target": run_.target, "seed": run_.seed, "depth": depth, "step_size": eta}
            last = int(np.flatnonzero(np.isfinite(losses))[-1])
            at = [k for k in kept if k < last] + [last]
            rows += [{"part": "escape", **name, "step": k, "loss": losses[k]} for k in at]
            for plateau in theory.plateaus(losses, eta):
                where = {"first": plateau.first, "last": plateau.last, "height": plateau.height}
                rows.append({"part": "plateau", **name, **where, "diverged_at": end["diverged_at"]})
        signs = [next(k for k, run_ in enumerate(wanted) if (run_.start, run_.target) == ("zas", t)) for t in
                 ("plus", "minus")]  # fmt: skip
        plus, minus = path.losses[signs[0]], path.losses[signs[1]]
        same = np.array_equal(plus, minus, equal_nan=True)
        gap = float(np.nanmax(np.abs(plus - minus)))
        rows.append(
            {"part": "symmetry", "depth": depth, "identical": same, "gap": gap, "steps": int(np.isfinite(plus).sum())}
        )
        progress.advance(state=f"L={depth}")
    return rows


def _singular_values(group: starts.Batch, rows: Rows, depth: int) -> Callable[..., None]:
    """An observer that appends the singular values of the products whose target is -I."""
    import torch

    from zeroloss.networks import deep_linear

    def observe(step: int, running: np.ndarray, layers: list[torch.Tensor]) -> None:
        of = [row for row, number in enumerate(running) if group.runs[number].target == "minus"]
        if not of:
            return
        products = deep_linear.product([layer[of] for layer in layers])
        finite = torch.isfinite(products).all(dim=(1, 2))  # a run may diverge in the step before this record
        values = torch.linalg.svdvals(products[finite]).cpu().numpy()
        for row, each in zip((row for row, fine in zip(of, finite.tolist(), strict=True) if fine), values, strict=True):
            run_ = group.runs[running[row]]
            name = {"part": "singular", "start": run_.start, "seed": run_.seed, "depth": depth, "step": step}
            rows.extend({**name, "index": index, "value": value} for index, value in enumerate(each))

    return observe


def _depth(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress) -> Rows:
    """One row per run; at the best step size all of the grid, the choice is made where it is drawn."""
    rows: Rows = []
    for dimension in parameters["dimensions"]:
        for depth in parameters["depths"]:
            wanted = starts.runs(
                parameters["starts"], parameters["targets"], parameters["seeds"], parameters["step_sizes"]
            )
            group = starts.batch(wanted, dimension, depth, device)
            path = _descend(group, parameters["steps"], parameters["goal"])
            ends = _ends(group, path, dimension, depth, parameters["goal"])
            rows += [{"part": "depth", "kind": parameters["kind"], **end} for end in ends]
            progress.advance(state=f"d={dimension}, L={depth}")
    return rows


def _small(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress) -> Rows:
    from zeroloss.studies.wu_wang_ma2019 import small_parts

    goal = parameters["goal"]
    return [
        *_depth(parameters["deep"], datasets, device, progress),
        *small_parts.growth(parameters["growth"], goal, device, progress),
        *small_parts.theorem(parameters["theorem"], goal, device, progress),
        *small_parts.identity(parameters["identity"], goal, device, progress),
    ]


def _residual(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress) -> Rows:
    from zeroloss.studies.wu_wang_ma2019 import residual

    return residual.rows(parameters, datasets[0], device, progress)


def best_of(table: pd.DataFrame, by: Iterable[str]) -> pd.DataFrame:
    """Of each run on the grid of step sizes the one with the fewest iterations.

    Where none reached its target, one that was stopped by the cap comes before one that diverged.
    """
    ordered = table.assign(lost=table["diverged_at"] >= 0).sort_values(
        ["iterations", "lost", "step_size"], ascending=[True, True, False], na_position="last"
    )
    return ordered.drop_duplicates(list(by)).sort_index()
