"""The user's own images: one .npz file with x_train, y_train, x_test and y_test, validated before use."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zeroloss.datasets.formats import read_npz
from zeroloss.errors import UserError

MOST_CLASSES = 2**16  # networks get an output for each: a label beyond is a mistake, or would take all memory
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read_user_npz(path: Path) -> tuple[dict[str, np.ndarray], bool]:
    """The four arrays as :class:`~zeroloss.datasets.images.ImageSet` holds them, and whether pixels are exact.

    Accepted images: shape (N, H, W), (N, H, W, 1) or (N, H, W, 3); uint8, or floats in [0, 1], which become
    uint8 by rounding 255 x to the nearest integer. That is exact where the floats are bytes divided by 255, and
    else moves a pixel by at most half a grey level (second value False). Accepted labels: integers from 0, shape
    (N,) or (N, 1). The test set may be empty.

    Raises:
        UserError: any other content, one sentence that names the array and what is allowed.
    """
    raw = read_npz(path, ARRAYS)
    arrays, exact = {}, True
    for part in ("train", "test"):
        x, kept = _images(f"{path}: x_{part}", raw[f"x_{part}"])
        y = _labels(f"{path}: y_{part}", raw[f"y_{part}"])
        if len(x) != len(y):
            raise UserError(f"{path}: x_{part} has {len(x)} images but y_{part} has {len(y)} labels")
        arrays[f"x_{part}"], arrays[f"y_{part}"] = x, y
        exact = exact and kept
    if not len(arrays["x_train"]):
        raise UserError(f"{path}: x_train holds no images")
    train, test = arrays["x_train"].shape[1:], arrays["x_test"].shape[1:]
    if train != test:
        raise UserError(f"{path}: training images have shape {train} but test images {test}")
    return arrays, exact


def _images(where: str, x: np.ndarray) -> tuple[np.ndarray, bool]:
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)) or 0 in x.shape[1:]:
        raise UserError(f"{where} has shape {x.shape}: images must be (N, H, W), (N, H, W, 1) or (N, H, W, 3)")
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x), True
    if x.dtype.kind != "f":
        raise UserError(f"{where} has type {x.dtype}: images must be uint8, or floats between 0 and 1")
    if not np.isfinite(x).all():
        raise UserError(f"{where} holds values that are not finite: images must be uint8, or floats between 0 and 1")
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise UserError(
            f"{where} has floats from {x.min():g} to {x.max():g}: floats must lie between 0 and 1 "
            "(divide by 255, or save as uint8)"
        )
    scaled = x.astype(np.float64) * 255
    bytes_ = np.rint(scaled)
    # half precision holds k/255 to within 0.07 of a grey level, float32 to within 1e-5
    exact = bool(np.abs(scaled - bytes_).max(initial=0) < (0.1 if x.dtype.itemsize == 2 else 1e-3))
    return bytes_.astype(np.uint8), exact


def _labels(where: str, y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise UserError(f"{where} has shape {y.shape}: labels must be (N,)")
    if y.dtype.kind not in "iu":
        raise UserError(f"{where} has type {y.dtype}: labels must be integers from 0")
    if y.size and (y.min() < 0 or y.max() >= MOST_CLASSES):
        worst = y.min() if y.min() < 0 else y.max()
        raise UserError(f"{where} holds {worst}: labels must be integers from 0 to {MOST_CLASSES - 1:,}")
    return y.astype(np.int64)
