"""What the cells compute: the construction, complexities and kernel interpolation; everything but networks in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.corruption import corrupt_labels
from zeroloss.datasets.recipes import Dataset
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.theory import zhang2017 as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.kernels.tiled_solve import Kernel
    from zeroloss.progress import Progress

Row = dict[str, Any]
# eigvals of larger matrices take seconds; an SVD too
_SPECTRUM_UP_TO = 100
# only the precision differs: in float32 the same inputs, labels, direction
_PRECISIONS = {"float64": np.float64, "float32": np.float32}


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """Rows of one cell, told apart by ``part``: construction, depth, curve, mark; rademacher; kernel, solver."""
    from zeroloss.progress import Progress

    body: Callable[..., list[Row]]
    if "depths" in parameters:
        body, total = _construction, len(parameters["seeds"])
    elif "class_draws" in parameters:
        body, total = _rademacher, len(parameters["samples"]) * (1 + len(parameters["widths"]))
    else:
        body, total = _kernels, len(parameters["samples"]) * len(parameters["seeds"])
    with Progress(total, "zhang2017_theory", quiet) as progress:
        return pd.DataFrame(body(parameters, datasets, device, progress))


def flat_pixels(data: Dataset, images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 1, float64, shape (n, d)."""
    return images.reshape(len(images), -1).astype(np.float64) / data.info["largest"]


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _about(data: Dataset, labels: str) -> Row:
    return {
        "source": data.info["recipe"]["source"],
        "data_title": data.info["title"],
        "fidelity": data.info["fidelity"],
        "labels": labels,
    }


# ---------------------------------------------------------------- construction


def _construction(
    parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress
) -> list[Row]:
    rows = _curves(parameters)
    for seed in parameters["seeds"]:
        for n in parameters["samples"]:
            generator = numpy_generator(seed, "theorem 1", n)
            x = generator.standard_normal((n, parameters["dimension"]))
            y = generator.choice([-1.0, 1.0], n)
            about = {"data_title": "Gaussian", "fidelity": "synthetic", "labels": "random signs"}
            rows += _fits(x, y, 1.0, parameters["shares"], about, seed)
            for data in datasets:
                if n > len(data.x):
                    continue
                chosen = generator.permutation(len(data.x))[:n]
                x = flat_pixels(data, data.x[chosen])
                y = corrupt_labels(data.y[chosen], 1.0, data.info["classes"], generator).astype(np.float64)
                rows += _fits(x, y, 0.5, parameters["shares"], _about(data, "random class"), seed)
        rows += _depths(parameters, seed)
        progress.advance(state=f"seed {seed}")
    return rows


def _direction(dimension: int, seed: int) -> np.ndarray:
    """a, uniform on the sphere."""
    normal = numpy_generator(seed, "direction", dimension).standard_normal(dimension)
    return normal / np.linalg.norm(normal)


def _fits(x: np.ndarray, y: np.ndarray, half: float, shares: Sequence[float], about: Row, seed: int) -> list[Row]:
    """Rows of one data set, for each rule in float64 and for the midpoint in float32; a label is right within ``half``."""
    n, d = x.shape
    rules: dict[str, float | np.ndarray] = {f"{share:g}": share for share in shares}
    rules["random"] = 1.0 - numpy_generator(seed, "random thresholds", n).random(n)  # in (0, 1]
    rows = []
    for rule, share in rules.items():
        for precision, kind in _PRECISIONS.items():
            if precision == "float32" and rule != "0.5":
                continue
            row = {"part": "construction", **about, "rule": rule, "precision": precision, "samples": n,
                   "dimension": d, "seed": seed, "distinct": True}  # fmt: skip
            inputs = x.astype(kind)
            try:
                network, matrix = theory.interpolate(inputs, y, _direction(d, seed).astype(kind), share)
            except (
                ValueError
            ):  # a result: in this precision two projections, or a threshold and its own, are one number
                rows.append({**row, "distinct": False})
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                error = np.abs(network(inputs).astype(np.float64) - y)
            diagonal = np.sort(np.diag(matrix))
            row |= {
                "residual": error.max(), "bound": theory.residual_bound(network, matrix, inputs),
                "right": float((error < half).mean()), "steepest": theory.steepest_slope(network),
                "parameters": network.parameters, "least_eigenvalue": float(diagonal[0]),
            }  # fmt: skip
            if precision == "float64":
                row["condition"] = theory.condition_number(matrix)
                with np.errstate(over="ignore", invalid="ignore"):
                    row["weight_norm"] = float(np.linalg.norm(network.weights))
                if n <= _SPECTRUM_UP_TO:
                    found = np.sort(np.linalg.eigvals(matrix).real)
                    row["eigenvalue_error"] = float(np.abs(found / diagonal - 1).max())
                    row["least_singular"] = float(np.linalg.svd(matrix, compute_uv=False)[-1])
            rows.append(row)
    return rows


