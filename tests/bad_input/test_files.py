"""Data files that are broken, hostile or of another kind: one sentence that names the file, and nothing comes of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.bad_input.tally import check_sentence, tried
from tests.bad_input.test_table import Canary, listing
from tests.datasets.test_download import Site, site  # noqa: F401
from tests.datasets.test_formats import GOOD_IDX, batch_pickle, cifar_batches, npy_bytes
from zeroloss.cli import main
from zeroloss.datasets import formats, images
from zeroloss.datasets.user_npz import read_user_npz
from zeroloss.errors import UserError

RNG = np.random.default_rng(0)
GOOD = {
    "x_train": RNG.integers(0, 256, (12, 4, 4), dtype=np.uint8), "y_train": np.arange(12) % 3,
    "x_test": RNG.integers(0, 256, (4, 4, 4), dtype=np.uint8), "y_test": np.arange(4) % 3,
}  # fmt: skip
BATCHES = [f"cifar-10-batches-bin/{name}.bin" for name in formats.CIFAR_TRAIN + formats.CIFAR_TEST]
RECORDS = {name: np.column_stack([np.array(y, np.uint8), x]).tobytes() for name, (x, y) in zip(BATCHES, cifar_batches(), strict=True)}  # fmt: skip


def npz(**changes: object) -> bytes:
    stream = io.BytesIO()
    arrays = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def tar(members: list[tuple[str, bytes, bytes, str]]) -> bytes:
    """name, content, type, link of each member."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def pack(**changes: object) -> bytes:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.new("RGB", changes.pop("size", (32, 32)), (9, 9, 9)).save(stream, "JPEG")  # type: ignore[arg-type]
    data = stream.getvalue()
    start = data.index(b"\xff\xda") + 2
    body = np.frombuffer(data[start:-2], np.uint8)
    arrays: dict[str, object] = {"header": np.frombuffer(data[:start], np.uint8)}
    for part in ("train", "test"):
        arrays |= {f"{part}_data": body, f"{part}_offsets": np.array([0, len(body)]), f"y_{part}": np.array([1])}
    stream = io.BytesIO()
    np.savez(stream, **{**arrays, **changes})  # type: ignore[arg-type]
    return stream.getvalue()


def others(bad: str) -> list[tuple[str, bytes, bytes, str]]:
    return [(name, data, tarfile.REGTYPE, "") for name, data in RECORDS.items() if name != bad]


FIRST = BATCHES[0]
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
LOOSE = {name: RNG.random((6, 2, 2)) for name in ("x_train",)}
IDX_HEAD = b"\0\0\x08\3"

