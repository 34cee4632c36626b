"""The Stories page: the list, and one story told step by step."""

from __future__ import annotations

from app.shared.templating import render
from app.stories.service import StoryEntry


def story_list(shipped: list[StoryEntry], told: list[StoryEntry]) -> str:
    """Lists all stories, and says how to tell one."""
    return render("stories/list.html", shipped=shipped, told=told)


def presenter(shown: StoryEntry, step: int) -> str:
    """Draws one story at a step: its sentence and the view it is about. Steps count from 1; a step out of range is the
    nearest one."""
    count = len(shown.story.steps)
    return render("stories/story.html", key=shown.key, story=shown.story, at=min(max(step, 1), count), count=count)
