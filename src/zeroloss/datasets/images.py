"""Original image data, wherever it comes from: scikit-learn, a folder of official files, the user's .npz, a download.

A data set is looked for in this order: the folder ``root`` (known files first, then ``<name>.npz``), the cache of
earlier downloads, the official addresses. Known files are compared with their published checksums before use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zeroloss.datasets import formats
from zeroloss.datasets.locations import Found, check_name, file_digest, is_published, locate, missing, verify
from zeroloss.datasets.sources import SOURCES, Source
from zeroloss.datasets.user_npz import ARRAYS, read_user_npz
from zeroloss.errors import UserError, closest

HOW_TO_SUPPLY = "put its files into a folder and name that folder in data.root or ZEROLOSS_DATA"

# published by Keras, for the one .npz file that many have
KERAS_MNIST = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


@dataclass(frozen=True)
class ImageSet:
    """Images and labels as published, in the original order.

    Attributes:
        name, title: of the source, for files ("fashion_mnist") and for people ("Fashion-MNIST").
        fidelity: how close the pixels are to the original files, one phrase for captions.
        licence: as stated by the publisher.
        x_train, x_test: uint8, shape (N, H, W) or (N, H, W, 3); x_test has N = 0 where there is no test set.
        y_train, y_test: classes, int64, shape (N,).
        largest: the pixel value of white (255, 16 or 1).
        classes: number of classes.
    """

    name: str
    title: str
    fidelity: str
    licence: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    largest: int
    classes: int


def known_sources() -> tuple[str, ...]:
    """Names of the data sets known by checksum; ``<name>.npz`` in the data folder adds the source ``<name>``."""
    return ("digits", *SOURCES)


def default_cache() -> Path:
    """Where downloads go: ``zeroloss`` in the user's cache folder."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "zeroloss"


def available(root: Path | None, *, cache: Path | None = None) -> tuple[str, ...]:
    """Sources that :func:`load` finds without a network: known ones in their fixed order, then .npz files by name.

    Presence alone is looked at; checksums and contents are verified by :func:`checksums` and :func:`load`.

    Raises:
        UserError: ``root`` is not a folder.
    """
    users = _user_files(_folder(root))
    known = ["digits"] + [n for n in SOURCES if n in users or _find(n, root, cache) is not None]
    return (*known, *sorted(set(users) - set(known)))


def first_available(preferred: Sequence[str], root: Path | None) -> str:
    """The first of ``preferred`` that needs no network; where none is at hand the last one, which is then downloaded.

    Raises:
        UserError: ``root`` is not a folder.
    """
    at_hand = available(root)
    return next((name for name in preferred if name in at_hand), preferred[-1])


def checksums(name: str, root: Path | None, *, cache: Path | None = None) -> dict[str, str]:
    """File name -> checksum of every file that :func:`load` would read.

    A name is relative to the folder where the file lies, with forward slashes. A checksum is a sha256, or
    ``md5:...`` where only the md5 is published. Before a download the published values stand in, and they stay
    the same after it: a key made of them does not change when the files arrive.

    Raises:
        UserError: unknown source, files absent and without official address, or a checksum that differs.
    """
    if name == "digits":
        return {"scikit-learn digits": file_digest(_digits_file())}
    found = _find(name, root, cache)
    if isinstance(found, Found):
        rows = zip(found.paths, found.form.files, strict=True)
        return {path.relative_to(found.base).as_posix(): verify(path, known) for path, known in rows}
    if found is not None:
        return {found.name: file_digest(found)}
    return {file.path: file.digest for file in _downloadable(name, root).downloads}


def load(name: str, root: Path | None, *, download: bool = False, cache: Path | None = None) -> ImageSet:
    """Read a data set.

    Args:
        name: one of :func:`known_sources`, or the stem of an .npz file in ``root``.
        root: folder of the user's data; None where there is none.
        download: fetch absent official files into ``cache`` (nothing is ever written to ``root``).
        cache: folder of downloads, :func:`default_cache` by default.

    Raises:
        UserError: unknown or absent source, wrong checksum, malformed file, failed download.
    """
    if name == "digits":
        return _digits()
    found = _find(name, root, cache)
    if found is None:
        source = _downloadable(name, root)
        if not download:
            where = f"is not in {root}" if root else "is not at hand, for no data folder is set"
            address = source.downloads[0].urls[0].rpartition("/")[0]
            raise UserError(
                f"data set {name} {where} (missing: {missing(source, root)}): {HOW_TO_SUPPLY}; they are at {address}/"
            )
        from zeroloss.datasets.download import fetch

        fetch(name, cache or default_cache())
        found = _find(name, root, cache)
        assert found is not None, "a download puts every file where its form is looked for"  # noqa: S101  for the types
    return _read_known(name, found) if isinstance(found, Found) else _read_user(found)


def _folder(root: Path | None) -> Path | None:
    if root is not None and not root.is_dir():
        raise UserError(f"the data folder {root} (data.root or ZEROLOSS_DATA) does not exist or is no folder")
    return root


def _find(name: str, root: Path | None, cache: Path | None) -> Found | Path | None:
    """A known form, or the user's .npz file, or None; the user's folder goes before the cache."""
    check_name(name)
    source = SOURCES.get(name)
    root = _folder(root)
    if root is not None:
        if source and (found := locate(source, root)):
            return found
        if (user := root / f"{name}.npz").is_file():
            return user
    return locate(source, cache or default_cache()) if source else None


