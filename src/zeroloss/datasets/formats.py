"""Readers of the image file formats: IDX, .npz, CIFAR-10 archives, JPEG packs, Semeion text.

Every reader trusts nothing that a file declares before it is compared with the bytes at hand, and says in one
sentence (:class:`~zeroloss.errors.UserError`) what is wrong with which file.
"""

from __future__ import annotations

import gzip
import io
import itertools
import math
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from zeroloss.errors import UserError

MAX_BYTES = 8 * 2**30  # no image data set that this project could train on is larger
MAX_RATIO = 200  # images compress by less than 20; a member beyond this ratio and RATIO_FREE bytes is a zip bomb
RATIO_FREE = 64 * 2**20

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

CIFAR_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
CIFAR_TEST = ("test_batch",)
CIFAR_RECORDS = 10_000  # images per batch
CIFAR_PIXELS = 3 * 32 * 32

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""x_train, y_train, x_test, y_test."""

SEMEION_BYTES = 16 * 2**20  # five times the table


def read_idx(path: Path) -> np.ndarray:
    """Array of an IDX file (LeCun's format of MNIST), gzipped or not; native byte order, any shape.

    Raises:
        UserError: wrong magic number, unknown type, dimensions that do not match the bytes, damaged gzip stream.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as handle:
            return _parse_idx(path, handle)  # type: ignore[arg-type]
    except gzip.BadGzipFile:
        raise UserError(f"{path} is not a gzip file, or is damaged: fetch it again") from None
    except (EOFError, zlib.error):
        raise UserError(f"{path} is truncated or damaged (its gzip stream ends early): fetch it again") from None
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror or problem}") from None


def _parse_idx(path: Path, handle: IO[bytes]) -> np.ndarray:
    magic = handle.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise UserError(f"{path} is not an IDX file: it starts with {magic.hex() or 'nothing'} instead of 0000")
    if magic[2] not in IDX_TYPES:
        raise UserError(f"{path} is not an IDX file: its type code is 0x{magic[2]:02x}, none of 0x08 to 0x0e")
    dtype = np.dtype(IDX_TYPES[magic[2]])
    header = handle.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise UserError(f"{path} is truncated: its header announces {magic[3]} dimensions and ends before them")
    if magic[3] > 8:
        raise UserError(f"{path} is not an IDX file of images: it announces {magic[3]} dimensions, more than 8")
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
    size = math.prod(shape) * dtype.itemsize
    dimensions = " x ".join(map(str, shape))
    if size > MAX_BYTES:
        raise UserError(f"{path} announces {dimensions} values, {size:,} bytes: the limit is {MAX_BYTES:,}")
    held = path.stat().st_size
    packed = path.suffix == ".gz"
    if packed and size > max(RATIO_FREE, MAX_RATIO * held):
        raise UserError(
            f"{path} announces {dimensions} values, {size // max(held, 1):,} times its size and more than {MAX_RATIO}: "
            "it looks like a zip bomb and is not read"
        )
    # no memory is asked for that the file cannot fill
    data = handle.read((size if packed else min(size, held)) + 1)
    if len(data) != size:
        found = f"only {len(data):,}" if len(data) < size else "more"
        raise UserError(f"{path} announces {dimensions} values ({size:,} bytes) but holds {found}: fetch it again")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def read_npz(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays ``keys`` of an .npz file; pickled members are refused, sizes are checked before memory is taken.

    Raises:
        UserError: no zip archive or truncated, an array absent, Python objects, a size beyond MAX_BYTES or a
            compression ratio beyond MAX_RATIO, a member whose header and size disagree or that is damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):
        raise UserError(f"{path} is not a whole .npz file: it is truncated or of another format") from None
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror or problem}") from None
    with archive:
        members = {info.filename: info for info in archive.infolist()}
        absent = [key for key in keys if f"{key}.npy" not in members]
        if absent:
            raise UserError(f"{path} has no array {' nor '.join(absent)}: it must hold {', '.join(keys)}")
        infos = {key: members[f"{key}.npy"] for key in keys}
        total = sum(info.file_size for info in infos.values())
        if total > MAX_BYTES:
            raise UserError(f"{path} unpacks to {total:,} bytes: the limit is {MAX_BYTES:,}")
        for key, info in infos.items():
            if info.file_size > RATIO_FREE and info.file_size > MAX_RATIO * info.compress_size:
                raise UserError(
                    f"{path}: {key} unpacks to {info.file_size // max(info.compress_size, 1):,} times its size, "
                    f"more than {MAX_RATIO}: it looks like a zip bomb and is not read"
                )
        return {key: _read_member(path, archive, key, info) for key, info in infos.items()}


