"""Running ``rallrec`` as a process, and reading what it said."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Rallrec = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "scripts", *map(str, arguments)]


def interrupted(arguments: Sequence[Any], environment: dict[str, str], begun: Callable[[], Any]) -> tuple[int, str]:
    """A command that is sent Ctrl-C once ``begun()`` is true: its exit code, and what it said on standard error."""
    with subprocess.Popen(command(*arguments), env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not begun():
            assert process.poll() is None, "it ended before it could be interrupted"
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """What was printed, which must be one JSON value and nothing else."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def one_line_error(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The message of a command that failed as commands do: one line on standard error, nothing on standard output."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("rallrec: ")
    assert "Traceback" not in line
    return line
