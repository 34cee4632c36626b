"""The commands of ``rallrec users``: their options and help, in words alone. What they do is ``scripts.users``."""

from __future__ import annotations

from typing import Annotated

import typer

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


@users.command("add", epilog="Example: rallrec users add root --role admin")
def users_add(name: Name, role: Role = "annotator", password_stdin: FromStdin = False, json: Json = False) -> None:
    """Add an account. The first one should be an admin: the others can then be made in the app."""
    from scripts.users import add

    add(name=name, role=role, from_stdin=password_stdin, as_json=json)


@users.command("list", epilog="Example: rallrec users list --json")
def users_list(json: Json = False) -> None:
    """List all accounts."""
    from scripts.users import list_all

    list_all(as_json=json)


@users.command("password", epilog="Example: rallrec users password ann")
def users_password(name: Name, password_stdin: FromStdin = False) -> None:
    """Set another password, which also logs the account out everywhere and forgets wrong passwords."""
    from scripts.users import password

    password(name=name, from_stdin=password_stdin)


@users.command("role", epilog="Example: rallrec users role ann reviewer")
def users_role(name: Name, role: Annotated[str, typer.Argument(help="admin, reviewer, annotator or viewer.")]) -> None:
    """Change what an account may do, from its next request on."""
    from scripts.users import set_role

    set_role(name=name, role=role)


@users.command("disable", epilog="Example: rallrec users disable ann")
def users_disable(
    name: Name, undo: Annotated[bool, typer.Option("--undo", help="Let the account in again.")] = False
) -> None:
    """Log an account out for good; its labels stay."""
    from scripts.users import disable

    disable(name=name, disabled=not undo)
