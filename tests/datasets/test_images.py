"""Where image data come from: layouts of the folder, checksums, the user's .npz, the scikit-learn digits."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zeroloss.datasets import images
from zeroloss.datasets.sources import SOURCES, Form, KnownFile
from zeroloss.errors import UserError


@pytest.fixture(autouse=True)
def no_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what this machine has downloaded before."""
    empty = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(images, "default_cache", lambda: empty)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def toy_files(seed: int) -> dict[str, bytes]:
    """Uncompressed IDX files of 12 training and 4 test images, 5x5."""
    generator, files = np.random.default_rng(seed), {}
    for part, n in (("train", 12), ("t10k", 4)):
        pixels, labels = generator.integers(0, 256, (n, 5, 5), np.uint8), generator.integers(0, 10, n, np.uint8)
        files[f"{part}-images-idx3-ubyte"] = b"\0\0\x08\3" + struct.pack(">3I", n, 5, 5) + pixels.tobytes()
        files[f"{part}-labels-idx1-ubyte"] = b"\0\0\x08\1" + struct.pack(">I", n) + labels.tobytes()
    return files


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, bytes]]:
    """Toy contents under the names of MNIST, Fashion-MNIST and KMNIST, with their checksums in the table."""
    contents = {name: toy_files(seed) for seed, name in enumerate(("mnist", "fashion_mnist", "kmnist"))}
    for name, files in contents.items():
        form = SOURCES[name].forms[0]
        known = []
        for file in form.files:
            data = files[file.name.removesuffix(".gz")]
            packed = gzip.compress(data, mtime=0)
            known.append(KnownFile(file.name, sha256(packed), sha256(data) if file.content else ""))
        source = replace(SOURCES[name], forms=(replace(form, files=tuple(known)), *SOURCES[name].forms[1:]))
        monkeypatch.setitem(SOURCES, name, source)
    return contents


def put(folder: Path, files: dict[str, bytes], *, packed: bool = True, level: int = 9) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / (name + ".gz" if packed else name)
        path.write_bytes(gzip.compress(data, level, mtime=0) if packed else data)
    return folder


def put_npz(path: Path, **changes: object) -> Path:
    arrays: dict[str, object] = {
        "x_train": np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": np.ones((2, 2, 2), np.uint8),
        "y_test": np.array([0, 4]),
        **changes,
    }
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]
    return path


def test_digits_need_nothing() -> None:
    digits = images.load("digits", None)
    assert digits.x_train.shape == (1797, 8, 8) and digits.x_train.dtype == np.uint8
    assert digits.x_train.max() == digits.largest == 16
    assert digits.x_test.shape == (0, 8, 8) and digits.y_test.shape == (0,)
    assert np.bincount(digits.y_train).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert digits.y_train.dtype == np.int64 and "optdigits" in digits.fidelity
    assert images.available(None) == ("digits",)
    (only,) = images.checksums("digits", None).items()
    assert only[0] == "scikit-learn digits" and len(only[1]) == 64


