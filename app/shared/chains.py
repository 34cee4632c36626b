"""A chain as the page draws it: its verdict, and its steps with the titles that they cite marked: in the prompt, with
another rating there, or not in it at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from backend.engines import THINK_CLOSE
from backend.evaluation.citations import Citation, cited_titles
from backend.prompting import HistoryLine, read_verdict, split_steps
from backend.types import NO_CHAIN, Trace

# What a mark means, said on hover.
ABOUT = {
    "cited": "this title is in the prompt",
    "misquoted": "in the prompt, with another rating",
    "invented": "not in the prompt",
}
MARKS = {"misquoted": "≠", "invented": "?"}


@dataclass(frozen=True)
class Piece:
    """``kind``: a key of :data:`ABOUT` for a cited title, or nothing. ``label``: of the prompt's line that is meant."""

    kind: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class ChainStep:
    """``pieces`` hold all text up to the next step. ``flags``: (mark, words) for each title that is wrongly cited."""

    pieces: tuple[Piece, ...]
    flags: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Written:
    """One chain. ``steps``: its text before ``</think>``; ``closing``: from there to ``conclusion``, which follows.

    ``verdict`` is empty until the chain has ended, and where the text is no chain; ``why`` says why there is none.
    ``writing``: it still grows.
    """

    number: int
    trace: Trace | None
    steps: tuple[ChainStep, ...]
    closing: str
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
    thinking, conclusion = (before, after.strip()) if closed else (text, "")
    space = after[: len(after) - len(after.lstrip())]
    verdict = read_verdict(text) if trace and trace.is_chain else None
    return Written(
        index + 1,
        trace,
        read(thinking, history, target) if trace else _in_steps(thinking, []),
        closed + space,
        conclusion,
        verdict.answer if verdict else "",
        verdict.reason if verdict else NO_CHAIN.get(trace.finish, "") if trace else "",
        live and trace is None and piece is not None,
    )


@dataclass(frozen=True)
class _Place:
    start: int
    end: int
    cited: Citation
    kind: str
    flag: str


@lru_cache(maxsize=512)  # a slider redraws the same chains many times
def read(text: str, history: tuple[HistoryLine, ...], target: HistoryLine) -> tuple[ChainStep, ...]:
    """``text`` in steps, with what it cites."""
    places, at = [], 0
    for cited in cited_titles(text, history, target):
        start = text.find(cited.title, at)
        if start < 0:  # a title across a line break
            continue
        at = start + len(cited.title)
        kind = _kind(cited)
        places.append(_Place(start, at, cited, kind, _flag(cited, kind, history)))
    return _in_steps(text, places)


def _in_steps(text: str, places: Sequence[_Place]) -> tuple[ChainStep, ...]:
    steps = split_steps(text)
    edges = [0, *(step.start for step in steps[1:]), len(text)]
    return tuple(
        ChainStep(
            _pieces(text, start, end, places),
            tuple((MARKS[p.kind], p.flag) for p in places if p.flag and start <= p.start < end),
        )
        for start, end in pairwise(edges if text.strip() else ())  # a tag alone is no step, and is shown
    )


def _pieces(text: str, start: int, end: int, places: Sequence[_Place]) -> tuple[Piece, ...]:
    """``text[start:end]`` in pieces; of a title that begins or ends elsewhere, the part that is here."""
    pieces, at = [], start
    for place in places:
        first, last = max(place.start, start), min(place.end, end)
        if first < last:
            pieces += [Piece("", text[at:first]), Piece(place.kind, text[first:last], place.cited.label)]
            at = last
    return tuple(piece for piece in (*pieces, Piece("", text[at:end])) if piece.text)


def _kind(cited: Citation) -> str:
    if not cited.in_prompt:
        return "invented"
    return "misquoted" if cited.rating_right is False else "cited"


def _flag(cited: Citation, kind: str, history: Sequence[HistoryLine]) -> str:
    """What is wrong with it, in words; empty where nothing is."""
    if kind == "invented":
        return f"{cited.title} is not in the prompt"
    if kind != "misquoted":
        return ""
    ratings = [f"{line.rating:g}" for line in history if line.label == cited.label and line.rating is not None]
    return f"{cited.title}: the prompt says {' or '.join(ratings)}, not {cited.rating:g}"
