"""A data set that cannot be had ends in one sentence: which files, where to get them, which setting. And what is had is
named with its fidelity wherever it is shown."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zeroloss.cli import main
from zeroloss.config import load_config
from zeroloss.datasets import images
from zeroloss.datasets.image_classes import ImageClasses
from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.image_tasks import ImageParity
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.datasets.sources import SOURCES, Download, Form, KnownFile, Source
from zeroloss.errors import UserError

pytest.importorskip("requests")
pytest.importorskip("filelock")

RECIPES: dict[str, Recipe] = {
    "parity": ImageParity(source="toy", samples=6),
    "classes": ImageClasses(source="toy", samples=6, classes=(0, 1, 2)),
    "split": ImageSplit(source="toy", train=4, test=2),
}
MICRO = [
    "--scale", "tiny",
    "--set", "studies.du2018a.synthetic={seeds: [0], samples: 15, dimension: 15, widths: [8, 16], steps: 5}",
    "--set", "studies.du2018a.images={sources: [toy], samples: 6, widths: [8, 16], steps: 5}",
]  # fmt: skip


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A known data set "toy" whose only address answers nobody; an empty cache."""
    monkeypatch.setattr(images, "default_cache", lambda: tmp_path / "cache")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ZEROLOSS_DATA", raising=False)
    with socket.socket() as bound:  # bound and not listening: nobody else gets the port, connections are refused
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/semeion.data"
        form = Form("semeion", ("toy",), (KnownFile("semeion.data.gz", "0" * 64, "1" * 64),), "toy file, verified")
        toy = Source("Toy", "none", 10, 1, (form,), (Download("toy/semeion.data", (url,), "1" * 64),))
        monkeypatch.setitem(SOURCES, "toy", toy)
        yield url


def check_sentence(text: str, url: str) -> None:
    assert text.startswith("cannot download semeion.data of data set toy")
    for part in (f"({url}: no connection)", "put toy/semeion.data into a folder", "data.root or ZEROLOSS_DATA"):
        assert part in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("kind", RECIPES)
def test_absent_through_a_recipe(offline: str, kind: str) -> None:
    with pytest.raises(UserError) as caught:
        RECIPES[kind].build(None)
    check_sentence(str(caught.value), offline)


@pytest.mark.parametrize("kind", RECIPES)
def test_absent_through_a_job(offline: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = RECIPES[kind]
    order = {"name": recipe.name, "recipe": recipe.model_dump(), "key": "0", "sources": {}, "code": "0"}
    assert main(["job", "dataset", json.dumps(order), "--results", str(tmp_path / "out")]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zeroloss: ")]
    assert len(said) == 1
    check_sentence(said[0].removeprefix("zeroloss: "), offline)
    assert not list((tmp_path / "out").rglob("*.npz"))


def test_absent_through_the_command_line(offline: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is trained, whichever cells come first."""
    assert main(["run", "du2018a", *MICRO, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    said = [line for line in error.splitlines() if line.startswith("zeroloss: ")]
    assert len(said) == 1 and "Traceback" not in error
    check_sentence(said[0].removeprefix("zeroloss: "), offline)
    assert not list((tmp_path / "out").rglob("*toy*.npz")) and not list((tmp_path / "out").rglob("*.parquet"))


def test_without_an_address_nothing_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str], offline: str) -> None:
    """No publisher to download from: said before the first job."""
    arguments = [*MICRO[:-1], MICRO[-1].replace("toy", "cifar10_lossy"), "--out", str(tmp_path / "out")]
    assert main(["run", "du2018a", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.splitlines() == [
        "zeroloss: data set cifar10_lossy is not at hand and has no official address: provide "
        "cifar10/cifar10_q75_jpegpack.npz in the folder that data.root or ZEROLOSS_DATA names"
    ]
    assert not (tmp_path / "out").exists()


def test_a_source_with_too_few_images_is_said_by_the_split(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="data set toy has 6 training images and leaves 2 for testing, fewer than the 7"
    ):
        ImageSplit(source="toy", train=7, test=2).build(put_toy(tmp_path))


def put_toy(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    np.savez(
        folder / "toy.npz",
        x_train=generator.integers(1, 256, (6, 4, 4), np.uint8), y_train=np.array([0, 1, 2, 0, 1, 2]),
        x_test=generator.integers(1, 256, (2, 4, 4), np.uint8), y_test=np.array([0, 1]),
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("kind", RECIPES)
def test_fidelity_goes_from_the_source_into_the_data_set(tmp_path: Path, kind: str) -> None:
    data = RECIPES[kind].build(put_toy(tmp_path))
    data.write(tmp_path / "data.npz", {"key": "0"})
    assert Dataset.read(tmp_path / "data.npz").info["fidelity"] == "user's file toy.npz, no published checksum"


def test_fidelities_tell_exact_lossy_test_only_and_stand_in_apart() -> None:
    said = {name: [form.fidelity for form in source.forms] for name, source in SOURCES.items()}
    assert said["mnist"] == ["original files, checksums verified"]
    assert "first 4,000 training and 1,000 test images, lossless" in said["cifar10"]
    lossy, test_only = "JPEG quality 75 (lossy)", "test images alone, used for training"
    assert {name for name, texts in said.items() for text in texts if lossy in text} == {"cifar10_lossy"}
    assert {name for name, texts in said.items() for text in texts if test_only in text} == {"kmnist"}
    split = ImageSplit(source="digits", train=10, test=5).build(None)
    assert split.info["title"] == "digits" and "scikit-learn's copy of UCI optdigits" in split.info["fidelity"]
    assert "no test set of its own" in split.info["fidelity"]


def test_fidelity_is_in_metrics_tables_and_pictures(tmp_path: Path) -> None:
    from zeroloss.plotting.style import house_style
    from zeroloss.studies import all_studies

    root, study, sizes = put_toy(tmp_path), all_studies()["du2018a"], {"widths": [8, 16], "steps": 5}
    raw = load_config("tiny").study("du2018a").model_dump()
    raw["images"] |= {"sources": ["toy"], "samples": 6, **sizes}
    raw["synthetic"] |= {"seeds": [0], "samples": 15, "dimension": 15, **sizes}
    settings = study.settings.model_validate(raw, context={"data_root": root})
    recipes = {recipe.name: recipe for recipe in study.recipes(settings)}
    runs = [
        study.run(cell.parameters, [recipes[name].build(root) for name in cell.datasets], device="cpu", quiet=True)
        for cell in study.cells(settings)
        if cell.name.startswith("toy")
    ]
    metrics = pd.concat(runs, ignore_index=True)
    fidelity = "user's file toy.npz, no published checksum"
    assert set(metrics["fidelity"]) == {fidelity}
    made = [table.make(metrics, settings) for table in study.tables(settings) if table.name == "du2018a_data"]
    assert [set(table["fidelity"]) for table in made] == [{fidelity}]
    (picture,) = [figure for figure in study.figures(settings) if figure.options.get("source") == "toy"]
    with house_style():
        canvas = picture.draw(metrics, settings, **picture.options)
        assert any(fidelity in legend.get_title().get_text() for legend in canvas.legends)
