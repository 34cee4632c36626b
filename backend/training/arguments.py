"""Rationales to tune a small reasoning model on: from a draw of the prompt's evidence to a verdict in grades.

The paper's M_R is a large reasoning model (section 4.3); a small one learns the habit from what is composed here. A
rationale cites some pieces of the evidence, says which way they point, and concludes as surely as these pieces allow
(:class:`backend.training.teacher.Teacher`): the label of the sample plays no part in it. So chains about one sample
differ by what they cite, and agree where the evidence does. Every number and title is the prompt's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backend.evidence import GRADES
from backend.prompting import HistoryLine, PromptSubject

# How a conclusion is worded, the surest yes first: from which P(yes) on, and its words.
VERDICTS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.9, ("So they will very likely like it.", "So very likely yes.")),
    (0.75, ("So they will likely like it.", "So likely yes.")),
    (0.6, ("So it leans to yes.", "So this is leaning to yes.")),
    (0.4, ("So it could go either way.", "So this could go either way.")),
    (0.25, ("So it leans to no.", "So this is leaning to no.")),
    (0.1, ("So they will likely not like it.", "So likely no.")),
    (0.0, ("So they will very likely not like it.", "So very likely no.")),
)
# Longer titles are not cited.
_LONGEST_LABEL = 45
_SHOWN_CATEGORIES = 3
# How many pieces a rationale cites, and how often.
_CITED, _SHARES = (3, 4, 5), (0.35, 0.4, 0.25)


@dataclass(frozen=True)
class EvidencePiece:
    """A piece of a prompt's evidence. ``name``: one of :data:`backend.training.teacher.PIECES`; ``forms``: clauses that
    tell it, without capital and full stop; ``side``: which way it points, None for neither.
    """

    name: str
    forms: tuple[str, ...]
    side: bool | None


def pieces_of(
    subject: PromptSubject, history: Sequence[HistoryLine], hint: bool | None, rng: np.random.Generator
) -> list[EvidencePiece]:
    """What a prompt in the layout ``evidence`` shows about its target, and what its injected sentence says."""
    meta, nouns, pieces = subject.meta, subject.meta.item_noun_plural, []
    told = {line.name: line for line in subject.evidence}
    middle = meta.label_rule.threshold + (meta.rating_max - meta.rating_min) / 15

    def add(name: str, side: bool | None, *forms: str) -> None:
        pieces.append(EvidencePiece(name, forms, side))

    if subject.habit and subject.habit.count:
        share, mean = f"{100 * subject.habit.liked:.0f}", f"{subject.habit.mean:.1f}"
        likes = f"they like {share}% of {nouns}"
        add("habit", subject.habit.liked >= 0.5, likes, f"{share}% were liked, {mean} on average")
    if "latest" in told:
        liked = told["latest"].shown
        add("latest", told["latest"].value >= 0.5, f"{liked} were liked", f"lately they liked {liked}")
    if subject.target.others is not None:
        others = f"{subject.target.others:.1f}"
        add("others", float(others) > middle, f"others give it {others}", f"others rate it {others}")
    if "expected" in told:
        value = told["expected"].shown
        add("expected", float(value) > middle, f"about {value} is expected", f"{value} is to be expected")
    if "nearest" in told:
        grade = told["nearest"].shown
        side = _side(grade)
        like = _cited(subject, history, side, rng)
        add(
            "nearest",
            side,
            f"the most similar {nouns} got {grade} their average{like}",
            f"similar {nouns} did {grade} their average{like}",
        )
    if "category" in told:
        grade = told["category"].shown
        shares = f"{nouns} that share a {meta.category_noun} got {grade} their average"
        add("category", _side(grade), shares, f"by {meta.category_noun} they rate it {grade} their average")
    if hint is not None:
        said = "Yes" if hint else "No"
        add("hint", hint, f"the other one says {said}", f"another one thinks {said}")
    return pieces


def draw_pieces(pieces: Sequence[EvidencePiece], rng: np.random.Generator) -> list[EvidencePiece]:
    """Returns the pieces that a rationale cites, in the order in which it does."""
    count = min(int(rng.choice(_CITED, p=_SHARES)), len(pieces))
    return [pieces[place] for place in rng.permutation(len(pieces))[:count]]


def compose(cited: Sequence[EvidencePiece], p_yes: float, rng: np.random.Generator) -> str:
    """What the reasoning model is to write after ``<think>``, on one line: the cited pieces, and how likely a yes is by
    them (``p_yes``).
    """
    write: Callable[[Sequence[EvidencePiece], np.random.Generator], list[str]] = (
        _by_side if rng.random() < 0.4 else _in_turn
    )
    return " ".join([*write(cited, rng), _pick(rng, VERDICTS[verdict_grade(p_yes)][1])])


def verdict_grade(p_yes: float) -> int:
    """The place among :data:`VERDICTS` of the words for a P(yes)."""
    return next(place for place, (least, _) in enumerate(VERDICTS) if p_yes >= least)


def read_grade(text: str) -> int | None:
    """The place among :data:`VERDICTS` of a rationale's conclusion; None where it has none of these words."""
    found = [(text.rfind(words), place) for place, (_, forms) in enumerate(VERDICTS) for words in forms]
    at, place = max(found)
    return place if at >= 0 else None


