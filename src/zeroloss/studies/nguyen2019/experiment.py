"""Data sets and cells of the study, and which function computes each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from zeroloss.checkpoint import Checkpoints
from zeroloss.datasets.image_sample import ImageSample
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.studies.contract import Cell, Cost
from zeroloss.studies.nguyen2019.settings import ArchitectureSettings, Settings

ACTIVATIONS = ("sigmoid", "softplus")


def _surface_images(settings: Settings) -> ImageSample:
    one = settings.surfaces.taken
    return ImageSample(source=one.source, samples=one.samples, test_samples=0, seed=one.seeds[0])


def _deep_images(settings: Settings) -> ImageSample:
    one = settings.deep.taken
    return ImageSample(source=one.source, samples=one.samples, test_samples=0, seed=one.seeds[0])


def _cnn_images(one: ArchitectureSettings) -> ImageSample:
    return ImageSample(source=one.source, samples=one.samples, test_samples=one.test_samples, seed=0)


def recipes(settings: Settings) -> list[Recipe]:
    """Images of each experiment; the inputs of the rank experiment are drawn inside its cell, as their number varies."""
    found = [_surface_images(settings), _deep_images(settings), *map(_cnn_images, settings.cnn.architectures)]
    return list({recipe.name: recipe for recipe in found}.values())


def cells(settings: Settings) -> list[Cell]:
    rank = settings.rank
    work = sum(n**3 for n in rank.samples) * rank.draws * len(rank.dimensions) * 4
    found = [Cell("rank", {"part": "rank", **rank.model_dump(mode="json")}, (), Cost(4 + work * 1.5e-9, 550))]
    found += [_surface_cell(settings, activation) for activation in ACTIVATIONS]
    deep, taken = settings.deep, settings.deep.taken
    runs = 2 * len(taken.seeds) * len(deep.rates)
    steps = taken.epochs * -(-taken.samples // taken.batch)
    # measured: 40 us per layer and step beside 7 ns per neuron and example; on a GPU the 40 us are expected to stay
    seconds = 4 + steps * deep.depth * (4e-5 + runs * taken.batch * deep.width * 7e-9)
    memory = 500 + int(runs * taken.samples * deep.depth * deep.width * 12 / 2**20)
    block = deep.model_dump(mode="json", exclude={"images"})
    parameters = {"part": "deep", **block, **taken.model_dump(mode="json")}
    found.append(Cell("deep", parameters, (_deep_images(settings).name,), Cost(seconds, memory, gpu_speedup=5)))
    for one in settings.cnn.architectures:
        found += [_cnn_cell(settings, one, activation) for activation in ACTIVATIONS]
    return found


def _surface_cell(settings: Settings, activation: str) -> Cell:
    s, taken = settings.surfaces, settings.surfaces.taken
    judged = {"images", "above", "depth", "sigmoid_extent", "softplus_extent"}  # above and depth are for judging only
    block = s.model_dump(mode="json", exclude=judged)
    parameters = {"part": "surface", "activation": activation, **block, **taken.model_dump(mode="json")}
    parameters["extent"] = s.sigmoid_extent if activation == "sigmoid" else s.softplus_extent
    (first, second), runs = taken.widths, 2 * len(taken.seeds)
    sigma = 40 if activation == "sigmoid" else 250  # time of an activation in that of arithmetic, measured
    planes = runs + 8 * min(taken.compared_seeds, len(taken.seeds))  # four other readings, without and with skips
    pixels = 64 if taken.source == "digits" else 784
    grid = planes * s.points**2 * taken.samples * (2 * first * second + sigma * (first + second))
    training = 6 * runs * taken.epochs * taken.samples * first * (second + pixels)
    memory = 500 + s.points * taken.samples * (first + second) * 12 // 2**20
    cost = Cost(5 + (grid + training) / 40e9, memory, 2, gpu_speedup=100)  # activations at 3 TB/s
    return Cell(f"surface_{activation}", parameters, (_surface_images(settings).name,), cost)


def _cnn_cell(settings: Settings, one: ArchitectureSettings, activation: str) -> Cell:
    block = settings.cnn.model_dump(mode="json", exclude={"architectures"})
    parameters = {"part": "cnn", "activation": activation, **block, **one.model_dump(mode="json")}
    full = len(settings.cnn.seeds) * sum(variant != "rand" for variant in one.variants)
    steps = full * settings.cnn.epochs * one.samples / settings.cnn.batch
    # measured on digits: 4 ms per step of 20 images, which is starting kernels. Printed sizes, estimated: 100 GFLOP per
    # step of 128 images, 3 s of one core (at 33 GFLOP/s) and 10 ms of one data-centre GPU
    seconds = 5 + steps * (4e-3 if one.reduced else 3.0)
    cost = Cost(seconds, 600 if one.reduced else 12000, gpu_speedup=1 if one.reduced else 300)
    return Cell(f"cnn_{one.name}_{activation}", parameters, (_cnn_images(one).name,), cost, resumable=True)


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """One cell: the table of its part, with the columns that the page needs of every data set."""
    from zeroloss.studies.nguyen2019 import compute

    part = parameters["part"]
    if part == "rank":
        table = compute.rank(parameters, quiet)
        return table.assign(data_title="Gaussian inputs", fidelity="synthetic", labels="none")
    (data,) = datasets
    if part == "cnn":
        table = compute.cnn(parameters, data, device, quiet, checkpoints)
    else:
        table = {"surface": compute.surface, "deep": compute.deep}[part](parameters, data, device, quiet)
    return table.assign(**{"data_title": data.info["title"], "fidelity": data.info["fidelity"], "labels": "class"})
