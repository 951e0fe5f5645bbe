"""What is computed: networks trained on five points, networks led astray first, and kernel regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PositiveCount, Seeds, StepSize, Widths
from zeroloss.theory import wu_zhu_e2017 as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.networks.relu_curve import ReluCurve
    from zeroloss.progress import Progress

OUTER = 1.2  # curves are looked at on [-1.2, 1.2], a tenth of the data's range beyond either end
GRID = np.linspace(-OUTER, OUTER, 2401)  # steps of 0.001, the data's points and both ends among them
INNER = np.abs(GRID) <= 1 + 1e-9
DRAWN = 10  # every tenth of them is kept for drawing
DATA = {"data_title": "five points", "fidelity": "synthetic", "labels": "five fixed numbers"}


class AdamSettings(StudySettings):
    """Constants of Adam."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(description="beta_1")
    memory: Annotated[float, Field(gt=0, lt=1)] = Field(description="beta_2")
    floor: StepSize = Field(description="epsilon")


class NetworkSettings(StudySettings):
    """Networks trained on the five points alone (004-F1, solid)."""

    depths: Widths = Field(description="numbers of hidden layers")
    width: PositiveCount = Field(description="units of a hidden layer, also of the constructed solutions")
    step: StepSize = Field(description="Adam's step size on the five points")
    target: StepSize = Field(description="mean squared error at which training stops")
    most_steps: PositiveCount = Field(description="the most Adam steps; a run that is not there by then is recorded")


class ConstructedSettings(StudySettings):
    """Networks trained with attack points first, then on the five points alone (004-F1, dashed)."""

    depths: Widths = Field(description="numbers of hidden layers, each also among those of the trained networks")
    points: PositiveCount = Field(description="attack points, uniform on [-1, 1]")
    labels: Annotated[list[StepSize], Len(min_length=1)] = Field(
        description="sizes of the attack labels, whose signs are random; each is a construction of its own"
    )
    step: StepSize = Field(description="Adam's step size on the five points and the attack points together")
    steps: PositiveCount = Field(description="Adam steps on them")


class Settings(StudySettings):
    """Wu, Zhu and E 2017, Figure 1."""

    labels: Annotated[list[float], Len(5, 5)] = Field(description="labels of the five equispaced points on [-1, 1]")
    seeds: Seeds = Field(description="seeds of initial weights and attack points")
    adam: AdamSettings = Field(description="Adam's other constants")
    networks: NetworkSettings = Field(description="networks trained on the five points")
    constructed: ConstructedSettings = Field(description="the constructed solutions")
    orders: Widths = Field(description="orders p of the kernel (1 + x x')^p")

    @model_validator(mode="after")
    def _constructed_depths_are_trained_too(self) -> Settings:
        extra = sorted(set(self.constructed.depths) - set(self.networks.depths))
        if extra:
            raise ValueError(f"constructed.depths has {extra}, which networks.depths lacks: they are compared by depth")
        return self


def recipes(settings: Settings) -> list[Recipe]:
    """None: the five points stand in the settings."""
    return []


def cells(settings: Settings) -> list[Cell]:
    """The networks with the kernels (which take no time), and the constructed solutions."""
    networks, constructed, seeds = settings.networks, settings.constructed, len(settings.seeds)

    def step_seconds(depth: int, batch: int, points: int) -> float:
        work = batch * ((depth - 1) * networks.width**2 * (points + 12) + networks.width * points)
        return 1.5e-4 * (1 + depth) + 4e-10 * work

    # on the five points some hundred steps are enough, with one hidden layer some thousand
    fits = sum((2000 if depth == 1 else 300) * step_seconds(depth, seeds, 5) for depth in networks.depths)
    batch = seeds * len(constructed.labels)
    made = sum(
        constructed.steps * step_seconds(depth, batch, constructed.points + 5) + 300 * step_seconds(depth, batch, 5)
        for depth in constructed.depths
    )
    everything = settings.model_dump()
    return [
        Cell("fits", {"part": "fits", **everything}, (), Cost(4 + fits, 550)),
        Cell("constructed", {"part": "constructed", **everything}, (), Cost(4 + made, 550)),
    ]


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """One row per solution and per kernel order, and the points of their curves; ``part`` tells which.

    float64 on the CPU: some ten thousand parameters and at most some tens of points.
    """
    from zeroloss.progress import Progress

    fits = parameters["part"] == "fits"
    depths = parameters["networks" if fits else "constructed"]["depths"]
    with Progress(len(depths), f"wu_zhu_e2017 {parameters['part']}", quiet) as progress:
        tables = [_solutions(parameters, depth, constructed=not fits, progress=progress) for depth in depths]
    if fits:
        tables += [_kernel(parameters, order) for order in parameters["orders"]]
    return pd.concat(tables, ignore_index=True).assign(**DATA)


