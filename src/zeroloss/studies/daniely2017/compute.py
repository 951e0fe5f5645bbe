"""Constructed, random and trained networks, and the lower bound; one cell each, tables of ``part``."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.checkpoint import Checkpoints, KeptRows
from zeroloss.datasets.recipes import Dataset
from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.progress import Progress
from zeroloss.randomness import numpy_generator
from zeroloss.studies.daniely2017.experiment import Settings
from zeroloss.theory import daniely2017 as theory

if TYPE_CHECKING:
    import torch

DATA = {"data_title": "two spheres", "fidelity": "synthetic", "labels": "sin(k <x, x'>)"}
_FIGURE_POINTS = 500  # of constructed networks over frequencies: their errors differ by decades, not by percents
_RADIUS = math.sqrt(2)  # of (x, x')


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """Rows of ``part`` sized, built, curve, spectrum, needed (cell depth3); features; trained."""
    settings = Settings.model_validate({key: value for key, value in parameters.items() if key != "part"})
    if parameters["part"] == "depth3":
        rows = [*_depth3(settings), *_over_frequencies(settings), *_spectra(settings), *_needed(settings)]
    elif parameters["part"] == "features":
        rows = _features(settings, quiet, KeptRows(checkpoints))
    else:
        rows = _trained(settings, device, quiet, KeptRows(checkpoints))
    return pd.DataFrame(rows).assign(**DATA)


def points(count: int, dimension: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(x, x') side by side, shape (n, 2d), and <x, x'>, shape (n,)."""
    x, other = (uniform_on_sphere(count, dimension, generator) for _ in range(2))
    return np.hstack([x, other]), (x * other).sum(axis=1)


def frequencies(settings: Settings, dimension: int) -> list[float]:
    """k / pi of a panel: those of the settings up to d^3, and d^3."""
    printed = float(dimension**3)
    return [f for f in settings.features.frequencies if f < printed] + [printed]


def _depth3(settings: Settings) -> list[dict[str, Any]]:
    """At k = pi d^3: networks of given sizes, and networks built for an error."""
    from zeroloss.networks.inner_product import inner_product_sine

    part = settings.constructed
    rows = []
    for d in part.dimensions:
        k = theory.printed_frequency(d)
        x, inner = points(part.points, d, numpy_generator(0, "daniely points", d))
        truth = np.sin(k * inner)
        sizes = [("sized", math.nan, tuple(pieces)) for pieces in part.pieces]
        sizes += [("built", accuracy, theory.pieces_for(accuracy, k, d)) for accuracy in part.accuracies]
        for name, accuracy, pieces in sizes:
            net = inner_product_sine(d, k, (pieces[0], pieces[1]))
            error = net(x) - truth
            rows.append(
                {
                    "part": name, "dimension": d, "frequency": k / math.pi, "accuracy": accuracy, "first": pieces[0],
                    "second": pieces[1], "units": net.units, "width": net.width, "largest_weight": net.largest_weight,
                    "mean_square": float((error**2).mean()), "sup": float(np.abs(error).max()),
                    "bound": theory.depth3_error((pieces[0], pieces[1]), k, d), "variance": theory.variance(k, d),
                }
            )  # fmt: skip
    return rows


def _over_frequencies(settings: Settings) -> list[dict[str, Any]]:
    """Networks of given sizes at all frequencies of the pictures, relative to the variance."""
    from zeroloss.networks.inner_product import inner_product_sine

    rows = []
    for d in settings.features.dimensions:
        x, inner = points(_FIGURE_POINTS, d, numpy_generator(0, "daniely curve", d))
        for pieces in settings.constructed.pieces:
            for f in frequencies(settings, d):
                k = f * math.pi
                error = inner_product_sine(d, k, (pieces[0], pieces[1]))(x) - np.sin(k * inner)
                relative = float((error**2).mean()) / theory.variance(k, d)
                rows.append({"part": "curve", "dimension": d, "frequency": f, "first": pieces[0], "second": pieces[1],
                             "relative_error": relative})  # fmt: skip
    return rows


