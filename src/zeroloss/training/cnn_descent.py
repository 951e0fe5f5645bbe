"""The paper's training of convolutional networks: SGD with Nesterov momentum, learning rate divided by 10 twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from zeroloss.checkpoint import Checkpoint
from zeroloss.networks.skip_cnn import SkipCnn
from zeroloss.networks.skip_dense import losses
from zeroloss.randomness import torch_generator
from zeroloss.training import module_state


@dataclass(frozen=True)
class Record:
    """The network after an epoch: mean cross-entropy, training errors, test errors, whether it has diverged."""

    epoch: int
    loss: float
    errors: int
    test_errors: int
    diverged: bool


def evaluate(network: nn.Module, x: torch.Tensor, y: torch.Tensor, batch: int) -> tuple[float, int]:
    """Mean cross-entropy in float64, and number of errors."""
    with torch.no_grad():
        logits = torch.cat([network(part) for part in x.split(batch)])
    loss, errors = losses(logits[None], y)
    return float(loss), int(errors)


def train(
    network: SkipCnn,
    train_set: tuple[torch.Tensor, torch.Tensor],
    test_set: tuple[torch.Tensor, torch.Tensor],
    *,
    only_readout: bool,
    rate: float,
    momentum: float,
    epochs: int,
    batch: int,
    record_every: int,
    seed: int,
    on_epoch: Callable[[int], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[Record]:
    """Train in place; learning rate divided by 10 after 50 % and after 75 % of the epochs.

    Args:
        network: fresh network on the device of the data.
        train_set, test_set: images (n, channels, height, width) and classes (n,).
        only_readout: keep the hidden weights U at their random start ("rand"): psi is formed once.
        rate, momentum: of SGD, Nesterov's form; no weight decay.
        epochs, batch: passes over the data, examples per step.
        record_every: epochs between records.
        seed: of the order of the examples.
        on_epoch: called after every epoch.
        checkpoint: where the state is kept between epochs; nowhere by default.
    """
    model: nn.Module = network
    (x, y), (x_test, y_test) = train_set, test_set
    if only_readout:
        with torch.no_grad():
            x, x_test = (torch.cat([network.features(p) for p in part.split(batch)]) for part in (x, x_test))
        model = network.readout
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, nesterov=momentum > 0)
    generator = torch_generator(seed, "order of examples")
    state = checkpoint.load() if checkpoint is not None else None
    first, records = 0, list[Record]()
    if state is not None:
        module_state.put_back(state, model, optimiser, generator)
        records = [Record(**one) for one in json.loads(str(state["records"]))]
        first = int(state["epoch"]) + 1
    for epoch in range(first, epochs + 1):
        if epoch:
            drops = sum(epoch > drop for drop in (epochs // 2, epochs * 3 // 4))
            optimiser.param_groups[0]["lr"] = rate * 0.1**drops
            for part in torch.randperm(len(x), generator=generator).to(x.device).split(batch):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(x[part]), y[part]).backward()
                optimiser.step()
            if on_epoch is not None:
                on_epoch(epoch)
        if epoch % record_every == 0 or epoch == epochs:
            loss, errors = evaluate(model, x, y, batch)
            diverged = not loss < float("inf")
            test_errors = evaluate(model, x_test, y_test, batch)[1]
            records.append(Record(epoch, float("nan") if diverged else loss, errors, test_errors, diverged))
            if diverged:
                break
        if checkpoint is not None and checkpoint.due():
            kept = {"records": np.array(json.dumps([vars(one) for one in records])), "epoch": np.array(epoch)}
            checkpoint.save({**module_state.arrays_of(model, optimiser, generator), **kept})
    return records
