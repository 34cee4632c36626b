"""A database with people and a project of made-up chains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.labelling import Account, ChainRecord, Judgement, Project, Setting, StepJudgement
from storage import Database, open_database
from storage.labels import accounts, projects, tables
from storage.labels.values import Task
from tests.backend.labelling import making
from tests.backend.labelling.making import NOON as NOON

PASSWORD = "a long password"
PEOPLE = {"root": "admin", "rita": "reviewer", "ann": "annotator", "bob": "annotator", "vic": "viewer"}
TEXT = "The user liked Heat (1995) with 5 stars. It is a thriller. So is this one.</think> The answer is: {}."


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def chain(sample: int, index: int, **more: Any) -> ChainRecord:
    """The ``index``-th chain of a sample; every third says no."""
    verdict = "no" if index % 3 == 2 else "yes"
    plain: dict[str, Any] = {
        "id": f"{sample:032x}{index:032x}", "user": str(sample), "item": str(100 + sample),
        "title": f"Film {sample} (1999)", "truth": sample % 2 == 0, "index": index,
        "knowledge": "Another one think the answer might be Yes.", "text": f"Take {index}. " + TEXT.format(verdict),
        "verdict": verdict, "p_yes": 0.25 + 0.1 * (index % 5), "tokens": 30 + index,
    }  # fmt: skip
    return making.chain(**plain | more)


def setting(sample: int, **more: Any) -> Setting:
    plain = {"recipe": "r" * 16, "knowledge": "paper", "p_g": 0.5, "p_r": 0.5 + 0.01 * sample, "var_r": 0.02 * sample}
    return making.setting(**plain | more)


def exhibits(samples: int, chains: int = 1) -> list[tuple[ChainRecord, Setting]]:
    return [(chain(sample, index), setting(sample)) for sample in range(1, samples + 1) for index in range(chains)]


def project_of(**more: Any) -> Project:
    return Project(**{"name": "Trial", "dataset": "ml-latest-small"} | more)


def judged(task: Task, value: str = "good", **more: Any) -> Judgement:
    """All that can be said of a task, each step and scale alike."""
    if task.pair:
        return Judgement(preferred=task.pair[0])
    tags = ("irrelevant",) if value == "bad" else ()
    plain: dict[str, Any] = {
        "steps": {step.id: StepJudgement(value=value, tags=tags) for step in task.steps},
        "scales": dict.fromkeys(making.SCALES, 4), "verdict": "yes", "confidence": 3,
    }  # fmt: skip
    return Judgement(**plain | more)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'labels.db'}")
    yield opened
    opened.close()


@pytest.fixture
def people(database: Database) -> dict[str, Account]:
    """ann, bob and cem may label; rita reviews, vic looks, root administers. None of them has a password."""
    roles = {"ann": "annotator", "bob": "annotator", "cem": "annotator", "rita": "reviewer", "vic": "viewer"}
    return {
        name: accounts.add_account(database, name, None, role) for name, role in (roles | {"root": "admin"}).items()
    }


@pytest.fixture
def make(database: Database, people: dict[str, Account]) -> Callable[..., str]:
    """make(samples=3, overlap=2) makes a project that ann, bob, cem and rita are members of; its key."""

    def made(samples: int = 3, chains: int = 1, **more: Any) -> str:
        members = ["ann", "bob", "cem", "rita"]
        return projects.create_project(database, project_of(**more), exhibits(samples, chains), members, "rita")

    return made


def rows(database: Database) -> list[tables.LabelRow]:
    from sqlalchemy import select

    with database.session(read_only=True) as session:
        return list(session.scalars(select(tables.LabelRow)))
