"""What the cells compute. Kernels and equations in float64, convolutional kernels in float32 where asked; nets float32."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.checkpoint import KeptRows
from zeroloss.datasets.recipes import Dataset
from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator

if TYPE_CHECKING:
    import torch

    from zeroloss.checkpoint import Checkpoints
    from zeroloss.progress import Progress

Row = dict[str, Any]
SPHERE: Row = {"data_title": "uniform on the sphere", "fidelity": "synthetic"}


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """Rows of one cell, told apart by ``part``: entry, norm, regression; gap, floor, path; cntk."""
    from zeroloss.progress import Progress

    if "side" in parameters:
        from zeroloss.studies.arora2019_ntk import tables_of_images

        return pd.DataFrame(tables_of_images.accuracies(parameters, datasets[0], device, quiet, checkpoints))
    if "recursion" in parameters:
        first, second = parameters["recursion"], parameters["regression"]
        total = len(first["activations"]) * len(first["widths"]) + len(second["samples"])
        with Progress(total, "arora2019_ntk kernels", quiet) as progress:
            kept = KeptRows(checkpoints)
            rows = _recursion(first, device, progress, kept) + _regression(second, datasets[0], device, progress, kept)
        return pd.DataFrame(rows)
    with Progress(2 * len(parameters["widths"]), f"arora2019_ntk {parameters['place']}", quiet) as progress:
        return pd.DataFrame(_convergence(parameters, datasets, device, progress))


def _about(data: Dataset, labels: str) -> Row:
    return {"data_title": data.info["title"], "fidelity": data.info["fidelity"], "labels": labels}


def flat_unit(images: np.ndarray) -> np.ndarray:
    """Pixels as unit vectors, float64, shape (n, d)."""
    x = images.reshape(len(images), -1).astype(np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


# ---------------------------------------------------------------- recursion


def _recursion(parameters: Mapping[str, Any], device: str, progress: Progress, kept: KeptRows) -> list[Row]:
    """Per network: how far <df/dtheta, df'/dtheta> is from the limit, and the mean of |g^(h)|^2 over inputs and layers."""
    rows: list[Row] = []
    for activation in parameters["activations"]:
        for width in parameters["widths"]:
            one = functools.partial(_recursion_of, parameters, activation, width, device)
            rows += kept.of(f"{activation} {width}", one)
            progress.advance(state=f"{activation}, width {width}")
    return rows


def _recursion_of(parameters: Mapping[str, Any], activation: str, width: int, device: str) -> list[Row]:
    import torch

    from zeroloss.kernels.deep_gram import finite_grams
    from zeroloss.kernels.tangent import TangentKernel
    from zeroloss.networks.deep import Network, forward, initial_weights

    n, d = parameters["samples"], parameters["dimension"]
    points = uniform_on_sphere(n, d, numpy_generator(0, "ntk recursion", "inputs", n, d))
    x = torch.from_numpy(points).to(device)
    rows: list[Row] = []
    for depth in parameters["depths"]:
        kernel = TangentKernel(depth, activation)
        limit = kernel(x)
        network = Network("fully_connected", depth, width, activation, c_res=0.5)
        for seed in parameters["seeds"]:
            weights = [w.to(device) for w in initial_weights(network, 1, d, [seed])]
            gram = finite_grams(network, weights, x[:, None])[0].sum(0)
            features = forward(network, weights, x[:, None]).features
            error = gram - limit
            rows.append(
                {
                    "part": "entry", **SPHERE, "activation": activation, "depth": depth, "width": width,
                    "seed": seed, "samples": n, "dimension": d, "scale": kernel.scale,
                    "relative_error": float(error.norm() / limit.norm()),
                    "largest_error": float(error.abs().max()),
                    "mean_ratio": float(gram.diagonal().mean() / limit.diagonal().mean()),
                    "square_norm": float(torch.stack([f.square().sum((2, 3)) for f in features]).mean()),
                }
            )  # fmt: skip
    return rows


# ---------------------------------------------------------------- regression


