"""Microseconds per realisation and SGD step of the batched particle engine, against a plain script.

Usage: python benchmarks/particle_flow_speed.py [--repeats 5] [--dimension 10] [--realisations 10]

Both train two-layer sigmoid networks on the 3-spin target with batches of floor(n/5) fresh points of the sphere, drawing
included, in float32. Ten realisations: ours in batches that stay in the cache, the plain script in a loop with a module,
autograd and an optimiser; the target is one matrix product for both. From the same start and points one step must lead
both to the same weights. CPU seconds of one thread, repeats interleaved.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import torch
from torch import nn

from zeroloss.studies.rotskoff2018.compute import CACHE
from zeroloss.theory.three_spin import ThreeSpin
from zeroloss.training.particle_sgd import FreshPoints, Phase, SigmoidParticles, start, three_spin, train

DT = 0.1
WIDTHS = (16, 32, 64, 128, 256)
# the ratio that the engine is meant to reach, by width
WANTED = {16: 5.0, 32: 5.0, 64: 5.0, 256: 3.0}


class Network(nn.Module):
    """What a reader of the paper writes: f_n = (1/n) sum c_i sigma(a_i.x + b_i)."""

    def __init__(self, weights: torch.Tensor, charges: torch.Tensor) -> None:
        super().__init__()
        n, inputs = weights.shape
        self.hidden = nn.Linear(inputs - 1, n)
        self.output = nn.Linear(n, 1, bias=False)
        with torch.no_grad():
            self.hidden.weight.copy_(weights[:, :-1])
            self.hidden.bias.copy_(weights[:, -1])
            self.output.weight.copy_(charges[None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.output(torch.sigmoid(self.hidden(x)))[:, 0] / self.output.in_features
        return result


def plain_step(network: Network, optimiser: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss = 0.5 * (y - network(x)).square().mean()
    loss.backward()
    optimiser.step()


def plain_script(network: Network, target: torch.Tensor, batch: int, steps: int, generator: torch.Generator) -> None:
    """The mean-field step is n times the gradient."""
    d = target.shape[0]
    optimiser = torch.optim.SGD(network.parameters(), lr=DT * network.output.in_features)
    for _ in range(steps):
        x = torch.randn(batch, d, generator=generator)
        x = x * (d**0.5 / x.norm(dim=1, keepdim=True))
        y = three_spin(target, x)
        plain_step(network, optimiser, x, y)


def agree(target: torch.Tensor, width: int, batch: int) -> None:
    """One step from the same state on the same points."""
    weights, charges = start([0], width, target.shape[0], 1.0, "benchmark")
    ours, plain = SigmoidParticles(weights, charges), Network(weights[0], charges[0])
    x, y = FreshPoints(target, [0], "benchmark").draw(1, batch)
    torch.testing.assert_close(y[0, 0], three_spin(target, x[0, 0, :, :-1]))
    ours.step(x[0], y[0], DT)
    plain_step(plain, torch.optim.SGD(plain.parameters(), lr=DT * width), x[0, 0, :, :-1], y[0, 0])
    torch.testing.assert_close(ours.weights[0, :, :-1], plain.hidden.weight.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.charges[0], plain.output.weight.detach()[0], rtol=1e-4, atol=1e-5)


def measure(target: torch.Tensor, width: int, realisations: int, repeats: int) -> tuple[float, float, float]:
    """CPU seconds per realisation and step, plain and batched, and their ratio: medians over interleaved repeats."""
    batch, d = max(1, width // 5), target.shape[0]
    agree(target, width, batch)
    group = max(1, min(realisations, CACHE // (4 * batch * width)))
    plain_steps, batched_steps = 150, 600
    found = []
    for _ in range(repeats):
        weights, charges = start(range(realisations), width, d, 1.0, "benchmark")
        network = Network(weights[0], charges[0])
        begin = time.process_time()
        plain_script(network, target, batch, plain_steps, torch.Generator().manual_seed(0))
        slow = (time.process_time() - begin) / plain_steps
        begin = time.process_time()
        for first in range(0, realisations, group):
            last = min(first + group, realisations)
            particles = SigmoidParticles(weights[first:last], charges[first:last])
            points = FreshPoints(target, range(first, last), "benchmark")
            train(particles, points, [Phase(batched_steps, batch, DT)], [], lambda: np.zeros(0))
        fast = (time.process_time() - begin) / batched_steps / realisations
        found.append((slow, fast, slow / fast))
    slow, fast, ratio = (statistics.median(column) for column in zip(*found, strict=True))
    return slow, fast, ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dimension", type=int, default=10)
    parser.add_argument("--realisations", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    target = torch.as_tensor(ThreeSpin.draw(given.dimension, 0).tensor, dtype=torch.float32)
    print(f"d = {given.dimension}, {given.realisations} realisations, batch n/5; CPU us per realisation and step")
    print("| n | plain | ours | ratio | wanted |\n|---|---|---|---|---|")
    for width in WIDTHS:
        slow, fast, ratio = measure(target, width, given.realisations, given.repeats)
        wanted = f"{WANTED[width]:g}" if width in WANTED else ""
        print(f"| {width} | {1e6 * slow:.1f} | {1e6 * fast:.1f} | {ratio:.1f} | {wanted} |", flush=True)


if __name__ == "__main__":
    main()
