"""What the cells compute: ranks, surfaces, 150 layers, convolutional networks. One row per observation."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.recipes import Dataset
from zeroloss.randomness import numpy_generator
from zeroloss.theory.nguyen2019 import exact_least_pivot, numerical_rank

if TYPE_CHECKING:
    import torch

    from zeroloss.checkpoint import Checkpoints

CLASSES = 10
RANK_ACTIVATIONS = ("sigmoid", "softplus", "relu", "linear")
LEMMA_SAMPLES = 20
LEMMA_DRAWS = 2000


def random_network(samples: int, dimension: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Inputs N(0, I_d), (N, d), and weights and biases of two hidden layers of N / 2: W1, b1, W2, b2, float64.

    Biases are N(0, 1), second-layer weights N(0, 2 / N). First-layer weight vectors have unit length, so that w.x is exactly
    N(0, 1) and the probability of a dead ReLU is known.
    """
    half = samples // 2
    x = generator.standard_normal((samples, dimension))
    first = generator.standard_normal((dimension, half))
    second = generator.standard_normal((half, half)) / half**0.5
    biases = generator.standard_normal((2, half))
    return x, first / np.linalg.norm(first, axis=0), biases[0], second, biases[1]


def feature_matrix(activation: str, network: tuple[np.ndarray, ...]) -> np.ndarray:
    """Psi(U) of a :func:`random_network`, float64, shape (N, N): all neurons of both layers."""
    import torch

    from zeroloss.networks.skip_dense import DenseNetworks, hidden_values

    x, first, shift, second, shift2 = (torch.from_numpy(part) for part in network)
    nothing = torch.zeros(1, len(x), CLASSES, dtype=torch.float64)
    networks = DenseNetworks([first[None], second[None]], [shift[None, None], shift2[None, None]], nothing, nothing)
    return torch.cat(hidden_values(networks, x, activation), dim=2)[0].numpy()


def exact_feature_matrix(activation: str, network: tuple[np.ndarray, ...], digits: int) -> list[list[Decimal]]:
    """The same with ``digits`` decimal digits from the same float64 numbers, for sigmoid and softplus."""
    sharpness = Decimal(20)

    def value(z: Decimal) -> Decimal:
        if activation == "sigmoid":
            return 1 / (1 + (-z).exp())
        return (1 + (sharpness * z).exp()).ln() / sharpness

    def layer(rows: list[list[Decimal]], weights: np.ndarray, shifts: np.ndarray) -> list[list[Decimal]]:
        columns = [[Decimal(w) for w in column] for column in weights.T.tolist()]
        offsets = [Decimal(b) for b in shifts.tolist()]
        return [
            [value(sum(map(operator.mul, row, column), b)) for column, b in zip(columns, offsets, strict=True)]
            for row in rows
        ]

    with localcontext() as context:
        context.prec = digits
        x, first, shift, second, shift2 = network
        below = layer([[Decimal(v) for v in row] for row in x.tolist()], first, shift)
        above = layer(below, second, shift2)
        return [one + two for one, two in zip(below, above, strict=True)]


def rank(parameters: Mapping[str, Any], quiet: bool) -> pd.DataFrame:
    """Numerical rank of Psi for each activation, N, d and draw; and random outputs for Lemma 2.1."""
    from zeroloss.progress import Progress

    rows = []
    with Progress(len(RANK_ACTIVATIONS) * len(parameters["samples"]), "nguyen2019 rank", quiet) as progress:
        for activation in RANK_ACTIVATIONS:
            for samples in parameters["samples"]:
                for dimension in parameters["dimensions"]:
                    for draw in range(parameters["draws"]):
                        generator = numpy_generator(parameters["seed"], "rank", activation, samples, dimension, draw)
                        network = random_network(samples, dimension, generator)
                        found = numerical_rank(feature_matrix(activation, network))
                        rows.append(
                            {
                                "part": "rank",
                                "activation": activation,
                                "samples": samples,
                                "dimension": dimension,
                                "draw": draw,
                                "rank": found.rank,
                                "relative_least": found.relative_least,
                                "threshold": found.threshold,
                                "log10_pivot": _log10_pivot(parameters, activation, network, found.rank),
                            }
                        )
                progress.advance(state=f"{activation}, N = {samples}")
    return pd.concat([pd.DataFrame(rows), _random_outputs(parameters["seed"])], ignore_index=True)


