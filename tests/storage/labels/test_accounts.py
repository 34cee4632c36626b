"""Accounts and logins: hashes, lockout, sessions that survive a restart, and what a stranger can find out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import storage.labels.accounts as module
from backend.errors import LockedOutError, NotFoundError, NotLoggedInError, UsageError
from storage import Database, open_database
from storage.labels.accounts import (
    LIFETIME,
    accounts,
    add_account,
    change_password,
    disable,
    log_in,
    log_out,
    set_password,
    set_role,
    who,
)
from tests.storage.labels.conftest import NOON, PASSWORD, after


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Argon2 with a small memory: what is tested here is not how hard it is."""
    from argon2 import PasswordHasher

    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(module, "_hasher", lambda: quick)
    module._nobodys.cache_clear()
    yield
    module._nobodys.cache_clear()


def test_a_login_survives_a_restart_and_ends(database: Database) -> None:
    ann = add_account(database, "Ann", PASSWORD, "annotator")
    token = log_in(database, " ann", PASSWORD, NOON)
    again = open_database(database.url.render_as_string())
    assert who(again, token, after(60)) == ann
    assert who(again, token, NOON + LIFETIME) is None
    log_out(again, token)
    assert who(again, token, after(60)) is None
    assert who(again, "x" * 500) is who(again, "") is who(again, None) is None
    again.close()


def test_neither_passwords_nor_tokens_are_in_the_database(database: Database, tmp_path: Path) -> None:
    add_account(database, "ann", PASSWORD, "annotator")
    token = log_in(database, "ann", PASSWORD)
    with database.session(read_only=True) as session:
        hashed = session.execute(text("SELECT password FROM label_accounts")).scalar_one()
        told = session.execute(text("SELECT group_concat(before || after) FROM label_audit")).scalar_one()
    assert hashed.startswith("$argon2id$")
    assert PASSWORD not in told
    database.close()
    for file in tmp_path.iterdir():
        assert PASSWORD.encode() not in file.read_bytes()
        assert token.encode() not in file.read_bytes()


def wrong(database: Database, name: str, times: int, minute: float = 0) -> list[type[Exception]]:
    seen: list[type[Exception]] = []
    for _ in range(times):
        with pytest.raises((NotLoggedInError, LockedOutError)) as refused:
            log_in(database, name, "not the password", after(minute))
        seen.append(type(refused.value))
    return seen


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_five_wrong_passwords_lock_a_name_for_a_time_that_grows(database: Database, name: str) -> None:
    """Whether there is such an account or not."""
    add_account(database, "ann", PASSWORD, "annotator")
    assert wrong(database, name, 6) == [NotLoggedInError] * 5 + [LockedOutError]
    assert wrong(database, name.upper(), 1, 14) == [LockedOutError]
    assert wrong(database, name, 2, 16) == [NotLoggedInError, LockedOutError]
    with pytest.raises(LockedOutError) as refused:
        log_in(database, name, PASSWORD, after(17))  # the right one too
    assert refused.value.seconds == pytest.approx(29 * 60)


def test_the_right_password_forgets_the_wrong_ones(database: Database) -> None:
    add_account(database, "ann", PASSWORD, "annotator")
    for _ in range(3):
        assert wrong(database, "ann", 4) == [NotLoggedInError] * 4
        log_in(database, "ann", PASSWORD, NOON)


def test_many_tries_at_once_are_no_way_round_the_lock(database: Database) -> None:
    add_account(database, "ann", PASSWORD, "annotator")

    def attempt(number: int) -> type[Exception]:
        with pytest.raises((NotLoggedInError, LockedOutError)) as refused:
            log_in(database, "ann", f"guess {number}")
        return type(refused.value)

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(attempt, range(24)))
    assert seen.count(NotLoggedInError) == 5


def test_a_stranger_cannot_tell_whether_a_name_exists(database: Database) -> None:
    add_account(database, "ann", PASSWORD, "annotator")
    add_account(database, "gone", PASSWORD, "annotator")
    add_account(database, "imported", None, "annotator")
    disable(database, "gone")
    said, calls = set(), []
    real = module._hasher()

    class CountingHasher:
        def verify(self, *given: Any) -> Any:
            calls.append(given)
            return real.verify(*given)

    module._nobodys()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_hasher", CountingHasher)
        for name in ("ann", "gone", "imported", "nobody"):
            with pytest.raises(NotLoggedInError) as refused:
                log_in(database, name, PASSWORD + "?")
            said.add(str(refused.value))
    assert len(said) == 1
    assert len(calls) == 4  # each is compared with a hash, and takes as long


def test_a_changed_password_ends_other_logins_and_keeps_this_one(database: Database) -> None:
    ann = add_account(database, "ann", PASSWORD, "annotator")
    here, there = log_in(database, "ann", PASSWORD), log_in(database, "ann", PASSWORD)
    with pytest.raises(NotLoggedInError):
        change_password(database, ann, "wrong password", "another password", here)
    change_password(database, ann, PASSWORD, "another password", here)
    assert who(database, here) == ann
    assert who(database, there) is None
    set_password(database, "ann", PASSWORD)
    assert who(database, here) is None


def test_roles_and_disabling_hold_from_the_next_request_on(database: Database) -> None:
    add_account(database, "ann", PASSWORD, "annotator")
    token = log_in(database, "ann", PASSWORD)
    set_role(database, "ann", "reviewer")
    account = who(database, token)
    assert account
    assert account.role == "reviewer"
    disable(database, "ann")
    assert who(database, token) is None
    disable(database, "ann", False)
    assert who(database, token) is None
    [listed] = accounts(database)
    assert (listed.disabled, listed.can_log_in) == (False, True)


def test_the_last_admin_stays_one(database: Database) -> None:
    add_account(database, "root", PASSWORD, "admin")
    for change in (lambda: set_role(database, "root", "viewer"), lambda: disable(database, "root")):
        with pytest.raises(UsageError, match="last admin"):
            change()
    add_account(database, "rita", PASSWORD, "admin")
    set_role(database, "root", "viewer")


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a/b", "a\x00b", "a\u202eb"])
def test_what_is_no_name_is_refused(database: Database, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        add_account(database, name, PASSWORD, "annotator")


def test_odd_passwords_and_roles_are_refused_and_composed_letters_are_one(database: Database) -> None:
    for password in ("short", "x" * 1025):
        with pytest.raises(UsageError, match="password"):
            add_account(database, "ann", password, "annotator")
    with pytest.raises(UsageError, match="role"):
        add_account(database, "ann", PASSWORD, "king")
    add_account(database, "ann", "caf\u00e9 caf\u00e9", "annotator")
    assert log_in(database, "ann", "cafe\u0301 cafe\u0301")
    with pytest.raises(NotFoundError):
        set_role(database, "nobody", "viewer")


def test_a_lock_is_never_longer_than_a_day(database: Database) -> None:
    moment, locks = NOON, []
    for _ in range(20):
        try:
            log_in(database, "nobody", "wrong password", moment)
        except LockedOutError as error:
            locks.append(error.seconds)
            moment += timedelta(seconds=error.seconds + 1)
        except NotLoggedInError:
            moment += timedelta(seconds=1)
    assert len(locks) > 5
    assert max(locks) == pytest.approx(24 * 3600, abs=5)


def test_hashing_is_hard_in_earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    begun = time.perf_counter()
    hashed = module.hash_password(PASSWORD)
    assert time.perf_counter() - begun > 0.01
    assert "m=65536" in hashed
    assert module.is_password(hashed, PASSWORD)
