"""What results of labelling are made from beside the labels themselves: known answers, and whether anything changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from backend.labelling import Judgement
from backend.seeding import digest
from storage.database.connection import Database
from storage.labels.rows import project_row
from storage.labels.tables import LabelRow, ResolvedRow, TaskRow


def known_answers(database: Database, key: str) -> dict[str, Judgement]:
    """The judgements that are known to be right, by task: of the project's gold tasks. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        project_row(session, key)
        query = select(TaskRow.id, TaskRow.gold).where(TaskRow.project_key == key, TaskRow.gold.is_not(None))
        return {task: Judgement.model_validate_json(gold) for task, gold in session.execute(query) if gold}


def counts(database: Database, key: str) -> dict[str, int]:
    """How many labels there are of each status, mere reservations left out, and how many tasks are resolved."""
    with database.session(read_only=True) as session:
        project_row(session, key)
        query = (
            select(LabelRow.status, func.count())
            .join(TaskRow, TaskRow.id == LabelRow.task)
            .where(TaskRow.project_key == key, (LabelRow.version > 0) | (LabelRow.status != "draft"))
            .group_by(LabelRow.status)
        )
        by_status: dict[str, int] = dict(session.execute(query).all())
        resolved = select(func.count()).select_from(ResolvedRow).join(TaskRow, TaskRow.id == ResolvedRow.task)
        return (
            dict.fromkeys(("submitted", "skipped", "draft"), 0)
            | by_status
            | {"resolved": session.scalar(resolved.where(TaskRow.project_key == key)) or 0}
        )


def state(database: Database, key: str) -> str:
    """Changes whenever a submitted or resolved label of the project does, or a known answer. Raises
    ``NotFoundError``.
    """
    with database.session(read_only=True) as session:
        project_row(session, key)
        found: list[Any] = []
        for table in (LabelRow, ResolvedRow):
            query = (
                select(table.id, table.updated_at, TaskRow.gold, TaskRow.qualification)
                .join(TaskRow, TaskRow.id == table.task)
                .where(TaskRow.project_key == key)
                .order_by(table.id)
            )
            query = query.where(LabelRow.status == "submitted") if table is LabelRow else query
            found += [[name, at.isoformat(), gold, qualifies] for name, at, gold, qualifies in session.execute(query)]
        return digest(found)
