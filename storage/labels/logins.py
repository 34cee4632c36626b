"""Logging in: from a name and a password to a token that a browser keeps, and back to whose it is.

Only a hash of the token is stored, in the database, so that logins survive a restart and nobody who reads the database
can pass for somebody. Wrong passwords are counted by name, whether there is such an account or not: what a stranger
sees, and how long it takes, does not tell which names exist.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from backend.errors import LockedOutError, NotLoggedInError
from backend.labelling import Account
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.accounts import account_of, find, is_password, name_hash, set_password
from storage.labels.audit import note
from storage.labels.tables import AccountRow, FailureRow, LoginRow

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
    """Of one's own account; other browsers are logged out. Wrong old passwords count as wrong logins.

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
