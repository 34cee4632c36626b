"""Prompts out of a subject and its chosen history (section 4.2.5) and, for M_R, injected knowledge (eq. 9).

Templates are Jinja2 files, one per question, worded by the dataset's own nouns. Choosing the history is the business
of ``backend.retrieval``; the chat format is the engine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict

from backend.datasets import DatasetMeta
from backend.types import Message, Messages

# While a template is rendered, one stands for the knowledge, the other before each line of the history and behind the
# last one, so that their places in the text are known exactly. Neither is let in from outside.
_KNOWLEDGE_MARK = "\ue000"
_LINE_MARK = "\ue001"
# The words of a dataset that templates use.
_WORDS = ("item_noun", "item_noun_plural", "verb_past", "rating_unit")


class PromptingConfig(BaseModel):
    """``knowledge``: how M_G's answer is put to M_R. ``p_g``: M_G's answer to the first history order, or the mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    knowledge: Literal["paper", "graded", "none"] = "paper"
    p_g: Literal["first", "mean"] = "first"


@dataclass(frozen=True)
class HistoryLine:
    """One past item as the prompt shows it; ``rating`` and ``position`` are None for the target.

    ``position``: its place in the user's past, greater is newer. A line without one is never left out.
    """

    label: str
    categories: tuple[str, ...]
    rating: float | None = None
    position: int | None = None


@dataclass(frozen=True)
class PromptSubject:
    """What a prompt is about: the dataset's words, the user's profile lines, and the target item."""

    meta: DatasetMeta
    target: HistoryLine
    profile: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt: ``text``, and where in it the injected sentence stands (``None`` where nothing was).

    ``droppable``: where the history's lines stand, each with its line break, oldest interaction first: what may be left
    out where a model's context is too short.
    """

    text: str
    knowledge_span: tuple[int, int] | None = None
    droppable: tuple[tuple[int, int], ...] = ()

    @property
    def messages(self) -> Messages:
        return (Message("user", self.text, self.droppable),)


def build_prompt(
    kind: Literal["answer", "reason"],
    subject: PromptSubject,
    history: Sequence[HistoryLine],
    knowledge: str | None = None,
) -> Prompt:
    """The question for M_G (``answer``) or M_R (``reason``), with ``history`` in the order given."""
    marked = (
        _template(kind)
        .render(
            meta=_unmarked(subject.meta),
            profile=[_one_line(line) for line in subject.profile],
            target=_clean(subject.target),
            history=[_clean(line) for line in history],
            knowledge=_KNOWLEDGE_MARK if knowledge else None,
            line_mark=_LINE_MARK,
            number=_number,
        )
        .strip()
    )
    head, _, tail = marked.partition(_KNOWLEDGE_MARK)
    before, *lines, question = head.split(_LINE_MARK)
    head = "".join((before, *lines, question))
    droppable = _oldest_first(history, lines, len(before))
    if not knowledge:
        return Prompt(head, None, droppable)
    return Prompt(head + knowledge + tail, (len(head), len(head) + len(knowledge)), droppable)


def _oldest_first(history: Sequence[HistoryLine], lines: Sequence[str], start: int) -> tuple[tuple[int, int], ...]:
    """Spans of the written ``lines``, the first of which begins at ``start``, by the time of what they tell."""
    # The lines that stay keep their numbers: gaps are right, because the page numbers the same items likewise, and a
    # chain that speaks of item 3 means the item that the page shows as 3.
    spans = []
    for line, text in zip(history, lines, strict=True):
        spans.append((line.position, (start, start + len(text))))
        start += len(text)
    return tuple(span for _, span in sorted((place, span) for place, span in spans if place is not None))


@cache
def _template(kind: str) -> Template:
    # Prompts are plain text for a model: no HTML escaping here. Screens escape what they show.
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=False
    )
    return environment.get_template(f"{kind}.j2")


def _clean(line: HistoryLine) -> HistoryLine:
    return HistoryLine(_one_line(line.label), tuple(map(_one_line, line.categories)), line.rating, line.position)


def _unmarked(meta: DatasetMeta) -> DatasetMeta:
    """The dataset's words without marks, which none should have."""
    words = {name: getattr(meta, name) for name in _WORDS}
    clean = {name: _without_marks(word) for name, word in words.items()}
    return meta if clean == words else meta.model_copy(update=clean)


def _one_line(text: str) -> str:
    """What the data says is one line of text: line breaks and marks cannot forge other parts of the prompt."""
    return " ".join(_without_marks(text).split())


def _without_marks(text: str) -> str:
    return text.replace(_KNOWLEDGE_MARK, "").replace(_LINE_MARK, "")


def _number(value: float) -> str:
    return f"{value:g}"
