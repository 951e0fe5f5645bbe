"""CPU seconds of google/neural-tangents for one kernel: run by kernels_speed.py in the environment that has it.

Usage: PYTHON benchmarks/oracles/neural_tangents_speed.py dense|vanilla|pooling N SIZE DEPTH REPEATS

SIZE is the input dimension, or the pixels of a side of images with three channels. Compiled once before it is timed;
float32, one thread. Prints the seconds of each repeat on one line.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import numpy as np
from neural_tangents import stax


def main() -> None:
    kind = sys.argv[1]
    n, size, depth, repeats = map(int, sys.argv[2:])
    generator = np.random.default_rng(0)
    layers = []
    for _ in range(depth if kind == "dense" else depth - 1):
        linear = stax.Dense(1, 2**0.5) if kind == "dense" else stax.Conv(1, (3, 3), padding="SAME", W_std=2**0.5)
        layers += [linear, stax.Relu()]
    if kind != "dense":
        layers.append(stax.GlobalAvgPool() if kind == "pooling" else stax.Flatten())
    _, _, kernel = stax.serial(*layers, stax.Dense(1))
    shape = (n, size) if kind == "dense" else (n, size, size, 3)
    x = generator.standard_normal(shape).astype(np.float32)
    compiled = jax.jit(lambda a, b: kernel(a, b, "ntk"))
    compiled(x, x).block_until_ready()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        compiled(x, x).block_until_ready()
        times.append(time.process_time() - begin)
    print(*times)


if __name__ == "__main__":
    main()
