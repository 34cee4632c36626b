"""Running ``rallrec`` as a process, and reading what it said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

Rallrec = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "scripts", *map(str, arguments)]


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
