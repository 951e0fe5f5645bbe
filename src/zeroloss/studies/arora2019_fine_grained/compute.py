"""What a cell computes: the spectrum and its consequences, or trained networks beside the prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.recipes import Dataset
from zeroloss.randomness import numpy_generator
from zeroloss.theory import arora2019_fine_grained as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.checkpoint import Checkpoint, Checkpoints
    from zeroloss.progress import Progress
    from zeroloss.training.limit_jumps import LimitBasis

Row = dict[str, Any]
WORST = "worst case"


def noisy_labels(y: np.ndarray, portion: float, seed: int, purpose: str) -> np.ndarray:
    """Each label, with probability ``portion``, replaced by a random sign; a label replaced at .3 is so at .5.

    Args:
        y: +1 or -1, float64, shape (n,).
        portion: in [0, 1].
        seed, purpose: of these labels: ``train`` and ``test`` are independent.
    """
    generator = numpy_generator(seed, "label noise", purpose)
    chosen, signs = generator.random(len(y)) < portion, generator.choice([-1.0, 1.0], len(y))
    return np.where(chosen, signs, y)


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """One tidy table; its column ``part`` is spectrum, noise, net, end, width or check.

    H-infinity and all that follows from it is float64; networks are float32 with residuals in float64.
    """
    from zeroloss.progress import Progress

    (data,) = datasets
    bodies = {"limit": _limit, "nets": _nets, "widths": _widths}
    total = {
        "limit": len(parameters["seeds"]),
        "nets": (len(parameters.get("portions", ())) + 1) * len(parameters["seeds"]) + 1,
        "widths": 2 * len(parameters["seeds"]) * len(parameters.get("widths", ())) * len(parameters.get("kappas", ())),
    }[parameters["part"]]
    with Progress(total, f"arora2019_fine_grained {parameters['source']} {parameters['part']}", quiet) as progress:
        rows = bodies[parameters["part"]](parameters, data, device, progress, checkpoints)
    about = {"data_title": data.info["title"], "fidelity": data.info["fidelity"], "labels": data.info["labels"]}
    return pd.DataFrame(rows).assign(source=parameters["source"], dimension=data.x.shape[1], **about)


def _basis(data: Dataset, samples: int, device: str) -> tuple[torch.Tensor, LimitBasis]:
    """The first inputs, float64, and the eigenvectors of their H-infinity."""
    import torch

    from zeroloss.kernels.relu_gram import infinite_width_gram
    from zeroloss.training.limit_jumps import LimitBasis

    x = torch.from_numpy(data.x[:samples]).to(device)
    return x, LimitBasis.of(infinite_width_gram(x), data.info["title"])


def _limit(
    parameters: Mapping[str, Any], data: Dataset, device: str, progress: Progress, checkpoints: Checkpoints | None
) -> list[Row]:
    """Eigenvalues and projections, largest first; complexity and errors of the limit's predictor for every portion."""
    import torch

    from zeroloss.kernels.tiled_solve import relu_kernel

    n = len(data.x)
    x, basis = _basis(data, n, device)
    values = basis.eigenvalues.flip(0).cpu().numpy()
    vectors = basis.vectors.flip(1)
    # predictions at infinite time: K(test, X) H^-1 y
    smoother = relu_kernel(torch.from_numpy(data.x_test).to(device), x) @ (
        vectors / torch.from_numpy(values).to(device)
    )
    step = parameters["relative_step"] / values[0]

    def projected(y: np.ndarray) -> np.ndarray:
        return (vectors.T @ torch.from_numpy(y).to(device)).cpu().numpy()

    def spectrum(label: str, seed: float, projections: np.ndarray) -> list[Row]:
        common = {"part": "spectrum", "samples": n, "label": label, "seed": seed, "step_size": step}
        columns = zip(values.tolist(), np.abs(projections).tolist(), strict=True)
        return [{**common, "index": k, "eigenvalue": v, "projection": p} for k, (v, p) in enumerate(columns, 1)]

    rows = spectrum("true", np.nan, projected(data.y))
    for seed in parameters["seeds"]:
        for portion in parameters["portions"]:
            projections = projected(noisy_labels(data.y, portion, seed, "train"))
            guess = (smoother @ torch.from_numpy(projections).to(device)).cpu().numpy()
            rows.append(
                {
                    "part": "noise", "samples": n, "seed": seed, "portion": portion,
                    "complexity": theory.complexity(values, projections),
                    **_test_errors(guess, noisy_labels(data.y_test, portion, seed, "test")),
                }
            )  # fmt: skip
            if portion == 1:
                rows += spectrum("random", seed, projections)
        progress.advance(state=f"seed {seed}")
    return rows


