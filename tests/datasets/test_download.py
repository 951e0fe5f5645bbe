"""Downloads from a server on this machine: slow, broken off, resumed, wrong; nothing leaves 127.0.0.1."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from zeroloss.datasets import download, images
from zeroloss.datasets.sources import SOURCES, Download, Form, KnownFile, Source
from zeroloss.errors import UserError

pytest.importorskip("requests")
pytest.importorskip("filelock")

TABLE = np.zeros((20, 266), int)
TABLE[range(20), 256 + np.arange(20) % 10] = 1
CONTENT = "\n".join(" ".join(map(str, row)) for row in TABLE).encode() + b"\n" * 100_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Says nothing of clients that went away."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@dataclass
class Site:
    """What the server does and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    cut_after: list[int] = field(default_factory=list)  # bytes sent before request i is cut; whole afterwards
    ranges: bool = True
    status: int = 200
    pause: float = 0.0  # seconds before every 10,000 bytes
    stalled: threading.Event = field(default_factory=threading.Event)  # while clear, a cut is silence, not an end
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    state = Site()
    state.stalled.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers.get("Range")))
            if state.status != 200 or "absent" in self.path:
                self.send_error(state.status if state.status != 200 else 404)
                return
            start = 0
            if state.ranges and (match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))):
                start = int(match[1])
                if start >= len(state.content):
                    self.send_error(416)
                    return
            body = (b"<html>please log in</html>" if "wrong" in self.path else state.content)[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            sent = body[: state.cut_after.pop(0)] if state.cut_after else body
            for at in range(0, len(sent), 10_000):
                time.sleep(state.pause)
                self.wfile.write(sent[at : at + 10_000])
            if len(sent) < len(body):
                state.stalled.wait(20)

        def log_message(self, *args: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0)
    register(monkeypatch, f"{state.url}/semeion.data")
    yield state
    state.stalled.set()
    server.shutdown()
    server.server_close()


def register(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    form = Form("semeion", ("toy",), (KnownFile("semeion.data.gz", "0" * 64, DIGEST),), "toy file, verified")
    toy = Source("Toy", "none", 10, 1, (form,), (Download("toy/semeion.data", urls, DIGEST),))
    monkeypatch.setitem(SOURCES, "toy", toy)


def test_download_and_load(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = images.checksums("toy", None, cache=tmp_path)
    found = images.load("toy", None, download=True, cache=tmp_path)
    assert found.y_train.tolist() == [*range(10)] * 2 and found.fidelity == "toy file, verified"
    assert images.checksums("toy", None, cache=tmp_path) == before
    assert "toy" in images.available(None, cache=tmp_path)
    assert len(capsys.readouterr().err.splitlines()) == 1  # sparse where there is no terminal
    images.load("toy", None, download=True, cache=tmp_path)
    assert len(site.asked) == 1  # what is there is not fetched again
    assert not list(tmp_path.rglob("*.part"))


def test_progress_lines_and_bar(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download, "LINE_EVERY", 0)
    download.fetch("toy", tmp_path / "a")
    assert re.search(r"downloading semeion.data: 0.1 of 0.1 MB", capsys.readouterr().err)
    pytest.importorskip("rich")
    monkeypatch.setattr(download.sys.stderr, "isatty", lambda: True, raising=False)
    (path,) = download.fetch("toy", tmp_path / "b")
    assert path.read_bytes() == CONTENT and "semeion.data" in capsys.readouterr().err


def test_a_cut_connection_is_resumed(site: Site, tmp_path: Path) -> None:
    site.cut_after = [70_000, 20_000]
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0 for _, asked in site.asked]
    assert len(starts) == 3 and starts[0] == 0 < starts[1] <= 70_000 and starts[1] < starts[2] <= 90_000


def test_a_part_of_an_earlier_run_is_resumed(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "toy" / "semeion.data.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT and site.asked == [("/semeion.data", "bytes=1000-")]


def test_a_whole_part_needs_no_request(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "toy" / "semeion.data.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT and site.asked == []


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("length", [1000, len(CONTENT), 2 * len(CONTENT)])
def test_a_wrong_part_is_started_anew(site: Site, tmp_path: Path, ranges: bool, length: int) -> None:
    site.ranges = ranges
    part = tmp_path / "toy" / "semeion.data.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * length)
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT


def test_wrong_checksum(site: Site, tmp_path: Path) -> None:
    site.content = b"<html>please log in</html>"
    wrong = hashlib.sha256(site.content).hexdigest()
    with pytest.raises(UserError, match=f"cannot download semeion.data .*wrong checksum {wrong} instead of {DIGEST}"):
        download.fetch("toy", tmp_path)
    assert not list((tmp_path / "toy").iterdir()) and len(site.asked) == 1


def test_mirrors_in_turn(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, f"{site.url}/absent/semeion.data", f"{site.url}/semeion.data")
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT
    assert [asked for asked, _ in site.asked] == ["/absent/semeion.data", "/semeion.data"]


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_refused(site: Site, tmp_path: Path, status: int) -> None:
    site.status = status
    with pytest.raises(UserError, match=rf"{site.url}/semeion.data: HTTP status {status}\): check the network, or put"):
        download.fetch("toy", tmp_path)


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/semeion.data"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    register(monkeypatch, url)
    with pytest.raises(UserError, match=f"{url}: no connection.*data.root or ZEROLOSS_DATA") as caught:
        images.load("toy", None, download=True, cache=tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="is not at hand"):
        images.load("toy", None, cache=tmp_path)  # without download=True nothing is asked


def test_too_large(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_FILE", 1000)
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        download.fetch("toy", tmp_path)
    assert not list(tmp_path.rglob("*.part"))


def test_silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", (0.2, 0.2))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        register(monkeypatch, f"http://127.0.0.1:{mute.getsockname()[1]}/semeion.data")
        with pytest.raises(UserError, match="no answer in time"):
            download.fetch("toy", tmp_path)


def test_slow_server_is_waited_for(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on silence, not on the whole transfer."""
    monkeypatch.setattr(download, "TIMEOUT", (5, 0.5))
    site.pause = 0.07
    before = time.monotonic()
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT and len(site.asked) == 1
    assert time.monotonic() - before > 0.7


def test_server_that_falls_silent_is_asked_for_the_rest(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", (5, 0.3))
    site.cut_after = [70_000]
    site.stalled.clear()
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(site.asked) == 2 and re.fullmatch(r"bytes=[1-9]\d+-", site.asked[1][1] or "")


def test_broken_off_where_the_server_cannot_resume(site: Site, tmp_path: Path) -> None:
    site.ranges, site.cut_after = False, [70_000]
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT and len(site.asked) == 2


def test_broken_off_at_once(site: Site, tmp_path: Path) -> None:
    """No byte came: the mirror is not asked again."""
    site.cut_after = [0, 0]
    with pytest.raises(UserError, match=r"semeion.data: connection cut\): check the network"):
        download.fetch("toy", tmp_path)
    assert len(site.asked) == 1


def test_broken_off_too_often_and_taken_up_later(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RESUMES", 2)
    site.cut_after = [30_000, 30_000]
    with pytest.raises(UserError, match="connection cut"):
        download.fetch("toy", tmp_path)
    kept = (tmp_path / "toy" / "semeion.data.part").stat().st_size
    assert 0 < kept <= 60_000 and not (tmp_path / "toy" / "semeion.data").exists()
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT and site.asked[-1][1] == f"bytes={kept}-"


def test_wrong_file_at_one_mirror_right_one_at_the_next(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, f"{site.url}/wrong/semeion.data", f"{site.url}/semeion.data")
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT and len(site.asked) == 2
    assert site.asked[1][1] is None, "nothing of the wrong file is built upon"


def test_untrusted_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a certificate of its own making gets no request."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *args: object) -> None:
            pass

    class SecureServer(Server):
        def get_request(self) -> tuple[socket.socket, object]:
            connection, address = super().get_request()
            connection.settimeout(5)
            # the handshake happens in the request's thread, where its failure does no harm
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    with SecureServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        register(monkeypatch, f"https://127.0.0.1:{server.server_port}/semeion.data")
        with pytest.raises(UserError, match="no trusted certificate"):
            download.fetch("toy", tmp_path / "cache")
        assert not asked and not list((tmp_path / "cache" / "toy").iterdir())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))  # the same server, trusted
        (path,) = download.fetch("toy", tmp_path / "cache")
        assert path.read_bytes() == CONTENT and asked == ["/semeion.data"]
        server.shutdown()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full plays the full disk")
def test_full_disk(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    part = tmp_path / "toy" / "semeion.data.part"
    part.symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write the download of toy into .*: No space left on device"):
        download.fetch("toy", tmp_path)
    assert not (tmp_path / "toy" / "semeion.data").exists()
    part.unlink()  # there is space again
    (path,) = download.fetch("toy", tmp_path)
    assert path.read_bytes() == CONTENT


def test_present_but_damaged(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "semeion.data").write_bytes(b"old")
    with pytest.raises(UserError, match=r"semeion.data is not the published file.*delete it"):
        download.fetch("toy", tmp_path)
    assert site.asked == []


def test_two_jobs_download_once(site: Site, tmp_path: Path) -> None:
    threads = [threading.Thread(target=download.fetch, args=("toy", tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.asked) == 1 and (tmp_path / "toy" / "semeion.data").read_bytes() == CONTENT


def start_process(url: str, destination: Path) -> subprocess.Popen[str]:
    """Another process that downloads the same file."""
    code = (
        "import sys; from pathlib import Path; from zeroloss.datasets import download, sources as s;"
        "url, digest, folder = sys.argv[1:];"
        "s.SOURCES['toy'] = s.Source('Toy', '', 10, 1, (), (s.Download('toy/semeion.data', (url,), digest),));"
        "print('ready', flush=True); download.fetch('toy', Path(folder))"
    )
    command = [sys.executable, "-c", code, f"{url}/semeion.data", DIGEST, str(destination)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_download_once(site: Site, tmp_path: Path) -> None:
    site.pause = 0.05  # the first is still at it when the second comes
    both = [start_process(site.url, tmp_path) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(site.asked) == 1 and (tmp_path / "toy" / "semeion.data").read_bytes() == CONTENT


def test_a_killed_process_leaves_a_part_that_the_next_takes_up(site: Site, tmp_path: Path) -> None:
    site.cut_after = [70_000]
    site.stalled.clear()
    process = start_process(site.url, tmp_path)
    part = tmp_path / "toy" / "semeion.data.part"
    limit = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size) and time.monotonic() < limit:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=60)
    kept = part.stat().st_size
    assert 0 < kept <= 70_000 and not (tmp_path / "toy" / "semeion.data").exists()
    (path,) = download.fetch("toy", tmp_path)  # the dead process holds no lock
    assert path.read_bytes() == CONTENT and site.asked[-1][1] == f"bytes={kept}-" and not part.exists()


def test_folder_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot write the download of toy into"):
        download.fetch("toy", tmp_path / "file")
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(UserError, match="Permission denied"):
            download.fetch("toy", tmp_path / "closed")


@pytest.mark.parametrize("name", ["digits", "cifar10_lossy", "nothing"])
def test_nothing_to_download(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="has no official address to download from"):
        download.fetch(name, tmp_path)
