"""Convolutional networks with N random hidden neurons wired to the output (Nguyen et al. 2019, section 4, Table 3).

A network is a list of layers in the paper's notation:

    "3x3 64"      convolution with 64 filters, same size, activation
    "3x3 64 /2"   the same with stride 2
    "pool"        2x2 max-pooling with stride 2 (no neurons of its own)
    "full 128"    fully connected layer with 128 units, activation

The output layer is not listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from zeroloss.errors import UserError
from zeroloss.networks.skip_dense import ACTIVATIONS
from zeroloss.randomness import torch_generator
from zeroloss.theory.nguyen2019 import check_width

_CONV = re.compile(r"(\d+)x\1 (\d+)(?: /(\d+))?")
_FULL = re.compile(r"full (\d+)")


@dataclass(frozen=True)
class Layer:
    """One hidden layer; ``kind`` is conv, pool or full, ``outputs`` its number of neurons."""

    kind: str
    channels: int
    kernel: int
    stride: int
    outputs: int


def parse_layers(texts: Sequence[str], shape: Sequence[int]) -> list[Layer]:
    """Layers of a network on images of ``shape`` = (height, width, channels); UserError where a text is none of the four."""
    height, width, channels = shape
    layers = []
    for text in texts:
        if found := _CONV.fullmatch(text):
            kernel, channels, stride = int(found[1]), int(found[2]), int(found[3] or 1)
            height, width = -(-height // stride), -(-width // stride)
            layers.append(Layer("conv", channels, kernel, stride, channels * height * width))
        elif text == "pool":
            if min(height, width) < 2:
                raise UserError(f"layer {text!r}: an image of {height} x {width} cannot be pooled: remove a pool")
            height, width = height // 2, width // 2
            layers.append(Layer("pool", channels, 2, 2, 0))
        elif found := _FULL.fullmatch(text):
            channels, height, width = int(found[1]), 1, 1
            layers.append(Layer("full", channels, 1, 1, channels))
        else:
            raise UserError(f"layer {text!r} is unknown: allowed are '3x3 64', '3x3 64 /2', 'pool' and 'full 128'")
    return layers


def hidden_neurons(texts: Sequence[str], shape: Sequence[int]) -> int:
    """Neurons of all hidden layers together; those of pooling layers do not count, they have no weights."""
    return sum(layer.outputs for layer in parse_layers(texts, shape))


class SkipCnn(nn.Module):
    """A network of :func:`parse_layers`, plain or with ``wired`` random hidden neurons as its only wires to the output.

    Weights are a normal of variance gain / d cut at two standard deviations, mean 0, with d the fan-in of the layer (the
    paper prints 2 / d, "d the number of weight parameters in each layer", for its fixed features and softplus); biases 0.

    Args:
        texts: hidden layers.
        shape: of one image, (height, width, channels).
        classes: outputs.
        activation: sigmoid or softplus.
        wired: number of random hidden neurons wired to the output; None: the last hidden layer, as usual.
        seed: of weights and choice of neurons.
        gain: variance of a weight times its fan-in.
    """

    def __init__(
        self,
        texts: Sequence[str],
        shape: Sequence[int],
        classes: int,
        activation: str,
        wired: int | None,
        seed: int,
        gain: float,
    ) -> None:
        super().__init__()
        self._activation = ACTIVATIONS[activation].value
        self.layers = parse_layers(texts, shape)
        self.hidden = nn.ModuleList()
        height, width, channels = shape
        for layer in self.layers:
            if layer.kind == "conv":
                conv = nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, padding=layer.kernel // 2)
                self.hidden.append(conv)
                height, width = -(-height // layer.stride), -(-width // layer.stride)
            elif layer.kind == "pool":
                self.hidden.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
            else:
                self.hidden.append(nn.Linear(channels * height * width, layer.channels))
                height, width = 1, 1
            channels = layer.channels
        total = sum(layer.outputs for layer in self.layers)
        if wired is None:
            self.chosen = None
            features = channels * height * width
        else:
            check_width(total, wired)
            order = torch.randperm(total, generator=torch_generator(seed, "wired neurons"))
            # sorted, so that the neurons of one layer can be taken from it alone
            self.chosen = order[:wired].sort().values
            features = wired
        self.readout = nn.Linear(features, classes, bias=False)
        self._draw(seed, gain)

    def _draw(self, seed: int, gain: float) -> None:
        for index, module in enumerate(self.hidden):
            if isinstance(module, nn.Conv2d | nn.Linear):
                deviation = (gain / module.weight[0].numel()) ** 0.5
                generator = torch_generator(seed, "hidden", index)
                nn.init.trunc_normal_(module.weight, 0, deviation, -2 * deviation, 2 * deviation, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        deviation = self.readout.in_features**-0.5
        nn.init.normal_(self.readout.weight, 0, deviation, generator=torch_generator(seed, "readout"))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """psi(x): the neurons that are wired to the output, shape (n, M); x has shape (n, channels, height, width)."""
        parts, start = [], 0
        for layer, module in zip(self.layers, self.hidden, strict=True):
            if layer.kind == "pool":
                x = module(x)
                continue
            x = self._activation(module(x.flatten(1) if layer.kind == "full" else x))
            if self.chosen is not None:
                mine = self.chosen[(self.chosen >= start) & (self.chosen < start + layer.outputs)] - start
                parts.append(x.flatten(1)[:, mine.to(x.device)])
                start += layer.outputs
        return x.flatten(1) if self.chosen is None else torch.cat(parts, dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(self.features(x))
