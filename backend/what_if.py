"""A question changed on purpose: another past, another target, another sentence for the reasoning model.

:class:`Edits` says what is changed, :class:`Past` is what a question tells of its user, and :func:`edit_past` makes one
out of the other. What is retrieved from the past, and how it is asked, is the same code for edited questions and plain
ones (``backend.questions``, ``backend.pipeline``).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from backend.datasets import Dataset
from backend.errors import UsageError
from backend.prompting import knowledge_sentence
from backend.seeding import canonical_json

HINTS = ("none", "yes", "no", "own")
# The longest hint that is allowed: a link must hold it.
MAX_SENTENCE = 300
# The longest edited prompt: several times the prompt of the longest history.
MAX_PROMPT = 20_000

_ItemId = Annotated[str, Field(min_length=1, max_length=200)]
_Value = str | int | FiniteFloat


class Rated(BaseModel):
    """An item of the past, and the rating that it gets instead of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: _ItemId
    rating: FiniteFloat


class Added(Rated):
    """An item that joins the past. ``place``: how many past items are older; None: it is the newest."""

    place: int | None = Field(None, ge=0)


class Edits(BaseModel):
    """What is changed of a question; items are named by their ids. Nothing given: the plain question.

    ``removed`` leave the past, ``rated`` get another rating there, ``added`` join it, one after the other (an item that
    was removed can join again: it moves). ``target``: what is asked about instead, of the same past. ``hint``: what M_R
    is told instead of M_G's answer: nothing, yes, no, or a ``sentence`` of one's own. ``settings``: choices of the
    recipe by their names, such as ``{"k": 4}``; see :meth:`backend.pipeline.Recipe.replacing`.

    ``prompt``: what M_R is asked, word for word, whatever history, hint and settings would make of it. M_G is still
    asked by its template: it was tuned on that, and its variance is over orders of the history, which a fixed text
    does not have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    removed: tuple[_ItemId, ...] = Field((), max_length=200)
    rated: tuple[Rated, ...] = Field((), max_length=200)
    added: tuple[Added, ...] = Field((), max_length=200)
    target: _ItemId | None = None
    hint: Literal["none", "yes", "no", "own"] | None = None
    sentence: str = Field("", max_length=MAX_SENTENCE)
    prompt: str | None = None
    settings: dict[str, _Value] = {}

    @field_validator("prompt")
    @classmethod
    def _as_sent(cls, given: str | None) -> str | None:
        return None if given is None else prompt_text(given)

    # The order of these means nothing, so they are sorted: the same edits are then equal and have one spelling.
    @field_validator("removed")
    @classmethod
    def _once_each(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(given)))

    @field_validator("rated")
    @classmethod
    def _by_item(cls, given: tuple[Rated, ...]) -> tuple[Rated, ...]:
        return tuple(sorted(given, key=lambda row: row.item))

    @model_validator(mode="after")
    def _of_one_piece(self) -> Edits:
        for kind, rows in (("re-rated", self.rated), ("added", self.added)):
            if len({row.item for row in rows}) < len(rows):
                raise ValueError(f"an item is {kind} twice")
        if (self.hint == "own") != bool(self.sentence.strip()):
            raise ValueError("a sentence goes with the hint 'own', and only with it")
        return self

    @classmethod
    def read(cls, given: str | dict[str, Any]) -> Edits:
        """Reads edits from JSON, text or parsed. Raises ``UsageError`` naming the first part that is wrong."""
        try:
            return cls.model_validate_json(given) if isinstance(given, str) else cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            if first["loc"] == ("prompt",):
                raise UsageError(
                    f"The edited prompt cannot be used: {first['msg']}",
                    expected=f"text of 1 to {MAX_PROMPT} characters; no control characters but line breaks and tabs",
                    fix="mend the text, or take it back",
                ) from error
            where = ".".join(map(str, first["loc"])) or "edits"
            raise UsageError(
                f"The edits cannot be read: {where}: {first['msg']}",
                expected='JSON such as {"removed": ["1"], "hint": "no", "settings": {"k": 4}}',
                fix="mend the link, or start again from the prediction",
            ) from error

    @property
    def canonical(self) -> str:
        """The one spelling of these edits: canonical JSON of what is changed; ``{}`` for nothing."""
        return canonical_json(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def injected(self) -> str | None:
        """The sentence that M_R is told; empty for none, None where M_G's own answer decides (eq. 9)."""
        if self.hint is None:
            return None
        if self.hint == "own":
            return " ".join(self.sentence.split())
        return "" if self.hint == "none" else knowledge_sentence(float(self.hint == "yes"))

    def __bool__(self) -> bool:
        return self != Edits()


