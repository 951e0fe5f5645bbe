"""Known vulnerabilities of the locked packages (pip-audit): fails where there are any, passes where nobody can be asked.

Exit status 1 where an advisory concerns a locked version and is not in [tool.zeroloss.audit.ignored] of pyproject.toml.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import requests

PROJECT = Path(__file__).resolve().parents[1]
LOCK = PROJECT / "requirements.lock"
ADDRESS = "https://pypi.org/pypi/{name}/{version}/json"
SECONDS_TO_ANSWER = 8.0
SECONDS_IN_ALL = 120.0


def reachable() -> bool:
    """Whether the advisory service answers for one locked package; a mirror of packages alone does not."""
    name, _, version = next(line for line in LOCK.read_text().split() if line.startswith("requests==")).partition("==")
    try:
        found = requests.get(ADDRESS.format(name=name, version=version), timeout=SECONDS_TO_ANSWER)
        return found.ok and "vulnerabilities" in found.json()
    except (requests.RequestException, ValueError):
        return False


def ask(ignored: dict[str, str]) -> str | None:
    """What pip-audit says of the lock, as JSON; None where it gets no answer, or none in time.

    Raises:
        SystemExit: pip-audit itself does not run.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", str(int(SECONDS_TO_ANSWER))]
    command += [word for identifier in ignored for word in ("--ignore-vuln", identifier)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_IN_ALL, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.stdout.lstrip().startswith("{"):
        return done.stdout
    if re.search(r"connection|timed? ?out|unreachable|50\d", done.stderr, re.IGNORECASE):
        return None
    raise SystemExit(f"pip-audit does not run: {done.stderr.strip().splitlines()[-1:]}")


def main() -> int:
    """Print one line, or one for each vulnerability; returns the exit status."""
    ignored = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["zeroloss"]["audit"]["ignored"]
    said = ask(ignored) if reachable() else None
    if said is None:
        print("audit skipped: the advisory service cannot be reached from here, or does not answer in time")
        return 0
    packages = json.loads(said)["dependencies"]
    audited = [one for one in packages if "skip_reason" not in one]
    bad = [(one["name"], one["version"], vuln) for one in audited for vuln in one["vulns"]]
    for name, version, vuln in bad:
        fixed = ", ".join(vuln.get("fix_versions", [])) or "no version yet"
        print(f"{name} {version}: {vuln['id']}, mended in {fixed}", file=sys.stderr)
    print(
        f"audit: {len(bad)} known vulnerabilities in {len(audited)} of {len(packages)} packages, {len(ignored)} ignored"
    )
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
