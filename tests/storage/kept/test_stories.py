"""What a story may be, and keeping those that people tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import storage.kept.stories
from backend.errors import CorruptCacheError, UnknownNameError, UsageError
from backend.stories import Story, StoryStep
from storage import Database, open_database
from storage.kept.stories import keep_story, kept_stories, kept_story, parse_story, read_stories, write_stories

PLAIN: dict[str, Any] = {"title": "Mine", "steps": [{"view": "/?user=1&item=2", "sentence": "Look."}]}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(f"sqlite:///{tmp_path}/stories.sqlite")


def parsed(**changed: Any) -> Story:
    return parse_story(json.dumps(PLAIN | changed).encode())


@pytest.mark.parametrize(
    "view", ["/", "/?user=1", "/library?artifact=map", "/what-if?id=1", "/stories?story=a&step=2", "/?q=%2F%2Fother"]
)
def test_views_of_this_app_are_taken(view: str) -> None:
    assert parsed(steps=[{"view": view, "sentence": "x"}]).steps[0].view == view


@pytest.mark.parametrize(
    "view",
    ["", "//other.host/", "https://other.host", "javascript:alert(1)", "/a/b", "/x#y", "/ ?a", "/\\host", "/?a b"],
)
def test_other_addresses_are_refused(view: str) -> None:
    with pytest.raises(UsageError, match=r"steps\.0\.view"):
        parsed(steps=[{"view": view, "sentence": "x"}])


@given(st.text(max_size=60))
def test_a_view_never_leaves_the_host(view: str) -> None:
    try:
        taken = StoryStep(view=view, sentence="x").view
    except ValidationError:
        return
    assert taken.startswith("/")
    assert not taken.startswith("//")
    assert "\\" not in taken


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"title": "  "}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"steps": []}, "steps"),
        ({"steps": PLAIN["steps"] * 31}, "steps"),
        ({"steps": [{"view": "/", "sentence": " "}]}, "steps.0.sentence"),
        ({"steps": [{"view": "/", "sentence": "x", "look": "a b"}]}, "steps.0.look"),
        ({"author": "me"}, "author"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parsed(**changed)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"title": "x"}'])
def test_what_is_no_story_is_refused(body: bytes) -> None:
    with pytest.raises(UsageError, match="a title, and 1 to 30 steps"):
        parse_story(body)


def test_a_story_is_kept_once_and_found_by_its_key(database: Database) -> None:
    key = keep_story(database, parsed())
    assert keep_story(database, parsed()) == key
    other_key = keep_story(database, parsed(title="Other <b>${1}</b>"))
    assert other_key != key
    assert kept_story(database, key).story == parsed()
    assert {story_row.key for story_row in kept_stories(database)} == {key, other_key}
    with pytest.raises(UnknownNameError, match="story 'nope'"):
        kept_story(database, "nope")


def test_there_is_an_end_to_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.kept.stories, "MOST_STORIES", 1)
    keep_story(database, parsed())
    with pytest.raises(UsageError, match="1 stories already"):
        keep_story(database, parsed(title="Another"))


def test_a_bundle_without_stories_has_none_and_a_broken_file_is_said(tmp_path: Path) -> None:
    assert read_stories(tmp_path) == {}
    write_stories(tmp_path / storage.kept.stories.STORIES, {"own": parsed()})
    assert read_stories(tmp_path) == {"own": parsed()}
    (tmp_path / storage.kept.stories.STORIES).write_text('{"own": {"title": ""}}')
    with pytest.raises(CorruptCacheError, match="install the program again"):
        read_stories(tmp_path)
