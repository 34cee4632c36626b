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

# Stands for the knowledge while a template is rendered, so that its place in the text is known exactly.
_MARK = "\ue000"


class PromptingConfig(BaseModel):
    """``knowledge``: how M_G's answer is put to M_R. ``p_g``: M_G's answer to the first history order, or the mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    knowledge: Literal["paper", "graded", "none"] = "paper"
    p_g: Literal["first", "mean"] = "first"


@dataclass(frozen=True)
class HistoryLine:
    """One past item as the prompt shows it; ``rating`` is None for the target."""

    label: str
    categories: tuple[str, ...]
    rating: float | None = None


@dataclass(frozen=True)
class PromptSubject:
    """What a prompt is about: the dataset's words, the user's profile lines, and the target item."""

    meta: DatasetMeta
    target: HistoryLine
    profile: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt: ``text``, and where in it the injected sentence stands (``None`` where nothing was)."""

    text: str
    knowledge_span: tuple[int, int] | None = None

    @property
    def messages(self) -> Messages:
        return (Message("user", self.text),)


def build_prompt(
    kind: Literal["answer", "reason"],
    subject: PromptSubject,
    history: Sequence[HistoryLine],
    knowledge: str | None = None,
) -> Prompt:
    """The question for M_G (``answer``) or M_R (``reason``), with ``history`` in the order given."""
    text = (
        _template(kind)
        .render(
            meta=subject.meta,
            profile=[_one_line(line) for line in subject.profile],
            target=_clean(subject.target),
            history=[_clean(line) for line in history],
            knowledge=_MARK if knowledge else None,
            number=_number,
        )
        .strip()
    )
    if not knowledge:
        return Prompt(text)
    start = text.index(_MARK)
    return Prompt(text.replace(_MARK, knowledge), (start, start + len(knowledge)))


@cache
def _template(kind: str) -> Template:
    # Prompts are plain text for a model: no HTML escaping here. Screens escape what they show.
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=False
    )
    return environment.get_template(f"{kind}.j2")


def _clean(line: HistoryLine) -> HistoryLine:
    return HistoryLine(_one_line(line.label), tuple(map(_one_line, line.categories)), line.rating)


def _one_line(text: str) -> str:
    """What the data says is one line of text: line breaks and the mark cannot forge other parts of the prompt."""
    return " ".join(text.replace(_MARK, "").split())


def _number(value: float) -> str:
    return f"{value:g}"