# name, file name, bytes, words
IDX = [
    ("nothing", "a-ubyte", b"", "is not an IDX file"),
    ("an html page", "a-ubyte", HTML, "is not an IDX file"),
    ("an html page for gzip", "a-ubyte.gz", HTML, "is not a gzip file"),
    ("a packed html page", "a-ubyte.gz", gzip.compress(HTML), "is not an IDX file"),
    ("three bytes", "a-ubyte", b"\0\0\x08", "is not an IDX file"),
    ("an unknown type", "a-ubyte", b"\0\0\x0a\1\0\0\0\1\0", "type code is 0x0a"),
    ("half a header", "a-ubyte", GOOD_IDX[:11], "is truncated"),
    ("a pixel too few", "a-ubyte", GOOD_IDX[:-1], "holds only 23"),
    ("a pixel too many", "a-ubyte", GOOD_IDX + b"\0", "holds more"),
    ("a whole file more", "a-ubyte", GOOD_IDX * 2, "holds more"),
    ("2^96 values", "a-ubyte", IDX_HEAD + b"\xff" * 12, "the limit is"),
    ("255 dimensions", "a-ubyte", b"\0\0\x08\xff" + b"\0\0\0\2" * 255, "it announces 255 dimensions"),
    ("4 GB announced", "a-ubyte", IDX_HEAD + b"\0\1\0\0\0\1\0\0\0\0\0\1", "holds only 0"),
    ("a bomb", "a-ubyte.gz", gzip.compress(b"\0\0\x08\1\x40\0\0\0" + bytes(10**6)), "it looks like a zip bomb"),
    ("half a gzip stream", "a-ubyte.gz", gzip.compress(GOOD_IDX)[:20], "truncated or damaged"),
    ("a wrong checksum of gzip", "a-ubyte.gz", gzip.compress(GOOD_IDX)[:-8] + b"\1" * 8, "is damaged"),
    ("gzip in gzip", "a-ubyte.gz", gzip.compress(gzip.compress(GOOD_IDX)), "is not an IDX file"),
    ("a zip archive", "a-ubyte.gz", zipped({"a-ubyte": GOOD_IDX}), "is not a gzip file"),
]
USER = [
    ("nothing", b"", "is not a whole .npz file"),
    ("an html page", HTML, "is not a whole .npz file"),
    ("a pickle", pickle.dumps(Canary(Path("canary"))), "is not a whole .npz file"),
    ("one array", npy_bytes(np.arange(3)), "is not a whole .npz file"),
    ("half an archive", npz()[:300], "is not a whole .npz file"),
    ("no labels", npz(y_train=None), "has no array y_train"),
    ("no test images", npz(x_test=None), "has no array x_test"),
    ("other names", zipped({"x.npy": npy_bytes(GOOD["x_train"])}), "has no array x_train nor y_train"),
    ("names with a path", zipped({f"../{name}.npy": npy_bytes(value) for name, value in GOOD.items()}), "has no array"),
    ("absolute names", zipped({f"/tmp/{name}.npy": npy_bytes(value) for name, value in GOOD.items()}), "has no array"),
    ("objects for images", npz(x_train=np.array([Canary(Path("canary"))] * 12)), "x_train holds Python objects"),
    ("objects for labels", npz(y_train=np.array([None] * 12)), "y_train holds Python objects"),
    ("a record with objects", npz(y_train=np.zeros(12, [("a", object)])), "y_train holds Python objects"),
    ("a record", npz(y_train=np.zeros(12, [("a", int)])), "y_train has type"),
    ("one number for images", npz(x_train=np.uint8(3)), "x_train has shape ()"),
    ("flat images", npz(x_train=GOOD["x_train"].reshape(12, 16)), "x_train has shape (12, 16)"),
    ("two channels", npz(x_train=np.zeros((12, 4, 4, 2), np.uint8)), "x_train has shape (12, 4, 4, 2)"),
    ("channels first", npz(x_train=np.zeros((12, 3, 4, 4), np.uint8)), "x_train has shape (12, 3, 4, 4)"),
    ("five dimensions", npz(x_train=np.zeros((12, 4, 4, 3, 1), np.uint8)), "x_train has shape"),
    ("images of no pixel", npz(x_train=np.zeros((12, 0, 4), np.uint8)), "x_train has shape (12, 0, 4)"),
    ("no images", npz(x_train=np.zeros((0, 4, 4), np.uint8), y_train=np.zeros(0, int)), "x_train holds no images"),
    ("NaN", npz(x_train=np.where(np.eye(4) > 0, np.nan, 0.5)[None].repeat(12, 0)), "not finite"),
    ("infinity", npz(x_test=np.full((4, 4, 4), np.inf)), "x_test holds values that are not finite"),
    ("negative pixels", npz(x_train=np.full((12, 4, 4), -0.1)), "x_train has floats from -0.1"),
    ("floats to 255", npz(x_train=GOOD["x_train"].astype(float)), "divide by 255"),
    ("signed pixels", npz(x_train=GOOD["x_train"].astype(np.int16)), "x_train has type int16"),
    ("complex pixels", npz(x_train=np.zeros((12, 4, 4), complex)), "x_train has type complex128"),
    ("true and false", npz(x_train=np.zeros((12, 4, 4), bool)), "x_train has type bool"),
    ("words for pixels", npz(x_train=np.full((12, 4, 4), "a")), "x_train has type <U1"),
    ("dates for pixels", npz(x_train=np.zeros((12, 4, 4), "M8[s]")), "x_train has type datetime64[s]"),
    ("fewer labels", npz(y_train=np.arange(11) % 3), "x_train has 12 images but y_train has 11 labels"),
    ("more labels", npz(y_test=np.arange(5) % 3), "x_test has 4 images but y_test has 5 labels"),
    ("labels one-hot", npz(y_train=np.eye(12, dtype=int)), "y_train has shape (12, 12)"),
    ("one label", npz(y_train=np.int64(1)), "y_train has shape ()"),
    ("labels of floats", npz(y_train=np.arange(12) / 2), "y_train has type float64"),
    ("labels NaN", npz(y_train=np.full(12, np.nan)), "y_train has type float64"),
    ("labels of words", npz(y_train=np.array(["a"] * 12)), "y_train has type <U1"),
    ("labels true and false", npz(y_train=np.zeros(12, bool)), "y_train has type bool"),
    ("labels from -1", npz(y_train=np.arange(12) - 1), "y_train holds -1"),
    ("a label of two thousand million", npz(y_train=np.arange(12) * 2 * 10**8), "labels must be integers from 0 to 65,535"),
    ("a label of 2^63", npz(y_test=np.array([0, 1, 2, 2**63], np.uint64)), "y_test holds 9223372036854775808"),
    ("test images of another size", npz(x_test=np.zeros((4, 5, 4), np.uint8)), "training images have shape (4, 4)"),
    ("test images with colours", npz(x_test=np.zeros((4, 4, 4, 3), np.uint8)), "but test images (4, 4, 3)"),
    ("a member that is text", zipped({f"{name}.npy": b"hello" for name in GOOD}), "x_train is damaged"),
    ("empty members", zipped({f"{name}.npy": b"" for name in GOOD}), "x_train is damaged"),
    ("a member that ends early", zipped({f"{name}.npy": npy_bytes(value)[:-3] for name, value in GOOD.items()}), "which takes"),
    ("a negative shape", zipped({f"{name}.npy": npy_bytes(value).replace(b"(12, ", b"(-2, ") for name, value in GOOD.items()}), "x_train announces shape (-2"),
    ("a header that is no literal", zipped({f"{name}.npy": npy_bytes(value).replace(b"'descr'", b"__imp__") for name, value in GOOD.items()}), "x_train is damaged"),
    ("a bomb", zipped({"x_train.npy": npy_bytes(np.zeros((70_000, 32, 32), np.uint8)), **{f"{k}.npy": npy_bytes(v) for k, v in GOOD.items() if k != "x_train"}}), "it looks like a zip bomb"),
]  # fmt: skip
TAR = [
    ("nothing", b"", "truncated or damaged"),
    ("an html page", HTML, "truncated or damaged"),
    ("a packed html page", gzip.compress(HTML), "truncated or damaged"),
    ("a zip archive", zipped(RECORDS), "truncated or damaged"),
    ("an empty archive", tar([]), f"has no member {FIRST}"),
    ("half an archive", tar(others(""))[:5000], "truncated or damaged"),
    ("a batch absent", tar(others(FIRST)), f"has no member {FIRST}"),
    ("a link", tar([(FIRST, b"", tarfile.SYMTYPE, "/etc/passwd"), *others(FIRST)]), f"has no member {FIRST}"),
    ("a hard link", tar([(FIRST, b"", tarfile.LNKTYPE, "/etc/passwd"), *others(FIRST)]), f"has no member {FIRST}"),
    ("a device", tar([(FIRST, b"", tarfile.CHRTYPE, ""), *others(FIRST)]), f"has no member {FIRST}"),
    ("a pipe", tar([(FIRST, b"", tarfile.FIFOTYPE, ""), *others(FIRST)]), f"has no member {FIRST}"),
    ("a folder", tar([(FIRST, b"", tarfile.DIRTYPE, ""), *others(FIRST)]), f"has no member {FIRST}"),
    ("a path upwards", tar([(f"../{FIRST}", b"x", tarfile.REGTYPE, ""), *others(FIRST)]), f"has no member {FIRST}"),
    ("an absolute path", tar([(f"/{FIRST}", b"x", tarfile.REGTYPE, ""), *others(FIRST)]), f"has no member {FIRST}"),
    ("an empty batch", tar([(FIRST, b"", tarfile.REGTYPE, ""), *others(FIRST)]), "has 0 bytes, no multiple of 3,073"),
    ("a byte too many", tar([(FIRST, bytes(3074), tarfile.REGTYPE, ""), *others(FIRST)]), "3,074 bytes, no multiple"),
    (
        "a batch too large",
        tar([(FIRST, bytes(30_740_000), tarfile.REGTYPE, ""), *others(FIRST)]),
        "the limit is 30,730,000",
    ),
]
PICKLES = [
    ("nothing", b"", "is not a CIFAR-10 batch"),
    ("an html page", HTML, "is not a CIFAR-10 batch"),
    ("a canary", pickle.dumps({b"data": Canary(Path("canary")), b"labels": []}), "which is refused"),
    ("a canary of protocol 0", pickle.dumps(Canary(Path("canary")), 0), "which is refused"),
    ("a command", b"cos\nsystem\n(S'touch canary'\ntR.", "it asks for os.system, which is refused"),
    ("eval", b"cbuiltins\neval\n(S'1'\ntR.", "it asks for builtins.eval, which is refused"),
    ("a loader", b"cnumpy\nload\n(S'canary'\ntR.", "it asks for numpy.load, which is refused"),
    ("an extension", b"\x82\x01.", "is not a CIFAR-10 batch"),
    ("a persistent object", b"Pcanary\n.", "is not a CIFAR-10 batch"),
    ("a list", pickle.dumps([1, 2]), "is not a CIFAR-10 batch"),
    ("no labels", pickle.dumps({b"data": b""}), "is not a CIFAR-10 batch"),
    ("a number for data", pickle.dumps({b"data": 1, b"labels": [1]}), "is not a CIFAR-10 batch"),
    ("too narrow", batch_pickle(np.zeros((2, 5), np.uint8), [0, 1]), "data is uint8 of shape (2, 5)"),
    ("floats", batch_pickle(np.zeros((2, 3072)), [0, 1]), "data is float64"),
    ("a label too few", batch_pickle(np.zeros((2, 3072), np.uint8), [0]), "is not a CIFAR-10 batch"),
    ("half a pickle", batch_pickle(np.zeros((2, 3072), np.uint8), [0, 1])[:99], "is not a CIFAR-10 batch"),
]
ROW = np.array([0.0] * 256 + [1.0] + [0.0] * 9)


