"""Prompts out of a subject and its chosen history (section 4.2.5) and, for M_R, injected knowledge (eq. 9).

Templates are Jinja2 files, worded by the dataset's own nouns: one per question for movies whose users nobody knows, and
in ``domains`` one for each other kind of data. Choosing the history is the business of ``backend.retrieval``; the chat
format is the engine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict

from backend.control_words import without_control_words
from backend.datasets import DatasetMeta
from backend.datasets.schema import Domain
from backend.evidence.lines import WORDING, EvidenceLine
from backend.prompting.person import SOMEBODY, Person
from backend.seeding import digest
from backend.types import Message, Messages

# Marks in the text while a template is rendered: one for the knowledge, one before each line of the history and behind
# the last, one before a past item's answer. They tell these places exactly, and none is let in from outside.
_KNOWLEDGE_MARK = "\ue000"
_LINE_MARK = "\ue001"
_ANSWER_MARK = "\ue002"
_NO_MARKS = str.maketrans("", "", _KNOWLEDGE_MARK + _LINE_MARK + _ANSWER_MARK)
_TEMPLATES = Path(__file__).parent / "templates"
_BASE = "domains/base.j2"
# The words of a dataset that templates use.
_WORDS = ("item_noun", "item_noun_plural", "verb_past", "rating_unit", "category_noun")


Layout = Literal["paper", "answered", "evidence"]
# The template that a layout is written with: ``evidence`` adds its lines to another one's.
_WRITTEN_AS: dict[Layout, str] = {"paper": "paper", "answered": "answered", "evidence": "answered"}


class PromptingConfig(BaseModel):
    """``template``: how the history is written. ``paper``: titles and ratings; ``answered``: every past item also
    carries its own answer, and what other users gave it on average, so that a small model learns from each of them.
    ``evidence``: as ``answered``, and before the question stands what the whole past and the training part say about
    the target (:mod:`backend.evidence.lines`).

    ``knowledge``: how M_G's answer is put to M_R.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: Layout = "paper"
    knowledge: Literal["paper", "graded", "none"] = "paper"


@dataclass(frozen=True)
class HistoryLine:
    """One past item as the prompt shows it; ``rating`` and ``position`` are None for the target.

    ``position``: its place in the user's past, greater is newer. A line without one is never left out. ``others``: the
    mean rating by other users of the training part, None where too few rated it.
    """

    label: str
    categories: tuple[str, ...]
    rating: float | None = None
    position: int | None = None
    others: float | None = None


@dataclass(frozen=True)
class RatingHabit:
    """How a user rates, from all ratings before the target: how many, their mean, and the share that is a "yes"."""

    count: int
    mean: float
    liked: float


@dataclass(frozen=True)
class PromptSubject:
    """What a prompt is about: the dataset's words, the user's profile lines and habit, and the target item; ``person``:
    how the user is spoken of; ``evidence``: lines of the layout ``evidence``, empty for others.
    """

    meta: DatasetMeta
    target: HistoryLine
    profile: tuple[str, ...] = ()
    habit: RatingHabit | None = None
    layout: Layout = "paper"
    person: Person = SOMEBODY
    evidence: tuple[EvidenceLine, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt: ``text``, and where in it the injected sentence stands (``None`` where nothing was).

    ``droppable``: where the history's lines stand, each with its line break, oldest interaction first: what may be left
    out where a model's context is too short. ``answers``: where the answers of the past items stand (``Yes`` or
    ``No``), in the order of the text; empty for a layout without them.
    """

    text: str
    knowledge_span: tuple[int, int] | None = None
    droppable: tuple[tuple[int, int], ...] = ()
    answers: tuple[tuple[int, int], ...] = ()

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
    rule = subject.meta.label_rule
    marked = (
        _template(_template_name(kind, subject.meta.domain))
        .render(
            kind=kind,
            layout=_WRITTEN_AS[subject.layout],
            person=subject.person,
            meta=_unmarked(subject.meta),
            profile=[_one_line(line) for line in subject.profile],
            habit=subject.habit,
            target=_clean(subject.target),
            history=[_clean(line) for line in history],
            liked=lambda rating: bool(rule.apply(np.asarray(rating))),
            knowledge=_KNOWLEDGE_MARK if knowledge else None,
            line_mark=_LINE_MARK,
            answer_mark=_ANSWER_MARK,
            number=_number,
        )
        .strip()
    )
    marked, answers = _answer_spans(marked)
    head, _, tail = marked.partition(_KNOWLEDGE_MARK)
    before, *lines, question = head.split(_LINE_MARK)
    question = _evidence(subject) + question
    head = "".join((before, *lines, question))
    droppable = _oldest_first(history, lines, len(before))
    if not knowledge:
        return Prompt(head, None, droppable, answers)
    return Prompt(head + knowledge + tail, (len(head), len(head) + len(knowledge)), droppable, answers)


def _evidence(subject: PromptSubject) -> str:
    if not subject.evidence:
        return ""
    return _one_line(" ".join(line.text for line in subject.evidence)) + "\n"


def _answer_spans(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Takes the marks of answers out of the text; returns it, and where the words behind them stand then."""
    first, *rest = marked.split(_ANSWER_MARK)
    spans, length = [], len(first.replace(_LINE_MARK, ""))
    for piece in rest:
        word = piece.split(",", 1)[0]
        spans.append((length + len(word) - len(word.lstrip()), length + len(word)))
        length += len(piece.replace(_LINE_MARK, ""))
    return first + "".join(rest), tuple(spans)


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
def template_digest(domain: Domain = "movies", layout: Layout = "paper") -> str:
    """One name for the wording of a domain's prompts in a layout: what is learned from them depends on it."""
    if layout == "evidence":
        return digest([template_digest(domain), WORDING], 16)
    files = sorted(_TEMPLATES.glob("*.j2"))
    if domain != "movies":
        files = [_TEMPLATES / _BASE, _TEMPLATES / _template_name("", domain)]
    return digest([[path.name, path.read_text("utf-8")] for path in files], 16)


def _template_name(kind: str, domain: Domain) -> str:
    return f"{kind}.j2" if domain == "movies" else f"domains/{domain}.j2"


@cache
def _template(name: str) -> Template:
    # Prompts are plain text for a model: no HTML escaping here. Screens escape what they show.
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, autoescape=False
    )
    return environment.get_template(name)


def _clean(line: HistoryLine) -> HistoryLine:
    return replace(line, label=_one_line(line.label), categories=tuple(map(_one_line, line.categories)))


def _unmarked(meta: DatasetMeta) -> DatasetMeta:
    """The dataset's words without marks, which none should have."""
    words = {name: getattr(meta, name) for name in _WORDS}
    clean = {name: _without_marks(word) for name, word in words.items()}
    return meta if clean == words else meta.model_copy(update=clean)


def _one_line(text: str) -> str:
    """Makes one line of what the data says, in which nothing can forge other parts of a prompt, or of the chat."""
    return without_control_words(" ".join(_without_marks(text).split()))


def _without_marks(text: str) -> str:
    return text.translate(_NO_MARKS)


def _number(value: float) -> str:
    return f"{value:g}"
