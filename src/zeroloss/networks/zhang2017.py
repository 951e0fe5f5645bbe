"""The networks of Zhang et al. 2017 (arXiv 1611.03530, Figure 3 and appendix A), at any width and input size.

With divisor 1 on 28 x 28 x 3 inputs and 10 classes they have the printed parameter counts, which include the biases of
convolutions and leave out the parameters of batch norm (:func:`parameters`). A divisor d has a d-th of the channels.
Inputs are (batch, channels, H, W); outputs are logits (batch, classes). Padding is TensorFlow's SAME, as in the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import torch
from torch import nn
from torch.nn import functional

# local response normalisation of the TensorFlow CIFAR-10 tutorial, whose AlexNet has the printed parameter count
LRN_RADIUS, LRN_ALPHA, LRN_BETA = 4, 0.001 / 9, 0.75

# channels (1 x 1, 3 x 3) of the blocks of small Inception; without 1 x 1 it is Down
BLOCKS = ((32, 32), (32, 48), (0, 80), (112, 48), (96, 64), (80, 80), (48, 96), (0, 96), (176, 160), (176, 160))


def parameters(network: nn.Module) -> int:
    """Number of parameters as the paper counts them: without those of batch norm."""
    norms = {id(p) for module in network.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()}
    return sum(p.numel() for p in network.parameters() if id(p) not in norms)


def halving_padding(x: torch.Tensor) -> torch.Tensor:
    """Zeros around x such that a 3 x 3 window with stride 2 gives ceil(H / 2) rows: TensorFlow's SAME, more at the end."""
    height, width = x.shape[2:]
    rows, columns = (1 if height % 2 else 0), (1 if width % 2 else 0)
    return functional.pad(x, (columns, 1, rows, 1))


class Inc(nn.Module):
    """Inc(a + b): a 1 x 1 and a 3 x 3 convolution side by side; batch norm and ReLU act on each channel alone."""

    def __init__(self, channels: int, ones: int, threes: int, norm: bool) -> None:
        super().__init__()
        self.ones = nn.Conv2d(channels, ones, 1)
        self.threes = nn.Conv2d(channels, threes, 3, padding=1)
        self.norm = nn.BatchNorm2d(ones + threes) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu_(self.norm(torch.cat([self.ones(x), self.threes(x)], 1)))


class Down(nn.Module):
    """Down(c): a 3 x 3 convolution and a 3 x 3 max-pool side by side, both with stride 2."""

    def __init__(self, channels: int, convolved: int, norm: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, convolved, 3, stride=2)
        self.norm = nn.BatchNorm2d(convolved) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # x comes from a ReLU, so that the zeros never win against a pixel of the pool's window
        padded = halving_padding(x)
        convolved = torch.relu_(self.norm(self.convolution(padded)))
        return torch.cat([convolved, functional.max_pool2d(padded, 3, stride=2)], 1)


class SmallInception(nn.Module):
    """Small Inception: Conv(96), 2 Inc, Down(80), 4 Inc, Down(96), 2 Inc, mean over pixels, fully connected.

    Args:
        colours: channels of the inputs.
        divisor: of all widths.
        norm: with batch norm, or without.
        classes: number of outputs.
    """

    def __init__(self, colours: int, divisor: int = 1, norm: bool = True, classes: int = 10) -> None:
        super().__init__()
        first = 96 // divisor
        self.stem = nn.Conv2d(colours, first, 3, padding=1)
        self.norm = nn.BatchNorm2d(first) if norm else nn.Identity()
        blocks: list[nn.Module] = []
        channels = first
        for ones, threes in BLOCKS:
            if ones:
                blocks.append(Inc(channels, ones // divisor, threes // divisor, norm))
                channels = ones // divisor + threes // divisor
            else:
                blocks.append(Down(channels, threes // divisor, norm))
                channels += threes // divisor
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.blocks(torch.relu_(self.norm(self.stem(x)))).mean(dim=(2, 3)))


class LocalResponse(nn.Module):
    """Local response normalisation, x_i / (1 + alpha sum of x_j^2 over |j - i| <= radius)^beta with beta = 3/4.

    The sum over neighbouring channels is a 1 x 1 convolution with a band matrix: exact, and faster than torch's own.
    """

    band: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        distance = (torch.arange(channels)[:, None] - torch.arange(channels)).abs()
        self.register_buffer("band", (LRN_ALPHA * (distance <= LRN_RADIUS))[:, :, None, None].float(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        root = torch.rsqrt(1 + functional.conv2d(x * x, self.band.to(x.dtype)))
        return x * root * root.sqrt()


class SmallAlexNet(nn.Module):
    """Small AlexNet: twice (5 x 5 convolution, 3 x 3 max-pool with stride 2, local response), then 384, 192, linear.

    64 channels in both convolutions are inferred from the printed parameter count.

    Args:
        colours: channels of the inputs.
        size: side of the (square) inputs.
        divisor: of all widths.
        classes: number of outputs.
    """

    def __init__(self, colours: int, size: int, divisor: int = 1, classes: int = 10) -> None:
        super().__init__()
        channels, hidden, last = (width // divisor for width in (64, 384, 192))
        side = ceil(size / 4)
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(colours, channels, 5, padding=2), nn.Conv2d(channels, channels, 5, padding=2)]
        )
        self.local = LocalResponse(channels)
        self.dense = nn.Sequential(
            nn.Linear(channels * side**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, last),
            nn.ReLU(),
            nn.Linear(last, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for convolution in self.convolutions:
            x = torch.relu_(convolution(x))
            x = self.local(functional.max_pool2d(halving_padding(x), 3, stride=2))
        return self.dense(x.flatten(1))


def mlp(inputs: int, hidden: Sequence[int], classes: int = 10) -> nn.Sequential:
    """Fully connected ReLU network; the paper's are 1 x 512 and 3 x 512."""
    widths = [inputs, *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))
