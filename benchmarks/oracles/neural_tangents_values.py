"""Kernels of google/neural-tangents (0.6.5) on small inputs, as a csv: the independent values our tests compare with.

Usage: PYTHON benchmarks/oracles/neural_tangents_values.py [--out tests/data/neural_tangents_values.csv]

PYTHON is that of an environment of its own, since neural-tangents imports only on jax 0.4.30 to 0.5.3:
python -m venv ntvenv; ntvenv/bin/pip install "jax[cpu]==0.5.3" "neural-tangents==0.6.5". About a minute; float64.
"""

from __future__ import annotations

import argparse
import csv
import sys
from typing import Any

import numpy as np

SAMPLES, DIMENSION = 10, 4
IMAGES, CHANNELS, PIXELS = 5, 3, (6, 5)

# name -> hidden layers, activation, weight variance, bias variance, whether inputs have unit length
FULLY_CONNECTED: dict[str, tuple[int, str, float, float, bool]] = {
    "relu_1": (1, "relu", 2.0, 0.0, True),
    "relu_3": (3, "relu", 2.0, 0.0, True),
    "relu_5": (5, "relu", 2.0, 0.0, False),
    "relu_3_bias": (3, "relu", 1.0, 0.01, False),
    "erf_2": (2, "erf", 1.5, 0.0, True),
    "erf_4_bias": (4, "erf", 1.0, 0.2, False),
}
# name -> depth (convolutions + 1), pooling; all layers trained, as neural-tangents has it
CONVOLUTIONAL: dict[str, tuple[int, bool]] = {
    "vanilla_3": (3, False),
    "vanilla_6": (6, False),
    "pooling_3": (3, True),
    "pooling_6": (6, True),
}


def vectors(unit: bool) -> np.ndarray:
    """Inputs by formula, float64, shape (10, 4)."""
    i, j = np.meshgrid(np.arange(SAMPLES), np.arange(DIMENSION), indexing="ij")
    x = np.sin(1.0 + 2.3 * i + 4.1 * j + 0.7 * i * j)
    return x / np.linalg.norm(x, axis=1, keepdims=True) if unit else x


def images() -> np.ndarray:
    """Images by formula, float64, shape (5, 3, 6, 5)."""
    shape = (IMAGES, CHANNELS, *PIXELS)
    i, c, p, q = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    return np.sin(1.0 + 2.3 * i + 4.1 * c + 1.7 * p + 0.9 * q + 0.31 * i * p * (q + 1))


def fully_connected(case: tuple[int, str, float, float, bool], dtype: Any = np.float64) -> tuple[np.ndarray, ...]:
    """(NNGP, NTK); the first layer has weight variance d, so that S_1 = x . x' + b."""
    from neural_tangents import stax

    depth, activation, weight, bias, unit = case
    x = vectors(unit).astype(dtype)
    layers = []
    for layer in range(depth + 1):
        variance = DIMENSION if layer == 0 else weight
        layers.append(stax.Dense(1, W_std=variance**0.5, b_std=bias**0.5 if bias else None))
        if layer < depth:
            layers.append(stax.Relu() if activation == "relu" else stax.Erf())
    found = stax.serial(*layers)[2](x, None, ("nngp", "ntk"))
    return np.asarray(found.nngp), np.asarray(found.ntk)


def convolutional(case: tuple[int, bool], x: np.ndarray | None = None) -> np.ndarray:
    """The CNTK with all layers trained, scaled like the authors' code."""
    from neural_tangents import stax

    depth, pooling = case
    x = images() if x is None else x
    channels, height, width = x.shape[1:]
    layers = []
    for layer in range(depth - 1):
        # the first variance makes S^(0) the sum over a patch, as the authors have it; 2 / 9 per layer after it
        variance = 9.0 * channels if layer == 0 else 2.0
        layers += [stax.Conv(1, (3, 3), padding="SAME", W_std=variance**0.5), stax.Relu()]
    layers += [stax.GlobalAvgPool() if pooling else stax.Flatten(), stax.Dense(1, W_std=(2.0 / 9.0) ** 0.5)]
    found = np.asarray(stax.serial(*layers)[2](x.transpose(0, 2, 3, 1), None, "ntk"))
    return found if pooling else found * (height * width)


def values() -> dict[tuple[str, str], np.ndarray]:
    """(case, nngp or ntk) -> matrix."""
    found: dict[tuple[str, str], np.ndarray] = {}
    for name, dense in FULLY_CONNECTED.items():
        found[name, "nngp"], found[name, "ntk"] = fully_connected(dense)
    for name, conv in CONVOLUTIONAL.items():
        found[name, "ntk"] = convolutional(conv)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", help="csv file; standard output by default")
    arguments = parser.parse_args()
    import jax

    jax.config.update("jax_enable_x64", True)
    with open(arguments.out, "w", newline="") if arguments.out else sys.stdout as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["case", "kernel", "row", "column", "value"])
        for (name, kernel), matrix in values().items():
            for i, j in zip(*np.triu_indices(len(matrix)), strict=True):
                writer.writerow([name, kernel, i, j, repr(float(matrix[i, j]))])


if __name__ == "__main__":
    main()
