"""Readers of image files: round trips, and one clear sentence for every kind of bad file."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zeroloss.datasets import formats
from zeroloss.errors import UserError


def idx_bytes(array: np.ndarray) -> bytes:
    code = {np.dtype(t).newbyteorder("="): c for c, t in formats.IDX_TYPES.items()}[array.dtype]
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(
        array.dtype.newbyteorder(">")
    ).tobytes()  # fmt: skip


def npy_bytes(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@settings(max_examples=60, deadline=None)
@given(
    array=st.sampled_from([">u1", ">i1", ">i2", ">i4", ">f4", ">f8"]).flatmap(
        lambda t: hnp.arrays(np.dtype(t).newbyteorder("="), hnp.array_shapes(min_dims=1, max_dims=4, min_side=0))
    ),
    packed=st.booleans(),
)
def test_idx_round_trip(array: np.ndarray, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a-ubyte.gz" if packed else "a-ubyte")
        path.write_bytes(gzip.compress(idx_bytes(array)) if packed else idx_bytes(array))
        found = formats.read_idx(path)
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()


GOOD_IDX = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a", b"", "is not an IDX file: it starts with nothing instead of 0000"),
        ("a", b"\x89PNG" + GOOD_IDX, "is not an IDX file: it starts with 89504e47 instead of 0000"),
        ("a", b"\0\0\x07\1\0\0\0\0", "is not an IDX file: its type code is 0x07"),
        ("a", GOOD_IDX[:9], "is truncated: its header announces 3 dimensions and ends before them"),
        ("a", GOOD_IDX[:-1], r"announces 2 x 3 x 4 values \(24 bytes\) but holds only 23"),
        ("a", GOOD_IDX + b"\0", r"announces 2 x 3 x 4 values \(24 bytes\) but holds more"),
        ("a", b"\0\0\x08\3" + b"\xff" * 12, "the limit is 8,589,934,592"),
        ("a.gz", GOOD_IDX, "is not a gzip file"),
        ("a.gz", gzip.compress(GOOD_IDX)[:-9], "its gzip stream ends early"),
        ("a.gz", gzip.compress(GOOD_IDX)[:-8] + b"\0" * 8, "is not a gzip file, or is damaged"),
        ("a.gz", gzip.compress(GOOD_IDX)[:10] + b"\xff" * 20, "is truncated or damaged"),
    ],
)
def test_bad_idx(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError, match=sentence) as caught:
        formats.read_idx(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_npz_members_are_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.asfortranarray(np.eye(3, 4, dtype=">f4"))}
    np.savez_compressed(tmp_path / "a.npz", **arrays, unused=np.zeros(2))  # type: ignore[arg-type]
    found = formats.read_npz(tmp_path / "a.npz", ["b", "a"])
    assert list(found) == ["b", "a"]
    for key in found:
        np.testing.assert_array_equal(found[key], arrays[key])


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _stored(tmp_path: Path, members: dict[str, bytes]) -> bytes:
    return write_zip(tmp_path / "base.npz", members, zipfile.ZIP_STORED).read_bytes()


def test_bad_npz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"x.npy": npy_bytes(np.arange(100, dtype=np.uint8))}
    huge = npy_bytes(np.zeros(1, np.uint8))[:-1].replace(b"(1,)", b"(9999999999999,)").replace(b" " * 12 + b"\n", b"\n")
    objects = npy_bytes(np.array([{}], dtype=object), allow_pickle=True)
    stored = _stored(tmp_path, good)
    cases = {
        "is not a whole .npz file": [b"", b"no zip", stored[:-30], stored[: len(stored) // 2]],
        "has no array x: it must hold x": [_stored(tmp_path, {"y.npy": good["x.npy"]})],
        "x is damaged": [
            _flipped(stored, stored.index(b"x.npy") + 5 + 128 + 50),  # a pixel: the zip checksum tells
            _stored(tmp_path, {"x.npy": b"not an array"}),
            _stored(tmp_path, {"x.npy": b""}),
        ],
        "x holds Python objects, which are never loaded": [_stored(tmp_path, {"x.npy": objects})],
        r"x announces shape \(100,\) and type uint8, which takes 228 bytes, but has 218": [
            _stored(tmp_path, {"x.npy": good["x.npy"][:-10]})
        ],
        r"x announces shape \(9999999999999,\)": [_stored(tmp_path, {"x.npy": huge})],
    }
    for sentence, files in cases.items():
        for data in files:
            (tmp_path / "bad.npz").write_bytes(data)
            with pytest.raises(UserError, match=sentence) as caught:
                formats.read_npz(tmp_path / "bad.npz", ["x"])
            assert "bad.npz" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot read"):
        formats.read_npz(tmp_path / "absent.npz", ["x"])

    bomb = write_zip(tmp_path / "bomb.npz", {"x.npy": npy_bytes(np.zeros(2**20, np.uint8))})
    assert len(formats.read_npz(bomb, ["x"])["x"]) == 2**20  # small: black images are no attack
    monkeypatch.setattr(formats, "RATIO_FREE", 2**16)
    with pytest.raises(UserError, match="it looks like a zip bomb"):
        formats.read_npz(bomb, ["x"])
    monkeypatch.setattr(formats, "MAX_BYTES", 2**19)
    with pytest.raises(UserError, match=r"unpacks to 1,048,\d+ bytes: the limit is 524,288"):
        formats.read_npz(bomb, ["x"])


class PickledByPython2(pickle._Pickler):  # type: ignore[name-defined]
    """Writes bytes and str as Python 2 wrote its str: the form of the official CIFAR batches."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_str(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_str


