"""Stories: short walkthroughs of views with a sentence each, and finding telling ones among real predictions."""

from backend.stories.finder import Told, find_stories
from backend.stories.story import Step, Story

__all__ = ["Step", "Story", "Told", "find_stories"]