def _log10_pivot(parameters: Mapping[str, Any], activation: str, network: tuple[np.ndarray, ...], found: int) -> float:
    """log10 of the least exact pivot where float64 has not certified full rank and N is small enough, else NaN."""
    samples = len(network[0])
    analytic = activation in ("sigmoid", "softplus")
    if found == samples or not analytic or samples > parameters["exact_samples"]:
        return float("nan")
    least = exact_least_pivot(exact_feature_matrix(activation, network, parameters["digits"]), parameters["digits"])
    return float(least.log10()) if least else -float(parameters["digits"])


def _random_outputs(seed: int) -> pd.DataFrame:
    """Loss and errors of random outputs of every quality: the right class's output raised by a random amount."""
    import torch

    from zeroloss.networks.skip_dense import losses

    generator = numpy_generator(seed, "random outputs")
    logits = generator.standard_normal((LEMMA_DRAWS, LEMMA_SAMPLES, CLASSES))
    labels = generator.integers(CLASSES, size=LEMMA_SAMPLES)
    raised = generator.uniform(0, 12, size=(LEMMA_DRAWS, 1))
    logits[:, np.arange(LEMMA_SAMPLES), labels] += raised
    loss, errors = losses(torch.from_numpy(logits), torch.from_numpy(labels))
    columns = {"part": "outputs", "samples": LEMMA_SAMPLES, "draw": np.arange(LEMMA_DRAWS)}
    return pd.DataFrame({**columns, "loss": loss.numpy(), "errors": errors.numpy()})


