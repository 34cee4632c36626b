"""The entrypoint and the health check, run as they are: no engine, no root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "docker" / "docker-entrypoint.sh"
needs_flock = pytest.mark.skipif(shutil.which("flock") is None, reason="flock comes with Linux")


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    for name in ("models/small/weights", "datasets/films/items", "artifacts/space-1/rows"):
        path = tmp_path / "seed" / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    return tmp_path / "seed"


def start(home: Path, seed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "RALLREC_HOME": str(home), "SEED_FOLDER": str(seed)}
    words = ["sh", str(SCRIPT), *(command or ("true",))]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)


def pieces(home: Path) -> dict[str, str]:
    """What lies in a home, by place, but for its lock."""
    files = (path for path in home.rglob("*") if path.is_file() and path.name != ".seed.lock")
    return {str(path.relative_to(home)): path.read_text() for path in files}


@needs_flock
class TestEntrypoint:
    def test_an_empty_home_gets_every_piece(self, seed: Path, tmp_path: Path) -> None:
        done = start(tmp_path / "new" / "home", seed)
        assert done.returncode == 0, done.stderr
        assert pieces(tmp_path / "new" / "home") == pieces(seed)
        assert done.stderr.count("Copying") == 3

    def test_the_second_start_copies_nothing(self, seed: Path, tmp_path: Path) -> None:
        start(tmp_path / "home", seed)
        assert start(tmp_path / "home", seed).stderr == ""

    def test_what_the_home_has_is_kept_and_what_it_lacks_is_added(self, seed: Path, tmp_path: Path) -> None:
        items_file = tmp_path / "home" / "datasets" / "films" / "items"
        items_file.parent.mkdir(parents=True)
        items_file.write_text("mine")
        start(tmp_path / "home", seed)
        assert pieces(tmp_path / "home") == pieces(seed) | {"datasets/films/items": "mine"}

    def test_half_a_piece_of_a_killed_start_is_thrown_away(self, seed: Path, tmp_path: Path) -> None:
        left = tmp_path / "home" / ".seeding" / "weights"
        left.parent.mkdir(parents=True)
        left.write_text("hal")
        assert start(tmp_path / "home", seed).returncode == 0
        assert pieces(tmp_path / "home") == pieces(seed)

    def test_two_starts_at_once_leave_whole_pieces(self, seed: Path, tmp_path: Path) -> None:
        (seed / "models" / "small" / "weights").write_text("x" * 5_000_000)
        done: list[subprocess.CompletedProcess[str]] = []
        threads = [threading.Thread(target=lambda: done.append(start(tmp_path / "home", seed))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one.returncode for one in done] == [0] * 4
        assert sum(one.stderr.count("Copying") for one in done) == 3
        assert pieces(tmp_path / "home") == pieces(seed)

    def test_no_seed_is_no_fault(self, tmp_path: Path) -> None:
        assert start(tmp_path / "home", tmp_path / "none").returncode == 0

    def test_a_home_that_cannot_be_written_is_refused_with_what_to_do(self, seed: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")  # below a file nobody can write, root included
        done = start(tmp_path / "file" / "home", seed, "echo", "started")
        assert done.returncode == 1
        assert done.stdout == ""
        assert "cannot be written by" in done.stderr
        assert "--user" in done.stderr
        assert "chown" in done.stderr

    def test_a_home_that_is_there_but_cannot_be_written_is_refused_too(self, seed: Path, tmp_path: Path) -> None:
        (tmp_path / "home" / ".seed.lock").mkdir(parents=True)  # root could write anything else
        done = start(tmp_path / "home", seed)
        assert done.returncode == 1
        assert "cannot be written by" in done.stderr

    def test_the_command_takes_its_place_with_arguments_and_exit_code(self, seed: Path, tmp_path: Path) -> None:
        say = 'echo "$0 $1"; echo $$; exit 7'
        done = start(tmp_path / "home", seed, "sh", "-c", say, "two words", "third")
        assert done.returncode == 7
        assert done.stdout.splitlines()[0] == "two words third"

    def test_signals_reach_the_command(self, seed: Path, tmp_path: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "RALLREC_HOME": str(tmp_path / "home"), "SEED_FOLDER": str(seed)}
        say = "import signal, sys; signal.signal(15, lambda *_: sys.exit(3)); print('up', flush=True); signal.pause()"
        command = ["sh", str(SCRIPT), sys.executable, "-c", say]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "up\n"
            process.terminate()
            assert process.wait(10) == 3


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server that answers all with ``status``: its port, and the paths that were asked."""
    paths: list[str] = []

    class HealthHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), HealthHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, paths
        server.shutdown()
        thread.join()


def check_health(port: int) -> subprocess.CompletedProcess[str]:
    # The proxy does not exist: the check must not ask it.
    environment = {"RALLREC_PORT": str(port), "http_proxy": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}
    command = [sys.executable, str(ROOT / "docker" / "healthcheck.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)


class TestHealthCheck:
    def test_passes_where_healthz_answers(self) -> None:
        with answering(200) as (port, paths):
            assert check_health(port).returncode == 0
        assert paths == ["/healthz"]

    def test_fails_where_healthz_says_so(self) -> None:
        with answering(503) as (port, _):
            done = check_health(port)
        assert done.returncode == 1
        assert "503" in done.stderr

    def test_fails_where_nobody_listens(self) -> None:
        with answering(200) as (port, _):
            pass
        done = check_health(port)
        assert done.returncode == 1
        assert "does not answer" in done.stderr