def _spectra(settings: Settings) -> list[dict[str, Any]]:
    """Share of the variance up to degree n, at k = pi d^3, on a grid of n / k."""
    rows = []
    for d in settings.constructed.dimensions:
        k = theory.printed_frequency(d)
        found = theory.spectrum(k, d)
        grid = np.linspace(0, 1.3, 131)
        total = np.concatenate([[0.0], np.cumsum(found.energies)]) / found.energies.sum()
        share = total[np.searchsorted(found.degrees, grid * k, side="right")]
        for place, value in zip(grid.tolist(), share.tolist(), strict=True):
            rows.append({"part": "spectrum", "dimension": d, "degree_over_frequency": place, "share": value})
    return rows


def _needed(settings: Settings) -> list[dict[str, Any]]:
    """What depth 2 needs at k = pi d^3 (logarithms to base 2), beside the depth-3 network for the coarsest accuracy."""
    accuracy = max(settings.constructed.accuracies)
    rows = []
    for d in settings.bound.dimensions:
        k = theory.printed_frequency(d)
        log_mass = theory.spectrum(k, d).mass_for(settings.bound.share)
        first, second = theory.pieces_for(accuracy, k, d)
        rows.append(
            {
                "part": "needed", "dimension": d, "frequency": k / math.pi, "log2_mass": log_mass / math.log(2),
                "log2_neurons": theory.log_neurons_needed(log_mass, d) / math.log(2), "units": d * first + second,
                "width": max(d * first, second), "accuracy": accuracy,
            }
        )  # fmt: skip
    return rows


