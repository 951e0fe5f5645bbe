"""Download of official files: mirrors in turn, resumed where cut, checksum verified before the file gets its name."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zeroloss.datasets import sources
from zeroloss.datasets.locations import file_digest
from zeroloss.errors import UserError

TIMEOUT = (10, 30)  # seconds to connect, and to wait for the next bytes
RESUMES = 20  # a mirror that keeps cutting the connection but makes progress is asked again so often
PAUSE = 1.0  # seconds before a cut transfer is resumed
LINE_EVERY = 10.0  # seconds between lines of progress in a log
MAX_FILE = 2**30  # bytes; the largest known file has 170 MB
WAIT_FOR_OTHERS = 3600.0  # seconds for another job that downloads the same data set

Advance = Callable[[int, int], None]
"""Called with (bytes at hand, bytes in all or 0 if unknown)."""


def fetch(name: str, destination: Path) -> tuple[Path, ...]:
    """Bring the official files of a known data set below ``destination``; files already there are left alone.

    A transfer goes to ``<file>.part`` and is resumed from there, in this call or a later one. Two processes never
    download the same data set at once: the second waits and finds the files.

    Returns:
        The files' paths.
    Raises:
        UserError: the source has no official address; no network, no mirror with the right file, no space, a
            present file with another checksum, a needed package that is not installed.
    """
    source = sources.SOURCES.get(name)
    if source is None or not source.downloads:
        raise UserError(f"data set {name} has no official address to download from")
    try:
        import filelock
        import requests  # noqa: F401
    except ImportError as problem:
        raise UserError(f"downloading needs the package {problem.name}: pip install {problem.name}") from None
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(destination / f".{name}.lock", timeout=WAIT_FOR_OTHERS):
            return tuple(_fetch_file(name, file, destination / file.path) for file in source.downloads)
    except filelock.Timeout:
        raise UserError(f"waited an hour for another download of {name} into {destination}: try again later") from None
    except OSError as problem:
        reason = problem.strerror or problem
        raise UserError(f"cannot write the download of {name} into {destination}: {reason}") from None


def _fetch_file(name: str, file: sources.Download, path: Path) -> Path:
    import requests
    import urllib3

    if path.is_file():
        if (found := file_digest(path, file.digest)) != file.digest:
            raise UserError(
                f"{path} is not the published file: its checksum is {found} instead of {file.digest}; delete it"
            )
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if _is_whole(part, file.digest):  # an earlier process ended between the last byte and the new name
        return part.replace(path)
    failures: list[str] = []
    for url in file.urls:
        for _ in range(RESUMES):
            before = _size(part)
            try:
                with _progress(path.name, url) as advance:
                    _transfer(url, part, advance)
            except (requests.RequestException, urllib3.exceptions.HTTPError, _RefusedError) as problem:
                failures.append(f"{url}: {_reason(problem)}")
                if _size(part) <= before or isinstance(problem, _RefusedError):
                    break
                time.sleep(PAUSE)
                continue
            found = file_digest(part, file.digest)
            if found == file.digest:
                return part.replace(path)
            part.unlink()
            failures.append(f"{url}: wrong checksum {found} instead of {file.digest}")
            if not before:
                break  # a whole file, and the wrong one; a resumed one is tried once more from the start
    tried = "; ".join(dict.fromkeys(failures))
    raise UserError(
        f"cannot download {path.name} of data set {name} ({tried}): "
        f"check the network, or put {', '.join(one.path for one in sources.SOURCES[name].downloads)} into a folder and name "
        "that folder in data.root or ZEROLOSS_DATA"
    )


class _RefusedError(Exception):
    """The mirror answers, but not with the file: asking it again is of no use."""


def _transfer(url: str, part: Path, advance: Advance) -> None:
    """One request; appends to ``part`` what is still missing, or starts it anew where the server cannot resume."""
    import requests

    offset = _size(part)
    # identity: a server must not pack a .gz once more, nor requests unpack it
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:  # nothing after the offset, yet the checksum was wrong: start again
            part.unlink()
            return _transfer(url, part, advance)
        response.raise_for_status()
        resumed = response.status_code == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            part.unlink()
            raise _RefusedError("the server resumed at another place")
        done = offset if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else 0
        with open(part, "ab" if resumed else "wb") as handle:
            for chunk in response.raw.stream(2**16, decode_content=False):
                handle.write(chunk)
                done += len(chunk)
                advance(done, total)
                if done > MAX_FILE:
                    break
    if done > MAX_FILE:
        part.unlink()
        raise _RefusedError(f"more than {MAX_FILE:,} bytes")


def _reason(problem: Exception) -> str:
    """A failed transfer in a few words; the texts of the libraries run over several lines."""
    import requests
    import urllib3

    if isinstance(problem, requests.HTTPError) and problem.response is not None:
        return f"HTTP status {problem.response.status_code}"
    if isinstance(problem, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(problem, requests.exceptions.SSLError):
        return "no trusted certificate"
    if isinstance(problem, (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)):
        return "connection cut"
    if isinstance(problem, requests.ConnectionError):
        return "no connection"
    return str(problem) or type(problem).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_whole(part: Path, digest: str) -> bool:
    return part.is_file() and file_digest(part, digest) == digest


@contextmanager
def _progress(label: str, url: str) -> Iterator[Advance]:
    """A bar on a terminal; in a log one line at the start and one every LINE_EVERY seconds."""
    if sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
        except ImportError:
            pass
        else:
            columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
            with Progress(*columns, console=Console(stderr=True)) as bar:
                task = bar.add_task(label, total=None)
                yield lambda done, total: bar.update(task, completed=done, total=total or None)
            return
    print(f"downloading {label} from {url}", file=sys.stderr, flush=True)
    last = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            of = f" of {total / 1e6:.1f}" if total else ""
            print(f"downloading {label}: {done / 1e6:.1f}{of} MB", file=sys.stderr, flush=True)

    yield line
