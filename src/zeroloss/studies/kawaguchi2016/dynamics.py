"""Critical points found from random starts, and gradient descent from near the saddles of the family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator
from zeroloss.studies.kawaguchi2016.family import FLAT, data_set, describe, points, stacked
from zeroloss.theory import kawaguchi2016 as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.networks.deep_linear_hessian import Shapes
    from zeroloss.training.saddle_escape import Starts

# Critical: gradient below this share of the scale.
CRITICAL = 1e-11
# A loss within this of the optimum (share of the scale) is the optimum; the next critical value is some 1e-3 away.
OPTIMUM = 1e-8
# Full rank of a middle product that was found: least singular value above this share of the largest (or of 1).
FULL_RANK = 1e-3


def run_search(parameters: Mapping[str, Any], progress: Any) -> pd.DataFrame:
    """Where Levenberg-Marquardt on the squared gradient ends: one row per start.

    It goes to the nearest critical point of whatever kind; a stretch of gradient descent on the loss beforehand leads it
    to low saddles and minima, and a small scale to the degenerate point at zero.
    """
    tables = []
    for seed in parameters["seeds"]:
        one = data_set(parameters, seed)
        for depth in parameters["depths"]:
            tables.append(_found(parameters, one, depth, seed))
            critical = tables[-1]["kind"] != "not critical"
            progress.advance(state=f"seed {seed}, H = {depth}: {critical.sum()} critical points")
    return pd.concat(tables, ignore_index=True)


def flat(gradient: np.ndarray | float) -> np.ndarray | float:
    """Eigenvalues within this of zero count as zero at a point with such a gradient; both in units of the scale.

    Near a degenerate saddle the gradient is of order H >= 2 in the distance and the Hessian of one less, so eigenvalues
    that are zero there come out below the gradient's square root; a factor 10 for constants, 1e-9 for rounding.
    """
    return 1e-9 + 10 * np.sqrt(gradient)


def kind_of(gradient: float, excess: float, least: float) -> str:
    """not critical, global minimum, strict saddle or no negative eigenvalue; all arguments in units of the scale."""
    if not gradient <= CRITICAL:
        return "not critical"
    if excess <= OPTIMUM:
        return "global minimum"
    return "strict saddle" if least < -flat(gradient) else "no negative eigenvalue"


def _found(parameters: Mapping[str, Any], one: theory.Problem, depth: int, seed: int) -> pd.DataFrame:
    import torch

    from zeroloss.networks.deep_linear_hessian import excess_and_gradient, hessian, shapes
    from zeroloss.training.least_squares import gradient_descent, levenberg_marquardt

    width = parameters["width"]
    net = shapes(len(one.x), width, depth, len(one.y))
    gram, solution = torch.from_numpy(one.gram), torch.from_numpy(one.solution)

    def model(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        layers = net.split(at)
        return net.join(excess_and_gradient(layers, gram, solution)[1]), hessian(layers, gram, solution)

    def downhill(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return net.join(excess_and_gradient(net.split(at), gram, solution)[1]), torch.eye(net.count, dtype=at.dtype)

    normal = numpy_generator(seed, "search", depth).standard_normal((parameters["starts"], net.count))
    begins = [
        gradient_descent(torch.from_numpy(scale * normal), downhill, parameters["descent_step"], steps)
        for scale in parameters["scales"]
        for steps in parameters["descents"]
    ]
    started = torch.cat(begins)
    if not torch.isfinite(started).all():
        raise UserError(
            f"search.descent_step is {parameters['descent_step']:g}: gradient descent diverges with it, take a smaller step"
        )
    theta = levenberg_marquardt(started, model, parameters["steps"])
    gradient, exact = model(theta)
    layers = net.split(theta)
    excess = excess_and_gradient(layers, gram, solution)[0] - one.optimum_excess(width)
    spectra = torch.linalg.eigvalsh(exact)
    middle = torch.eye(width, dtype=theta.dtype).expand(len(theta), width, width)
    for layer in layers[1:-1]:
        middle = layer @ middle
    singular = torch.linalg.svdvals(middle)
    values = theory.critical_values(one, width)
    zero = -one.scale * torch.from_numpy(np.asarray(flat(gradient.norm(dim=1).numpy() / one.scale)))
    table = pd.DataFrame(
        {
            "part": "search", "seed": seed, "depth": depth, "width": width, "start": np.arange(len(theta)),
            "scale": one.scale, "total": float(one.eigenvalues.sum() / 2),
            "gradient": gradient.norm(dim=1).numpy(), "excess": excess.numpy(), "least": spectra[:, 0].numpy(),
            "negative": (spectra < zero[:, None]).sum(dim=1).numpy(),
            "full_rank": (singular[:, -1] > FULL_RANK * singular[:, 0].clamp(min=1)).numpy(),
            "off_value": np.abs(excess.numpy()[:, None] - values).min(axis=1),
        }
    )  # fmt: skip
    measured = zip(*(table[name] / one.scale for name in ("gradient", "excess", "least")), strict=True)
    table["kind"] = [kind_of(*each) for each in measured]
    table["lowest_nearby"] = np.nan
    suspects = table.index[table["kind"] == "no negative eigenvalue"]
    if len(suspects):
        below = _lowest_nearby(parameters, one, net, theta[list(suspects)], max(float(spectra.max()), one.scale), seed)
        table.loc[suspects, "lowest_nearby"] = below - (table.loc[suspects, "excess"] + one.optimum_excess(width))
    return table


def _lowest_nearby(
    parameters: Mapping[str, Any], one: theory.Problem, net: Shapes, theta: torch.Tensor, curvature: float, seed: int
) -> np.ndarray:
    """Least loss above that of R that gradient descents from near each point see, shape (points,)."""
    import torch

    from zeroloss.training.saddle_escape import Starts, loss_curves

    near = theta.repeat_interleave(parameters["nearby"], dim=0)
    near = near + _kicks(parameters["radius"], near.shape, numpy_generator(seed, "search nearby", net.count))
    batch = len(near)
    starts = Starts(
        near, torch.from_numpy(one.gram).expand(batch, -1, -1), torch.from_numpy(one.solution).expand(batch, -1, -1),
        torch.full((batch,), 0.5 / curvature, dtype=torch.float64),
    )  # fmt: skip
    losses = loss_curves(starts, net, [parameters["nearby_steps"] // 2, parameters["nearby_steps"]])
    return losses.min(dim=1).values.view(len(theta), -1).min(dim=1).values.numpy()


def _kicks(size: float, shape: Sequence[int], generator: np.random.Generator) -> torch.Tensor:
    """Random vectors of one length, float64."""
    import torch

    normal = generator.standard_normal(tuple(shape))
    return torch.from_numpy(size * normal / np.linalg.norm(normal, axis=-1, keepdims=True))


def run_escape(parameters: Mapping[str, Any], progress: Any) -> pd.DataFrame:
    """Steps to leave every saddle of the family (part escape) and loss curves on the way (part curve)."""
    problems = {seed: data_set(parameters, seed) for seed in parameters["seeds"]}
    tables = []
    for depth in parameters["depths"]:
        tables += _escapes(parameters, problems, depth)
        progress.advance(state=f"H = {depth}")
    return pd.concat(tables, ignore_index=True)


def _saddles(
    parameters: Mapping[str, Any], problems: Mapping[int, theory.Problem], depth: int
) -> tuple[list[dict[str, Any]], torch.Tensor]:
    """Every saddle of every data set with its curvature and step size, and its parameters (saddles, count)."""
    import torch

    from zeroloss.networks.deep_linear_hessian import hessian, shapes

    width, rows, thetas = parameters["width"], [], []
    for seed, one in problems.items():
        net, which = shapes(len(one.x), width, depth, len(one.y)), points(one, depth, width)
        layers = stacked(one, depth, width, which)
        spectra = torch.linalg.eigvalsh(hessian(layers, torch.from_numpy(one.gram), torch.from_numpy(one.solution)))
        step = parameters["relative_step"] / float(spectra.max())
        for (subset, rank), spectrum, theta in zip(which, spectra, net.join(layers), strict=True):
            row = describe(one, subset, rank, width)
            if row["is_global"]:
                continue
            strict = bool(spectrum[0] < -FLAT * one.scale)
            rows.append(
                {"seed": seed, "depth": depth, **row, "least": float(spectrum[0]), "step_size": step, "strict": strict}
            )
            thetas.append(theta)
    return rows, torch.stack(thetas)


def _escapes(parameters: Mapping[str, Any], problems: Mapping[int, theory.Problem], depth: int) -> list[pd.DataFrame]:
    import torch

    from zeroloss.networks.deep_linear_hessian import shapes
    from zeroloss.training.saddle_escape import escape_steps

    saddles, theta = _saddles(parameters, problems, depth)
    width = parameters["width"]
    some = next(iter(problems.values()))
    net = shapes(len(some.x), width, depth, len(some.y))
    rows, starts = [], []
    for saddle, point in zip(saddles, theta, strict=True):
        sizes = parameters["perturbations" if saddle["strict"] else "degenerate_perturbations"]
        for direction, kick in enumerate(_directions(saddle, parameters["directions"], net)):
            for perturbation in sizes:
                rows.append({"part": "escape", **saddle, "direction": direction, "perturbation": perturbation})
                starts.append(point + perturbation * kick)
    times = pd.DataFrame(rows)
    optimum = np.array([problems[seed].optimum_excess(width) for seed in times["seed"]])
    level = torch.from_numpy(optimum + (1 - parameters["share"]) * times["expected_excess"].to_numpy())
    taken, diverged = escape_steps(_starts(times, torch.stack(starts), problems), net, level, parameters["most_steps"])
    times = times.assign(steps=taken.numpy(), diverged_at=diverged.numpy())
    return [times, _curves(parameters, problems, saddles, theta, net)]


def _directions(saddle: Mapping[str, Any], count: int, net: Shapes) -> torch.Tensor:
    """Random directions for one saddle, the same for every distance; the first ones do not depend on the count."""
    purpose = ("escape", saddle["depth"], saddle["subset"], saddle["rank"])
    return _kicks(1.0, (count, net.count), numpy_generator(saddle["seed"], *purpose))


def _curves(
    parameters: Mapping[str, Any],
    problems: Mapping[int, theory.Problem],
    saddles: Sequence[Mapping[str, Any]],
    theta: torch.Tensor,
    net: Shapes,
) -> pd.DataFrame:
    """Loss above the optimum over that of the saddle along gradient descent, for the saddles of the first data set."""
    import torch

    from zeroloss.training.saddle_escape import loss_curves

    first, one = next(iter(problems.items()))
    rows, starts = [], []
    for saddle, point in zip(saddles, theta, strict=True):
        if saddle["seed"] == first:
            for direction, kick in enumerate(_directions(saddle, parameters["curve_directions"], net)):
                rows.append({"part": "curve", **saddle, "direction": direction})
                starts.append(point + parameters["curve_perturbation"] * kick)
    table = pd.DataFrame(rows)
    spaced = np.geomspace(1, parameters["curve_steps"], parameters["curve_points"]).astype(int)
    steps = np.unique(np.concatenate([[0], spaced]))
    losses = loss_curves(_starts(table, torch.stack(starts), problems), net, steps.tolist()).numpy()
    relative = (losses - one.optimum_excess(parameters["width"])) / table["expected_excess"].to_numpy()[:, None]
    long = table.loc[table.index.repeat(len(steps))].reset_index(drop=True)
    return long.assign(step=np.tile(steps, len(table)), relative_excess=relative.ravel())


def _starts(table: pd.DataFrame, theta: torch.Tensor, problems: Mapping[int, theory.Problem]) -> Starts:
    """The batch of starts of a table with columns seed and step_size."""
    import torch

    from zeroloss.training.saddle_escape import Starts

    gram = torch.from_numpy(np.stack([problems[seed].gram for seed in table["seed"]]))
    solution = torch.from_numpy(np.stack([problems[seed].solution for seed in table["seed"]]))
    return Starts(theta, gram, solution, torch.tensor(table["step_size"].tolist(), dtype=torch.float64))
