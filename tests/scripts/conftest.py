"""``rallrec`` as people run it, with its own home and no settings from outside."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from scripts.cli import main
from tests.scripts.cli_process import Rallrec, command


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all commands that do not mind each other: the shipped dataset is prepared in it once."""
    return tmp_path_factory.mktemp("home")


def _environment(home: Path, given: dict[str, Any]) -> dict[str, str]:
    return {"RALLREC_HOME": str(home)} | {name: str(value) for name, value in given.items()}


@pytest.fixture
def rallrec(home: Path, tmp_path: Path) -> Rallrec:
    """rallrec("predict", "--user", 15, RALLREC_K=5, cwd=...): keywords in capitals are environment variables.

    The command runs in the test's process, which saves the start of Python and of its libraries.
    """

    def run(*arguments: Any, cwd: Path = tmp_path, **environment: Any) -> subprocess.CompletedProcess[str]:
        words, out, err, code = ["rallrec", *map(str, arguments)], io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.dict(os.environ, _environment(home, environment)), mock.patch.object(sys, "argv", words),
            chdir(cwd), redirect_stdout(out), redirect_stderr(err),
        ):  # fmt: skip
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def process(home: Path, tmp_path: Path) -> Rallrec:
    """As ``rallrec``, in a process of its own, for what depends on one."""

    def run(*arguments: Any, cwd: Path = tmp_path, **environment: Any) -> subprocess.CompletedProcess[str]:
        variables = os.environ | _environment(home, environment)
        return subprocess.run(
            command(*arguments), cwd=cwd, env=variables, capture_output=True, text=True, timeout=120, check=False
        )

    return run
