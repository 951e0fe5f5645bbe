"""What the cells compute: Lemma 3.1, Lemma 3.2, gradient flow and gradient descent.

Rows of every part have ``part``, ``seed``, ``width``, ``samples``, ``lambda_0``, ``data_title``, ``fidelity``, ``labels``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.recipes import Dataset
from zeroloss.theory import du2018a as rates
from zeroloss.theory import du2018a_lemmas as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.kernels.relu_gram import LimitSpectrum
    from zeroloss.training.gram_descent import Trajectory


def _inputs(data: Dataset) -> tuple[torch.Tensor, torch.Tensor, LimitSpectrum]:
    """X, y (float64) and the spectrum of H-infinity."""
    import torch

    from zeroloss.kernels.relu_gram import limit_spectrum

    x = torch.from_numpy(data.x)
    return x, torch.from_numpy(data.y), limit_spectrum(x, data.info["title"])


def _about(data: Dataset, part: str, seed: int, width: int, limit: LimitSpectrum) -> dict[str, Any]:
    return {
        "part": part,
        "seed": seed,
        "width": width,
        "samples": len(data.x),
        "lambda_0": limit.lambda_0,
        "lambda_max_limit": limit.lambda_max,
        **{"data_title": data.info["title"], "fidelity": data.info["fidelity"], "labels": data.info["labels"]},
    }


def run_initial(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    """One row per draw and width: lambda_min of H(0), |H(0) - H-infinity|_2 (gap) and its largest entry (entry_gap)."""
    import torch

    from zeroloss.kernels.relu_gram import coactivation_counts, extreme_eigenvalues, infinite_width_gram
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.progress import Progress

    (data,) = datasets
    x, _, limit = _inputs(data)
    gram, target, inputs = x @ x.T, infinite_width_gram(x), x.float().to(device)
    rows = []
    with Progress(parameters["draws"], "du2018a_lemmas initial", quiet) as progress:
        for seed in range(parameters["draws"]):
            for width in parameters["widths"]:
                weights, _ = initial_weights(width, x.shape[1], seed)
                hidden = gram * coactivation_counts(weights.to(device) @ inputs.T >= 0).cpu() / width
                gap = torch.linalg.eigvalsh(hidden - target).abs().max()
                rows.append(
                    {
                        **_about(data, "initial", seed, width, limit),
                        "lambda_min": extreme_eigenvalues(hidden)[0],
                        "gap": float(gap),
                        "entry_gap": float((hidden - target).abs().max()),
                    }
                )
            progress.advance(state=f"draw {seed}")
    return pd.DataFrame(rows)


def run_perturbed(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    """One row per seed, width, direction and radius; the lemma's own radius is added to the sweep.

    Columns: direction, radius, safe (whether it is the lemma's radius), flipped (fraction of patterns), reachable
    (fraction of pairs with |w_r . x_i| < R, which no move can exceed), gram_change = |H - H(0)|_2, lambda_min,
    lambda_min_start = that of H(0).
    """
    import torch

    from zeroloss.kernels.perturbation import greedy_patterns, random_patterns, switched_off_patterns
    from zeroloss.kernels.relu_gram import coactivation_counts
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.progress import Progress
    from zeroloss.randomness import torch_generator

    rows = []
    with Progress(len(datasets) * len(parameters["widths"]), "du2018a_lemmas perturbed", quiet) as progress:
        for data, seed in zip(datasets, parameters["seeds"], strict=True):
            x, _, limit = _inputs(data)
            gram = x @ x.T
            safe = theory.safe_radius(len(x), limit.lambda_0, parameters["failure_probability"])
            radii = sorted({safe, *parameters["radii"]})
            for width in parameters["widths"]:
                weights, _ = initial_weights(width, x.shape[1], seed)
                z = weights.double() @ x.T
                start = z >= 0
                before = gram * coactivation_counts(start) / width
                spectrum, vectors = torch.linalg.eigh(before)
                weakest = int(vectors[:, 0].abs().argmax())  # where the least eigenvector of H(0) is largest
                chance = torch_generator(seed, "two-layer", width, "directions")
                moved = {
                    "random": random_patterns(x, z, radii, chance),
                    "most flips": greedy_patterns(gram, z, radii),
                    "one input": switched_off_patterns(gram, z, radii, weakest),
                }
                for direction, patterns in moved.items():
                    for radius, active in zip(radii, patterns, strict=True):
                        after = gram * coactivation_counts(active.contiguous()) / width
                        rows.append(
                            {
                                **_about(data, "perturbed", seed, width, limit),
                                "direction": direction,
                                "radius": radius,
                                "safe": radius == safe,
                                "flipped": float((active != start).double().mean()),
                                "reachable": float((z.abs() < radius).double().mean()),
                                "gram_change": float(torch.linalg.eigvalsh(after - before).abs().max()),
                                "lambda_min": float(torch.linalg.eigvalsh(after)[0]),
                                "lambda_min_start": float(spectrum[0]),
                            }
                        )
                progress.advance(state=f"m={width}, seed {seed}")
    return pd.DataFrame(rows)


def run_flow(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    """One row per seed, width and time (part ``flow``); for the hidden layer also n = 1 (part ``single``).

    Columns: trained, time, ratio = |r(t)|^2 / |r(0)|^2, linearised = the same with H(0) frozen, residual = |r(0)|,
    max_distance, max_output_distance, pattern_change, lambda_min, least_so_far = its minimum up to that time, evaluations.
    """
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.progress import Progress
    from zeroloss.randomness import numpy_generator

    problems = [
        (data, "flow", seed, width)
        for data, seed in zip(datasets, parameters["seeds"], strict=True)
        for width in parameters["widths"]
    ]
    if parameters["trained"] == "hidden":
        about = {"title": "one input", "fidelity": "synthetic", "labels": "y ~ N(0, 1)"}
        for seed in range(parameters["single_draws"]):
            label = numpy_generator(seed, "single input", "label").standard_normal(1)
            problems.append((Dataset(np.ones((1, 1)), label, about), "single", seed, parameters["single_width"]))
    tables = []
    with Progress(len(problems), f"du2018a_lemmas flow, {parameters['trained']}", quiet) as progress:
        for data, part, seed, width in problems:
            x, y, limit = _inputs(data)
            weights, signs = initial_weights(width, x.shape[1], seed)
            times = np.linspace(0.0, parameters["horizon"] / limit.lambda_0, parameters["points"] + 1)
            both = parameters["trained"] == "both"
            path, residual, frozen = _follow(x, y, weights, signs, both, times, parameters["tolerance"])
            tables.append(
                pd.DataFrame(
                    {
                        **_about(data, part, seed, width, limit),
                        "trained": parameters["trained"],
                        "time": times,
                        "ratio": path.squared_residual / path.squared_residual[0],
                        "linearised": frozen / frozen[0],
                        "residual": float(residual.norm()),
                        "max_distance": path.max_distance,
                        "max_output_distance": path.max_output_distance,
                        "pattern_change": path.pattern_change,
                        "lambda_min": path.lambda_min,
                        "least_so_far": np.minimum.accumulate(path.lambda_min),
                        "evaluations": path.evaluations,
                    }
                )
            )
            progress.advance(state=f"{part}, m={width}, seed {seed}")
    return pd.concat(tables, ignore_index=True)


def _follow(
    x: torch.Tensor,
    y: torch.Tensor,
    weights: torch.Tensor,
    signs: torch.Tensor,
    both: bool,
    times: np.ndarray,
    tolerance: float,
) -> tuple[Any, torch.Tensor, np.ndarray]:
    """The flow's path, r(0), and |r(t)|^2 with the matrix of r' = -H r frozen at its start."""
    from zeroloss.training.gradient_flow import GradientFlow, integrate, linearised_residual

    flow = GradientFlow(x @ x.T, weights.double() @ x.T, signs, y, both)
    hidden, outputs = flow.unpack(flow.initial_state)
    residual = flow.residual(hidden, outputs)
    matrix = flow.hidden_gram(hidden, outputs)
    if both:  # G of Theorem 3.3's proof: what training a adds
        matrix = matrix + hidden.clamp_min(0).T @ hidden.clamp_min(0) / flow.width
    return integrate(flow, times, tolerance), residual, linearised_residual(matrix, residual, times)


def run_descent(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    """Corollary 4.1: one row per seed, width and step (part ``descent``); the sweep: one per step size (``sweep``).

    Columns of both: step_size, relative_step = step size over 2 / lambda_max, residual = |r(0)|, ratio = |r(k)|^2 /
    |r(0)|^2. Of ``descent``: step, max_distance, lambda_min at the first and last step. Of ``sweep``: proven (whether it
    is the theorem's own step size), ratio at the last step, peak = the largest ratio, excess = largest over k of
    ln ratio - k ln(1 - eta lambda_0 / 2), broken_at = first step where that is above 1e-9, diverged, diverged_at.
    """
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.progress import Progress
    from zeroloss.training.gram_descent import GramDescent, descend

    wide, swept, steps = parameters["widths"], parameters["sweep_widths"], parameters["steps"]
    total = len(datasets) * (len(wide) + len(swept) * (len(parameters["sweep_relative_steps"]) + 1))
    tables = []
    with Progress(total, "du2018a_lemmas descent", quiet) as progress:
        for data, seed in zip(datasets, parameters["seeds"], strict=True):
            x, y, limit = _inputs(data)
            gram = (x @ x.T).to(device)
            proven = rates.proven_step_size(limit.lambda_0, len(x)) / limit.step_limit
            for width in sorted({*wide, *swept}):
                weights, signs = initial_weights(width, x.shape[1], seed)
                z = weights.double() @ x.T
                jobs = [("descent", parameters["relative_step"])] * (width in wide)
                jobs += [("sweep", one) for one in (proven, *parameters["sweep_relative_steps"]) if width in swept]
                for part, relative in jobs:
                    eta = relative * limit.step_limit
                    # float64: at large steps the bound falls below what float32 can tell from zero
                    engine = GramDescent(gram, z, signs.double(), y, eta, measure=part == "descent")
                    path = descend(engine, steps, (0, steps) if part == "descent" else ())
                    about = {
                        **_about(data, part, seed, width, limit),
                        "step_size": eta,
                        "relative_step": relative,
                        "residual": float((path.mse[0] * len(x)) ** 0.5),
                        "diverged": path.diverged_at is not None,
                    }
                    if part == "descent":
                        tables.append(_descent_rows(about, path))
                    else:
                        about |= {"proven": relative == proven}
                        tables.append(pd.DataFrame([about | _sweep_row(path, eta, limit.lambda_0)]))
                    progress.advance(state=f"m={width}, step {relative:.2g} of the limit")
    return pd.concat(tables, ignore_index=True)


def _descent_rows(about: dict[str, Any], path: Trajectory) -> pd.DataFrame:
    steps = np.arange(len(path.mse))
    return pd.DataFrame(
        {
            **about,
            "step": steps,
            "ratio": path.mse / path.mse[0],
            "max_distance": path.max_distance,
            "pattern_change": path.pattern_change,
            "lambda_min": [path.spectrum.get(int(k), (np.nan,))[0] for k in steps],
        }
    )


# float64 sums of n terms carry 1e-14 or so; a bound exceeded by less than this was not exceeded
EXCESS_TOLERANCE = 1e-9


def _sweep_row(path: Trajectory, step_size: float, lambda_0: float) -> dict[str, Any]:
    ratio = np.where(np.isfinite(path.mse), path.mse, np.inf) / path.mse[0]
    steps = np.arange(len(ratio))
    factor = 1.0 - step_size * lambda_0 / 2.0
    if factor > 0:
        with np.errstate(divide="ignore"):
            excess = (np.log(ratio) - steps * np.log(factor))[1:]
    else:  # eta > 2 / lambda_0: the bound is negative at odd steps, and nothing can be below it
        excess = np.full(len(steps) - 1, np.inf)
    broken = np.flatnonzero(excess > EXCESS_TOLERANCE)
    return {
        "steps_done": int(steps[-1]),
        "ratio": float(ratio[-1]),
        "peak": float(ratio.max()),
        "excess": float(excess.max()),
        "broken_at": float(broken[0] + 1) if len(broken) else np.nan,
        "diverged_at": float(path.diverged_at) if path.diverged_at is not None else np.nan,
    }
