"""Which of two chains is preferred, by kind: by hand."""

from __future__ import annotations

import json

import pytest

from backend.labelling import ChainRecord, Label
from backend.labelling.insight import NO_PAIR, ChainContest, insight, pairs, record
from tests.backend.labelling.making import PROJECT, chain, judgement, label

PAIR = PROJECT.model_copy(update={"mode": "pair"})


def pair(task: str, user: str = "15", **more: dict) -> tuple[ChainRecord, ChainRecord]:
    """Of a sample that came out well: the first chain is right and long, the second wrong and short."""
    first = {"user": user, "truth": True, "verdict": "yes", "tokens": 50} | more.get("first", {})
    second = {"user": user, "truth": True, "verdict": "no", "tokens": 20} | more.get("second", {})
    return chain(f"{task}z", "One.", **first), chain(f"{task}a", "Two.", **second)


def said(task: str, author: str, two: tuple[ChainRecord, ChainRecord], preferred: int | str, **more: object) -> Label:
    chosen = two[preferred].id if isinstance(preferred, int) else preferred
    preference = judgement("...", preferred=chosen).model_copy(update={"scales": {}, "verdict": None})
    return label(task, author, preference, chains=two, project=PAIR, **more)


def contests(labels: list[Label], *resolved: Label) -> dict[str, ChainContest]:
    return {contest.name: contest for contest in pairs(labels, resolved).contests}


def test_a_pair_counts_once_whoever_and_however_many_judged_it() -> None:
    plain, short = pair("t1"), pair("t2", "19", first={"tokens": 10})
    alike = pair("t3", "23", second={"verdict": "yes", "tokens": 50})
    labels = [
        said("t1", "ann", plain, 0), said("t1", "bob", plain, 0),  # the right, long one
        said("t2", "ann", short, 0), said("t2", "bob", short, 1), said("t2", "cyd", short, "tie"),  # half each
        said("t3", "ann", alike, 1),  # both right, both as long
    ]  # fmt: skip
    by_name = contests(labels)
    assert (by_name["correct"].share.value, by_name["correct"].share.of) == (0.75, 2)
    assert (by_name["longer"].share.value, by_name["longer"].share.of) == (0.75, 2)
    assert by_name["first"].share.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert by_name["correct"].share.low <= 0.75 <= by_name["correct"].share.high
    assert (by_name["injected"].share.of, by_name["injected"].share.why) == (0, NO_PAIR)
    assert (pairs(labels).count, pairs(labels).users) == (3, 3)


def test_what_nobody_decides_is_counted_apart_and_what_is_resolved_alone_counts() -> None:
    one, two = pair("t1"), pair("t2", "19", first={"knowledge": "Another one"})
    labels = [said("t1", "ann", one, "tie"), said("t1", "bob", one, "cannot"), said("t2", "ann", two, 1)]
    by_name = contests(labels)
    assert (by_name["correct"].share.value, by_name["correct"].undecided) == (0, 1)
    assert (by_name["injected"].share.value, by_name["injected"].share.of) == (0, 1)
    settled = contests(labels, said("t2", "rex", two, 0, kind="resolved"))
    assert (settled["correct"].share.value, settled["injected"].share.value) == (1, 1)
    assert pairs(labels, [said("t2", "rex", two, 0, kind="resolved")]).resolved == 1


def test_insight_tells_of_pairs_and_of_chains_apart() -> None:
    told_insight = insight([said("t1", "ann", pair("t1"), 0)])
    assert (told_insight.chains, told_insight.pairs.count) == (0, 1)
    told = json.loads(json.dumps(record(told_insight), allow_nan=False))["pairs"]
    assert [row["won"]["value"] for row in told["contests"]] == [1, 1, None, 1]
    assert insight([label("t1", "ann")]).pairs.count == 0
