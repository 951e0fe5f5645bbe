"""Random crops, flips and rotations of a batch of images, drawn anew at every step (Zhang et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """From frames (B, colours, H, W), float32, to whitened inputs (B, colours, crop / pool, crop / pool).

    Attributes:
        crop: side of the crop.
        pool: the crop's pixels are averaged in squares of this side.
        crops: crop at a random place; else in the middle.
        flips: mirror left and right with probability 1/2.
        degrees: rotate by a uniform angle of at most this size, bilinear, zeros from outside.
    """

    crop: int
    pool: int
    crops: bool = False
    flips: bool = False
    degrees: float = 0.0

    def __call__(self, frames: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Everything random comes from ``generator`` (on the CPU)."""
        count, device = len(frames), frames.device
        if self.degrees:
            angles = (2 * torch.rand(count, generator=generator) - 1) * (self.degrees * pi / 180)
            frames = rotated(frames, angles.to(device))
        if self.flips:
            mirrored = (torch.rand(count, generator=generator) < 0.5).to(device)
            frames = torch.where(mirrored[:, None, None, None], frames.flip(3), frames)
        frames = self._cropped(frames, generator)
        if self.pool > 1:
            frames = functional.avg_pool2d(frames, self.pool)
        return whitened(frames).contiguous(memory_format=torch.channels_last)

    def _cropped(self, frames: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        free = [side - self.crop for side in frames.shape[2:]]
        if not self.crops:
            top, left = (room // 2 for room in free)
            return frames[:, :, top : top + self.crop, left : left + self.crop]
        tops, lefts = (torch.randint(room + 1, (len(frames),), generator=generator) for room in free)
        windows = frames.unfold(2, self.crop, 1).unfold(3, self.crop, 1)  # (B, colours, tops, lefts, crop, crop)
        every = torch.arange(len(frames), device=frames.device)
        return windows[every, :, tops.to(frames.device), lefts.to(frames.device)]


def rotated(frames: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Each frame turned about its centre by its angle (radians)."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    turns = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = functional.affine_grid(turns, list(frames.shape), align_corners=False)
    return functional.grid_sample(frames, grid, align_corners=False)


def whitened(images: torch.Tensor) -> torch.Tensor:
    """TensorFlow's per_image_whitening, as ``datasets.corruption.whiten_each`` has it, on tensors."""
    flat = images.flatten(1)
    mean, deviation = flat.mean(1), flat.std(1, correction=0).clamp_min(flat.shape[1] ** -0.5)
    return (images - mean[:, None, None, None]) / deviation[:, None, None, None]
