"""Loss of a fully connected network on a plane through its parameters (Nguyen et al. 2019, Figure 3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from zeroloss.networks.skip_dense import ACTIVATIONS, DenseNetworks, losses
from zeroloss.randomness import torch_generator

SCALINGS = ("layer", "network", "entries", "unit", "unit_layer")


def directions(networks: DenseNetworks, seeds: list[int], scaling: str) -> list[DenseNetworks]:
    """Two random directions, one network per seed: Gaussian, then scaled by one of SCALINGS.

    - layer: each tensor as long as the network's own (the layer-wise form of Li et al. 2018's normalisation); a tensor that
      is zero gives the direction zero;
    - network: the whole direction as long as the vector of all the network's parameters;
    - entries: not scaled, every entry N(0, 1);
    - unit: the whole direction of Euclidean length 1;
    - unit_layer: each tensor of length 1.

    Weights that are not wired stay zero. Equal seeds give directions that differ in these lengths only.
    """
    if scaling not in SCALINGS:
        raise ValueError(f"scaling {scaling!r} is none of {', '.join(SCALINGS)}")
    owns = networks.tensors()
    own_lengths = torch.stack([own.flatten(1).norm(dim=1) for own in owns])
    made = []
    for number in (1, 2):
        draws = []
        for index, own in enumerate(owns):
            parts = [
                torch.randn(own.shape[1:], generator=torch_generator(s, "direction", number, index)) for s in seeds
            ]
            draws.append(torch.stack(parts).to(own))
        draws[-1] *= networks.wired
        lengths = torch.stack([draw.flatten(1).norm(dim=1) for draw in draws])
        factors = {
            "layer": own_lengths / lengths,
            "network": (own_lengths.norm(dim=0) / lengths.norm(dim=0)).expand_as(lengths),
            "entries": torch.ones_like(lengths),
            "unit": (1 / lengths.norm(dim=0)).expand_as(lengths),
            "unit_layer": 1 / lengths,
        }[scaling]
        scaled = [draw * factor[:, None, None] for draw, factor in zip(draws, factors, strict=True)]
        depth = len(networks.weights)
        made.append(DenseNetworks(scaled[:depth], scaled[depth:-1], scaled[-1], networks.wired))
    return made


def one_of(networks: DenseNetworks, index: int) -> DenseNetworks:
    """Network ``index`` alone, tensors still with a first axis, of length 1."""
    pick = slice(index, index + 1)
    return DenseNetworks(
        [t[pick] for t in networks.weights],
        [t[pick] for t in networks.biases],
        networks.readout[pick],
        networks.wired[pick],
    )


def loss_surface(
    network: DenseNetworks,
    first: DenseNetworks,
    second: DenseNetworks,
    x: torch.Tensor,
    labels: torch.Tensor,
    activation: str,
    alphas: np.ndarray,
    on_row: Callable[[], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean cross-entropy and errors at theta + alpha_1 first + alpha_2 second.

    A row of the grid (one alpha_1) is one batch. The first layer is linear in both alphas, so its products with the inputs
    are formed once for the whole grid; the second layer, W = (W + alpha_1 D_1) + alpha_2 D_2, is a sum of small matrices.

    Args:
        network, first, second: one network each (B = 1).
        x: examples, shape (N, d).
        labels: classes, int64, shape (N,).
        activation: key of ACTIVATIONS.
        alphas: grid of both axes, shape (G,).

    Returns:
        loss, float64, and number of errors, both of shape (G, G), indexed by (alpha_1, alpha_2).
    """
    value = ACTIVATIONS[activation].value
    axis = torch.as_tensor(alphas, dtype=x.dtype, device=x.device)[:, None, None]
    bases = [x @ one.weights[0] + one.biases[0] for one in (network, first, second)]
    loss, errors = np.empty((len(alphas), len(alphas))), np.empty((len(alphas), len(alphas)), dtype=int)
    for row, alpha in enumerate(alphas.tolist()):

        def at(mine: torch.Tensor, one: torch.Tensor, two: torch.Tensor, alpha: float = alpha) -> torch.Tensor:
            return mine + alpha * one + axis * two

        here = value(at(bases[0], bases[1], bases[2]))
        values = [here]
        for layer in range(1, len(network.weights)):
            weight = at(network.weights[layer], first.weights[layer], second.weights[layer])
            shift = at(network.biases[layer], first.biases[layer], second.biases[layer])
            here = value(torch.baddbmm(shift, here, weight))
            values.append(here)
        ends = at(network.readout, first.readout, second.readout).split([v.shape[2] for v in values], dim=1)
        logits = sum(torch.bmm(v, end) for v, end in zip(values, ends, strict=True))
        now, wrong = losses(torch.as_tensor(logits), labels)
        loss[row], errors[row] = now.cpu().numpy(), wrong.cpu().numpy()
        if on_row is not None:
            on_row()
    return loss, errors