def rows(*lines: np.ndarray) -> bytes:
    return "\n".join(" ".join(f"{value:.4f}" for value in line) for line in lines).encode()


SEMEION = [
    ("nothing", b"", "is not the Semeion table"),
    ("only spaces", b" \n \n", "is not the Semeion table"),
    ("an html page", HTML, "is not the Semeion table"),
    ("a column too few", rows(ROW[1:]), "rows of 256 pixels"),
    ("a column too many", rows(np.append(ROW, 0)), "rows of 256 pixels"),
    ("no digit", rows(ROW * 0), "rows of 256 pixels"),
    ("two digits", rows(np.where(np.arange(266) > 260, 1, ROW)), "rows of 256 pixels"),
    ("a pixel of 2", rows(np.append(2, ROW[1:])), "rows of 256 pixels"),
    ("a pixel NaN", rows(np.append(np.nan, ROW[1:])), "rows of 256 pixels"),
    ("rows of two lengths", rows(ROW, ROW[1:]), "is not the Semeion table"),
    ("bytes", bytes(range(256)), "is not the Semeion table"),
    ("17 MB", b"0 " * 9_000_000, "is not the Semeion table"),
]


def refuse(tmp_path: Path, kind: str, file: str, data: bytes, words: str, read: Callable[[Path], object]) -> None:
    path = tmp_path / file
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read(path)
    check_sentence(str(caught.value), words, str(path))
    assert listing(tmp_path) == {path}
    assert not Path("canary").exists()
    tried(kind, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(("name", "file", "data", "words"), IDX, ids=[row[0] for row in IDX])
def test_idx(tmp_path, name, file, data, words):
    refuse(tmp_path, "idx", file, data, words, formats.read_idx)


@pytest.mark.parametrize(("name", "data", "words"), USER, ids=[row[0] for row in USER])
def test_user_npz(tmp_path, name, data, words):
    refuse(tmp_path, "npz", "mine.npz", data, words, read_user_npz)


@pytest.mark.parametrize(("name", "data", "words"), TAR, ids=[row[0] for row in TAR])
def test_cifar_archive(tmp_path, name, data, words):
    refuse(tmp_path, "tar", "cifar-10-binary.tar.gz", data, words, formats.read_cifar_binary)


@pytest.mark.parametrize(("name", "data", "words"), PICKLES, ids=[row[0] for row in PICKLES])
def test_cifar_pickle(tmp_path, monkeypatch, name, data, words):
    monkeypatch.chdir(tmp_path)
    refuse(tmp_path, "pickle", "data_batch_1", data, words, lambda path: formats.read_cifar_python([path] * 6))


@pytest.mark.parametrize(("name", "data", "words"), SEMEION, ids=[row[0] for row in SEMEION])
@pytest.mark.filterwarnings("error")
def test_semeion(tmp_path, name, data, words):
    refuse(tmp_path, "semeion", "semeion.data", data, words, formats.read_semeion)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_offsets": np.array([5, 0])}, "train_offsets must be integers that rise"),
        ({"train_offsets": np.array([-5, 3])}, "train_offsets must be integers that rise"),
        ({"train_offsets": np.array([0, 10**9])}, "train_offsets must be integers that rise"),
        ({"train_offsets": np.array([0.0, 5.0])}, "train_offsets must be integers that rise"),
        ({"test_offsets": np.zeros((2, 2), int)}, "test_offsets must be integers that rise"),
        ({"test_offsets": np.zeros(0, int)}, "test_offsets must be integers that rise"),
        ({"y_train": np.array([1, 2])}, "it must be one integer for each of 1 images"),
        ({"y_train": np.array([0.5])}, "it must be one integer for each of 1 images"),
        ({"y_test": np.array([np.nan])}, "it must be one integer for each of 1 images"),
        ({"header": np.zeros(9, np.uint8)}, "image 0 is damaged"),
        ({"train_data": np.zeros(900, np.uint8), "train_offsets": np.array([0, 0])}, "image 0 is damaged"),
        ({"size": (64, 32)}, "image 0 has (64, 32) pixels"),
        ({"header": np.array([Canary(Path("canary"))])}, "header holds Python objects"),
    ],
)
def test_jpeg_pack(tmp_path, changes, words):
    refuse(tmp_path, "jpeg pack", "pack.npz", pack(**dict(changes)), words, formats.read_jpegpack)


