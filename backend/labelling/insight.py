"""Does the quality of the reasoning go with being right, with length, with disagreement, with injected knowledge? And
which of two compared chains do people prefer?

Each labelled chain becomes numbers, beside what is known of how it came about. Chains of one user hang together, so
intervals are of a bootstrap over users. All is association: nothing here says that a chain is right because it is good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelling.judgement import Judgement, preferred_side
from backend.labelling.measures import LEVEL, Measure, drawn_times, measure, plain, undefined
from backend.labelling.ratings import counted
from backend.labelling.record import ChainRecord, Label
from backend.labelling.rubric import rubric
from backend.prompting.steps import split_steps

Float64 = NDArray[np.float64]
GOOD_SHARE, FLAWLESS, FIRST_BAD = "good_steps", "flawless", "first_bad"
OUTCOMES = ("correct", "wrong", "no_answer")
NO_CHAIN = "no such chain is labelled"
NOT_BOTH = "there are not labelled chains of both kinds"
NO_SPREAD = "too few chains, or all alike"
_BINS = 4
# What is left of a spread of 0 by rounding.
_ROUNDING = 1e-9
NO_PAIR = "in no pair that is decided do the chains differ in this"
# For (first, second): 1 if the first alone is of the kind, -1 if the second alone is, 0 if both or neither are.
_Differs = Callable[[ChainRecord, ChainRecord], int]


@dataclass(frozen=True)
class Quality:
    """``name``; ``label``; ``low``, ``high``: what it can be, worst and best (of ``first_bad``: earliest, latest)."""

    name: str
    label: str
    means: str
    low: float
    high: float


@dataclass(frozen=True)
class JudgedChain:
    """``values``: by the name of a :class:`Quality`, the mean over the chain's labels, NaN where nobody said.

    ``outcome``: one of :data:`OUTCOMES`, or None where nobody knows what really happened. ``tokens``: the chain's
    length; ``variance``: of P(yes) over the chains of its sample, None where unknown; ``injected``: whether the
    prompt had a sentence with M_G's knowledge (eq. 9).
    """

    task: str
    title: str
    user: str
    labels: int
    resolved: bool
    outcome: str | None
    tokens: int
    variance: float | None
    injected: bool
    values: dict[str, float]


def qualities(version: str) -> tuple[Quality, ...]:
    """What is measured of a chain under a version of the rubric. Raises ``UnknownNameError``."""
    return (
        *(Quality(scale.name, scale.label, scale.asks, 1.0, 5.0) for scale in rubric(version).scales),
        Quality(GOOD_SHARE, "Good steps", "share of the judged steps that are good", 0.0, 1.0),
        Quality(FLAWLESS, "No bad step", "share of labels without a bad step", 0.0, 1.0),
        Quality(
            FIRST_BAD,
            "First bad step",
            "where the first bad step stands, 0 (the first step) to 1 (the last), of chains that have one",
            0.0,
            1.0,
        ),
    )


def judged_chains(labels: Iterable[Label], resolved: Iterable[Label] = ()) -> list[JudgedChain]:
    """The chains that submitted labels are about, by task. Where a task is resolved, that judgement alone counts."""
    settled = {label.task: label for label in resolved if label.kind == "resolved"}
    by_task: dict[str, list[Label]] = {}
    for label in counted(labels):
        if len(label.chains) == 1:
            by_task.setdefault(label.task, []).append(label)
    for task, label in settled.items():
        if len(label.chains) == 1:
            by_task[task] = [label]
    return [_judged(label, task in settled) for task, label in sorted(by_task.items())]


def measured(judgement: Judgement, steps: Sequence[str]) -> dict[str, float]:
    """One judgement as numbers. ``steps``: the ids of the chain's steps, in order."""
    values = {name: float(grade) for name, grade in judgement.scales.items()}
    judged = [judgement.steps[step].value for step in steps if step in judgement.steps]
    known = [value for value in judged if value != "unsure"]
    if known:
        values[GOOD_SHARE] = known.count("good") / len(known)
        values[FLAWLESS] = float("bad" not in known)
        if "bad" in known:
            first = next(place for place, step in enumerate(steps) if _is_bad(judgement, step))
            values[FIRST_BAD] = first / max(len(steps) - 1, 1)
    return values


