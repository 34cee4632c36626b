"""The Users page's panels as HTML: drawings stay light, links lead where they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.shared import frame
from app.shared.address import SampleAddress
from app.users import drawing
from app.users.address import UsersQuery
from app.users.people import Profiles, Timeline, UserProfile, UserTable
from app.users.service import Picked, PredictionRow, Predictions
from backend.datasets import Dataset
from backend.pipeline import Recipe
from tests.app.views import PLAIN, ParsedHtml, dataset_of

NAN = float("nan")
CHANNELS = ("relevance", "recency")


def prediction(text: str, row: int = 90, **more: Any) -> PredictionRow:
    """Of user 7, whose first interaction is row 77; picked by one channel, the other, and both."""
    picked = (Picked(1, 0, 1, None), Picked(2, 3, None, 1), Picked(3, 5, 2, 2))
    plain = PredictionRow(
        row, row - 77, "test", text, text, 86_400, 4.0, True, 0.25, 0.75, 0.4, (3, 3), (6, 6), CHANNELS, picked
    )
    return replace(plain, **more)


def parts(data: Dataset) -> tuple[UserTable, Profiles]:
    table = UserTable(data)
    return table, Profiles(data, table)


def request_of(text: str) -> Callable[[PredictionRow], SampleAddress]:
    return lambda shown_row: SampleAddress.of(text, shown_row.item, Recipe()).choosing(knowledge=text)


def every_panel(small: Dataset, text: str) -> dict[str, str]:
    data = dataset_of(small, text)
    data = replace(data, users=data.users.assign(age=text))
    untimed = replace(data, meta=data.meta.model_copy(update={"time_ordered": False}))
    table, profiles = parts(data)
    query = UsersQuery(user=text, find=text, item=text, knowledge="none", gamma=0.25)
    profile, told, whole = profiles.profile(7), profiles.timeline(7), prediction(text)
    half = prediction(text, 91, p_r=NAN, p_final=NAN, chains=(0, 6), when=None)
    every = (whole, half)

    def predictions(
        query: UsersQuery, rows: tuple[PredictionRow, ...], of: UserProfile = profile, every: Any = every
    ) -> str:
        predictions_shown = Predictions(query, Recipe(), rows, every, 3, whole if every else None)
        return drawing.user_predictions(predictions_shown, of, request_of(text))

    return {
        "list": drawing.users_list(table.page(UsersQuery(find=text), np.arange(8))),
        "list, counting": drawing.users_list(table.page(UsersQuery(find=text, sort="-mean"), None)),
        "list, not counted": drawing.users_list(table.page(UsersQuery(find=text), None), text),
        "list, untimed": drawing.users_list(UserTable(untimed).page(UsersQuery(find=text), None)),
        "list, nobody": drawing.users_list(table.page(UsersQuery(find=f"{text} {text}"), None)),
        "profile": drawing.user_profile(profile, query, data),
        "profile of little": drawing.user_profile(profiles.profile(0), query, data),
        "timeline": drawing.user_timeline(told, query, whole, data),
        "timeline, nothing selected": drawing.user_timeline(told, query, None, data),
        "timeline, untimed": drawing.user_timeline(replace(told, time_ordered=False), query, whole, untimed),
        "picks": drawing.user_picks(told, whole, 10, data),
        "predictions": predictions(query, every),
        "many predictions": drawing.user_predictions(
            Predictions(query, Recipe(), every, every, 3, whole, 2, 3), profile, request_of(text)
        ),
        "none of this kind": predictions(query.model_copy(update={"show": "wrong"}), ()),
        "nothing cached": predictions(query, (), every=()),
        "too few ratings": predictions(query, (), profiles.profile(0), every=()),
        "problem": drawing.problem(text),
        "pending": frame.pending(text),
    }


def test_panels_say_what_there_is(small: Dataset) -> None:
    drawn = every_panel(small, PLAIN)
    assert "counting predictions" in drawn["list, counting"]
    assert "cannot be counted" in drawn["list, not counted"]
    assert "counting predictions" not in drawn["list, not counted"]
    assert 'aria-sort="descending"' in drawn["list, counting"]
    assert "first rating" not in drawn["list, untimed"]
    assert "Order is arbitrary here" in drawn["timeline, untimed"]
    assert "rbitrary" not in drawn["timeline"]
    assert "A prediction needs at least 5" in drawn["too few ratings"]
    assert "Nothing is cached of this user at these settings; under other ones, 3 of" in drawn["nothing cached"]
    assert "None of the 2 cached ones is of this kind" in drawn["none of this kind"]
    assert "page 2 of 3" in drawn["many predictions"]
    assert "page 1 of 1" not in drawn["predictions"]
    assert "0 of 6 chains" in drawn["predictions"]
    assert drawn["predictions"].count("✗ wrong") == 1
    assert "relevance and recency" in drawn["picks"]


def test_the_first_click_sorts_numbers_from_the_largest_and_the_second_turns_round(small: Dataset) -> None:
    table, _ = parts(small)

    def links(sort: str) -> dict[str, str]:
        html = drawing.users_list(table.page(UsersQuery(sort=sort, page=2), None))
        return {name: href for href, name in re.findall(r'<a href="([^"]*)" data-go="sort-(\w+)"', html)}

    assert links("")["mean"] == "/users?sort=-mean"
    assert links("")["user"] == "/users?sort=user"
    assert links("-mean")["mean"] == "/users?sort=mean"
    assert links("mean")["mean"] == "/users?sort=-mean"
    assert links("mean")["ratings"] == "/users?sort=-ratings"


def test_the_longest_history_is_a_light_drawing(shipped: Dataset) -> None:
    _, profiles = parts(shipped)
    told = profiles.timeline(shipped.user_code("547"))
    assert len(told.items) == 2391
    svg = drawing.timeline_drawing(told, "time", None)
    assert len(svg) < 120_000
    assert len(ParsedHtml(svg).elements) < 40
    assert len(re.findall(r"M-?\d+ -?[\d.]+", svg)) == 2391, "every rating has its mark"


def marks(svg: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M(-?\d+) (-?[\d.]+)", svg)]


def timeline_of(when: list[int], rating: list[float], **more: Any) -> Timeline:
    n = len(when)
    plain = Timeline(
        np.array(when), np.array(rating, dtype=np.float32), np.zeros(n, dtype=np.int64), np.arange(n, dtype=np.int32),
        ("Drama", "other"), 0.5, 5.0, True,
    )  # fmt: skip
    return replace(plain, **more)


def test_marks_stand_at_their_time_and_higher_ratings_higher() -> None:
    told = timeline_of([0, 10, 100], [1.0, 3.0, 5.0])
    by_time = marks(drawing.timeline_drawing(told, "time", None))
    assert [x for x, _ in by_time] == [34, 129, 986]
    assert [y for _, y in by_time] == sorted((y for _, y in by_time), reverse=True)
    assert [x for x, _ in marks(drawing.timeline_drawing(told, "order", None))] == [34, 510, 986]
    untimed = replace(told, time_ordered=False)
    assert [x for x, _ in marks(drawing.timeline_drawing(untimed, "time", None))] == [34, 510, 986]


def test_equal_ratings_are_spread_but_never_into_the_next_rating() -> None:
    told = timeline_of(list(range(200)), [3.0, 3.5] * 100)
    heights = [y for _, y in marks(drawing.timeline_drawing(told, "time", None))]
    low, high = heights[::2], heights[1::2]
    assert min(low) > max(high)
    assert len(set(low)) > 20


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_short_history_is_drawn(n: int) -> None:
    svg = drawing.timeline_drawing(timeline_of([5] * n, [4.0] * n), "time", None)
    assert len(marks(svg)) == n
    assert "nan" not in svg
    assert ParsedHtml(svg).open == []


def test_picked_items_are_marked_by_channel(small: Dataset) -> None:
    _, profiles = parts(small)
    svg = drawing.timeline_drawing(profiles.timeline(7), "order", prediction("x"))
    assert svg.count("pick first") == 2
    assert svg.count("pick second") == 2
    assert svg.count("target-star") == 1
    assert re.findall(r'class="pick-rank">(\d+)<', svg) == ["1", "2", "3"]


def test_most_ratings_in_a_moment_are_told() -> None:
    assert drawing.crowded(timeline_of([*range(20), 100_000], [3.0] * 21))
    assert not drawing.crowded(timeline_of(list(range(0, 2100, 100)), [3.0] * 21))
    assert not drawing.crowded(timeline_of([], []))
    assert not drawing.crowded(timeline_of([7] * 20, [3.0] * 20))


def test_the_histogram_is_as_high_as_the_shares() -> None:
    svg = drawing.histogram([1.0, 2.0], [0.25, 0.75], [0.5, 0.5])
    assert re.findall(r'height="([\d.]+)" class="own"', svg) == ["32.7", "98.0"]
    assert svg.count("everybody") >= 2


def test_a_point_of_the_timeline_is_the_rating_that_stands_nearest(small: Dataset) -> None:
    _, profiles = parts(small)
    told = profiles.timeline(7)
    for axis in ("time", "order"):
        for place in range(len(told.items)):
            at = drawing.timeline_point(told, axis, place, small)
            assert at is not None
            near = drawing.timeline_point(told, axis, (at["x"] + 0.2, at["y"] - 0.2), small)
            assert near is not None
            assert (near["place"], near["x"], near["y"]) == (at["place"], at["x"], at["y"])
            item = int(told.items[place])
            assert at["text"].startswith(f"{place + 1} of {len(told.items)}: {small.item_label(item)} · ")
            assert f"{told.rating[place]:g} of 5 stars" in at["text"]
    last = drawing.timeline_point(told, "time", 10**6, small)
    assert last is not None
    assert last["place"] == len(told.items) - 1
    assert drawing.timeline_point(timeline_of([], []), "time", 0, small) is None
