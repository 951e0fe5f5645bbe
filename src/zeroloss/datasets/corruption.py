"""The randomisations of Zhang et al. 2017 (arXiv 1611.03530, section 2.2 and appendix A) and their preprocessing."""

from __future__ import annotations

import numpy as np


def corrupt_labels(y: np.ndarray, share: float, classes: int, generator: np.random.Generator) -> np.ndarray:
    """Each label, with probability ``share``, replaced by a uniform class, which may be the old one.

    The same draws serve every ``share``: a label corrupted at .3 is corrupted, to the same class, at .5.

    Args:
        y: classes, int64, shape (n,).
        share: in [0, 1].
        classes: number of classes.
        generator: of these labels.
    """
    chosen = generator.random(len(y)) < share
    return np.where(chosen, generator.integers(0, classes, len(y)), y)


def shuffled_pixels(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """ONE permutation of the pixels for all images; the three colours of a pixel stay together.

    Call it once with training and test images stacked, for the test images see the same permutation.

    Args:
        images: shape (n, H, W, colours).
    """
    n, height, width, colours = images.shape
    order = generator.permutation(height * width)
    return images.reshape(n, height * width, colours)[:, order].reshape(images.shape)


def random_pixels(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Another permutation of the pixels for each image, shape (n, H, W, colours)."""
    n, height, width, colours = images.shape
    orders = generator.permuted(np.tile(np.arange(height * width), (n, 1)), axis=1)
    flat = images.reshape(n, height * width, colours)
    return np.take_along_axis(flat, orders[:, :, None], axis=1).reshape(images.shape)


def gaussian_pixels(images: np.ndarray, like: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Pixels iid Gaussian, with mean and standard deviation of all pixels of ``like`` (the training set), float32.

    Args:
        images: only their shape matters.
        like: images whose mean and standard deviation are matched.
    """
    values = generator.standard_normal(images.shape, dtype=np.float32)
    return values * np.float32(like.std(dtype=np.float64)) + np.float32(like.mean(dtype=np.float64))


def centre_crop(images: np.ndarray, size: int) -> np.ndarray:
    """The middle ``size`` x ``size`` pixels of images (n, H, W, colours)."""
    top, left = ((side - size) // 2 for side in images.shape[1:3])
    return images[:, top : top + size, left : left + size]


def whiten_each(images: np.ndarray) -> np.ndarray:
    """TensorFlow's per_image_whitening: (x - mean) / max(standard deviation, 1 / sqrt(entries)), per image; float32."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    floor = np.float32(flat.shape[1] ** -0.5)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(flat.std(axis=1, keepdims=True), floor)
    return flat.reshape(images.shape)


def padded(images: np.ndarray, margin: int) -> np.ndarray:
    """``margin`` zeros on every side of images (n, H, W, colours)."""
    return np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


def mean_pooled(images: np.ndarray, side: int) -> np.ndarray:
    """Means of ``side`` x ``side`` pixels of images (n, H, W, colours), whose H and W are multiples of ``side``."""
    n, height, width, colours = images.shape
    return images.reshape(n, height // side, side, width // side, side, colours).mean(axis=(2, 4))
