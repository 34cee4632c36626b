"""``rallrec users``: accounts of the database that the settings name. A password is never an argument."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from backend.errors import UsageError
from scripts.console import note, open_settings_database, print_json, print_table, say
from scripts.options import Json

users = typer.Typer(
    help="Who may log in to label, and in which role.",
    epilog="Example: rallrec users add ann",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="The account's name.")]
Role = Annotated[str, typer.Option(help="admin, reviewer, annotator or viewer.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input (default: ask for it).")
]


@users.command(epilog="Example: rallrec users add root --role admin")
def add(name: Name, role: Role = "annotator", password_stdin: FromStdin = False, as_json: Json = False) -> None:
    """Add an account. The first one should be an admin: the others can then be made in the app."""
    from storage.labels import accounts

    # Checked before a password is asked for.
    accounts.checked_name(name)
    accounts.checked_role(role)
    with open_settings_database() as database:
        made = accounts.add_account(database, name, _password(password_stdin), role)
        has_admin = any(
            listed.account.role == "admin" and listed.can_log_in for listed in accounts.accounts(database)
        )  # fmt: skip
    if as_json:
        print_json(made.model_dump())
        return
    say(f"Added: {made.name} ({made.role})")
    if not has_admin:
        note("There is no admin yet: rallrec users add NAME --role admin")


@users.command("list", epilog="Example: rallrec users list --json")
def list_accounts(as_json: Json = False) -> None:
    """List all accounts."""
    from storage.labels import accounts

    with open_settings_database() as database:
        listed = accounts.accounts(database)
    if as_json:
        print_json({"accounts": [row.account.model_dump() | {"can_log_in": row.can_log_in} for row in listed]})
        return
    table = Table("name", "role", "can log in", "since")
    for row in listed:
        since = row.created_at.strftime("%Y-%m-%d")
        table.add_row(row.account.name, row.account.role, "yes" if row.can_log_in else "no", since)
    print_table(table)


@users.command(epilog="Example: rallrec users password ann")
def password(name: Name, password_stdin: FromStdin = False) -> None:
    """Set another password, which also logs the account out everywhere and forgets wrong passwords."""
    from storage.labels import accounts

    with open_settings_database() as database:
        accounts.set_password(database, name, _password(password_stdin))
    say(f"The password of {name} is changed")


@users.command(epilog="Example: rallrec users role ann reviewer")
def role(name: Name, role: Annotated[str, typer.Argument(help="admin, reviewer, annotator or viewer.")]) -> None:
    """Change what an account may do, from its next request on."""
    from storage.labels import accounts

    with open_settings_database() as database:
        accounts.set_role(database, name, role)
    say(f"{name} is {role} now")


@users.command(epilog="Example: rallrec users disable ann")
def disable(
    name: Name, undo: Annotated[bool, typer.Option("--undo", help="Let the account in again.")] = False
) -> None:
    """Log an account out for good; its labels stay."""
    from storage.labels import accounts

    with open_settings_database() as database:
        accounts.disable(database, name, not undo)
    say(f"{name} can log in again" if undo else f"{name} cannot log in any more")


def _password(from_stdin: bool) -> str:
    """Asked for twice, or the first line of standard input. Raises ``UsageError`` where nobody can be asked."""
    import getpass

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("There is nobody to ask for a password", fix="give it on standard input: --password-stdin")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("The two passwords differ", fix="try again")
    return first
