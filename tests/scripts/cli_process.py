"""Running ``rallrec``, in this process or in one of its own, and reading what it said."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from scripts.cli import main

Rallrec = Callable[..., subprocess.CompletedProcess[str]]


def here(
    *arguments: Any, cwd: Path, environment: Mapping[str, Any], typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """A command in this process, which saves the start of Python and of its libraries.

    ``environment``: variables beside those that are there. ``typed``: what is given on standard input.
    """
    words, out, err, code = ["rallrec", *map(str, arguments)], io.StringIO(), io.StringIO(), 0
    variables = {name: str(value) for name, value in environment.items()}
    with (
        mock.patch.dict(os.environ, variables), mock.patch.object(sys, "argv", words),
        mock.patch.object(sys, "stdin", io.StringIO(typed)), chdir(cwd), redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def done_here(*arguments: Any, cwd: Path, environment: Mapping[str, Any]) -> None:
    """A command that must succeed, for what tests share."""
    ended = here(*arguments, cwd=cwd, environment=environment)
    assert ended.returncode == 0, ended.stderr


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
