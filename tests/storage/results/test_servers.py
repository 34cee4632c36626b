"""A server that has other weights under a name than before is noticed on first contact, before anything is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import EngineError
from backend.settings import Settings
from backend.types import Message
from storage.workspace import Workspace
from tests.backend.engines_openai.badserver import BadServer, listing, serving

PROMPT = (Message("user", "Will they like it?"),)
LLAMA = {"root": "/models/llama-3.1", "parent": None, "created": 1}


@pytest.fixture
def server() -> Iterator[BadServer]:
    with serving(lambda _request: listing()) as started:
        started.origin = LLAMA
        yield started


Ask = Callable[..., list[float]]


@pytest.fixture
def ask(server: BadServer, tmp_path: Path) -> Ask:
    """ask(): M_G's answer from a program that was just started; ``url`` and the table ``server`` can be given."""

    def of(url: str = server.url, **table: Any) -> list[float]:
        settings = Settings(home=tmp_path, engine="openai", tuned_model="small", server_url=url, server=table)
        with Workspace(settings, bundle=tmp_path / "none") as workspace:
            return [answer.p_yes for answer in workspace.cached_engine("tuned").answer([PROMPT])]

    return of


@pytest.mark.parametrize(
    "later",
    [
        LLAMA,
        LLAMA | {"created": 2},
        LLAMA | {"revision": "new to say"},
        {},
        {"root": None},
    ],
)
def test_what_says_nothing_of_the_weights_is_no_difference(
    server: BadServer, ask: Ask, later: dict[str, Any], tmp_path: Path
) -> None:
    first = ask()
    with sqlite3.connect(tmp_path / "rallrec.db") as database:  # so that the server is asked again
        database.execute("DELETE FROM answers")
    server.origin = later
    assert ask() == first
    assert len(server.chats) == 2


@pytest.mark.parametrize("later", [{"root": "/models/qwen"}, LLAMA | {"parent": "base"} | {"root": "/models/other"}])
def test_other_weights_under_the_name_are_refused_with_what_to_do(
    server: BadServer, ask: Ask, later: dict[str, Any], tmp_path: Path
) -> None:
    ask()
    server.origin = later
    ask()  # all is known: the server is not asked
    with sqlite3.connect(tmp_path / "rallrec.db") as database:
        database.execute("DELETE FROM answers")
    with pytest.raises(EngineError, match=r"another model under the name 'small'.*llama-3\.1.*now") as refused:
        ask()
    assert len(server.chats) == 1, "nothing was asked of it"
    assert "RALLREC_SERVER__REVISION" in str(refused.value)
    assert ask(revision="2026-03"), "another revision has results of its own"
    statement = str(refused.value).split("database: ")[1]
    with sqlite3.connect(tmp_path / "rallrec.db") as database:
        database.execute(statement.rstrip("."))
    assert ask(), "if they are the same weights, the old word is forgotten"


def test_two_servers_share_no_results_unless_told_to(server: BadServer, ask: Ask) -> None:
    with serving(lambda _request: listing()) as other:
        for url in (server.url, other.url):
            ask(url)
        assert (len(server.chats), len(other.chats)) == (1, 1)
        ask(server.url, identity="ours")
        ask(other.url, identity="ours")
        assert (len(server.chats), len(other.chats)) == (2, 1)
