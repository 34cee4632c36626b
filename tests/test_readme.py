"""The README and the other documents promise nothing that the program does not have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from backend.datasets import Dataset
from backend.engines.config import ServerConfig, VllmConfig
from backend.settings import CONFIG_VARIABLE, PREFIX, Settings
from scripts.cli import app
from storage.precompute.graph import STAGES
from tests.conftest import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# How documents write "any setting" and "any command".
PLACEHOLDERS = {"RALLREC_NAME", "..."}


def _named(group: Any, above: str = "") -> dict[str, Any]:
    """Commands by their whole names, such as "data import"; groups too."""
    named = {}
    for name, command in group.commands.items():
        named[above + name] = command
        if hasattr(command, "commands"):
            named |= _named(command, f"{above}{name} ")
    return named


COMMANDS = _named(typer.main.get_command(app))


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


def options_of(name: str) -> set[str]:
    """Of a command, and of all commands below it."""
    below = [command for key, command in COMMANDS.items() if key == name or key.startswith(f"{name} ")]
    return {option for command in below for parameter in command.params for option in parameter.opts} | {"--help", "-h"}


def calls(text: str) -> list[list[str]]:
    """The words of every ``rallrec ...`` that is code."""
    matches = (re.search(r"(?:^|[\s/=])rallrec(?= )(.*)", line) for line in code(text))
    return [shlex.split(match[1], comments=True) for match in matches if match]


def _command(words: list[str]) -> str:
    """The longest name of a command that the words begin with."""
    names = [" ".join(words[:count]) for count in (3, 2, 1)]
    return next((name for name in names if name in COMMANDS), words[0])


def _wrong_use(words: list[str]) -> list[str]:
    """What a command line names and the program lacks. A command that is only mentioned needs no options."""
    name = _command(words)
    given = [word for word in words[len(name.split()) :] if word not in ("--help", "-h")]
    if name.startswith("-") or (name in COMMANDS and not given):
        return []
    if name not in COMMANDS or (hasattr(COMMANDS[name], "commands") and not given[0].startswith("-")):
        return [f"rallrec {' '.join(words[: len(name.split()) + (name in COMMANDS)])}"]
    try:
        COMMANDS[name].make_context(name, given)
    except Exception as error:  # click's, which typer brings along under names of its own
        if option := getattr(error, "option_name", None):
            return [f"rallrec {name} {option}"]
        missing = getattr(error, "param", None)
        if type(error).__name__ == "MissingParameter" and missing:
            return [f"rallrec {name} without {missing.opts[0]}"]
        return [f"rallrec {name}: {error}"]
    return []


def problems(text: str, folder: Path = ROOT) -> list[str]:
    """Everything that the text, which lies in a folder, names and the program lacks."""
    wrong = []
    for words in calls(text):
        if not words or words[0] in PLACEHOLDERS or words[0].isupper():
            continue
        wrong += _wrong_use(words)
    anywhere = {option for command in COMMANDS for option in options_of(command)}
    wrong += [line for line in code(text) if re.fullmatch(r"--[a-z-]+", line) and line not in anywhere]
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE, *PLACEHOLDERS}
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
        if not re.match(r"[a-z]+:", target) and path and not (folder / path).exists():
            wrong.append(f"link to {target}")
    return wrong


def missing_files(text: str) -> list[str]:
    """Every file or folder of the project that stands in backticks and is not there."""
    names = re.findall(r"`((?:app|backend|storage|scripts|tests|docs)/[\w./-]*)`", text)
    names += re.findall(r"^((?:backend)/[\w/.]+)", text, re.MULTILINE)
    return [name for name in names if not (ROOT / name).exists()]


def anchors(text: str) -> set[str]:
    """The names by which its headings can be linked to."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_only_what_there_is(document: Path) -> None:
    text = document.read_text("utf-8")
    assert problems(text, document.parent) == []
    assert missing_files(text) == []
    for path, anchor in re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", text):
        target = document.parent / path if path else document
        assert anchor in anchors(target.read_text("utf-8")), f"{path}#{anchor}"


def test_every_document_is_reached_from_the_readme_and_no_picture_is_left_over(readme: str) -> None:
    linked = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", readme)}
    assert {str(path.relative_to(ROOT)) for path in DOCUMENTS} - {"README.md"} <= linked
    shown = "".join(path.read_text("utf-8") for path in DOCUMENTS)
    assert [path.name for path in (ROOT / "docs").glob("*.png") if f"{path.name})" not in shown] == []
    assert len(readme.splitlines()) < 150


def test_every_command_stands_in_a_document() -> None:
    shown = {_command(words) for path in DOCUMENTS for words in calls(path.read_text("utf-8")) if words}
    groups = {name for name, command in COMMANDS.items() if hasattr(command, "commands")}
    text = "".join(path.read_text("utf-8") for path in DOCUMENTS)
    stages = {name for name in COMMANDS if f"| `{name}` |" in text}
    assert {name for name in COMMANDS if " " not in name} - groups - shown - stages == set()


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
        ("`rallrec tune --recipe rella now`", "rallrec tune: Got unexpected extra argument(s) (now)"),
        ("`rallrec labels project destroy`", "rallrec labels project destroy"),
    ],
)
def test_a_promise_that_is_not_kept_is_noticed(wrong: str, named: str) -> None:
    assert problems(wrong) == [named]


def test_what_is_checked_is_there(readme: str) -> None:
    assert {words[0] for words in calls(readme)} >= {"doctor", "predict", "serve", "settings"}
    assert {"make demo", "make test"} <= set(code(readme))
    assert re.search(r"!\[[^\]]+\]\([^)]+\.png\)", readme), "issue 2 asks for a screenshot"
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+", readme)) >= {"RALLREC_HOME", "RALLREC_DATABASE_URL", CONFIG_VARIABLE}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_settings_that_examples_give_are_valid(document: Path) -> None:
    for line in blocks(document.read_text("utf-8")):
        given = dict(re.findall(rf"\b{PREFIX}([A-Z_]+)=(\S+)", line))
        plain = {name.lower(): value for name, value in given.items() if "__" not in name}
        Settings.model_validate({name: value for name, value in plain.items() if name != "config"})


def test_the_numbers_about_the_data_are_the_datas(readme: str, shipped: Dataset) -> None:
    for number, noun in (
        (shipped.n_interactions, "ratings"), (shipped.n_users, "users"), (shipped.n_items, "movies")
    ):  # fmt: skip
        assert set(re.findall(rf"(\d[\d,]*) {noun}\b", readme)) == {f"{number:,}"}


def test_the_readme_gives_the_address_the_app_listens_on(readme: str) -> None:
    settings = Settings()
    assert f"http://{settings.host}:{settings.port}" in readme
