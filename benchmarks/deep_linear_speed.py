"""Microseconds per network and gradient step of the batched engine for deep linear networks, against a plain script.

Usage: python benchmarks/deep_linear_speed.py [--repeats 5]

Both run gradient descent on 1/2 |W_L ... W_1 X - Y|^2 in float32 from the same starts, in one process and in turn, so
that the ratios hold on a noisy machine; their losses must agree.
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

from zeroloss.networks import deep_linear
from zeroloss.randomness import torch_generator
from zeroloss.training.deep_linear_descent import descend

# width m = d_in = d_out, depth L, samples n, networks in one batch
SIZES = ((5, 8, 5, 64), (16, 16, 16, 64), (64, 32, 16, 16), (256, 64, 16, 4))
# the ratio that the engine is meant to reach, by width
WANTED = {5: 40.0, 16: 40.0, 64: 4.0}
ETA = 1e-3


def plain_script(layers: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor, steps: int) -> list[float]:
    """What a reader of the paper writes in an afternoon: modules, autograd, an optimiser, one network."""
    model = nn.Sequential(*(nn.Linear(layer.shape[1], layer.shape[0], bias=False) for layer in layers))
    for module, layer in zip(model, layers, strict=True):
        module.weight.data = layer.clone()
    optimiser = torch.optim.SGD(model.parameters(), lr=ETA)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = 0.5 * ((model(x.T) - y.T) ** 2).sum()
        loss.backward()
        losses.append(loss.item())
        optimiser.step()
    return losses


def measure(width: int, depth: int, samples: int, batch: int, repeats: int) -> tuple[float, float, float]:
    """CPU seconds per network and step, plain and batched, and their ratio: medians over interleaved repeats."""
    generators = [torch_generator(seed, "benchmark") for seed in range(batch)]
    shapes = deep_linear.layer_shapes(width, width, width, depth)
    layers = deep_linear.gaussian(shapes, float(width**-0.5), generators, torch.float32)
    x = torch.randn(width, samples, generator=torch_generator(0, "inputs"))
    y = torch.randn(width, samples, generator=torch_generator(0, "targets"))
    # a tenth of a second or more of each, whatever the size
    plain_steps = max(8, 8000 // depth // (1 + width // 64))
    batched_steps = max(8, int(1e9 / (batch * depth * width**2 * (samples + 20))))
    own = [layer[0] for layer in layers]
    expected = plain_script(own, x, y, 5)
    found = descend(layers, x, y, ETA, 5).losses[0]
    np.testing.assert_allclose(found[:5], expected, rtol=1e-4)
    seen: list[tuple[float, float]] = []
    for _ in range(repeats):
        begin = time.process_time()
        plain_script(own, x, y, plain_steps)
        plain = (time.process_time() - begin) / plain_steps
        begin = time.process_time()
        descend(layers, x, y, ETA, batched_steps)
        seen.append((plain, (time.process_time() - begin) / batched_steps / batch))
    plain, batched = (statistics.median(values) for values in zip(*seen, strict=True))
    return plain, batched, statistics.median(first / second for first, second in seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"one thread, CPU microseconds per network and step, float32, medians of {given.repeats} interleaved repeats\n"
    )
    print("| m | L | n | batch | plain | batched | speed-up | wanted |")
    print("|---|---|---|---|---|---|---|---|")
    for width, depth, samples, batch in SIZES:
        plain, batched, ratio = measure(width, depth, samples, batch, given.repeats)
        wanted = f"{WANTED[width]:g}" if width in WANTED else "-"
        print(
            f"| {width} | {depth} | {samples} | {batch} | {1e6 * plain:.0f} | {1e6 * batched:.1f} | {ratio:.1f} | {wanted} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
