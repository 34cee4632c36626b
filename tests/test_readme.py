"""The README promises nothing that the program does not have."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer.main

from backend.datasets import Dataset
from backend.engines.config import ServerConfig, VllmConfig
from backend.settings import CONFIG_VARIABLE, PREFIX, Settings
from scripts.cli import app
from storage.precompute.graph import STAGES
from tests.conftest import ROOT

_TOP: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
# By their whole names: those of a group are "data import" and the like.
COMMANDS: dict[str, Any] = _TOP | {
    f"{group} {name}": command
    for group, found in _TOP.items()
    for name, command in getattr(found, "commands", {}).items()
}
# How the README writes "any setting".
PLACEHOLDER = "RALLREC_NAME"


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def blocks(text: str) -> list[str]:
    """The lines of all code blocks, continued lines joined."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in fenced for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def code(text: str) -> list[str]:
    """The lines of code blocks, and what stands in backticks in the text between them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return blocks(text) + re.findall(r"`([^`]+)`", prose)


def options_of(command: str) -> set[str]:
    """Of a command, and of all commands below it."""
    own = [COMMANDS[command]]
    for group in own:
        own += getattr(group, "commands", {}).values()
    return {option for each in own for parameter in each.params for option in parameter.opts} | {"--help", "-h"}


def calls(text: str) -> list[list[str]]:
    """The words of every ``rallrec ...`` that is code."""
    found = (re.search(r"(?:^|[\s/=])rallrec(?= )(.*)", line) for line in code(text))
    return [shlex.split(match[1], comments=True) for match in found if match]


def _command(words: list[str]) -> str:
    """The longest name of a command that the words begin with."""
    two = " ".join(words[:2])
    return two if two in COMMANDS else words[0]


def problems(text: str) -> list[str]:
    """Everything that the text names and the program lacks."""
    wrong = []
    for words in calls(text):
        command, used = _command(words), [word.split("=")[0] for word in words[1:] if word.startswith("-")]
        if command not in COMMANDS and not command.startswith("-"):
            wrong.append(f"rallrec {command}")
        elif command in COMMANDS:
            wrong += [f"rallrec {command} {option}" for option in used if option not in options_of(command)]
            required = {p.opts[0] for p in COMMANDS[command].params if p.required and p.opts[0].startswith("-")}
            wrong += [f"rallrec {command} without {option}" for option in required - set(used) if len(words) > 1]
    anywhere = {option for command in COMMANDS for option in options_of(command)}
    wrong += [line for line in code(text) if re.fullmatch(r"--[a-z-]+", line) and line not in anywhere]
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE, PLACEHOLDER}
    known |= {f"{PREFIX}{stage.table}__{field}".upper() for stage in STAGES for field in stage.config.model_fields}
    tables = {"vllm": VllmConfig, "server": ServerConfig}
    known |= {f"{PREFIX}{table}__{field}".upper() for table, model in tables.items() for field in model.model_fields}
    wrong += sorted(set(re.findall(rf"\b{PREFIX}[A-Z_]+", text)) - known)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for line in code(text):
        if match := re.match(r"make((?: [A-Za-z=.0-9_-]+)+)$", line):
            wrong += [f"make {word}" for word in match[1].split() if "=" not in word and word not in targets]
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", text):
        path = target.split("#")[0]
        if not re.match(r"[a-z]+:", target) and path and not (ROOT / path).exists():
            wrong.append(f"link to {target}")
    return wrong


def test_the_readme_names_only_what_there_is(readme: str) -> None:
    assert problems(readme) == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("```\nrallrec explode\n```", "rallrec explode"),
        ("```\nRALLREC_HOME=x .venv/bin/rallrec predict --user 1 --item 2 --gama=1\n```", "rallrec predict --gama"),
        ("```sh\nrallrec serve \\\n  --colour red  # comment\n```", "rallrec serve --colour"),
        ("```\nrallrec predict --user 1\n```", "rallrec predict without --item"),
        ("Use `rallrec embed --now`.", "rallrec embed --now"),
        ("Use `--no-such-option`.", "--no-such-option"),
        ("Set RALLREC_COLOUR.", "RALLREC_COLOUR"),
        ("```\nmake tea\n```", "make tea"),
        ("`make PYTHON=python3.11 coffee`", "make coffee"),
        ("![picture](docs/no-such.png)", "link to docs/no-such.png"),
        ("[text](no-such.md#part)", "link to no-such.md#part"),
    ],
)
def test_a_promise_that_is_not_kept_is_noticed(wrong: str, named: str) -> None:
    assert problems(wrong) == [named]


def test_what_is_checked_is_there(readme: str) -> None:
    assert {words[0] for words in calls(readme)} >= {"doctor", "predict", "serve", "settings"}
    assert {"make demo", "make test"} <= set(code(readme))
    assert re.search(r"!\[[^\]]+\]\([^)]+\.png\)", readme), "issue 2 asks for a screenshot"
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+", readme)) >= {"RALLREC_HOME", "RALLREC_DATABASE_URL", CONFIG_VARIABLE}


def test_the_settings_that_examples_give_are_valid(readme: str) -> None:
    for line in blocks(readme):
        given = dict(re.findall(rf"\b{PREFIX}([A-Z_]+)=(\S+)", line))
        Settings.model_validate(
            {name.lower(): value for name, value in given.items() if f"{PREFIX}{name}" != CONFIG_VARIABLE}
        )


def test_the_numbers_about_the_data_are_the_datas(readme: str, shipped: Dataset) -> None:
    for number, noun in (
        (shipped.n_interactions, "ratings"), (shipped.n_users, "users"), (shipped.n_items, "movies")
    ):  # fmt: skip
        assert set(re.findall(rf"(\d[\d,]*) {noun}\b", readme)) == {f"{number:,}"}


def test_the_readme_gives_the_address_the_app_listens_on(readme: str) -> None:
    settings = Settings()
    assert f"http://{settings.host}:{settings.port}" in readme
