"""Who may do what: every question to the labelling service begins with who asks, and passes through here.

A method says with :func:`needs` which action of ``storage.labels.roles`` it is; it cannot be called past that check,
and a test finds every method that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from backend.errors import ForbiddenError, NotLoggedInError
from backend.labelling import Account
from storage.labels.roles import MAY, may

Service = TypeVar("Service")
Given = ParamSpec("Given")
Result = TypeVar("Result")
Inner = Callable[Concatenate[Service, Account, Given], Result]
Checked = Callable[Concatenate[Service, Account | None, Given], Result]


def needs(action: str) -> Callable[[Inner[Service, Given, Result]], Checked[Service, Given, Result]]:
    """A method whose first argument is who asks (None: nobody is logged in), and which is for those who ``may``.

    It raises ``NotLoggedInError`` or ``ForbiddenError`` for all others, before anything else is looked at. So the
    method gets an account, or None where the action is for everybody.
    """
    assert action in MAY

    def wrapped(method: Inner[Service, Given, Result]) -> Checked[Service, Given, Result]:
        @wraps(method)
        def checked(
            service: Service, account: Account | None, /, *arguments: Given.args, **named: Given.kwargs
        ) -> Result:
            check(account, action)
            return method(service, cast(Account, account), *arguments, **named)

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
    """Raises ``ForbiddenError`` for somebody who may not label in a project, whatever their role."""
    if not member:
        raise ForbiddenError("You are not a member of this project", fix="ask a reviewer to add you")