def outcome(chain: ChainRecord) -> str | None:
    """One of :data:`OUTCOMES`, or None where nobody knows what really happened."""
    if chain.truth is None:
        return None
    if chain.verdict is None:
        return "no_answer"
    return "correct" if (chain.verdict == "yes") == chain.truth else "wrong"


def _is_bad(judgement: Judgement, step: str) -> bool:
    return step in judgement.steps and judgement.steps[step].value == "bad"


def _judged(labels: Sequence[Label], resolved: bool) -> JudgedChain:
    first = labels[0]
    chain = first.chains[0]
    steps = [step.id for step in split_steps(chain.text)]
    measures = [measured(label.judgement, steps) for label in labels]
    values = {}
    for quality in qualities(first.rubric):
        said = [values_of[quality.name] for values_of in measures if quality.name in values_of]
        values[quality.name] = sum(said) / len(said) if said else math.nan
    return JudgedChain(
        first.task,
        chain.title,
        chain.user,
        len(labels),
        resolved,
        outcome(chain),
        chain.tokens,
        first.setting.var_r,
        bool(chain.knowledge),
        values,
    )


@dataclass(frozen=True)
class Group:
    """Chains of one kind, or of one stretch of a number: their mean quality. ``at``: their mean on that number."""

    name: str
    mean: Measure
    at: float = math.nan


@dataclass(frozen=True)
class QualitySplit:
    """One quality by kind of chain. ``difference``: the first group's mean minus the second's."""

    quality: Quality
    groups: tuple[Group, ...]
    difference: Measure


@dataclass(frozen=True)
class Trend:
    """One quality along a number. ``rank``: Spearman's correlation; ``groups``: the means of about equal parts.

    ``points``: (number, quality, task) of each chain.
    """

    quality: Quality
    rank: Measure
    groups: tuple[Group, ...]
    points: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class Insight:
    """``chains``: how many are labelled, of ``users`` users, ``resolved`` of them resolved.

    ``pairs``: where two chains are compared, which of them people prefer; then nothing else is known.
    """

    chains: int
    users: int
    resolved: int
    correctness: tuple[QualitySplit, ...]
    knowledge: tuple[QualitySplit, ...]
    length: tuple[Trend, ...]
    variance: tuple[Trend, ...]
    pairs: Pairs


def insight(labels: Iterable[Label], resolved: Iterable[Label] = ()) -> Insight:
    """Computes it for one project's labels. Where a task is resolved, its resolved label stands for it."""
    given, settled = list(labels), list(resolved)
    chains = judged_chains(given, settled)
    measured_by = qualities(given[0].rubric) if given else ()
    return Insight(
        len(chains),
        len({chain.user for chain in chains}),
        sum(chain.resolved for chain in chains),
        tuple(_split(chains, quality, OUTCOMES, lambda chain: chain.outcome) for quality in measured_by),
        tuple(_split(chains, quality, ("injected", "none"), _knowledge) for quality in measured_by),
        tuple(_trend(chains, quality, lambda chain: float(chain.tokens)) for quality in measured_by),
        tuple(_trend(chains, quality, _variance) for quality in measured_by),
        pairs(given, settled),
    )


def record(insight: Insight) -> dict[str, Any]:
    """JSON-ready."""

    def of_split(split: QualitySplit) -> dict[str, Any]:
        groups = [{"name": group.name, "mean": plain(group.mean)} for group in split.groups]
        return {
            "quality": split.quality.name, "groups": groups, "first_minus_second": plain(split.difference),
        }  # fmt: skip

    def of_trend(trend: Trend) -> dict[str, Any]:
        return {
            "quality": trend.quality.name, "spearman": plain(trend.rank),
            "groups": plain(trend.groups),
        }  # fmt: skip

    counts = {"chains": insight.chains, "users": insight.users, "resolved": insight.resolved}
    return counts | {
        "interval": {"level": LEVEL, "over": "users"},
        "correctness": [of_split(split) for split in insight.correctness],
        "knowledge": [of_split(split) for split in insight.knowledge],
        "length": [of_trend(trend) for trend in insight.length],
        "variance": [of_trend(trend) for trend in insight.variance],
        "pairs": insight.pairs.record,
    }


