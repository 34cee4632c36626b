"""What a story is. Whether it was found by a program or written by a person, it has the same shape and limits."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# A page of this app: one name at most, then its query. Two slashes would lead to another host.
_VIEW = re.compile(r"/[a-z-]*(\?[^\s#\\]*)?")


def _own_view(view: str) -> str:
    if not _VIEW.fullmatch(view):
        raise ValueError("not a view of this app, such as /?user=15&item=1")
    return view


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class StoryStep(BaseModel):
    """A view (path and query of this app's own pages), what is to be said about it, and the panel to look at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    view: Annotated[str, Field(max_length=4000), AfterValidator(_own_view)]
    sentence: Annotated[Text, Field(max_length=1000)]
    look: Annotated[str, StringConstraints(pattern=r"^[a-z-]*$", max_length=40)] = ""


class Story(BaseModel):
    """``about``: one line for the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[Text, Field(max_length=120)]
    about: Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)] = ""
    steps: Annotated[tuple[StoryStep, ...], Field(min_length=1, max_length=30)]
