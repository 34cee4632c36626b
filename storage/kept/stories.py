"""Stories that ship with the program, and those that people told: kept once each, found again by a short id.

What a story is, and its limits, is ``backend.stories``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, select

from backend.errors import CorruptCacheError, UnknownNameError, UsageError
from backend.seeding import digest
from backend.stories import Story
from storage.database.connection import Database
from storage.database.tables import StoryRow, insert_or_pass, utc_now

STORIES = "stories.json"
# More would make the list of stories useless, and a database that anybody may write to too large.
MOST_STORIES = 1000

_BY_KEY = TypeAdapter(dict[str, Story])


@dataclass(frozen=True)
class KeptStory:
    """A story in the database; ``key`` is its id."""

    key: str
    story: Story
    created_at: datetime


def write_stories(path: Path, stories: Mapping[str, Story]) -> None:
    """Write stories by their keys, as :func:`read_stories` reads them."""
    path.write_bytes(_BY_KEY.dump_json(dict(stories), indent=1) + b"\n")


def read_stories(bundle: Path) -> dict[str, Story]:
    """The stories of a bundle, by key; none where there is no file. Raises ``CorruptCacheError``."""
    path = bundle / STORIES
    try:
        return _BY_KEY.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise CorruptCacheError(f"{path} cannot be read", fix="install the program again") from error


def parse_story(body: bytes) -> Story:
    """A story out of JSON that a browser sent. Raises ``UsageError`` naming the first part that is wrong."""
    try:
        return Story.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the story"
        raise UsageError(
            f"{where}: {first['msg']}", expected="a title, and 1 to 30 steps, each a view with a sentence"
        ) from error


def keep_story(database: Database, story: Story) -> str:
    """Keep a story and return its id; the same story again is the same one. Raises ``UsageError`` when full."""
    body = story.model_dump(mode="json")
    key = digest(body, 12)
    with database.session() as session:
        if (session.scalar(select(func.count()).select_from(StoryRow)) or 0) >= MOST_STORIES:
            raise UsageError(
                f"There are {MOST_STORIES:,} stories already", expected="fewer", fix="ask who runs the app"
            )
        row = {"id": key, "title": story.title, "story": json.dumps(body, ensure_ascii=False), "created_at": utc_now()}
        session.execute(insert_or_pass(session, StoryRow), [row])
    return key


def kept_story(database: Database, key: str) -> KeptStory:
    """One kept story. Raises ``UnknownNameError``."""
    with database.session(read_only=True) as session:
        row = session.get(StoryRow, key)
        if row is None:
            raise UnknownNameError("story", key, [])
        return _kept(row)


def kept_stories(database: Database) -> list[KeptStory]:
    """All kept stories, the newest first."""
    with database.session(read_only=True) as session:
        rows = session.scalars(select(StoryRow).order_by(StoryRow.created_at.desc(), StoryRow.id))
        return [_kept(row) for row in rows]


def _kept(row: StoryRow) -> KeptStory:
    return KeptStory(row.id, Story.model_validate_json(row.story), row.created_at)
