"""The repository itself: dependencies agree, layers hold, the README's promises exist."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def declared():
    from tests.conftest import PROJECT

    table = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = [line for group in table["optional-dependencies"].values() for line in group]
    return [Requirement(line) for line in table["dependencies"]], [Requirement(line) for line in extras]


@pytest.fixture(scope="module")
def locked():
    from tests.conftest import PROJECT

    lines = (PROJECT / "requirements.lock").read_text().split()
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


def test_the_lock_pins_every_dependency_within_its_range(declared, locked):
    for requirement in [*declared[0], *declared[1]]:
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in requirements.lock: run make lock"
        assert requirement.specifier.contains(version), f"{requirement} excludes the locked {version}"


def test_the_lock_has_exact_versions_and_takes_any_build_of_torch(project):
    for line in (project / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line), line


def test_the_conda_environment_installs_the_lock(project):
    environment = yaml.safe_load((project / "environment.yml").read_text())
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.lock"]}
    names = [entry.split()[0] for entry in environment["dependencies"][:-1]]
    assert names == ["python", "pip"], "everything but Python comes from the lock"


def test_the_environment_of_single_jobs_has_the_packages_dependencies(project, declared):
    environment = yaml.safe_load((project / "workflow/envs/zeroloss.yml").read_text())
    written = {line.split()[0]: line.split()[1] for line in environment["dependencies"]}
    assert written.pop("python") == ">=3.11"
    wanted = {requirement.name: str(requirement.specifier) for requirement in declared[0]}
    wanted["pytorch"] = wanted.pop("torch")
    assert written == wanted


def test_installed_versions_are_the_locked_ones(locked):
    """What the tests say, they say of the lock."""
    from importlib import metadata

    for name in ("torch", "numpy", "pandas", "snakemake", "pydantic", "matplotlib"):
        assert metadata.version(name).split("+")[0] == locked[name]


# from the ground up; a room imports only from rooms below it (docs/architecture.md)
FLOORS = [
    {"errors", "storage", "checksums", "checkpoint", "devices", "environment", "randomness", "provenance", "progress"},
    {"datasets", "networks", "theory", "published"},
    {"kernels", "training", "plotting"},
    {"studies"},
    {"config", "pipeline", "costs", "report"},
    {"plan"},
    {"verification"},
    {"workflow", "cli", "__main__"},
]


def imports(path):
    """Rooms that a module imports; what only type checkers import does not count."""
    tree = ast.parse(path.read_text())
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("zeroloss"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("zeroloss."))


def test_rooms_import_only_from_rooms_below(project):
    level = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    for path in (project / "src/zeroloss").rglob("*.py"):
        room = path.relative_to(project / "src/zeroloss").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for other in imports(path):
            if other in ("__version__", room):
                continue
            assert level[other] <= level[room], f"{path.name}: {room} imports {other}"


def test_what_only_draws_or_plans_does_not_import_torch(project):
    """Modules that the workflow imports each time it starts, and those that draw."""
    for room in ("studies", "plotting", "report", "published", "theory", "datasets"):
        for path in (project / "src/zeroloss" / room).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.split(".")[0] == "torch" for name in names), path


def test_files_are_short_enough_to_read_in_one_sitting(project):
    for path in [*(project / "src").rglob("*.py"), *(project / "workflow").rglob("*.smk"), project / "Snakefile"]:
        assert len(path.read_text().splitlines()) <= 400, path


def test_every_test_that_an_item_names_exists(project):
    from zeroloss.studies import all_studies

    for study in all_studies().values():
        for item, test in study.tests.items():
            file, name = test.split("::")
            assert f"def {name}(" in (project / file).read_text(), f"{item}: {test}"


def test_links_in_the_documents_lead_somewhere(project):
    for page in [project / "README.md", project / "results/README.md", *(project / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_data_and_no_large_file_is_committed(project):
    listed = subprocess.run(["git", "ls-files"], cwd=project, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split("\n"):
        path = project / name
        if path.is_file():
            assert path.suffix not in (".gz", ".npz", ".tar"), name
            assert path.stat().st_size < 1_000_000, name
