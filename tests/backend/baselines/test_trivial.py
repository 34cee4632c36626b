"""The two trivial predictors, counted by hand, and that neither sees what it must not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.baselines import TrivialPredictors
from backend.datasets import Dataset, build_samples, split
from backend.datasets.samples import Split
from backend.datasets.statistics import training_rows
from backend.errors import UsageError


@pytest.fixture
def parts(small: Dataset) -> Split:
    return split(build_samples(small), small)


def _turned(data: Dataset, rows: np.ndarray) -> Dataset:
    """The same data, with the opposite label in these rows."""
    rating = data.rating.copy()
    rating[rows] = np.where(data.labels[rows], 0.5, 5.0)
    return replace(data, rating=rating)


@pytest.mark.parametrize("smoothing", [0.0, 2.5])
def test_every_sample_by_hand(small: Dataset, parts: Split, smoothing: float) -> None:
    means = TrivialPredictors(small, parts)
    learned = set(training_rows(small, parts).tolist())
    assert means.prior == pytest.approx(small.labels[sorted(learned)].mean())
    rows = build_samples(small).rows
    users, items = means.user_mean(rows, smoothing), means.item_mean(rows, smoothing)

    def share(past_rows: list[int]) -> float:
        weight = len(past_rows) + smoothing
        return (small.labels[past_rows].sum() + smoothing * means.prior) / weight if weight else means.prior

    for place, row in enumerate(rows):
        past = small.history_before(int(row))
        assert users[place] == pytest.approx(share(list(range(past.start, past.stop))))
        of_item = np.flatnonzero(
            (small.item_index == small.item_index[row]) & (small.user_index != small.user_index[row])
        )
        assert items[place] == pytest.approx(share([n for n in of_item.tolist() if n in learned]))
    assert len({*items.tolist()}) > 5


def test_no_label_of_the_target_of_later_rows_or_of_validation_and_test_matters(small: Dataset, parts: Split) -> None:
    before = TrivialPredictors(small, parts)
    held_out = np.r_[parts.validation, parts.test]
    after = TrivialPredictors(_turned(small, held_out), parts)
    rows = np.r_[parts.train, held_out]
    np.testing.assert_array_equal(before.item_mean(rows), after.item_mean(rows))
    for row in parts.test[::3]:
        rest = np.arange(row, small.user_rows(int(small.user_index[row])).stop)
        turned = TrivialPredictors(_turned(small, np.intersect1d(rest, held_out)), parts)
        assert turned.user_mean([row]) == before.user_mean([row])
    for row in parts.train[::5]:  # a training target: its own label is learned from, but not for itself
        turned = TrivialPredictors(_turned(small, np.array([row])), parts)
        assert turned.item_mean([row], 0) == pytest.approx(before.item_mean([row], 0), abs=1 / len(rows) + 1e-9)


def test_probabilities_also_where_nothing_is_known(small: Dataset, parts: Split) -> None:
    means = TrivialPredictors(small, parts)
    rows = build_samples(small).rows
    for scores in (means.user_mean(rows), means.item_mean(rows)):
        assert ((scores > 0) & (scores < 1)).all()
    none = np.empty(0, dtype=np.int64)
    empty = TrivialPredictors(small, Split(none, none, none))
    assert empty.prior == 0.5
    assert (empty.item_mean(rows) == 0.5).all()
    assert empty.user_mean([int(small.user_ptr[0])], 0) == [0.5]
    assert means.user_mean([]).shape == (0,)
    with pytest.raises(UsageError, match="smoothing"):
        means.user_mean(rows, -1)
