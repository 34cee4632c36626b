"""``rallrec users`` and ``rallrec labels``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import open_database
from storage.labels.accounts import log_in
from tests.scripts.cli_process import Rallrec, as_json, one_line_error


@pytest.fixture
def labelling(rallrec: Rallrec, tmp_path: Path) -> Rallrec:
    """``rallrec`` with a database of its own."""
    return lambda *arguments, **more: rallrec(
        *arguments, RALLREC_DATABASE_URL=f"sqlite:///{tmp_path / 'own.db'}", **more
    )


def add(labelling: Rallrec, name: str, *more: str, given: str = "a long password\n") -> Any:
    return labelling("users", "add", name, "--password-stdin", *more, typed=given)


def test_the_first_admin_is_made_here_and_can_log_in(labelling: Rallrec, tmp_path: Path) -> None:
    done = add(labelling, "root", "--role", "admin")
    assert (done.returncode, done.stdout.strip()) == (0, "Added: root (admin)"), done.stderr
    one_line_error(add(labelling, "ROOT"), 2)
    one_line_error(add(labelling, "ann", given="short\n"), 2)
    [account] = as_json(labelling("users", "list", "--json"))["accounts"]
    assert account == {"name": "root", "role": "admin", "can_log_in": True}
    database = open_database(f"sqlite:///{tmp_path / 'own.db'}")
    assert log_in(database, "root", "a long password")
    database.close()
    assert "last admin" in one_line_error(labelling("users", "disable", "root"), 2)
    assert "there is no account" in one_line_error(labelling("users", "role", "nobody", "viewer"), 2).lower()


def test_without_a_terminal_a_password_is_asked_of_nobody(labelling: Rallrec) -> None:
    assert "--password-stdin" in one_line_error(labelling("users", "add", "ann"), 2)
    assert "--password " not in labelling("users", "add", "--help").stdout


def test_a_backup_is_made_and_put_back(labelling: Rallrec, tmp_path: Path) -> None:
    add(labelling, "root", "--role", "admin")
    made = as_json(labelling("labels", "backup", str(tmp_path / "b.db"), "--json"))
    assert made["labels"] == 0
    add(labelling, "ann")
    back = as_json(labelling("labels", "restore", str(tmp_path / "b.db"), "--json"))
    assert Path(back["replaced"]).is_file()
    assert len(as_json(labelling("users", "list", "--json"))["accounts"]) == 1
    told = labelling("labels", "audit", "--limit", "1").stdout
    assert "database.restore" in told
    changes = as_json(labelling("labels", "audit", "--json"))["changes"]
    assert [change["what"] for change in changes] == ["database.restore", "account.add"]


def test_a_project_of_nothing_is_refused(labelling: Rallrec, home: Path) -> None:
    assert as_json(labelling("labels", "project", "list", "--json")) == {"projects": []}
    assert "lowest:highest" in one_line_error(labelling("labels", "project", "create", "P", "--gap", "much"), 2)
