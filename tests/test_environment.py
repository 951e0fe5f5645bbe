"""The environment: one lock for pip and conda, whole on the interpreters that are offered, and importable there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from zeroloss.provenance import digest, fingerprint

pytestmark = pytest.mark.environment

# compiled packages of the lock whose wheels are small: a new interpreter is offered only once these are there
COMPILED = ("pydantic-core", "psutil", "markupsafe")
OTHERS = ("3.12", "3.13")


def locked(project) -> dict[str, str]:
    lines = (project / "requirements.lock").read_text().split()
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


def test_both_conda_files_hold_what_is_locked(project):
    """workflow/envs: ranges that the lock lies in; environment.yml: the lock itself, on a Python that the package takes."""
    pins = locked(project)
    jobs = yaml.safe_load((project / "workflow/envs/zeroloss.yml").read_text())["dependencies"]
    for name, specifier in (entry.split(maxsplit=1) for entry in jobs):
        if name != "python":
            pin = pins[{"pytorch": "torch"}.get(name, name)]
            assert SpecifierSet(specifier.replace(" ", "")).contains(pin), (
                f"{name} {specifier} excludes the locked {pin}"
            )
    whole = yaml.safe_load((project / "environment.yml").read_text())
    python = SpecifierSet(next(entry for entry in whole["dependencies"] if str(entry).startswith("python"))[6:].strip())
    required = SpecifierSet(tomllib.loads((project / "pyproject.toml").read_text())["project"]["requires-python"])
    for version in ("3.11", *OTHERS):
        assert python.contains(version) and required.contains(version)
    assert not python.contains("3.10") and not required.contains("3.10")


def test_no_package_is_locked_twice(project):
    names = [canonicalize_name(line.split("==")[0]) for line in (project / "requirements.lock").read_text().split()]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def test_install_document_names_the_commands_and_versions_that_hold(project):
    """docs/install.md against the Makefile, the lock and the package."""
    text = (project / "docs/install.md").read_text(encoding="utf-8")
    makefile = (project / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)(?:[A-Z_]+=\S+ )?make ([a-z][a-z-]+)", text, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target} is no target"
    assert f"torch=={locked(project)['torch']}" in text
    for message in re.findall(r"^\| `([^`]+)`", text[text.index("## When something") :], re.MULTILINE):
        words = max(re.split(r"\.\.\.|\bN\b", message), key=len).strip()
        sources = [makefile, *(path.read_text() for path in (project / "src").rglob("*.py"))]
        sources += [path.read_text() for path in (project / "workflow/rules").glob("*.smk")]
        assert any(words in source for source in sources), f"nothing says {words!r}"


def test_what_is_installed_fits_together():
    """In continuous integration that is the lock, in a fresh environment."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("version", OTHERS)
def test_the_lock_has_wheels_for_other_interpreters(project, tmp_path, version):
    pins = locked(project)
    wanted = [f"{name}=={pins[name]}" for name in COMPILED]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(tmp_path),
    ]
    command += [
        "--disable-pip-version-check",
        "--retries",
        "0",
        "--timeout",
        "10",
        "--python-version",
        version,
        *wanted,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index does not answer in time")
    if done.returncode and re.search(
        r"connection|timed out|Temporary failure|unreachable|from versions: none", done.stderr
    ):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr[-1000:]
    assert len(list(tmp_path.iterdir())) == len(COMPILED)


def interpreters() -> list[Path]:
    """Other interpreters of the offered versions on this machine: on the path, or pyenv's."""
    found = {}
    for version in OTHERS:
        folders = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        on_path = shutil.which(f"python{version}")
        for path in [*folders, *([Path(on_path)] if on_path else [])]:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30)
            # pyenv's own starter of a version that is not chosen ends with an error
            if said.returncode == 0 and said.stdout.startswith(f"Python {version}."):
                found.setdefault(version, path)
    return list(found.values())


@pytest.mark.slow
def test_other_interpreters_on_this_machine_read_the_package(project, tmp_path):
    """Syntax of all modules, and the import of those that need nothing but Python."""
    if not (others := interpreters()):
        pytest.skip(f"no Python {' or '.join(OTHERS)} here")
    code = (
        "import sys, compileall, zeroloss, zeroloss.errors, zeroloss.environment\n"
        "from zeroloss.provenance import digest, fingerprint\n"
        "ok = compileall.compile_dir('src/zeroloss', quiet=1)\n"
        "print(bool(ok), digest({'b': 1, 'a': [0.1]}), fingerprint(fingerprint))\n"
    )
    environment = {**os.environ, "PYTHONPATH": "src", "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONWARNINGS": "error"}
    said = {}
    for interpreter in others:
        done = subprocess.run(
            [interpreter, "-c", code], cwd=project, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{interpreter.name}: {done.stderr[-1000:]}"
        said[interpreter] = done.stdout
    # keys do not depend on the interpreter: results of one are those of another
    here = f"True {digest({'b': 1, 'a': [0.1]})} {fingerprint(fingerprint)}\n"
    assert set(said.values()) == {here}, said
