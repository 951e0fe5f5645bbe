"""What a cell computes: networks of some widths, and once for each figure the limit beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.checkpoint import KeptRows
from zeroloss.datasets.recipes import Dataset
from zeroloss.theory import jacot2018 as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.checkpoint import Checkpoints
    from zeroloss.kernels.tangent import TangentKernel
    from zeroloss.networks.tangent_net import TangentNet
    from zeroloss.progress import Progress

Row = dict[str, Any]
# networks of a batch share tensors of this size at most: it stays in the cache
_BATCH_BYTES = 2**22


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """One tidy table; its column ``part`` is kernel, function, component, along or gap, each with a part ``limit_...``.

    Limits are float64. Networks are float32, as the differences looked for are far above its rounding.
    """
    from zeroloss.progress import Progress

    total = parameters["steps"] * len(parameters["seeds"]) * len(parameters["widths"])
    with Progress(total, f"jacot2018 {parameters['part']} n={parameters['widths']}", quiet) as progress:
        if parameters["part"] == "principal":
            return pd.DataFrame(_principal(parameters, datasets, device, progress, KeptRows(checkpoints)))
        body = {"circle": _circle, "function": _function}[parameters["part"]]
        return pd.DataFrame(body(parameters, datasets, device, progress))


def limit_kernel(parameters: Mapping[str, Any], dimension: int, beta: float | None = None) -> TangentKernel:
    """Theta^(L) and Sigma^(L) of infinite width; L counts layers of weights, ``TangentKernel`` hidden layers."""
    from zeroloss.kernels.tangent import TangentKernel

    beta = parameters["beta"] if beta is None else beta
    return TangentKernel(
        depth=parameters["layers"] - 1, weight_variance=1.0, bias_variance=beta**2, input_scale=1 / dimension
    )


def circle(angles: np.ndarray) -> torch.Tensor:
    """(cos gamma, sin gamma), float64, shape (angles, 2)."""
    import torch

    return torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _angles(parameters: Mapping[str, Any]) -> np.ndarray:
    return np.linspace(-np.pi, np.pi, parameters["angles"])


def _batches(parameters: Mapping[str, Any]) -> Iterator[tuple[int, list[int]]]:
    """(width, seeds): as many seeds together as the cache holds."""
    for width in parameters["widths"]:
        together = max(1, _BATCH_BYTES // (4 * width * width))
        for first in range(0, len(parameters["seeds"]), together):
            yield width, parameters["seeds"][first : first + together]


def _networks(parameters: Mapping[str, Any], dimension: int, width: int, seeds: list[int], device: str) -> TangentNet:
    import torch

    from zeroloss.networks.tangent_net import TangentNet

    sizes = [dimension, *[width] * (parameters["layers"] - 1), 1]
    return TangentNet.draw(sizes, parameters["beta"], seeds, dtype=torch.float32, device=device)


def _circle(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress) -> list[Row]:
    """Theta(x_0, x), x_0 = (1, 0), at the start and after training towards x_1 x_2."""
    import torch

    from zeroloss.randomness import torch_generator

    angles = _angles(parameters)
    points, origin = circle(angles), circle(np.zeros(1))
    rows: list[Row] = []
    if parameters["limit"]:
        exact = limit_kernel(parameters, 2)(origin, points)[0].tolist()
        rows += [{"part": "limit_kernel", "gamma": g, "kernel": k} for g, k in zip(angles.tolist(), exact, strict=True)]
    points, origin = points.float().to(device), origin.float().to(device)
    for width, seeds in _batches(parameters):
        net = _networks(parameters, 2, width, seeds, device)
        generators = [torch_generator(seed, "circle training inputs", width) for seed in seeds]
        for step in range(parameters["steps"] + 1):
            if step in (0, parameters["steps"]):
                kernels = net.kernel(origin, points)[:, 0].double().cpu().numpy()
                rows += [
                    {"part": "kernel", "width": width, "seed": seed, "step": step, "gamma": g, "kernel": k}
                    for seed, kernel in zip(seeds, kernels, strict=True)
                    for g, k in zip(angles.tolist(), kernel.tolist(), strict=True)
                ]
            if step < parameters["steps"]:
                x = torch.stack([torch.randn(parameters["batch"], 2, generator=g) for g in generators]).to(device)
                net.step(x, x[..., 0] * x[..., 1], parameters["rate"])
                progress.advance(len(seeds), state=f"n={width}")
    return rows


def _function(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress) -> list[Row]:
    """f on the circle after training on a few points."""
    import torch

    angles, targets = _angles(parameters), np.array(parameters["targets"])
    points, inputs = circle(angles), circle(np.array(parameters["data_angles"]))
    rows: list[Row] = []
    if parameters["limit"]:
        kernels = limit_kernel(parameters, 2).kernels(torch.cat([inputs, points]))
        limit = theory.trained_function(
            kernels.ntk.numpy(), kernels.nngp.numpy(), targets, parameters["rate"], parameters["steps"]
        )
        columns = zip(angles.tolist(), limit.mean.tolist(), limit.deviation.tolist(), strict=True)
        rows += [{"part": "limit_function", "gamma": g, "mean": m, "deviation": d} for g, m, d in columns]
    x, y = inputs.float().to(device), torch.from_numpy(targets).float().to(device)
    shown = points.float().to(device)
    for width, seeds in _batches(parameters):
        net = _networks(parameters, 2, width, seeds, device)
        for _ in range(parameters["steps"]):
            net.step(x, y, parameters["rate"])
            progress.advance(len(seeds), state=f"n={width}")
        outputs = net.forward(shown)[-1].double().cpu().numpy()
        rows += [
            {"part": "function", "width": width, "seed": seed, "gamma": g, "value": value}
            for seed, values in zip(seeds, outputs, strict=True)
            for g, value in zip(angles.tolist(), values.tolist(), strict=True)
        ]
    return rows


def _principal(
    parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, progress: Progress, kept: KeptRows
) -> list[Row]:
    """Training from f_0 towards f_0 + offset f^(2): the error along f^(2) and across it."""
    import torch

    (data,) = datasets
    n0 = data.x.shape[1]
    # |x|^2 = n_0, so that layers see inputs of variance 1
    x = torch.from_numpy(data.x / np.linalg.norm(data.x, axis=1, keepdims=True) * n0**0.5)
    values, functions = theory.principal_components(limit_kernel(parameters, n0)(x).numpy(), 3)
    about = {"data_title": data.info["title"], "fidelity": data.info["fidelity"], "labels": "principal component"}
    rows: list[Row] = []
    if parameters["limit"]:
        columns = zip(functions[:, 1].tolist(), functions[:, 2].tolist(), data.y.astype(int).tolist(), strict=True)
        rows += [{"part": "component", "second": s, "third": t, "class": c, **about} for s, t, c in columns]
        large, _ = theory.principal_components(limit_kernel(parameters, n0, parameters["large_beta"])(x).numpy(), 3)
        for beta, spectrum in ((parameters["beta"], values), (parameters["large_beta"], large)):
            rows += [
                {"part": "eigenvalue", "beta": beta, "index": k, "eigenvalue": v, **about}
                for k, v in enumerate(spectrum.tolist(), 1)
            ]
    second = torch.from_numpy(functions[:, 1]).float().to(device)
    inputs = x.float().to(device)
    record = sorted({int(k) for k in np.linspace(0, parameters["steps"], 61)})

    def train(width: int, seeds: list[int]) -> list[Row]:
        net, found = _networks(parameters, n0, width, seeds, device), list[Row]()
        goal = net.forward(inputs)[-1] + parameters["offset"] * second
        for step in range(parameters["steps"] + 1):
            if step in record:
                error = (net.forward(inputs)[-1] - goal).double()
                along = (error * second.double()).mean(dim=1)
                across = (error - along[:, None] * second.double()).square().mean(dim=1).sqrt()
                found += [
                    {"part": "along", "width": width, "seed": seed, "step": step, "along": abs(g), "across": h, **about}
                    for seed, g, h in zip(seeds, along.tolist(), across.tolist(), strict=True)
                ]
            if step < parameters["steps"]:
                net.step(inputs, goal, parameters["rate"])
                progress.advance(len(seeds), state=f"n={width}")
        return found

    for width, seeds in _batches(parameters):
        if (name := f"{width} {seeds[0]}") in kept:
            progress.advance(len(seeds) * parameters["steps"])
        rows += kept.of(name, lambda w=width, s=seeds: train(w, s))  # type: ignore[misc]
    return rows