def _test_errors(guess: np.ndarray, labels: np.ndarray) -> Row:
    """Share of wrong signs; mean of |f - y| and of min(1, |f - y|), a loss that Theorem 5.1 allows."""
    gap = np.abs(guess - labels)
    return {
        "test_error": float((np.sign(guess) != labels).mean()),
        "test_l1": float(gap.mean()),
        "test_clipped": float(np.minimum(gap, 1.0).mean()),
        "test_samples": len(labels),
    }


@dataclass(frozen=True)
class Trained:
    """One network after training.

    Attributes:
        rows: loss and prediction at the recorded steps.
        moves: jumps that were computed.
        guess: outputs on the test inputs, shape (test images,).
        distance: |W(k) - W(0)|_F at the end.
    """

    rows: list[Row]
    moves: int
    guess: np.ndarray
    distance: float


def _train(
    problem: Problem,
    parameters: Mapping[str, Any],
    y: np.ndarray,
    *,
    seed: int,
    width: int,
    kappa: float,
    trust: float,
    centred: bool,
    checkpoint: Checkpoint | None,
) -> Trained:
    """Train one network on the labels y; ``centred``: f - f(0) is trained in the place of f."""
    import torch

    from zeroloss.networks.two_layer import initial_weights, outputs
    from zeroloss.training.limit_jumps import TwoLayerNet, descend, schedule

    x, basis, device = problem.x, problem.basis, problem.x.device
    weights, signs = initial_weights(width, x.shape[1], seed)
    net = TwoLayerNet(x.float(), weights * kappa, signs)
    start = net.weights.clone()
    labels = torch.from_numpy(y).to(device)
    targets = labels + net.outputs().double() if centred else labels
    steps = schedule(parameters["steps"], parameters["growth"])
    done = descend(net, targets, basis, problem.step, steps, trust, checkpoint=checkpoint)
    n, times = len(y), problem.step * done.steps
    predicted = theory.predicted_loss(_numpy(basis.eigenvalues), _numpy(basis.vectors.T @ labels), times, problem.step)
    common = {
        "samples": n, "width": width, "kappa": kappa, "seed": seed, "step_size": problem.step,
        "diverged": done.diverged_at is not None,
    }  # fmt: skip
    columns = zip(done.steps, times, done.squared_residual / (2 * n), predicted, strict=True)
    rows = [
        {**common, "step": int(k), "time": float(time), "loss": float(loss), "predicted": float(theorem)}
        for k, time, loss, theorem in columns
    ]
    guess = outputs(net.weights, signs.to(device), problem.x_test.float())  # none where nothing is tested
    return Trained(rows, done.moves, _numpy(guess), float((net.weights - start).double().norm()))


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


class Problem:
    """Training and test inputs on the device, H-infinity's basis, the step.

    Where there are fewer inputs than dimensions, networks see the coordinates in an orthonormal basis of their span: the
    outputs depend on nothing else, and Gaussian weights have the same law in it. So d is at most the number of inputs.
    """

    def __init__(self, data: Dataset, samples: int, relative_step: float, device: str, *, tested: bool) -> None:
        import torch

        x, self.basis = _basis(data, samples, device)
        inputs = torch.cat([x, torch.from_numpy(data.x_test).to(device)]) if tested else x
        if len(inputs) < inputs.shape[1]:
            inputs = torch.linalg.qr(inputs.T).R.T
        self.x, self.x_test = inputs[:samples].contiguous(), inputs[samples:].contiguous()
        self.step = relative_step / float(self.basis.eigenvalues[-1])

    def squared_norm(self, y: np.ndarray) -> float:
        """y^T (H-infinity)^-1 y."""
        import torch

        projections = _numpy(self.basis.vectors.T @ torch.from_numpy(y).to(self.x.device))
        return theory.squared_norm(self.basis.eigenvalues.cpu().numpy(), projections)


