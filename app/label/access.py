"""Who may do what: every question to a labelling service begins with who asks, and passes through here.

A method says with :func:`needs` which action of ``storage.labels.roles`` it is; it cannot be called past that check,
and a test finds every method that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from backend.errors import ForbiddenError, NotLoggedInError
from backend.labelling import Account
from storage.labels.roles import MAY, may

Service = TypeVar("Service")
Given = ParamSpec("Given")
Result = TypeVar("Result")
Asked = Callable[Concatenate[Service, Account | None, Given], Result]


def needs(action: str) -> Callable[[Asked[Service, Given, Result]], Asked[Service, Given, Result]]:
    """A method whose first argument is who asks (None: nobody is logged in), and which is for those who ``may``.

    It raises ``NotLoggedInError`` or ``ForbiddenError`` for all others, before anything else is looked at.
    """
    assert action in MAY

    def wrapped(method: Asked[Service, Given, Result]) -> Asked[Service, Given, Result]:
        @wraps(method)
        def checked(
            service: Service, account: Account | None, /, *arguments: Given.args, **named: Given.kwargs
        ) -> Result:
            check(account, action)
            return method(service, account, *arguments, **named)

        checked.needs = action  # type: ignore[attr-defined]
        return checked

    return wrapped


def check(account: Account | None, action: str) -> None:
    """Raises ``NotLoggedInError`` or ``ForbiddenError`` where somebody may not do this."""
    if may(account, action):
        return
    if account is None:
        raise NotLoggedInError("You are not logged in", fix="log in on /label")
    allowed = sorted(role for role in MAY[action] if role)
    raise ForbiddenError(f"This is not for the role {account.role}, but for {', '.join(allowed)}")


def check_member(member: bool) -> None:
    """Raises ``ForbiddenError`` for who may not label in a project, whatever their role."""
    if not member:
        raise ForbiddenError("You are not a member of this project", fix="ask a reviewer to add you")


def somebody(account: Account | None) -> Account:
    """Who asks, where the check has seen to it that it is somebody."""
    assert account is not None
    return account


def needed_by(method: Any) -> str:
    """The action that a method needs. Raises ``AttributeError`` for one that does not say."""
    found: str = method.needs
    return found
