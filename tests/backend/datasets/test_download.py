"""Fetching from a server of our own: checked, continued, refused; and what is said where there is none."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backend.datasets import FORMATS
from backend.datasets.download import CATALOGUE, Published, Source, fetch
from backend.errors import DataError
from scripts import data as data_commands

CONTENT = bytes(range(256)) * 20_000
SHA = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """``cut``: how many bytes it sends before it hangs up, once; ``ranges``: what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cut: int | None = None
        self.content = CONTENT
        self.ranges: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        bytes_range = self.headers.get("Range", "")
        self.server.ranges.append(bytes_range)
        start = int(bytes_range.removeprefix("bytes=").rstrip("-")) if bytes_range else 0
        body = self.server.content[start:]
        self.send_response(206 if bytes_range else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, self.server.cut = self.server.cut, None
        self.wfile.write(body[:cut])

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def published(server: Server, hash_: str = SHA) -> Published:
    source = Source(f"http://127.0.0.1:{server.server_port}/data.zip", hash_)
    return Published("Data", "ml-1m", (source,), "free", "http://example.org")


def test_a_file_is_fetched_once_with_progress_and_checked(server: Server, tmp_path: Path) -> None:
    seen: list[float | None] = []
    [path] = fetch(published(server), tmp_path, lambda _, fraction: seen.append(fraction))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == 1
    assert seen == sorted(seen, key=float)  # type: ignore[arg-type]
    assert fetch(published(server), tmp_path, lambda *_: None) == [path]
    assert len(server.ranges) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["data.zip"]


def test_a_fetch_that_was_cut_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut = 3_000_000
    with pytest.raises(DataError, match=r"cannot be fetched .* goes on where it was"):
        fetch(published(server), tmp_path, lambda *_: None)
    kept = (tmp_path / "data.zip.part").stat().st_size
    assert 0 < kept <= 3_000_000
    [path] = fetch(published(server), tmp_path, lambda *_: None)
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["", f"bytes={kept}-"]


def test_another_content_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DataError, match="is not the published file"):
        fetch(published(server), tmp_path, lambda *_: None)
    assert not list(tmp_path.glob("data.zip*"))
    (tmp_path / "data.zip").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"its hash is another.*delete .*data\.zip"):
        fetch(published(server), tmp_path, lambda *_: None)


def test_without_a_published_hash_a_file_is_held_to_the_one_it_had(server: Server, tmp_path: Path) -> None:
    [path] = fetch(published(server, ""), tmp_path, lambda *_: None)
    assert (tmp_path / "data.zip.sha256").read_text().strip() == SHA.removeprefix("sha256:")
    path.write_bytes(b"changed")
    with pytest.raises(DataError, match="its hash is another"):
        fetch(published(server, ""), tmp_path, lambda *_: None)


def test_without_a_network_it_says_which_file_to_put_where_and_takes_it_then(server: Server, tmp_path: Path) -> None:
    gone = published(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError) as caught:
        fetch(gone, tmp_path / "downloads", lambda *_: None)
    assert f"put it at {tmp_path / 'downloads' / 'data.zip'}" in str(caught.value)
    assert "http://example.org" in str(caught.value)
    (tmp_path / "downloads" / "data.zip").write_bytes(CONTENT)
    assert fetch(gone, tmp_path / "downloads", lambda *_: None)[0].read_bytes() == CONTENT


def test_the_catalogue_fits_the_formats_and_the_command() -> None:
    assert set(data_commands.PUBLISHED) == set(CATALOGUE)
    for entry in CATALOGUE.values():
        assert entry.format in FORMATS
        assert entry.licence
        assert all(source.hash.partition(":")[0] in ("", "md5", "sha256") for source in entry.sources)
