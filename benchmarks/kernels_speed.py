"""Tangent kernels against neural-tangents and against Jacobians, on one core.

Usage: python benchmarks/kernels_speed.py [--neural-tangents PYTHON] [--repeats 3]

PYTHON is that of an environment with neural-tangents (see oracles/neural_tangents_values.py); without it only the ratios to
code of this environment are printed. float32, as neural-tangents computes by default; it always computes all n^2 pairs, ours
of K(X, X) half of them. Targets: fully connected 5x, CNTK-GAP 40x, CNTK-V 1x, empirical kernel 15x.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import torch

from zeroloss.kernels.convolutional import ConvolutionalKernel
from zeroloss.kernels.deep_gram import finite_grams
from zeroloss.kernels.tangent import TangentKernel
from zeroloss.networks.deep import Network, forward, initial_weights
from zeroloss.randomness import torch_generator

ORACLE = Path(__file__).parent / "oracles" / "neural_tangents_speed.py"


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator(0, "kernel benchmark", *shape))


def plain_dense(x: torch.Tensor, depth: int) -> torch.Tensor:
    """What a reader writes: the recursion of eqs. 6-13 on whole matrices, float64."""
    covariance = x.double() @ x.double().T
    tangent = covariance.clone()
    for _ in range(depth):
        scale = covariance.diagonal().sqrt()
        outer = torch.outer(scale, scale)
        correlation = (covariance / outer).clamp(-1, 1)
        angle = torch.arccos(correlation)
        covariance = outer * ((torch.pi - angle) * correlation + torch.sqrt(1 - correlation**2)) / torch.pi
        tangent = tangent * (torch.pi - angle) / torch.pi + covariance
    return tangent


def show(name: str, ours: list[float], theirs: list[float], whose: str) -> None:
    fast, slow = statistics.median(ours), statistics.median(theirs)
    print(f"| {name} | {whose} | {slow:.3g} | {fast:.3g} | {slow / fast:.1f} |", flush=True)


def against_oracle(
    name: str, python: str, kind: str, x: torch.Tensor, depth: int, repeats: int, kernel: Callable[..., torch.Tensor]
) -> None:
    """Ours before and after theirs, so that both meet the same noise: K(X, Z) of all pairs, and K(X, X) of half of them."""

    def times() -> list[tuple[float, float]]:
        return [(seconds(lambda: kernel(x, x)), seconds(lambda: kernel(x))) for _ in range(repeats)]

    before = times()
    command = [python, str(ORACLE), kind, *map(str, (len(x), x.shape[-1], depth, repeats))]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - the interpreter is the caller's
    if done.returncode:
        raise SystemExit(f"{python} cannot run neural-tangents: {done.stderr.strip().splitlines()[-1]}")
    theirs = [float(value) for value in done.stdout.split()]
    whole, half = (list(column) for column in zip(*before, *times(), strict=True))
    show(f"{name}, K(X, Z)", whole, theirs, "neural-tangents")
    show(f"{name}, K(X, X)", half, theirs, "neural-tangents")


def jacobian_gram(network: Network, weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The empirical kernel by a Jacobian over all weights, vectorised by torch.func."""

    def outputs(*layers: torch.Tensor) -> torch.Tensor:
        return forward(network, [layer[None] for layer in layers], x[:, None]).outputs[0, :, 0]

    parts = torch.func.jacrev(outputs, argnums=tuple(range(len(weights))))(*(w[0] for w in weights))
    rows = torch.cat([part.flatten(1) for part in parts], dim=1)
    return rows @ rows.T


def empirical(n: int, width: int, depth: int, repeats: int) -> None:
    network = Network("fully_connected", depth, width, "relu", c_res=0.5)
    weights = [w.float() for w in initial_weights(network, 1, 20, [0])]
    x = draw(n, 20)
    times = []
    for _ in range(repeats):
        found: list[torch.Tensor] = []
        slow = seconds(lambda found=found: found.append(jacobian_gram(network, weights, x)))  # type: ignore[misc]
        fast = seconds(lambda found=found: found.append(finite_grams(network, weights, x[:, None])[0].sum(0)))  # type: ignore[misc]
        if not torch.allclose(found[0], found[1], rtol=1e-3, atol=1e-3 * float(found[0].abs().max())):
            raise SystemExit("the two empirical kernels differ")
        times.append((slow, fast))
    slows, fasts = (list(column) for column in zip(*times, strict=True))
    show(f"empirical NTK, n = {n}, m = {width}, L = {depth}", fasts, slows, "Jacobian")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neural-tangents", metavar="PYTHON", help="Python of an environment that has it")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| kernel | against | CPU s | ours, CPU s | ratio |\n|---|---|---|---|---|", flush=True)
    x = draw(2000, 50)
    ours = [seconds(lambda: TangentKernel(3)(x)) for _ in range(given.repeats)]
    plain = [seconds(lambda: plain_dense(x, 3)) for _ in range(given.repeats)]
    show("fully connected, n = 2000, L = 3", ours, plain, "whole matrices, float64")
    empirical(50, 128, 3, given.repeats)
    empirical(100, 256, 4, given.repeats)
    if python := given.neural_tangents:
        against_oracle(
            "fully connected, n = 2000, L = 3", python, "dense", draw(2000, 50), 3, given.repeats, TangentKernel(3)
        )
        pooled = ConvolutionalKernel((4,), pooling=True, all_trained=True)
        against_oracle(
            "CNTK-GAP, 32 x 32, n = 2, depth 4", python, "pooling", draw(2, 3, 32, 32), 4, given.repeats, pooled
        )
        vanilla = ConvolutionalKernel((4,), pooling=False)
        against_oracle(
            "CNTK-V, 16 x 16, n = 200, depth 4", python, "vanilla", draw(200, 3, 16, 16), 4, given.repeats, vanilla
        )


if __name__ == "__main__":
    main()
