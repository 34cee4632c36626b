"""What people disagree about most comes first; how each did on gold tasks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.labelling import Label, agreement, insight
from backend.labelling.agreement import gold_results
from backend.labelling.disputed import disputed
from backend.labelling.ratings import STEPS, VERDICT
from tests.backend.labelling import making
from tests.backend.labelling.making import judgement, label


def test_the_most_disputed_task_is_first_and_says_what_divides() -> None:
    labels = [
        label("calm", "ann"),
        label("calm", "bob"),
        label("torn", "ann", judgement("ggg", 1, "no")),
        label("torn", "bob", judgement("gbg", 5, "yes")),
        label("alone", "ann", judgement("bbb", 1)),
    ]
    first, second = disputed(labels, [label("calm", "rex", kind="resolved")])
    assert (first.task, second.task) == ("torn", "calm")
    assert (second.score, second.resolved, first.resolved) == (0, True, False)
    parts = {part.name: part for part in first.parts}
    # Scales as far as can be, the verdict turned round, one step of three, the missing step alike: (5 + 1 + 1/3) / 8.
    assert first.score == pytest.approx((5 + 1 + 1 / 3) / 8)
    assert parts[STEPS].score == pytest.approx(1 / 3)
    assert dict(parts[VERDICT].answers) == {"ann": "no", "bob": "yes"}
    assert dict(parts[STEPS].answers) == {"ann": "0 of 3 bad", "bob": "1 of 3 bad"}
    assert first.divided == (making.STEPS[1],)
    assert first.parts[-1].score <= first.parts[0].score


def test_a_small_difference_on_a_scale_counts_less_than_a_large_one() -> None:
    near = [label("near", "ann", judgement(scales=4)), label("near", "bob", judgement(scales=5))]
    far = [label("far", "ann", judgement(scales=1)), label("far", "bob", judgement(scales=5))]
    assert [dispute.task for dispute in disputed(near + far)] == ["far", "near"]


@settings(max_examples=15)
@given(st.lists(making.labels, max_size=5))
def test_no_labels_whatever_make_a_result_fail(labels: list[Label]) -> None:
    known = {label.task: label.judgement for label in labels}
    json.dumps(agreement.record(agreement.report(labels, known)), allow_nan=False)
    json.dumps(insight.record(insight.insight(labels, labels)), allow_nan=False)
    scores = [dispute.score for dispute in disputed(labels, labels)]
    assert scores == sorted(scores, reverse=True)


def test_gold_tasks_show_how_each_person_did() -> None:
    right = judgement("gbg", 4, "yes")
    labels = [
        label("gold", "ann", judgement("gbg", 4, "yes"), gold=True),
        label("gold", "bob", judgement("ggg", 2, "no"), gold=True, qualification=True),
        label("plain", "ann", judgement("bbb", 1, "no")),
    ]
    ann, bob = gold_results(labels, {"gold": right})
    assert (ann.person, ann.tasks, ann.steps.value, ann.scales.value, ann.verdict.value) == ("ann", 1, 1, 0, 1)
    assert (bob.qualification, bob.scales.value, bob.verdict.value) == (1, 2, 0)
    assert bob.steps.value == pytest.approx(2 / 3)
    assert np.isnan(bob.preferred.value)
    assert bob.preferred.why
    assert gold_results(labels, {}) == ()
