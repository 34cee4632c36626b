"""Which prompts a model has answered, and their texts: where a screen begins that shows all that is cached.

What is cached of a known question is ``storage.results.lookup``. Which question a text asks is left to who reads it.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import select

from backend.types import ModelRef
from storage.database.connection import Database
from storage.database.tables import AnswerRow, PromptRow
from storage.results.keys import answer_options
from storage.results.rows import KEYS_PER_SELECT


def answered_prompts(database: Database, model: ModelRef) -> set[str]:
    """The hashes of all prompts that the model has answered. Raises ``StorageError``."""
    query = select(AnswerRow.prompt_hash).where(
        AnswerRow.model == model.name,
        AnswerRow.revision == model.revision,
        AnswerRow.adapter.is_(None) if model.adapter is None else AnswerRow.adapter == model.adapter,
        AnswerRow.options == answer_options(model),
    )
    with database.session(read_only=True) as session:
        return set(session.execute(query).scalars())


def prompt_texts(database: Database, hashes: Collection[str]) -> dict[str, str]:
    """What the prompts of these hashes say, by hash; nothing for one that is gone or cannot be read.

    Texts are not checked against their hashes: that is done where a result is read. Raises ``StorageError``.
    """
    wanted, found = list(hashes), dict[str, str]()
    with database.session(read_only=True) as session:
        for start in range(0, len(wanted), KEYS_PER_SELECT):
            some = wanted[start : start + KEYS_PER_SELECT]
            rows = session.execute(select(PromptRow.hash, PromptRow.messages).where(PromptRow.hash.in_(some)))
            found |= {row.hash: text for row in rows if (text := _text(row.messages)) is not None}
    return found


def _text(messages: str) -> str | None:
    try:
        return "\n".join(message["content"] for message in json.loads(messages))
    except (KeyError, TypeError, ValueError):
        return None