CHANGED = {
    "npz": (npz(), "mine.npz", read_user_npz),
    "idx": (gzip.compress(GOOD_IDX, mtime=0), "a-ubyte.gz", formats.read_idx),
    "tar": (tar([(n, d[:3073], tarfile.REGTYPE, "") for n, d in RECORDS.items()]), "c.tar.gz", formats.read_cifar_binary),
    "pickle": (batch_pickle(*cifar_batches()[0]), "batch", lambda path: formats.read_cifar_pickle(str(path), path.read_bytes())),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGED)
def test_changed_and_missing_bytes(tmp_path, kind):
    """Bytes of a good file changed, one at a time, and files cut short: refused in one sentence, or read as they are."""
    good, name, read = CHANGED[kind]
    generator = np.random.default_rng(1)
    path = tmp_path / name
    places = generator.choice(len(good), 120)
    # headers decide most: every one of the first bytes, and of the last, where a zip has its directory
    for place in itertools.chain(range(min(60, len(good))), range(max(len(good) - 60, 0), len(good)), places):
        data = bytearray(good)
        data[place] ^= int(generator.integers(1, 256))
        _refused_or_read(path, bytes(data), read, kind)
    for length in generator.choice(len(good), 40):
        _refused_or_read(path, good[:length], read, kind)
    assert listing(tmp_path) == {path}


