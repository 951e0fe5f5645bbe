"""The family of critical points: losses, Hessians, ways up and down, slices. float64 on the CPU throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.randomness import numpy_generator
from zeroloss.theory import kawaguchi2016 as theory

if TYPE_CHECKING:
    import torch

# Eigenvalues below this share of the problem's scale are zero: at points known to rounding, eigvalsh of some tens of
# rows errs by less than 1e-14 of the largest, and that is below 10 scales.
FLAT = 1e-10


def data_set(parameters: Mapping[str, Any], seed: int) -> theory.Problem:
    """X = N(0, 1 / N) of shape (d_x, N) and Y = A X + noise N(0, 1 / N), A with entries N(0, 1).

    The factor 1 / N makes X X^T about the identity, so that step sizes and eigenvalues are of order 1.

    Raises:
        UserError: an assumption of the theorem fails.
    """
    generator, n = numpy_generator(seed, "kawaguchi data"), parameters["samples"]
    x = generator.standard_normal((parameters["inputs"], n)) / n**0.5
    truth = generator.standard_normal((parameters["outputs"], parameters["inputs"]))
    noise = generator.standard_normal((parameters["outputs"], n)) / n**0.5
    return theory.problem(x, truth @ x + parameters["noise"] * noise, f"the data set of seed {seed}")


def name_of(subset: Sequence[int]) -> str:
    """``1, 3``: eigenvectors count from 1 in falling order of their eigenvalues; ``none``."""
    return ", ".join(str(k + 1) for k in subset) or "none"


def points(one: theory.Problem, depth: int, width: int) -> list[tuple[tuple[int, ...], int]]:
    """(S, r) of every point of the family."""
    return [
        (subset, rank)
        for subset in theory.kept_subsets(len(one.y), width)
        for rank in theory.middle_ranks(len(subset), width, depth)
    ]


def stacked(
    one: theory.Problem, depth: int, width: int, which: Sequence[tuple[tuple[int, ...], int]]
) -> list[torch.Tensor]:
    """Matrices of several points as batches: W_1, ..., W_{H+1}."""
    import torch

    weights = [theory.critical_point(one, depth, width, subset, rank) for subset, rank in which]
    return [torch.from_numpy(np.stack(layer)) for layer in zip(*weights, strict=True)]


def describe(one: theory.Problem, subset: Sequence[int], rank: int, width: int) -> dict[str, Any]:
    """Columns that identify a point of the family, and what is expected of it."""
    return {
        "subset": name_of(subset), "kept": len(subset), "rank": rank, "width": width,
        "is_global": theory.is_global(subset, len(one.y), width),
        "expected_excess": one.excess(subset, width),
        "expected_negative": theory.negative_eigenvalues(subset, rank, len(one.y)),
    }  # fmt: skip


def _loss(weights: Sequence[np.ndarray], one: theory.Problem, width: int) -> float:
    """Loss minus optimum, both from the definition 1/2 |W X - Y|^2."""
    best = tuple(range(min(width, len(one.y))))
    return theory.loss(weights, one) - theory.loss(theory.critical_point(one, 1, width, best, width), one)


def _hessian_errors(
    one: theory.Problem, layers: Sequence[torch.Tensor], exact: torch.Tensor, net: Any, seed: int
) -> tuple[float, float]:
    """Relative errors of H v over all points, one random v each: against differences of the gradient, and autograd."""
    import torch

    gram, solution = torch.from_numpy(one.gram), torch.from_numpy(one.solution)
    theta = net.join(layers)
    normal = numpy_generator(seed, "hessian check", *theta.shape).standard_normal(theta.shape)
    v = torch.from_numpy(normal / np.linalg.norm(normal, axis=1, keepdims=True))
    product = (exact @ v[..., None])[..., 0]

    def gradient(at: torch.Tensor) -> torch.Tensor:
        from zeroloss.networks.deep_linear_hessian import excess_and_gradient

        return net.join(excess_and_gradient(net.split(at), gram, solution)[1])

    def definition(at: torch.Tensor) -> torch.Tensor:
        signal = torch.from_numpy(one.x)
        for layer in net.split(at):
            signal = layer @ signal
        return 0.5 * ((signal - torch.from_numpy(one.y)) ** 2).sum()

    h = 1e-5
    differences = (gradient(theta + h * v) - gradient(theta - h * v)) / (2 * h)

    def along(at: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(torch.func.grad(definition), (at,), (direction,))[1]

    automatic = torch.func.vmap(along)(theta, v)
    unit = one.scale
    return float((differences - product).norm(dim=1).max()) / unit, float(
        (automatic - product).norm(dim=1).max()
    ) / unit


def family_rows(parameters: Mapping[str, Any], one: theory.Problem, depth: int, width: int, seed: int) -> list[Any]:
    """One row for each point of the family of one data set, depth and width, and rows of its ways up and down."""
    import torch

    from zeroloss.networks.deep_linear_hessian import excess_and_gradient, hessian, shapes

    which = points(one, depth, width)
    net = shapes(len(one.x), width, depth, len(one.y))
    layers = stacked(one, depth, width, which)
    gram, solution = torch.from_numpy(one.gram), torch.from_numpy(one.solution)
    gradient = net.join(excess_and_gradient(layers, gram, solution)[1]).norm(dim=1)
    exact = hessian(layers, gram, solution)
    spectra = torch.linalg.eigvalsh(exact)
    differences, automatic = _hessian_errors(one, layers, exact, net, seed)
    common = {
        "depth": depth, "seed": seed, "scale": one.scale, "total": float(one.eigenvalues.sum() / 2),
        "top_singular_value": float(np.linalg.norm(one.gram @ one.solution.T, 2)), "parameters": net.count,
        "difference_error": differences, "product_error": automatic,
    }  # fmt: skip
    rows = []
    for number, (subset, rank) in enumerate(which):
        spectrum, point = spectra[number], describe(one, subset, rank, width)
        weights = theory.critical_point(one, depth, width, subset, rank)
        excess = _loss(weights, one, width)
        negative = int((spectrum < -FLAT * one.scale).sum())
        rows.append(
            {
                "part": "family", **common, **point, "excess": excess, "gradient": float(gradient[number]),
                "least": float(spectrum[0]), "largest": float(spectrum[-1]),
                "negative": negative,
                "zero": int((spectrum.abs() <= FLAT * one.scale).sum()),
                "largest_entry": float(exact[number].abs().max()),
            }
        )  # fmt: skip
        if point["is_global"]:
            continue
        for t in parameters["way_lengths"]:
            down, order = theory.way_down(one, depth, width, subset, rank, t)
            up = theory.way_up(one, depth, width, subset, rank, t)
            rows.append(
                {
                    "part": "way", **common, **point, "least": float(spectrum[0]),
                    "negative": negative,
                    "t": t, "order": order, "down": _loss(down, one, width) - excess,
                    "up": _loss(up, one, width) - excess,
                }
            )  # fmt: skip
    return rows


def segment_row(one: theory.Problem, depth: int, width: int, seed: int) -> dict[str, Any]:
    """Two segments between points: one on which the loss is not convex and one on which it is not concave.

    Not convex: between a global minimum and the one with the signs of W_1 and W_{H+1} changed (the product is the same),
    whose midpoint has the zero map. Not concave: between a global minimum with W_{H+1} = 0 and with 2 W_{H+1}.
    """
    best = tuple(range(min(width, len(one.y))))
    weights = theory.critical_point(one, depth, width, best, width)
    flipped = [-weights[0], *weights[1:-1], -weights[-1]]
    middle = [(a + b) / 2 for a, b in zip(weights, flipped, strict=True)]
    without, twice = [*weights[:-1], 0 * weights[-1]], [*weights[:-1], 2 * weights[-1]]
    return {
        "part": "segment", "depth": depth, "width": width, "seed": seed,
        "ends": max(_loss(weights, one, width), _loss(flipped, one, width)), "middle": _loss(middle, one, width),
        "expected_excess": one.excess((), width),
        "concave_ends": (_loss(without, one, width) + _loss(twice, one, width)) / 2,
        "concave_middle": _loss(weights, one, width),
    }  # fmt: skip


def slice_table(parameters: Mapping[str, Any], one: theory.Problem, depth: int, seed: int) -> pd.DataFrame:
    """Loss on a plane through the point that keeps nothing: middle of rank p (strict) and of rank 0 (degenerate).

    First axis a, for both: a / sqrt(2) times u e_1^T in W_{H+1} and e_1 v^T in W_1. Second axis b: strict, the same with
    the sign of W_1 changed, along which the loss rises; degenerate, b / sqrt(H - 1) times e_1 e_1^T in every middle
    matrix. u, v: the direction that the theory calls free.
    """
    width = parameters["shown_width"]
    side = np.linspace(-parameters["slice_half"], parameters["slice_half"], parameters["slice_points"])
    u, v, _ = theory.free_pair(one, ())
    tables = []
    for kind, rank in (("strict", width), ("degenerate", 0)):
        if rank not in theory.middle_ranks(0, width, depth):
            continue
        start = theory.critical_point(one, depth, width, (), rank)
        values = np.empty((len(side), len(side)))
        for row, b in enumerate(side):
            for column, a in enumerate(side):
                weights = [matrix.copy() for matrix in start]
                plus, minus = ((a + b), (a - b)) if kind == "strict" else (a, a)
                weights[-1][:, 0] = plus / 2**0.5 * u
                weights[0][0] = minus / 2**0.5 * v
                if kind == "degenerate":
                    for matrix in weights[1:-1]:
                        matrix[0, 0] = b / (depth - 1) ** 0.5
                values[row, column] = _loss(weights, one, width)
        grid_a, grid_b = np.meshgrid(side, side)
        tables.append(
            pd.DataFrame(
                {"part": "slice", "kind": kind, "a": grid_a.ravel(), "b": grid_b.ravel(), "excess": values.ravel(),
                 "depth": depth, "seed": seed, "width": width, "expected_excess": one.excess((), width)}
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def run_family(parameters: Mapping[str, Any], progress: Any) -> pd.DataFrame:
    """All data sets, depths and widths; the slices for the first data set and the least depth that has both kinds."""
    rows: list[dict[str, Any]] = []
    for seed in parameters["seeds"]:
        one = data_set(parameters, seed)
        for depth in parameters["depths"]:
            for width in parameters["widths"]:
                rows += family_rows(parameters, one, depth, width, seed)
                rows.append(segment_row(one, depth, width, seed))
        progress.advance(state=f"seed {seed}")
    first = parameters["seeds"][0]
    depth = next((depth for depth in parameters["depths"] if depth > 1), parameters["depths"][0])
    slices = slice_table(parameters, data_set(parameters, first), depth, first)
    return pd.concat([pd.DataFrame(rows), slices], ignore_index=True)
