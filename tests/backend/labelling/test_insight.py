"""Quality against correctness, knowledge, length and variance: by hand, and against scipy."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import spearmanr

from backend.labelling import Label
from backend.labelling.insight import (
    FIRST_BAD,
    FLAWLESS,
    GOOD_SHARE,
    _spearman,
    insight,
    judged_chains,
    measured,
    record,
)
from tests.backend.labelling.making import STEPS, chain, judgement, label, setting


def test_a_judgement_becomes_numbers() -> None:
    numbers = measured(judgement("gub", 3), STEPS)
    assert numbers[GOOD_SHARE] == 0.5, "what can't be judged is left out"
    assert (numbers[FLAWLESS], numbers[FIRST_BAD], numbers["validity"]) == (0, 1, 3)
    assert measured(judgement("bgg"), STEPS)[FIRST_BAD] == 0
    assert FIRST_BAD not in measured(judgement("ggn"), STEPS)
    assert GOOD_SHARE not in measured(judgement("uuu"), STEPS)


def test_a_chain_has_the_mean_of_its_labels_or_what_was_resolved() -> None:
    labels = [label("t1", "ann", judgement(scales=2)), label("t1", "bob", judgement(scales=5))]
    (plain,) = judged_chains(labels)
    assert (plain.values["coherence"], plain.labels, plain.outcome) == (3.5, 2, "correct")
    (settled,) = judged_chains(labels, [label("t1", "rex", judgement(scales=4), kind="resolved")])
    assert (settled.values["coherence"], settled.labels, settled.resolved) == (4, 1, True)


def chains_of(count: int) -> list[Label]:
    """Even ones are right, long and told; the odd ones wrong. Better ones are longer; a user has three."""
    made = []
    for n in range(count):
        even = n % 2 == 0
        labelled_chain = chain(
            f"c{n}", user=str(n // 3), truth=even, tokens=10 + 7 * n % 60, knowledge="M_G says" if even else ""
        )
        grade = [1 + (n * k) % 5 for k in range(1, 6)]
        steps = "ggg" if even else "gbn"
        made.append(
            label(f"t{n:02d}", "ann", judgement(steps, grade), chains=(labelled_chain,), setting=setting(var_r=n / 100))
        )
    return made


def test_quality_against_correctness_and_knowledge() -> None:
    report = insight(chains_of(12))
    assert (report.chains, report.users) == (12, 4)
    split = next(split for split in report.correctness if split.quality.name == GOOD_SHARE)
    correct, wrong, silent = split.groups
    assert (correct.mean.value, correct.mean.of) == (1, 6)
    assert wrong.mean.value == pytest.approx(1 / 3)
    assert math.isnan(silent.mean.value)
    assert silent.mean.why
    assert split.difference.value == pytest.approx(2 / 3)
    told = next(split for split in report.knowledge if split.quality.name == FLAWLESS)
    assert [group.mean.value for group in told.groups] == [1, 0]
    assert told.difference.low <= 1 <= told.difference.high
    json.dumps(record(report), allow_nan=False)


def test_trends_are_spearmans_and_their_groups_hold_every_chain() -> None:
    report = insight(chains_of(24))
    for trend in (*report.length, *report.variance):
        x, y = (np.array([point[place] for point in trend.points]) for place in (0, 1))
        if len(x) > 2 and np.ptp(y) > 0:
            assert trend.rank.value == pytest.approx(spearmanr(x, y).statistic)
            assert -1 <= trend.rank.low <= trend.rank.high <= 1
        assert sum(group.mean.of for group in trend.groups) == len(trend.points)


@given(
    arrays.arrays(np.int64, (2, 7), elements=st.integers(0, 3)),
    arrays.arrays(np.int64, (3, 7), elements=st.integers(0, 2)),
)
def test_draws_are_spearmans_of_chains_that_count_several_times(values: np.ndarray, times: np.ndarray) -> None:
    x, y = values.astype(float)
    for place, draw in enumerate(times):
        a, b = np.repeat(x, draw), np.repeat(y, draw)
        varies = len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
        expected = spearmanr(a, b).statistic if varies else np.nan
        assert _spearman(x, y, times)[place] == pytest.approx(expected, nan_ok=True)


def test_what_cannot_be_compared_says_why() -> None:
    report = insight([label("t1", "ann")])
    assert report.correctness[0].difference.why
    assert report.length[0].rank.why
    assert report.length[0].groups[0].name == "40"
    assert insight([]).correctness == ()
