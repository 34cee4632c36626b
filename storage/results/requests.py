"""Which samples the tuned model M_G has answered: a table that says about whom each prompt was asked.

A result is kept by its prompt, which names neither user nor item, so :func:`note_requests` writes down both when a
question is asked. Prompts that came without (those of version 0.1.0, and those of imported files) are read once by
:mod:`storage.results.requests_fill`. What is cached of a known question is ``storage.results.lookup``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.orm import Session

from backend.datasets import DatasetMeta
from backend.errors import UsageError
from backend.questions import Question, Questions
from backend.types import ModelRef
from storage.database.connection import Database
from storage.database.tables import AnswerRow, RequestFillRow, RequestRow, insert_or_pass
from storage.results.keys import answer_options, unknown_of
from storage.results.rows import KEYS_PER_SELECT, KeyedPrompt

if TYPE_CHECKING:
    from storage.workspace import Workspace

# (hash of the prompt, user id, item id)
PromptAbout = tuple[str, str, str]


def note_requests(database: Database, questions: Questions, asked: Sequence[Question]) -> None:
    """Write down about whom the prompts of these questions are, before M_G is asked them. Raises ``StorageError``.

    A prompt that edits turned into one that no sample of the user gives is about nobody.
    """
    data, about = questions.dataset, dict[PromptAbout, None]()
    for question in asked:
        if not question.edits or _is_plain(questions, question):
            names = data.user_ids[question.user], data.item_ids[question.item]
            about |= {(KeyedPrompt(prompt.messages).hash, *names): None for prompt in question.prompts}
    save_requests(database, data.meta, about)


def save_requests(database: Database, meta: DatasetMeta, about: Iterable[PromptAbout], fills: bool = False) -> None:
    """Keep which prompts are about which user and item. ``fills``: no prompt of now needs to be read for this data."""
    of_data = {"dataset": meta.name, "data_hash": meta.data_hash}
    rows = [
        of_data | {"prompt_hash": prompt, "user_id": user, "item_id": item} for prompt, user, item in sorted(set(about))
    ]
    known = set[PromptAbout]()
    columns = RequestRow.prompt_hash, RequestRow.user_id, RequestRow.item_id
    query = select(*columns).where(*_of_data(RequestRow, meta))
    with database.session(read_only=True) as session:
        for start in range(0, len(rows), KEYS_PER_SELECT):
            hashes = {row["prompt_hash"] for row in rows[start : start + KEYS_PER_SELECT]}
            stored = session.execute(query.where(RequestRow.prompt_hash.in_(hashes)))
            known |= {(prompt, user, item) for prompt, user, item in stored}
    new = [row for row in rows if (row["prompt_hash"], row["user_id"], row["item_id"]) not in known]
    if new or fills:
        with database.session() as session:
            if new:
                session.connection().execute(insert_or_pass(session, RequestRow), new)
            if fills:
                session.connection().execute(insert_or_pass(session, RequestFillRow), [of_data])


def forget_fills(session: Session) -> None:
    """Prompts came in about which nothing is written down: each dataset's are to be read again."""
    session.execute(delete(RequestFillRow))


class AnsweredSamples:
    """The samples of a dataset (the settings' by default) that M_G has answered. Any thread may call."""

    def __init__(self, workspace: Workspace, dataset: str | None = None) -> None:
        self._workspace, self._name = workspace, dataset
        self._filling = threading.Lock()
        self._rows: NDArray[np.int64] | None = None

    def rows(self) -> NDArray[np.int64]:
        """int64[s], ascending: the samples (interaction rows) with an answered prompt of theirs.

        The first call on a database of version 0.1.0 reads all its prompts, which takes seconds. Raises
        ``StorageError``, and ``NotPreparedError`` where nothing can be asked.
        """
        data, database = self._workspace.dataset(self._name), self._workspace.database
        questions = self._workspace.pipeline(self._name).questions
        with self._filling:
            if not _is_filled(database, data.meta):
                from storage.results.requests_fill import fill_requests

                fill_requests(database, questions)
        samples = [
            data.find_row(data.user_code(user), data.item_code(item))
            for user, item in _answered(database, data.meta, self._workspace.model("tuned", self._name))
        ]
        self._rows = np.array(sorted(row for row in samples if row is not None), dtype=np.int64)
        return self._rows

    def of_user(self, user: int) -> NDArray[np.int64]:
        """The samples of one user code, ascending."""
        rows, history = self.rows(), self._workspace.dataset(self._name).user_rows(user)
        return rows[(rows >= history.start) & (rows < history.stop)]

    def counts(self, read: bool = True) -> NDArray[np.int64] | None:
        """int64[users]: how many each user has. Without ``read``, as they were when last read, None before that."""
        rows, data = self.rows() if read else self._rows, self._workspace.dataset(self._name)
        if rows is None:
            return None
        return np.bincount(data.user_index[rows], minlength=data.n_users).astype(np.int64)


def _answered(database: Database, meta: DatasetMeta, model: ModelRef) -> list[tuple[str, str]]:
    """(user id, item id) of the requests that ``model`` has answered, in whatever precision where that is unknown."""
    query = select(RequestRow.user_id, RequestRow.item_id).distinct()
    query = query.join(AnswerRow, AnswerRow.prompt_hash == RequestRow.prompt_hash).where(
        *_of_data(RequestRow, meta), or_(*(_answered_by(one) for one in (model, unknown_of(model)) if one))
    )
    with database.session(read_only=True) as session:
        return [(user, item) for user, item in session.execute(query)]


def _answered_by(model: ModelRef) -> ColumnElement[bool]:
    return and_(
        AnswerRow.model == model.name,
        AnswerRow.revision == model.revision,
        AnswerRow.adapter.is_(None) if model.adapter is None else AnswerRow.adapter == model.adapter,
        AnswerRow.options == answer_options(model),
    )


def _is_filled(database: Database, meta: DatasetMeta) -> bool:
    with database.session(read_only=True) as session:
        return session.get(RequestFillRow, (meta.name, meta.data_hash)) is not None


def _of_data(table: type[RequestRow], meta: DatasetMeta) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.dataset == meta.name, table.data_hash == meta.data_hash


def _is_plain(questions: Questions, question: Question) -> bool:
    """Whether a question with edits asks M_G what the plain question would with the same past items."""
    shown = [int(question.past.items[line.position]) for line in question.lines if line.position is not None]
    try:
        plain = questions.prompt(question.user, question.item, shown, question.subject.layout)
    except UsageError:  # one of the items is not in the user's past
        return False
    return plain.text == question.prompts[0].text
