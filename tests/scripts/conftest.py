"""``rallrec`` as people run it: a process of its own, with its own home and no settings from outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.cli_process import Rallrec, command


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all commands that do not mind each other: the shipped dataset is prepared in it once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def rallrec(home: Path, tmp_path: Path) -> Rallrec:
    """rallrec("predict", "--user", 15, RALLREC_K=5, cwd=...): keywords in capitals are environment variables."""

    def run(*arguments: Any, cwd: Path = tmp_path, **environment: Any) -> subprocess.CompletedProcess[str]:
        own = {"RALLREC_HOME": str(home)} | {name: str(value) for name, value in environment.items()}
        return subprocess.run(
            command(*arguments), cwd=cwd, env=os.environ | own, capture_output=True, text=True, timeout=120, check=False
        )

    return run
