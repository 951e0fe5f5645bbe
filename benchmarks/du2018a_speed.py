"""Seconds per gradient step of the Gram-space engine, against a plain script and against the floor.

Usage: python benchmarks/du2018a_speed.py [--samples 1000] [--repeats 7] [--full] [--device cpu]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import torch
from torch import nn

from zeroloss.datasets.sphere import SpherePoints
from zeroloss.kernels.relu_gram import extreme_eigenvalues
from zeroloss.networks.two_layer import initial_weights
from zeroloss.studies.du2018a.experiment import spectrum_steps
from zeroloss.training.gram_descent import GramDescent, descend

WIDTHS = (500, 1000, 2000, 4000, 8000)
STEPS, STEP = 100, 0.001


class PlainScript:
    """What a reader of the paper writes in an afternoon: modules, autograd, an optimiser, numpy for the metrics."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, width: int) -> None:
        weights, self.signs = initial_weights(width, x.shape[1], seed=0)
        self.x, self.y, self.width = x, y, width
        self.layer = nn.Linear(x.shape[1], width, bias=False)
        self.layer.weight.data = weights.clone()
        self.optimiser = torch.optim.SGD(self.layer.parameters(), lr=STEP * width**0.5)
        self.start = weights.numpy().copy()
        self.x_numpy = x.numpy()
        self.start_active = self.x_numpy @ self.start.T >= 0
        self.mse, self.flips, self.distance, self.least = [], [], [], []

    def step(self) -> None:
        self.optimiser.zero_grad()
        output = torch.relu(self.layer(self.x)) @ self.signs / self.width**0.5
        loss = 0.5 * ((output - self.y) ** 2).sum()
        loss.backward()
        self.optimiser.step()
        self.mse.append(2 * loss.item() / len(self.y))

    def metrics(self) -> None:
        weights = self.layer.weight.detach().numpy()
        self.flips.append(float(((self.x_numpy @ weights.T >= 0) != self.start_active).mean()))
        self.distance.append(float(np.linalg.norm(weights - self.start, axis=1).max()))

    def eigenvalue(self) -> None:
        active = (self.x_numpy @ self.layer.weight.detach().numpy().T >= 0).astype(np.float32)
        gram = (self.x_numpy @ self.x_numpy.T) * (active @ active.T) / self.width
        self.least.append(float(np.linalg.eigvalsh(gram.astype(np.float64))[0]))


def cpu_seconds(work: Callable[[], object], times: int = 1) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def multiplication_rate(size: int = 2048) -> float:
    """Flops per second of torch.mm in float32, one thread, now."""
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    torch.mm(a, b, out=out)
    return 2 * size**3 / cpu_seconds(lambda: torch.mm(a, b, out=out), 2)


