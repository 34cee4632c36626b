"""Vectors as one byte per number, against the same done number by number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.errors import DataError, UsageError
from backend.representation import quantised
from backend.representation.quantised import STEPS, decode, encode

_NUMBERS = st.floats(-6e4, 6e4, width=16)
_ROWS = st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
    lambda dtype: arrays.arrays(dtype, st.tuples(st.integers(1, 8), st.integers(1, 5)), elements=_NUMBERS)
)


def _naive(column: list[float]) -> tuple[list[int], float, float]:
    """Codes, offset and scale of one column."""
    offset = float(np.float32((min(column) + max(column)) / 2))
    scale = float(np.float32(max(abs(number - offset) for number in column) / 127))
    return [round((number - offset) / scale) if scale else 0 for number in column], offset, scale


@given(_ROWS)
def test_each_column_is_scaled_by_itself(rows: np.ndarray) -> None:
    codes, offset, scale = encode(rows)
    assert (codes.dtype, offset.dtype, scale.dtype) == (np.int8, np.float32, np.float32)
    naive = [_naive(column) for column in rows.T.astype(float).tolist()]
    assert [column.tolist() for column in codes.T] == [column for column, _, _ in naive]
    assert offset.tolist() == [middle for _, middle, _ in naive]
    assert scale.tolist() == [step for _, _, step in naive]


@given(_ROWS)
def test_no_number_moves_by_more_than_half_a_step(rows: np.ndarray) -> None:
    codes, offset, scale = encode(rows)
    rounding = 4 * np.finfo(np.float32).eps * np.abs(rows.astype(float)).max(axis=0)
    moved = np.abs(decode(codes, offset, scale).astype(float) - rows)
    assert (moved <= scale.astype(float) / 2 + rounding).all()
    # All steps are used: the farthest number of a column that changes lies at one end.
    assert (np.abs(codes.astype(int)).max(axis=0)[scale > 0] == STEPS).all()


@given(_ROWS, st.integers(0, 5))
def test_a_column_without_change_comes_back_as_it_was_and_minds_no_other(rows: np.ndarray, place: int) -> None:
    place %= rows.shape[1] + 1
    wider = np.insert(rows, place, rows[0, 0], axis=1)
    codes, offset, scale = encode(wider)
    back = decode(codes, offset, scale)
    assert (back[:, place] == np.float32(rows[0, 0])).all()
    assert scale[place] == 0
    np.testing.assert_array_equal(np.delete(back, place, axis=1), decode(*encode(rows)))


def test_rows_are_encoded_alike_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(3).standard_normal((23, 4)) * [1, 100, 1e-6, 1] + [0, 3, 0, 500]
    whole = encode(rows)
    monkeypatch.setattr(quantised, "_CHUNK", 5)
    for encoded, encoded_whole in zip(encode(rows), whole, strict=True):
        np.testing.assert_array_equal(encoded, encoded_whole)


@pytest.mark.parametrize("rows", [np.zeros(3), np.zeros((0, 3))])
def test_what_is_no_table_of_vectors_is_refused(rows: np.ndarray) -> None:
    with pytest.raises(UsageError, match="at least one row"):
        encode(rows)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(DataError, match="not finite"):
        encode(np.array([[1.0, 2.0], [3.0, number]]))


def test_parts_that_do_not_belong_together_are_refused() -> None:
    codes, offset, scale = encode(np.eye(3))
    for wrong in [(codes.astype(np.float32), offset, scale), (codes, offset[:2], scale), (codes[0], offset, scale)]:
        with pytest.raises(UsageError, match="Expected int8"):
            decode(*wrong)
