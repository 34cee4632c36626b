"""What a prompt shows about a target: past items seen from it, how the user rates, what others gave.

Reads no more than the prompt's own lines and their precision (three categories, one decimal), so that nothing said
about it can be false for a reader of the prompt or known to the data alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backend.datasets import LabelRule
from backend.prompting import HistoryLine, PromptSubject, RatingHabit

SHOWN_CATEGORIES = 3
_YEAR = re.compile(r"\((\d{4})\)\s*$")
_BRACKETS = re.compile(r"\([^()]*\)")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+|,\s*(?:the|a|an)$")
_NUMBER = re.compile(
    r"\s+(?:(?:part|episode|vol\.?|volume|chapter)\s+)?"
    r"(?:[2-9]|1\d|i{1,3}|iv|vi{0,3}|ix|x|one|two|three|four|eleven|twelve|thirteen)$"
)


@dataclass(frozen=True)
class EvidenceItem:
    """A past item seen from the target.

    ``shared``: shown categories of both; ``series``: both titles begin alike ("Alien", "Aliens"); ``namesake``: the
    titles are equal but for the year; ``same_decade``: both labels end in a year of one decade. ``margin``: how far the
    rating is from the dataset's threshold, 0 to 1 (the end of the scale). ``others``: as shown, None for few.
    """

    label: str
    rating: float
    liked: bool
    margin: float
    shared: tuple[str, ...]
    series: bool
    namesake: bool
    same_decade: bool
    others: float | None

    @property
    def relevance(self) -> int:
        """How much it has in common with the target; 0: neither a category nor the series."""
        return len(self.shared) + (3 if self.series or self.namesake else 0)


@dataclass(frozen=True)
class ShownEvidence:
    """All that a prompt shows about one target, ``items`` in the prompt's order."""

    noun: str
    nouns: str
    unit: str
    rule: LabelRule
    items: tuple[EvidenceItem, ...]
    decade: str | None
    others: float | None
    habit: RatingHabit | None

    @cached_property
    def similar(self) -> tuple[EvidenceItem, ...]:
        """Past items that share a category or the series."""
        return tuple(item for item in self.items if item.relevance)

    @cached_property
    def leaning(self) -> float:
        """Which way all of it points, and how clearly: above 0 for yes, roughly -3 to 3."""
        weight = {side: sum(i.relevance * (0.5 + i.margin) for i in self.similar if i.liked is side) for side in _SIDES}
        total = weight[True] + weight[False]
        by_items = (weight[True] - weight[False]) / max(total, 4.0)
        by_habit = 2 * self.habit.liked - 1 if self.habit else 0.0
        return by_items + by_habit + self.others_leaning - _TILT

    @cached_property
    def others_leaning(self) -> float:
        """Which way the others' rating of the target points, -1 to 1; 0 where few rated it."""
        if self.others is None:
            return 0.0
        known = [item.others for item in self.items if item.others is not None]
        usual = float(np.mean(known)) if known else self.rule.threshold
        return float(np.clip(self.others - (usual + self.rule.threshold) / 2, -1, 1))

    def likes(self, rating: float) -> bool:
        """Whether a rating is a "yes" by the dataset's rule."""
        return bool(self.rule.apply(np.asarray(rating)))


_SIDES = (True, False)
# Users mostly rate what they like, so a balanced prompt leans to yes: on the training part of ml-latest-small, as many
# targets are liked as not where the sum of the three is about a half.
_TILT = 0.5


def gather(subject: PromptSubject, history: Sequence[HistoryLine]) -> ShownEvidence:
    """Read what the prompt about ``subject`` and ``history`` shows; the layout ``paper`` shows no habit, no others."""
    meta, target = subject.meta, subject.target
    tells_more = subject.layout == "answered"
    return ShownEvidence(
        noun=one_line(meta.item_noun),
        nouns=one_line(meta.item_noun_plural),
        unit=one_line(meta.rating_unit),
        rule=meta.label_rule,
        items=tuple(_past_item(subject, line, line.rating, tells_more) for line in history if line.rating is not None),
        decade=decade(target.label),
        others=shown(target.others) if tells_more else None,
        habit=subject.habit if tells_more and subject.habit and subject.habit.count else None,
    )


def _past_item(subject: PromptSubject, line: HistoryLine, rating: float, tells_more: bool) -> EvidenceItem:
    meta, target = subject.meta, subject.target
    liked = bool(meta.label_rule.apply(np.asarray(rating)))
    room = abs((meta.rating_max if liked else meta.rating_min) - meta.label_rule.threshold)
    seen = shown_categories(line)
    namesake = bare_title(line.label) == bare_title(target.label) != ""
    era = decade(line.label)
    return EvidenceItem(
        label=one_line(line.label),
        rating=rating,
        liked=liked,
        margin=min(1.0, abs(rating - meta.label_rule.threshold) / room) if room else 0.0,
        shared=tuple(name for name in shown_categories(target) if name in seen),
        series=not namesake and title_stem(line.label) == title_stem(target.label) != "",
        namesake=namesake,
        same_decade=era is not None and era == decade(target.label),
        others=shown(line.others) if tells_more else None,
    )


def shown_categories(line: HistoryLine) -> tuple[str, ...]:
    """The categories that every layout shows, each on one line, without repeats."""
    return tuple(dict.fromkeys(filter(None, map(one_line, line.categories[:SHOWN_CATEGORIES]))))


def shown(value: float | None) -> float | None:
    """An average at the precision of the prompt."""
    return None if value is None else float(f"{value:.1f}")


def decade(label: str) -> str | None:
    """``1990s`` for "Heat (1995)"; None for a label without a year at its end."""
    year = _YEAR.search(label)
    return f"{year[1][:3]}0s" if year else None


def bare_title(label: str) -> str:
    """A title without brackets and articles, in lower case: "Matrix, The (1999)" is "matrix"."""
    title = one_line(_BRACKETS.sub(" ", label)).casefold()
    return _ARTICLE.sub("", title).strip()


def title_stem(label: str) -> str:
    """What titles of one series have in common: without subtitle, number and plural ("Aliens", "Alien 3": "alien").

    Empty for stems of fewer than three letters, which say nothing.
    """
    stem = re.split(r":|\s+-\s+", bare_title(label), maxsplit=1)[0]
    stem = _NUMBER.sub("", _ARTICLE.sub("", stem).strip())
    stem = stem.removesuffix("s")
    return stem if sum(map(str.isalpha, stem)) >= 3 else ""


def one_line(text: str) -> str:
    """Text as the prompt writes it: without line breaks or repeated spaces."""
    return " ".join(text.split())
