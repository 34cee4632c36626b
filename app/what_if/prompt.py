"""A prompt that was edited by hand, beside the history and the hint that would write it: where they have parted."""

from __future__ import annotations

from typing import Any

from app.what_if.diff import unnumbered
from app.what_if.view import View
from backend.pipeline import Prediction
from backend.prompting import build_prompt
from backend.what_if import MAX_PROMPT

_MOST_NAMED = 3


def editor(view: View) -> dict[str, Any]:
    """What the template of the prompts needs to edit one, and to say what an edited one is not any more.

    ``missing``: past items whose line is not in the edited text; ``extra``: whose line is, and that are of the history
    before only; ``unhinted``: the hint that it leaves out.
    """
    own, draft = view.what_if.edits.prompt, view.draft
    told: dict[str, Any] = {"own": own is not None, "text": own or draft, "most": MAX_PROMPT}
    told["waits"] = view.after.prediction.written_prompt is None
    if own is None:
        return told
    before, after = (_history(side.prediction) for side in (view.before, view.after))
    missing = [label for block, label in after.items() if not _stands(block, own)]
    extra = [label for block, label in before.items() if block not in after and _stands(block, own)]
    return told | {"missing": _named(missing), "extra": _named(extra), "unhinted": _left_hint(view, own)}


def _history(prediction: Prediction) -> dict[str, str]:
    """What the history's lines say, without their numbers, each with its item's label."""
    question = prediction.question
    prompt = build_prompt("reason", question.subject, question.lines)
    lines = sorted(question.lines, key=lambda line: line.position or 0)  # as the spans are
    spans = zip(prompt.droppable, lines, strict=True)
    return {unnumbered(prompt.text[start:end].strip()): line.label for (start, end), line in spans}


def _stands(block: str, text: str) -> bool:
    """Whether the text has these lines, under whatever number."""
    lines = "\n".join(unnumbered(line.strip()) for line in text.split("\n"))
    return f"\n{block}\n" in f"\n{lines}\n"


def _named(labels: list[str]) -> str:
    more = len(labels) - _MOST_NAMED
    return ", ".join(labels[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _left_hint(view: View, own: str) -> str:
    written = view.after.prediction.written_prompt
    if written is None or written.knowledge_span is None:
        return ""
    start, end = written.knowledge_span
    hint = written.text[start:end]
    return "" if hint in own else hint