def prompt_text(given: str) -> str:
    """A prompt as it is sent: line breaks of one kind, no space around it. Raises ``ValueError`` for what is none."""
    text = given.replace("\r\n", "\n").replace("\r", "\n").strip()
    # The length is checked before the text is read.
    if not 0 < len(text) <= MAX_PROMPT:
        raise PydanticCustomError("prompt", "it has {count} characters", {"count": len(text)})
    for place, sign in enumerate(text):
        if unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t":
            raise PydanticCustomError(
                "prompt", "character {place} is the control character {code}",
                {"place": place + 1, "code": f"U+{ord(sign):04X}"},
            )  # fmt: skip
    return text


@dataclass(frozen=True, eq=False)
class Past:
    """What a question is asked from, oldest first. ``items``: int[n] codes; ``ratings``: float32[n], n >= 0."""

    items: np.ndarray
    ratings: np.ndarray

    @classmethod
    def of(cls, data: Dataset, rows: slice) -> Past:
        """Makes a past of these interaction rows of the data."""
        return cls(data.item_index[rows], data.rating[rows])

    def __len__(self) -> int:
        return len(self.items)

    def rating_of(self, item: int) -> float | None:
        """Returns the latest rating of an item code; None where it is not in this past."""
        places = np.flatnonzero(self.items == item)
        return float(self.ratings[places[-1]]) if len(places) else None


def edit_past(past: Past, edits: Edits, data: Dataset, target: int) -> Past:
    """The past with ``edits`` made, for a question about the item code ``target``, whose own rating is never in it.

    Without edits of the past it is the same past. Raises ``UsageError`` for an item that the dataset does not know, an
    item that is changed and not in the past, one that is added and there already (or the target), a rating outside the
    scale, and a place beyond the end.
    """
    is_target = past.items == target
    if not (edits.removed or edits.rated or edits.added or is_target.any()):
        return past
    items, ratings = past.items, past.ratings.copy()
    leaving = is_target.copy()
    for item in edits.removed:
        leaving |= _places(item, items, is_target, data)
    for row in edits.rated:
        places = _places(row.item, items, leaving, data)
        ratings[places] = _on_scale(row, data)
    codes, values = items[~leaving].tolist(), ratings[~leaving].tolist()
    for one in edits.added:
        code = data.item_code(one.item)
        if code in codes or code == target:
            there = "is what is asked about" if code == target else "is in the past already"
            raise UsageError(f"{data.item_label(code)} {there}: it cannot be added", fix="re-rate or remove it instead")
        place = len(codes) if one.place is None else one.place
        if place > len(codes):
            raise UsageError(f"The place of {data.item_label(code)} is {place}", expected=f"at most {len(codes)}")
        codes.insert(place, code)
        values.insert(place, _on_scale(one, data))
    return Past(np.array(codes, dtype=past.items.dtype), np.array(values, dtype=past.ratings.dtype))


def _places(item: str, items: np.ndarray, gone: np.ndarray, data: Dataset) -> np.ndarray:
    """bool[n]: where the past has this item. Raises ``UsageError`` where it has not, or not any more."""
    code = data.item_code(item)
    places: np.ndarray = (items == code) & ~gone
    if not places.any():
        raise UsageError(
            f"{data.item_label(code)} is not in the past that this question is asked from",
            expected="an item that was rated before the target, is neither removed nor the target itself",
            fix="add it instead, or take this edit back",
        )
    return places


def _on_scale(row: Rated, data: Dataset) -> float:
    low, high = data.meta.rating_min, data.meta.rating_max
    if not low <= row.rating <= high:
        raise UsageError(
            f"The rating of {data.item_label(data.item_code(row.item))} is {row.rating:g}",
            expected=f"{low:g} to {high:g} {data.meta.rating_unit}",
        )
    return row.rating
