"""The teacher: right for whichever pieces are given, and told nothing by those it speaks about."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import DataError
from backend.evaluation import metrics
from backend.evidence import STATISTICS
from backend.training.teacher import COLUMNS, PIECES, Teacher

ROWS, USERS = 400, 40


def _samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, users, evidence and labels in which only the nearest items and the habit say something."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(ROWS, len(COLUMNS)))
    evidence[:, COLUMNS.index("hint")] = np.nan
    logit = 2 * evidence[:, COLUMNS.index("by_nearest")] + evidence[:, COLUMNS.index("liked")]
    labels = rng.random(ROWS) < 1 / (1 + np.exp(-logit))
    return np.arange(ROWS) * 3, rng.integers(USERS, size=ROWS), evidence, labels


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(*_samples(), seed=0)


def test_every_statistic_is_behind_one_piece() -> None:
    behind = [name for names in PIECES.values() for name in names]
    assert sorted(behind) == sorted((*STATISTICS, "hint"))


@pytest.mark.parametrize(
    ("pieces", "least", "most"),
    [(tuple(PIECES), 0.8, 0.95), (("nearest",), 0.7, 0.87), (("others", "latest"), 0.4, 0.6), ((), 0.4, 0.6)],
)
def test_it_knows_what_the_given_pieces_say_and_no_more(
    pieces: tuple[str, ...], least: float, most: float, teacher: Teacher
) -> None:
    _, _, evidence, labels = _samples()
    known = [teacher.p_yes(3 * n, evidence[n], pieces) for n in range(ROWS)]
    assert least < metrics.auc(labels, known) < most
    assert np.mean(known) == pytest.approx(np.mean(labels), abs=0.06), "it is as sure as it is right"


def test_hidden_evidence_does_not_matter(teacher: Teacher) -> None:
    _, _, evidence, _ = _samples()
    other = evidence[0].copy()
    other[COLUMNS.index("by_nearest")] = 9
    assert teacher.p_yes(1, evidence[0], ("habit",)) == teacher.p_yes(1, other, ("habit",))
    assert teacher.p_yes(1, evidence[0]) != teacher.p_yes(1, other)


def test_a_users_labels_say_nothing_about_the_users_own_samples(teacher: Teacher) -> None:
    rows, users, evidence, labels = _samples()
    of_one = users == 7
    turned = Teacher(rows, users, evidence, np.where(of_one, ~labels, labels), seed=0)
    place = int(np.flatnonzero(of_one)[0])
    assert turned.p_yes(int(rows[place]), evidence[place]) == teacher.p_yes(int(rows[place]), evidence[place])
    assert (turned.out_of_fold(evidence)[of_one] == teacher.out_of_fold(evidence)[of_one]).all()
    assert (turned.out_of_fold(evidence)[~of_one] != teacher.out_of_fold(evidence)[~of_one]).any()


def test_labels_of_one_kind_teach_nothing() -> None:
    rows, users, evidence, labels = _samples()
    with pytest.raises(DataError, match="all liked or all not liked"):
        Teacher(rows, users, evidence, np.ones_like(labels), seed=0)
