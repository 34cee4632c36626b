"""Stories: short walkthroughs of views with a sentence each, and finding telling ones among real predictions."""

from backend.stories.finder import Told, find_stories
from backend.stories.story import Story, StoryStep

__all__ = ["Story", "StoryStep", "Told", "find_stories"]
