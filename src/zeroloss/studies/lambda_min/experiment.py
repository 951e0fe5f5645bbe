"""What is computed: settings, cells, and lambda_0 of the inputs of each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PositiveCount, Seed, Widths
from zeroloss.theory import lambda_min as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.progress import Progress

Dimensions = Annotated[Widths, Field(description="input dimensions d, from 2 on")]
Separation = Annotated[float, Field(gt=0, le=0.5, description="a distance on the unit sphere")]


class SphereSettings(StudySettings):
    """E(lambda_0) for inputs uniform on the sphere (003-Q5, 003-Q6)."""

    seed: Seed = Field(description="seed of the inputs")
    dimensions: Dimensions
    samples: Widths = Field(description="sample sizes n")
    draws: list[PositiveCount] = Field(description="draws of the inputs, one number for each n")
    split_from: PositiveCount = Field(description="sample sizes from this one on are a job of their own")

    @model_validator(mode="after")
    def _fit(self) -> SphereSettings:
        if len(self.draws) != len(self.samples):
            raise ValueError(
                f"draws has {len(self.draws)} entries for {len(self.samples)} sample sizes: one for each is needed"
            )
        if min(self.dimensions) < 2:
            raise ValueError("dimensions start at 2: the sphere of R^1 has two points")
        return self


class OrthantSettings(StudySettings):
    """Table 2 of Xie, Liang, Song 2017 (003-Q7)."""

    seed: Seed = Field(description="seed of the inputs and of the sampled weights")
    dimensions: Dimensions
    samples: PositiveCount = Field(description="points on the positive orthant")
    draws: PositiveCount = Field(description="draws of the points; the closed form is taken on each")
    sampled_dimensions: Widths = Field(description="dimensions in which the expectation is also taken by samples of w")
    weight_samples: PositiveCount = Field(description="samples of w there, on the first draw")


class AnisotropicSettings(StudySettings):
    """Weights with the covariance of anisotropic inputs, and with its inverse (003-Q7)."""

    seed: Seed = Field(description="seed of the inputs")
    samples: PositiveCount = Field(description="number of inputs n")
    dimension: PositiveCount = Field(description="input dimension d")
    powers: Annotated[list[Annotated[float, Field(ge=0)]], Len(min_length=1)] = Field(
        description="a: coordinate k has variance k^-a before normalisation"
    )
    draws: PositiveCount = Field(description="draws of the inputs")


class SeparatedSettings(StudySettings):
    """The least lambda_0 of inputs that stay delta apart (003-Q8)."""

    seed: Seed = Field(description="seed of the starting points")
    dimensions: Dimensions
    samples: Widths = Field(description="numbers of points n")
    separations: Annotated[list[Separation], Len(min_length=2)] = Field(description="separations delta of the lines")
    restarts: PositiveCount = Field(description="starts for each n, d and delta; half clustered, half spread out")
    steps: PositiveCount = Field(description="projected gradient steps of a start")
    grid_separation: Separation = Field(description="delta of the exhaustive search on the circle")
    grid_per_separation: PositiveCount = Field(description="grid points on an arc of length delta")


class Settings(StudySettings):
    """The least eigenvalue of H-infinity."""

    sphere: SphereSettings = Field(description="inputs uniform on the sphere")
    orthant: OrthantSettings = Field(description="inputs on the positive orthant, Table 2 of Xie et al.")
    anisotropic: AnisotropicSettings = Field(description="anisotropic inputs, weights matched by covariance")
    separated: SeparatedSettings = Field(description="inputs that stay apart")


LAWS = ("isotropic", "covariance", "inverse covariance")


def recipes(settings: Settings) -> list[Recipe]:
    """None: the inputs are the experiment, thousands of small draws, made where they are used."""
    return []


def cells(settings: Settings) -> list[Cell]:
    sphere, orthant, separated = settings.sphere, settings.orthant, settings.separated
    common = {"part": "sphere", "seed": sphere.seed, "dimensions": sphere.dimensions}
    sizes = list(zip(sphere.samples, sphere.draws, strict=True))
    jobs = {"sphere_small": [pair for pair in sizes if pair[0] < sphere.split_from]}
    jobs |= {f"sphere_n{n}": [(n, draws)] for n, draws in sizes if n >= sphere.split_from}
    found = [
        Cell(name, {**common, "sizes": [list(pair) for pair in pairs]}, (), _cost(pairs, len(sphere.dimensions)))
        for name, pairs in jobs.items()
        if pairs
    ]
    for d in orthant.dimensions:
        sampled = orthant.weight_samples if d in orthant.sampled_dimensions else 0
        parameters = {
            "part": "orthant", "seed": orthant.seed, "dimension": d, "samples": orthant.samples,
            "draws": orthant.draws, "weight_samples": sampled,
        }  # fmt: skip
        cost = _cost([(orthant.samples, 2 * orthant.draws + (2 if sampled else 0))], 1)
        seconds = cost.seconds + sampled * orthant.samples**2 / 2e11
        found.append(Cell(f"orthant_d{d}", parameters, (), Cost(seconds, cost.memory_mb, gpu_speedup=cost.gpu_speedup)))
    small = {"anisotropic": settings.anisotropic.model_dump(), "separated": separated.model_dump()}
    batch = separated.restarts * len(separated.separations)
    work = sum(n * n for n in separated.samples) * batch * separated.steps * len(separated.dimensions)
    found.append(Cell("small_sets", {"part": "small_sets", **small}, (), Cost(5 + work * 2.5e-6, 500)))
    return found


def _cost(sizes: Sequence[tuple[int, int]], dimensions: int) -> Cost:
    seconds = sum(draws * (8e-11 * n**3 + 2e-8 * n**2 + 3e-5) for n, draws in sizes) * dimensions
    memory = int(650 + 80 * max(n for n, _ in sizes) ** 2 / 2**20)
    # eigenvalues of some thousand rows in float64, which a GPU reduces step by step too
    return Cost(4 + seconds, memory_mb=memory, disk_mb=0.3, gpu_speedup=10)


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """One row per draw (sphere, orthant, anisotropic) or per n, d, delta (separated); column ``part`` tells which.

    Everything is float64. Eigenvalues are taken on ``device``.
    """
    from zeroloss.progress import Progress

    parts: dict[str, tuple[int, Callable[..., list[dict[str, Any]]]]] = {
        "sphere": (len(parameters.get("dimensions", ())) * len(parameters.get("sizes", ())), _run_sphere),
        "orthant": (parameters.get("draws", 0), _run_orthant),
        "small_sets": (_sets(parameters), _run_small_sets),
    }
    total, body = parts[parameters["part"]]
    with Progress(total, f"lambda_min {parameters['part']}", quiet) as progress:
        return pd.DataFrame(body(parameters, device, progress))


def _sets(parameters: Mapping[str, Any]) -> int:
    separated = parameters.get("separated", {})
    return len(separated.get("samples", ())) * len(separated.get("dimensions", ())) + 1


def _unit(x: np.ndarray) -> torch.Tensor:
    """Rows on the sphere, float64."""
    import torch

    return torch.from_numpy(x / np.linalg.norm(x, axis=-1, keepdims=True))


def _run_sphere(parameters: Mapping[str, Any], device: str, progress: Progress) -> list[dict[str, Any]]:
    import torch

    from zeroloss.kernels.relu_gram import angles, infinite_width_gram
    from zeroloss.training.separated_sets import batched_gram

    rows = []
    for n, draws in parameters["sizes"]:
        for d in parameters["dimensions"]:
            generator = numpy_generator(parameters["seed"], "sphere", n, d)
            if n <= 10:  # thousands of tiny matrices: one batch (performance: batching pays only here)
                x = _unit(generator.standard_normal((draws, n, d)))
                grams = batched_gram(x)
                spectra = torch.linalg.eigvalsh(grams)
                least, most = spectra[:, 0].tolist(), spectra[:, -1].tolist()
                closest = [float(_off_diagonal(angles(one)).min()) for one in x]
                largest = [float(_off_diagonal(gram.abs(), 0.0).max()) for gram in grams]
            else:
                least, most, closest, largest = [], [], [], []
                for _ in range(draws):
                    x = _unit(generator.standard_normal((n, d))).to(device)
                    gram = infinite_width_gram(x)
                    spectrum = torch.linalg.eigvalsh(gram)
                    least.append(float(spectrum[0]))
                    most.append(float(spectrum[-1]))
                    largest.append(float(_off_diagonal(gram.abs(), 0.0).max()))
                    closest.append(_least_angle(x))
            for draw in range(draws):
                rows.append(
                    {
                        "part": "sphere", "samples": n, "dimension": d, "draw": draw, "lambda_0": least[draw],
                        "lambda_max": most[draw], "least_angle": closest[draw],
                        "pair_bound": _pair_bound(closest[draw], largest[draw]),
                    }
                )  # fmt: skip
            progress.advance(state=f"n={n}, d={d}, lambda_0 {np.mean(least):.3g}")
    return rows


def _off_diagonal(square: torch.Tensor, value: float = float("inf")) -> torch.Tensor:
    return square.clone().fill_diagonal_(value)


def _least_angle(x: torch.Tensor) -> float:
    """The least angle between two unit inputs; its digits come from the distance of the pair of largest cosine."""
    cosine = _off_diagonal(x @ x.T, -2.0)
    close = int(cosine.argmax())
    i, j = divmod(close, len(x))
    if float(cosine[i, j]) < 0.99:
        return float(cosine[i, j].arccos())
    # cosines within rounding of the largest: the true closest pair is among them
    rows, columns = (cosine >= cosine[i, j] - 1e-14).nonzero(as_tuple=True)
    return float(2 * ((x[rows] - x[columns]).norm(dim=1).min() / 2).arcsin())


def _pair_bound(angle: float, largest: float) -> float:
    """Least eigenvalue of any two inputs: from the closest pair's angle where that is small, else from H itself."""
    return float(theory.pair_eigenvalue(angle)) if angle < 0.1 else 0.5 - largest


