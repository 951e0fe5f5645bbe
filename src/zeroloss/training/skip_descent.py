"""Mini-batch SGD of many fully connected networks at once, with their own learning rates, gradients by hand.

All parameters of all networks lie in one flat vector, so that a step is two vector operations however deep the networks
are; the layers are views of it. All networks see the same batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from zeroloss.networks.skip_dense import ACTIVATIONS, DenseNetworks, hidden_values, losses, outputs
from zeroloss.randomness import torch_generator

# Beyond this growth of the loss over its start a run is given up as diverged: an unlucky step of SGD can raise the loss
# a hundredfold and recover.
DIVERGED = 1e4


def gradients(
    networks: DenseNetworks, x: torch.Tensor, labels: torch.Tensor, activation: str
) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """d(mean cross-entropy)/d(W, b, V) of every network by backpropagation, shaped as they are.

    Args:
        networks: B networks.
        x: the batch, shape (n, d), shared by all networks.
        labels: classes, int64, shape (n,).
        activation: key of ACTIVATIONS.
    """
    slope = ACTIVATIONS[activation].slope
    values = hidden_values(networks, x, activation)
    features = torch.cat(values, dim=2)
    error = torch.softmax(features @ networks.readout, dim=2)
    rows = torch.arange(len(labels), device=x.device)
    error[:, rows, labels] -= 1
    error /= len(labels)
    readout = torch.bmm(features.transpose(1, 2), error).mul_(networks.wired)
    direct = torch.bmm(error, networks.readout.transpose(1, 2)).split([v.shape[2] for v in values], dim=2)
    slopes = slope(features).split([v.shape[2] for v in values], dim=2)
    weights, biases = [], []
    delta = direct[-1] * slopes[-1]
    for layer in range(len(values) - 1, -1, -1):
        below = values[layer - 1] if layer else x.expand(len(delta), *x.shape)
        weights.append(torch.bmm(below.transpose(1, 2), delta))
        biases.append(delta.sum(dim=1, keepdim=True))
        if layer:
            delta = torch.baddbmm(direct[layer - 1], delta, networks.weights[layer].transpose(1, 2))
            delta = delta * slopes[layer - 1]
    return weights[::-1], biases[::-1], readout


@dataclass(frozen=True)
class Course:
    """What :func:`train` found, at the recorded epochs.

    Attributes:
        epochs: shape (R,), 0 first.
        loss: mean cross-entropy over all examples, float64, shape (R, B); NaN from the record on at which a network was
            found to have diverged.
        errors: misclassified examples, shape (R, B); all of them where diverged.
        diverged_at: epoch of that record, -1 where never, shape (B,).
    """

    epochs: np.ndarray
    loss: np.ndarray
    errors: np.ndarray
    diverged_at: np.ndarray


def _flatten(networks: DenseNetworks) -> tuple[torch.Tensor, DenseNetworks]:
    """All parameters in one vector, and the networks as views of it."""
    tensors = networks.tensors()
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    parts = flat.split([tensor.numel() for tensor in tensors])
    views = [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
    depth = len(networks.weights)
    return flat, DenseNetworks(views[:depth], views[depth:-1], views[-1], networks.wired)


def train(
    networks: DenseNetworks,
    x: torch.Tensor,
    labels: torch.Tensor,
    activation: str,
    rates: torch.Tensor,
    *,
    momentum: float,
    epochs: int,
    batch: int,
    record_every: int,
    order_seed: int,
    on_epoch: Callable[[int], None] | None = None,
) -> tuple[DenseNetworks, Course]:
    """SGD, with Nesterov momentum where ``momentum`` is not 0 (as in torch.optim.SGD).

    Args:
        networks: B fresh networks (not changed).
        x: all examples, shape (N, d).
        labels: classes, int64, shape (N,).
        activation: key of ACTIVATIONS.
        rates: learning rate of each network, shape (B,).
        momentum: in [0, 1).
        epochs: passes over the data; the last incomplete batch of a pass is used too.
        batch: examples per step.
        record_every: epochs between records; the last epoch is recorded too.
        order_seed: seed of the order of the examples.
        on_epoch: called after every epoch with its number.
    """
    flat, networks = _flatten(networks)
    each = torch.cat([rates.to(t).view(-1, 1, 1).expand_as(t).flatten() for t in networks.tensors()])
    velocity = torch.zeros_like(flat)
    generator = torch_generator(order_seed, "order of examples")
    count = len(rates)
    diverged = np.full(count, -1)
    recorded: list[int] = []
    loss: list[np.ndarray] = []
    errors: list[np.ndarray] = []

    def record(epoch: int) -> None:
        now, wrong = losses(outputs(networks, x, activation), labels)
        values, missed = now.cpu().numpy(), wrong.cpu().numpy()
        limit = DIVERGED * loss[0] if loss else np.inf
        diverged[(~np.isfinite(values) | (values > limit)) & (diverged < 0)] = epoch
        recorded.append(epoch)
        loss.append(np.where(diverged >= 0, np.nan, values))
        errors.append(np.where(diverged >= 0, len(x), missed))

    record(0)
    for epoch in range(1, epochs + 1):
        for part in torch.randperm(len(x), generator=generator).to(x.device).split(batch):
            weights, biases, readout = gradients(networks, x[part], labels[part], activation)
            gradient = torch.cat([one.flatten() for one in (*weights, *biases, readout)])
            if momentum:
                velocity.mul_(momentum).add_(gradient)
                gradient.add_(velocity, alpha=momentum)
            flat.addcmul_(each, gradient, value=-1)
        if epoch % record_every == 0 or epoch == epochs:
            record(epoch)
        if on_epoch is not None:
            on_epoch(epoch)
    return networks, Course(np.array(recorded), np.stack(loss), np.stack(errors), diverged)