def _user_files(root: Path | None) -> dict[str, Path]:
    """The .npz files directly in ``root`` that hold the four arrays, by stem."""
    files = {}
    for path in sorted(root.glob("*.npz")) if root else ():
        try:
            with zipfile.ZipFile(path) as archive:
                if {f"{key}.npy" for key in ARRAYS} <= set(archive.namelist()):
                    files[path.stem] = path
        except Exception:  # noqa: S112 - no .npz file, or a damaged one, which can raise almost anything
            continue
    # parts of known sources that keep the same keys are listed under the name of their source
    known = {file.name for source in SOURCES.values() for form in source.forms for file in form.files}
    return {stem: path for stem, path in files.items() if path.name not in known and stem != "digits"}


def _downloadable(name: str, root: Path | None) -> Source:
    """The source, which is not at hand; raises UserError where it is unknown or has no official address."""
    if name in SOURCES:
        if SOURCES[name].downloads:
            return SOURCES[name]
        lacking = missing(SOURCES[name], root)
        raise UserError(
            f"data set {name} is not at hand and has no official address: provide {lacking} in the folder that data.root "
            "or ZEROLOSS_DATA names"
        )
    users = tuple(_user_files(root))
    names = (*known_sources(), *users)
    hint = closest(name, names)
    folder = "no data folder is set"
    if root:
        folder = f"{root} holds {', '.join(users) or 'no .npz file with ' + ', '.join(ARRAYS)}"
    raise UserError(f"unknown data set {name!r}{hint}: known are {', '.join(known_sources())}; {folder}")


def _digits_file() -> Path:
    # found without importing scikit-learn, which takes longer than the rest of a workflow's start
    spec = importlib.util.find_spec("sklearn")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise UserError("data set digits comes with scikit-learn, which is not installed: pip install scikit-learn")
    return path


def _digits() -> ImageSet:
    # a line is the 64 pixels of an image and its digit, which is all that sklearn.datasets.load_digits makes of it
    lines = np.loadtxt(_digits_file(), delimiter=",").astype(np.int64)
    x, y = lines[:, :-1].reshape(-1, 8, 8).astype(np.uint8), lines[:, -1]
    return ImageSet("digits", "digits", "scikit-learn's copy of UCI optdigits, 8x8", "BSD-3-Clause (scikit-learn)",
                    *_without_test(x, y), largest=16, classes=10)  # fmt: skip


def _without_test(x: np.ndarray, y: np.ndarray) -> formats.Arrays:
    return x, y, x[:0], y[:0]


def _read_known(name: str, found: Found) -> ImageSet:
    for path, known in zip(found.paths, found.form.files, strict=True):
        verify(path, known)
    source, form, paths = SOURCES[name], found.form, found.paths
    readers: dict[str, Callable[[], formats.Arrays]] = {
        "idx": lambda: _idx(paths),
        "kmnist_test": lambda: _without_test(*(formats.read_npz(p, ["arr_0"])["arr_0"] for p in paths)),
        "cifar_binary": lambda: formats.read_cifar_binary(paths[0]),
        "cifar_python": lambda: formats.read_cifar_python(paths),
        "cifar_batches": lambda: formats.read_cifar_python(paths),
        "exact_4k1k": lambda: _four(formats.read_npz(paths[0], ARRAYS)),
        "jpegpack": lambda: formats.read_jpegpack(paths[0]),
        "semeion": lambda: _without_test(*formats.read_semeion(paths[0])),
        "semeion_npz": lambda: _without_test(*formats.read_npz(paths[0], ["x", "y"]).values()),
    }
    x_train, y_train, x_test, y_test = readers[form.reader]()
    for part, x, y in (("training", x_train, y_train), ("test", x_test, y_test)):
        wrong = (
            x.dtype != np.uint8 or x.ndim not in (3, 4) or y.ndim != 1 or len(x) != len(y) or y.dtype.kind not in "iu"
        )
        if wrong or (y >= source.classes).any() or (y < 0).any():
            raise UserError(f"{paths[0].parent}: the {part} images and labels of {name} do not belong together")
    fidelity = form.fidelity
    if not all(is_published(path, known) for path, known in zip(paths, form.files, strict=True)):
        fidelity = "layout of the original files; no checksum is published for the unpacked ones"
    if form.reader == "jpegpack" and hashlib.sha256(x_train.data).hexdigest() != source.decoded:
        fidelity += ", pixels differ by the rounding of this machine's JPEG decoder"
    y_train, y_test = y_train.astype(np.int64), y_test.astype(np.int64)
    return ImageSet(name, source.title, fidelity, source.licence, x_train, y_train, x_test, y_test,
                    source.largest, source.classes)  # fmt: skip


def _idx(paths: tuple[Path, ...]) -> formats.Arrays:
    x_train, y_train, x_test, y_test = (formats.read_idx(path) for path in paths)
    return x_train, y_train, x_test, y_test


def _four(arrays: dict[str, np.ndarray]) -> formats.Arrays:
    return arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"]


def _read_user(path: Path) -> ImageSet:
    arrays, exact = read_user_npz(path)
    fidelity = f"user's file {path.name}, no published checksum"
    if path.name == "mnist.npz" and file_digest(path) == KERAS_MNIST:
        fidelity = "Keras's copy of MNIST, checksum verified"
    if not exact:
        fidelity += ", floats rounded to 256 grey levels"
    classes = 1 + max(int(y.max(initial=0)) for y in (arrays["y_train"], arrays["y_test"]))
    return ImageSet(path.stem, path.stem, fidelity, "the user's", **arrays, largest=255, classes=classes)
