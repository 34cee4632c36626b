"""A chain as the page draws it: its verdict, and its text with the titles that it cites marked: in the prompt, with
another rating there, or not in it at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from backend.engines import THINK_CLOSE
from backend.evaluation.citations import Citation, cited_titles
from backend.prompting import HistoryLine, read_verdict
from backend.types import Trace

Pieces = tuple[tuple[str, str], ...]

# What a mark means, said on hover.
ABOUT = {
    "cited": "this title is in the prompt",
    "misquoted": "in the prompt, with another rating",
    "invented": "not in the prompt",
}


@dataclass(frozen=True)
class Written:
    """One chain. ``thinking``: its text before ``</think>``, in pieces (:func:`marked`); ``conclusion``: what follows.

    ``verdict`` is empty until the chain has ended, and ``why`` says why there is none. ``writing``: it still grows.
    """

    number: int
    trace: Trace | None
    thinking: Pieces
    conclusion: str
    verdict: str
    why: str
    writing: bool


def written(
    index: int,
    trace: Trace | None,
    piece: str | None,
    live: bool,
    history: tuple[HistoryLine, ...],
    target: HistoryLine,
) -> Written:
    """The ``index``-th chain: finished (``trace``), or as far as it is written (``piece``)."""
    text = trace.text if trace else piece or ""
    before, closed, after = text.rpartition(THINK_CLOSE)
    thinking, conclusion = (before.strip(), after.strip()) if closed else (text.strip(), "")
    verdict = read_verdict(text) if trace else None
    return Written(
        index + 1,
        trace,
        marked(thinking, history, target) if trace else (("", thinking),) if thinking else (),
        conclusion,
        verdict.answer if verdict else "",
        verdict.reason if verdict else "",
        live and trace is None and piece is not None,
    )


@lru_cache(maxsize=512)  # a slider redraws the same chains many times
def marked(text: str, history: tuple[HistoryLine, ...], target: HistoryLine) -> Pieces:
    """``text`` in pieces, each with its kind: a key of :data:`ABOUT`, or nothing."""
    pieces, at = [], 0
    for cited in cited_titles(text, history, target):
        start = text.find(cited.title, at)
        if start < 0:  # a title across a line break
            continue
        pieces += [("", text[at:start]), (_kind(cited), cited.title)]
        at = start + len(cited.title)
    return tuple(piece for piece in (*pieces, ("", text[at:])) if piece[1])


def _kind(cited: Citation) -> str:
    if not cited.in_prompt:
        return "invented"
    return "misquoted" if cited.rating_right is False else "cited"
