"""What one cell computes. The column ``part`` tells the experiments apart."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.corruption import corrupt_labels
from zeroloss.datasets.recipes import Dataset
from zeroloss.randomness import numpy_generator
from zeroloss.studies.kawaguchi_huang2019.experiment import LABELS
from zeroloss.theory import kawaguchi_huang2019 as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.checkpoint import Checkpoints
    from zeroloss.networks.practical_size import Network


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """The tidy table of one cell, float64 throughout."""
    if parameters["part"] == "capacity":
        return _capacity(parameters, quiet, checkpoints)
    parts = {
        "curve": _squared,
        "cross_entropy": _cross_entropy,
        "trainability": _trainability,
    }
    return parts[parameters["part"]](parameters, datasets, device, quiet)


def recorded_steps(steps: int, per_decade: int) -> list[int]:
    """0, and steps evenly spaced in the logarithm up to ``steps``."""
    points = int(np.ceil(np.log10(steps) * per_decade)) + 1
    return [0, *sorted({round(float(step)) for step in np.geomspace(1, steps, points)})]


def unit_inputs(images: np.ndarray) -> np.ndarray:
    """Images as rows of unit length, as the paper asks; shape (n, m_x), float64."""
    x = images.reshape(len(images), -1).astype(np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def resplit(data: Dataset, seed: int) -> Dataset:
    """Training and test images pooled and split again at random, in the same numbers.

    The proposition is about independent draws from one law; some sources are sorted by class or writer, and some have a
    test set from other writers.
    """
    n = len(data.y)
    images, classes = np.concatenate([data.x, data.x_test]), np.concatenate([data.y, data.y_test])
    order = numpy_generator(seed, "split").permutation(len(classes))
    images, classes = images[order], classes[order]
    return Dataset(images[:n], classes[:n], data.info, images[n:], classes[n:])


def labels_of(data: Dataset, labels: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes for training and testing. Random ones are uniform in both: a data set without anything to learn."""
    if labels == "true":
        return data.y, data.y_test
    both = np.concatenate([data.y, data.y_test])
    drawn = corrupt_labels(both, 1.0, data.info["classes"], numpy_generator(seed, "random classes"))
    return drawn[: len(data.y)], drawn[len(data.y) :]


def _network(found: Mapping[str, Any], inputs: int, outputs: int) -> Network:
    from zeroloss.networks.practical_size import Network

    return Network(
        inputs, tuple(found["widths"]), outputs, found["activation"], found["scale"],
        found["weight_variance"], found["bias_variance"],
    )  # fmt: skip


def _quality(
    parameters: Mapping[str, Any],
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    norm: float,
    size: float,
) -> dict[str, float]:
    """What the generalisation figure shows at one step.

    ``train`` and ``test`` are outputs and classes, ``size`` the root mean square length of the last layer's inputs: the
    paper takes it for O(1) and puts it into c, so the bound is evaluated with c = 1 and with c = ``size``.
    """
    train_accuracy, test_accuracy = (1 - float(theory.zero_one_loss(*part).mean()) for part in (train, test))
    outputs, classes = train
    margin_loss = float(theory.margin_loss(outputs, classes, parameters["margin"]).mean())

    def bound(constant: float) -> float:
        margin, scale, failure = (parameters[name] for name in ("margin", "bound_scale", "bound_failure"))
        sizes = (len(classes), outputs.shape[1])
        return float(theory.generalisation_bound(np.array(norm), *sizes, margin, scale, failure, constant))

    return {
        "train_accuracy": train_accuracy,
        "test_accuracy": test_accuracy,
        "gap": train_accuracy - test_accuracy,
        "margin_loss": margin_loss,
        "true_gap": 1 - test_accuracy - margin_loss,
        "weight_norm": norm,
        "bound": bound(1.0),
        "bound_features": bound(size),
        "feature_size": size,
    }


def _about(parameters: Mapping[str, Any], data: Dataset, network: Network) -> dict[str, Any]:
    return {
        "part": parameters["part"],
        "source": parameters["source"],
        "data_title": data.info["title"],
        "fidelity": data.info["fidelity"],
        "outputs": network.outputs,
        "parameters": theory.parameter_count(network.inputs, network.widths, network.outputs),
        "widths": ", ".join(map(str, network.widths)),
    }


def _last_layer_norm(weights: torch.Tensor) -> float:
    """|W^T|_(2,infinity): the largest Euclidean norm of the weights of one output, threshold included."""
    return float(weights.norm(dim=1).max())