def _depths(parameters: Mapping[str, Any], seed: int) -> list[Row]:
    n, d = parameters["depth_samples"], parameters["dimension"]
    generator = numpy_generator(seed, "corollary 1")
    x, y = generator.standard_normal((n, d)), generator.choice([-1.0, 1.0], n)
    network, matrix = theory.interpolate(x, y, _direction(d, seed), 0.5)
    rows = []
    for depth in parameters["depths"]:
        layers = theory.deepen(network, depth)
        rows.append(
            {
                "part": "depth", "depth": depth, "samples": n, "dimension": d, "seed": seed,
                "residual": float(np.abs(theory.layered_outputs(layers, x) - y).max()),
                "bound": theory.residual_bound(network, matrix, x, depth),
                "hidden_width": max(len(layer.biases) for layer in layers[1:-1]),
                "connections": theory.connections(layers),
            }
        )  # fmt: skip
    return rows


def _curves(parameters: Mapping[str, Any]) -> list[Row]:
    """c(x) of each rule on a few samples, for the picture: evenly spread projections, so that it can be read."""
    n = parameters["drawn_samples"]
    generator = numpy_generator(parameters["seeds"][0], "picture")
    x = np.arange(n) + generator.uniform(-0.25, 0.25, n)
    y = generator.choice([-1.0, 1.0], n)
    fine = np.linspace(x[0] - 1.0, x[-1] + 0.5, 40 * n)
    rows = [{"part": "mark", "rule": "sample", "projection": a, "value": b} for a, b in zip(x, y, strict=True)]
    for share in parameters["shares"]:
        network, _ = theory.interpolate(x[:, None], y, np.ones(1), share)
        at = np.sort(np.concatenate([fine, network.thresholds, x]))
        pairs = zip(at, network.along(at), strict=True)
        rows += [{"part": "curve", "rule": f"{share:g}", "projection": a, "value": c} for a, c in pairs]
        kinks = zip(network.thresholds, network.along(network.thresholds), strict=True)
        rows += [{"part": "mark", "rule": f"{share:g}", "projection": a, "value": c} for a, c in kinks]
    return rows


# ---------------------------------------------------------------- complexities


def gaussian_coefficient(data: Dataset, pixels: np.ndarray, parameters: Mapping[str, Any]) -> float:
    """c of exp(-c |x - x'|^2): printed for MNIST; elsewhere the same multiple of the mean squared distance."""
    if data.info["recipe"]["source"] == "mnist":
        return float(parameters["printed_coefficient"])
    return float(parameters["relative_coefficient"] / (2 * pixels.var(axis=0).sum()))


def _rademacher(
    parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress
) -> list[Row]:
    import torch

    from zeroloss.kernels.relu_gram import infinite_width_gram
    from zeroloss.kernels.tiled_solve import gaussian_kernel
    from zeroloss.training.sign_fitting import best_correlations

    (data,) = datasets
    seed = parameters["seed"]
    pool = flat_pixels(data, data.x)
    order = numpy_generator(seed, "subset").permutation(len(pool))
    coefficient = gaussian_coefficient(data, pixels=pool, parameters=parameters)
    rows: list[Row] = []
    for n in parameters["samples"]:
        pixels = pool[order[:n]]
        unit = _unit(pixels)
        base = {"part": "rademacher", **_about(data, "random signs"), "samples": n}
        generator = numpy_generator(seed, "signs", n)
        signs = generator.choice([-1.0, 1.0], (parameters["class_draws"], n))
        limit = infinite_width_gram(torch.from_numpy(unit)).numpy()
        gaussian = gaussian_kernel(coefficient)(*[torch.from_numpy(pixels)] * 2).numpy()
        parity = np.where(data.y[order[:n]] % 2 == 0, 1.0, -1.0)
        # radii of the balls that just hold one labelling; the random one is not among the draws
        both = np.stack([parity, generator.choice([-1.0, 1.0], n)], axis=1)
        radii = np.sqrt((both * np.linalg.solve(limit, both)).sum(axis=0))
        classes = {
            "linear": (theory.linear_suprema(unit, signs), (unit**2).sum(axis=1), 1.0),
            "relu kernel": (theory.kernel_suprema(limit, signs), np.diag(limit), 1.0),
            "gaussian kernel": (theory.kernel_suprema(gaussian, signs), np.diag(gaussian), 1.0),
            "ball of the true labels": (theory.kernel_suprema(limit, signs, radii[0]), np.diag(limit), radii[0]),
            "ball of random labels": (theory.kernel_suprema(limit, signs, radii[1]), np.diag(limit), radii[1]),
        }
        for name, (values, diagonal, radius) in classes.items():
            bound = theory.norm_bound(diagonal, radius)
            rows += [
                {**base, "class": name, "draw": k, "value": value, "bound": bound, "radius": radius}
                for k, value in enumerate(values)
            ]
        progress.advance(state=f"n={n}")
        # centred and scaled for training: with biases, the class of functions is the same
        centred = unit - unit.mean(axis=0)
        x = torch.from_numpy(centred / np.sqrt((centred**2).mean())).float().to(device)
        drawn = torch.from_numpy(signs[: parameters["network_draws"]]).float().to(device)
        for width in parameters["widths"]:
            best, steps = best_correlations(
                x, drawn, width, steps=parameters["steps"], step_size=parameters["step_size"],
                generator=torch_generator(seed, "sign fitting", n, width),
            )  # fmt: skip
            count = width * (x.shape[1] + 2) + 1
            rows += [
                {
                    **base,
                    "class": "network",
                    "width": width,
                    "draw": k,
                    "value": value,
                    "steps": steps,
                    "parameters": count,
                }
                for k, value in enumerate(best.tolist())
            ]
            progress.advance(state=f"n={n}, m={width}")
    return rows