def _tensors(data: Dataset, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    return torch.from_numpy(data.x).float().to(device), torch.from_numpy(data.y).long().to(device)


def surface(parameters: Mapping[str, Any], data: Dataset, device: str, quiet: bool) -> pd.DataFrame:
    """Train plain and skip networks of all seeds at once, then evaluate the loss on a plane through each solution."""
    import torch

    from zeroloss.networks.skip_dense import DenseNetworks, choose_wired, draw_networks
    from zeroloss.progress import Progress
    from zeroloss.training import skip_descent
    from zeroloss.training.surface import SCALINGS, directions, loss_surface, one_of

    x, y = _tensors(data, device)
    activation, widths = parameters["activation"], parameters["widths"]
    runs = [(seed, skip) for seed in parameters["seeds"] for skip in (False, True)]
    seeds = [seed for seed, _ in runs]
    wired = torch.stack([choose_wired(widths, len(x) if skip else None, seed) for seed, skip in runs])
    start = draw_networks(x.shape[1], widths, CLASSES, wired, activation, seeds)
    moved = [tensor.to(device) for tensor in start.tensors()]
    start = DenseNetworks(moved[:2], moved[2:4], moved[4], start.wired.to(device))
    # the reading that is drawn for all seeds, the others for the first ones
    planes = {
        one: runs if one == parameters["scaling"] else runs[: 2 * parameters["compared_seeds"]] for one in SCALINGS
    }
    rows = sum(map(len, planes.values())) * parameters["points"]
    tables = []
    with Progress(parameters["epochs"] + rows, f"nguyen2019 {activation}", quiet) as progress:
        networks, course = skip_descent.train(
            start,
            x,
            y,
            activation,
            torch.full((len(runs),), parameters["rate"]),
            momentum=parameters["momentum"],
            epochs=parameters["epochs"],
            batch=parameters["batch"],
            record_every=max(1, parameters["epochs"] // 20),
            order_seed=seeds[0],
            on_epoch=lambda epoch: progress.advance(state=f"epoch {epoch}"),
        )
        alphas = np.linspace(-parameters["extent"], parameters["extent"], parameters["points"])
        alphas[len(alphas) // 2] = 0.0
        one, two = np.meshgrid(alphas, alphas, indexing="ij")
        about = [{"activation": activation, "skip": skip, "seed": seed, "samples": len(x)} for seed, skip in runs]
        for scaling, chosen in planes.items():
            first, second = directions(networks, seeds, scaling)
            for k in range(len(chosen)):
                plane = one_of(networks, k), one_of(first, k), one_of(second, k)
                loss, errors = loss_surface(*plane, x, y, activation, alphas, progress.advance)
                grid = {"alpha_1": one.ravel(), "alpha_2": two.ravel(), "loss": loss.ravel(), "errors": errors.ravel()}
                tables.append(pd.DataFrame({"part": "surface", "scaling": scaling, **about[k], **grid}))
        for k, mine in enumerate(about):
            path = {"epoch": course.epochs, "loss": course.loss[:, k], "errors": course.errors[:, k]}
            path["diverged"] = np.repeat(course.diverged_at[k] >= 0, len(course.epochs))
            tables.append(pd.DataFrame({"part": "surface_training", **mine, **path}))
    return pd.concat(tables, ignore_index=True)


def deep(parameters: Mapping[str, Any], data: Dataset, device: str, quiet: bool) -> pd.DataFrame:
    """All learning rates and seeds, with and without skip connections, as one tensor."""
    import torch

    from zeroloss.networks.skip_dense import DenseNetworks, choose_wired, draw_networks
    from zeroloss.progress import Progress
    from zeroloss.training import skip_descent

    x, y = _tensors(data, device)
    widths = [parameters["width"]] * parameters["depth"]
    runs = [
        (seed, rate, skip) for seed in parameters["seeds"] for rate in parameters["rates"] for skip in (False, True)
    ]
    wired = torch.stack([choose_wired(widths, len(x) if skip else None, seed) for seed, _, skip in runs])
    start = draw_networks(x.shape[1], widths, CLASSES, wired, "softplus", [seed for seed, _, _ in runs])
    moved, depth = [tensor.to(device) for tensor in start.tensors()], len(widths)
    start = DenseNetworks(moved[:depth], moved[depth:-1], moved[-1], start.wired.to(device))
    with Progress(parameters["epochs"], "nguyen2019 deep", quiet) as progress:
        _, course = skip_descent.train(
            start,
            x,
            y,
            "softplus",
            torch.tensor([rate for _, rate, _ in runs]),
            momentum=parameters["momentum"],
            epochs=parameters["epochs"],
            batch=parameters["batch"],
            record_every=parameters["record_every"],
            order_seed=parameters["seeds"][0],
            on_epoch=lambda epoch: progress.advance(state=f"epoch {epoch}"),
        )
    tables = []
    for k, (seed, rate, skip) in enumerate(runs):
        about = {"part": "deep", "skip": skip, "rate": rate, "seed": seed, "samples": len(x)}
        path = {"epoch": course.epochs, "loss": course.loss[:, k], "errors": course.errors[:, k]}
        broken = course.diverged_at[k] >= 0
        path["diverged"] = broken & (course.epochs >= course.diverged_at[k])
        tables.append(pd.DataFrame({**about, **path}))
    return pd.concat(tables, ignore_index=True)


def cnn(
    parameters: Mapping[str, Any], data: Dataset, device: str, quiet: bool, checkpoints: Checkpoints | None = None
) -> pd.DataFrame:
    """Every variant and seed of one convolutional network with one activation."""
    import torch

    from zeroloss.checkpoint import KeptRows
    from zeroloss.networks.skip_cnn import SkipCnn, hidden_neurons
    from zeroloss.progress import Progress
    from zeroloss.theory.nguyen2019 import check_width
    from zeroloss.training.cnn_descent import train

    x, y = _tensors(data, device)
    count, (height, width, channels) = data.info["train"], data.info["shape"]
    images = x.view(len(x), height, width, channels).permute(0, 3, 1, 2).contiguous()
    shape = (height, width, channels)
    neurons = hidden_neurons(parameters["layers"], shape)
    if set(parameters["variants"]) - {"plain"}:
        check_width(neurons, count)
    passes = {v: parameters["rand_epochs" if v == "rand" else "epochs"] for v in parameters["variants"]}
    total = len(parameters["seeds"]) * sum(passes.values())
    rows, kept = [], KeptRows(checkpoints)
    with Progress(total, f"nguyen2019 {parameters['name']} {parameters['activation']}", quiet) as progress:

        def one(seed: int, variant: str) -> list[dict[str, Any]]:
            wired = None if variant == "plain" else count
            activation = parameters["activation"]
            network = SkipCnn(parameters["layers"], shape, CLASSES, activation, wired, seed, parameters["gain"])
            records = train(
                network.to(device),
                (images[:count], y[:count]),
                (images[count:], y[count:]),
                only_readout=variant == "rand",
                rate=parameters["rate"],
                momentum=parameters["momentum"],
                epochs=passes[variant],
                batch=parameters["batch"],
                record_every=parameters["record_every"],
                seed=seed,
                on_epoch=lambda epoch: progress.advance(state=f"{variant}, seed {seed}"),
                checkpoint=None if checkpoints is None else checkpoints.part(f"{variant}_{seed}"),
            )
            about = {"architecture": parameters["name"], "activation": activation, "variant": variant}
            sizes = {"seed": seed, "samples": count, "test_samples": len(x) - count, "neurons": neurons}
            sizes["largest_class"] = int(torch.bincount(y[:count]).max())
            return [{"part": "cnn", **about, **sizes, **vars(record)} for record in records]

        for seed in parameters["seeds"]:
            for variant in passes:
                rows += kept.of(f"{variant} {seed}", lambda s=seed, v=variant: one(s, v))  # type: ignore[misc]
    return pd.DataFrame(rows)
