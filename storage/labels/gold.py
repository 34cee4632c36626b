"""Hidden tasks whose answer is known: a qualification before the first real task, and checks among the others.

Which of a person's tasks is a hidden one is drawn from the project's seed, the person and how many they had: asking
again changes nothing, and nobody can tell which it is.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import UsageError
from backend.labelling import Judgement, Project
from backend.seeding import derive_seed
from storage.database.connection import Database
from storage.labels.audit import note
from storage.labels.rows import lacks, read_task, task_row
from storage.labels.tables import LabelRow, TaskRow


def set_gold(database: Database, task: str, judgement: Judgement | None, by: str, qualification: bool = False) -> None:
    """This judgement of the task is right: from now on it is a hidden task, or one of the qualification; with None it
    is an ordinary one again. Labels that are there stay what they were. Raises ``UsageError`` for a judgement that
    lacks something, ``NotFoundError``.
    """
    with database.session(durable=True) as session:
        row = task_row(session, task, lock=True)
        if judgement is not None:
            problems = lacks(read_task(session, row), judgement, own_answer=False)
            if problems:
                raise UsageError(f"The known judgement is not whole: {problems[0].says}")
        before = {"gold": row.gold is not None, "qualification": row.qualification}
        row.gold = None if judgement is None else judgement.model_dump_json()
        row.qualification = qualification and judgement is not None
        after = {"gold": row.gold is not None, "qualification": row.qualification}
        note(session, by, "task.gold", task, before, after)


def agreement(judgement: Judgement, known: Judgement) -> tuple[int, int]:
    """How many of the known answers a judgement gives, and how many there are: one per step, or the preferred chain."""
    if known.preferred is not None:
        return int(judgement.preferred == known.preferred), 1
    same = sum(
        step in judgement.steps and judgement.steps[step].value == said.value for step, said in known.steps.items()
    )
    return same, len(known.steps)


def next_hidden(session: Session, key: str, project: Project, author: str) -> TaskRow | str | None:
    """The hidden task that is due for somebody; ``unqualified`` where they did not pass; None where none is due."""
    asked = min(project.qualification, _count(session, key, qualification=True))
    if asked:
        done = _done(session, key, author, qualification=True)
        if len(done) < asked:
            # Who skips a task of the qualification has not passed it.
            return _first(session, key, author, qualification=True) or "unqualified"
        right, known = (sum(column) for column in zip(*(agreement(*pair) for pair in done), strict=True))
        if known and right / known < project.pass_share:
            return "unqualified"
    if project.gold and _is_due(session, key, project, author):
        return _first(session, key, author, qualification=False)
    return None


def _is_due(session: Session, key: str, project: Project, author: str) -> bool:
    query = (
        select(func.count())
        .select_from(LabelRow)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .where(TaskRow.project_key == key, LabelRow.author == author, LabelRow.qualification.is_(False))
    )
    had = session.scalar(query) or 0
    return derive_seed(project.seed, "hidden", key, author, had) / 2**63 < project.gold


def _first(session: Session, key: str, author: str, qualification: bool) -> TaskRow | None:
    mine = select(LabelRow.id).where(LabelRow.task == TaskRow.id, LabelRow.author == author)
    query = (
        select(TaskRow)
        .where(
            TaskRow.project_key == key,
            TaskRow.gold.is_not(None),
            TaskRow.qualification.is_(qualification),
            ~mine.exists(),
        )
        .order_by(TaskRow.place)
        .limit(1)
    )
    return session.scalars(query).first()


def _count(session: Session, key: str, qualification: bool) -> int:
    query = select(func.count()).where(
        TaskRow.project_key == key, TaskRow.gold.is_not(None), TaskRow.qualification.is_(qualification)
    )
    return session.scalar(query) or 0


def _done(session: Session, key: str, author: str, qualification: bool) -> list[tuple[Judgement, Judgement]]:
    """(what this person said, what is right) of the hidden tasks that they submitted."""
    query = (
        select(LabelRow.judgement, TaskRow.gold)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .where(
            TaskRow.project_key == key,
            TaskRow.gold.is_not(None),
            TaskRow.qualification.is_(qualification),
            LabelRow.author == author,
            LabelRow.status == "submitted",
        )
    )
    return [
        (Judgement.model_validate_json(said), Judgement.model_validate_json(known))
        for said, known in session.execute(query)
        if known is not None
    ]
