"""What one cell computes. Every experiment gives rows of one or more parts, told apart by the column ``part``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.recipes import Dataset

if TYPE_CHECKING:
    import torch

    from zeroloss.networks.deep import Network
    from zeroloss.training.deep_descent import DeepPath

CURVE_POINTS = 80  # steps kept of a loss curve; the bound is checked at every step before the others are dropped


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """The tidy table of one cell."""
    experiment = {"limits": _limits, "training": _training, "widths": _widths, "stable": _stable}
    return experiment[parameters["experiment"]](parameters, datasets, device, quiet)


def _network(parameters: Mapping[str, Any], architecture: str, depth: int, width: int, outputs: int = 1) -> Network:
    from zeroloss.networks.deep import Network

    patch = parameters["patch"] if architecture == "conv_resnet" else 1
    kind: Any = architecture
    return Network(kind, depth, width, parameters["activation"], parameters["c_res"], patch, outputs)


def _nodes(parameters: Mapping[str, Any], architecture: str) -> int:
    return parameters["conv_nodes" if architecture == "conv_resnet" else "nodes"]


def encoded(data: Dataset) -> np.ndarray:
    """Targets, shape (n, outputs): as they are; -1 and +1 for two classes; one-hot for more."""
    classes = data.info["recipe"].get("classes")
    if classes is None:
        return data.y[:, None]
    if len(classes) == 2:
        return np.where(data.y == classes[1], 1.0, -1.0)[:, None]
    return (data.y[:, None] == np.array(classes)).astype(float)


def _problem(
    parameters: Mapping[str, Any], data: Dataset, architecture: str, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (n, p, d_0), pixels only where the network has them, and targets (n, outputs)."""
    import torch

    pixels = parameters["pixels"] if architecture == "conv_resnet" else 1
    x = torch.from_numpy(data.x).to(device)
    return x.view(len(x), pixels, -1), torch.from_numpy(encoded(data)).to(device)


def _about(data: Dataset) -> dict[str, Any]:
    """Columns that say which data set a row is of."""
    recipe = data.info["recipe"]
    classes = recipe.get("classes")
    source = "sphere" if classes is None else "digits_two" if len(classes) == 2 else "digits_ten"
    return {
        "source": source,
        "labels": recipe.get("labels", "gaussian"),
        "data_title": data.info["title"],
        "fidelity": data.info["fidelity"],
    }


def _extremes(gram: torch.Tensor) -> tuple[float, float]:
    import torch

    spectrum = torch.linalg.eigvalsh(gram)
    return float(spectrum[0]), float(spectrum[-1])