def _squared(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    """Natural and random labels for every variant and seed; both labels share one eigendecomposition."""
    import torch

    from zeroloss.networks.practical_size import features, initial_layers
    from zeroloss.progress import Progress
    from zeroloss.training.last_layer import SquaredLossDescent, spectrum, stable_step

    (images,) = datasets
    outputs, rows = int(images.info["classes"]), []
    steps = recorded_steps(parameters["steps"], parameters["points_per_decade"])
    total = len(parameters["networks"]) * len(parameters["seeds"])
    with Progress(total, f"kawaguchi_huang2019 {parameters['source']}", quiet) as progress:
        for found in parameters["networks"]:
            network = _network(found, images.x[0].size, outputs)
            for seed in parameters["seeds"]:
                data = resplit(images, seed)
                x, x_test = (torch.from_numpy(unit_inputs(part)).to(device) for part in (data.x, data.x_test))
                layers = [layer.to(device) for layer in initial_layers(network, seed)]
                phi, phi_test = features(network, layers, x), features(network, layers, x_test)
                first = layers[-1] if found["random_start"] else torch.zeros_like(layers[-1])
                size = float(phi.square().sum(dim=1).mean()) ** 0.5
                basis = spectrum(phi)
                step = parameters["relative_step"] * stable_step(basis, 1.0)
                for labels in LABELS:
                    classes, test_classes = labels_of(data, labels, seed)
                    targets = torch.eye(outputs, dtype=x.dtype, device=device)[torch.from_numpy(classes).to(device)]
                    path = SquaredLossDescent.of(basis, phi @ first.T - targets, step)
                    shared = {
                        **_about(parameters, data, network),
                        "variant": found["variant"],
                        "labels": labels,
                        "seed": seed,
                        "step_size": step,
                        "curvature": float(basis.values[-1]) / len(x),
                        "condition": float(basis.values[0] / basis.values[-1]),
                        "rank": int(basis.positive.sum()),
                        "distance": path.distance_to_minimiser(),
                        "least_loss": path.least_loss(),
                    }
                    losses = path.loss(steps)
                    # fitted outputs from the residuals, not from the weights, which cancel where training is long
                    fitted = (path.residuals(steps) + targets).cpu().numpy()
                    weights = first + (path.coefficients(steps).mT.flatten(0, 1) @ phi).unflatten(0, (-1, outputs))
                    tested = (weights.flatten(0, 1) @ phi_test.T).unflatten(0, (-1, outputs)).mT.cpu().numpy()
                    for index, k in enumerate(steps):
                        norm = _last_layer_norm(weights[index])
                        quality = _quality(
                            parameters, (fitted[index], classes), (tested[index], test_classes), norm, size
                        )
                        rows.append({**shared, "step": k, "loss": float(losses[index]), **quality})
                progress.advance(state=f"{found['variant']} seed {seed}")
    return pd.DataFrame(rows)


def _cross_entropy(
    parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool
) -> pd.DataFrame:
    """All seeds and both labels as one batch, stepped in function space, from a last layer of zeros."""
    import torch

    from zeroloss.networks.practical_size import features, initial_layers
    from zeroloss.progress import Progress
    from zeroloss.theory.assumptions import ZETA
    from zeroloss.training.last_layer import cross_entropy, cross_entropy_step

    (images,) = datasets
    n, outputs = parameters["samples"], int(images.info["classes"])
    (found,) = parameters["networks"]
    network = _network(found, images.x[0].size, outputs)
    runs = [(seed, labels) for seed in parameters["seeds"] for labels in LABELS]
    phi, tests, classes = [], [], []
    for seed in parameters["seeds"]:
        data = resplit(images, seed)
        data = Dataset(data.x[:n], data.y[:n], data.info, data.x_test, data.y_test)
        x, x_test = (torch.from_numpy(unit_inputs(part)).to(device) for part in (data.x, data.x_test))
        layers = [layer.to(device) for layer in initial_layers(network, seed)]
        phi.append(features(network, layers, x))
        tests.append(features(network, layers, x_test))
        classes += [labels_of(data, labels, seed) for labels in LABELS]
    picked = torch.stack([torch.from_numpy(train) for train, _ in classes]).to(device)
    targets = torch.nn.functional.one_hot(picked, outputs).double()
    grams = torch.stack([one @ one.T for one in phi])
    curvature = torch.linalg.eigvalsh(grams)[:, -1] / n
    gram = grams.repeat_interleave(2, dim=0)
    etas = parameters["relative_step"] / (ZETA["cross_entropy"] * curvature).repeat_interleave(2)
    now, alpha = torch.zeros_like(targets), torch.zeros_like(targets)
    record, rows = set(recorded_steps(parameters["steps"], parameters["points_per_decade"])), []
    with Progress(parameters["steps"], "kawaguchi_huang2019 cross-entropy", quiet) as progress:
        for k in range(parameters["steps"] + 1):
            if k in record:
                losses = cross_entropy(now, picked)
                for index, (seed, labels) in enumerate(runs):
                    weights = alpha[index].T @ phi[index // 2]
                    tested = (tests[index // 2] @ weights.T).cpu().numpy()
                    train = (now[index].cpu().numpy(), classes[index][0])
                    size = float(phi[index // 2].square().sum(dim=1).mean()) ** 0.5
                    tests_here = (tested, classes[index][1])
                    quality = _quality(parameters, train, tests_here, _last_layer_norm(weights), size)
                    rows.append(
                        {
                            **_about(parameters, images, network), "variant": "working", "labels": labels, "seed": seed,
                            "step_size": float(etas[index]), "curvature": float(curvature[index // 2]), "step": k,
                            "loss": float(losses[index]), **quality,
                        }
                    )  # fmt: skip
            now, alpha = cross_entropy_step(gram, now, targets, alpha, etas[:, None, None] / n)
            progress.advance()
    return pd.DataFrame(rows)


def sphere_problem(samples: int, dimension: int, outputs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs uniform on the unit sphere (n, m_x), labels uniform on [-1, 1] (n, m_y): a member of the paper's S_n."""
    x = numpy_generator(seed, "inputs").standard_normal((samples, dimension))
    y = numpy_generator(seed, "labels", outputs).uniform(-1, 1, (samples, outputs))
    return x / np.linalg.norm(x, axis=1, keepdims=True), y


def _trainability(parameters: Mapping[str, Any], datasets: Sequence[Dataset], device: str, quiet: bool) -> pd.DataFrame:
    """One row per network and start: whether the last layer reaches epsilon in time."""
    import torch

    from zeroloss.networks.practical_size import features, initial_layers
    from zeroloss.progress import Progress
    from zeroloss.training.last_layer import SquaredLossDescent, spectrum, stable_step

    n, outputs = parameters["samples"], parameters["outputs"]
    problem = sphere_problem(n, parameters["dimension"], outputs, parameters["seed"])
    x, y = (torch.from_numpy(part).to(device) for part in problem)
    rows = []
    with Progress(len(parameters["networks"]), "kawaguchi_huang2019 trainability", quiet) as progress:
        for found in parameters["networks"]:
            network = _network({**parameters, **found}, x.shape[1], outputs)
            for start in range(parameters["starts"]):
                layers = initial_layers(network, parameters["seed"], "start", start)
                phi = features(network, [layer.to(device) for layer in layers], x)
                basis = spectrum(phi)
                path = SquaredLossDescent.of(basis, -y, stable_step(basis, 1.0))
                loss = float(path.loss([parameters["steps"]])[0])
                rows.append(
                    {
                        "part": "trainability",
                        "bottleneck": found["bottleneck"],
                        "last": found["last"],
                        "widths": ", ".join(map(str, network.widths)),
                        "parameters": theory.parameter_count(network.inputs, network.widths, outputs),
                        "equations": n * outputs,
                        "start": start,
                        "rank": int(basis.positive.sum()),
                        "loss": loss,
                        "reached": float(loss <= parameters["epsilon"]),
                    }
                )
            progress.advance(state=f"widths {network.widths}")
    return pd.DataFrame(rows)


def _capacity(parameters: Mapping[str, Any], quiet: bool, checkpoints: Checkpoints | None) -> pd.DataFrame:
    """One row per depth, outputs, width, data set and start: the error that Levenberg-Marquardt ends with.

    On the CPU: the matrices are small.
    """
    from zeroloss.checkpoint import KeptRows
    from zeroloss.progress import Progress

    rows, kept = list[dict[str, Any]](), KeptRows(checkpoints)
    with Progress(sum(map(len, parameters["widths"].values())), "kawaguchi_huang2019 capacity", quiet) as progress:
        for key, widths in parameters["widths"].items():
            depth, outputs = map(int, key.split())
            for width in widths:
                one = functools.partial(_capacity_of, parameters, depth, outputs, width)
                rows += kept.of(f"{depth} {outputs} {width}", one)
                progress.advance(state=f"H={depth}, m_y={outputs}, width {width}")
    return pd.DataFrame(rows)


def _capacity_of(parameters: Mapping[str, Any], depth: int, outputs: int, width: int) -> list[dict[str, Any]]:
    """All data sets and starts of one network."""
    import torch

    from zeroloss.networks.practical_size import Network, initial_layers, residuals_and_jacobian
    from zeroloss.training.least_squares import levenberg_marquardt

    n = parameters["samples"]
    problems = [sphere_problem(n, parameters["dimension"], outputs, seed) for seed in parameters["seeds"]]
    x, y = (
        torch.from_numpy(np.stack(part)).repeat_interleave(parameters["starts"], dim=0)
        for part in zip(*problems, strict=True)
    )
    variances = (parameters["weight_variance"], parameters["bias_variance"])
    network = Network(parameters["dimension"], (width,) * depth, outputs, "tanh", 1.0, *variances)
    theta = torch.stack(
        [
            torch.cat([layer.flatten() for layer in initial_layers(network, seed, "start", start)])
            for seed in parameters["seeds"]
            for start in range(parameters["starts"])
        ]
    )

    def model(at: torch.Tensor) -> Any:
        return residuals_and_jacobian(network, at, x, y)

    theta = levenberg_marquardt(theta, model, parameters["newton_steps"])
    errors = model(theta)[0].square().sum(dim=1)
    size = y.square().sum(dim=(1, 2))
    return [
        {
            "part": "capacity",
            "depth": depth,
            "outputs": outputs,
            "width": width,
            "parameters": theta.shape[1],
            "equations": n * outputs,
            "seed": parameters["seeds"][index // parameters["starts"]],
            "start": index % parameters["starts"],
            "error": float(errors[index]),
            "relative_error": float(errors[index] / size[index]),
            "squared_norm": float(theta[index].square().sum()),
        }
        for index in range(len(theta))
    ]
