"""What is computed: errors over n for every dimension, smoothness, domain and noise."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Len
from pydantic import AfterValidator, Field

from zeroloss.checkpoint import Checkpoints, KeptRows
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.progress import Progress
from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PositiveCount, Seeds, StepSize, Widths
from zeroloss.theory import curse_of_dimension as theory

DATA = {"data_title": "random functions of smoothness s", "fidelity": "synthetic", "labels": "Gaussian process"}
RESOLVED = 1e2  # an error counts where its square is this many times the jitter


def _closed_form(value: float) -> float:
    if value not in (0.5, 1.5, 2.5):
        raise ValueError("it must be 0.5, 1.5 or 2.5, where the kernel has a closed form")
    return value


Smoothness = Annotated[float, AfterValidator(_closed_form)]


class Settings(StudySettings):
    """The classical rate n^(-s/d)."""

    seeds: Seeds = Field(description="seeds of training points, test points and drawn functions")
    dimensions: Widths = Field(description="d")
    smoothness: Annotated[list[Smoothness], Len(min_length=1), AfterValidator(sorted)] = Field(
        description="s of the kernel and of the functions"
    )
    samples: Annotated[Widths, Len(min_length=3)] = Field(description="training sizes n, nested")
    fitted_from: PositiveCount = Field(description="the least n that slopes are fitted to")
    test: PositiveCount = Field(description="test points")
    functions: PositiveCount = Field(description="functions drawn for each seed")
    length: StepSize = Field(description="the kernel's length over the diameter of the domain")
    noise: StepSize = Field(description="standard deviation of the labels' noise where there is some; functions have 1")
    noisy_smoothness: Smoothness = Field(description="s of the noisy part, among the others")
    jitter: StepSize = Field(description="variance added to the diagonal where labels are free of noise")


def recipes(settings: Settings) -> list[Recipe]:
    """None: dimensions are an axis of the experiment, points are drawn where they are used."""
    return []


def cells(settings: Settings) -> list[Cell]:
    """One for each domain without noise, one with noise."""
    n, t = max(settings.samples), settings.test
    one = 5e-11 * n**3 / 3 + 5e-8 * n**2 + 1e-8 * n * t * (6 + settings.functions) + 5e-11 * n**2 * t
    batch = len(settings.dimensions) * len(settings.seeds)
    memory = 300 + 32 * n**2 // 2**20
    everything = settings.model_dump()
    quiet = [
        Cell(domain, {**everything, "domain": domain, "noisy": False}, (),
             Cost(3 + batch * len(settings.smoothness) * one, memory), resumable=True)
        for domain in ("cube", "torus")
    ]  # fmt: skip
    noisy = {**everything, "domain": "torus", "noisy": True}
    return [*quiet, Cell("noisy", noisy, (), Cost(3 + batch * one, memory), resumable=True)]


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """One row per dimension, smoothness, seed and n: root mean squared errors of three kinds."""
    settings = Settings.model_validate({k: v for k, v in parameters.items() if k not in ("domain", "noisy")})
    domain, noisy = parameters["domain"], parameters["noisy"]
    smooth = [settings.noisy_smoothness] if noisy else settings.smoothness
    noise = settings.noise**2 if noisy else settings.jitter
    total = len(settings.dimensions) * len(smooth) * len(settings.seeds)
    rows, kept = list[dict[str, Any]](), KeptRows(checkpoints)
    with Progress(total, f"curse_of_dimension {domain}{' noisy' if noisy else ''}", quiet) as progress:
        for d in settings.dimensions:
            for s in smooth:
                for seed in settings.seeds:
                    one = functools.partial(_one, settings, d, s, seed, domain, noise, noisy)
                    rows += kept.of(f"{d} {s} {seed}", one)
                    progress.advance()
    return pd.DataFrame(rows).assign(**DATA)


def _one(
    settings: Settings, dimension: int, smoothness: float, seed: int, domain: str, noise: float, noisy: bool
) -> list[dict[str, Any]]:
    from zeroloss.kernels.matern import nested_errors

    train, test = (
        numpy_generator(seed, "curse", what, dimension).uniform(size=(count, dimension))
        for what, count in (("train", max(settings.samples)), ("test", settings.test))
    )
    if domain == "torus":
        train, test = theory.on_torus(train), theory.on_torus(test)
    drawing = numpy_generator(seed, "curse", "functions", dimension, str(smoothness), domain)
    found = nested_errors(
        train,
        test,
        smoothness,
        settings.length * theory.diameter(domain, dimension),
        noise,
        settings.functions,
        drawing,
    )
    rows = []
    for n in settings.samples:
        error = float(np.sqrt(found.mean[n - 1])) if found.mean[n - 1] > 0 else np.nan
        rows.append(
            {
                "domain": domain, "noisy": noisy, "dimension": dimension, "smoothness": smoothness, "seed": seed,
                "samples": n, "diverged": found.diverged, "error": error,
                "drawn_error": float(np.sqrt(found.drawn[n - 1].mean())),
                "nearest_error": float(np.sqrt(found.nearest[n - 1])),
                "resolved": bool(noisy or (np.isfinite(error) and error**2 > RESOLVED * settings.jitter)),
            }
        )  # fmt: skip
    return rows
