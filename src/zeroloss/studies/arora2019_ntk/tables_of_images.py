"""Accuracies of the convolutional kernels beside the fully connected one, over depth and sample size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroloss.datasets.recipes import Dataset
from zeroloss.errors import UserError

if TYPE_CHECKING:
    import torch

    from zeroloss.checkpoint import Checkpoints

Row = dict[str, Any]
# labels of the paper: 0.9 at the class, -0.1 elsewhere
CLASS_MEAN = 0.1


def prepare(data: Dataset, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images, float64, shape (n, channels, side, side).

    Squares of pixels are averaged down to ``side``, then each channel is standardised by the mean and standard deviation
    of the training images (the authors' preprocessing).

    Raises:
        UserError: ``side`` does not divide the side of the images.
    """
    if data.x_test is None:
        raise UserError("this experiment needs a data set with test images")
    both = []
    for images in (data.x, data.x_test):
        x = images.astype(np.float64)
        x = x[..., None] if x.ndim == 3 else x
        n, high, wide, channels = x.shape
        if high % side or wide % side:
            raise UserError(
                f"images of {data.info['title']} have {high} x {wide} pixels, which do not divide into a side of {side}"
            )
        x = x.reshape(n, side, high // side, side, wide // side, channels).mean(axis=(2, 4))
        both.append(x.transpose(0, 3, 1, 2))
    mean = both[0].mean(axis=(0, 2, 3), keepdims=True)
    deviation = both[0].std(axis=(0, 2, 3), keepdims=True)
    return (both[0] - mean) / deviation, (both[1] - mean) / deviation


def kernels(
    x: torch.Tensor, z: torch.Tensor, depths: tuple[int, ...], checkpoints: Checkpoints | None, quiet: bool
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Name -> (K(X, X), K(Z, X)), each of shape (depths, ., n).

    The fully connected NTK has as many layers of weights as the convolutional one, d, so d - 1 hidden layers; its
    inputs are brought to unit length.
    """
    import torch

    from zeroloss.kernels.convolutional import ConvolutionalKernel
    from zeroloss.kernels.tangent import TangentKernel

    found = {}
    for name, pooling in (("CNTK-V", False), ("CNTK-GAP", True)):
        kernel = ConvolutionalKernel(depths, pooling)
        stem = "gap" if pooling else "vanilla"
        train = kernel(x, checkpoints=checkpoints, name=f"{stem}_train", quiet=quiet)
        found[name] = train, kernel(z, x, checkpoints=checkpoints, name=f"{stem}_test", quiet=quiet)
    flat, flat_test = (part.flatten(1) / part.flatten(1).norm(dim=1, keepdim=True) for part in (x, z))
    dense = [TangentKernel(depth - 1, unit_inputs=True) for depth in depths]
    found["NTK"] = (
        torch.stack([kernel(flat) for kernel in dense]),
        torch.stack([kernel(flat_test, flat) for kernel in dense]),
    )
    return found


def accuracies(
    parameters: Mapping[str, Any], data: Dataset, device: str, quiet: bool, checkpoints: Checkpoints | None
) -> list[Row]:
    """Test accuracy for each kernel, depth and n, all classes and the first two; right answers at the largest n.

    Nested training sets: the first n images (of two classes: those among the first n). ``right`` is a string of 0 and 1,
    one for each test image, by which two kernels can be compared image by image.
    """
    import torch

    if data.x_test is None or data.y_test is None:
        raise UserError("this experiment needs a data set with test images")
    depths = tuple(parameters["depths"])
    kind = torch.float32 if parameters["single"] else torch.float64
    x, z = (torch.from_numpy(part).to(device, kind) for part in prepare(data, parameters["side"]))
    y, y_test = data.y.astype(np.int64), data.y_test.astype(np.int64)
    about = {
        "part": "cntk", "data_title": data.info["title"], "fidelity": data.info["fidelity"], "labels": "class",
        "source": data.info["recipe"]["source"], "side": parameters["side"],
    }  # fmt: skip
    rows: list[Row] = []
    for name, (train, test) in kernels(x, z, depths, checkpoints, quiet).items():
        for problem, classes in (("all classes", data.info["classes"]), ("first two classes", 2)):
            chosen_test = np.flatnonzero(y_test < classes)
            for k, depth in enumerate(depths):
                for n in parameters["samples"]:
                    chosen = np.flatnonzero(y[:n] < classes)
                    if len(set(y[chosen])) < 2:
                        continue  # no problem of two classes among so few images
                    guesses, condition = _classify(train[k], test[k], chosen, chosen_test, y[chosen], classes)
                    right = guesses == y_test[chosen_test]
                    rows.append(
                        {
                            **about, "kernel": name, "problem": problem, "depth": depth, "samples": n,
                            "trained_on": len(chosen), "test": len(right), "hits": int(right.sum()),
                            "accuracy": float(right.mean()), "condition": condition,
                            "right": "".join("01"[int(r)] for r in right) if n == parameters["samples"][-1] else None,
                        }
                    )  # fmt: skip
    return rows


def _classify(
    train: torch.Tensor, test: torch.Tensor, chosen: np.ndarray, chosen_test: np.ndarray, y: np.ndarray, classes: int
) -> tuple[np.ndarray, float]:
    """Class of the largest output for the chosen test images, and the condition number of K."""
    import torch

    from zeroloss.kernels.regression import interpolate

    index = torch.from_numpy(chosen).to(train.device)
    gram = train[index][:, index].double()
    targets = torch.from_numpy(np.eye(classes)[y] - CLASS_MEAN).to(gram)
    alpha = interpolate(gram, targets)
    outputs = test[torch.from_numpy(chosen_test).to(test.device)][:, index].double() @ alpha
    spectrum = torch.linalg.eigvalsh(gram)
    return outputs.argmax(1).cpu().numpy(), float(spectrum[-1] / spectrum[0])
