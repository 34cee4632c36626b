"""The Stories page: the list, and one story told step by step."""

from __future__ import annotations

from app.shared.templating import render
from app.stories.service import StoryEntry


def story_list(shipped: list[StoryEntry], told: list[StoryEntry]) -> str:
    """All stories, and how to tell one."""
    return render("stories/list.html", shipped=shipped, told=told)


def presenter(shown: StoryEntry, step: int) -> str:
    """One story at a step (from 1; what is out of range is the nearest): its sentence and the view it is about."""
    count = len(shown.story.steps)
    return render("stories/story.html", key=shown.key, story=shown.story, at=min(max(step, 1), count), count=count)
