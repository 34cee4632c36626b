"""The one tree of errors that users see.

A message says what was given, what was expected, and the command or change that mends it. Third-party errors are
translated at one boundary per package and chained (``raise ... from error``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class RallrecError(Exception):
    """Base of every error that is meant for a person. ``problem`` is what is wrong; ``fix`` is what to do about it."""

    exit_code = 1

    def __init__(self, problem: str, *, expected: str | None = None, fix: str | None = None) -> None:
        self.problem = problem
        self.expected = expected
        self.fix = fix
        parts = [problem.rstrip(".") + "."]
        if expected:
            parts.append(f"Expected {expected.rstrip('.')}.")
        if fix:
            parts.append(f"To fix it: {fix.rstrip('.')}.")
        # One line, also where a third party's message in it has several.
        super().__init__(" ".join(line.strip() for line in " ".join(parts).splitlines()))


class UsageError(RallrecError):
    """The caller asked for something that makes no sense (bad option, bad range, unknown name)."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting, its environment variable or its line in the TOML file is wrong."""


class UnknownNameError(UsageError):
    """A name that is not in a list of known names; the message lists them."""

    def __init__(self, kind: str, given: object, known: Iterable[str], *, fix: str | None = None) -> None:
        names = sorted(known)
        super().__init__(f"Unknown {kind} {given!r}", expected=f"one of {', '.join(names) or '(none)'}", fix=fix)


class NotFoundError(UsageError):
    """What was asked for by its key is not there, or not for whoever asks."""


class AccessError(RallrecError):
    """Who asks may not have it."""


class NotLoggedInError(AccessError):
    """Nobody is logged in, and somebody must be; or the name or the password is wrong."""


class ForbiddenError(AccessError):
    """Somebody is logged in, and this is not for them."""


class LockedOutError(AccessError):
    """Too many wrong passwords: there is a time to wait. ``seconds``: how long."""

    def __init__(self, problem: str, seconds: float, *, fix: str | None = None) -> None:
        self.seconds = seconds
        super().__init__(problem, fix=fix)


class ConflictError(RallrecError):
    """Something newer is kept than what this was made from. ``kept``: what, as JSON; nothing was overwritten."""

    def __init__(self, problem: str, kept: Mapping[str, Any], *, fix: str | None = None) -> None:
        self.kept = dict(kept)
        super().__init__(problem, fix=fix)


class DataError(RallrecError):
    """A data file is missing, broken or contradicts itself."""


class NotPreparedError(RallrecError):
    """Something that a command prepares is not there yet."""


class EngineError(RallrecError):
    """A model could not be fetched, loaded or run."""


class PartialError(EngineError):
    """Some prompts of a call failed. The others were done and handed over before this was raised.

    ``failures``: what went wrong, by the prompt's place in the call.
    """

    def __init__(self, failures: Mapping[int, str], asked: int, *, fix: str | None = None) -> None:
        self.failures = dict(failures)
        first = min(self.failures)
        super().__init__(
            f"{len(self.failures)} of {asked} prompts failed; prompt {first + 1}: {self.failures[first]}",
            expected="an answer to each (the others are kept)",
            fix=fix or "ask again: only what is missing is run",
        )


class StorageError(RallrecError):
    """The database or an artifact cannot be used."""


class CorruptCacheError(StorageError):
    """A stored row or file does not match its key."""


class DatabaseTooNewError(StorageError):
    """The database was written by a newer version of this program."""


class Stopped(RallrecError):
    """Somebody pressed stop. What had finished by then has been handed over and kept."""

    def __init__(self, problem: str = "Stopped by request") -> None:
        super().__init__(problem)
