"""Mini-batch SGD with momentum on images that fit into memory, one network at a time.

The whole data set is one tensor on the device; a batch is one index into it. Channels-last memory is what convolutions
of small images are fastest in, on a CPU and on a GPU. Everything random comes from one generator, so that a run taken up
from a checkpoint ends with the bytes of one that was never interrupted (CPU).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.nn import functional

from zeroloss.checkpoint import Checkpoint
from zeroloss.training import module_state

# images a forward pass takes at a time when nothing is trained
EVALUATED = 500


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Attributes:
        epochs: the most passes through the data.
        batch: images a step; the last batch of an epoch holds the rest.
        learning_rate: of the first epoch.
        decay: factor on the learning rate after every epoch.
        drops: epochs (counted from 0) from whose start on the learning rate is ten times less.
        momentum: of SGD, without dampening.
        weight_decay: coefficient of |theta|^2 / 2, on all parameters.
    """

    epochs: int
    batch: int
    learning_rate: float
    decay: float
    momentum: float
    weight_decay: float
    drops: tuple[int, ...] = ()

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch."""
        return self.learning_rate * self.decay**epoch * 0.1 ** sum(epoch >= drop for drop in self.drops)


@dataclass(frozen=True)
class Images:
    """Inputs (n, channels, H, W) or (n, d), float32, and classes (n,), int64, on the device they are trained on."""

    x: torch.Tensor
    y: torch.Tensor

    @classmethod
    def place(cls, x: np.ndarray, y: np.ndarray, device: str) -> Images:
        """From arrays: images (n, H, W, channels) become channels-last tensors (n, channels, H, W)."""
        inputs = torch.as_tensor(np.ascontiguousarray(x, dtype=np.float32), device=device)
        # the permutation of a dense (n, H, W, channels) array is what torch calls channels-last
        return cls(inputs.permute(0, 3, 1, 2) if inputs.ndim == 4 else inputs, torch.as_tensor(y, device=device))


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        epoch: counted from 1.
        steps: taken so far.
        loss: mean cross-entropy over the epoch's batches, each before its step.
        train_accuracy: share of the epoch's images classified rightly, each before its step.
        test_accuracy, test_loss: after the epoch, in evaluation mode.
    """

    epoch: int
    steps: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    test_loss: float


def initialise(network: torch.nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew from ``generator``: truncation-free He normal for weights, zeros for biases, ones for norms.

    torch's own initialisation takes the process's global generator.
    """
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            fan_in = module.weight[0].numel()
            drawn = torch.randn(module.weight.shape, generator=generator) * (2.0 / fan_in) ** 0.5
            with torch.no_grad():
                module.weight.copy_(drawn)
                if module.bias is not None:
                    module.bias.zero_()


def evaluate(network: torch.nn.Module, images: Images) -> tuple[float, float]:
    """Accuracy and mean cross-entropy in evaluation mode."""
    was_training = network.training
    network.eval()
    right, total = 0, 0.0
    with torch.no_grad():
        for x, y in zip(images.x.split(EVALUATED), images.y.split(EVALUATED), strict=True):
            outputs = network(x).float()
            right += int((outputs.argmax(1) == y).sum())
            total += float(functional.cross_entropy(outputs, y, reduction="sum"))
    network.train(was_training)
    return right / len(images.y), total / len(images.y)


def train(
    network: torch.nn.Module,
    images: Images,
    test: Images,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
    bfloat16: bool = False,
    stop: Callable[[Epoch], bool] | None = None,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train ``network`` in place with softmax cross-entropy.

    A run whose loss is no longer finite ends with that epoch, whose loss is then NaN or infinite.

    Args:
        network: on the images' device, initialised.
        images, test: what it is trained and tested on.
        schedule: optimiser and length.
        generator: on the CPU; of the order of the images and of the augmentation.
        augment: changes a batch of inputs; draws from the generator.
        bfloat16: forward and backward in bfloat16 where torch deems it safe; weights stay float32.
        stop: ends the run after the first epoch for which it holds.
        checkpoint: where the state is kept between epochs; nowhere by default. The end
            of a run is always kept, so that a job of several runs does none of them twice.
        on_epoch: called after every epoch.
    """
    if images.x.ndim == 4:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
    device = images.x.device
    parameters = list(network.parameters())
    optimiser = torch.optim.SGD(
        parameters, lr=schedule.rate(0), momentum=schedule.momentum, weight_decay=schedule.weight_decay, foreach=True
    )
    done = _resume(network, optimiser, generator, checkpoint)
    network.train()
    n = len(images.y)
    while len(done) < schedule.epochs and not (done and _ended(done[-1], stop)):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(len(done))
        # summed on the device: reading a number every step would wait for it
        total, right = torch.zeros((), device=device), torch.zeros((), device=device)
        order = torch.randperm(n, generator=generator).to(device)
        for index in order.split(schedule.batch):
            x, y = images.x[index], images.y[index]
            if augment is not None:
                x = augment(x, generator)
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                outputs = network(x)
            loss = functional.cross_entropy(outputs.float(), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                total += loss.detach() * len(y)
                right += (outputs.argmax(1) == y).sum()
        accuracy, test_loss = evaluate(network, test)
        steps = (len(done) + 1) * -(-n // schedule.batch)
        done.append(Epoch(len(done) + 1, steps, float(total) / n, float(right) / n, accuracy, test_loss))
        if on_epoch is not None:
            on_epoch(done[-1])
        ended = len(done) == schedule.epochs or _ended(done[-1], stop)
        if checkpoint is not None and (ended or checkpoint.due()):
            checkpoint.save(_state(network, optimiser, generator, done))
    return done


def _ended(last: Epoch, stop: Callable[[Epoch], bool] | None) -> bool:
    return not np.isfinite(last.loss) or (stop is not None and stop(last))


def _state(
    network: torch.nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator, done: list[Epoch]
) -> dict[str, np.ndarray]:
    epochs = np.array(json.dumps([asdict(one) for one in done]))
    return {**module_state.arrays_of(network, optimiser, generator), "epochs": epochs}


def _resume(
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    checkpoint: Checkpoint | None,
) -> list[Epoch]:
    """Put everything where the checkpoint left it; the epochs done by then."""
    state = checkpoint.load() if checkpoint is not None else None
    if state is None:
        return []
    module_state.put_back(state, network, optimiser, generator)
    return [Epoch(**one) for one in json.loads(str(state["epochs"]))]
