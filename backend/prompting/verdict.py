"""The worded verdict of a reasoning chain. Output that cannot be read is a typed result, never a silent 0.5."""

from __future__ import annotations

import re
from dataclasses import dataclass

NO_ANSWER = "no_answer"
_CLOSE = "</think>"
# "Yes or No" repeats the question; it answers nothing.
_QUESTION = re.compile(r"\b(?:yes\s*(?:or|/)\s*no|no\s*(?:or|/)\s*yes)\b", re.IGNORECASE)
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_STATED = re.compile(
    r"\b(?:answer|verdict|prediction)\b\W*(?:(?:is|would be|will be)\b\W*)?\b(yes|no)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Verdict:
    """``answer`` is ``yes``, ``no`` or ``no_answer``; ``reason`` says why there is none (empty otherwise)."""

    answer: str
    reason: str = ""

    @property
    def hard(self) -> float:
        """1, 0, or 0.5 where there is no answer (which ``answer`` tells apart from a real tie)."""
        return {"yes": 1.0, "no": 0.0}.get(self.answer, 0.5)


def read_verdict(text: str) -> Verdict:
    """Read yes or no, as whole words, from what follows the last ``</think>``.

    A stated answer ("The answer is: No") wins over a mere word, a later one over an earlier one; without one, the
    first yes or no counts. A text that never closes its thinking has a verdict only where it states one in its last
    line.
    """
    _thinking, closed, conclusion = text.rpartition(_CLOSE)
    if closed:
        conclusion = _QUESTION.sub(" ", conclusion)
        words = _STATED.findall(conclusion)[-1:] or _WORD.findall(conclusion)[:1]
        if words:
            return Verdict(words[0].lower())
        return Verdict(NO_ANSWER, "nothing after </think> says yes or no")
    lines = conclusion.rstrip().splitlines()
    stated = _STATED.findall(_QUESTION.sub(" ", lines[-1])) if lines else []
    if stated:
        return Verdict(stated[-1].lower())
    return Verdict(NO_ANSWER, "the reasoning was not closed with </think>")
