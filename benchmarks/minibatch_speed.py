"""Seconds per epoch of the mini-batch engine against a plain script: PIL images, DataLoader, eager modules.

Usage: python benchmarks/minibatch_speed.py [--images 640] [--repeats 3] [--printed]

Both read the same bytes, train the same weights on the same batches in the same order, and end with the same loss,
which is checked. CPU seconds, one thread, repeats interleaved.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from zeroloss.datasets import corruption
from zeroloss.networks.zhang2017 import (
    LRN_ALPHA,
    LRN_BETA,
    LRN_RADIUS,
    LocalResponse,
    SmallAlexNet,
    SmallInception,
    mlp,
)
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.training.minibatch import Images, Schedule, initialise, train

BATCH, RATE, MOMENTUM, SIDE = 128, 0.01, 0.9, 28


class PlainImages(Dataset):
    """What a reader writes: an image object at a time, cropped and whitened when it is asked for."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.x[index]).crop((2, 2, 2 + SIDE, 2 + SIDE))
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
        floor = x.numel() ** -0.5
        return (x - x.mean()) / max(float(x.std(correction=0)), floor), int(self.y[index])


class Order:
    """The batches of the engine's generator, so that both scripts see the same ones."""

    def __init__(self, count: int) -> None:
        self.count, self.generator = count, torch_generator(0, "order")

    def __iter__(self) -> Iterator[list[int]]:
        return iter([batch.tolist() for batch in torch.randperm(self.count, generator=self.generator).split(BATCH)])

    def __len__(self) -> int:
        return -(-self.count // BATCH)


def with_torchs_response(network: nn.Module) -> nn.Module:
    """The same AlexNet with torch's own local response normalisation, as a plain script has it."""
    for name, module in network.named_children():
        if isinstance(module, LocalResponse):
            size = 2 * LRN_RADIUS + 1
            setattr(network, name, nn.LocalResponseNorm(size, alpha=LRN_ALPHA * size, beta=LRN_BETA, k=1))
    return network


def plain_epoch(network: nn.Module, loader: DataLoader) -> float:
    optimiser = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)
    total = right = 0.0
    for x, y in loader:
        optimiser.zero_grad()
        outputs = network(x)
        loss = functional.cross_entropy(outputs, y)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(y)
        right += (outputs.argmax(1) == y).sum().item()
    return total / len(loader.dataset)  # type: ignore[arg-type]


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def prepared(x: np.ndarray, y: np.ndarray) -> Images:
    return Images.place(corruption.whiten_each(corruption.centre_crop(x, SIDE) / np.float32(255)), y, "cpu")


def data_paths(x: np.ndarray, y: np.ndarray, repeats: int) -> None:
    """Only the reading of the batches of one epoch."""
    loader, images = DataLoader(PlainImages(x, y), batch_sampler=Order(len(y))), prepared(x, y)

    def ours() -> None:
        for index in torch.randperm(len(y)).split(BATCH):
            _ = images.x[index], images.y[index]

    def plain() -> None:
        for _ in loader:
            pass

    once = seconds(lambda: prepared(x, y))
    times = [(seconds(plain), seconds(ours)) for _ in range(repeats)]
    slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"data path, {len(y)} images, CPU ms: plain {1e3 * slow:.1f}, ours {1e3 * fast:.2f}, ratio {slow / fast:.0f}")
    print(
        f"(ours prepares all images once: {1e3 * once:.1f} ms; over 60 epochs ratio {60 * slow / (60 * fast + once):.0f})"
    )


def epochs(name: str, make: Callable[[], nn.Module], x: np.ndarray, y: np.ndarray, repeats: int) -> None:
    images = prepared(x, y)
    # one image: the test part is left out on both sides
    alone = Images(images.x[:1], images.y[:1])
    schedule = Schedule(1, BATCH, RATE, 1.0, MOMENTUM, 0.0)
    found: list[tuple[float, float]] = []
    for _ in range(repeats):
        ours, plain = make(), with_torchs_response(make())
        for network in (ours, plain):
            initialise(network, torch_generator(0, "weights"))
        loader = DataLoader(PlainImages(x, y), batch_sampler=Order(len(y)))
        losses: list[float] = []
        slow = seconds(lambda plain=plain, loader=loader, losses=losses: losses.append(plain_epoch(plain, loader)))  # type: ignore[misc]
        engine = torch_generator(0, "order")
        fast = seconds(
            lambda ours=ours, engine=engine, losses=losses: losses.append(  # type: ignore[misc]
                train(ours, images, alone, schedule, engine)[0].loss
            )
        )
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
        found.append((slow, fast))
    slow, fast = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"| {name} | {slow:.2f} | {fast:.2f} | {slow / fast:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--printed", action="store_true", help="small Inception at its printed size too, a minute more")
    given = parser.parse_args()
    torch.set_num_threads(1)
    generator = numpy_generator(0, "benchmark")
    x = generator.integers(0, 256, (given.images, 32, 32, 3), np.uint8)
    y = generator.integers(0, 10, given.images)
    data_paths(x, y, given.repeats)
    networks: dict[str, Callable[[], nn.Module]] = {
        "MLP 1x512": lambda: mlp(SIDE * SIDE * 3, [512]),
        "small AlexNet": lambda: SmallAlexNet(3, SIDE),
        "small Inception, channels over 8": lambda: SmallInception(3, 8),
    }
    if given.printed:
        networks["small Inception"] = lambda: SmallInception(3)
    print(f"\n| epoch of {given.images} images, CPU s | plain | ours | ratio |\n|---|---|---|---|")
    for name, make in networks.items():
        epochs(name, make, x, y, given.repeats)


if __name__ == "__main__":
    main()
