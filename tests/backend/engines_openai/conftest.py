"""A server that misbehaves as told, and an engine that asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from backend.engines.config import ServerConfig
from backend.engines.openai import OpenAIEngine, client
from backend.types import ModelRef
from tests.backend.engines_openai.badserver import BadReply, BadServer, ServerRequest, serving

Start = Callable[..., tuple[OpenAIEngine, BadServer]]


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def start() -> Iterator[Start]:
    """start(answer) is an engine and the server it asks; ``served`` and the fields of ``ServerConfig`` can be given."""
    with ExitStack() as servers:

        def begin(
            answer: Callable[[ServerRequest], BadReply],
            *,
            served: tuple[str, ...] = ("small",),
            model: ModelRef | None = None,
            **config: Any,
        ) -> tuple[OpenAIEngine, BadServer]:
            server = servers.enter_context(serving(answer, served))
            settings = ServerConfig(**{"timeout": 10, **config})
            return OpenAIEngine(model or ModelRef("small"), url=server.url, config=settings), server

        yield begin
