"""What the cell ``fluctuations`` computes: independent particles against the limit of many, at equal times.

mu is the empirical measure of fixed points, so that (1.1)-(1.4) hold for it exactly and the flow has no noise but the
start's. Parts: ``spread`` (a realisation's distance from the mean realisation, from the limit, and of its law of charges),
``sgd`` (the law of charges of SGD), ``charge`` (histograms of c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroloss.randomness import numpy_generator
from zeroloss.theory.rotskoff2018 import transport_distance
from zeroloss.theory.three_spin import ThreeSpin, sphere_points

if TYPE_CHECKING:
    import torch

    from zeroloss.training.particle_sgd import SigmoidParticles

BINS = 60


def fluctuation_rows(parameters: Mapping[str, Any], device: str, quiet: bool) -> list[dict[str, Any]]:
    """The limit first, a network of ``reference`` units; then all n from the same law of starts; then SGD."""
    import torch

    from zeroloss.progress import Progress
    from zeroloss.training.particle_sgd import SigmoidParticles, start, three_spin

    d, seeds, times = parameters["dimension"], parameters["seeds"], [0, *parameters["times"]]
    spin = ThreeSpin.draw(d, parameters["target_seed"])
    target = torch.as_tensor(spin.tensor, dtype=torch.float32, device=device)
    drawn = sphere_points(parameters["points"], d, numpy_generator(parameters["target_seed"], "fluctuations", d))
    x = torch.ones(len(drawn), d + 1, device=device)
    x[:, :d] = torch.as_tensor(drawn, dtype=torch.float32)
    y = three_spin(target, x[:, :d])
    rows: list[dict[str, Any]] = []
    jobs = [(parameters["reference"], [0], "reference")]
    jobs += [(width, seeds, "fluctuations") for width in parameters["widths"]]
    work = sum(width * len(group) for width, group, _ in jobs)
    limit: list[tuple[np.ndarray, np.ndarray]] = []
    sgd_steps = round(times[-1] * parameters["step"] / parameters["sgd_step"])
    with Progress(work * times[-1], "rotskoff2018 fluctuations", quiet) as progress:
        for width, group, purpose in jobs:
            weights, charges = start(group, width, d, 1.0, purpose)
            particles = SigmoidParticles(weights.to(device), charges.to(device))
            states = _flow(particles, x, y, parameters["step"], times)
            progress.advance(times[-1] * width * len(group), state=f"n = {width}")
            if purpose == "reference":
                limit = states
                continue
            for step, (outputs, charge), (ideal, law) in zip(times, states, limit, strict=True):
                centred = np.square(outputs - outputs.mean(0)).mean(1) * len(group) / max(1, len(group) - 1)
                for number, seed in enumerate(group):
                    rows.append(
                        {
                            "part": "spread", "dimension": d, "width": width, "seed": seed, "step": step,
                            "time": step * parameters["step"],
                            "variance": centred[number] if len(group) > 1 else np.nan,
                            "from_limit": float(np.square(outputs[number] - ideal[0]).mean()),
                            "law_distance": transport_distance(charge[number], law[0]),
                            "loss": 0.5 * float(np.square(outputs[number] - y.cpu().numpy()).mean()),
                        }
                    )  # fmt: skip
        weights, charges = start(seeds, parameters["sgd_width"], d, 1.0, "fluctuations")
        particles = SigmoidParticles(weights.to(device), charges.to(device))
        _sgd(particles, x, y, parameters, seeds, sgd_steps)
    final = particles.charges.cpu().numpy()
    law = limit[-1][1][0]
    for number, seed in enumerate(seeds):
        rows.append(
            {
                "part": "sgd", "dimension": d, "width": parameters["sgd_width"], "seed": seed, "step": sgd_steps,
                "time": times[-1] * parameters["step"], "law_distance": transport_distance(final[number], law),
            }
        )  # fmt: skip
    low, high = (float(one) for one in np.quantile(law, (0.001, 0.999)))
    edges = np.linspace(low, high, BINS + 1)
    samples = {"start": limit[0][1][0], "limit": law, "sgd": final.ravel()}
    for source, values in samples.items():
        density = np.histogram(values, edges)[0] / len(values) / np.diff(edges)
        rows += [
            {"part": "charge", "dimension": d, "source": source, "low": left, "high": right, "density": one}
            for left, right, one in zip(edges[:-1], edges[1:], density, strict=True)
        ]
    return rows


def _flow(
    particles: SigmoidParticles, x: torch.Tensor, y: torch.Tensor, step: float, times: Sequence[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Full-batch steps on the points; outputs (R, points), float64, and charges (R, n) at the times."""
    realisations = len(particles.charges)
    inputs = x.expand(realisations, *x.shape).contiguous()
    values = y.expand(realisations, len(y)).contiguous()
    found = []
    for number in range(times[-1] + 1):
        if number in times:
            found.append((particles.outputs(x).double().cpu().numpy(), particles.charges.cpu().numpy().copy()))
        if number < times[-1]:
            particles.step(inputs, values, step)
    return found


def _sgd(
    particles: SigmoidParticles,
    x: torch.Tensor,
    y: torch.Tensor,
    parameters: Mapping[str, Any],
    seeds: Sequence[int],
    steps: int,
) -> None:
    """Each realisation draws its own batches from the points, with replacement."""
    import torch

    shape = (steps, parameters["sgd_batch"])
    chosen = [numpy_generator(seed, "fluctuations", "batches").integers(0, len(y), shape) for seed in seeds]
    index = torch.as_tensor(np.stack(chosen, axis=1), device=x.device)  # (steps, R, batch)
    for one in index:
        particles.step(x[one], y[one], parameters["sgd_step"])
