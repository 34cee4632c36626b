"""``rallrec`` as people run it, with its own home and no settings from outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.cli_process import Rallrec, command, here


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all commands that do not mind each other: the shipped dataset is prepared in it once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def rallrec(home: Path, tmp_path: Path) -> Rallrec:
    """rallrec("predict", "--user", 15, RALLREC_K=5, cwd=...): keywords in capitals are environment variables."""

    def run(
        *arguments: Any, cwd: Path = tmp_path, typed: str = "", **environment: Any
    ) -> subprocess.CompletedProcess[str]:
        return here(*arguments, cwd=cwd, typed=typed, environment={"RALLREC_HOME": home} | environment)

    return run


@pytest.fixture
def process(home: Path, tmp_path: Path) -> Rallrec:
    """As ``rallrec``, in a process of its own, for what depends on one."""

    def run(*arguments: Any, cwd: Path = tmp_path, **environment: Any) -> subprocess.CompletedProcess[str]:
        given = {"RALLREC_HOME": home} | environment
        variables = os.environ | {name: str(value) for name, value in given.items()}
        return subprocess.run(
            command(*arguments), cwd=cwd, env=variables, capture_output=True, text=True, timeout=120, check=False
        )

    return run
