"""Reading and writing the cached results of one model, each row checked against its key as it is read.

Which results are wanted, and running the model for those that are missing, is ``storage.results.cached_engine``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import CursorResult, Row, Select, select
from sqlalchemy.orm import Session

from backend.errors import CorruptCacheError, EngineError
from backend.types import CHAIN_ENDS, NO_CHAIN, Answer, Messages, ModelRef, Sampling, Trace
from storage.database.connection import Database
from storage.database.tables import AnswerRow, Base, PromptRow, TraceRow, insert_or_pass
from storage.results.keys import (
    answer_checksum,
    answer_key,
    answer_options,
    messages_json,
    prompt_hash,
    result_problem,
    trace_checksum,
    trace_key,
    trace_options,
)

# Keys per SELECT: few enough for every database's limit on parameters.
KEYS_PER_SELECT = 500


@dataclass(frozen=True)
class KeyedPrompt:
    """Messages with the spelling and the hash they are stored under, each computed once."""

    messages: Messages

    @cached_property
    def json(self) -> str:
        return messages_json(self.messages)

    @cached_property
    def hash(self) -> str:
        return prompt_hash(self.json)


class ResultCache:
    """The stored answers and chains of ``model``. ``engine`` is noted beside what is written, as provenance.

    Every method is safe to call from any thread and process at the same time. Reading raises ``CorruptCacheError``
    for a row that does not belong to its key; all raise ``StorageError`` where the database cannot be used.
    """

    def __init__(self, database: Database, model: ModelRef, engine: str) -> None:
        self.database = database
        self.model = model
        self.engine = engine

    def answer_key(self, prompt: KeyedPrompt) -> str:
        """The key of the model's answer to ``prompt``."""
        return answer_key(self.model, prompt.hash)

    def trace_key(self, prompt: KeyedPrompt, sampling: Sampling, index: int) -> str:
        """The key of the ``index``-th chain from ``prompt``."""
        return trace_key(self.model, prompt.hash, sampling, index)

    def answers(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The stored answers among ``keys``, by key."""
        return {row.key: self._read_answer(row) for row in self._rows(AnswerRow, list(keys))}

    def traces(self, keys: Iterable[str]) -> dict[str, Trace]:
        """The stored chains among ``keys``, by key."""
        return {row.key: self._read_trace(row) for row in self._rows(TraceRow, list(keys))}

    def save_answers(self, prompts: Mapping[str, KeyedPrompt], answers: Sequence[Answer]) -> dict[str, Answer]:
        """Store the ``answers`` to ``prompts`` (by key, in the same order) at once; return what is stored by now.

        Where another process was faster, that is its answer. Raises ``EngineError`` for a P(yes) that is none.
        """
        rows, options = [], answer_options(self.model)
        for (key, prompt), given in zip(prompts.items(), answers, strict=True):
            p_yes, seconds = _probability(given.p_yes), float(given.seconds)
            answer = Answer(p_yes, int(given.prompt_tokens), seconds, int(given.dropped), _mass(given.mass))
            rows.append(
                self._common(key, prompt, options, answer)
                | {"prompt_tokens": answer.prompt_tokens, "checksum": answer_checksum(key, answer)}
            )
        if rows:
            with self.database.session() as session:
                _insert_new(session, PromptRow, _prompt_rows(prompts.values()), "hash")
                _insert_new(session, AnswerRow, rows, "key")
        return self.answers(prompts)

    def save_trace(self, prompt: KeyedPrompt, sampling: Sampling, given: Trace) -> Trace:
        """Store one finished chain; return what is stored by now, which is another process's if that was faster.

        Raises ``EngineError`` for a P(yes) or a ``finish`` that is none.
        """
        key = self.trace_key(prompt, sampling, given.index)
        if given.finish not in (*CHAIN_ENDS, *NO_CHAIN):
            known = ", ".join((*CHAIN_ENDS, *NO_CHAIN))
            raise EngineError(f"The engine ended a chain with {given.finish!r}", expected=f"one of {known}")
        if given.is_chain == (given.p_yes is None):
            raise EngineError(
                f"The engine ended a chain with {given.finish!r} and gave {given.p_yes} as P(yes)",
                expected="a P(yes) of every chain, and of nothing else",
            )
        p_yes = None if given.p_yes is None else _probability(given.p_yes)
        trace = Trace(
            int(given.index), _storable(given.text), p_yes, int(given.tokens), float(given.seconds), given.finish,
            int(given.dropped), _mass(given.mass),
        )  # fmt: skip
        row = self._common(key, prompt, trace_options(self.model, sampling), trace) | {
            "seed": int(sampling.seed),
            "sample_index": trace.index,
            "text": trace.text,
            "tokens": trace.tokens,
            "finish": trace.finish,
            "checksum": trace_checksum(key, trace),
        }
        with self.database.session() as session:
            _insert_new(session, PromptRow, _prompt_rows([prompt]), "hash")
            is_new = _insert_new(session, TraceRow, [row], "key") == 1
        return trace if is_new else self.traces([key])[key]

    def _common(self, key: str, prompt: KeyedPrompt, options: str, result: Answer | Trace) -> dict[str, Any]:
        return {
            "key": key,
            "model": self.model.name,
            "revision": self.model.revision,
            "adapter": self.model.adapter,
            "prompt_hash": prompt.hash,
            "options": options,
            "p_yes": result.p_yes,
            "seconds": result.seconds,
            "dropped": result.dropped,
            "mass": result.mass,
            "engine": self.engine,
        }

    def _rows(self, model: type[AnswerRow] | type[TraceRow], keys: list[str]) -> list[Row[Any]]:
        """The rows of ``keys`` with their prompt's ``messages``, None where the prompt is gone. Provenance stays."""
        columns = [column for column in model.__table__.columns if column.name not in ("engine", "created_at")]
        statement: Select[Any] = select(*columns, PromptRow.messages)
        statement = statement.outerjoin(PromptRow, PromptRow.hash == model.prompt_hash)
        rows: list[Row[Any]] = []
        if keys:
            with self.database.session(read_only=True) as session:
                for start in range(0, len(keys), KEYS_PER_SELECT):
                    some = keys[start : start + KEYS_PER_SELECT]
                    rows += session.execute(statement.where(model.key.in_(some))).all()
        return rows

    def _read_answer(self, row: Row[Any]) -> Answer:
        self._verify("answer", row)
        return Answer(row.p_yes, row.prompt_tokens, row.seconds, row.dropped, row.mass)

    def _read_trace(self, row: Row[Any]) -> Trace:
        self._verify("trace", row)
        drawn = row.sample_index, row.text, row.p_yes, row.tokens, row.seconds, row.finish
        return Trace(*drawn, row.dropped, row.mass)

    def _verify(self, kind: str, row: Row[Any]) -> None:
        """Raise ``CorruptCacheError`` for a row that does not belong to its key, its prompt or its checksum."""
        table = f"{kind}s"
        delete = f"DELETE FROM {table} WHERE key = '{row.key}'"
        if row.messages is None:
            raise self._corrupt(table, row.key, f"its prompt {row.prompt_hash} is gone", delete)
        if prompt_hash(row.messages) != row.prompt_hash:
            # The results hang on their prompt, so they go first.
            where = f"WHERE prompt_hash = '{row.prompt_hash}'"
            delete = f"DELETE FROM answers {where}; DELETE FROM traces {where}; "
            delete += f"DELETE FROM prompts WHERE hash = '{row.prompt_hash}'"
            raise self._corrupt("prompts", row.prompt_hash, "its messages do not give this hash", delete)
        problem = result_problem(kind, row._asdict())
        if problem:
            raise self._corrupt(table, row.key, problem, delete)

    def _corrupt(self, table: str, key: str, problem: str, delete: str) -> CorruptCacheError:
        return CorruptCacheError(
            f"Row {key} of table {table} in {self.database.url} was changed or damaged: {problem}",
            fix=f"run this SQL on the database, and what it deletes is computed anew: {delete}",
        )


def _probability(value: float) -> float:
    if not 0.0 <= value <= 1.0:  # NaN is caught too
        raise EngineError(f"The engine returned {value} as P(yes)", expected="a number from 0 to 1")
    return float(value)


def _mass(value: float | None) -> float | None:
    if value is not None and not 0.0 <= value <= 1.0:
        raise EngineError(f"The engine returned {value} as the mass behind P(yes)", expected="a number from 0 to 1")
    return None if value is None else float(value)


def _storable(text: str) -> str:
    # PostgreSQL keeps no NUL and UTF-8 no half of a surrogate pair; a model that babbles may write either.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _prompt_rows(prompts: Iterable[KeyedPrompt]) -> list[dict[str, Any]]:
    return [{"hash": prompt.hash, "messages": prompt.json} for prompt in prompts]


def _insert_new(session: Session, model: type[Base], rows: list[dict[str, Any]], key: str) -> int:
    """Insert those of ``rows`` that are not there yet; for one row, how many that was."""
    # Always in the same order, so that two processes that write the same rows cannot wait for each other in a circle.
    rows = sorted(rows, key=lambda row: str(row[key]))
    result: CursorResult[Any] = session.connection().execute(insert_or_pass(session, model), rows)
    return result.rowcount