def _solutions(parameters: Mapping[str, Any], depth: int, *, constructed: bool, progress: Progress) -> pd.DataFrame:
    """Networks of one depth, all seeds (and sizes of attack labels) at once; each starts where its seed says."""
    import torch

    from zeroloss.networks.relu_curve import ReluCurve, squared_error
    from zeroloss.randomness import torch_generator
    from zeroloss.training.adam import Adam, minimise

    networks, attack = parameters["networks"], parameters["constructed"]
    net = ReluCurve(depth, networks["width"])
    sizes = attack["labels"] if constructed else [0.0]
    runs = [(seed, size) for seed in parameters["seeds"] for size in sizes]
    theta = torch.stack([net.initial(torch_generator(seed, "initial", depth)) for seed, _ in runs])
    x, y = torch.from_numpy(theory.NODES), torch.tensor(parameters["labels"], dtype=torch.float64)
    if constructed:
        more = [_attack(parameters, seed) for seed, _ in runs]
        attacked_x = torch.stack([torch.cat([x, torch.from_numpy(at)]) for at, _ in more])
        attacked_y = torch.stack(
            [torch.cat([y, size * torch.from_numpy(signs)]) for (_, signs), (_, size) in zip(more, runs, strict=True)]
        )
        method = Adam(attack["step"], **parameters["adam"])
        theta = minimise(
            theta, lambda at: squared_error(net, at, attacked_x, attacked_y), method, attack["steps"]
        ).theta
    method = Adam(networks["step"], **parameters["adam"])
    fit = minimise(theta, lambda at: squared_error(net, at, x, y), method, networks["most_steps"], networks["target"])
    tables = []
    for k, (seed, size) in enumerate(runs):
        common = {
            "family": "constructed" if constructed else "trained", "depth": depth, "width": net.width, "seed": seed,
            "attack": size,
        }  # fmt: skip
        outcome = {
            "steps": int(fit.steps[k]), "error": float(fit.loss[k]), "reached": bool(fit.reached[k]),
            "diverged": bool(fit.diverged[k]),
        }  # fmt: skip
        values = net.values(fit.theta[k], torch.from_numpy(GRID)).numpy()
        row = {"part": "solution", **common, **outcome, **complexity(values), **_sharpness(net, fit.theta[k], x, y)}
        tables += [pd.DataFrame([row]), _curve(values, **common)]
    progress.advance(state=f"depth {depth}: {fit.reached.sum()} of {len(runs)} at the target")
    return pd.concat(tables, ignore_index=True)


def _attack(parameters: Mapping[str, Any], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs uniform on [-1, 1] and random signs: the same for every depth and size of the labels."""
    generator = numpy_generator(seed, "attack")
    count = parameters["constructed"]["points"]
    return generator.uniform(-1, 1, count), generator.choice([-1.0, 1.0], count)


def complexity(values: np.ndarray) -> dict[str, float]:
    """Measures of a curve given on :data:`GRID`: max|f| inside and over all, total variation inside."""
    return {
        "max_inside": float(np.abs(values[INNER]).max()),
        "max_outside": float(np.abs(values).max()),
        "variation": theory.total_variation(values[INNER]),
    }


def _sharpness(net: ReluCurve, theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Trace and spectral norm of the Hessian of the mean squared error over the five points; NaN where diverged."""
    from zeroloss.networks.relu_curve import hessian_norm, hessian_trace

    if not bool(net.values(theta, x).isfinite().all()):
        return {"hessian_trace": np.nan, "hessian_norm": np.nan}
    return {"hessian_trace": hessian_trace(net, theta, x), "hessian_norm": hessian_norm(net, theta, x, y)}


def _kernel(parameters: Mapping[str, Any], order: int) -> pd.DataFrame:
    """Kernel regression of one order: measures and curve."""
    y = np.array(parameters["labels"])
    coefficients, rank = theory.polynomial_fit(theory.NODES, y, order)
    values = theory.polynomial_features(GRID, order) @ coefficients
    error = np.mean((theory.polynomial_features(theory.NODES, order) @ coefficients - y) ** 2)
    row = {"part": "kernel", "order": order, "rank": rank, "error": float(error), **complexity(values)}
    return pd.concat([pd.DataFrame([row]), _curve(values, family="kernel", order=order)], ignore_index=True)


def _curve(values: np.ndarray, **common: Any) -> pd.DataFrame:
    return pd.DataFrame({"part": "curve", **common, "x": GRID[::DRAWN], "f": values[::DRAWN]})
