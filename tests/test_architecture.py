"""What may import what, and what a mere import must not load."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "torch",
    "transformers",
    "gradio",
    "scipy",
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


def _modules() -> Iterator[Path]:
    """Every module of the program, as a path from the repository's root."""
    for room in ("app", "backend", "storage", "scripts"):
        yield from (path.relative_to(ROOT) for path in sorted((ROOT / room).rglob("*.py")))


def test_imports_point_only_up_the_way_of_the_data() -> None:
    beside = Path(sys.executable).parent / "lint-imports"
    lint = str(beside) if beside.exists() else shutil.which("lint-imports")
    assert lint, "import-linter is not installed: make setup"
    assert "0 broken" in _run(lint, "--no-cache")


def test_importing_the_program_loads_nothing_heavy() -> None:
    """In one process: what one of them would load in its own, it loads here too."""
    modules = (
        "app, app.server, app.predict.service, scripts.cli, scripts.serve, storage, storage.workspace, storage.roles, "
        "storage.doctor.checks, backend.pipeline, backend.record, backend.engines, backend.evaluation, "
        "backend.representation, backend.profiles, backend.settings"
    )
    loaded = f"import sys, {modules}; print(*[name for name in {HEAVY} if name in sys.modules])"
    assert _run(sys.executable, "-c", loaded).split() == []


def test_package_files_hold_no_logic() -> None:
    for init in (path for path in _modules() if path.name == "__init__.py" and path.parts[0] != "storage"):
        body = (ROOT / init).read_text("utf-8")
        assert "\ndef " not in body, init
        assert "\nclass " not in body, init


def test_a_class_name_is_defined_once() -> None:
    places: dict[str, list[str]] = {}
    for module in _modules():
        for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{module}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_engine_name_outside_its_record() -> None:
    """The name of an engine is a string of its record, of its own module and of the settings' defaults; everything else
    asks the record. Nothing is compared with the model that makes up its answers either.
    """
    from backend.engines import ENGINES
    from backend.settings import Settings
    from scripts.options import EngineName

    modules = {record.path.partition(":")[0].replace(".", "/") for record in ENGINES.values()}
    allowed = {"backend/engines/base.py", "backend/settings.py", *modules, *(f"{module}.py" for module in modules)}

    def names_an_engine(node: ast.AST) -> bool:
        if isinstance(node, ast.Compare):
            return any(isinstance(part, ast.Name) and part.id == "SCRIPTED" for part in ast.walk(node))
        return isinstance(node, ast.Constant) and node.value in ENGINES

    outside = [
        f"{file}:{node.lineno}"  # type: ignore[attr-defined]
        for file in _modules()
        if allowed.isdisjoint(map(str, (file, *file.parents)))
        for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) if names_an_engine(node)
    ]  # fmt: skip
    assert outside == []
    # What a person reads beside the setting and the option is the one other list.
    for help_text in (Settings.model_fields["engine"].description, get_args(EngineName)[1].help):
        assert all(name in help_text for name in ENGINES)
