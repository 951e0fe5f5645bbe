"""What is computed: settings, data sets, cells and the metrics of one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from zeroloss import published
from zeroloss.datasets.image_tasks import ImageParity
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.datasets.sphere import SpherePoints
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import ImageSources, PointCount, PositiveCount, Seeds, StepSize, Widths
from zeroloss.theory import du2018a as theory

SpectrumPoints = Annotated[
    PointCount, Field(description="steps, evenly spaced in log(step), at which H(k) is decomposed; step 0 is added")
]


class SyntheticSettings(StudySettings):
    """Figure 1: inputs uniform on the sphere, labels N(0, 1)."""

    seeds: Seeds = Field(description="seeds of inputs, labels and initial weights")
    samples: PositiveCount = Field(description="number of inputs n")
    dimension: PositiveCount = Field(description="input dimension d")
    widths: Widths = Field(description="hidden widths m")
    steps: PositiveCount = Field(description="full-batch gradient steps (the paper's epochs)")
    published_step: StepSize = Field(description="as published: step size eta = this times sqrt(m)")
    printed_step: StepSize = Field(description="as printed: the fixed step size eta of eq. 4")
    spectrum_points: SpectrumPoints


class ImageSettings(StudySettings):
    """The same panels on images put on the sphere, with true and with random labels."""

    seeds: Seeds = Field(description="seeds of initial weights and random labels")
    sources: ImageSources = Field(description="auto, or a list of image data sets")
    samples: PositiveCount = Field(description="number of images n: the first n of the training set")
    widths: Widths = Field(description="hidden widths m")
    steps: PositiveCount = Field(description="full-batch gradient steps")
    relative_step: StepSize = Field(description="c in the step size eta = c / lambda_max(H-infinity)")
    spectrum_points: SpectrumPoints
    drop_parallel: bool = Field(description="leave out images parallel to an earlier one")


class Settings(StudySettings):
    """Du et al. 2018a."""

    synthetic: SyntheticSettings = Field(description="Figure 1 of the paper")
    images: ImageSettings = Field(description="the same panels on images (ours)")


LABELS = ("true", "random")
VARIANTS = ("as_published", "as_printed")


def _sphere(settings: SyntheticSettings, seed: int) -> SpherePoints:
    return SpherePoints(samples=settings.samples, dimension=settings.dimension, seed=seed)


def _images(settings: ImageSettings, source: str, labels: str, seed: int) -> ImageParity:
    return ImageParity.model_validate(
        {
            "source": source,
            "samples": settings.samples,
            "labels": labels,
            "seed": seed if labels == "random" else 0,
            "drop_parallel": settings.drop_parallel,
        }
    )


def recipes(settings: Settings) -> list[Recipe]:
    images = settings.images
    return [
        *(_sphere(settings.synthetic, seed) for seed in settings.synthetic.seeds),
        *(_images(images, name, labels, seed) for name in images.sources for labels in LABELS for seed in images.seeds),
    ]


def spectrum_steps(steps: int, points: int) -> list[int]:
    """Step 0 and up to ``points`` steps from 1 to ``steps``, evenly spaced in the logarithm."""
    return [0, *sorted({round(float(step)) for step in np.geomspace(1, steps, points)})]


def _cost(samples: int, dimension: int, widths: Sequence[int], steps: int, points: int) -> Cost:
    flops = sum(2.0 * samples * width * (samples * (steps + points / 8) + dimension) for width in widths)
    seconds = flops / 90e9 + len(widths) * points * 0.12 * (samples / 1000) ** 3 + 3
    arrays = (
        21.0 * samples * max(widths) + 4.0 * max(widths) * dimension + 40.0 * samples**2 + 12.0 * samples * dimension
    )
    # large float32 products at 90 GFLOP/s of a core and some 20 TFLOP/s of a GPU; a third of the time is spectra
    return Cost(seconds, memory_mb=int(450 + arrays / 2**20), disk_mb=0.3, gpu_speedup=50)


def cells(settings: Settings) -> list[Cell]:
    found = []
    synthetic, images = settings.synthetic, settings.images
    shared: dict[str, Any] = {
        "widths": synthetic.widths,
        "steps": synthetic.steps,
        "spectrum_at": spectrum_steps(synthetic.steps, synthetic.spectrum_points),
    }
    cost = _cost(synthetic.samples, synthetic.dimension, synthetic.widths, synthetic.steps, synthetic.spectrum_points)
    for seed in synthetic.seeds:
        rules = (("sqrt_width", synthetic.published_step), ("fixed", synthetic.printed_step))
        for variant, (rule, step) in zip(VARIANTS, rules, strict=True):
            own = {"variant": variant, "labels": "gaussian", "seed": seed, "step_rule": rule, "step": step}
            data = (_sphere(synthetic, seed).name,)
            found.append(Cell(f"{variant}_seed{seed}", {**own, **shared, "source": "sphere"}, data, cost))
    shared = {
        "widths": images.widths,
        "steps": images.steps,
        "spectrum_at": spectrum_steps(images.steps, images.spectrum_points),
        "step_rule": "relative",
        "step": images.relative_step,
    }
    cost = _cost(images.samples, 784, images.widths, images.steps, images.spectrum_points)
    for source in images.sources:
        for labels in LABELS:
            for seed in images.seeds:
                own = {"variant": "images", "labels": labels, "seed": seed, "source": source}
                data = (_images(images, source, labels, seed).name,)
                found.append(Cell(f"{source}_{labels}_seed{seed}", {**own, **shared}, data, cost))
    return found


def step_size(rule: str, step: float, width: int, lambda_max: float) -> float:
    """eta of eq. 4: ``step`` (fixed), ``step`` sqrt(m) (sqrt_width) or ``step`` / lambda_max(H-infinity) (relative)."""
    if rule == "sqrt_width":
        return theory.gradient_step_of_published_figure(step, width)
    return step / lambda_max if rule == "relative" else step


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """One row per width and step: mean squared error, pattern changes, largest distance, eigenvalues where taken."""
    import torch

    from zeroloss.kernels.relu_gram import limit_spectrum
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.progress import Progress
    from zeroloss.training.gram_descent import GramDescent, descend

    (data,) = datasets
    x = torch.from_numpy(data.x)
    limit = limit_spectrum(x, f"{data.info['title']}, {data.info['labels']}")
    gram, inputs, targets = (x @ x.T).float().to(device), x.float(), torch.from_numpy(data.y).float()
    rows = []
    title = f"du2018a {parameters['source']} {parameters['variant']} seed {parameters['seed']}"
    with Progress(len(parameters["widths"]) * parameters["steps"], title, quiet) as progress:
        for width in parameters["widths"]:
            weights, signs = initial_weights(width, x.shape[1], parameters["seed"])
            eta = step_size(parameters["step_rule"], parameters["step"], width, limit.lambda_max)
            engine = GramDescent(gram, weights @ inputs.T, signs, targets, eta)
            path = descend(
                engine,
                parameters["steps"],
                parameters["spectrum_at"],
                lambda k, mse, m=width: progress.advance(state=f"m={m}, mse {mse:.3g}"),  # type: ignore[misc]
            )
            steps = np.arange(len(path.mse))
            extremes = np.array([path.spectrum.get(int(k), (np.nan, np.nan)) for k in steps])
            rows.append(
                pd.DataFrame(
                    {
                        "variant": parameters["variant"],
                        "source": parameters["source"],
                        "labels": parameters["labels"],
                        "seed": parameters["seed"],
                        "width": width,
                        "step": steps,
                        "step_size": eta,
                        "mean_squared_error": path.mse,
                        "pattern_change": path.pattern_change,
                        "max_distance": path.max_distance,
                        "lambda_min": extremes[:, 0],
                        "lambda_max": extremes[:, 1],
                        "lambda_0": limit.lambda_0,
                        "lambda_max_limit": limit.lambda_max,
                        "diverged": path.diverged_at is not None,
                        "data_title": data.info["title"],
                        "fidelity": data.info["fidelity"],
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def published_curves(settings: Settings) -> pd.DataFrame | None:
    """The paper's Figure 1 with our column names, where the settings are the printed ones; else None.

    Columns panel, width, step, value; a: ln of the mean squared error, b: fraction, c: squared distance.
    """
    synthetic = settings.synthetic
    curves = published.load("du2018a_fig1").rename(columns={"m": "width", "epoch": "step"})
    same = (synthetic.samples, synthetic.dimension) == (1000, 1000)
    return curves if same and set(synthetic.widths) == set(curves["width"]) else None
