"""Accounts: who may log in, in which role, and who is logged in: from a name and a password to a token that a browser
keeps, and back to whose it is.

Passwords are kept as argon2 hashes, tokens as SHA-256 alone, so that logins survive a restart and nobody who reads the
database can pass for somebody. Wrong passwords are counted by name, whether there is such an account or not: what a
stranger is told does not depend on it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.errors import LockedOutError, NotFoundError, NotLoggedInError, UnknownNameError, UsageError
from backend.labelling import Account
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.audit import note
from storage.labels.roles import ROLES
from storage.labels.tables import AccountRow, FailureRow, LoginRow

MOST_NAME, LEAST_PASSWORD, MOST_PASSWORD = 64, 8, 1024
# Each hash takes 64 MB while it is made: thirty people who log in at once must not take two gigabytes.
_hashing = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class ListedAccount:
    """``can_log_in``: whether there is a password, and the account is not disabled."""

    account: Account
    disabled: bool
    can_log_in: bool
    created_at: datetime


def add_account(database: Database, name: str, password: str | None, role: str, by: str = "rallrec") -> Account:
    """Makes an account; without a password nobody can log in to it. Raises ``UsageError`` for a bad name, password or
    role, and for a name that is taken (``Ann`` and ``ann`` are the same).
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
    """The role holds from the next request on. Raises ``NotFoundError``, ``UsageError`` (also for the last admin)."""
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


def accounts(database: Database) -> list[ListedAccount]:
    """All accounts, by name."""
    with database.session(read_only=True) as session:
        rows = session.scalars(select(AccountRow).order_by(AccountRow.folded))
        return [
            ListedAccount(account_of(row), row.disabled, row.password is not None and not row.disabled, row.created_at)
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
    """The name as it is compared: half a surrogate pair, which no name has, becomes a question mark."""
    return unicodedata.normalize("NFKC", name.strip()).casefold().encode("utf-8", "replace").decode()[:128]


def name_hash(name: str) -> str:
    """SHA-256 of the name as it is compared."""
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


LIFETIME = timedelta(days=14)
FREE_TRIES = 5
# After the fifth wrong password in a row, twice as long after each further one.
LOCKED_FOR, LONGEST_LOCK = timedelta(minutes=15), timedelta(days=1)
# Failures that nobody added to for so long are forgotten.
_FORGET = timedelta(days=2)


def log_in(database: Database, name: str, password: str, now: datetime | None = None) -> str:
    """A token for whoever knows the password. Raises ``NotLoggedInError``, the same for a wrong name, a wrong password
    and a disabled account, and ``LockedOutError`` after too many of them.
    """
    now = now or utc_now()
    _count_try(database, name, now)
    with database.session(read_only=True) as session:
        row = find(session, name)
    if not is_password(row.password if row else None, password) or row is None or row.disabled:
        raise NotLoggedInError("The name or the password is wrong", fix="try again, or ask whoever runs this app")
    token = secrets.token_urlsafe(32)
    with database.session(durable=True) as session:
        session.execute(delete(FailureRow).where(FailureRow.name_hash == name_hash(name)))
        session.execute(delete(LoginRow).where(LoginRow.expires_at <= now))
        session.add(LoginRow(token=hash_token(token), account=row.name, created_at=now, expires_at=now + LIFETIME))
    return token


def who(database: Database, token: str | None, now: datetime | None = None) -> Account | None:
    """Whose token this is; None where it is nobody's, has expired, or the account is disabled."""
    if not token:
        return None
    query = (
        select(AccountRow)
        .join(LoginRow, LoginRow.account == AccountRow.name)
        .where(
            LoginRow.token == hash_token(token),
            LoginRow.expires_at > (now or utc_now()),
            AccountRow.disabled.is_(False),
        )
    )
    with database.session(read_only=True) as session:
        row = session.scalars(query).first()
        return None if row is None else account_of(row)


def log_out(database: Database, token: str | None) -> None:
    """The token is nobody's from now on."""
    if token:
        with database.session(durable=True) as session:
            session.execute(delete(LoginRow).where(LoginRow.token == hash_token(token)))


def change_password(database: Database, account: Account, old: str, new: str, token: str) -> None:
    """Changes one's own password, and logs other browsers out. Wrong old passwords count as wrong logins.

    Raises ``NotLoggedInError``, ``LockedOutError``, ``UsageError``.
    """
    _count_try(database, account.name, utc_now())
    with database.session(read_only=True) as session:
        row = session.get_one(AccountRow, account.name)
    if not is_password(row.password, old):
        raise NotLoggedInError("The old password is wrong", fix="try again")
    set_password(database, account.name, new, by=account.name, keep=hash_token(token))


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _count_try(database: Database, name: str, now: datetime) -> None:
    """Count a try as wrong before it is looked at, so that many at once are no way round the lock."""
    key = name_hash(name)
    with database.session(durable=True) as session:
        session.execute(delete(FailureRow).where(FailureRow.last_at < now - _FORGET))
        row = session.get(FailureRow, key, with_for_update=True)
        if row is None:
            session.add(FailureRow(name_hash=key, failures=1, locked_until=None, last_at=now))
            return
        if row.locked_until and row.locked_until > now:
            seconds = (row.locked_until - now).total_seconds()
            raise LockedOutError(
                "There were too many wrong passwords for this name",
                seconds,
                fix=f"try again in {max(1, round(seconds / 60))} min, or ask whoever runs this app",
            )
        row.failures, row.last_at = row.failures + 1, now
        if row.failures >= FREE_TRIES:
            row.locked_until = now + min(LOCKED_FOR * 2 ** min(row.failures - FREE_TRIES, 10), LONGEST_LOCK)
            note(session, "nobody", "login.locked", key[:12], after={"failures": row.failures})
