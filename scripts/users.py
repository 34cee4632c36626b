"""``rallrec users``: accounts of the database that the settings name. A password is never an argument."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.table import Table

from backend.errors import UsageError
from backend.settings import load_settings
from scripts.console import log, out, print_json, print_table
from storage.database.connection import Database, open_database
from storage.labels import accounts


def add(*, name: str, role: str, from_stdin: bool, as_json: bool) -> None:
    """Raises ``UsageError`` before it asks for a password, where it can."""
    accounts.checked_name(name)
    accounts.checked_role(role)
    with _database() as database:
        made = accounts.add_account(database, name, _password(from_stdin), role)
        admins = [own for own in accounts.accounts(database) if own.account.role == "admin" and own.can_log_in]
    if as_json:
        print_json(made.model_dump())
        return
    out.print(f"Added: {made.name} ({made.role})", markup=False)
    if not admins:
        log.print("There is no admin yet: rallrec users add NAME --role admin", markup=False)


def list_all(*, as_json: bool) -> None:
    with _database() as database:
        found = accounts.accounts(database)
    if as_json:
        print_json({"accounts": [own.account.model_dump() | {"can_log_in": own.can_log_in} for own in found]})
        return
    table = Table("name", "role", "can log in", "since")
    for own in found:
        since = own.created_at.strftime("%Y-%m-%d")
        table.add_row(own.account.name, own.account.role, "yes" if own.can_log_in else "no", since)
    print_table(table)


def password(*, name: str, from_stdin: bool) -> None:
    with _database() as database:
        accounts.set_password(database, name, _password(from_stdin))
    out.print(f"The password of {name} is changed", markup=False)


def set_role(*, name: str, role: str) -> None:
    with _database() as database:
        accounts.set_role(database, name, role)
    out.print(f"{name} is {role} now", markup=False)


def disable(*, name: str, disabled: bool) -> None:
    with _database() as database:
        accounts.disable(database, name, disabled)
    out.print(f"{name} can{'not' if disabled else ''} log in {'any more' if disabled else 'again'}", markup=False)


@contextmanager
def _database() -> Iterator[Database]:
    database = open_database(load_settings().url)
    try:
        yield database
    finally:
        database.close()


def _password(from_stdin: bool) -> str:
    """Asked for twice, or the first line of standard input. Raises ``UsageError`` where nobody can be asked."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("There is nobody to ask for a password", fix="give it on standard input: --password-stdin")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("The two passwords differ", fix="try again")
    return first
