"""The tables of labelling, as SQLAlchemy models.

A person's label of a task is one row from the moment that the task is reserved for them; what it said before is in
``label_versions``. Resolved labels have a table of their own, so that no question about labels can mix the two.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Double, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy import false as no
from sqlalchemy import true as yes
from sqlalchemy.orm import Mapped, mapped_column

from storage.database.tables import Base, UtcDateTime, utc_now


class AccountRow(Base):
    """``folded``: the name as it is compared. ``password``: an argon2 hash; None: nobody can log in (imported)."""

    __tablename__ = "label_accounts"
    __table_args__ = (
        CheckConstraint("role IN ('admin', 'reviewer', 'annotator', 'viewer')", name="role"),
        UniqueConstraint("folded"),
    )

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    folded: Mapped[str] = mapped_column(String(128))
    password: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))
    disabled: Mapped[bool] = mapped_column(Boolean, server_default=no())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class LoginRow(Base):
    """Somebody who is logged in. ``token``: SHA-256 of what their browser holds."""

    __tablename__ = "label_logins"

    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = mapped_column(String(64), ForeignKey("label_accounts.name"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FailureRow(Base):
    """Wrong passwords for a name (SHA-256 of it as it is compared), whether there is such an account or not."""

    __tablename__ = "label_login_failures"

    name_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProjectRow(Base):
    """``project``: a :class:`backend.labelling.Project` as JSON. ``open``: whether tasks are given out."""

    __tablename__ = "label_projects"

    key: Mapped[str] = mapped_column(String(16), primary_key=True)
    project: Mapped[str] = mapped_column(Text)
    open: Mapped[bool] = mapped_column(Boolean, server_default=yes())
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MemberRow(Base):
    """Who may label in a project."""

    __tablename__ = "label_members"

    project_key: Mapped[str] = mapped_column(String(16), ForeignKey("label_projects.key"), primary_key=True)
    account: Mapped[str] = mapped_column(String(64), ForeignKey("label_accounts.name"), primary_key=True)


class ChainRow(Base):
    """A chain as it was when a project took it (:class:`backend.labelling.ChainRecord` as JSON), under its own hash."""

    __tablename__ = "label_chains"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    chain: Mapped[str] = mapped_column(Text)


class TaskRow(Base):
    """One chain to label, or two to choose from. ``place``: in the project's order, from 0.

    ``gold``: the judgement that is known to be right, as JSON; such a task is hidden among the others, or with
    ``qualification`` comes first. ``setting``: a :class:`backend.labelling.Setting` as JSON.
    """

    __tablename__ = "label_tasks"
    __table_args__ = (Index(None, "project_key", "place"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_key: Mapped[str] = mapped_column(String(16), ForeignKey("label_projects.key"))
    place: Mapped[int] = mapped_column(Integer)
    chain: Mapped[str] = mapped_column(String(64), ForeignKey("label_chains.hash"))
    other: Mapped[str | None] = mapped_column(String(64), ForeignKey("label_chains.hash"))
    setting: Mapped[str] = mapped_column(Text)
    gold: Mapped[str | None] = mapped_column(Text)
    qualification: Mapped[bool] = mapped_column(Boolean, server_default=no())


class _Written:
    """What labels and resolved labels have in common. ``judgement``: JSON. ``version`` counts what was saved."""

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    author: Mapped[str] = mapped_column(String(64), ForeignKey("label_accounts.name"))
    judgement: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(Double, server_default="0")
    rubric: Mapped[str] = mapped_column(String(16))
    blind: Mapped[bool] = mapped_column(Boolean)
    gold: Mapped[bool] = mapped_column(Boolean, server_default=no())
    qualification: Mapped[bool] = mapped_column(Boolean, server_default=no())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    submitted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LabelRow(_Written, Base):
    """A person's label of a task; a draft of version 0 is a mere reservation, of which nobody is told.

    ``reserved_until``: until then a draft keeps its place in the task's overlap. ``stands``: a submitted label that is
    being edited; should that come to nothing, the submission stands again. ``deferred_at``: put back by its author, so
    that it comes last. ``submission``: the browser's name for the submission that was taken in.
    """

    __tablename__ = "label_labels"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'submitted', 'skipped')", name="status"),
        CheckConstraint("seconds >= 0", name="seconds"),
        UniqueConstraint("task", "author"),
        Index(None, "author", "status"),
    )

    task: Mapped[str] = mapped_column(String(32), ForeignKey("label_tasks.id"))
    status: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(Integer, server_default="0")
    skip_reason: Mapped[str] = mapped_column(Text, server_default="")
    submission: Mapped[str | None] = mapped_column(String(64))
    reserved_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stands: Mapped[bool] = mapped_column(Boolean, server_default=no())
    deferred_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ResolvedRow(_Written, Base):
    """What a reviewer wrote after reading all labels of a task."""

    __tablename__ = "label_resolved"
    __table_args__ = (CheckConstraint("seconds >= 0", name="seconds"), UniqueConstraint("task"))

    task: Mapped[str] = mapped_column(String(32), ForeignKey("label_tasks.id"))


class VersionRow(Base):
    """What a label, or a resolved one, said before. Rows are added and never changed."""

    __tablename__ = "label_versions"

    label: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    judgement: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(Double)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    submission: Mapped[str | None] = mapped_column(String(64))


class AuditRow(Base):
    """Who changed what, and from what to what (JSON). The database itself refuses to change or delete a row."""

    __tablename__ = "label_audit"

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    who: Mapped[str] = mapped_column(String(64))
    what: Mapped[str] = mapped_column(String(64))
    about: Mapped[str] = mapped_column(Text, index=True)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
