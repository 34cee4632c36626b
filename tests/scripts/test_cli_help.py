"""Help texts, what asking for help must not load, and wrong use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.cli_process import Rallrec
from tests.test_readme import COMMANDS

MODELS = {"torch", "transformers", "gradio"}


def _loaded_by(arguments: list[str]) -> set[str]:
    """The heavy modules that a command has loaded when it ends."""
    script = (
        "import sys; from scripts.cli import main; sys.argv = ['rallrec', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60)
    return set(done.stderr.split()) & {*MODELS, "pandas", "sqlalchemy", "numpy"}


def test_help_names_every_command_and_loads_no_library(process: Rallrec) -> None:
    done = process("--help")
    assert done.returncode == 0
    top = {name for name in COMMANDS if " " not in name}
    assert top >= {"doctor", "settings", "prepare", "precompute", "embed", "retrieve", "nearest", "predict", "serve"}
    for name in top:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)
    assert _loaded_by(["--help"]) == set()


def test_without_a_command_the_help_is_shown(rallrec: Rallrec) -> None:
    done = rallrec()
    assert "Commands:" in done.stdout + done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example_that_uses_its_own_options(name: str, rallrec: Rallrec) -> None:
    done = rallrec(*name.split(), "--help")
    assert done.returncode == 0
    [example] = re.findall(r"Example: (.*)", done.stdout.replace("\n  ", " "))
    assert re.search(rf"\brallrec {name}\b", example)
    if not hasattr(COMMANDS[name], "commands"):
        for option in re.findall(r"--[a-z-]+", example):
            assert re.search(rf"^  {option}\b", done.stdout, re.MULTILINE), f"{option} is no option of {name}"


@pytest.mark.parametrize(
    "arguments",
    [["predict", "--user", "15", "--item", "1", "--engine", "scripted"], ["doctor", "--profile", "paper"],
     ["settings", "--profile", "paper"]],
)  # fmt: skip
def test_what_needs_no_model_loads_no_model_library(
    arguments: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RALLREC_HOME", str(home))
    loaded = _loaded_by([*arguments, "--json"])
    assert loaded & MODELS == set()
    assert "sqlalchemy" in loaded or arguments[0] != "predict"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["predikt"], "predikt"), (["predict", "--user", "1"], "--item"), (["predict", "--gama", "1"], "--gama"),
     (["serve", "--port", "many"], "--port")],
)  # fmt: skip
def test_wrong_use_ends_with_code_2_and_nothing_on_standard_output(
    rallrec: Rallrec, arguments: list[str], said: str
) -> None:
    done = rallrec(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
