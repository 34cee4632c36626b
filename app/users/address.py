"""What a Users page shows, as its address says it: every control of the page is a link to another of these."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from backend.errors import UnknownNameError, UsageError
from backend.prompting import KNOWLEDGE_WORDINGS
from backend.retrieval import exact_gamma

PATH = "/users"
# Columns that the list of users and the list of predictions can be sorted by.
USER_COLUMNS = ("user", "ratings", "mean", "liked", "first", "last", "genre", "predictions")
PREDICTION_COLUMNS = ("item", "when", "truth", "p_g", "p_r", "p_final", "error")
SHOWN_USERS = ("all", "predicted")
SHOWN_PREDICTIONS = ("all", "wrong", "disagree", "partial")
AXES = ("time", "order")


@dataclass(frozen=True)
class UsersQuery:
    """Without ``user``, the list of users; with one (an id), that user.

    ``find``: text that a listed user's id holds. ``sort``: a column; "-" before it: largest first; empty: the list's
    own order. ``show``: which rows. ``page``: of the list, from 1. ``item``: id of the item whose prediction is looked
    at. ``knowledge``, ``gamma``: of the predictions; empty and None: the settings'. ``axis``: of the timeline.
    ``dataset``: empty for that of the app's settings.
    """

    user: str = ""
    find: str = ""
    sort: str = ""
    show: str = "all"
    page: int = 1
    item: str = ""
    knowledge: str = ""
    gamma: float | None = None
    axis: str = "time"
    dataset: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, Any] | str) -> UsersQuery:
        """From an address or its parameters; others are passed over. Raises ``UsageError`` naming the parameter."""
        if isinstance(given, str):
            given = dict(parse_qsl(given.partition("?")[2]))
        texts = {field.name: str(given[field.name]) for field in fields(cls) if given.get(field.name) not in (None, "")}
        page, gamma = (_number(name, texts.pop(name, None)) for name in ("page", "gamma"))
        query = cls(**texts, page=max(1, int(page or 1)), gamma=None if gamma is None else exact_gamma(gamma))
        query._check()
        return query

    def _check(self) -> None:
        one = bool(self.user)
        known = {
            "sort": ("", *(PREDICTION_COLUMNS if one else USER_COLUMNS)),
            "show": SHOWN_PREDICTIONS if one else SHOWN_USERS,
            "knowledge": ("", *KNOWLEDGE_WORDINGS),
            "axis": AXES,
        }
        for name, values in known.items():
            value = getattr(self, name)
            value = value.removeprefix("-") if name == "sort" else value
            if value not in values:
                raise UnknownNameError(f"{name} of this page", value, filter(None, values), fix="mend the link")
        if self.gamma is not None and not 0 <= self.gamma <= 1:
            raise UsageError(f"gamma is {self.gamma:g}", expected="0 to 1", fix="mend the link")

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def falling(self) -> bool:
        return self.sort.startswith("-")

    def link(self, **changes: Any) -> str:
        """The address that leads to this with some values changed; what has its default is left out."""
        said = self.said(**changes)
        # Not "?..." alone: the page's base is the site's root.
        return f"{PATH}?{said}" if said else PATH

    def said(self, **changes: Any) -> str:
        """The parameters of :meth:`link`, spelled."""
        query, nothing = replace(self, **changes), UsersQuery()
        values = {field.name: getattr(query, field.name) for field in fields(query)}
        if query.gamma is not None:
            values["gamma"] = short_gamma(query.gamma)
        return urlencode({name: value for name, value in values.items() if value != getattr(nothing, name)})


def short_gamma(gamma: float) -> str:
    """Three decimals where they stand for the very same number (0.667 for 2/3), else all of them."""
    short = f"{gamma:.3f}".rstrip("0").rstrip(".")
    return short if exact_gamma(float(short)) == gamma else repr(gamma)


def _number(name: str, given: str | None) -> float | None:
    try:
        value = None if given is None else float(given)
        if value is not None and not abs(value) < 1e9:  # NaN too
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{name} is {reprlib.repr(given)}", expected=f"a number, as in {name}=1", fix="mend the link"
        ) from None
    return value