def batch_pickle(pixels: np.ndarray, labels: list[int]) -> bytes:
    stream = io.BytesIO()
    PickledByPython2(stream, protocol=2).dump({"data": pixels, "labels": labels, "filenames": ["a.png"] * len(labels)})
    return stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def cifar_batches() -> list[tuple[np.ndarray, list[int]]]:
    generator = np.random.default_rng(0)
    return [
        (generator.integers(0, 256, (4, 3072), dtype=np.uint8), generator.integers(0, 10, 4).tolist()) for _ in range(6)
    ]


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_cifar_forms_agree(tmp_path: Path) -> None:
    batches = cifar_batches()
    names = formats.CIFAR_TRAIN + formats.CIFAR_TEST
    pickles = {name: batch_pickle(*batch) for name, batch in zip(names, batches, strict=True)}
    records = {
        f"cifar-10-batches-bin/{name}.bin": np.column_stack([np.array(y, np.uint8), x]).tobytes()
        for name, (x, y) in zip(names, batches, strict=True)
    }
    python = write_tar(tmp_path / "p.tar.gz", {f"cifar-10-batches-py/{name}": data for name, data in pickles.items()})
    binary = write_tar(tmp_path / "b.tar.gz", {"../evil": b"x", **dict(reversed(records.items()))})
    for name, data in pickles.items():
        (tmp_path / name).write_bytes(data)

    first = formats.read_cifar_binary(binary)
    others = [formats.read_cifar_python([python]), formats.read_cifar_python([tmp_path / name for name in names])]
    for other in others:
        for left, right in zip(first, other, strict=True):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)
    assert [a.shape for a in first] == [(20, 32, 32, 3), (20,), (4, 32, 32, 3), (4,)]
    # channel by channel in the file, channels last in the array
    assert first[0][5, 2, 7].tolist() == [batches[1][0][1, c * 1024 + 2 * 32 + 7] for c in range(3)]
    assert not (tmp_path.parent / "evil").exists()


class Attack:
    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (print, ("this must not be printed",))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (pickle.dumps({b"data": Attack()}), "it asks for builtins.print, which is refused"),
        (b"cos\nsystem\n(S'true'\ntR.", "it asks for os.system, which is refused"),
        (b"cnumpy\nload\n(S'x'\ntR.", "it asks for numpy.load, which is refused"),
        (b"", "is not a CIFAR-10 batch"),
        (pickle.dumps([1, 2]), "is not a CIFAR-10 batch"),
        (pickle.dumps({b"data": 1}), "is not a CIFAR-10 batch"),
        (batch_pickle(np.zeros((2, 5), np.uint8), [0, 1]), r"data is uint8 of shape \(2, 5\)"),
        (batch_pickle(np.zeros((2, 3072), np.int64), [0, 1]), "data is int64"),
        (batch_pickle(np.zeros((2, 3072), np.uint8), [0]), "is not a CIFAR-10 batch"),
    ],
)
def test_bad_pickles(data: bytes, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=sentence):
        formats.read_cifar_pickle("batch", data)
    assert capsys.readouterr().out == ""


