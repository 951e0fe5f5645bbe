"""What is computed: final losses of many starts by width, copied minima, curvature at zero, times of escape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Len
from pydantic import Field

from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import PositiveCount, Seeds, StepSize, Widths

if TYPE_CHECKING:
    import torch

# A loss below this share of |y|^2 / 2 counts as zero: residuals to 8 digits, half of what float64 holds.
ZERO = 1e-16
# Stuck: gradient below this, where the labels are of order 1. A strict minimum comes out far below it (1e-8 and less);
# units that saturate move to infinity ever more slowly, and their gradient falls no faster than one over the steps.
STATIONARY = 1e-4
# Curvatures within this of zero cannot be told from zero at such a gradient.
FLAT = 1e-5

Units = Annotated[PositiveCount, Field(ge=2)]


class StartSettings(StudySettings):
    """Random starts of sigmoid networks (001-TH7)."""

    problems: Seeds = Field(description="seeds of inputs, labels and starts; each is a problem of its own")
    samples: PositiveCount = Field(description="number of patterns n")
    dimension: PositiveCount = Field(description="input dimension d, without the threshold")
    units: Annotated[list[Units], Len(min_length=2)] = Field(
        description="hidden units k, the constant one included: n is the theorem's width"
    )
    starts: PositiveCount = Field(description="random starts for each problem and width")
    initial_scale: StepSize = Field(description="standard deviation of first-layer weights and thresholds")
    relative_step: StepSize = Field(description="c in the step size c / (n k) of gradient descent")
    descent_steps: PositiveCount = Field(description="gradient descent steps")
    newton_steps: PositiveCount = Field(description="most Levenberg-Marquardt steps after gradient descent")
    label_noise: StepSize = Field(description="noise of the smooth labels whose narrow minima are copied")
    copied: PositiveCount = Field(description="copied minima to examine, those with the most curvature")
    nearby: PositiveCount = Field(description="starts near each copied minimum")
    radius: StepSize = Field(description="their distance from it")


class SaddleSettings(StudySettings):
    """The point zero of deep networks (001-Q1)."""

    seeds: Seeds = Field(description="seeds of inputs, labels, directions and starts")
    samples: PositiveCount = Field(description="number of inputs n of the Hessian at zero")
    dimension: PositiveCount = Field(description="width of every layer d")
    depths: Widths = Field(description="numbers of weight matrices, from 2 on")
    directions: PositiveCount = Field(description="pairs of random directions for second differences")
    scales: Annotated[list[StepSize], Len(min_length=2)] = Field(description="sizes epsilon of the starts near zero")
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="singular value k of the target is this^k, k = 0, 1.."
    )
    step: StepSize = Field(description="gradient descent step size")
    most_steps: PositiveCount = Field(description="the most steps")


class Settings(StudySettings):
    """Yu and Chen 1995, and saddles at zero."""

    starts: StartSettings = Field(description="sigmoid networks from random starts")
    saddle: SaddleSettings = Field(description="the saddle at zero of deep networks")


def recipes(settings: Settings) -> list[Recipe]:
    """None: ten patterns for each problem are drawn where they are used."""
    return []


def cells(settings: Settings) -> list[Cell]:
    starts, saddle = settings.starts, settings.saddle
    batch = len(starts.problems) * starts.starts
    work = batch * starts.samples * sum(starts.units) * starts.dimension
    seconds = 5 + work * (starts.descent_steps * 1.5e-8 + starts.newton_steps * 8e-8)
    steps = saddle.most_steps * len(saddle.depths)
    return [
        Cell("starts", {"part": "starts", **starts.model_dump()}, (), Cost(seconds, 550)),
        Cell("saddle", {"part": "saddle", **saddle.model_dump()}, (), Cost(4 + steps * 2e-5, 550)),
    ]


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """One row per start, per copied minimum and nearby start, per curvature, per escape; ``part`` tells which.

    float64 on the CPU: the matrices have some tens of rows.
    """
    from zeroloss.progress import Progress

    starts = parameters["part"] == "starts"
    total = len(parameters["units"]) + 1 if starts else len(parameters["depths"])
    with Progress(total, f"yu_chen1995 {parameters['part']}", quiet) as progress:
        return _run_starts(parameters, progress) if starts else pd.DataFrame(_run_saddle(parameters, progress))


def problem(parameters: Mapping[str, Any], seed: int, smooth: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Inputs N(0, I) with their constant coordinate, (n, d + 1), and labels, (n,).

    Labels are N(0, 1) or, smooth, tanh of the first coordinate plus a little of that noise: on random labels a narrow
    network's units saturate, and its minima lie at infinity. The smooth problem has no constant coordinate, as in the
    document's sigma(W_1 X): with one, the curvature that a copied minimum needs was indefinite wherever we looked.
    """
    generator = numpy_generator(seed, "patterns")
    x = generator.standard_normal((parameters["samples"], parameters["dimension"]))
    labels = numpy_generator(seed, "labels").standard_normal(len(x))
    if smooth:
        return x, np.tanh(x[:, 0]) + parameters["label_noise"] * labels
    return np.hstack([x, np.ones((len(x), 1))]), labels


