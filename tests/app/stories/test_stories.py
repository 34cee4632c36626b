"""The Stories page behind the browser: what is listed, what is shown, and what a stranger can send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.stories import drawing, routes
from app.stories.service import StoryEntry, StoryService
from backend.errors import UnknownNameError
from backend.stories import Story, StoryStep
from storage.workspace import Workspace
from tests.app.conftest import settings_of

HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}${7*7}"
BODY: dict[str, Any] = {"title": HOSTILE, "steps": [{"view": "/?user=1", "sentence": HOSTILE}]}


@pytest.fixture
def service(home: Path) -> Iterator[StoryService]:
    workspace = Workspace(settings_of(home))
    yield StoryService(workspace)
    workspace.close()


def test_stories_of_other_models_are_not_listed(service: StoryService) -> None:
    assert service.shipped() == []
    assert service.told() == []
    with pytest.raises(UnknownNameError, match="open /stories"):
        service.find("hint")


def test_a_told_story_is_listed_and_found(service: StoryService) -> None:
    key = service.keep(json.dumps(BODY).encode())
    [entry] = service.told()
    assert (entry.key, entry.story.title) == (key, HOSTILE)
    assert entry.told.endswith("UTC")
    assert service.find(key) == entry


def test_an_address_that_was_written_is_no_markup() -> None:
    step = StoryStep(view='/?user="><script>', sentence=HOSTILE)
    entry = StoryEntry("k", Story(title=HOSTILE, about=HOSTILE, steps=(step,)), "now")
    for html in (drawing.story_list([], [entry]), drawing.presenter(entry, 1)):
        assert "<img" not in html
        assert "<script>" not in html
        assert "&lt;img" in html


@pytest.mark.parametrize(("number", "shown"), [(0, 1), (1, 1), (2, 2), (9, 2)])
def test_a_step_out_of_range_is_the_nearest(number: int, shown: int) -> None:
    steps = tuple(StoryStep(view="/", sentence=f"Sentence {n}") for n in (1, 2))
    html = drawing.presenter(StoryEntry("k", Story(title="T", steps=steps)), number)
    assert f'data-at="{shown}"' in html
    assert f"{shown} of 2" in html


def test_a_story_that_is_sent_is_kept(client: TestClient) -> None:
    answer = client.post("/story", json=BODY)
    assert answer.status_code == 201
    assert client.post("/story", json=BODY).json() == answer.json()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/json", 400),
        (b"x" * 300_000, "application/json", 413),
        (json.dumps(BODY | {"steps": [{"view": "//other", "sentence": "x"}]}).encode(), "application/json", 400),
    ],
)
def test_what_is_no_story_is_refused_in_a_sentence(client: TestClient, body: bytes, kind: str, status: int) -> None:
    answer = client.post("/story", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["problem"]
    assert routes.MOST_BYTES < 300_000
