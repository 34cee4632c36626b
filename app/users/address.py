"""What a Users page shows, as its address says it: every control of the page is a link to another of these."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from app.shared.address import Address, Gamma, PageNumber, Text, check_name, one_of
from backend.prompting import KNOWLEDGE_WORDINGS

PATH = "/users"
# Columns that the list of users and the list of predictions can be sorted by.
USER_COLUMNS = ("user", "ratings", "mean", "liked", "first", "last", "genre", "predictions")
PREDICTION_COLUMNS = ("item", "when", "truth", "p_g", "p_r", "p_final", "error")
SHOWN_USERS = ("all", "predicted")
SHOWN_PREDICTIONS = ("all", "wrong", "disagree", "partial")
AXES = ("time", "order")


class UsersQuery(Address):
    """Without ``user``, the list of users; with one (an id), that user.

    ``find``: text that a listed user's id holds. ``sort``: a column; "-" before it: largest first; empty: the list's
    own order. ``show``: which rows. ``page``: of the list, from 1. ``item``: id of the item whose prediction is looked
    at. ``knowledge``, ``gamma``: of the predictions; empty and None: the settings'. ``axis``: of the timeline.
    ``dataset``: empty for that of the app's settings.
    """

    path: ClassVar[str] = PATH

    user: Text = ""
    find: Text = ""
    sort: Text = ""
    show: Text = "all"
    page: PageNumber = 1
    item: Text = ""
    knowledge: Annotated[str, one_of("", *KNOWLEDGE_WORDINGS)] = ""
    gamma: Gamma = None
    axis: Annotated[str, one_of(*AXES)] = "time"
    dataset: Text = ""

    @model_validator(mode="after")
    def _check_list(self) -> Self:
        columns, shown = (PREDICTION_COLUMNS, SHOWN_PREDICTIONS) if self.user else (USER_COLUMNS, SHOWN_USERS)
        check_name("sort", self.column, ("", *columns))
        check_name("show", self.show, shown)
        return self

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def falling(self) -> bool:
        return self.sort.startswith("-")
