"""Evidence as sentences of a prompt, each with where its number comes from.

Differences are told in words, which a small model reads better than signed decimals. On ml-latest-small, what these
sentences tell predicts the test samples as well as the numbers behind them do: boosting on either has AUC 0.855 and log
loss 0.454.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.datasets import DatasetMeta
from backend.evidence.statistics import DIFFERENCE_SMOOTHING, ITEM_SMOOTHING, LATEST, LATEST_COMPARED
from backend.seeding import digest

# Differences from a user's own average in words, and where one word gives way to the next, in shares of the scale.
GRADES = ("far below", "below", "a little below", "about", "a little above", "above", "far above")
_CUTS = np.array([-0.5, -0.25, -0.08, 0.08, 0.25, 0.5]) / 4.5

_SENTENCES = {
    "latest": "Liked: {latest}.",
    "expected": "Others' average, moved by how {they} rates against others: {expected}.",
    "nearest": "The {nearest_count} most similar past {nouns} got ratings {nearest} {their} own average.",
    "category": "The {category_count} past {nouns} that share a {category_noun} got ratings {category} it.",
}
_ORIGINS = {
    "latest": f"the user's last {LATEST} ratings before the target",
    "expected": "the target's mean rating in the training part (the user left out, "
    f"{ITEM_SMOOTHING:g} ratings of the overall mean added), plus the mean difference of the user's last "
    f"{LATEST_COMPARED} ratings from such means ({DIFFERENCE_SMOOTHING:g} zeros added)",
    "nearest": "the past {nouns} whose co-rating vectors are most similar to the target's, their difference "
    "from the user's own mean, weighted by similarity "
    f"({DIFFERENCE_SMOOTHING:g} zeros added)",
    "category": "all past {nouns} that share a {category_noun} with the target, their mean "
    f"difference from the user's own mean ({DIFFERENCE_SMOOTHING:g} zeros added)",
}
# One name for the wording: what is learned from prompts with these lines depends on it.
WORDING = digest([_SENTENCES, GRADES, _CUTS.tolist()], 16)


@dataclass(frozen=True)
class EvidenceLine:
    """``name``: what it tells of; ``text``: the sentence in the prompt; ``shown``: what it says, in the sentence's own
    words; ``value``: the number behind it; ``origin``: where that comes from.
    """

    name: str
    text: str
    shown: str
    value: float
    origin: str


def grade(difference: float, meta: DatasetMeta) -> str:
    """A difference of ratings in words, one of :data:`GRADES`."""
    return GRADES[int(np.digitize(difference / (meta.rating_max - meta.rating_min), _CUTS))]


def evidence_lines(evidence: Mapping[str, float], meta: DatasetMeta, they: str, their: str) -> tuple[EvidenceLine, ...]:
    """The sentences about one target, without those of which nothing is known.

    ``evidence``: :meth:`~backend.evidence.statistics.Evidence.at`; ``they``, ``their``: how the user is spoken of.
    """
    latest = min(evidence["count"], float(LATEST))
    liked = evidence["liked_of_10"]
    # Whether it is known, the number, and how it is shown.
    told = {
        "latest": (latest > 0, liked, f"{latest * liked:.0f} of the last {latest:.0f}" if latest else ""),
        "expected": (not np.isnan(evidence["expected"]), evidence["expected"], f"{evidence['expected']:.1f}"),
        "nearest": (evidence["nearest_count"] > 0, evidence["by_nearest"], grade(evidence["by_nearest"], meta)),
        "category": (evidence["category_count"] > 0, evidence["by_category"], grade(evidence["by_category"], meta)),
    }
    values = {
        **{name: shown for name, (_, _, shown) in told.items()},
        **{name: f"{evidence[name]:.0f}" for name in ("nearest_count", "category_count")},
        "they": they,
        "their": their,
        "nouns": meta.item_noun_plural,
        "category_noun": meta.category_noun,
    }
    return tuple(
        EvidenceLine(name, text.format(**values), shown, value, _ORIGINS[name].format(**values))
        for name, text in _SENTENCES.items()
        for known, value, shown in (told[name],)
        if known
    )