def test_bad_tar(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", {"a": bytes(np.random.default_rng(0).bytes(50_000)), "b": b"2"})
    assert formats.read_tar(path, ["b"], limit=10) == {"b": b"2"}
    with pytest.raises(UserError, match="has no member c: it is not the official archive"):
        formats.read_tar(path, ["b", "c"], limit=10)
    with pytest.raises(UserError, match="a has 50,000 bytes: the limit is 10"):
        formats.read_tar(path, ["a"], limit=10)
    for data in (b"", b"no archive", path.read_bytes()[:30_000]):
        (tmp_path / "bad.tar.gz").write_bytes(data)
        with pytest.raises(UserError, match="truncated or damaged"):
            formats.read_tar(tmp_path / "bad.tar.gz", ["b"], limit=10)
    with tarfile.open(tmp_path / "link.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("b")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(UserError, match="has no member b"):
        formats.read_tar(tmp_path / "link.tar.gz", ["b"], limit=10)
    names = [f"cifar-10-batches-bin/{n}.bin" for n in formats.CIFAR_TRAIN + formats.CIFAR_TEST]
    with pytest.raises(UserError, match="has 100 bytes, no multiple of 3,073"):
        formats.read_cifar_binary(write_tar(tmp_path / "odd.tar.gz", {n: bytes(100) for n in names}))


def test_jpegpack(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    grey = [image.new("RGB", (32, 32), (g, g, g)) for g in (0, 100, 255)]
    streams = []
    for picture in grey:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=75)
        streams.append(stream.getvalue())
    start = streams[0].index(b"\xff\xda") + 2  # up to the start-of-scan marker the streams agree
    assert len({s[:start] for s in streams}) == 1
    data = b"".join(s[start:-2] for s in streams)
    offsets = np.cumsum([0] + [len(s) - start - 2 for s in streams]).astype(np.uint32)
    arrays = {
        "header": np.frombuffer(streams[0][:start], np.uint8),
        **{f"{part}_data": np.frombuffer(data, np.uint8) for part in ("train", "test")},
        **{f"{part}_offsets": offsets for part in ("train", "test")},
        **{f"y_{part}": np.array([0, 1, 2]) for part in ("train", "test")},
    }
    np.savez(tmp_path / "pack.npz", **arrays)  # type: ignore[arg-type]
    x_train, y_train, x_test, _ = formats.read_jpegpack(tmp_path / "pack.npz")
    assert x_train.shape == x_test.shape == (3, 32, 32, 3) and y_train.dtype == np.int64
    np.testing.assert_allclose(x_train[:, 4, 4, 1], [0, 100, 255], atol=1)
    np.savez(tmp_path / "bad.npz", **{**arrays, "header": arrays["header"][:50]})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="image 0 is damaged"):
        formats.read_jpegpack(tmp_path / "bad.npz")


def test_semeion_table(tmp_path: Path) -> None:
    table = np.zeros((3, 266))
    table[:, 5] = 1
    table[range(3), [256 + d for d in (7, 0, 9)]] = 1
    np.savetxt(tmp_path / "semeion.data.gz", table, fmt="%.4f")
    x, y = formats.read_semeion(tmp_path / "semeion.data.gz")
    assert x.shape == (3, 16, 16) and x[:, 0, 5].all() and x.sum() == 3 and y.tolist() == [7, 0, 9]
    for bad in (table[:, 1:], table + 1, table * (np.arange(266) < 256)):
        np.savetxt(tmp_path / "bad.data", bad)
        with pytest.raises(UserError, match="is not the Semeion table"):
            formats.read_semeion(tmp_path / "bad.data")
    (tmp_path / "bad.data").write_bytes(b"hello")
    with pytest.raises(UserError, match="is not the Semeion table"):
        formats.read_semeion(tmp_path / "bad.data")