def _read_member(path: Path, archive: zipfile.ZipFile, key: str, info: zipfile.ZipInfo) -> np.ndarray:
    try:
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(member)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(member)
            declared = member.tell() + math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise UserError(f"{path}: {key} holds Python objects, which are never loaded: save a plain array")
        if declared != info.file_size:
            raise UserError(
                f"{path}: {key} announces shape {shape} and type {dtype}, which takes {declared:,} bytes, "
                f"but has {info.file_size:,}: save it again"
            )
        with archive.open(info) as member:
            array = np.lib.format.read_array(member, allow_pickle=False)
            member.read(1)  # reaching the end makes zipfile compare the member's own checksum
            return array
    except UserError:
        raise
    except Exception as problem:  # a changed byte makes the libraries raise almost anything
        raise UserError(f"{path}: {key} is damaged ({type(problem).__name__}): save or fetch the file again") from None


def read_cifar_binary(path: Path) -> Arrays:
    """CIFAR-10 from ``cifar-10-binary.tar.gz``: uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3), labels int64.

    A record is one byte of label and 3072 of pixels, channel by channel (Krizhevsky's description of the format).
    """
    names = [f"cifar-10-batches-bin/{batch}.bin" for batch in CIFAR_TRAIN + CIFAR_TEST]
    batches = read_tar(path, names, limit=CIFAR_RECORDS * (1 + CIFAR_PIXELS))
    parts = []
    for name, data in batches.items():
        if not data or len(data) % (1 + CIFAR_PIXELS):
            raise UserError(f"{path}: {name} has {len(data):,} bytes, no multiple of {1 + CIFAR_PIXELS:,}")
        records = np.frombuffer(data, np.uint8).reshape(-1, 1 + CIFAR_PIXELS)
        parts.append((records[:, 1:], records[:, 0].astype(np.int64)))
    return _cifar_arrays(parts)


def read_cifar_python(paths: Sequence[Path]) -> Arrays:
    """CIFAR-10 from ``cifar-10-python.tar.gz`` or from the six batch files unpacked from it; as the binary form.

    The batches are pickles: they are read by :class:`ArraysOnly`, and only after their checksums were verified.
    """
    names = [f"cifar-10-batches-py/{batch}" for batch in CIFAR_TRAIN + CIFAR_TEST]
    if len(paths) == 1:
        batches: Mapping[str, bytes] = read_tar(paths[0], names, limit=2 * CIFAR_RECORDS * CIFAR_PIXELS)
    else:
        batches = {str(path): path.read_bytes() for path in paths}
    parts = []
    for name, data in batches.items():
        where = f"{paths[0]}: {name}" if len(paths) == 1 else name
        batch = read_cifar_pickle(where, data)
        parts.append((batch[0], batch[1]))
    return _cifar_arrays(parts)


def read_cifar_pickle(where: str, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (N, 3072) and labels int64 (N,) of one batch.

    Raises:
        UserError: the pickle asks for anything but arrays and plain containers, or is not a CIFAR-10 batch.
    """
    try:
        batch = ArraysOnly(io.BytesIO(data), encoding="bytes").load()
        pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
    except Exception as problem:  # a hostile pickle can raise anything
        refused = isinstance(problem, pickle.UnpicklingError)
        detail = " ".join(str(problem).split()) if refused else type(problem).__name__
        raise UserError(f"{where} is not a CIFAR-10 batch ({detail}): fetch it again") from None
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (CIFAR_PIXELS,) or labels.shape != pixels.shape[:1]:
        raise UserError(f"{where} is not a CIFAR-10 batch: data is {pixels.dtype} of shape {pixels.shape}")
    return pixels, labels.astype(np.int64)


class ArraysOnly(pickle.Unpickler):
    """Unpickler that can build numpy arrays and plain containers, and cannot call anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}:
            return _new_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")


def _new_array(subtype: type, shape: object, typecode: object) -> np.ndarray:
    """What a pickled array starts from; its state (shape, type, bytes) follows in the stream."""
    return np.ndarray((0,), np.int8)


def _cifar_arrays(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    def images(flat: Iterable[np.ndarray]) -> np.ndarray:
        return np.ascontiguousarray(np.concatenate(list(flat)).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))

    train, (test,) = parts[:-1], parts[-1:]
    return images(x for x, _ in train), np.concatenate([y for _, y in train]), images([test[0]]), test[1]