def test_start_of_a_workflow_imports_nothing_heavy() -> None:
    code = (
        "import sys; from zeroloss.datasets import images; images.checksums('digits', None); images.available(None);"
        "heavy = {'torch', 'pandas', 'sklearn', 'PIL', 'requests', 'rich', 'pooch'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_layouts_of_idx_files(tmp_path: Path, toys: dict[str, dict[str, bytes]], name: str, packed: bool) -> None:
    raw = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw", "kmnist": "KMNIST/raw"}[name]
    loaded = []
    for i, folder in enumerate((name, raw, "")):
        root = tmp_path / str(i)
        put(root / folder, toys[name], packed=packed)
        if folder == "" and name == "kmnist" and not packed:
            assert images.available(root) == ("digits",)  # nothing published tells whose files these are
            continue
        assert images.available(root) == ("digits", name)
        loaded.append(images.load(name, root))
        suffix = ".gz" if packed else ""
        first = (Path(folder) / f"train-images-idx3-ubyte{suffix}").as_posix()
        sums = images.checksums(name, root)
        assert len(sums) == 4 and next(iter(sums)) == first
        assert sums[first] == sha256((root / first).read_bytes())
    for found in loaded:
        assert found.x_train.shape == (12, 5, 5) and found.x_test.shape == (4, 5, 5) and found.largest == 255
        assert found.x_train.tobytes() == toys[name]["train-images-idx3-ubyte"][16:]
        assert found.y_test.tolist() == list(toys[name]["t10k-labels-idx1-ubyte"][8:])
        assert ("verified" in found.fidelity) == (name != "kmnist" or packed)


def test_a_file_packed_anew_is_the_original(tmp_path: Path, toys: dict[str, dict[str, bytes]]) -> None:
    put(tmp_path / "mnist", toys["mnist"], level=1)
    assert images.load("mnist", tmp_path).fidelity == "original files, checksums verified"


@pytest.mark.parametrize("packed", [True, False])
def test_wrong_checksum(tmp_path: Path, toys: dict[str, dict[str, bytes]], packed: bool) -> None:
    put(tmp_path / "mnist", {**toys["mnist"], "t10k-labels-idx1-ubyte": b"\0\0\x08\1\0\0\0\0"}, packed=packed)
    for action in (images.checksums, images.load):
        with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte(\.gz)? is not the published file: its"):
            action("mnist", tmp_path)


def test_absent_files(tmp_path: Path, toys: dict[str, dict[str, bytes]]) -> None:
    put(tmp_path / "mnist", toys["mnist"])
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert images.available(tmp_path) == ("digits",)
    with pytest.raises(UserError, match=r"missing: mnist/t10k-labels-idx1-ubyte.gz\): put its files into a folder"):
        images.load("mnist", tmp_path)
    whole = (
        r"data set kmnist is not at hand, for no data folder is set \(missing: kmnist/train-images-idx3-ubyte.gz, .*"
        r"data.root or ZEROLOSS_DATA; they are at https://codh.rois.ac.jp/kmnist/dataset/kmnist/$"
    )
    with pytest.raises(UserError, match=whole):  # which files, which setting, where to get them
        images.load("kmnist", None)
    with pytest.raises(
        UserError, match=r"has no official address: provide cifar10/cifar10_q75_jpegpack\.npz in .*ZEROLOSS_DATA"
    ):
        images.load("cifar10_lossy", tmp_path, download=True)
    with pytest.raises(UserError, match="does not exist or is no folder"):
        images.available(tmp_path / "nowhere")
    with pytest.raises(UserError, match="does not exist or is no folder"):
        images.load("mnist", tmp_path / "nowhere")


def test_key_is_the_same_before_and_after_the_download(tmp_path: Path) -> None:
    """A workflow key made from the published checksums stays valid when the files arrive in the cache."""
    before = images.checksums("mnist", None)
    assert list(before) == [f"mnist/{f.name}" for f in SOURCES["mnist"].forms[0].files]
    assert images.checksums("cifar10", None) == {
        "cifar10/cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    }
    for name in ("mnist", "fashion_mnist", "kmnist", "cifar10", "semeion"):
        by_digest = {file.path.rsplit("/", 1)[1]: file.digest for file in SOURCES[name].downloads}
        form = SOURCES[name].forms[0]
        for file in form.files:
            unpacked = file.name.removesuffix(".gz")
            assert by_digest.get(file.name, file.digest) == file.digest
            assert file.name in by_digest or by_digest[unpacked] == file.content
        for file in SOURCES[name].downloads:
            assert file.path.rsplit("/", 1)[0] in form.folders


@pytest.mark.parametrize("name", ["mnits", "Mnist", "toy2"])
def test_unknown_name(tmp_path: Path, name: str) -> None:
    put_npz(tmp_path / "toy.npz")
    sentence = r"unknown data set .* \(did you mean (mnist|toy)\?\): known are digits, mnist,.*holds toy$"
    with pytest.raises(UserError, match=sentence):
        images.load(name, tmp_path)


@pytest.mark.parametrize("name", ["../toy", "a/b", "", ".", "a\\b", "/etc/x", "toy\n"])
def test_names_are_no_paths(tmp_path: Path, name: str) -> None:
    put_npz(tmp_path / "toy.npz")
    (tmp_path / "sub").mkdir()
    with pytest.raises(UserError, match="is not allowed"):
        images.load(name, tmp_path / "sub")


def test_user_npz(tmp_path: Path) -> None:
    put_npz(tmp_path / "toy.npz")
    put_npz(tmp_path / "digits.npz")  # never shadows the built-in
    (tmp_path / "other.npz").write_bytes(b"not a zip")
    assert images.available(tmp_path) == ("digits", "toy")
    toy = images.load("toy", tmp_path)
    assert toy.x_train.shape == (6, 2, 2) and toy.classes == 5 and toy.largest == 255
    assert toy.fidelity == "user's file toy.npz, no published checksum"
    assert images.checksums("toy", tmp_path) == {"toy.npz": sha256((tmp_path / "toy.npz").read_bytes())}


def test_user_npz_of_floats_colours_and_columns(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(64, 2, 2, 3)
    for dtype in (np.float16, np.float32, np.float64, ">f8"):
        x = (levels / 255).astype(dtype)
        labels = {"y_train": np.zeros((64, 1), np.uint8), "y_test": np.zeros(0, int)}
        put_npz(tmp_path / "a.npz", x_train=x, x_test=x[:0], **labels)
        found = images.load("a", tmp_path)
        np.testing.assert_array_equal(found.x_train, levels)
        assert found.y_train.shape == (64,) and "rounded" not in found.fidelity and found.x_test.shape == (0, 2, 2, 3)
    put_npz(tmp_path / "b.npz", x_train=np.full((6, 2, 2, 1), 0.3), x_test=np.zeros((2, 2, 2)))
    found = images.load("b", tmp_path)
    assert found.x_train.shape == (6, 2, 2) and (found.x_train == 76).all()
    assert found.fidelity.endswith("floats rounded to 256 grey levels")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"y_test": None}, "has no array y_test: it must hold x_train, y_train, x_test, y_test"),
        ({"x_train": np.zeros((6, 4), np.uint8)}, r"x_train has shape \(6, 4\): images must be"),
        ({"x_train": np.zeros((6, 3, 8, 8), np.uint8)}, r"x_train has shape \(6, 3, 8, 8\): images must be"),
        ({"x_train": np.zeros((6, 0, 2), np.uint8)}, r"x_train has shape \(6, 0, 2\): images must be"),
        ({"x_train": np.zeros((6, 2, 2), np.int64)}, "x_train has type int64: images must be uint8"),
        ({"x_train": np.zeros((6, 2, 2), bool)}, "x_train has type bool"),
        ({"x_train": np.zeros((6, 2, 2), complex)}, "x_train has type complex128"),
        ({"x_train": np.full((6, 2, 2), "a")}, "x_train has type <U1"),
        ({"x_train": np.full((6, 2, 2), np.nan)}, "x_train holds values that are not finite"),
        ({"x_test": np.full((2, 2, 2), np.inf)}, "x_test holds values that are not finite"),
        ({"x_train": np.full((6, 2, 2), 255.0)}, "x_train has floats from 255 to 255: .*divide by 255"),
        ({"x_train": np.full((6, 2, 2), -0.5)}, "x_train has floats from -0.5 to -0.5"),
        ({"x_train": np.zeros((5, 2, 2), np.uint8)}, "x_train has 5 images but y_train has 6 labels"),
        ({"x_test": np.zeros((3, 2, 2), np.uint8)}, "x_test has 3 images but y_test has 2 labels"),
        ({"x_test": np.zeros((2, 2, 3), np.uint8)}, r"training images have shape \(2, 2\) but test images \(2, 3\)"),
        ({"x_train": np.zeros((0, 2, 2), np.uint8), "y_train": np.zeros(0, int)}, "x_train holds no images"),
        ({"y_train": np.zeros(6)}, "y_train has type float64: labels must be integers from 0"),
        ({"y_train": np.arange(6) - 1}, "y_train holds -1: labels must be integers from 0"),
        ({"y_test": np.array([0, 2**63], np.uint64)}, "y_test holds 9223372036854775808"),
        ({"y_train": np.zeros((6, 10), int)}, r"y_train has shape \(6, 10\): labels must be \(N,\)"),
        ({"y_train": np.array([None] * 6)}, "y_train holds Python objects, which are never loaded"),
    ],
)
def test_bad_user_npz(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    put_npz(tmp_path / "toy.npz", **changes)
    with pytest.raises(UserError, match=sentence) as caught:
        images.load("toy", tmp_path)
    assert "toy.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_the_folder_goes_before_the_cache(tmp_path: Path, toys: dict[str, dict[str, bytes]]) -> None:
    put(tmp_path / "cache" / "mnist", toys["mnist"])
    (tmp_path / "root").mkdir()
    root, cache = tmp_path / "root", tmp_path / "cache"
    assert images.available(root, cache=cache) == images.available(None, cache=cache) == ("digits", "mnist")
    assert len(images.load("mnist", root, cache=cache).x_train) == 12
    put_npz(root / "mnist.npz")
    assert images.load("mnist", root, cache=cache).fidelity == "user's file mnist.npz, no published checksum"
    assert list(images.checksums("mnist", root, cache=cache)) == ["mnist.npz"]
    put(root / "mnist", toys["mnist"])
    assert images.load("mnist", root, cache=cache).fidelity == "original files, checksums verified"


def test_labels_and_images_of_different_sets(tmp_path: Path, toys: dict[str, dict[str, bytes]]) -> None:
    """Unpacked KMNIST files carry no published checksum: what they hold is still compared."""
    files = {**toys["kmnist"], "train-labels-idx1-ubyte": b"\0\0\x08\1\0\0\0\1\0"}
    put(tmp_path / "kmnist", files, packed=False)
    with pytest.raises(UserError, match="the training images and labels of kmnist do not belong together"):
        images.load("kmnist", tmp_path)


def test_lossless_form_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((10, 32, 32, 3), np.uint8)
    small = {"x_train": pixels, "y_train": np.arange(10), "x_test": pixels[:1], "y_test": np.zeros(1, int)}
    path = put_npz(tmp_path / "cifar10_exact_4k1k.npz", **small)
    forms = [
        replace(f, files=(KnownFile(path.name, sha256(path.read_bytes())),)) if f.reader == "exact_4k1k" else f
        for f in SOURCES["cifar10"].forms
    ]
    monkeypatch.setitem(SOURCES, "cifar10", replace(SOURCES["cifar10"], forms=tuple(forms)))
    assert images.available(tmp_path) == ("digits", "cifar10")  # the part is listed under its source alone
    assert images.load("cifar10", tmp_path).fidelity == "first 4,000 training and 1,000 test images, lossless"
    (tmp_path / "cifar10").mkdir()
    shutil.copy(path, tmp_path / "cifar10" / "cifar-10-python.tar.gz")
    # before any pickle is read
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz is not the published file"):
        images.load("cifar10", tmp_path)


def test_table_is_consistent() -> None:
    for name, source in SOURCES.items():
        assert source.title and source.licence and source.forms, name
        for form in source.forms:
            assert isinstance(form, Form) and form.fidelity
            for file in form.files:
                for digest in filter(None, (file.digest, file.content)):
                    kind, _, digits = digest.rpartition(":")
                    assert len(digits) == {"": 64, "md5": 32}[kind] and int(digits, 16), (name, file.name)
        for file in source.downloads:
            assert all(url.endswith("/" + file.path.rsplit("/", 1)[1]) for url in file.urls)
            assert file.urls[0].startswith("https://")


def test_the_first_source_at_hand_is_taken(tmp_path, toys):
    assert images.first_available(["mnist", "digits"], None) == "digits"
    for name, data in toys["mnist"].items():
        (tmp_path / name).write_bytes(data)
    assert images.first_available(["mnist", "digits"], tmp_path) == "mnist"
    assert images.first_available(["cifar10", "mnist", "digits"], tmp_path) == "mnist"


def test_where_nothing_is_at_hand_the_last_source_stays_and_is_downloaded():
    assert images.first_available(["mnist", "cifar10"], None) == "cifar10"


def test_a_setting_becomes_the_source_at_hand(tmp_path):
    from pydantic import TypeAdapter, ValidationError

    from zeroloss.studies.settings import ImageSource

    adapter = TypeAdapter(ImageSource)
    assert adapter.validate_python(["cifar10", "digits"], context={"data_root": None}) == "digits"
    assert adapter.validate_python("cifar10", context={"data_root": None}) == "cifar10"
    assert adapter.validate_python("gone") == "gone", "stored with a result"
    for wrong in ("cifar", [], 3, ["digits", "cifar"]):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong, context={"data_root": None})


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    ours, theirs = images._digits(), load_digits()
    np.testing.assert_array_equal(ours.x_train, theirs.images)
    np.testing.assert_array_equal(ours.y_train, theirs.target)
