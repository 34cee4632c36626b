"""The tables, as SQLAlchemy models: prompts, what models made of them, imported files, what-ifs, stories and jobs.

Only the shape is here. Reading and writing rows is ``storage.results.rows`` and ``storage.jobs``; bringing a
database into this shape is ``schema`` with the numbered files of ``migrations/versions``, which never import this
module, so that an old migration goes on meaning what it meant.
"""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Base of every table. Constraints have predictable names, so that later migrations can drop them by name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def insert_or_pass(session: Session, table: type[Base]) -> Any:
    """An INSERT that passes over rows that are there: SQLite and PostgreSQL each have their own, in the same words."""
    dialect = importlib.import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}")
    return dialect.insert(table.__table__).on_conflict_do_nothing()


class PromptRow(Base):
    """The messages of one prompt, once. ``hash`` is the SHA-256 of ``messages``, which is canonical JSON."""

    __tablename__ = "prompts"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    messages: Mapped[str] = mapped_column(Text)


class _Result:
    """What every stored result has: what it answers (all of it in ``key``), and where it came from.

    ``options`` says how the model is run and how chains are drawn (``storage.results.keys``). ``dropped``: as in
    :class:`backend.types.Answer`; 0 for what was stored before it was counted. ``mass``: likewise, None before.
    ``engine`` and ``created_at`` are provenance alone: neither is part of the key or of the checksum.
    """

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    revision: Mapped[str] = mapped_column(Text)
    adapter: Mapped[str | None] = mapped_column(Text)
    prompt_hash: Mapped[str] = mapped_column(String(64), ForeignKey("prompts.hash"))
    options: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(Double)
    dropped: Mapped[int] = mapped_column(Integer, server_default="0")
    mass: Mapped[float | None] = mapped_column(Double)
    checksum: Mapped[str] = mapped_column(String(64))
    engine: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class AnswerRow(_Result, Base):
    """P(yes) of a prompt at the answer position: a :class:`backend.types.Answer`."""

    __tablename__ = "answers"
    __table_args__ = (
        CheckConstraint("p_yes >= 0 AND p_yes <= 1", name="p_yes"),
        Index(None, "prompt_hash", "model"),
    )

    p_yes: Mapped[float] = mapped_column(Double)
    prompt_tokens: Mapped[int] = mapped_column(Integer)


class TraceRow(_Result, Base):
    """One reasoning chain of a prompt: a :class:`backend.types.Trace`, and the stream it was drawn from."""

    __tablename__ = "traces"
    __table_args__ = (
        CheckConstraint("p_yes >= 0 AND p_yes <= 1", name="p_yes"),
        CheckConstraint("sample_index >= 0", name="sample_index"),
        CheckConstraint("finish IN ('stop', 'length', 'filter', 'tool', 'empty')", name="finish"),
        Index(None, "prompt_hash", "model"),
    )

    p_yes: Mapped[float | None] = mapped_column(Double)
    seed: Mapped[int] = mapped_column(BigInteger)
    sample_index: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
    tokens: Mapped[int] = mapped_column(Integer)
    finish: Mapped[str] = mapped_column(String(16))


class RequestRow(Base):
    """A prompt that M_G was asked about a sample of a dataset, by the dataset's own ids: ``storage.results.requests``.

    The prompt need not be stored: a request is written before the model is asked.
    """

    __tablename__ = "requests"
    __table_args__ = (Index(None, "prompt_hash"),)

    dataset: Mapped[str] = mapped_column(Text, primary_key=True)
    data_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    item_id: Mapped[str] = mapped_column(Text, primary_key=True)
    prompt_hash: Mapped[str] = mapped_column(String(64), primary_key=True)


class RequestFillRow(Base):
    """A dataset for which the stored prompts that came without a request were read; an import takes these rows away."""

    __tablename__ = "request_fills"

    dataset: Mapped[str] = mapped_column(Text, primary_key=True)
    data_hash: Mapped[str] = mapped_column(String(64), primary_key=True)


class ServerRow(Base):
    """What a server said of the model that it serves under a name, as JSON: see :mod:`storage.results.servers`."""

    __tablename__ = "servers"

    server: Mapped[str] = mapped_column(Text, primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)
    revision: Mapped[str] = mapped_column(Text, primary_key=True)
    said: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class ImportRow(Base):
    """A file of results that was imported, by the SHA-256 of its bytes; ``answers`` and ``traces`` count its rows."""

    __tablename__ = "imports"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    answers: Mapped[int] = mapped_column(Integer)
    traces: Mapped[int] = mapped_column(Integer)
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class WhatIfRow(Base):
    """A what-if that somebody kept; ``id`` is a hash of all but ``name`` and ``created_at``.

    ``user_id`` and ``item_id`` are the dataset's ids; ``recipe`` (before the edits) and ``edits`` are canonical JSON.
    Its answers and chains are in the cache, under the keys of its own prompts.
    """

    __tablename__ = "what_ifs"
    __table_args__ = (Index("ix_what_ifs_dataset_user_id_item_id", "dataset", "user_id", "item_id"),)

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    dataset: Mapped[str] = mapped_column(Text)
    data_hash: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(Text)
    item_id: Mapped[str] = mapped_column(Text)
    recipe: Mapped[str] = mapped_column(Text)
    edits: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class StoryRow(Base):
    """A story that somebody told (:class:`backend.stories.Story` as JSON), under the hash of what it says."""

    __tablename__ = "stories"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    story: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class JobRow(Base):
    """A piece of work that somebody asked for, and how far it is: see :mod:`storage.jobs.store`.

    ``number`` counts from 1. ``params``: canonical JSON, ``key`` the SHA-256 of it. ``owner``: SHA-256 of the key of
    whoever started it. ``worker``: the process that is to run it, or does; None until one has taken it.
    ``heartbeat_at`` is when that process last said that it lives. ``finished`` of ``total`` results are there.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'done', 'stopped', 'failed', 'interrupted')", name="state"),
        CheckConstraint("fraction >= 0 AND fraction <= 1", name="fraction"),
        Index(None, "state", "queued_at"),
        Index(None, "key"),
    )

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    params: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(64))
    worker: Mapped[str | None] = mapped_column(String(64))
    stop_asked: Mapped[bool] = mapped_column(Boolean, server_default=false())
    stage: Mapped[str] = mapped_column(Text, server_default="")
    fraction: Mapped[float | None] = mapped_column(Double)
    finished: Mapped[int] = mapped_column(Integer, server_default="0")
    total: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
