"""The command line as a person uses it."""

from __future__ import annotations

import json

import pytest

from zeroloss.cli import main

TINY = ["--scale", "tiny"]
MICRO = [
    *TINY, "--set", "studies.du2018a.synthetic={seeds: [0], samples: 15, dimension: 15, widths: [8, 16], steps: 5}",
    "--set", "studies.du2018a.images={samples: 15, widths: [8, 16], steps: 5}",
]  # fmt: skip


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for command in ("list", "run", "draw", "check", "cost", "config", "inspect", "examples:"):
        assert command in text


def test_no_command_shows_help(capsys):
    assert main([]) == 0
    assert "python -m zeroloss run du2018a --scale tiny" in capsys.readouterr().out


def test_list(capsys):
    assert main(["list", *TINY]) == 0
    text = capsys.readouterr().out
    for word in ("du2018a_fig1", "as_published_seed0", "du2018a_agreement", "linear-rate-sphere", "001-F1"):
        assert word in text


def test_run_draw_check_and_inspect(tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert main(["run", "du2018a", *MICRO, *out]) == 0
    assert "reproduced" in capsys.readouterr().out
    figure = tmp_path / "out/figures/du2018a_finding.png"
    first = figure.read_bytes()
    assert main(["draw", "du2018a_finding", *MICRO, *out]) == 0
    assert figure.read_bytes() == first
    assert main(["check", "du2018a", *MICRO, *out]) == 0
    capsys.readouterr()
    left = tmp_path / "out/checkpoints/du2018a/as_printed_seed0"
    left.mkdir(parents=True)
    assert main(["run", "du2018a", *MICRO, *out, "--only", "cells"]) == 0
    assert capsys.readouterr().out.count("is up to date") == 4
    assert not left.exists(), "the state of a cell that is done is of no use"
    for file in ("metrics/du2018a.parquet", "figures/du2018a_finding.png", "figures/du2018a_finding.svg"):
        assert main(["inspect", str(tmp_path / "out" / file)]) == 0
        assert json.loads(capsys.readouterr().out)["key"]


def test_config(capsys):
    assert main(["config", *TINY]) == 0
    assert "samples: 100" in capsys.readouterr().out
    assert main(["config", "--schema"]) == 0
    assert "json-schema.org" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["run", "du2018", *TINY],
            "zeroloss: du2018 is not a study (did you mean du2018b?): allowed are arora2019_fine_grained, ",
        ),
        (
            ["run", "du2018a", *TINY, "--cell", "x"],
            "zeroloss: x is not a cell of du2018a: allowed are as_published_seed0",
        ),
        (["run", "du2018a", *TINY, "--device", "tpu"], "zeroloss: device is 'tpu': it must be 'auto', 'cpu' or 'cuda'"),
        (["run", "du2018a", "--scale", "big"], "zeroloss: scale is 'big': allowed are tiny, laptop, paper"),
        (["draw", "figure_9", *TINY], "zeroloss: figure_9 is not a figure: allowed are arora2019_fine_grained_fig1"),
        (["list", "--set", "steps"], "zeroloss: --set 'steps' is not KEY=VALUE"),
        (["list", "--set", "a.=1"], "zeroloss: --set 'a.=1' is not KEY=VALUE"),
        (["list", "--set", "device=[cpu"], "zeroloss: --set 'device=[cpu': '[cpu' is not a YAML value"),
        (
            ["list", "--set", "device=cpu", "--set", "device.x=1"],
            "device was given a value before and cannot have parts",
        ),
        (["inspect", "/no/file.parquet"], "zeroloss: /no/file.parquet is missing"),
        (["inspect", "/etc/passwd"], "zeroloss: /etc/passwd is not a file that carries provenance"),
        (["job", "cell", "{", "--results", "x"], "zeroloss: the job's order is not JSON"),
        (["job", "sell", "{}", "--results", "x"], "zeroloss: sell is not a step: allowed are dataset, cell"),
        (["check", "du2018a", *TINY, "--out", "/no/where"], "zeroloss: /no/where/metrics/du2018a.parquet is missing"),
    ],
)
def test_mistakes_get_a_sentence_and_status_2(arguments, sentence, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_metrics_of_other_settings_are_refused(tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert main(["run", "du2018a", *MICRO, *out]) == 0
    assert main(["check", "du2018a", *TINY, *out]) == 2
    assert "was made with other settings, data or code" in capsys.readouterr().err


@pytest.mark.skipif(__import__("torch").cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_said(capsys):
    assert main(["run", "du2018a", *TINY, "--device", "cuda"]) == 2
    assert "torch finds no GPU here" in capsys.readouterr().err
