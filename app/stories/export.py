"""Stories as files: all of them by their titles, or one with every step and links that lead back to its views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from markupsafe import Markup

from app.shared.export import Exported, document, safe_name, still
from app.shared.frame import Players, players_of
from app.shared.templating import render
from app.stories import drawing
from app.stories.service import StoryEntry, StoryService
from storage.workspace import Workspace


def exporter(service: StoryService, workspace: Workspace) -> Callable[[Request], Exported]:
    """Exports the list, or the story that the page's own address names."""

    def export(request: Request) -> Exported:
        key, base = request.query_params.get("story", ""), str(request.base_url).rstrip("/")
        players = players_of(workspace)
        if not key:
            shipped, told = service.shipped(), service.told()
            return Exported(
                safe_name("stories"),
                lambda: stories_record(shipped, told),
                lambda made: stories_page(shipped, told, players, made),
            )
        listed = service.find(key)
        return Exported(
            safe_name("story", listed.key),
            lambda: story_record(listed, base),
            lambda made: story_page(listed, base, players, made),
        )

    return export


def story_record(listed: StoryEntry, base: str) -> dict[str, Any]:
    """Returns a story with its steps. ``base`` is where the app runs, so that links lead there from anywhere."""
    steps = [step.model_dump() | {"link": base + step.view} for step in listed.story.steps]
    return {"story": listed.key, "title": listed.story.title, "about": listed.story.about, "told": listed.told or None,
            "steps": steps}  # fmt: skip


def stories_record(shipped: list[StoryEntry], told: list[StoryEntry]) -> dict[str, Any]:
    """Returns all stories by their titles."""

    def said(entry: StoryEntry) -> dict[str, Any]:
        count = len(entry.story.steps)
        return {"story": entry.key, "title": entry.story.title, "about": entry.story.about, "steps": count}

    return {
        "shipped": [said(entry) for entry in shipped],
        "told": [said(entry) | {"told": entry.told} for entry in told],
    }


def story_page(listed: StoryEntry, base: str, players: Players, made: str) -> str:
    """Makes a page of a story: every step with its sentence and a link to its view. ``base`` is where the app runs."""
    steps = [{"sentence": step.sentence, "link": base + step.view} for step in listed.story.steps]
    html = render("stories/export.html", story=listed.story, told=listed.told, steps=steps)
    return document(
        listed.story.title, "a story, step by step", [("story", "", Markup(html))], [],
        address=f"{base}/stories?story={listed.key}", made=made,
        players=players,
    )  # fmt: skip


def stories_page(shipped: list[StoryEntry], told: list[StoryEntry], players: Players, made: str) -> str:
    """Makes a page of all stories."""
    return document(
        "stories", "walkthroughs of its views", [("stories", "", still(drawing.story_list(shipped, told)))], [],
        address="/stories", made=made,
        players=players, styles=("stories/page.css",),
    )  # fmt: skip