def random_neurons(count: int, dimension: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Directions uniform on the sphere of R^(2d), shape (2d, m), thresholds uniform over the inputs' range, shape (m,)."""
    return uniform_on_sphere(count, 2 * dimension, generator).T, generator.uniform(-_RADIUS, _RADIUS, count)


def _features(settings: Settings, quiet: bool, kept: KeptRows) -> list[dict[str, Any]]:
    """Least squares over random ReLU neurons; every frequency is one right-hand side of the same matrix."""
    rows = []
    with Progress(len(settings.features.dimensions) * len(settings.seeds), "daniely2017 features", quiet) as progress:
        for d in settings.features.dimensions:
            for seed in settings.seeds:
                rows += kept.of(f"{d} {seed}", functools.partial(_features_of, settings, d, seed))
                progress.advance()
    return rows


def _features_of(settings: Settings, d: int, seed: int) -> list[dict[str, Any]]:
    import scipy.linalg

    part, rows = settings.features, []
    wanted = np.array(frequencies(settings, d))
    x, inner = points(part.train, d, numpy_generator(seed, "daniely train", d))
    x_test, inner_test = points(part.test, d, numpy_generator(seed, "daniely test", d))
    directions, shifts = random_neurons(max(part.widths), d, numpy_generator(seed, "daniely features", d))
    features = np.maximum(x @ directions + shifts, 0)
    tested = np.maximum(x_test @ directions + shifts, 0)
    labels, truth = (np.sin(np.pi * wanted * t[:, None]) for t in (inner, inner_test))
    centre, mean = features.mean(axis=0), labels.mean(axis=0)  # the constant b_2 is fitted, too
    features -= centre
    tested -= centre
    gram, right = features.T @ features, features.T @ (labels - mean)
    for m in part.widths:
        ridge = part.ridge * float(np.diag(gram)[:m].mean())
        factor = scipy.linalg.cho_factor(gram[:m, :m] + ridge * np.eye(m), lower=True)
        outer = scipy.linalg.cho_solve(factor, right[:m])
        error = ((tested[:, :m] @ outer + mean - truth) ** 2).mean(axis=0) / truth.var(axis=0)
        rows += [
            {"part": "features", "dimension": d, "seed": seed, "width": m, "frequency": f, "relative_error": e}
            for f, e in zip(wanted.tolist(), error.tolist(), strict=True)
        ]
    return rows


def _trained(settings: Settings, device: str, quiet: bool, kept: KeptRows) -> list[dict[str, Any]]:
    """Seeds and frequencies of one d and m in one tensor; the lower bound is that of each network's own mass."""
    part, rows = settings.trained, []
    total = len(part.dimensions) * len(part.widths) * part.steps
    with Progress(total, "daniely2017 trained", quiet) as progress:
        for d in part.dimensions:
            for m in part.widths:
                if (name := f"{d} {m}") in kept:
                    progress.advance(part.steps)
                rows += kept.of(name, functools.partial(_trained_of, settings, d, m, device, progress))
    return rows


def _trained_of(settings: Settings, d: int, m: int, device: str, progress: Progress) -> list[dict[str, Any]]:
    from zeroloss.training.adam import Adam
    from zeroloss.training.fresh_samples import train

    part, rows = settings.trained, []
    spectra = [theory.spectrum(math.pi * f, d) for f in part.frequencies]
    generators = [numpy_generator(seed, "daniely trained", d, m) for seed in settings.seeds]
    networks = _start(generators, d, m, len(part.frequencies), device)

    def sampler(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        return _labelled(part.batch, d, part.frequencies, generators, device)

    train(networks, sampler, Adam(part.step_size, 0.9, 0.999, 1e-8), part.steps, lambda _: progress.advance())
    tests = [numpy_generator(seed, "daniely test", d) for seed in settings.seeds]
    x, y = _labelled(settings.features.test, d, part.frequencies, tests, device)
    squares = (networks.outputs(x) - y).double().square()
    error, scatter = squares.mean(dim=2).cpu().numpy(), squares.std(dim=2).cpu().numpy()
    norms = theory.neuron_norms(networks.weights.mT.double().cpu().numpy(), networks.biases.double().cpu().numpy(), d)
    mass = (np.abs(networks.outer.double().cpu().numpy()) * norms).sum(axis=-1)
    for i, seed in enumerate(settings.seeds):
        for j, f in enumerate(part.frequencies):
            fine = bool(np.isfinite(error[i, j]) and np.isfinite(mass[i, j]))
            rows.append(
                {
                    "part": "trained", "dimension": d, "seed": seed, "width": m, "frequency": f,
                    "diverged": not fine, "mean_square": error[i, j], "mass": mass[i, j],
                    "standard_error": scatter[i, j] / math.sqrt(settings.features.test),
                    "relative_error": error[i, j] / theory.variance(math.pi * f, d),
                    "bound": spectra[j].least_error(mass[i, j]) if fine else math.nan,
                    "variance": theory.variance(math.pi * f, d),
                }
            )  # fmt: skip
    return rows


def _start(generators: list[np.random.Generator], d: int, m: int, targets: int, device: str) -> Any:
    """Hidden neurons as the random features; a = +-1/sqrt(m); one draw per seed, the same for all its frequencies."""
    import torch

    from zeroloss.training.fresh_samples import ShallowNetworks

    drawn = [(*random_neurons(m, d, one), one.choice([-1.0, 1.0], m) / math.sqrt(m)) for one in generators]
    stacked = [np.stack([one[k] for one in drawn]) for k in range(3)]
    tensors = [torch.from_numpy(one).float()[:, None].repeat(1, targets, *[1] * (one.ndim - 1)) for one in stacked]
    constant = torch.zeros(len(generators), targets)
    return ShallowNetworks(*(one.contiguous().to(device) for one in (*tensors, constant)))


def _labelled(
    count: int, dimension: int, wanted: Sequence[float], generators: list[np.random.Generator], device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """(x, x') of each seed, shape (seeds, n, 2d), and labels (seeds, frequencies, n), float32."""
    import torch

    drawn = [points(count, dimension, one) for one in generators]
    inner = np.stack([one[1] for one in drawn])
    labels = np.sin(math.pi * np.asarray(wanted)[:, None] * inner[:, None])
    x = torch.from_numpy(np.stack([one[0] for one in drawn])).float().to(device)
    return x, torch.from_numpy(labels).float().to(device)
