"""Generated descriptions (eq. 1): what the model is asked, and which of its texts are of no use.

Running the model is left to an engine, keeping the texts to the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.control_words import without_control_words
from backend.datasets.rules import fill
from backend.datasets.schema import DatasetMeta
from backend.representation.texts import NO_CATEGORY
from backend.types import Message, Messages

# p of eq. 1, by what the items are. No facts are asked for (people, places, prizes): a small model makes them up.
_MOVIE = (
    "Describe the movie {label} in two sentences: what happens in it, its mood, and who will enjoy it.\n"
    "Genres: {categories}."
)
_BOOK = (
    "Describe the {noun} {label} in two sentences: what it is about, how it reads, and who will enjoy it.\n"
    "<Kinds>: {categories}."
)
_GENERAL = (
    "Describe the {noun} {label} in two sentences: what it is, what it is like, and who will enjoy it.\n"
    "<Kinds>: {categories}."
)
# What stands in for a description that was not generated or is of no use. It is worded like the generated ones: a
# plainer sentence lies so far from them that items would be told apart by who wrote about them.
_FIXED = "{label} is a {noun} that combines elements of {categories}, and those who enjoy {categories} will like it."
_FIXED_BOOK = "{label} is a {noun} by {categories}, and those who enjoy {categories} will like it."

_ENDINGS = (".", "!", "?", '."', '!"', '?"')
_LONGEST = 2000  # characters; a database's or a page's sake


class DescribeConfig(BaseModel):
    """``items``: how many items are described, those with the most interactions first; the rest keep the fixed
    sentence. ``counted``: which interactions count for that, those of the training part or all of them, of which the
    validation and test part tell what is to be predicted. ``attempts``: how often a useless text is drawn anew, each
    time from another seed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: int = Field(2000, ge=0)
    counted: Literal["train", "all"] = "train"
    max_tokens: int = Field(64, ge=8, le=1024)
    temperature: float = Field(0.6, gt=0, le=2)
    top_p: float = Field(0.95, gt=0, le=1)
    attempts: int = Field(3, ge=1, le=10)


def describe_template(meta: DatasetMeta) -> str:
    """The dataset's own template, or that for what its items are; part of an artifact's recipe."""
    if meta.templates.describe:
        return meta.templates.describe
    if meta.item_noun == "movie":
        return _MOVIE
    kinds = meta.category_noun_plural
    return (_BOOK if meta.domain == "books" else _GENERAL).replace("<Kinds>", kinds[:1].upper() + kinds[1:])


def fixed_template(meta: DatasetMeta) -> str:
    """What an item that was not described gets; part of an artifact's recipe."""
    return _FIXED_BOOK if meta.domain == "books" else _FIXED


def describe_prompt(meta: DatasetMeta, label: str, categories: Sequence[str]) -> Messages:
    """The question of eq. 1 about one item: its basic information b_i put into the template p."""
    label, known = (without_control_words(" ".join(t.split())) for t in (label, ", ".join(categories) or NO_CATEGORY))
    values = {"noun": meta.item_noun, "label": label, "categories": known}
    return (Message("user", fill(describe_template(meta), values)),)


def fixed_description(meta: DatasetMeta, label: str, categories: Sequence[str]) -> str:
    """The description of an item that the model did not, or could not, describe."""
    if meta.domain == "books":  # names keep their capitals
        known = list(categories) or [f"an {NO_CATEGORY} {meta.category_noun}"]
    else:
        known = [category.lower() for category in categories] or [f"an {NO_CATEGORY} kind"]
    listed = " and ".join(filter(None, [", ".join(known[:-1]), known[-1]]))
    return fill(fixed_template(meta), {"label": " ".join(label.split()), "noun": meta.item_noun, "categories": listed})


def tidy(text: str) -> str:
    """One paragraph, without the sentence that the length limit cut off (kept where it is the only one)."""
    text = " ".join(text.split())[:_LONGEST]
    if text.endswith(_ENDINGS):
        return text
    end = max(text.rfind(mark + " ") for mark in (".", "!", "?"))
    return text[: end + 1] if end > 0 else text


def why_useless(text: str, prompt: Messages) -> str | None:
    """``empty``, ``loop`` or ``echo`` (the prompt repeated); None for a text that can be used."""
    words = [word.strip(".,!?;:\"'()*").lower() for word in text.split()]
    if len(words) < 5:
        return "empty"
    if len(set(words)) < 0.4 * len(words) or _most_repeated(words, 4) >= 3:
        return "loop"
    prompt_words = {word.strip(".,!?;:\"'()*").lower() for message in prompt for word in message.content.split()}
    new_words = sum(word not in prompt_words for word in words)
    return "echo" if new_words < 0.25 * len(words) else None


def _most_repeated(words: Sequence[str], length: int) -> int:
    runs = Counter(tuple(words[i : i + length]) for i in range(len(words) - length + 1))
    return max(runs.values(), default=0)
