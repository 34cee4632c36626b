"""A set of MovieLens 1M's shape, and a stream of reviews: the numbers, and what they take (see tests.bench.datasets).

Time is the processor's: other work on the machine does not count.
"""

from __future__ import annotations

from pathlib import Path

from tests.backend.datasets.made import ML_1M, write_ml_1m
from tests.bench.datasets import measure, write_many_reviews


def test_movielens_1m_gives_the_published_numbers_in_time_and_memory(tmp_path: Path) -> None:
    told = measure(write_ml_1m(tmp_path / "raw", **ML_1M), "ml-1m", tmp_path / "home")
    assert (told["users"], told["items"], told["interactions"]) == (6_040, 3_706, 1_000_209)
    assert told["samples"] == 970_009
    assert (told["train"], told["valid"], told["test"]) == (776_007, 97_000, 97_002)
    assert told["processor_seconds"] < 20
    assert told["peak_mb"] < 1_500


def test_reviews_are_streamed_and_not_held(tmp_path: Path) -> None:
    """Of 80 MB of reviews, hardly more than the numbers is in memory beside Python and its libraries."""
    raw = tmp_path / "raw"
    write_many_reviews(raw, 150_000)
    told = measure(raw, "amazon-2023", tmp_path / "home")
    assert told["samples"] > 1_000
    assert told["peak_mb"] < 350