def _nets(
    parameters: Mapping[str, Any], data: Dataset, device: str, progress: Progress, checkpoints: Checkpoints | None
) -> list[Row]:
    """Every portion and the worst case, for all seeds; then one run of the first seed with single steps only."""
    n, width, kappa = parameters["samples"], parameters["width"], parameters["kappa"]
    problem = Problem(data, n, parameters["relative_step"], device, tested=True)
    size: dict[str, Any] = {"width": width, "kappa": kappa, "centred": False}
    rows: list[Row] = []
    for seed in parameters["seeds"]:
        for portion in (*parameters["portions"], WORST):
            if portion == WORST:
                y, about = _numpy(problem.basis.vectors[:, 0]) * n**0.5, {"label": WORST}
            else:
                y = noisy_labels(data.y[:n], portion, seed, "train")
                about = {"portion": portion, "label": {0: "true", 1: "random"}.get(portion, "mixed")}
            state = _part(checkpoints, f"seed{seed}_{portion}")
            net = _train(problem, parameters, y, seed=seed, trust=parameters["trust"], checkpoint=state, **size)
            last, norm = net.rows[-1], problem.squared_norm(y)
            rows += [{"part": "net", **about, **row} for row in net.rows]
            end = {"part": "end", **about, **last, "moves": net.moves, "distance": net.distance, "squared_norm": norm}
            if portion != WORST:
                end |= _test_errors(net.guess, noisy_labels(data.y_test, portion, seed, "test"))
                end["complexity"] = (2 * norm / n) ** 0.5
            rows.append(end)
            progress.advance(state=f"seed {seed}, {portion}: loss {last['loss']:.3g}, {net.moves} jumps")
    seed = parameters["seeds"][0]
    y = noisy_labels(data.y[:n], 1.0, seed, "train")
    # a trust this small never lets a jump grow beyond one step
    state = _part(checkpoints, "single_steps")
    single = _train(problem, parameters, y, seed=seed, trust=1e-12, checkpoint=state, **size)
    progress.advance()
    return rows + [{"part": "check", "label": "random", **row} for row in single.rows]


def _part(checkpoints: Checkpoints | None, name: str) -> Checkpoint | None:
    return None if checkpoints is None else checkpoints.part(name.replace(" ", "_"))


def _widths(
    parameters: Mapping[str, Any], data: Dataset, device: str, progress: Progress, checkpoints: Checkpoints | None
) -> list[Row]:
    n = parameters["samples"]
    problem = Problem(data, n, parameters["relative_step"], device, tested=False)
    rows: list[Row] = []
    for width in parameters["widths"]:
        for kappa in parameters["kappas"]:
            for seed in parameters["seeds"]:
                for label, portion in (("true", 0.0), ("random", 1.0)):
                    y = noisy_labels(data.y[:n], portion, seed, "train")
                    net = _train(
                        problem, parameters, y, seed=seed, width=width, kappa=kappa, trust=parameters["trust"],
                        centred=True, checkpoint=_part(checkpoints, f"width{width}_kappa{kappa}_seed{seed}_{label}"),
                    )  # fmt: skip
                    about = {"part": "width", "label": label, "distance": net.distance,
                             "squared_norm": problem.squared_norm(y)}  # fmt: skip
                    rows += [{**about, **row} for row in net.rows]
                    progress.advance(state=f"m={width}, kappa={kappa:g}, {net.moves} jumps")
    return rows
