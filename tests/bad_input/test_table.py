"""The table, line by line: exit status, one sentence, no traceback, nothing written."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.bad_input.table import COMMAND_LINES, RULES, SETTINGS_FILES
from tests.bad_input.tally import check_sentence, tried
from zeroloss.cli import main
from zeroloss.config import load_config
from zeroloss.errors import UserError


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the files that the table names."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("bad") / "folder"
    folder.mkdir()
    for suffix in ("parquet", "npz", "png", "svg"):
        (folder / f"text.{suffix}").write_text("hello\n")
        (folder / f"empty.{suffix}").write_bytes(b"")
        (folder / f"folder.{suffix}").mkdir()
    (folder / "text.txt").write_text("hello\n")
    with open(folder / "array.npz", "wb") as handle:
        np.save(handle, np.arange(3))
    (folder / "pickle.npz").write_bytes(pickle.dumps(Canary(folder / "canary")))
    np.savez(folder / "objects.npz", provenance=np.array([Canary(folder / "canary")], dtype=object))
    np.savez(folder / "foreign.npz", x=np.arange(3))
    np.savez(folder / "odd.npz", provenance=np.array("[1]"))
    table = pa.Table.from_pandas(pd.DataFrame({"x": [1]}))
    pq.write_table(table, folder / "foreign.parquet")
    pq.write_table(table.replace_schema_metadata({b"zeroloss": b"[1]"}), folder / "odd.parquet")
    start = b"\x89PNG\r\n\x1a\n"
    for name, side in (("foreign", 1), ("huge", 2**30)):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        (folder / f"{name}.png").write_bytes(
            start + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
        )
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "lol" * 10}">' for i in range(12))
    (folder / "entities.svg").write_text(f"<!DOCTYPE svg [{entities}]><svg>&a11;</svg>")
    return folder


def listing(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize(("name", "arguments", "words"), COMMAND_LINES, ids=[row[0] for row in COMMAND_LINES])
def test_command_line(quick, place, tmp_path, monkeypatch, capsys, project, name, arguments, words):
    before, results = listing(place), listing(project / "results")
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "run" and "--out" not in arguments:
        arguments = [*arguments, "--out", "{absent}"]
    put = {"{folder}": place, "{text}": place / "text.txt", "{absent}": tmp_path / "absent"}
    for word, path in put.items():
        arguments = [argument.replace(word, str(path)) for argument in arguments]
    with pytest.raises(SystemExit) as stopped:
        raise SystemExit(main(arguments))
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    lines = [line for line in said.err.splitlines() if line.startswith("zeroloss") and ": " in line]
    assert len(lines) == 1, said.err
    check_sentence(lines[0], words)
    assert listing(place) == before and listing(project / "results") == results
    assert [path for path in listing(tmp_path) if path.is_file() and path.suffix != ".lock"] == []
    assert not (place / "canary").exists()
    tried("command line", arguments)


@pytest.mark.parametrize(("name", "overrides", "words"), RULES, ids=[row[0] for row in RULES])
def test_rule_of_several_settings(quick, name, overrides, words):
    with pytest.raises(UserError) as caught:
        load_config("tiny", overrides)
    check_sentence(str(caught.value), words)
    ((study, _),) = overrides["studies"].items()
    assert str(caught.value).startswith(f"studies.{study}.")
    tried("rule", overrides)


@pytest.mark.parametrize(("name", "content", "words"), SETTINGS_FILES, ids=[row[0] for row in SETTINGS_FILES])
@pytest.mark.parametrize("file", ["config.yaml", "workflow/scales/tiny.yaml"])
def test_settings_file(tmp_path, project, file, name, content, words):
    if file != "config.yaml" and name in ("empty", "only a comment", "only a scale"):
        return  # a scale may change nothing
    (tmp_path / "workflow/scales").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text((project / "config.yaml").read_text() if file != "config.yaml" else "")
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_config("tiny" if file != "config.yaml" or "missing" in words else None, folder=tmp_path)
    for line in str(caught.value).splitlines():
        check_sentence(line)
    assert words in str(caught.value)
    if "YAML" in words or "UTF-8" in words or "mapping" in words:
        assert str(tmp_path / file) in str(caught.value)
    tried("settings file", f"{file} {name}")


def test_a_folder_for_a_settings_file(tmp_path):
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(UserError) as caught:
        load_config(folder=tmp_path)
    check_sentence(str(caught.value), "config.yaml cannot be read: Is a directory")
    tried("settings file", "a folder")


def test_every_missing_setting_is_named(quick, tmp_path, project, monkeypatch):
    """All at once: what is left is the studies' names."""
    from tests.bad_input import from_schema

    values = yaml.safe_load((project / "config.yaml").read_text())
    wanted = [one.name for one in from_schema.settings() if len(one.path) == 3]
    values["studies"] = {name: {} for name in values["studies"]}
    (tmp_path / "workflow/scales").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError) as caught:
        load_config("laptop", folder=tmp_path)
    said = str(caught.value).splitlines()
    assert sorted(said) == sorted(f"{name} is missing: config.yaml must give it a value" for name in wanted)
    for name in wanted:
        tried("missing", name)
