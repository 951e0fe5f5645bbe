"""What could turn a file, an archive, a download or a text into code or into a leak, and is not done here.

ruff's rules S (bandit) run with `make lint`; the scan below adds what they do not know or leave to a comment.
"""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from zeroloss.datasets import download, formats
from zeroloss.datasets.sources import SOURCES
from zeroloss.errors import UserError
from zeroloss.report.inspection import inspect

# variables of the environment that the package may read: none of them holds a secret
READ = {
    "DATA_VARIABLE",
    "DEVICE_VARIABLE",
    "VISIBLE",
    "'USERNAME'",
    "'LOCALAPPDATA'",
    "'XDG_CACHE_HOME'",
    "'PYTHONPATH'",
    "'PATH'",
}
# the one reader of pickles there is: arrays and containers, of CIFAR-10's official archive, after its checksum
PICKLES = {"src/zeroloss/datasets/formats.py": {"Unpickler", "UnpicklingError"}}
NEVER = {
    "eval", "exec", "compile", "__import__", "system", "popen", "extractall", "extract", "unpack_archive", "read_pickle",
    "mktemp", "unsafe_load", "full_load", "from_pickle", "memmap",
}  # fmt: skip
real_run = subprocess.run
OWN_METHODS = {"compile": "re", "eval": "network"}  # re.compile(...), network.eval()


