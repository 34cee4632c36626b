"""How interactions become samples and parts, and the sentences a dataset has of its own: chosen when it is imported.

The rules' defaults are MovieLens' in the paper (notes, Data). They are part of a dataset's content hash.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

How = Literal["chronological", "per-user", "users"]
SPLITS: tuple[str, ...] = get_args(How)
# The least number of earlier interactions of its user that a sample has (notes, Data).
MIN_HISTORY = 5

_PLACE = re.compile(r"\{([^{}]*)\}")
# What the fixed sentences about an item may hold.
ITEM_PLACES = ("noun", "label", "categories")
# Places that hold the user as a pronoun instead of a user's column.
PRONOUN_PLACES = ("they", "their", "They", "Their")


class Rules(BaseModel):
    """``k_core``: users and items with fewer interactions are dropped, to a fixed point (0: none). ``samples``: every
    interaction with ``min_history`` earlier ones, or each user's ``last``. ``split``: see :func:`samples.split`;
    ``train`` and ``validation`` are shares, the rest is test. ``seed``: of the order of data without times and of the
    split by users. ``implicit``: whether a rating that only says "read" (BookCrossing's 0) is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    k_core: int = Field(0, ge=0)
    min_history: int = Field(MIN_HISTORY, ge=1)
    samples: Literal["all", "last"] = "all"
    split: How = "chronological"
    train: float = Field(0.8, gt=0, lt=1)
    validation: float = Field(0.1, ge=0, lt=1)
    seed: int = Field(0, ge=0)
    implicit: Literal["keep", "drop"] = "keep"

    @model_validator(mode="after")
    def _leaves_a_test(self) -> Rules:
        if self.test <= 0:
            raise ValueError(f"train {self.train:g} and validation {self.validation:g} leave nothing for test")
        return self

    @property
    def test(self) -> Decimal:
        """The share of the test part."""
        return 1 - Decimal(str(self.train)) - Decimal(str(self.validation))


class Templates(BaseModel):
    """Sentences of this dataset; empty: those of its domain.

    ``profile``: about a user, each filled in with the user's columns (``{age}``) and left out where one is not known;
    ``{they}`` and ``{their}`` are the user as a pronoun. ``title``: the text whose embedding is e_title;
    ``describe``: what the describer is asked; both hold ``{noun}``, ``{label}`` and ``{categories}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: tuple[str, ...] = ()
    title: str = ""
    describe: str = ""

    @field_validator("title", "describe")
    @classmethod
    def _known_places(cls, text: str) -> str:
        unknown = [name for name in places(text) if name not in ITEM_PLACES]
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in ITEM_PLACES)
            raise ValueError(f"{{{unknown[0]}}} is not known here; there are {known}")
        if text and "label" not in places(text):
            raise ValueError("it does not hold {label}, so every item would be the same")
        return text


def places(template: str) -> list[str]:
    """The names in braces, in order."""
    return _PLACE.findall(template)


def fill(template: str, values: dict[str, str]) -> str:
    """The template with its places filled in; no format language, so data and templates can name nothing else."""
    return _PLACE.sub(lambda match: values[match[1]], template)
