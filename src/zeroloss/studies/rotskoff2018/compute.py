"""What the cells ``identity``, ``sphere`` and ``sigmoid_d*`` compute. Rows of several parts, told apart by ``part``:

- ``identity``: (1.2) against (1.3) on a grid, of one kind of unit, n and draw; ``density``: the same for (1.7),
- ``quadrature``: closed forms of F and K against grids; ``start``: the loss of n independent particles,
- ``flow``: the loss of a realisation of Figure 1 at a time; ``printed``: the same with the printed sign,
- ``monitor``: of a realisation, the largest change of the energy in a step and the largest distance from the sphere,
- ``map``, ``particle``: f, f_n and particles on the two-sphere that Figure 1 shows,
- ``curve``, ``final``, ``slice``: loss over time, test numbers and slices of the sigmoid networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.recipes import Dataset
from zeroloss.randomness import numpy_generator
from zeroloss.theory import rotskoff2018 as theory
from zeroloss.theory.three_spin import ThreeSpin, sphere_points

if TYPE_CHECKING:
    from zeroloss.checkpoint import Checkpoints
    from zeroloss.training.particle_sgd import SigmoidParticles

# bytes of units that a batch of realisations may have on a CPU, to stay in its cache (measured: docs/rotskoff2018.md)
CACHE = 2**20
# test points and slices are the same for all realisations
TEST_SEED = 0
CIRCLES = ((0, 1), (1, 2), (2, 3))


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    from zeroloss.studies.rotskoff2018.fluctuations import fluctuation_rows

    experiment = parameters["experiment"]
    if experiment == "identity":
        return pd.DataFrame(identity_rows(parameters))
    if experiment == "sphere":
        return pd.DataFrame(sphere_rows(parameters, device, quiet, checkpoints))
    if experiment == "sigmoid":
        return pd.DataFrame(sigmoid_rows(parameters, device, quiet, checkpoints))
    return pd.DataFrame(fluctuation_rows(parameters, device, quiet))


# Equations (1.1)-(1.4), (1.7)

UNITS = {
    "radial": lambda x, y, b: np.exp(x @ y.T),
    "sigmoid": lambda x, y, b: 1 / (1 + np.exp(-(x @ y.T + b))),
}


def identity_rows(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    spin = ThreeSpin.draw(3, parameters["target_seed"])
    x, weights = theory.sphere_grid(parameters["order"])
    f = spin.values(x)
    constant = 0.5 * float((weights * f**2).sum())
    rows: list[dict[str, Any]] = []
    for unit, phi in UNITS.items():
        for width in parameters["widths"]:
            for seed in parameters["seeds"]:
                generator = numpy_generator(seed, "identity", unit, width)
                y, b = sphere_points(width, 3, generator), generator.standard_normal(width)
                c = parameters["charge_mean"] + generator.standard_normal(width)
                values = phi(x, y, b)  # (grid, n)
                weighted = weights[:, None] * values
                energy = theory.interaction_loss(constant, c, f @ weighted, values.T @ weighted)
                direct = theory.direct_loss(f, values @ c / width, weights)
                rows.append(_both("identity", unit, width, seed, direct, energy, constant))
        # (1.7): a smooth density of charge over positions, on a grid of its own
        y, mass = theory.sphere_grid(parameters["order"] // 2 + 1)
        charge = mass * (parameters["charge_mean"] + y[:, 0] * y[:, 1] + y[:, 2] ** 3)
        values = phi(x, y, 0 * mass)
        weighted = weights[:, None] * values
        energy = constant - charge @ (f @ weighted) + 0.5 * charge @ (values.T @ weighted) @ charge
        direct = theory.direct_loss(f, values @ charge, weights)
        rows.append(_both("density", unit, len(mass), 0, direct, np.array(energy), constant))
    return [*rows, *_quadrature_rows(parameters, spin), *_start_rows(parameters, spin)]


def _both(
    part: str, unit: str, width: int, seed: int, direct: np.ndarray, energy: np.ndarray, constant: float
) -> dict[str, Any]:
    """The scale of rounding is the largest number that (1.3) adds up, at least C_f."""
    found = {"part": part, "unit": unit, "width": width, "seed": seed, "loss": float(direct), "energy": float(energy)}
    return {**found, "error": abs(float(direct) - float(energy)) / max(float(direct), constant)}


def _quadrature_rows(parameters: Mapping[str, Any], spin: ThreeSpin) -> list[dict[str, Any]]:
    """Closed-form losses against direct ones on grids of rising order, radial units."""
    rows = []
    width = max(parameters["widths"])
    for seed in parameters["seeds"]:
        generator = numpy_generator(seed, "quadrature")
        y = sphere_points(width, 3, generator)
        c = parameters["charge_mean"] + generator.standard_normal(width)
        exact = float(theory.radial_loss(spin, 1.0, c, y))
        for order in parameters["orders"]:
            x, weights = theory.sphere_grid(order)
            direct = float(theory.direct_loss(spin.values(x), np.exp(x @ y.T) @ c / width, weights))
            rows.append(
                {
                    "part": "quadrature", "unit": "radial", "width": width, "seed": seed, "order": order,
                    "loss": direct, "energy": exact, "error": abs(direct / exact - 1),
                }
            )  # fmt: skip
    return rows


def _start_rows(parameters: Mapping[str, Any], spin: ThreeSpin) -> list[dict[str, Any]]:
    """Loss of independent particles above the loss of their density, by n and draw; closed forms, radial units."""
    rows = []
    base, excess = theory.start_excess(1.0, 3, parameters["charge_mean"], 1.0)
    for width in parameters["widths"]:
        generator = numpy_generator(parameters["target_seed"], "start", width)
        draws = parameters["start_draws"]
        y = sphere_points(draws * width, 3, generator).reshape(draws, width, 3)
        c = parameters["charge_mean"] + generator.standard_normal((draws, width))
        # in pieces, so that n = 256 does not take a gigabyte
        losses = np.concatenate(
            [theory.radial_loss(spin, 1.0, c[k : k + 20], y[k : k + 20]) for k in range(0, draws, 20)]
        )
        for draw, loss in enumerate(losses - spin.mean_square / 2 - base):
            rows.append(
                {
                    "part": "start",
                    "unit": "radial",
                    "width": width,
                    "draw": draw,
                    "excess": loss,
                    "exact": excess / width,
                }
            )
    return rows


# Figure 1


def recorded_steps(steps: int, count: int) -> list[int]:
    """0, 1 and ``count`` steps evenly spaced in their logarithm, the last one ``steps``."""
    spaced = np.unique(np.geomspace(1, steps, count).round().astype(int))
    return [0, *spaced.tolist()]


def sphere_rows(
    parameters: Mapping[str, Any], device: str, quiet: bool, checkpoints: Checkpoints | None
) -> list[dict[str, Any]]:
    """All widths with the mended sign, then all with the printed one for a shorter time; every realisation of one n at once."""
    import torch

    from zeroloss.progress import Progress
    from zeroloss.training.particle_flow import SphereParticles, flow

    d, seeds, dt = parameters["dimension"], parameters["seeds"], parameters["step"]
    spin = ThreeSpin.draw(d, parameters["target_seed"])
    target = torch.as_tensor(spin.tensor, device=device)
    rows: list[dict[str, Any]] = []
    plans = {"flow": (parameters["exponent"], parameters["steps"])}
    plans["printed"] = (-parameters["exponent"], parameters["printed_steps"])
    total = sum(steps for _, steps in plans.values()) * len(parameters["widths"])
    with Progress(total, "rotskoff2018 sphere", quiet) as progress:
        for part, (exponent, steps) in plans.items():
            for width in parameters["widths"]:
                starts = np.stack([sphere_points(width, d, numpy_generator(s, "particles", width)) for s in seeds])
                particles = SphereParticles(
                    target, exponent, torch.as_tensor(starts, device=device),
                    torch.zeros(len(seeds), width, dtype=torch.float64, device=device),
                )  # fmt: skip
                reached, charges, positions, largest = flow(
                    particles, dt, steps, recorded_steps(steps, parameters["recorded"]),
                    checkpoint=checkpoints.part(f"{part}_n{width}") if checkpoints is not None else None,
                    advance=progress.advance,
                )  # fmt: skip
                common = {"part": part, "dimension": d, "width": width}
                distance = np.abs(np.linalg.norm(positions, axis=3) / d**0.5 - 1).max(axis=(0, 2))
                for number, seed in enumerate(seeds):
                    for step, c, y in zip(reached, charges[:, number], positions[:, number], strict=True):
                        finite = bool(np.isfinite(c).all() and np.isfinite(y).all())
                        loss = float(theory.radial_loss(spin, exponent, c, y)) if finite else np.inf
                        rows.append({**common, "seed": seed, "step": step, "time": step * dt, "loss": loss})
                    if part == "flow":
                        rows.append(
                            {
                                "part": "monitor", "dimension": d, "width": width, "seed": seed,
                                "largest_increase": float(largest[number]), "off_sphere": float(distance[number]),
                            }
                        )  # fmt: skip
                if part == "flow" and width == parameters["drawn_width"]:
                    rows += _map_rows(parameters, spin, charges[-1, 0], positions[-1, 0])
    return rows


def _map_rows(parameters: Mapping[str, Any], spin: ThreeSpin, c: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """f and f_n on x = sqrt(d) (sin th cos ph, sin th sin ph, cos th, 0, ...), and the particles by their first three."""
    d, count = spin.dimension, parameters["map_points"]
    theta, phi = np.meshgrid(np.linspace(0, np.pi, count), np.linspace(-np.pi, np.pi, 2 * count), indexing="ij")
    x = np.zeros((theta.size, d))
    x[:, 0], x[:, 1] = (np.sin(theta) * np.cos(phi)).ravel(), (np.sin(theta) * np.sin(phi)).ravel()
    x[:, 2] = np.cos(theta).ravel()
    x *= d**0.5
    values = {"target": spin.values(x), "output": np.exp(parameters["exponent"] * (x @ y.T)) @ c / len(c)}
    common = {"dimension": d, "width": len(c), "seed": parameters["seeds"][0]}
    rows = [
        {"part": "map", **common, "theta": one, "phi": two, "target": f, "output": fn}
        for one, two, f, fn in zip(theta.ravel(), phi.ravel(), values["target"], values["output"], strict=True)
    ]
    size = np.linalg.norm(y[:, :3], axis=1)
    for polar, azimuth, charge in zip(np.arccos(y[:, 2] / size), np.arctan2(y[:, 1], y[:, 0]), c, strict=True):
        rows.append({"part": "particle", **common, "theta": polar, "phi": azimuth, "charge": charge})
    return rows


# Figures 2 to 4


def sigmoid_rows(
    parameters: Mapping[str, Any], device: str, quiet: bool, checkpoints: Checkpoints | None
) -> list[dict[str, Any]]:
    """All widths of one dimension; on a CPU so many realisations at a time that their units stay in its cache."""
    import torch

    from zeroloss.progress import Progress
    from zeroloss.training.particle_sgd import FreshPoints, Phase, SigmoidParticles, start, train

    d, dt, seeds = parameters["dimension"], parameters["step"], parameters["seeds"]
    spin = ThreeSpin.draw(d, parameters["target_seed"])
    target = torch.as_tensor(spin.tensor, dtype=torch.float32, device=device)
    count = parameters["recorded"]
    after = parameters["steps"] + np.linspace(0, parameters["quench_steps"], count // 4 + 1).round().astype(int)[1:]
    recorded = np.unique([*np.linspace(0, parameters["steps"], count).round().astype(int), *after]).tolist()
    test, curve = (
        _with_one(sphere_points(parameters[name], d, numpy_generator(TEST_SEED, name, d)))
        for name in ("test_points", "curve_points")
    )
    values = torch.as_tensor(spin.values(curve[:, :-1]), dtype=torch.float32, device=device)
    on_curve = torch.as_tensor(curve, dtype=torch.float32, device=device)
    rows: list[dict[str, Any]] = []
    total = len(parameters["widths"]) * len(seeds) * (parameters["steps"] + parameters["quench_steps"])
    with Progress(total, f"rotskoff2018 sigmoid, d = {d},", quiet) as progress:
        for width in parameters["widths"]:
            batch = max(1, width // parameters["batch_divisor"])
            phases = (
                Phase(parameters["steps"], batch, dt), Phase(parameters["quench_steps"], batch**2, dt),
            )  # fmt: skip
            group = len(seeds) if device != "cpu" else max(1, min(len(seeds), CACHE // (4 * batch * width)))
            ends: list[list[SigmoidParticles]] = [[], []]
            for first in range(0, len(seeds), group):
                together = seeds[first : first + group]
                weights, charges = start(together, width, d, parameters["charge_deviation"], "sigmoid")
                particles = SigmoidParticles(weights.to(device), charges.to(device))

                def losses(particles: SigmoidParticles = particles) -> np.ndarray:
                    found = 0.5 * (particles.outputs(on_curve) - values).square().mean(1)
                    return found.double().cpu().numpy()

                def advance(steps: int, runs: int = len(together), width: int = width) -> None:
                    progress.advance(steps * runs, state=f"n = {width}")

                kept, states = train(
                    particles, FreshPoints(target, together, f"batches {width}"), phases, recorded, losses,
                    checkpoint=checkpoints.part(f"n{width}_from{first}") if checkpoints is not None else None,
                    advance=advance,
                )  # fmt: skip
                for number, seed in enumerate(together):
                    for step, loss in zip(recorded, kept[:, number], strict=True):
                        rows.append(
                            {
                                "part": "curve", "dimension": d, "width": width, "seed": seed, "step": step,
                                "time": step * dt, "loss": loss if np.isfinite(loss) else np.inf,
                            }
                        )  # fmt: skip
                for k, (weights, charges) in enumerate(states):
                    ends[k].append(SigmoidParticles(weights, charges))
            for phase, groups in zip(("sgd", "quench"), ends, strict=True):
                rows += _final_rows(spin, test, groups, {"dimension": d, "width": width, "phase": phase}, seeds)
            rows += _slice_rows(spin, parameters["slice_points"], ends[1], width, seeds)
    return rows


def _with_one(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def _outputs(groups: Sequence[SigmoidParticles], x: np.ndarray) -> np.ndarray:
    """f_n of all realisations at x (P, d + 1): (R, P), float64."""
    import torch

    device = groups[0].weights.device
    inputs = torch.as_tensor(x, dtype=torch.float32, device=device)
    return np.concatenate([one.outputs(inputs).double().cpu().numpy() for one in groups])


def _final_rows(
    spin: ThreeSpin, test: np.ndarray, groups: Sequence[SigmoidParticles], common: dict[str, Any], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Loss (4.8), the two one-sided errors of Figure 3, and the share of a realisation in the variance of f_n."""
    f, fn = spin.values(test[:, :-1]), _outputs(groups, test)
    finite = np.isfinite(fn).all(axis=1)
    error = f - fn
    # R / (R - 1) times the mean square distance from the mean realisation: averages to the unbiased variance
    spread = np.full(len(fn), np.nan)
    if finite.sum() > 1:
        kept = fn[finite]
        spread[finite] = np.square(kept - kept.mean(0)).mean(1) * len(kept) / (len(kept) - 1)
    rows = []
    for number, seed in enumerate(seeds):
        rows.append(
            {
                "part": "final", **common, "seed": seed, "diverged": not finite[number],
                "loss": 0.5 * np.mean(error[number] ** 2) if finite[number] else np.inf,
                "above": np.mean(error[number] * (f > 0)), "below": np.mean(-error[number] * (f < 0)),
                "variance": spread[number],
            }
        )  # fmt: skip
    return rows


def _slice_rows(
    spin: ThreeSpin, count: int, groups: Sequence[SigmoidParticles], width: int, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """f and f_n along x_i = sqrt(d) cos th, x_j = sqrt(d) sin th for three pairs (i, j); all realisations."""
    theta = np.linspace(0, 2 * np.pi, count)
    rows = []
    for circle, (i, j) in enumerate(CIRCLES):
        x = np.zeros((count, spin.dimension))
        x[:, i], x[:, j] = np.cos(theta), np.sin(theta)
        x *= spin.dimension**0.5
        f, fn = spin.values(x), _outputs(groups, _with_one(x))
        for number, seed in enumerate(seeds):
            common = {"part": "slice", "dimension": spin.dimension, "width": width, "seed": seed, "circle": circle}
            rows += [
                {**common, "theta": angle, "target": value, "output": output}
                for angle, value, output in zip(theta, f, fn[number], strict=True)
            ]
    return rows
