"""Accounts: who may log in, and in which role. Passwords are kept as argon2 hashes; logging in is ``logins``."""

from __future__ import annotations

import threading
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.errors import NotFoundError, UnknownNameError, UsageError
from backend.labelling import Account
from storage.database.connection import Database
from storage.labels.audit import note
from storage.labels.roles import ROLES
from storage.labels.tables import AccountRow, FailureRow, LoginRow

MOST_NAME, LEAST_PASSWORD, MOST_PASSWORD = 64, 8, 1024
# Each hash takes 64 MB while it is made: thirty people who log in at once must not take two gigabytes.
_hashing = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Listed:
    """``can_log_in``: whether there is a password, and the account is not disabled."""

    account: Account
    disabled: bool
    can_log_in: bool
    created_at: datetime


def add_account(database: Database, name: str, password: str | None, role: str, by: str = "rallrec") -> Account:
    """A new account; without a password nobody can log in to it. Raises ``UsageError`` for what is none of these, and
    for a name that is taken (``Ann`` and ``ann`` are one).
    """
    name, role = checked_name(name), checked_role(role)
    hashed = None if password is None else hash_password(password)
    with database.session(durable=True) as session:
        if find(session, name):
            raise UsageError(f"There is an account {name!r} already", fix="choose another name, or change that one")
        session.add(AccountRow(name=name, folded=folded(name), password=hashed, role=role))
        note(session, by, "account.add", name, after={"role": role, "password": password is not None})
    return Account(name=name, role=role)


def set_password(database: Database, name: str, password: str, by: str = "rallrec", keep: str = "") -> None:
    """Give an account another password, and end its logins but the one with this (hashed) token.

    Wrong attempts are forgotten too. Raises ``NotFoundError``, ``UsageError``.
    """
    hashed = hash_password(password)
    with database.session(durable=True) as session:
        row = get(session, name)
        row.password = hashed
        session.execute(delete(LoginRow).where(LoginRow.account == row.name, LoginRow.token != keep))
        session.execute(delete(FailureRow).where(FailureRow.name_hash == name_hash(name)))
        note(session, by, "account.password", row.name)


def set_role(database: Database, name: str, role: str, by: str = "rallrec") -> None:
    """From the next request on. Raises ``NotFoundError``, ``UsageError`` (also for the last admin)."""
    checked_role(role)
    with database.session(durable=True) as session:
        row = get(session, name)
        if row.role == "admin" and role != "admin":
            _check_not_last(session, row)
        note(session, by, "account.role", row.name, {"role": row.role}, {"role": role})
        row.role = role


def disable(database: Database, name: str, disabled: bool = True, by: str = "rallrec") -> None:
    """Log somebody out for good, or let them in again; their labels stay. Raises as :func:`set_role`."""
    with database.session(durable=True) as session:
        row = get(session, name)
        if disabled and row.role == "admin":
            _check_not_last(session, row)
        note(session, by, "account.disable", row.name, {"disabled": row.disabled}, {"disabled": disabled})
        row.disabled = disabled
        if disabled:
            session.execute(delete(LoginRow).where(LoginRow.account == row.name))


def accounts(database: Database) -> list[Listed]:
    """All accounts, by name."""
    with database.session(read_only=True) as session:
        rows = session.scalars(select(AccountRow).order_by(AccountRow.folded))
        return [
            Listed(account_of(row), row.disabled, row.password is not None and not row.disabled, row.created_at)
            for row in rows
        ]


def account_of(row: AccountRow) -> Account:
    return Account(name=row.name, role=row.role)


def find(session: Session, name: str) -> AccountRow | None:
    """The account of this name, however it is written."""
    return session.scalars(select(AccountRow).where(AccountRow.folded == folded(name))).first()


def get(session: Session, name: str) -> AccountRow:
    """The account of this name. Raises ``NotFoundError``."""
    row = find(session, name)
    if row is None:
        raise NotFoundError(f"There is no account {name!r}", fix="see: rallrec users list")
    return row


def folded(name: str) -> str:
    """The name as it is compared: half of a character's code, which no name has, is none of anybody's."""
    return unicodedata.normalize("NFKC", name.strip()).casefold().encode("utf-8", "replace").decode()[:128]


def name_hash(name: str) -> str:
    """SHA-256 of the name as it is compared."""
    import hashlib

    return hashlib.sha256(folded(name).encode()).hexdigest()


def checked_name(name: str) -> str:
    """A name that an account can have: 1 to 64 letters, digits and marks in one line. Raises ``UsageError``."""
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    odd = [sign for sign in name if unicodedata.category(sign)[0] == "C"]
    if not 0 < len(name) <= MOST_NAME or odd or "/" in name:
        raise UsageError(f"{name[:80]!r} is no name", expected=f"1 to {MOST_NAME} characters without / in one line")
    return name


def checked_role(role: str) -> str:
    """Raises ``UnknownNameError`` for what is no role."""
    if role not in ROLES:
        raise UnknownNameError("role", role, ROLES)
    return role


def hash_password(password: str) -> str:
    """Argon2id. Raises ``UsageError`` for a password that is too short or too long."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise UsageError(
            f"The password has {len(password)} characters", expected=f"{LEAST_PASSWORD} to {MOST_PASSWORD}"
        )
    with _hashing:
        hashed: str = _hasher().hash(_bytes(password))
    return hashed


def is_password(hashed: str | None, password: str) -> bool:
    """Whether this is the password. Where there is none to compare with (None), it takes as long to say no."""
    from argon2.exceptions import InvalidHashError, VerificationError

    with _hashing:
        try:
            _hasher().verify(hashed or _nobodys(), _bytes(password[:MOST_PASSWORD]))
        except (VerificationError, InvalidHashError):
            return False
    return hashed is not None


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    """The hash that an unknown name's password is compared with."""
    import secrets

    hashed: str = _hasher().hash(secrets.token_bytes(16))
    return hashed


def _bytes(password: str) -> bytes:
    """The same however a keyboard composes its letters."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace")


def _check_not_last(session: Session, row: AccountRow) -> None:
    others = select(func.count()).where(
        AccountRow.role == "admin", AccountRow.disabled.is_(False), AccountRow.name != row.name
    )
    if not session.scalar(others):
        raise UsageError(
            f"{row.name} is the last admin", expected="one at least", fix="make somebody else an admin first"
        )
