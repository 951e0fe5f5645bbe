"""The original files themselves, where the environment variable ZEROLOSS_DATA names a folder that holds them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from zeroloss.datasets import images
from zeroloss.datasets.locations import Found, locate
from zeroloss.datasets.sources import SOURCES

ROOT = Path(os.environ.get("ZEROLOSS_DATA") or "/nonexistent")
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="ZEROLOSS_DATA names no folder with original files")

MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def original(name: str, reader: str) -> tuple[images.ImageSet, Found]:
    found = locate(SOURCES[name], ROOT)
    if found is None or found.form.reader != reader:
        pytest.skip(f"{ROOT} has no {name} in the form {reader}")
    sums = images.checksums(name, ROOT)
    assert list(sums.values()) == [f.digest for f in found.form.files] or all(not p.suffix for p in found.paths)
    return images.load(name, ROOT), found


@pytest.mark.parametrize(
    ("name", "train", "test"), [("mnist", MNIST_TRAIN, MNIST_TEST), ("fashion_mnist", [6000] * 10, [1000] * 10)]
)
def test_idx_sets(name: str, train: list[int], test: list[int]) -> None:
    found, _ = original(name, "idx")
    assert found.x_train.shape == (60000, 28, 28) and found.x_test.shape == (10000, 28, 28)
    assert np.bincount(found.y_train).tolist() == train and np.bincount(found.y_test).tolist() == test
    assert found.fidelity == "original files, checksums verified"


def test_kmnist_test_images() -> None:
    found, _ = original("kmnist", "kmnist_test")
    assert found.x_train.shape == (10000, 28, 28) and np.bincount(found.y_train).tolist() == [1000] * 10
    assert found.x_test.shape == (0, 28, 28) and "test images alone" in found.fidelity


def test_first_images_of_cifar10() -> None:
    found, _ = original("cifar10", "exact_4k1k")
    assert found.x_train.shape == (4000, 32, 32, 3) and found.x_test.shape == (1000, 32, 32, 3)
    counts = np.bincount(found.y_train), np.bincount(found.y_test)
    assert [(c.min(), c.max()) for c in counts] == [(366, 422), (86, 112)]
    np.testing.assert_allclose((found.x_train / 255).std((0, 1, 2)), [0.2471, 0.2440, 0.2625], atol=5e-5)


def test_lossy_cifar10() -> None:
    pytest.importorskip("PIL")
    found, _ = original("cifar10_lossy", "jpegpack")
    if "differ" not in found.fidelity:  # another JPEG decoder may round otherwise
        assert hashlib.sha256(found.x_test.tobytes()).hexdigest() == (
            "b7018a062865e9348a704e72416eb53c816b43cc8ac42ab43276a2b967508ab6"
        )
    assert np.bincount(found.y_train).tolist() == [5000] * 10 and np.bincount(found.y_test).tolist() == [1000] * 10
    np.testing.assert_allclose((found.x_train.mean((0, 1, 2)) / 255), [0.4913, 0.4821, 0.4465], atol=5e-4)


def test_semeion() -> None:
    found, _ = original("semeion", "semeion")
    assert found.x_train.shape == (1593, 16, 16) and found.x_train.max() == found.largest == 1
    assert np.bincount(found.y_train).sum() == 1593 and found.x_test.shape == (0, 16, 16)


def test_every_source_is_listed_once() -> None:
    names = images.available(ROOT)
    assert names[0] == "digits" and len(set(names)) == len(names)
    known = [name for name in names if name in images.known_sources()]
    assert known == [name for name in images.known_sources() if name in names]