def _regression(
    parameters: Mapping[str, Any], data: Dataset, device: str, progress: Progress, kept: KeptRows
) -> list[Row]:
    """f_ntk on one-hot labels, centred; Cholesky, and the largest n that it takes by tiles too."""
    rows: list[Row] = []
    for n in parameters["samples"]:
        for depth in parameters["depths"]:
            one = functools.partial(_regression_of, parameters, data, n, depth, device)
            rows += kept.of(f"n {n} depth {depth}", one)
        progress.advance(state=f"n = {n}")
    return rows


def _regression_of(parameters: Mapping[str, Any], data: Dataset, n: int, depth: int, device: str) -> list[Row]:
    import torch

    from zeroloss.kernels.regression import interpolate
    from zeroloss.kernels.tangent import TangentKernel
    from zeroloss.kernels.tiled_solve import solve_tiled, tiled_product

    if data.x_test is None or data.y_test is None:
        raise UserError("this experiment needs a data set with test images")
    x = torch.from_numpy(flat_unit(data.x)[:n]).to(device)
    test = torch.from_numpy(flat_unit(data.x_test)).to(device)
    classes = data.info["classes"]
    y = torch.from_numpy(np.eye(classes)[data.y[:n]] - 1 / classes).to(device)
    right = torch.from_numpy(data.y_test.astype(np.int64)).to(device)
    dense = [size for size in parameters["samples"] if size <= parameters["dense_up_to"]]
    options = {key: parameters[key] for key in ("rank", "tolerance", "most_iterations", "tile_mb")}
    kernel = TangentKernel(depth, unit_inputs=True)
    row = {"part": "regression", **_about(data, "class"), "depth": depth, "samples": n, "test": len(test)}
    predictions: list[torch.Tensor] = []
    if n in dense:
        gram = kernel(x)
        alpha = interpolate(gram, y)
        spectrum = torch.linalg.eigvalsh(gram)
        predictions.append(kernel(test, x) @ alpha)
        row |= {
            "residual": float(((gram @ alpha - y).norm(dim=0) / y.norm(dim=0)).max()),
            "lambda_min": float(spectrum[0]), "condition": float(spectrum[-1] / spectrum[0]),
            "rkhs_norm": float((alpha * y).sum().sqrt()),
        }  # fmt: skip
    if n not in dense or n == dense[-1]:
        solved = solve_tiled(kernel, x, y, **options)
        predictions.append(tiled_product(kernel, test, x, solved.alpha, parameters["tile_mb"]))
        row |= {"tiled_residual": solved.residual, "iterations": solved.iterations}
    if len(predictions) == 2:
        row["tiled_difference"] = float((predictions[0] - predictions[1]).abs().max())
    row["accuracy"] = float((predictions[0].argmax(1) == right).double().mean())
    return [row]


# ---------------------------------------------------------------- convergence


def _problem(parameters: Mapping[str, Any], datasets: Sequence[Dataset]) -> tuple[np.ndarray, np.ndarray, Row, int]:
    """Inputs (training first), labels +1 and -1 of all, about them, input dimension."""
    n, more = parameters["samples"], parameters["test"]
    if parameters["place"] == "sphere":
        d = parameters["dimension"]
        generator = numpy_generator(0, "ntk convergence", n, more, d)
        x = uniform_on_sphere(n + more, d, generator)
        return x, generator.choice([-1.0, 1.0], n + more), {**SPHERE, "labels": "random signs"}, d
    data = datasets[0]
    y = np.where(data.y == parameters["classes"][0], 1.0, -1.0)
    about = _about(data, "classes {} and {}".format(*parameters["classes"]))
    return data.x, y, about, data.x.shape[1]