def _refused_or_read(path: Path, data: bytes, read: Callable[[Path], object], kind: str) -> None:
    path.write_bytes(data)
    try:
        read(path)
    except UserError as problem:
        check_sentence(str(problem), str(path))
        tried(f"changed {kind}", hashlib.sha256(data).hexdigest())


SOME = [row for row in USER if row[0] in ("NaN", "labels of floats", "labels from -1", "fewer labels", "a bomb", "objects for images", "flat images", "no images", "a label of two thousand million")]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "words"), SOME, ids=[row[0] for row in SOME])
def test_through_the_command_line(quick, tmp_path, capsys, name, data, words):
    """``run`` with such a file: exit status 2, the sentence, and no results folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.npz").write_bytes(data)
    small = [
        "--scale",
        "tiny",
        "--set",
        f"data.root={tmp_path / 'data'}",
        "--set",
        "studies.du2018a.images.sources=[mine]",
    ]
    arguments = ["run", "du2018a", *small, "--set", "studies.du2018a.images.samples=2", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zeroloss: ")]
    assert len(lines) == 1
    check_sentence(lines[0], words, "mine.npz")
    assert not (tmp_path / "out").exists()
    tried("npz through run", name)


def test_a_page_instead_of_a_file(site: Site, tmp_path):  # noqa: F811
    """A mirror that answers with a web page: the checksum tells, and nothing stays in the cache."""
    site.content = HTML
    with pytest.raises(UserError) as caught:
        images.load("toy", None, download=True, cache=tmp_path / "cache")
    check_sentence(str(caught.value), "wrong checksum", "cannot download")
    assert not [path for path in listing(tmp_path) if path.is_file() and not path.name.endswith(".lock")]
    tried("download", "an html page")