def measure(x: torch.Tensor, y: torch.Tensor, width: int, repeats: int) -> dict[str, float]:
    """Medians over interleaved repeats of one step of each kind, in seconds, and of the pieces of a whole run."""
    samples, dimension = x.shape
    gram = x @ x.T
    weights, signs = initial_weights(width, dimension, seed=0)
    start = weights @ x.T
    bare = GramDescent(gram, start, signs, y, STEP * width**0.5, measure=False)
    full = GramDescent(gram, start, signs, y, STEP * width**0.5)
    plain = PlainScript(x, y, width)

    def plain_with_metrics() -> None:
        plain.step()
        plain.metrics()

    works = {
        "ours": bare.step,
        "ours + metrics": full.step,
        "plain": plain.step,
        "plain + metrics": plain_with_metrics,
        "eigenvalue ours": lambda: extreme_eigenvalues(full.hidden_gram()),
        "eigenvalue plain": plain.eigenvalue,
        "set-up ours": lambda: GramDescent(gram, weights @ x.T, signs, y, 0.1),
    }
    for work in works.values():
        work()
    times = max(1, 4000 // width)
    seen: dict[str, list[float]] = {name: [] for name in (*works, "floor", "metrics share", "speed-up")}
    for _ in range(repeats):
        now = {
            name: cpu_seconds(work, 1 if "eigen" in name or "set-up" in name else times) for name, work in works.items()
        }
        now["floor"] = 4.0 * samples * dimension * width / multiplication_rate()
        now["metrics share"] = now["ours + metrics"] / now["ours"] - 1
        now["speed-up"] = now["plain + metrics"] / now["ours + metrics"]
        for name, value in now.items():
            seen[name].append(value)
    return {name: statistics.median(values) for name, values in seen.items()}


def whole_figure(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """CPU seconds of all five widths with all metrics, ours and the plain script, run in turn; they must agree."""
    at = spectrum_steps(STEPS, 8)
    gram, ours, plain = x @ x.T, 0.0, 0.0
    for width in WIDTHS:
        begin = time.process_time()
        weights, signs = initial_weights(width, x.shape[1], seed=0)
        path = descend(GramDescent(gram, weights @ x.T, signs, y, STEP * width**0.5), STEPS, at)
        ours += time.process_time() - begin
        begin = time.process_time()
        script = PlainScript(x, y, width)
        for k in range(STEPS + 1):
            if k:
                script.step()
            script.metrics()
            if k in at:
                script.eigenvalue()
        plain += time.process_time() - begin
        np.testing.assert_allclose(script.mse, path.mse[:-1], rtol=1e-3)
        np.testing.assert_allclose(script.distance[1:], path.max_distance[1:], rtol=1e-3)
        np.testing.assert_allclose(script.flips, path.pattern_change, atol=1e-4)
        np.testing.assert_allclose(script.least, [path.spectrum[k][0] for k in at], rtol=1e-3)
    return ours, plain


def on_gpu(x: torch.Tensor, y: torch.Tensor) -> None:
    """Achieved against attainable float32 rate (no TF32) for every width, on the card that is there."""
    print(f"\n{torch.cuda.get_device_name()}, float32 without TF32")
    a = torch.randn(8192, 8192, device="cuda")
    torch.mm(a, a)

    def seconds(work: Callable[[], object], times: int) -> float:
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(times):
            work()
        torch.cuda.synchronize()
        return (time.perf_counter() - begin) / times

    rate = 2 * 8192**3 / seconds(lambda: torch.mm(a, a), 10)
    print(f"torch.mm 8192: {rate / 1e12:.1f} TFLOP/s")
    gram = (x @ x.T).cuda()
    for width in WIDTHS:
        weights, signs = initial_weights(width, x.shape[1], seed=0)
        engine = GramDescent(gram, weights @ x.T, signs, y, STEP * width**0.5)
        wall = seconds(lambda engine=engine: descend(engine, 200), 1) / 200  # type: ignore[misc]
        done = 2.0 * len(x) ** 2 * width / wall
        print(f"m = {width}: {wall * 1e6:.0f} us a step, {done / 1e12:.2f} TFLOP/s, {done / rate:.0%} of torch.mm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000, help="n = d (default 1000, as in the paper)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--full", action="store_true", help="run the whole figure with both, about three minutes")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = SpherePoints(samples=given.samples, dimension=given.samples, seed=0).build(None)
    x, y = torch.from_numpy(data.x).float(), torch.from_numpy(data.y).float()
    if given.device == "cuda":
        on_gpu(x, y)
        return
    print(f"n = d = {given.samples}, one thread, CPU milliseconds, medians of {given.repeats} interleaved repeats\n")
    print(
        "| m | floor (2 products) | ours | floor / ours | ours + metrics | metrics | plain | plain + metrics | speed-up |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    ours = plain = 0.0
    for width in WIDTHS:
        t = measure(x, y, width, given.repeats)
        ms = {name: f"{1000 * value:.1f}" for name, value in t.items()}
        print(
            f"| {width} | {ms['floor']} | {ms['ours']} | {t['floor'] / t['ours']:.2f} | {ms['ours + metrics']} "
            f"| +{t['metrics share']:.0%} | {ms['plain']} | {ms['plain + metrics']} | {t['speed-up']:.2f} |",
            flush=True,
        )
        ours += STEPS * t["ours + metrics"] + 9 * t["eigenvalue ours"] + t["set-up ours"]
        plain += STEPS * t["plain + metrics"] + 9 * t["eigenvalue plain"]
    print(
        f"\nwhole figure, one seed, added up: ours {ours:.0f} s, plain script {plain:.0f} s, ratio {plain / ours:.2f}"
    )
    if given.full:
        ours, plain = whole_figure(x, y)
        print(f"whole figure, one seed, run: ours {ours:.0f} s, plain script {plain:.0f} s, ratio {plain / ours:.2f}")


if __name__ == "__main__":
    main()