def _convergence(
    parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress
) -> list[Row]:
    """Per network the root mean square of f_nn - f_ntk over test inputs; and what an infinitely wide one would have."""
    import torch

    from zeroloss.kernels.regression import interpolate
    from zeroloss.kernels.tangent import TangentKernel
    from zeroloss.networks.deep import Network, initial_weights
    from zeroloss.training.scaled_descent import descend_scaled

    inputs, labels, about, d = _problem(parameters, datasets)
    n = parameters["samples"]
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    both = TangentKernel(parameters["depth"], unit_inputs=True).kernels(x)
    train = both.ntk[:n, :n]
    predicted = (both.ntk[n:, :n] @ interpolate(train, y[:n, None]))[:, 0]
    floor = start_share(both.nngp, both.ntk, n)
    eigenvalues = torch.linalg.eigvalsh(train)
    step = parameters["relative_step"] / float(eigenvalues[-1])
    about = {**about, "place": parameters["place"], "samples": n, "test": len(x) - n, "dimension": d}
    rows: list[Row] = [
        {
            "part": "floor", **about, "floor": floor, "predictor_rms": float(predicted.square().mean().sqrt()),
            "condition": float(eigenvalues[-1] / eigenvalues[0]), "lambda_min": float(eigenvalues[0]),
        }
    ]  # fmt: skip
    seeds, scales = parameters["seeds"], parameters["scales"]
    kappas = torch.tensor(scales, dtype=torch.float32, device=device).repeat_interleave(len(seeds))
    for width in parameters["widths"]:
        network = Network("fully_connected", parameters["depth"], width, "relu", c_res=0.5)
        start = [w.float().to(device) for w in initial_weights(network, 1, d, seeds)]
        weights = [w.repeat(len(scales), 1, 1) for w in start]
        for symmetrised in (False, True):
            done = descend_scaled(
                network, weights, x[:n], y[:n], x[n:], scales=kappas, symmetrised=symmetrised, step_size=step,
                tolerance=parameters["tolerance"], most_steps=parameters["most_steps"],
            )  # fmt: skip
            gaps = (done.test_outputs.cpu() - predicted).square().mean(dim=1).sqrt().tolist()
            for run, gap in enumerate(gaps):
                rows.append(
                    {
                        "part": "gap", **about, "width": width, "kappa": scales[run // len(seeds)],
                        "seed": seeds[run % len(seeds)], "start": "symmetrised" if symmetrised else "plain",
                        "gap": gap, "residual": float(done.residuals[run]), "steps": int(done.steps[run]),
                        "diverged_at": int(done.diverged_at[run]),
                    }
                )  # fmt: skip
            progress.advance(state=f"width {width}, {'symmetrised' if symmetrised else 'plain'} start")
            if symmetrised and width == max(parameters["widths"]):
                rows += _paths(done.path.cpu(), train, y[:n], step, about, parameters)
    return rows


def start_share(nngp: torch.Tensor, ntk: torch.Tensor, n: int) -> float:
    """What a random start of size 1 leaves at test inputs, root mean square, in the limit of infinite width.

    f(0) ~ GP(0, S) moves to f_ntk plus r = f(0, z) - T(z, X) T(X, X)^-1 f(0, X) (kernel gradient flow), whose covariance
    this takes the mean diagonal of. At scale kappa it is kappa times that.

    Args:
        nngp, ntk: S and T of training and test inputs together, training first, shape (n + n', n + n').
    """
    import torch

    shares = torch.linalg.solve(ntk[:n, :n], ntk[:n, n:]).T
    cross = nngp[n:, :n] @ shares.T
    covariance = nngp[n:, n:] - cross - cross.T + shares @ nngp[:n, :n] @ shares.T
    return float(covariance.diagonal().mean().sqrt())


def _paths(
    path: torch.Tensor, gram: torch.Tensor, y: torch.Tensor, step: float, about: Row, parameters: Mapping[str, Any]
) -> list[Row]:
    """|u(k) - y| / |y| of the widest symmetrised nets, and of the limit, (I - eta T)^k (Lemma 3.1), at some 40 steps."""
    import torch

    values, vectors = torch.linalg.eigh(gram)
    along = (vectors.T @ y).square()
    seeds, rows = parameters["seeds"], []
    for k in sorted({round(i) for i in np.geomspace(1, path.shape[1], 40)}):
        k -= 1
        limit = float((along * (1 - step * values) ** (2 * k)).sum().sqrt() / y.norm())
        for run in range(len(path)):
            rows.append(
                {
                    "part": "path", **about, "step": k, "width": max(parameters["widths"]), "limit": limit,
                    "kappa": parameters["scales"][run // len(seeds)], "seed": seeds[run % len(seeds)],
                    "loss_residual": float(path[run, k]),
                }
            )  # fmt: skip
    return rows