def _starts(
    parameters: Mapping[str, Any], units: int, smooth: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Starts (batch, p), inputs (batch, n, d + 1) and labels (batch, n), problem by problem."""
    import torch

    theta, inputs, labels = [], [], []
    hidden = units - 1
    for seed in parameters["problems"]:
        x, y = problem(parameters, seed, smooth)
        generator = numpy_generator(seed, "start", units)
        first = parameters["initial_scale"] * generator.standard_normal((parameters["starts"], hidden * x.shape[1]))
        outputs = generator.standard_normal((parameters["starts"], hidden)) / hidden**0.5
        theta.append(np.hstack([first, outputs, np.zeros((parameters["starts"], 1))]))
        inputs.append(np.broadcast_to(x, (parameters["starts"], *x.shape)))
        labels.append(np.broadcast_to(y, (parameters["starts"], *y.shape)))
    as_tensor = [torch.from_numpy(np.concatenate(parts)) for parts in (theta, inputs, labels)]
    return as_tensor[0], as_tensor[1], as_tensor[2]


def kind_of(relative_loss: float, gradient: float, curvature: float) -> str:
    """What a run ended at: zero, strict minimum, flat, saddle, unfinished or diverged.

    flat: stationary with a curvature of zero to rounding, such as units saturated on the way to infinity.
    """
    if not np.isfinite(relative_loss):
        return "diverged"
    if relative_loss <= ZERO:
        return "zero"
    if gradient > STATIONARY:
        return "unfinished"
    return "strict minimum" if curvature > FLAT else "flat" if curvature >= -FLAT else "saddle"


def _ends(parameters: Mapping[str, Any], units: int, smooth: bool) -> tuple[pd.DataFrame, torch.Tensor]:
    """Where all starts of one width end, one row each, and their parameters (batch, p)."""
    import torch

    from zeroloss.networks.sigmoid_layer import residuals_and_jacobian
    from zeroloss.training.least_squares import gradient_descent, levenberg_marquardt

    initial, inputs, labels = _starts(parameters, units, smooth)

    def model(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return residuals_and_jacobian(at, inputs, labels)

    whole = 0.5 * (labels**2).sum(dim=1)
    step = parameters["relative_step"] / (parameters["samples"] * units)
    theta = gradient_descent(initial, model, step, parameters["descent_steps"])
    finite = torch.isfinite(theta).all(dim=1)
    after_descent = 0.5 * (model(theta)[0] ** 2).sum(dim=1) / whole
    # what overflowed is reported as diverged; it goes on from its start only to keep the batch in one piece
    theta = levenberg_marquardt(torch.where(finite[:, None], theta, initial), model, parameters["newton_steps"])
    found, jacobian = model(theta)
    relative = torch.where(finite, 0.5 * (found**2).sum(dim=1) / whole, torch.full_like(whole, float("nan")))
    curvature = torch.full_like(relative, float("nan"))
    left = (relative > ZERO).nonzero()[:, 0]
    if len(left):
        curvature[left] = torch.linalg.eigvalsh(_hessians(theta[left], inputs[left], labels[left]))[:, 0]
    table = pd.DataFrame(
        {
            "part": "starts", "units": units, "problem": np.repeat(parameters["problems"], parameters["starts"]),
            "start": np.tile(np.arange(parameters["starts"]), len(parameters["problems"])),
            "after_descent": after_descent.numpy(), "relative_loss": relative.numpy(),
            "gradient": (found[:, None] @ jacobian)[:, 0].norm(dim=1).numpy(), "curvature": curvature.numpy(),
            "largest_weight": theta.abs().amax(dim=1).numpy(),
        }
    )  # fmt: skip
    ends = zip(table["relative_loss"], table["gradient"], table["curvature"], strict=True)
    return table.assign(kind=[kind_of(*end) for end in ends]), theta


def _hessians(theta: torch.Tensor, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    import torch

    from zeroloss.networks.sigmoid_layer import residuals

    def loss(one: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 0.5 * (residuals(one, x, y) ** 2).sum()

    return torch.func.vmap(torch.func.hessian(loss))(theta, inputs, labels)


def _run_starts(parameters: Mapping[str, Any], progress: Any) -> pd.DataFrame:
    tables = []
    for units in parameters["units"]:
        table, _ = _ends(parameters, units, smooth=False)
        tables.append(table)
        progress.advance(state=f"k={units}, {(table['kind'] == 'zero').sum()} of {len(table)} at zero")
    # one sigmoid and the constant: the narrowest network has the most strict minima
    narrowest, theta = _ends(parameters, 2, smooth=True)
    strict = narrowest[narrowest["kind"] == "strict minimum"]
    minima = [(int(seed), theta[int(index)]) for index, seed in strict["problem"].items()]
    copies = _copied_minima(parameters, minima)
    progress.advance(state=f"{len(copies)} starts near copied minima")
    return pd.concat([*tables, pd.DataFrame(copies)], ignore_index=True)


def _copied_minima(parameters: Mapping[str, Any], minima: list[Any]) -> list[dict[str, Any]]:
    """Widen strict minima of networks with one sigmoid to n units by copies of it; look at what is around them."""
    import torch

    from zeroloss.networks.sigmoid_layer import curvature_of_unit, residuals_and_jacobian, with_copies
    from zeroloss.training.least_squares import gradient_descent

    n, found, seen = parameters["samples"], [], set()
    units = 2
    for seed, theta in minima:
        x, y = (torch.from_numpy(one) for one in problem(parameters, seed, smooth=True))
        least = torch.linalg.eigvalsh(curvature_of_unit(theta, x, y))[:, 0]
        unit = int(least.argmax())
        loss = float(0.5 * (residuals_and_jacobian(theta[None], x[None], y[None])[0] ** 2).sum() / (0.5 * (y**2).sum()))
        name = (seed, round(loss, 9))  # many starts end at the same minimum
        if float(least[unit]) > FLAT and name not in seen:
            seen.add(name)
            found.append((float(least[unit]), seed, with_copies(theta, x.shape[1], unit, n - units + 1)))
    rows = []
    for example, (least, seed, wide) in enumerate(sorted(found, key=lambda one: -one[0])[: parameters["copied"]]):
        x, y = (torch.from_numpy(one) for one in problem(parameters, seed, smooth=True))
        whole = 0.5 * (y**2).sum()
        residual, jacobian = residuals_and_jacobian(wide[None], x[None], y[None])
        curvature = torch.linalg.eigvalsh(_hessians(wide[None], x[None], y[None]))[0, 0]
        kick = numpy_generator(seed, "nearby", example).standard_normal((parameters["nearby"], len(wide)))
        kick *= parameters["radius"] / np.linalg.norm(kick, axis=1, keepdims=True)
        near = wide + torch.from_numpy(kick)
        batch = (x.expand(len(near), -1, -1), y.expand(len(near), -1))

        def model(at: torch.Tensor, batch: Any = batch) -> Any:
            return residuals_and_jacobian(at, *batch)

        step = parameters["relative_step"] / (n * n)
        before = 0.5 * (model(near)[0] ** 2).sum(dim=1) / whole
        after = (
            0.5 * (model(gradient_descent(near, model, step, parameters["descent_steps"]))[0] ** 2).sum(dim=1) / whole
        )
        shared = {
            "part": "copied", "problem": seed, "units": n, "example": example, "narrow_units": units,
            "relative_loss": float(0.5 * (residual**2).sum() / whole), "curvature": float(curvature),
            "gradient": float((residual[:, None] @ jacobian).norm()), "unit_curvature": least,
        }  # fmt: skip
        for index in range(len(near)):
            values = {"before": float(before[index]), "after": float(after[index])}
            rows.append({**shared, "start": index, **values})
    return rows


def _run_saddle(parameters: Mapping[str, Any], progress: Any) -> list[dict[str, Any]]:
    rows = []
    for depth in parameters["depths"]:
        for seed in parameters["seeds"]:
            rows += [_curvature_at_zero(parameters, depth, seed, activation) for activation in ("linear", "ReLU")]
        rows += _escapes(parameters, depth)
        progress.advance(state=f"depth {depth}")
    return rows


def _curvature_at_zero(parameters: Mapping[str, Any], depth: int, seed: int, activation: str) -> dict[str, Any]:
    """Hessian of 1/2 |f(X) - Y|^2 at zero by automatic differentiation, and second differences along directions.

    A network without thresholds is homogeneous, f(t v) = t^L f(v), so the second derivative along v is
    q(v) = -2 <Y, f(v)> at depth 2 and 0 beyond. Where a Hessian exists q is a quadratic form and obeys the
    parallelogram law; what is missing is given in units of the largest |q|.
    """
    import torch

    d, n = parameters["dimension"], parameters["samples"]
    generator = numpy_generator(seed, "saddle")
    x, y = (torch.from_numpy(generator.standard_normal((d, n))) for _ in range(2))

    def network(flat: torch.Tensor) -> torch.Tensor:
        signal = x
        for index, layer in enumerate(flat.view(depth, d, d)):
            signal = layer @ signal
            if activation == "ReLU" and index < depth - 1:
                signal = torch.relu(signal)
        return signal

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return 0.5 * ((network(flat) - y) ** 2).sum()

    zero = torch.zeros(depth * d * d, dtype=torch.float64)
    hessian = torch.func.hessian(loss)(zero)
    spectrum = torch.linalg.eigvalsh(hessian)

    def second(direction: torch.Tensor) -> float:
        return float(-2 * (y * network(direction)).sum()) if depth == 2 else 0.0

    pairs = numpy_generator(seed, "directions").standard_normal((parameters["directions"], 2, len(zero)))
    u, v = (torch.from_numpy(pairs[:, k] / np.linalg.norm(pairs[:, k], axis=1, keepdims=True)) for k in range(2))
    q = [[second(one) for one in batch] for batch in (u, v, u + v, u - v)]
    values = np.array(q)
    largest = np.abs(values).max()
    defect = np.abs(values[2] + values[3] - 2 * values[0] - 2 * values[1]).max()
    # the first power of t that the loss has along a direction: a log-log slope between two small t
    steps = np.array([1e-2, 2e-2])
    gaps = [abs(float((0.5 * network(t * u[0]) ** 2 - y * network(t * u[0])).sum())) for t in steps]
    return {
        "part": "curvature", "activation": activation, "depth": depth, "seed": seed,
        "gradient": float(torch.func.grad(loss)(zero).norm()), "hessian_least": float(spectrum[0]),
        "hessian_largest_entry": float(hessian.abs().max()),
        "top_singular_value": float(torch.linalg.matrix_norm(y @ x.T, ord=2)),
        "least_second_difference": float(values[:2].min()),
        "parallelogram_defect": float(defect / largest) if largest > 0 else 0.0,
        "order": float(np.log(gaps[1] / gaps[0]) / np.log(2)),
    }  # fmt: skip


def _escapes(parameters: Mapping[str, Any], depth: int) -> list[dict[str, Any]]:
    """Steps to half the loss from layers epsilon Q, Q random orthogonal and the same for every epsilon."""
    import torch

    from zeroloss.training.deep_linear_escape import escape_steps

    d = parameters["dimension"]
    target = torch.diag(torch.from_numpy(parameters["decay"] ** np.arange(d)))
    starts = []
    for seed in parameters["seeds"]:
        normal = numpy_generator(seed, "escape", depth).standard_normal((depth, d, d))
        orthogonal = np.linalg.qr(normal)[0]
        starts += [scale * orthogonal for scale in parameters["scales"]]
    taken = escape_steps(torch.from_numpy(np.stack(starts)), target, parameters["step"], parameters["most_steps"])
    pairs = [(seed, scale) for seed in parameters["seeds"] for scale in parameters["scales"]]
    return [
        {"part": "escape", "depth": depth, "seed": seed, "scale": scale, "time": float(count) * parameters["step"]}
        for (seed, scale), count in zip(pairs, taken, strict=True)
    ]