def _run_orthant(parameters: Mapping[str, Any], device: str, progress: Progress) -> list[dict[str, Any]]:
    from zeroloss.kernels.matched_gram import sampled_split_grams, split_gram
    from zeroloss.kernels.relu_gram import extreme_eigenvalues, infinite_width_gram

    n, d, seed = parameters["samples"], parameters["dimension"], parameters["seed"]
    generator = numpy_generator(seed, "orthant", d)
    rows = []
    for draw in range(parameters["draws"]):
        x = _unit(np.abs(generator.standard_normal((n, d)))).to(device)
        found = {
            ("uniform", "closed form"): infinite_width_gram(x),
            ("split", "closed form"): split_gram(x),
        }
        if draw == 0 and parameters["weight_samples"]:
            torch_stream = torch_generator(seed, "orthant weights", d)
            sampled = sampled_split_grams(x.cpu(), parameters["weight_samples"], torch_stream)
            found |= {("uniform", "samples"): sampled[0].to(device), ("split", "samples"): sampled[1].to(device)}
        for (law, method), gram in found.items():
            row = {"part": "orthant", "samples": n, "dimension": d, "draw": draw, "law": law, "method": method}
            rows.append({**row, "lambda_0": extreme_eigenvalues(gram)[0], "least_angle": _least_angle(x)})
        progress.advance(state=f"d={d}, lambda_0 {rows[-1]['lambda_0']:.3g}")
    return rows


