"""Residual nets for small images: ResNet-18 in its CIFAR form, and narrower, shallower ones by the same code.

He, Zhang, Ren, Sun 2016 (arXiv 1512.03385): basic blocks of two 3x3 convolutions. In the form for small images the first
convolution is 3x3 with stride 1 and no pooling follows it; the mean over all positions stands before the output, so that
images of any side go through.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """x -> relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)), both convolutions 3x3.

    Args:
        before, after: channels in and out.
        stride: of the first convolution and of the shortcut, which is the identity where nothing changes its shape.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, before, H, W) to (n, after, H / stride, W / stride)."""
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class ResNet(nn.Module):
    """Stages of residual blocks; each stage but the first halves the side and doubles the channels.

    ``ResNet(3, 64, (2, 2, 2, 2), 10)`` is ResNet-18 with 11,173,962 parameters; ``theory.resnet_size`` counts others.

    Args:
        channels: of the images.
        width: channels of the first stage.
        blocks: residual blocks of each stage.
        classes: outputs.
    """

    def __init__(self, channels: int, width: int, blocks: Sequence[int], classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        stages: list[nn.Module] = []
        before = width
        for stage, count in enumerate(blocks):
            for block in range(count):
                after = width << stage
                stages.append(Block(before, after, 2 if stage > 0 and block == 0 else 1))
                before = after
        self.stages = nn.Sequential(*stages)
        self.output = nn.Linear(before, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, channels, H, W) to logits (n, classes)."""
        x = functional.relu(self.stem_norm(self.stem(x)))
        return self.output(self.stages(x).mean(dim=(2, 3)))
