"""The rubric: what is asked of whoever reads a chain, in the words that they read. A label keeps its version.

A version that labels were made under is never changed; another wording is another version beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from backend.errors import UnknownNameError


@dataclass(frozen=True)
class RubricChoice:
    """One thing that can be said. ``value``: its number in figures (None: it has none); ``key``: its shortcut."""

    name: str
    label: str
    means: str
    key: str
    value: int | None = None


@dataclass(frozen=True)
class RubricScale:
    """A question about a whole chain, answered 1 to 5; ``anchors`` says what each number means, from 1."""

    name: str
    label: str
    asks: str
    anchors: tuple[str, str, str, str, str]


Named = TypeVar("Named", RubricChoice, RubricScale)


@dataclass(frozen=True)
class Rubric:
    """``steps``: what a step can be; ``tags``: what can be wrong with one that is bad; ``scales``: of the whole."""

    version: str
    steps: tuple[RubricChoice, ...]
    tags: tuple[RubricChoice, ...]
    scales: tuple[RubricScale, ...]

    def step(self, name: str) -> RubricChoice:
        """The choice of this name. Raises ``UnknownNameError``."""
        return _named("judgement of a step", self.steps, name)

    def tag(self, name: str) -> RubricChoice:
        """The error tag of this name. Raises ``UnknownNameError``."""
        return _named("error tag", self.tags, name)

    def scale(self, name: str) -> RubricScale:
        """The scale of this name. Raises ``UnknownNameError``."""
        return _named("scale", self.scales, name)


def rubric(version: str) -> Rubric:
    """The rubric of a version. Raises ``UnknownNameError``."""
    if version not in RUBRICS:
        raise UnknownNameError("version of the rubric", version, RUBRICS)
    return RUBRICS[version]


def _named(kind: str, choices: tuple[Named, ...], name: str) -> Named:
    for choice in choices:
        if choice.name == name:
            return choice
    raise UnknownNameError(kind, name, [choice.name for choice in choices])


_FIRST = Rubric(
    version="1",
    steps=(
        RubricChoice("good", "Good", "right, and brings the argument forward", "g", 1),
        RubricChoice("neutral", "Neutral", "not wrong, but no progress", "n", 0),
        RubricChoice("bad", "Bad", "wrong, or does not follow: say what is wrong with it", "b", -1),
        RubricChoice("unsure", "Can't judge", "what is shown does not tell", "u"),
    ),
    tags=(
        RubricChoice("contradicts_history", "Contradicts the history", "the history shows something else", "h"),
        RubricChoice("invented_fact", "Invented item fact", "says of an item what is not so", "i"),
        RubricChoice("contradicts_step", "Contradicts an earlier step", "the chain said the opposite before", "c"),
        RubricChoice("does_not_follow", "Does not follow", "the conclusion is not in what was said", "f"),
        RubricChoice("irrelevant", "Irrelevant", "has nothing to do with the question", "r"),
        RubricChoice("repeats", "Repeats", "says again what was said", "p"),
        RubricChoice("wrong_arithmetic", "Wrong arithmetic", "a count, an average or a comparison is wrong", "a"),
    ),
    scales=(
        RubricScale(
            "groundedness",
            "Groundedness",
            "Do its claims match the history and the item?",
            (
                "Hardly any claim matches: titles, ratings or facts are invented.",
                "More claims are wrong than right.",
                "About half of the claims match, or they are too vague to check.",
                "Almost all claims match; one small slip.",
                "Every claim that can be checked matches the history and the item.",
            ),
        ),
        RubricScale(
            "validity",
            "Validity",
            "Does each inference follow from what was said before it?",
            (
                "The inferences do not follow at all.",
                "Most of them do not follow.",
                "Some follow, some are leaps.",
                "Almost all follow; one leap that does not matter much.",
                "Each inference follows.",
            ),
        ),
        RubricScale(
            "coherence",
            "Coherence",
            "Does the text support its own yes or no?",
            (
                "The text argues for the opposite of its verdict, or has no verdict.",
                "The text leans away from its verdict.",
                "The text supports both answers alike.",
                "The text supports its verdict, with a loose end.",
                "The verdict is what the text as a whole argues for.",
            ),
        ),
        RubricScale(
            "informativeness",
            "Informativeness",
            "Does it name evidence that tells this user from another?",
            (
                "No evidence: it could be said of any user and any item.",
                "One weak piece of evidence.",
                "Some evidence, mixed with what fits anybody.",
                "Good evidence, of which some is left unused.",
                "The evidence that matters is named and used.",
            ),
        ),
        RubricScale(
            "personalisation",
            "Personalisation",
            "Is it about this user, not about items in general?",
            (
                "Only about the item, or about people in general.",
                "The user is mentioned, and plays no part.",
                "Half about this user, half general.",
                "Mostly about this user's own taste.",
                "All about this user: what they liked, did not like, and why that bears on the item.",
            ),
        ),
    ),
)
RUBRICS = {_FIRST.version: _FIRST}