def _knowledge(chain: JudgedChain) -> str:
    return "injected" if chain.injected else "none"


def _variance(chain: JudgedChain) -> float:
    return math.nan if chain.variance is None else chain.variance


def _split(
    chains: Sequence[JudgedChain], quality: Quality, names: Sequence[str], kind: Callable[[JudgedChain], str | None]
) -> QualitySplit:
    known = [chain for chain in chains if not math.isnan(chain.values[quality.name]) and kind(chain) in names]
    values = np.array([chain.values[quality.name] for chain in known])
    times = drawn_times([chain.user for chain in known])
    groups, drawn = [], []
    for name in names:
        of_kind = np.array([kind(chain) == name for chain in known], dtype=bool)
        mean, draws = _mean(values, of_kind, times)
        groups.append(Group(name, measure(mean, draws, int(of_kind.sum()), NO_CHAIN)))
        drawn.append(draws)
    gap = groups[0].mean.value - groups[1].mean.value
    return QualitySplit(quality, tuple(groups), measure(gap, drawn[0] - drawn[1], len(known), NOT_BOTH))


def _mean(values: Float64, chosen: NDArray[np.bool_], times: NDArray[np.int64]) -> tuple[float, Float64]:
    """The mean of the chosen chains, and of each draw."""
    if not chosen.any():
        return math.nan, np.full(len(times), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws: Float64 = times @ np.where(chosen, values, 0.0) / (times @ chosen)
    return float(values[chosen].mean()), draws


def _trend(chains: Sequence[JudgedChain], quality: Quality, number: Callable[[JudgedChain], float]) -> Trend:
    known = [chain for chain in chains if not math.isnan(chain.values[quality.name]) and not math.isnan(number(chain))]
    x = np.array([number(chain) for chain in known])
    y = np.array([chain.values[quality.name] for chain in known])
    times = drawn_times([chain.user for chain in known])
    rank = undefined(NO_SPREAD, len(known))
    if len(known) > 2:
        once = np.ones((1, len(known)), dtype=np.int64)
        rank = measure(float(_spearman(x, y, once)[0]), _spearman(x, y, times), len(known), NO_SPREAD)
    points = tuple((float(a), float(b), chain.task) for a, b, chain in zip(x, y, known, strict=True))
    return Trend(quality, rank, _bins(x, y, times), points)


def _bins(x: Float64, y: Float64, times: NDArray[np.int64]) -> tuple[Group, ...]:
    """About equally many chains in each, equal numbers together."""
    if not len(x):
        return ()
    edges = np.unique(np.quantile(x, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, x, side="left")
    groups = []
    for part in np.unique(place):
        inside = place == part
        mean, draws = _mean(y, inside, times)
        low, high = x[inside].min(), x[inside].max()
        name = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
        groups.append(Group(name, measure(mean, draws, int(inside.sum()), NO_CHAIN), float(x[inside].mean())))
    return tuple(groups)


def _spearman(x: Float64, y: Float64, times: NDArray[np.int64]) -> Float64:
    """float64[draws]: Spearman's correlation, Pearson's of the ranks; NaN where one of them does not vary.

    ``times``: [draws, chains], how often each chain counts. The naive equivalent is ``scipy.stats.spearmanr`` of the
    chains, each repeated so often.
    """
    a, b = _ranks(x, times), _ranks(y, times)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = times.sum(axis=1, keepdims=True)
        a -= (times * a).sum(axis=1, keepdims=True) / total
        b -= (times * b).sum(axis=1, keepdims=True) / total
        spread = np.sqrt((times * a * a).sum(axis=1) * (times * b * b).sum(axis=1))
        value: Float64 = np.where(spread > _ROUNDING, (times * a * b).sum(axis=1) / spread, np.nan)
    return value


def _ranks(values: Float64, times: NDArray[np.int64]) -> Float64:
    """float64[draws, chains]: the rank of each chain's value in each draw, equal ones sharing their mean rank."""
    _, places = np.unique(values, return_inverse=True)
    counts = np.zeros((len(times), places.max(initial=-1) + 1))
    np.add.at(counts.T, places, times.T)
    ranks: Float64 = (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, places]
    return ranks


@dataclass(frozen=True)
class ChainContest:
    """Pairs with one chain of a kind and one of another: ``name`` of the kind, ``against`` the other.

    ``share``: of the pairs that are decided, how many the kind won, in [0, 1], with its interval over users; a pair on
    which people differ counts in part. ``undecided``: pairs that everybody calls alike, or cannot tell.
    """

    name: str
    against: str
    share: Measure
    undecided: int


@dataclass(frozen=True)
class Pairs:
    """``count``: how many pairs have a submitted label, of ``users`` users, ``resolved`` of them resolved."""

    count: int
    users: int
    resolved: int
    contests: tuple[ChainContest, ...]

    @property
    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        contests = [
            {"name": contest.name, "against": contest.against, "won": plain(contest.share),
             "undecided": contest.undecided}
            for contest in self.contests
        ]  # fmt: skip
        return {"pairs": self.count, "users": self.users, "resolved": self.resolved, "contests": contests}


@dataclass(frozen=True)
class _Pair:
    """``won``: the share of the deciding labels that prefer the first chain, None where no label decides."""

    chains: tuple[ChainRecord, ...]
    won: float | None


def pairs(labels: Iterable[Label], resolved: Iterable[Label] = ()) -> Pairs:
    """Computes it for one project's labels of two chains. Where a task is resolved, that judgement alone counts."""
    settled = {label.task: label for label in resolved if label.kind == "resolved" and len(label.chains) == 2}
    by_task: dict[str, list[Label]] = {}
    for label in counted(labels):
        if len(label.chains) == 2:
            by_task.setdefault(label.task, []).append(label)
    by_task |= {task: [label] for task, label in settled.items()}
    compared = [_pair(by_task[task]) for task in sorted(by_task)]
    return Pairs(
        len(compared),
        len({pair.chains[0].user for pair in compared}),
        len(settled),
        tuple(_contest(compared, name, against, differs) for name, against, differs in _CONTESTS),
    )


def _pair(labels: Sequence[Label]) -> _Pair:
    chains = labels[0].chains
    sides = [preferred_side(label.judgement, [chain.id for chain in chains]) for label in labels]
    decided = [side == "first" for side in sides if side in ("first", "second")]
    return _Pair(chains, sum(decided) / len(decided) if decided else None)


def _contest(compared: Sequence[_Pair], name: str, against: str, differs: _Differs) -> ChainContest:
    users, won, undecided = [], [], 0
    for pair in compared:
        one, two = pair.chains
        if not (side := differs(one, two)):
            continue
        if pair.won is None:
            undecided += 1
            continue
        users.append(one.user)
        won.append(pair.won if side > 0 else 1 - pair.won)
    values, times = np.array(won), drawn_times(users)
    with np.errstate(invalid="ignore"):
        draws = times @ values / times.sum(axis=1) if won else []
    share = float(values.mean()) if won else np.nan
    return ChainContest(name, against, measure(share, draws, len(won), NO_PAIR), undecided)


def _is_correct(one: ChainRecord, two: ChainRecord) -> int:
    return {("correct", "wrong"): 1, ("wrong", "correct"): -1}.get((outcome(one) or "", outcome(two) or ""), 0)


_CONTESTS: tuple[tuple[str, str, _Differs], ...] = (
    ("correct", "wrong", _is_correct),
    ("longer", "shorter", lambda one, two: (one.tokens > two.tokens) - (one.tokens < two.tokens)),
    ("injected", "none", lambda one, two: bool(one.knowledge) - bool(two.knowledge)),
    ("first", "second", lambda _one, _two: 1),
)
