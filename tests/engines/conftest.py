"""Every engine there is, for the one contract suite; the real model is loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backend.engines import Engine, create_engine
from backend.engines.causal_lm import CausalLM
from backend.types import Message, Messages, ModelRef
from storage import CachedEngine, open_database


def ask(text: str) -> Messages:
    return (Message("user", text),)


@pytest.fixture(scope="session")
def real_engine(model_ref: ModelRef, models_dir: Path) -> Engine:
    torch.set_num_threads(1)  # threads that wait for each other crawl where a machine's cores are shared
    engine = create_engine("transformers", model=model_ref, models_dir=models_dir, device="cpu")
    engine.load()
    return engine


@pytest.fixture(params=["scripted", "cached", pytest.param("transformers", marks=pytest.mark.model)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """``cached`` is the scripted engine behind a fresh, empty cache."""
    if request.param == "transformers":
        yield request.getfixturevalue("real_engine")
    elif request.param == "scripted":
        yield create_engine("scripted")
    else:
        database = open_database(f"sqlite:///{tmp_path / 'cache.db'}")
        yield CachedEngine(create_engine("scripted"), database)
        database.close()


@pytest.fixture(scope="session")
def lm(real_engine: Engine) -> CausalLM:
    """The real model beneath the real engine."""
    return real_engine._lm(None)  # type: ignore[attr-defined,no-any-return]