def _run_small_sets(parameters: Mapping[str, Any], device: str, progress: Progress) -> list[dict[str, Any]]:
    rows = _anisotropic(parameters["anisotropic"])
    progress.advance(state="anisotropic inputs")
    return [
        *rows,
        *_separated(parameters["separated"], progress),
        *_circle_grid(parameters["separated"]),
        *_antipodal(),
    ]


def _anisotropic(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    import torch

    from zeroloss.kernels.matched_gram import gram_under_gaussian
    from zeroloss.kernels.relu_gram import extreme_eigenvalues

    n, d = settings["samples"], settings["dimension"]
    rows = []
    for power in settings["powers"]:
        variances = np.arange(1, d + 1, dtype=float) ** -power
        laws = dict(zip(LAWS, (np.ones(d), variances, 1 / variances), strict=True))
        for draw in range(settings["draws"]):
            normal = numpy_generator(settings["seed"], "anisotropic", draw).standard_normal((n, d))
            x = _unit(normal * variances**0.5)
            for law, diagonal in laws.items():
                least = extreme_eigenvalues(gram_under_gaussian(x, torch.diag(torch.from_numpy(diagonal))))[0]
                row = {"part": "anisotropic", "samples": n, "dimension": d, "draw": draw, "law": law}
                rows.append({**row, "power": power, "lambda_0": least})
    return rows


def starting_sets(n: int, d: int, separations: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Starts of the search, not yet separated, shape (batch, n, d): clusters a few delta wide, and spread-out points."""
    base = generator.standard_normal((len(separations), 1, d))
    base /= np.linalg.norm(base, axis=-1, keepdims=True)
    spread = generator.standard_normal((len(separations), n, d))
    clustered = base + separations[:, None, None] * spread
    x = np.where((np.arange(len(separations)) % 2 == 0)[:, None, None], clustered, spread)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _separated(settings: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
    import torch

    from zeroloss.training.separated_sets import smallest_least_eigenvalue

    rows = []
    tried = [*settings["separations"], settings["grid_separation"]]
    separations = np.repeat(sorted(set(tried)), settings["restarts"])
    for d in settings["dimensions"]:
        for n in settings["samples"]:
            starts = starting_sets(n, d, separations, numpy_generator(settings["seed"], "separated", n, d))
            wanted = torch.from_numpy(separations)
            least, achieved = smallest_least_eigenvalue(torch.from_numpy(starts), wanted, settings["steps"])
            for delta in sorted(set(tried)):
                here = torch.from_numpy(separations == delta)
                values = least[here]
                rows.append(
                    {
                        "part": "separated", "samples": n, "dimension": d, "separation": delta,
                        "lambda_0": float(values.min()), "achieved": float(achieved[here][values.argmin()]),
                        "starts": len(values), "starts_near_best": int((values <= 1.01 * values.min()).sum()),
                        "starts_infeasible": int(values.isinf().sum()),
                    }
                )  # fmt: skip
            progress.advance(state=f"n={n}, d={d}, lambda_0 {rows[-1]['lambda_0']:.3g}")
    return rows


def _circle_grid(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Exhaustive search over three points on a circle: the first at 0, the others anywhere on a grid of angles."""
    import torch

    from zeroloss.training.separated_sets import batched_gram, line_separation

    delta = settings["grid_separation"]
    arc = 2 * np.arcsin(delta / 2)
    # whole fractions of the arc, so that touching points are on the grid; rounding decides nothing by the 1e-9
    angle = np.arange(int(2 * np.pi * settings["grid_per_separation"] / arc)) * arc / settings["grid_per_separation"]
    first, second = (one.ravel() for one in np.meshgrid(angle, angle, indexing="ij"))
    first, second = first[first < second], second[first < second]
    angles = np.stack([np.zeros_like(first), first, second], axis=1)
    x = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], axis=-1))
    x = x[line_separation(x) >= delta * (1 - 1e-9)]
    least = float(torch.linalg.eigvalsh(batched_gram(x))[:, 0].min())
    return [{"part": "grid", "samples": 3, "dimension": 2, "separation": delta, "lambda_0": least, "starts": len(x)}]


def _antipodal() -> list[dict[str, Any]]:
    """K antipodal pairs of directions in general position, as far apart as the points of the regular ones."""
    import torch

    from zeroloss.kernels.relu_gram import extreme_eigenvalues, infinite_width_gram

    circle = [(np.cos(k * np.pi / 3), np.sin(k * np.pi / 3)) for k in range(3)]
    cube = [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]
    rows = []
    for name, lines in (("hexagon", circle), ("cube", cube)):
        for pairs in range(1, len(lines) + 1):
            half = _unit(np.array(lines[:pairs], dtype=float))
            x = torch.cat([half, -half])
            distance = torch.cdist(x, x).fill_diagonal_(float("inf")).min()
            row = {"part": "antipodal", "set": name, "samples": len(x), "dimension": x.shape[1]}
            rows.append(
                {**row, "separation": float(distance), "lambda_0": extreme_eigenvalues(infinite_width_gram(x))[0]}
            )
    return rows
