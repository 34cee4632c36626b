"""The report of a project's labels: who agrees with whom about what, and what is not defined says why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from backend.errors import UnknownNameError
from backend.labelling import Label
from backend.labelling.agreement import AgreementReport, confusion, record, report
from backend.labelling.coefficients import ALL_ALIKE, NOBODY_TWICE
from backend.labelling.ratings import PREFERRED, STEPS, VERDICT, counted, ratings
from tests.backend.labelling import making
from tests.backend.labelling.making import PROJECT, chain, judgement, label


def named(agreement: AgreementReport) -> dict:
    return {agreed.dimension.name: agreed for agreed in agreement.dimensions}


def test_agreement_is_reported_for_every_dimension_and_for_steps_doccano_1846() -> None:
    """doccano 1846: no agreement figures."""
    labels = [
        label("t1", "ann", judgement("ggg", 4)),
        label("t1", "bob", judgement("gbg", 4)),
        label("t2", "ann", judgement("bbb", 2, "no")),
        label("t2", "bob", judgement("bbb", 1, "no")),
    ]
    agreement = report(labels)
    assert (agreement.labels, agreement.tasks, agreement.shared, agreement.people) == (4, 2, 2, ("ann", "bob"))
    dimensions = named(agreement)
    assert list(dimensions) == [STEPS, *making.SCALES, "missing_step", VERDICT]
    # By hand. Steps: 5 of 6 alike. AC1: p(good) = (1 + .5 + 1) / 6, p(bad) = 1 - p(good), four categories.
    good = 2.5 / 6
    chance = 2 * good * (1 - good) / 3
    assert dimensions[STEPS].percent.value == pytest.approx(5 / 6)
    assert dimensions[STEPS].gwet.value == pytest.approx((5 / 6 - chance) / (1 - chance))
    # Kappa: 5/6 observed; ann good 3, bad 3; bob good 2, bad 4: chance (3 * 2 + 3 * 4) / 36 = 1/2.
    assert dimensions[STEPS].pairs[0].kappa.value == pytest.approx(2 / 3)
    assert dimensions["validity"].percent.value == 0.5
    assert dimensions[VERDICT].alpha.value == 1
    assert (dimensions[STEPS].units, dimensions[STEPS].shared) == (6, 6)
    for agreed in agreement.dimensions:
        assert agreed.percent.low <= agreed.percent.value <= agreed.percent.high
    json.dumps(record(agreement), allow_nan=False)


def test_what_is_not_defined_says_why() -> None:
    alone = named(report([label("t1", "ann"), label("t2", "bob")]))
    assert np.isnan(alone[STEPS].alpha.value)
    assert alone[STEPS].alpha.why == NOBODY_TWICE
    alike = named(report([label("t1", "ann"), label("t1", "bob")]))
    assert alike[VERDICT].percent.value == 1
    assert alike[VERDICT].alpha.why == ALL_ALIKE
    assert alike[VERDICT].pairs[0].kappa.why == ALL_ALIKE
    assert np.isnan(alike[VERDICT].percent.low), "one task tells nothing of others"
    assert report([]).dimensions == ()


def test_only_submitted_labels_of_no_test_count_and_the_last_of_two() -> None:
    earlier = label("t1", "ann", judgement("bbb"), updated_at=making.NOON)
    labels = [
        label("t1", "ann"),
        earlier,
        label("t1", "bob", status="draft"),
        label("t1", "cyd", status="skipped"),
        label("t1", "dan", qualification=True),
        label("t1", "eve", kind="resolved"),
    ]
    assert [kept.judgement for kept in counted(labels)] == [labels[0].judgement]


def test_a_step_that_somebody_left_out_is_missing_not_wrong() -> None:
    table = ratings([label("t1", "ann", judgement("b..")), label("t1", "bob", judgement("bgg"))])[0]
    assert table.dimension.name == STEPS
    assert table.units == tuple(making.STEPS)
    assert np.isnan(table.values[1:, 0]).all()
    assert (table.counts.sum(axis=1) == [2, 1, 1]).all()


def test_pairs_of_chains_agree_about_the_better_one() -> None:
    pair = PROJECT.model_copy(update={"mode": "pair"})
    two = (chain("zeta"), chain("alpha"))
    first = min(shown.id for shown in two)

    def prefers(author: str, chosen: str, shown: tuple = two) -> Label:
        choice = judgement(preferred=chosen).model_copy(update={"steps": {}, "scales": {}})
        return label("t1", author, choice, project=pair, chains=shown)

    labels = [prefers("ann", first), prefers("bob", first, two[::-1]), prefers("cyd", "tie")]
    (agreed,) = report(labels).dimensions
    assert agreed.dimension.name == PREFERRED
    assert agreed.percent.value == pytest.approx(1 / 3)


def test_a_confusion_matrix_counts_what_two_people_said_of_the_same() -> None:
    labels = [
        label("t1", "ann", judgement("ggb")),
        label("t1", "bob", judgement("gbb")),
        label("t2", "bob", judgement("nnn")),
    ]
    matrix = confusion(labels, STEPS, "ann", "bob")
    names = matrix.dimension.categories
    counts = np.array(matrix.counts)
    assert counts.sum() == 3
    assert counts[names.index("good"), names.index("bad")] == 1
    assert (np.array(confusion(labels, STEPS, "bob", "ann").counts) == counts.T).all()
    with pytest.raises(UnknownNameError, match="nobody"):
        confusion(labels, STEPS, "ann", "nobody")
    with pytest.raises(UnknownNameError, match="taste"):
        confusion(labels, "taste", "ann", "bob")


def test_the_same_labels_give_the_same_intervals_in_any_order() -> None:
    labels = [label(f"t{n}", author, judgement(scales=1 + n % 5)) for n in range(6) for author in ("ann", "bob")]
    labels[3] = label("t1", "bob", judgement("bbb", 5, "no"))
    assert record(report(labels)) == record(report(labels[::-1]))