def _in_turn(cited: Sequence[EvidencePiece], rng: np.random.Generator) -> list[str]:
    """A sentence for each one or two pieces; one that turns to the other side begins with "But"."""
    sentences: list[str] = []
    leaning: bool | None = None
    for piece in cited:
        clause = _pick(rng, piece.forms)
        turns = leaning is not None and piece.side is not None and piece.side is not leaning
        if turns:
            sentences.append(f"But {clause}")
        elif sentences and rng.random() < 0.4 and "," not in sentences[-1]:
            sentences[-1] += f", and {clause}"
        else:
            sentences.append(_capital(clause))
        leaning = piece.side if piece.side is not None else leaning
    return [f"{sentence}." for sentence in sentences]


def _by_side(cited: Sequence[EvidencePiece], rng: np.random.Generator) -> list[str]:
    """A sentence for each side."""
    heads = ((True, "For it"), (False, "Against it"), (None, "Neither way"))
    first = cited[0].side
    ordered = sorted(heads, key=lambda head: head[0] is not first)
    sentences = []
    for side, head in ordered:
        clauses = [_pick(rng, piece.forms) for piece in cited if piece.side is side]
        if clauses:
            sentences.append(f"{head}: {'; '.join(clauses)}.")
    return sentences


def _cited(subject: PromptSubject, history: Sequence[HistoryLine], side: bool | None, rng: np.random.Generator) -> str:
    """A past item of the prompt that is like the target and was rated as similar ones were, in words that follow; empty
    where there is none.
    """
    wanted = set(subject.target.categories[:_SHOWN_CATEGORIES])
    usual = subject.habit.mean if subject.habit else subject.meta.label_rule.threshold
    fitting = [
        line
        for line in history
        if line.rating is not None
        and len(line.label) <= _LONGEST_LABEL
        and wanted & set(line.categories[:_SHOWN_CATEGORIES])
        and (side is None or (line.rating > usual) is side)
    ]
    if not fitting or rng.random() < 0.25:
        return ""
    most = max(len(wanted & set(line.categories[:_SHOWN_CATEGORIES])) for line in fitting)
    best = [line for line in fitting if len(wanted & set(line.categories[:_SHOWN_CATEGORIES])) == most]
    line = best[int(rng.integers(len(best)))]
    return f", like {' '.join(line.label.split())} at {line.rating:g}"


def _side(grade: str) -> bool | None:
    middle = len(GRADES) // 2
    place = GRADES.index(grade)
    return None if place == middle else place > middle


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _capital(clause: str) -> str:
    return clause[:1].upper() + clause[1:]
