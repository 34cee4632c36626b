"""Seeds and hashes: the same today as when a result was stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.seeding import canonical_json, derive_seed, digest

parts = st.lists(st.one_of(st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)), max_size=4)


def test_derived_seeds_are_what_they_were_when_results_were_stored() -> None:
    assert derive_seed(0, ["prompt"], 0) == 6848771249851722345
    assert derive_seed(7, "é", 2.5, None) == 3352481649353539229


@given(st.integers(0, 2**63 - 1), parts)
def test_a_derived_seed_fits_every_generator(seed: int, name: list[object]) -> None:
    assert 0 <= derive_seed(seed, *name) < 2**63


def test_seed_prompt_and_sample_each_give_another_stream() -> None:
    seeds = {derive_seed(seed, text, index) for seed in range(5) for text in ("a", "b", "ab") for index in range(20)}
    assert len(seeds) == 300
    assert derive_seed(1, "a", "b") != derive_seed(1, "ab") != derive_seed(1, ["a", "b"])


def test_canonical_json_is_one_spelling_for_equal_values() -> None:
    assert (
        canonical_json({"b": 1, "a": [1.5, "é"]})
        == canonical_json({"a": [1.5, "é"], "b": 1})
        == '{"a":[1.5,"é"],"b":1}'
    )
    assert len(digest("x", 16)) == 16
    assert digest("x").startswith(digest("x", 16))


def test_nan_has_no_hash() -> None:
    with pytest.raises(ValueError):
        digest(float("nan"))
