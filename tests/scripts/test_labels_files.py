"""``rallrec labels export | import | agreement``: from one database to another, and from file to file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.errors import DataError, RallrecError, UsageError
from backend.labelling import Account
from backend.labelling.formats import FORMATS
from scripts.cli import app
from storage import Database
from storage.labels import queue, resolve, work
from tests.storage.labels.conftest import database as database
from tests.storage.labels.conftest import judged
from tests.storage.labels.conftest import make as make
from tests.storage.labels.conftest import people as people


@pytest.fixture
def done(database: Database, people: dict[str, Account], make: Callable[..., str]) -> str:
    """A project in which ann and bob judged three chains, the first of which is resolved and gold."""
    key = make(samples=3, overlap=2)
    tasks = []
    for name, value in (("ann", "good"), ("bob", "neutral")):
        for turn in range(3):
            task = queue.next_task(database, key, people[name])
            said = judged(task, value, scales=dict.fromkeys(SCALES, 1 + turn))  # type: ignore[arg-type]
            work.submit(database, task.id, people[name], said, 5.0, task.state.version, f"submission-{name}-{turn}")  # type: ignore[union-attr]
            tasks.append(task)
    resolve.resolve(database, tasks[0].id, judged(tasks[0]), "rita")  # type: ignore[arg-type]
    resolve.set_gold(database, tasks[0].id, judged(tasks[0]), "rita")  # type: ignore[union-attr, arg-type]
    return key


SCALES = ("groundedness", "validity", "coherence", "informativeness", "personalisation")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """run("labels", ..., at="other.db") is what a command says of that database; it raises what the command raises."""
    monkeypatch.setenv("RALLREC_HOME", str(tmp_path / "home"))

    def told(*arguments: Any, at: str = "labels.db") -> str:
        monkeypatch.setenv("RALLREC_DATABASE_URL", f"sqlite:///{tmp_path / at}")
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if isinstance(done.exception, RallrecError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return told


def test_labels_go_from_one_database_to_another_and_back_unchanged(
    done: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    told = json.loads(run("labels", "export", first, "--status", "all", "--json"))
    assert (told["rows"], told["format"]) == (6, "jsonl")
    assert "6 labels are new, 0 were here already" in run("labels", "import", first, at="other.db")
    assert json.loads(run("labels", "import", first, "--json", at="other.db"))["same"] == 6
    run("labels", "export", second, "--project", done, "--status", "all", at="other.db")
    assert first.read_bytes() == second.read_bytes()
    assert not list(tmp_path.glob(".*.half"))


def test_agreement_is_the_same_from_the_database_and_from_a_file(
    done: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    file, resolved = tmp_path / "labels.jsonl", tmp_path / "resolved.jsonl"
    run("labels", "export", file)
    run("labels", "export", resolved, "--status", "resolved")
    file.write_bytes(file.read_bytes() + resolved.read_bytes())
    ours, from_file = (json.loads(run("labels", "agreement", "--json", *more)) for more in ((), ("--from", file)))
    assert ours == from_file
    assert (ours["labels"], ours["tasks"]) == (6, 3)
    assert [person_row["person"] for person_row in ours["gold"]] == ["ann", "bob"]
    words = run("labels", "agreement")
    assert "6 submitted labels of 3 tasks by 2 people" in words
    assert "AC2" in words
    assert "Krippendorff" in words


@pytest.mark.parametrize("name", [*FORMATS, "label-studio-setup"])
def test_a_canonical_file_becomes_any_other(name: str, done: str, run: Callable[..., Any], tmp_path: Path) -> None:
    file, converted, ours = tmp_path / "labels.jsonl", tmp_path / "other", tmp_path / "ours"
    run("labels", "export", file)
    run("labels", "export", converted, "--from", file, "--format", name)
    run("labels", "export", ours, "--format", name)
    assert converted.read_bytes() == ours.read_bytes()


def test_resolved_labels_are_a_file_of_their_own(done: str, run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "resolved.jsonl"
    run("labels", "export", file, "--status", "resolved")
    [row] = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert (row["kind"], row["author"]) == ("resolved", "rita")


def test_what_is_wrong_is_said(done: str, make: Callable[..., str], run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    run("labels", "export", file)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(file.read_bytes() + b"{}\n")
    with pytest.raises(DataError, match="Line 7 of"):
        run("labels", "import", broken, at="other.db")
    assert json.loads(run("labels", "project", "list", "--json", at="other.db"))["projects"] == []
    with pytest.raises(UsageError, match="Unknown format 'xml'"):
        run("labels", "export", file, "--format", "xml")
    with pytest.raises(UsageError, match="Unknown status"):
        run("labels", "export", file, "--status", "done")
    with pytest.raises(DataError, match="cannot be read"):
        run("labels", "import", tmp_path / "nothing.jsonl")
    make(samples=1, name="Another")
    with pytest.raises(UsageError, match=r"2 projects.*Another"):
        run("labels", "agreement")
    with pytest.raises(UsageError, match=r"0 projects.*project create"):
        run("labels", "agreement", at="empty.db")
