"""What goes with good reasoning: correctness, injected knowledge, length, variance. Figures, and the plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.label.drawing.results_figures import Mark, rows, told, trend_figure
from app.shared.templating import render
from backend.labelling.insight import Insight, Split, Trend
from backend.labelling.pairs import Contest

# Per kind of chain: what it is called, its shape and its class.
_KINDS = {
    "correct": ("correct", "round", "correct"),
    "wrong": ("wrong", "square", "wrong"),
    "no_answer": ("no answer", "diamond", "silent"),
    "injected": ("with the sentence", "round", "correct"),
    "none": ("without it", "square", "wrong"),
}
# Per contest of two chains: what is asked, who won, and what to think of it.
_CONTESTS = {
    "correct": ("The correct one against the wrong one", "correct one", "its verdict is what really happened"),
    "longer": ("The longer one against the shorter one", "longer one", "in tokens"),
    "injected": ("The one whose prompt had the injected sentence", "one with the sentence",
                 "pairs made here have one prompt for both"),
    "first": ("The one that is shown first", "first one", "the order is random: far from a half, the place decides"),
}  # fmt: skip


def insight(own: Insight) -> str:
    """All four questions; of pairs, which chain is preferred."""
    return render(
        "label/results_insight.html",
        own=own,
        contests=[_contest(contest) for contest in own.pairs.contests],
        splits=[
            _question("Does better reasoning go with being right?", "correct minus wrong", own.correctness,
                      ("correct", "wrong", "no_answer")),
            _question("Does the injected sentence change the reasoning?", "with minus without", own.knowledge,
                      ("injected", "none")),
        ],
        trends=[
            _along("Are longer chains better?", "tokens", own.length),
            _along("Are chains worse where the chains of a sample disagree?", "variance of P(yes)", own.variance),
        ],
    )  # fmt: skip


def _contest(contest: Contest) -> dict[str, Any]:
    asks, kind, note = _CONTESTS[contest.name]
    share = contest.share
    return {
        "asks": asks,
        "note": note,
        "own": contest,
        "told": told(share),
        "figure": rows([Mark(share, "round", "correct", f"won by the {kind}")], 0.0, 1.0, zero=0.5),
        "sure": _sure(share.low - 0.5, share.high - 0.5),
    }


def _question(asks: str, difference: str, splits: Sequence[Split], kinds: Sequence[str]) -> dict[str, Any]:
    return {
        "asks": asks,
        "difference": difference,
        "key": [(name, shape, css) for name, shape, css in (_KINDS[kind] for kind in kinds)],
        "rows": [
            {
                "quality": split.quality,
                "figure": rows(
                    [Mark(group.mean, _KINDS[group.name][1], _KINDS[group.name][2], _KINDS[group.name][0])
                     for group in split.groups],
                    split.quality.low, split.quality.high,
                ),
                "groups": [
                    (_KINDS[group.name][0], told(group.mean), group.mean.of, group.mean.why) for group in split.groups
                ],
                "difference": told(split.difference, sign="+"),
                "why": split.difference.why,
                "sure": _sure(split.difference.low, split.difference.high),
            }
            for split in splits
        ],
    }  # fmt: skip


def _along(asks: str, number: str, trends: Sequence[Trend]) -> dict[str, Any]:
    return {
        "asks": asks,
        "number": number,
        "trends": [
            {
                "quality": trend.quality,
                "figure": trend_figure(trend, number),
                "rank": told(trend.rank, sign="+"),
                "why": trend.rank.why,
                "sure": _sure(trend.rank.low, trend.rank.high),
                "groups": [(group.name, told(group.mean), group.mean.of) for group in trend.groups],
            }
            for trend in trends
        ],
    }


def _sure(low: float, high: float) -> bool:
    """Whether the interval leaves out 0."""
    return low > 0 or high < 0
