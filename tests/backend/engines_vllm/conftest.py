"""A real vLLM in this process, loaded once, and what it answered in each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backend.engines.vllm_engine import VllmEngine

# The other engines, and the server, as the contract suite makes them.
from tests.backend.engines.conftest import adapters, openai_engine, real_engine, server, vllm_engine

__all__ = ["adapters", "openai_engine", "real_engine", "server", "vllm_engine"]


@pytest.fixture(scope="session")
def vllm(vllm_engine: VllmEngine) -> VllmEngine:
    return vllm_engine


@pytest.fixture
def outputs(vllm: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every output of vLLM's engine from now on, in order."""
    assert vllm._shared.loaded is not None
    engine, heard = vllm._shared.loaded.engine, []
    step = engine.step

    def listen() -> list[Any]:
        new = step()
        heard.extend(new)
        return new

    monkeypatch.setattr(engine, "step", listen)
    yield heard
    monkeypatch.undo()
    assert not engine.has_unfinished_requests()
