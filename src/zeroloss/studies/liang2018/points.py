"""Critical points of the loss with the neuron, the bad minima without it, and the theorem without its assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroloss.randomness import numpy_generator
from zeroloss.studies.liang2018.toys import Toy

if TYPE_CHECKING:
    import torch

    from zeroloss.networks.exponential_neuron import LossName, UnitName

A, W, B = 4, 5, 6


def bad_minimum_row(name: str, toy: Toy, radius: float) -> dict[str, Any]:
    """Loss, gradient and least Hessian eigenvalue of the base network alone at its bad minimum.

    The same with a silent neuron, a = w = b = 0 and lambda = 1, and how far a move of that radius lowers the total loss.
    """
    import torch

    from zeroloss.networks.exponential_neuron import base_loss, base_outputs, total_loss
    from zeroloss.theory.liang2018 import misclassification_rate

    x, y, bad = (torch.from_numpy(array) for array in (toy.inputs, toy.labels, toy.bad))
    trained = [k for k in range(4) if toy.trained[k]]

    def loss(free: torch.Tensor) -> torch.Tensor:
        whole = bad.clone().index_put((torch.tensor(trained),), free)
        return base_loss(whole, x, y, toy.unit)

    def with_neuron(free: torch.Tensor) -> torch.Tensor:
        whole = bad.clone().index_put((torch.from_numpy(toy.trained).nonzero()[:, 0],), free)
        return total_loss(whole, x, y, 1.0, toy.unit)

    at, silent = bad[trained], bad[torch.from_numpy(toy.trained)]
    spectrum = torch.linalg.eigvalsh(torch.func.hessian(loss)(at))
    rate = misclassification_rate(base_outputs(bad, x, toy.unit).numpy(), toy.labels)
    return {
        "part": "bad", "toy": name, "base_loss": float(loss(at)), "bad_loss": toy.bad_loss,
        "gradient": float(torch.func.grad(loss)(at).norm()), "curvature": float(spectrum[0]),
        "largest_curvature": float(spectrum[-1]), "base_rate": float(rate),
        "neuron_gradient": float(torch.func.grad(with_neuron)(silent).norm()),
        "neuron_curvature": float(torch.linalg.eigvalsh(torch.func.hessian(with_neuron)(silent))[0]),
        "lowered": float(lowered_by(bad[None], x, y, torch.ones(1, dtype=bad.dtype), toy.unit, radius)[0]),
    }  # fmt: skip


def critical_rows(name: str, toy: Toy, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where Levenberg-Marquardt on 1/2 |gradient|^2 ends from random starts, one row each.

    Beside |a| and the gradient: the defects of dL/da = S + lambda a and dL/db = a S (S from its definition, gradients
    from automatic differentiation), and for each radius how far the total loss can be lowered by a move of that size
    (:func:`lowered_by`).
    """
    import torch

    from zeroloss.networks.exponential_neuron import base_loss, base_outputs, total_loss
    from zeroloss.theory.liang2018 import misclassification_rate
    from zeroloss.training.least_squares import levenberg_marquardt

    x, y = torch.from_numpy(toy.inputs), torch.from_numpy(toy.labels)
    free = torch.from_numpy(toy.trained).nonzero()[:, 0]
    fixed = torch.from_numpy(np.where(toy.trained, 0.0, toy.bad))
    count = parameters["starts"]
    regulariser = torch.tensor(parameters["regularisers"], dtype=torch.float64).repeat_interleave(count)
    normal = numpy_generator(parameters["seed"], "critical", name).standard_normal((len(regulariser), len(free)))

    def loss(at: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return total_loss(fixed.index_put((free,), at), x, y, weight, toy.unit)

    gradients = torch.func.vmap(torch.func.grad(loss))
    hessians = torch.func.vmap(torch.func.hessian(loss))
    start = torch.from_numpy(normal * parameters["scale"])
    at = levenberg_marquardt(
        start, lambda theta: (gradients(theta, regulariser), hessians(theta, regulariser)), parameters["newton_steps"]
    )
    gradient = gradients(at, regulariser)
    curvature = torch.linalg.eigvalsh(hessians(at, regulariser))[:, 0]
    theta = fixed.repeat(len(at), 1)
    theta[:, free] = at
    total = total_loss(theta, x, y, regulariser, toy.unit)
    s, _ = neuron_sums(theta, x, y, toy.unit)
    a = theta[:, A]
    columns = {
        "regulariser": regulariser, "start": torch.arange(len(at)) % count, "loss": total,
        "base_loss": base_loss(theta, x, y, toy.unit), "gradient": gradient.norm(dim=1), "curvature": curvature,
        "a": a, "w": theta[:, W], "b": theta[:, B], "largest_parameter": at.abs().amax(dim=1), "S": s,
        "defect_a": (gradient[:, -3] - s - regulariser * a).abs(), "defect_b": (gradient[:, -1] - a * s).abs(),
        "base_rate": torch.from_numpy(misclassification_rate(base_outputs(theta, x, toy.unit).numpy(), toy.labels)),
    }  # fmt: skip
    lowered = [lowered_by(theta, x, y, regulariser, toy.unit, radius) for radius in parameters["radii"]]
    columns["lowered"] = torch.stack(lowered).amin(dim=0)
    arrays = {key: value.numpy() for key, value in columns.items()}
    return [{"part": "critical", "toy": name, **{k: v[i] for k, v in arrays.items()}} for i in range(len(at))]


def neuron_sums(
    theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor, unit: UnitName
) -> tuple[torch.Tensor, torch.Tensor]:
    """S = sum_i l'(z_i)(-y_i) e_i and sum_i l''(z_i) e_i^2, e_i = exp(w x_i + b), for l(z) = max(0, z + 1)^3; each (B,)."""
    import torch

    from zeroloss.networks.exponential_neuron import base_outputs, neuron_outputs

    grown = neuron_outputs(theta, x)
    slack = torch.relu(1 - y * (base_outputs(theta, x, unit) + theta[:, A, None] * grown))
    return (-3 * y * slack**2 * grown).sum(dim=1), (6 * slack * grown**2).sum(dim=1)


def lowered_by(
    theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor, regulariser: torch.Tensor, unit: UnitName, radius: float
) -> torch.Tensor:
    """How much a move of the neuron alone lowers the total loss, at best, shape (B,); the theorem's own argument.

    At a point with a = 0 the loss does not depend on w, so w moves first, by +-radius or +-radius/2; there the
    derivative in a is S(w), and a moves by the Newton step -S / (lambda + sum l'' e^2), no further than the radius. S
    vanishes for all w near the point only if all l'_i are 0, since exponentials of distinct inputs are linearly
    independent. A positive value shows that the point is not a local minimum at this radius.
    """
    import torch

    from zeroloss.networks.exponential_neuron import total_loss

    before = total_loss(theta, x, y, regulariser, unit)
    best = torch.full_like(before, -float("inf"))
    for share in (-1.0, -0.5, 0.5, 1.0):
        moved = theta.clone()
        moved[:, A] = 0.0
        moved[:, W] += share * radius
        s, curved = neuron_sums(moved, x, y, unit)
        moved[:, A] = (-s / (regulariser + curved)).clamp(-radius, radius)
        best = torch.maximum(best, before - total_loss(moved, x, y, regulariser, unit))
    return best


def assumption_rows(toy: Toy, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One point of the network with the dead ReLU for each assumption that is dropped, and one with all of them.

    Each point is tested for being a local minimum of the total loss: gradient, and the least change over random moves
    of all seven parameters (all of them keep the ReLU dead). Losses without a convex structure are compared with the
    least value over constant outputs, which is the least of all: every sample sees one input there.
    """
    import torch
    from scipy.optimize import minimize_scalar

    from zeroloss.networks.exponential_neuron import base_loss, base_outputs, margin_loss, total_loss
    from zeroloss.theory.liang2018 import misclassification_rate

    minority, majority = parameters["copies"]
    duplicated = np.full(minority + majority, toy.inputs[0])
    mixed = np.repeat([-1.0, 1.0], [minority, majority])

    def of_constant(d: float) -> float:
        value = torch.tensor(d, dtype=torch.float64)
        return float(margin_loss(-torch.from_numpy(mixed) * value, "rational").sum())

    # on the wrong side of 0, where the majority is misclassified, and on the right one
    wrong = minimize_scalar(of_constant, bounds=(-1.0, 0.0), method="bounded", options={"xatol": 1e-14})
    right = minimize_scalar(of_constant, bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-14})

    def point(d: float, a: float, w: float, b: float) -> np.ndarray:
        return np.array([*toy.bad[:3], d, a, w, b])

    x, y = toy.inputs, toy.labels
    # lambda = 0: d = -m and a exp(w x + b) classify a threshold set with room to spare, the base network does not
    middle = (x[y < 0].max() + x[y > 0].min()) / 2
    w = 2 * np.log(8) / (x[y > 0].min() - x[y < 0].max())
    dropped: list[tuple[str, np.ndarray, np.ndarray, np.ndarray, float, LossName, float, float]] = [
        ("none", point(toy.bad[3], 0, 1, 0), x, y, 0.1, "cubic", 0.0, 0.0),
        ("lambda > 0", point(-2.0, 1.0, w, -w * middle), x, y, 0.0, "cubic", 0.0, 0.0),
        ("Assumption 1: minima z < 0", point(0.0, 0, 1, 0), x, y, 0.1, "touching", 0.0, 0.0),
        ("Assumption 2: realizable", point(wrong.x, 0, 1, 0), duplicated, mixed, 0.1, "rational", right.fun,
         min(minority, majority) / len(mixed)),
    ]  # fmt: skip
    rows = []
    for name, theta, inputs, labels, regulariser, loss, least, least_rate in dropped:
        at, x_i, y_i = (torch.from_numpy(np.asarray(array, float)) for array in (theta, inputs, labels))

        def total(
            one: torch.Tensor, x_i: Any = x_i, y_i: Any = y_i, weight: Any = regulariser, loss: Any = loss
        ) -> Any:
            return total_loss(one, x_i, y_i, weight, "relu", loss)

        normal = numpy_generator(parameters["seed"], "moves", name).standard_normal((parameters["moves"], 7))
        length = np.geomspace(1e-3, 1, parameters["moves"])[:, None] * parameters["radius"]
        moves = torch.from_numpy(length * normal / np.linalg.norm(normal, axis=1, keepdims=True))
        base = base_outputs(at, x_i, "relu").numpy()
        rows.append(
            {
                "part": "assumption", "dropped": name, "regulariser": regulariser, "loss": float(total(at)),
                "least_loss": least, "gradient": float(torch.func.grad(total)(at).norm()),
                "least_change": float((total(at + moves) - total(at)).min()),
                "base_loss": float(base_loss(at, x_i, y_i, "relu", loss)),
                "base_rate": float(misclassification_rate(base, labels)), "least_rate": least_rate, "a": float(theta[A]),
            }
        )  # fmt: skip
    return rows