def _limits(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    from zeroloss.kernels.deep_gram import limits_over_depth
    from zeroloss.networks.deep import contraction_rate
    from zeroloss.progress import Progress

    rows, contraction = [], contraction_rate(parameters["activation"])
    depths_of = parameters["depths"]
    with Progress(sum(map(len, depths_of.values())) * len(datasets), "du2018b limits", quiet) as progress:
        for data in datasets:
            for architecture, depths in depths_of.items():
                x, _ = _problem(parameters, data, architecture, device)
                network = _network(parameters, architecture, max(depths), 1)
                for depth, limits in limits_over_depth(network, depths, x, _nodes(parameters, architecture)):
                    least, largest = _extremes(limits.last)
                    total_least, total_largest = _extremes(limits.total)
                    rows.append(
                        {
                            "part": "limit",
                            "architecture": architecture,
                            **_about(data),
                            "seed": data.info["recipe"]["seed"],
                            "depth": depth,
                            "lambda_min": least,
                            "lambda_max": largest,
                            "lambda_min_printed": _extremes(limits.printed)[0],
                            "lambda_min_total": total_least,
                            "lambda_max_total": total_largest,
                            # below this an eigenvalue is made of rounding errors
                            "floor": 10 * len(x) * np.finfo(float).eps * largest,
                            "contraction": contraction,
                        }
                    )
                    progress.advance(state=f"{architecture}, H={depth}")
    return pd.DataFrame(rows)


def _curve_rows(head: dict[str, Any], path: DeepPath, seeds: Sequence[int]) -> pd.DataFrame:
    """Rows of part "curve", and how far any step was above the bounds (``worst_...``: ln of loss over bound, per seed).

    Bounds: (1 - eta lambda_min(K^(H)) / 2)^k of the theorems, (1 - eta lambda_0)^k of document 002, where lambda_0 is that
    of the sum of all layers.
    """
    eta = head["step_size"]
    rates = {"worst_slack": eta * head["lambda_min"] / 2, "worst_slack_slides": eta * head["lambda_min_limit_total"]}
    steps = np.arange(path.losses.shape[1])
    kept = np.unique(np.concatenate([[0], np.geomspace(1, steps[-1], CURVE_POINTS).round().astype(int)]))
    parts = []
    for seed, losses, diverged_at in zip(seeds, path.losses, path.diverged_at, strict=True):
        log_ratio = np.log(losses / losses[0])
        worst = {
            name: np.nan if diverged_at >= 0 else float((log_ratio - steps * np.log1p(-rate))[1:].max())
            for name, rate in rates.items()
        }
        here = kept[np.isfinite(losses[kept])]
        parts.append(
            pd.DataFrame(
                {
                    "part": "curve",
                    **head,
                    "seed": seed,
                    "step": here,
                    "loss": losses[here],
                    "relative_loss": losses[here] / losses[0],
                    **worst,
                    "diverged_at": diverged_at,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _layer_rows(head: dict[str, Any], path: DeepPath, seeds: Sequence[int]) -> pd.DataFrame:
    """Rows of part "layer": one per seed, layer and recorded step."""
    rows = []
    for record in path.records:
        for s, seed in enumerate(seeds):
            for layer in range(record.drift.shape[1]):
                rows.append(
                    {
                        "part": "layer",
                        **head,
                        "seed": seed,
                        "step": record.step,
                        "layer": layer + 1,
                        "is_output": layer + 1 == record.drift.shape[1],
                        "drift": record.drift[s, layer],
                        "moved_rms": record.moved_rms[s, layer],
                        "moved_max": record.moved_max[s, layer],
                        "moved_relative": record.moved_relative[s, layer],
                        "lambda_min_last": record.lambda_min_last[s],
                        "lambda_min_total": record.lambda_min_total[s],
                        "diverged_at": path.diverged_at[s],
                    }
                )
    return pd.DataFrame(rows)


def _training(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    from zeroloss.kernels.deep_gram import limit_grams
    from zeroloss.networks.deep import forward, initial_weights
    from zeroloss.progress import Progress
    from zeroloss.training.deep_descent import descend

    architecture, seeds, steps = parameters["architecture"], parameters["seeds"], parameters["steps"]
    parts: list[pd.DataFrame] = []
    # the limit does not know the labels: computed once for data sets that share their inputs
    known: dict[tuple[bytes, int], Any] = {}
    with Progress(len(datasets) * len(parameters["depths"]) * steps, f"du2018b {architecture}", quiet) as progress:
        for data in datasets:
            x, y = _problem(parameters, data, architecture, device)
            for depth in parameters["depths"]:
                network = _network(parameters, architecture, depth, parameters["width"], y.shape[1])
                key = (data.x.tobytes(), depth)
                if key not in known:
                    known[key] = limit_grams(network, x, _nodes(parameters, architecture))
                limits = known[key]
                least, _ = _extremes(limits.last)
                total_least, total_largest = _extremes(limits.total)
                eta = parameters["relative_step"] / total_largest
                weights = [w.to(device) for w in initial_weights(network, x.shape[1], x.shape[2], seeds)]
                path = descend(
                    network, weights, x, y, [eta] * len(seeds), steps, (0, steps),
                    lambda k, worst, h=depth: progress.advance(state=f"H={h}, loss {worst:.3g}"),  # type: ignore[misc]
                )  # fmt: skip
                head = {
                    "architecture": architecture,
                    **_about(data),
                    "depth": depth,
                    "width": parameters["width"],
                    "step_size": eta,
                    "lambda_min": least,
                    "lambda_min_limit_total": total_least,
                    "experiment": "training",
                }
                parts.append(_curve_rows(head, path, seeds))
                parts.append(_layer_rows(head, path, seeds))
                if head["source"] == "sphere" and depth == max(parameters["depths"]):
                    features = [x.expand(len(seeds), *x.shape), *forward(network, weights, x).features]
                    squares = [part.square().sum(dim=(2, 3)).mean(1) for part in features]
                    for layer, (norms, limit) in enumerate(zip(squares, limits.norms, strict=True)):
                        own = {"layer": layer, "seed": seeds, "norm": norms.cpu().numpy(), "norm_limit": float(limit)}
                        parts.append(pd.DataFrame({"part": "norm", **head, **own}))
    return pd.concat(parts, ignore_index=True)


def _widths(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    from zeroloss.kernels.deep_gram import finite_grams, limit_grams
    from zeroloss.networks.deep import initial_weights
    from zeroloss.progress import Progress
    from zeroloss.training.deep_descent import descend

    (data,) = datasets
    seeds, steps, depth = parameters["seeds"], parameters["steps"], parameters["depth"]
    parts: list[pd.DataFrame] = []
    total = sum(map(len, parameters["widths"].values())) * steps
    with Progress(total, "du2018b widths", quiet) as progress:
        for architecture, widths in parameters["widths"].items():
            x, y = _problem(parameters, data, architecture, device)
            limits = limit_grams(_network(parameters, architecture, depth, 1), x, _nodes(parameters, architecture))
            eta = parameters["relative_step"] / _extremes(limits.total)[1]
            for width in widths:
                network = _network(parameters, architecture, depth, width)
                weights = [w.to(device) for w in initial_weights(network, x.shape[1], x.shape[2], seeds)]
                grams = finite_grams(network, weights, x)
                errors = (grams - limits.layers).norm(dim=(2, 3)) / limits.layers.norm(dim=(1, 2))
                head = {
                    "architecture": architecture, **_about(data), "depth": depth, "width": width, "step_size": eta,
                    "experiment": "widths",
                }  # fmt: skip
                for layer in range(depth + 1):
                    own = {"layer": layer + 1, "seed": seeds, "error": errors[:, layer].cpu().numpy()}
                    parts.append(pd.DataFrame({"part": "start", **head, **own}))
                path = descend(
                    network, weights, x, y, [eta] * len(seeds), steps, (0, steps),
                    lambda k, worst, m=width: progress.advance(state=f"m={m}, loss {worst:.3g}"),  # type: ignore[misc]
                )  # fmt: skip
                parts.append(_layer_rows(head, path, seeds))
            # where along the line from the right matrix (0) to the printed one (1) do finite networks lie?
            two = _network(parameters, architecture, 2, max(widths))
            right = limit_grams(two, x, _nodes(parameters, architecture))
            line = right.printed - right.last
            for seed in range(parameters["printed_seeds"]):
                weights = [w.to(device) for w in initial_weights(two, x.shape[1], x.shape[2], [seed])]
                gram = finite_grams(two, weights, x)[0, -2]
                place = float(((gram - right.last) * line).sum() / line.square().sum())
                head = {"architecture": architecture, **_about(data), "depth": 2, "width": max(widths), "seed": seed}
                parts.append(pd.DataFrame([{"part": "printed", **head, "place": place}]))
    return pd.concat(parts, ignore_index=True)


def _stable(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    import torch

    from zeroloss.kernels.deep_gram import finite_grams, limit_grams
    from zeroloss.networks.deep import initial_weights
    from zeroloss.progress import Progress
    from zeroloss.training.deep_descent import descend

    (data,) = datasets
    seeds, steps = parameters["seeds"], parameters["steps"]
    multiples = np.sort(np.array(parameters["multiples"]))
    rows = []
    with Progress(2 * len(parameters["depths"]) * steps, "du2018b stable steps", quiet) as progress:
        for architecture in ("fully_connected", "resnet"):
            x, y = _problem(parameters, data, architecture, device)
            for depth in parameters["depths"]:
                network = _network(parameters, architecture, depth, parameters["width"])
                least, _ = _extremes(limit_grams(network, x, _nodes(parameters, architecture)).last)
                weights = [w.to(device) for w in initial_weights(network, x.shape[1], x.shape[2], seeds)]
                largest = torch.linalg.eigvalsh(finite_grams(network, weights, x).sum(1))[:, -1].cpu().numpy()
                tried = 2 / largest[:, None] * multiples
                every = [w.repeat_interleave(len(multiples), dim=0) for w in weights]
                path = descend(
                    network, every, x, y, tried.ravel(), steps,
                    on_step=lambda k, worst, h=depth: progress.advance(state=f"H={h}"),  # type: ignore[misc]
                )  # fmt: skip
                falls = (path.losses[:, -1] < path.losses[:, 0]) & (path.diverged_at < 0)
                # a step size counts when it and all smaller ones train
                trains = np.logical_and.accumulate(falls.reshape(tried.shape), axis=1)
                for s, seed in enumerate(seeds):
                    number = int(trains[s].sum())
                    rows.append(
                        {
                            "part": "stable",
                            "architecture": architecture,
                            **_about(data),
                            "depth": depth,
                            "width": parameters["width"],
                            "seed": seed,
                            "lambda_min": least,
                            "edge": 2 / largest[s],
                            "largest_step": tried[s, number - 1] if number else np.nan,
                            "multiple": multiples[number - 1] if number else np.nan,
                            "at_grid_end": number in (0, len(multiples)),
                        }
                    )
    return pd.DataFrame(rows)