def read_tar(path: Path, names: Sequence[str], limit: int) -> dict[str, bytes]:
    """The members ``names`` of a .tar.gz, in memory and in this order; nothing is extracted to a path.

    Raises:
        UserError: a member is absent, no plain file or larger than ``limit`` bytes; the archive is damaged.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                wanted = member.name in names and member.isfile()
                most = limit if wanted else MAX_BYTES  # others are read over, which takes time as well
                if member.size > most:
                    raise UserError(f"{path}: {member.name} has {member.size:,} bytes: the limit is {most:,}")
                if not wanted:
                    continue
                handle = archive.extractfile(member)
                found[member.name] = handle.read() if handle else b""
    except UserError:
        raise
    except Exception as problem:  # a changed byte makes the libraries raise almost anything
        raise UserError(f"{path} is truncated or damaged ({type(problem).__name__}): fetch it again") from None
    absent = [name for name in names if name not in found]
    if absent:
        raise UserError(f"{path} has no member {absent[0]}: it is not the official archive")
    return {name: found[name] for name in names}


def read_jpegpack(path: Path) -> Arrays:
    """All images of a JPEG pack: streams that share one header (key ``header``), decoded by Pillow to uint8 RGB.

    Stream i is the header, ``data[offsets[i]:offsets[i + 1]]`` and the end-of-image marker FF D9.
    """
    keys = ("header", "train_data", "train_offsets", "y_train", "test_data", "test_offsets", "y_test")
    pack = read_npz(path, keys)
    for part in ("train", "test"):
        offsets, data = pack[f"{part}_offsets"], pack[f"{part}_data"]
        rises = (
            offsets.ndim == 1
            and offsets.dtype.kind in "iu"
            and len(offsets) > 0
            and (offsets[1:] >= offsets[:-1]).all()
        )
        if not rises or offsets[0] < 0 or offsets[-1] > data.nbytes:
            raise UserError(
                f"{path}: {part}_offsets must be integers that rise from 0 to the {data.nbytes:,} bytes of data"
            )
        labels = pack[f"y_{part}"]
        if labels.dtype.kind not in "iu" or labels.shape != (len(offsets) - 1,):
            raise UserError(
                f"{path}: y_{part} is {labels.dtype} of shape {labels.shape}: it must be one integer for each of "
                f"{len(offsets) - 1} images"
            )
    header = pack["header"].tobytes()
    train = _decode(path, header, pack["train_data"].tobytes(), pack["train_offsets"].tolist())
    test = _decode(path, header, pack["test_data"].tobytes(), pack["test_offsets"].tolist())
    return train, pack["y_train"].astype(np.int64), test, pack["y_test"].astype(np.int64)


def _decode(path: Path, header: bytes, data: bytes, offsets: list[int]) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise UserError(f"reading {path.name} needs the package pillow: pip install pillow") from None
    images = np.empty((len(offsets) - 1, 32, 32, 3), np.uint8)
    for i, (start, end) in enumerate(itertools.pairwise(offsets)):
        try:
            picture = Image.open(io.BytesIO(header + data[start:end] + b"\xff\xd9"), formats=("JPEG",))
            if picture.size != (32, 32) or picture.mode != "RGB":  # before its pixels take memory
                raise UserError(
                    f"{path}: image {i} has {picture.size} pixels and mode {picture.mode}, not (32, 32) and RGB"
                )
            images[i] = np.asarray(picture)
        except UserError:
            raise
        except Exception as problem:  # a changed byte makes the decoder raise almost anything
            raise UserError(f"{path}: image {i} is damaged ({type(problem).__name__}): fetch it again") from None
    return images


def read_semeion(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (1593, 16, 16) of 0 and 1 and labels int64 (1593,) from ``semeion.data[.gz]``.

    A row holds 256 pixels and 10 indicators of the digit.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as handle:
            text = handle.read(SEMEION_BYTES + 1)
        if not text.strip() or len(text) > SEMEION_BYTES:
            raise ValueError("empty, or too large")
        table = np.loadtxt(io.BytesIO(text), dtype=np.float64, ndmin=2)
    except (ValueError, OSError, EOFError, zlib.error) as problem:
        raise UserError(f"{path} is not the Semeion table ({type(problem).__name__}): fetch it again") from None
    if table.shape[1] != 256 + 10 or not np.isin(table, (0, 1)).all() or not (table[:, 256:].sum(axis=1) == 1).all():
        raise UserError(f"{path} is not the Semeion table: rows of 256 pixels and 10 indicators, all 0 or 1, expected")
    return table[:, :256].reshape(-1, 16, 16).astype(np.uint8), table[:, 256:].argmax(axis=1).astype(np.int64)
