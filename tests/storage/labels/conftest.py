"""A database with people and a project of made-up chains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.labelling import Account, Chain, Judgement, PastItem, Project, Setting, StepJudgement
from backend.prompting import split_steps
from storage import Database, open_database
from storage.labels import accounts, projects, tables
from storage.labels.values import Task

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "a long password"
PEOPLE = {"root": "admin", "rita": "reviewer", "ann": "annotator", "bob": "annotator", "vic": "viewer"}
TEXT = "The user liked Heat (1995) with 5 stars. It is a thriller. So is this one.</think> The answer is: {}."


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def chain(sample: int, index: int, **more: Any) -> Chain:
    """The ``index``-th chain of a sample; every third says no."""
    verdict = "no" if index % 3 == 2 else "yes"
    plain: dict[str, Any] = {
        "id": f"{sample:032x}{index:032x}", "dataset": "ml-latest-small", "data_hash": "d" * 64, "user": str(sample),
        "item": str(100 + sample), "title": f"Film {sample} (1999)", "truth": sample % 2 == 0,
        "history": (PastItem(item="6", title="Heat (1995)", rating=5.0, relevance_rank=1),), "prompt": "…",
        "prompt_hash": "e" * 64, "knowledge": "Another one think the answer might be Yes.",
        "model": {"name": "reasoner", "revision": "1", "adapter": None, "context": None, "quantized": None},
        "index": index, "seed": 0, "text": f"Take {index}. " + TEXT.format(verdict), "verdict": verdict,
        "p_yes": 0.25 + 0.1 * (index % 5), "tokens": 30 + index, "finish": "stop",
    }  # fmt: skip
    return Chain(**plain | more)


def setting(sample: int, **more: Any) -> Setting:
    plain: dict[str, Any] = {
        "recipe": "r" * 16, "gamma": 2 / 3, "beta": 1.0, "k": 10, "alpha": 0.1, "epsilon": 1e-3, "traces": 3, "seed": 0,
        "strategy": "rerank", "variant": "concat+ssl", "knowledge": "paper",
        "tuned_model": {"name": "tuned", "revision": "1", "adapter": None, "context": None, "quantized": None},
        "p_g": 0.5, "var_g": 0.01, "p_r": 0.5 + 0.01 * sample, "var_r": 0.02 * sample, "p_final": 0.5,
    }  # fmt: skip
    return Setting(**plain | more)


def exhibits(samples: int, chains: int = 1) -> list[tuple[Chain, Setting]]:
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
        "scales": dict.fromkeys(("groundedness", "validity", "coherence", "informativeness", "personalisation"), 4),
        "verdict": "yes",
        "confidence": 3,
    }
    return Judgement(**plain | more)


def steps_of(task: Task) -> list[str]:
    return [step.id for step in split_steps(task.chains[0].text)]


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
