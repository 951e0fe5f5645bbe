"""What is computed: the square, the product, local Taylor networks, and the best that one hidden layer can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Len
from pydantic import Field

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.progress import Progress
from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PositiveCount, Seeds, StepSize, Widths
from zeroloss.theory import yarotsky2017 as theory

DATA = {"data_title": "functions on [0, 1]^d", "fidelity": "synthetic", "labels": "x^2, x y, sin(<w, x> + phase)"}
DRAWN_LEVELS = 3  # of the picture of the construction


class SquareSettings(StudySettings):
    """The networks of x^2 and of x y."""

    levels: Annotated[Widths, Len(min_length=2)] = Field(description="m: teeth, and hidden layers, of the square")
    product_levels: Widths = Field(description="m of the squares in the product")
    product_points: PositiveCount = Field(description="random points of [-2, 2]^2 at which the product is evaluated")


class SmoothSettings(StudySettings):
    """Local Taylor networks of smooth functions."""

    seeds: Seeds = Field(description="seeds of the targets, one wave sin(<w, x> + phase) each, in every dimension")
    dimensions: Widths = Field(description="d")
    smoothness: Widths = Field(description="n: degrees below n, error of order n")
    accuracies: Annotated[list[StepSize], Len(min_length=2)] = Field(
        description="errors, relative to the wave's amplitude, for which a network is built as in the proof"
    )
    frequency: Annotated[float, Field(ge=1, le=1000)] = Field(description="W = max |w_k|")
    points: PositiveCount = Field(description="random points in [0, 1]^d over which the largest error is taken")


class Settings(StudySettings):
    """Yarotsky 2017, Theorem 1 of document 004."""

    square: SquareSettings = Field(description="x^2 and x y")
    smooth: SmoothSettings = Field(description="smooth functions")
    shallow_errors: Annotated[list[StepSize], Len(min_length=2)] = Field(
        description="errors for which the best network with one hidden layer is computed, d = 1"
    )


def recipes(settings: Settings) -> list[Recipe]:
    """None: functions are given by formulas."""
    return []


def cells(settings: Settings) -> list[Cell]:
    """One: everything together is worth one process start."""
    part = settings.smooth
    chains = sum(2.0**d * n ** (d + 2) for d in part.dimensions for n in part.smoothness for _ in part.accuracies)
    seconds = 4 + 3.5e-7 * chains * part.points + 0.5 * len(part.seeds)
    return [Cell("networks", settings.model_dump(), (), Cost(seconds, 700))]


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """Rows of ``part`` square, product, smooth (network and target), shallow (target and error) and curve (for drawing)."""
    settings = Settings.model_validate(parameters)
    rows = [*_squares(settings), *_products(settings), *_curves(), *_shallow(settings), *_smooth(settings, quiet)]
    return pd.DataFrame(rows).assign(**DATA)


def _squares(settings: Settings) -> list[dict[str, Any]]:
    """Errors on the quarter points of all intervals: in float64 these values are exact.

    Between the nodes f_m is linear and x^2 convex, so the largest error is at the middle of an interval. The square of
    the error is of degree four there, which Boole's rule integrates exactly.
    """
    from zeroloss.networks.yarotsky import square
    from zeroloss.theory.free_knots import best_error

    rows = []
    for levels in settings.square.levels:
        net = square(levels)
        x = np.arange(2 ** (levels + 2) + 1) / 2.0 ** (levels + 2)
        error = net(x[:, None])[:, 0] - x**2
        squared = error**2
        quarters = [squared[k : len(x) - 4 + k : 4] for k in range(1, 4)]
        boole = 7 * (squared[:-1:4] + squared[4::4]) + 32 * (quarters[0] + quarters[2]) + 12 * quarters[1]
        rows.append(
            {
                "part": "square", "levels": levels, "hidden": net.hidden, "units": net.units,
                "connections": net.connections, "largest_weight": net.largest_weight,
                "error": float(np.abs(error).max()), "node_error": float(np.abs(error[::4]).max()),
                "mean_square": float(boole.sum() / 90 / 2.0**levels),
                "shallow_error": best_error(np.square, 0.0, 1.0, net.units + 1),
            }
        )  # fmt: skip
    return rows


def _products(settings: Settings) -> list[dict[str, Any]]:
    from zeroloss.networks.yarotsky import REACH, product

    # at random: a regular grid would meet the nodes of the squares, where there is no error
    count = settings.square.product_points
    x = numpy_generator(0, "yarotsky factors").uniform(-REACH, REACH, size=(count, 2))
    rows = []
    for levels in settings.square.product_levels:
        net = product(levels)
        error = float(np.abs(net(x)[:, 0] - x[:, 0] * x[:, 1]).max())
        rows.append(
            {
                "part": "product", "levels": levels, "hidden": net.hidden, "units": net.units, "error": error,
                "bound": theory.product_error(levels, REACH),
            }
        )  # fmt: skip
    return rows


def _curves() -> list[dict[str, Any]]:
    """Teeth g_s and interpolants f_m on a grid of 1/256: level 0 is f_0(x) = x."""
    from zeroloss.networks.yarotsky import square, tooth

    x = np.arange(257) / 256
    rows = []
    for level in range(DRAWN_LEVELS + 1):
        curves = {"f": square(level)(x[:, None])[:, 0] if level else x}
        if level:
            curves["g"] = tooth(level)(x[:, None])[:, 0]
        for curve, values in curves.items():
            found = {"part": "curve", "curve": curve, "levels": level}
            rows += [{**found, "x": a, "value": b} for a, b in zip(x.tolist(), values.tolist(), strict=True)]
    return rows


def _shallow(settings: Settings) -> list[dict[str, Any]]:
    """Pieces that one hidden layer needs at least and at most for each error, d = 1."""
    from zeroloss.theory.free_knots import fewest_pieces

    rows = []
    for seed in settings.smooth.seeds:
        wave = theory.random_waves([seed], 1, settings.smooth.frequency)
        turns = np.arange(-100, 100) * np.pi
        inflections = (turns - wave.phases[0]) / wave.frequencies[0, 0]

        def curve(x: np.ndarray, wave: theory.Waves = wave) -> np.ndarray:
            return np.asarray(wave(x[:, None])[0])

        for error in settings.shallow_errors:
            least, most = fewest_pieces(curve, inflections, 0.0, 1.0, error)
            # w units make at most w + 1 pieces; w units with one more for the first slope make w of them
            rows.append({"part": "shallow", "seed": seed, "error": error, "units": least - 1, "units_enough": most + 1})
    return rows


def _smooth(settings: Settings, quiet: bool) -> list[dict[str, Any]]:
    from zeroloss.networks.yarotsky import REACH, LocalTaylor

    part = settings.smooth
    rows = []
    with Progress(
        len(part.dimensions) * len(part.smoothness) * len(part.accuracies), "yarotsky2017", quiet
    ) as progress:
        for d in part.dimensions:
            waves = theory.random_waves(part.seeds, d, part.frequency)
            x = numpy_generator(0, "yarotsky points", d).uniform(size=(part.points, d))
            truth = waves(x)
            for n in part.smoothness:
                for accuracy in part.accuracies:
                    # of f / W^n, which is in the class; f itself is then known to the accuracy
                    epsilon = accuracy / part.frequency**n
                    net = LocalTaylor(d, n, theory.grid_for(epsilon, d, n), theory.levels_for(epsilon, d, n, REACH))
                    error = np.abs(net(x, waves.derivative) - truth).max(axis=1)
                    network = {
                        "part": "smooth", "dimension": d, "smoothness": n, "accuracy": accuracy, "epsilon": epsilon,
                        "grid": net.grid, "levels": net.levels, "hidden": net.hidden, "units": net.units,
                        "connections": net.connections,
                    }  # fmt: skip
                    rows += [
                        {**network, "seed": s, "error": e} for s, e in zip(part.seeds, error.tolist(), strict=True)
                    ]
                    progress.advance()
    return rows
