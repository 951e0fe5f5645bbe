"""How large a residual net is: its parameters and multiplications, counted by formula (He et al. 2016, section 4.2).

The net is ``networks.resnet18.ResNet``. Drawing and planning need the counts without torch.
"""

from __future__ import annotations

from collections.abc import Sequence

# ResNet-18 for small images: width of the first stage and residual blocks of each stage
RESNET18_WIDTH, RESNET18_BLOCKS = 64, (2, 2, 2, 2)


def _convolutions(channels: int, width: int, blocks: Sequence[int], side: int = 0) -> list[tuple[int, int, int, int]]:
    """Every convolution in order: channels in, channels out, side of its kernel, side of its output."""
    found = [(channels, width, 3, side)]
    before = width
    for stage, count in enumerate(blocks):
        after = width << stage
        for block in range(count):
            halves = stage > 0 and block == 0
            # a convolution of stride 2 with padding rounds a half pixel up
            side = -(-side // 2) if halves else side
            found += [(before, after, 3, side), (after, after, 3, side)]
            found += [(before, after, 1, side)] if halves else []
            before = after
    return found


def parameters(channels: int, width: int, blocks: Sequence[int], classes: int) -> int:
    """Trained numbers: convolutions without bias, two per channel for the norm after each, the affine output.

    ResNet-18 (width 64, blocks 2, 2, 2, 2) on colour images of ten classes has 11,173,962.
    """
    found = _convolutions(channels, width, blocks)
    last = width << (len(blocks) - 1)
    return sum(a * b * k * k + 2 * b for a, b, k, _ in found) + (last + 1) * classes


def multiplications(side: int, channels: int, width: int, blocks: Sequence[int]) -> int:
    """Multiplications of one forward pass on one image of ``side`` x ``side`` pixels, convolutions only."""
    return sum(a * b * k * k * s * s for a, b, k, s in _convolutions(channels, width, blocks, side))