# ---------------------------------------------------------------- kernel interpolation


def _kernels(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress) -> list[Row]:
    (data,) = datasets
    pool, test = flat_pixels(data, data.x), flat_pixels(data, data.x_test)
    rows: list[Row] = []
    for n in parameters["samples"]:
        for seed in parameters["seeds"]:
            generator = numpy_generator(seed, "kernel subset", n)
            chosen = generator.permutation(len(pool))[:n]
            random = corrupt_labels(data.y[chosen], 1.0, data.info["classes"], generator)
            problem = (pool[chosen], data.y[chosen], random, test)
            rows += _interpolations(parameters, data, problem, seed, pool, device)
            progress.advance(state=f"n={n}, seed {seed}, test error {rows[-2]['test_error']:.3f}")
    return rows


def _interpolations(
    parameters: Mapping[str, Any],
    data: Dataset,
    problem: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    seed: int,
    pool: np.ndarray,
    device: str,
) -> list[Row]:
    """Both kernels, both labellings; K is solved once for the two. Where Cholesky is used at its largest n, tiles as well."""
    import torch

    from zeroloss.kernels.tiled_solve import gaussian_kernel, relu_kernel, solve_dense, solve_tiled, tiled_product

    x, true, random, test = problem
    n, classes = len(x), data.info["classes"]
    coefficient = gaussian_coefficient(data, pool, parameters)
    targets = torch.from_numpy(np.concatenate([np.eye(classes)[true], np.eye(classes)[random]], axis=1)).to(device)
    limits = {key: parameters[key] for key in ("rank", "tolerance", "most_iterations", "tile_mb")}
    dense = n <= parameters["dense_up_to"]
    compared = n == max((k for k in parameters["samples"] if k <= parameters["dense_up_to"]), default=0)
    rows: list[Row] = []
    cases: dict[str, tuple[Kernel, np.ndarray, np.ndarray]] = {
        "relu": (relu_kernel, _unit(x), _unit(test)),
        "gaussian": (gaussian_kernel(coefficient), x, test),
    }
    for name, (kernel, inputs, unseen) in cases.items():
        points, new = (torch.from_numpy(one).to(device) for one in (inputs, unseen))
        base = {
            "kernel": name,
            "samples": n,
            "seed": seed,
            "coefficient": coefficient if name == "gaussian" else np.nan,
        }
        found = {"cholesky": solve_dense(kernel, points, targets)} if dense else {}
        if compared or not dense:
            found["tiles"] = solve_tiled(kernel, points, targets, **limits)
        outputs: dict[str, torch.Tensor] = {}
        for solver, solution in found.items():
            outputs[solver] = tiled_product(kernel, new, points, solution.alpha, parameters["tile_mb"])
        if len(found) == 2:
            gap = float((outputs["tiles"] - outputs["cholesky"]).abs().max())
            rows.append({"part": "solver", **base, "prediction_gap": gap, "iterations": found["tiles"].iterations,
                         "residual": found["tiles"].residual})  # fmt: skip
        solver, solution = next(iter(found.items()))
        for k, labels in enumerate(("true", "random")):
            columns = slice(k * classes, (k + 1) * classes)
            alpha, wanted = solution.alpha[:, columns], targets[:, columns]
            guess = outputs[solver][:, columns].argmax(dim=1).cpu().numpy()
            rows.append(
                {
                    "part": "kernel", **_about(data, f"{labels} class"), **base, "label_kind": labels, "solver": solver,
                    "test_error": float((guess != data.y_test).mean()), "test_samples": len(guess),
                    "norm": float((alpha * wanted).sum().clamp(min=0).sqrt()),
                    "coefficient_norm": float(alpha.norm()), "residual": solution.residual,
                    "iterations": solution.iterations,
                }
            )  # fmt: skip
    return rows
