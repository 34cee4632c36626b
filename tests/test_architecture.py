"""What may import what, and what a mere import must not load."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "torch",
    "transformers",
    "gradio",
    "vllm",
    "sklearn",
    "faiss",
    "torch_geometric",
    "sentence_transformers",
    "openai",
    "peft",
)


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_point_only_up_the_way_of_the_data() -> None:
    beside = Path(sys.executable).parent / "lint-imports"
    lint = str(beside) if beside.exists() else shutil.which("lint-imports")
    assert lint, "import-linter is not installed: make setup"
    assert "0 broken" in _run(lint, "--no-cache")


@pytest.mark.parametrize(
    "module",
    ["app", "app.server", "app.predict.service", "scripts.cli", "storage", "storage.workspace", "backend.pipeline",
     "backend.record", "backend.engines", "backend.evaluation", "backend.representation", "backend.profiles",
     "backend.settings", "scripts.serve", "storage.doctor.checks", "storage.roles"],
)  # fmt: skip
def test_importing_a_package_loads_nothing_heavy(module: str) -> None:
    loaded = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    assert _run(sys.executable, "-c", loaded).split() == []


def test_every_file_is_short_enough_to_read_at_once() -> None:
    code = [p for room in ("app", "backend", "storage", "scripts", "tests") for p in (ROOT / room).rglob("*.py")]
    assert len(code) > 50
    long = {str(p.relative_to(ROOT)): n for p in code if (n := len(p.read_text("utf-8").splitlines())) > 340}
    assert long == {}


def test_package_files_hold_no_logic() -> None:
    for init in (p for room in ("app", "backend", "scripts") for p in (ROOT / room).rglob("__init__.py")):
        body = init.read_text("utf-8")
        assert "\ndef " not in body, init
        assert "\nclass " not in body, init