def findings(source: str, name: str = "src/zeroloss/x.py") -> list[str]:
    """Lines of a module that load code from data, run programs or read secrets; each as "line: what"."""
    tree, found = ast.parse(source), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called in NEVER and OWN_METHODS.get(called) != of:
                found.append(f"{node.lineno}: {called}")
            if called == "load" and of in ("np", "numpy") and given.get("allow_pickle") != "False":
                found.append(f"{node.lineno}: np.load may unpickle")
            if called == "read_array" and given.get("allow_pickle") != "False":
                found.append(f"{node.lineno}: read_array may unpickle")
            if called == "load" and of == "torch" and given.get("weights_only") != "True":
                found.append(f"{node.lineno}: torch.load may unpickle")
            if called in ("load", "load_all") and of == "yaml":
                found.append(f"{node.lineno}: yaml.load")
            if given.get("shell") == "True" or given.get("verify") == "False" or given.get("autoescape") == "False":
                found.append(f"{node.lineno}: {called} with {given}")
            if called == "Environment" and of == "jinja2" and given.get("autoescape") != "True":
                found.append(f"{node.lineno}: jinja2 without autoescape")
            if called == "get" and of == "os.environ" and ast.unparse(node.args[0]) not in READ:
                found.append(f"{node.lineno}: reads {ast.unparse(node.args[0])}")
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("pickle", "dill", "cloudpickle", "joblib"):
            found += [] if node.attr in PICKLES.get(name, set()) else [f"{node.lineno}: {ast.unparse(node)}"]
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "dill", "cloudpickle", "joblib"):
            found.append(f"{node.lineno}: from {node.module} import")
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {one.name for one in node.names} & {"environ", "getenv"}
        ):
            found.append(f"{node.lineno}: from os import environ")
        if (
            isinstance(node, ast.Subscript)
            and ast.unparse(node.value) == "os.environ"
            and isinstance(node.ctx, ast.Load)
        ):
            variable = ast.unparse(node.slice)
            found += [] if variable in READ else [f"{node.lineno}: os.environ[{variable}]"]
    whole = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ"]
    parts = sum(isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ" for node in ast.walk(tree))
    parts += sum(isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ.get" for node in ast.walk(tree))
    if len(whole) > parts or "os.getenv" in source:
        found.append("the environment as a whole")
    return found


def sources(project):
    yield from (project / "src").rglob("*.py")
    yield from (project / "benchmarks").rglob("*.py")


def test_no_module_loads_code_from_data_or_reads_secrets(project):
    for path in sources(project):
        name = path.relative_to(project).as_posix()
        assert findings(path.read_text(encoding="utf-8"), name) == [], name


@pytest.mark.parametrize(
    "line",
    [
        "import pickle; pickle.load(f)", "pickle.loads(b)", "pickle.Unpickler(f)", "from pickle import loads", "joblib.load(p)",
        "np.load(p)", "np.load(p, allow_pickle=True)", "read_array(f)", "torch.load(p)", "torch.load(p, weights_only=False)",
        "eval(text)", "exec(text)", "os.system(c)", "subprocess.run(c, shell=True)", "yaml.load(t, Loader=L)", "a.extractall()",
        "a.extract(m)", "shutil.unpack_archive(p)", "pd.read_pickle(p)", "requests.get(u, verify=False)", "tempfile.mktemp()",
        "jinja2.Environment()", "jinja2.Environment(autoescape=False)", "os.environ['GITHUB_TOKEN']", "dict(os.environ)",
        "os.environ.get('AWS_SECRET_ACCESS_KEY')", "os.getenv('TOKEN')", "from os import environ", "print(os.environ)",
    ],
)  # fmt: skip
def test_the_scan_finds_what_it_is_for(line):
    assert findings(line)


def test_rules_hand_settings_over_quoted_and_run_no_code_of_their_own(project):
    for path in [project / "Snakefile", *(project / "workflow").rglob("*.smk")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bpickle\b|\beval\(|os\.system|\brun:", text), path.name
        for order in re.findall(r"\{params[^}]*\}", text):
            assert order.endswith(":q}"), f"{path.name}: {order} reaches the shell unquoted"


# ------------------------------------------------------------------------------------------- downloads and archives


def test_each_download_has_a_sha256_and_https_where_its_host_offers_it():
    plain_only = {"yann.lecun.com", "fashion-mnist.s3-website.eu-central-1.amazonaws.com"}
    for name, source in SOURCES.items():
        for file in source.downloads:
            assert re.fullmatch("[0-9a-f]{64}", file.digest), f"{name}: {file.path}"
            assert file.urls[0].startswith("https://"), f"{name}: {file.path}"
            for url in file.urls[1:]:
                host = url.split("/")[2]
                safe = url.replace("http://", "https://")
                assert url.startswith("https://") or host in plain_only or file.urls.index(safe) < file.urls.index(url)


def test_a_proxy_with_a_password_is_not_quoted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "PAUSE", 0.0)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://somebody:hunter2@127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"cannot download semeion\.data") as refused:
        download.fetch("semeion", tmp_path)
    said = str(refused.value) + "".join(capsys.readouterr())
    assert "hunter2" not in said and "somebody" not in said


def test_archives_are_read_in_memory_and_write_nothing(tmp_path, monkeypatch):
    """Names that lead out of a folder, links and devices; only what is asked for is read, and to no path."""
    path = tmp_path / "in" / "a.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name in ("../../escaped", "/tmp/escaped-absolute", "good"):
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"ok"))
        for kind, name in ((tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard"), (tarfile.CHRTYPE, "device")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    before = set(tmp_path.rglob("*"))
    monkeypatch.chdir(path.parent)
    assert formats.read_tar(path, ["good"], limit=10) == {"good": b"ok"}
    for name in ("link", "hard", "device"):
        with pytest.raises(UserError, match=f"has no member {name}"):
            formats.read_tar(path, [name], limit=10)
    assert set(tmp_path.rglob("*")) == before and not Path("/tmp/escaped-absolute").exists()


def test_an_npz_with_a_member_outside_its_folder_is_read_by_name_alone(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("../x.npy", b"")
    with pytest.raises(UserError, match="has no array x"):
        formats.read_npz(tmp_path / "a.npz", ["x"])
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"]


def test_entities_that_grow_are_refused(tmp_path):
    """An svg of someone else's: a billion laughs end in one sentence, and in no memory."""
    entities = '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 12))
    (tmp_path / "f.svg").write_text(f"<?xml version='1.0'?><!DOCTYPE svg [{entities}]><svg>&l11;</svg>")
    with pytest.raises(UserError, match=r"f\.svg is damaged"):
        inspect(tmp_path / "f.svg")


# --------------------------------------------------------------------------------------------------------- the page


def test_no_text_leaves_the_template_unescaped(project):
    template = (project / "src/zeroloss/report/page.html.j2").read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|<script|javascript:|\son\w+=", template)
    assert "Content-Security-Policy" in template


def test_markup_is_made_of_escaped_text_alone():
    from zeroloss.report.shown import mathematics

    for text in ("<img src=x onerror=alert(1)>", "a^(<b>)", "x_{<script>}", '"><svg onload=1>', "m^{-1/2}&lt;"):
        shown = str(mathematics(text))
        assert set(re.findall(r"<(/?\w+)", shown)) <= {"sup", "/sup", "sub", "/sub"}, shown


# ------------------------------------------------------------------------------------------------------- dependencies


@pytest.fixture
def audit(project, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("audit", project / ".ci/audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "reachable", lambda: True)
    return module


def said(*packages):
    return json.dumps({"dependencies": list(packages), "fixes": []})


def test_an_advisory_on_a_locked_version_fails_the_audit(audit, monkeypatch, capsys):
    bad = {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"], "description": "d"}]}
    good = {"name": "b", "version": "1", "vulns": []}
    unknown = {"name": "c", "skip_reason": "not on the index"}
    monkeypatch.setattr(audit, "ask", lambda ignored: said(bad, good, unknown))
    assert audit.main() == 1
    shown = capsys.readouterr()
    assert "a 1: PYSEC-1, mended in 2" in shown.err and "1 known vulnerabilities in 2 of 3 packages" in shown.out
    monkeypatch.setattr(audit, "ask", lambda ignored: said(good))
    assert audit.main() == 0


def test_the_audit_is_skipped_in_one_line_where_nobody_answers(audit, monkeypatch, capsys):
    monkeypatch.setattr(audit, "ask", lambda ignored: None)
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("audit skipped:")
    monkeypatch.undo()
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert audit.main() == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_an_audit_without_an_end_is_ended(audit, monkeypatch):
    monkeypatch.setattr(audit, "SECONDS_IN_ALL", 0.2)
    monkeypatch.setattr(audit.subprocess, "run", lambda command, **more: real_run(["sleep", "30"], **more))
    assert audit.ask({}) is None
    monkeypatch.setattr(
        audit.subprocess, "run", lambda command, **more: real_run(["sh", "-c", "echo no module >&2"], **more)
    )
    with pytest.raises(SystemExit, match="pip-audit does not run"):
        audit.ask({})


def test_ignored_advisories_have_a_reason(project):
    import tomllib

    ignored = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["zeroloss"]["audit"]["ignored"]
    for identifier, reason in ignored.items():
        assert re.fullmatch(r"(PYSEC|GHSA|CVE)-[\w-]+", identifier) and len(reason) > 20, identifier
