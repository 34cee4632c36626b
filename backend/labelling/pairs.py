"""Which of two compared chains people prefer: the correct one, the longer one, the one that was told what M_G thinks?

The chains of a pair are of one sample and were written under one setting: what is known of the sample alone, such as
the variance of its chains, tells them not apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.labelling.judgement import preferred_side
from backend.labelling.measures import Measure, drawn_times, measure
from backend.labelling.quality import outcome
from backend.labelling.ratings import counted
from backend.labelling.record import Chain, Label

NO_PAIR = "in no pair that is decided do the chains differ in this"
# Of (first, second): 1 where the first is of the kind and the second is not, -1 the other way round, 0 where neither.
_Differs = Callable[[Chain, Chain], int]


@dataclass(frozen=True)
class Contest:
    """Pairs with one chain of a kind and one of another: ``name`` of the kind, ``against`` the other.

    ``share``: of the pairs that are decided, how many the kind won, in [0, 1], with its interval over users; a pair on
    which people differ counts in part. ``undecided``: pairs that everybody calls alike, or cannot tell.
    """

    name: str
    against: str
    share: Measure
    undecided: int

    @property
    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "against": self.against, "won": self.share.record, "undecided": self.undecided}


@dataclass(frozen=True)
class Pairs:
    """``count``: how many pairs have a submitted label, of ``users`` users, ``resolved`` of them resolved."""

    count: int
    users: int
    resolved: int
    contests: tuple[Contest, ...]

    @property
    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "pairs": self.count,
            "users": self.users,
            "resolved": self.resolved,
            "contests": [contest.record for contest in self.contests],
        }


@dataclass(frozen=True)
class _Pair:
    """``won``: the share of the deciding labels that prefer the first chain, None where no label decides."""

    chains: tuple[Chain, ...]
    won: float | None


def pairs(labels: Iterable[Label], resolved: Iterable[Label] = ()) -> Pairs:
    """Of one project's labels of two chains; where a task is resolved, that judgement alone counts."""
    settled = {own.task: own for own in resolved if own.kind == "resolved" and len(own.chains) == 2}
    by_task: dict[str, list[Label]] = {}
    for label in counted(labels):
        if len(label.chains) == 2:
            by_task.setdefault(label.task, []).append(label)
    by_task |= {task: [own] for task, own in settled.items()}
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


def _contest(compared: Sequence[_Pair], name: str, against: str, differs: _Differs) -> Contest:
    users, won, undecided = [], [], 0
    for pair in compared:
        one, other = pair.chains
        if not (side := differs(one, other)):
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
    return Contest(name, against, measure(share, draws, len(won), NO_PAIR), undecided)


def _is_correct(one: Chain, other: Chain) -> int:
    return {("correct", "wrong"): 1, ("wrong", "correct"): -1}.get((outcome(one) or "", outcome(other) or ""), 0)


_CONTESTS: tuple[tuple[str, str, _Differs], ...] = (
    ("correct", "wrong", _is_correct),
    ("longer", "shorter", lambda one, other: (one.tokens > other.tokens) - (one.tokens < other.tokens)),
    ("injected", "none", lambda one, other: bool(one.knowledge) - bool(other.knowledge)),
    ("first", "second", lambda _one, _other: 1),
)
