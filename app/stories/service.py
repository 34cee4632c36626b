"""Stories to be shown: those that ship, where their results are at hand, and those that people told.

Knows no Gradio and no HTML.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import UnknownNameError
from backend.stories import Story
from storage.kept.stories import keep_story, kept_stories, kept_story, parse_story
from storage.workspace import Workspace


@dataclass(frozen=True)
class StoryEntry:
    """A story under the key that its link carries; ``told``: when somebody told it, empty for one that ships."""

    key: str
    story: Story
    told: str = ""


class StoryService:
    """One per app. Methods may be called from any thread; they raise ``RallrecError``."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def shipped(self) -> list[StoryEntry]:
        """Lists the stories found in the results that ship; there are none where other models play than made these."""
        return [StoryEntry(key, story) for key, story in self._workspace.prepared_stories().items()]

    def told(self) -> list[StoryEntry]:
        """Lists what people told, the newest first."""
        kept = kept_stories(self._workspace.database)
        return [StoryEntry(story.key, story.story, story.created_at.strftime("%Y-%m-%d %H:%M UTC")) for story in kept]

    def find(self, key: str) -> StoryEntry:
        """Finds one story. Raises ``UnknownNameError`` naming the ones that ship."""
        shipped = {entry.key: entry for entry in self.shipped()}
        if key in shipped:
            return shipped[key]
        try:
            kept = kept_story(self._workspace.database, key)
        except UnknownNameError as error:
            raise UnknownNameError("story", key, shipped, fix="open /stories to see all") from error
        return StoryEntry(kept.key, kept.story, kept.created_at.strftime("%Y-%m-%d %H:%M UTC"))

    def keep(self, body: bytes) -> str:
        """Keeps a story out of a browser's JSON and returns its key. Raises ``UsageError``."""
        return keep_story(self._workspace.database, parse_story(body))
