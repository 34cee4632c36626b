"""One home opened: its parts, what they share, and a prediction looked up without any model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import datasets
from backend.engines import Engine
from backend.engines.scripted import ScriptedEngine
from backend.errors import NotPreparedError, UnknownNameError
from backend.pipeline import Listener
from backend.settings import Settings
from backend.types import ModelRef
from storage import CachedEngine
from storage.lookup import look_up
from storage.vectors import make_vectors
from storage.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, small_source: Path) -> Any:
    settings = Settings(home=tmp_path / "home", engine="scripted", encoder="scripted", scripted_delay=0, traces=3)
    datasets.prepare("ml-latest-small", settings.home / "datasets", source=small_source)
    opened = Workspace(settings)
    make_vectors(opened.dataset(), opened.engine(opened.encoder), opened.artifacts)
    yield opened
    opened.close()


def _inner(engine: Engine) -> ScriptedEngine:
    assert isinstance(engine, CachedEngine)
    assert isinstance(engine.inner, ScriptedEngine)
    return engine.inner


def test_a_prediction_is_looked_up_without_a_model_and_grows_with_what_is_known(workspace: Workspace) -> None:
    pipeline, recipe = workspace.pipeline(), workspace.recipe()
    question = pipeline.question(7, int(pipeline.dataset.item_index[-1]), recipe)
    unknown = look_up(pipeline, question, recipe)
    assert (unknown.answers, unknown.traces, unknown.reason_prompt) == ((None,) * 3, (None,) * 3, None)
    done = pipeline.predict(question, recipe)
    ran = list(_inner(pipeline.tuned).calls)
    assert look_up(pipeline, question, recipe) == done
    more = workspace.recipe(traces=5)
    partly = look_up(pipeline, question, more)
    assert [trace is not None for trace in partly.traces] == [True] * 3 + [False] * 2
    assert not partly.complete
    assert np.isnan(partly.p_final)
    assert _inner(pipeline.tuned).calls == ran
    heard: list[Any] = []
    assert pipeline.predict(question, more, Listener(update=heard.append)).traces[:3] == done.traces
    assert _inner(pipeline.tuned).calls == [*ran, ("reason", 2)]


def test_both_roles_share_one_engine_where_they_are_the_same_weights(workspace: Workspace) -> None:
    assert workspace.cached_engine("tuned") is workspace.cached_engine("reasoning")
    assert workspace.pipeline() is workspace.pipeline()
    apart = Workspace(Settings(tuned_model="org/one", reasoning_model="org/two"))
    assert (apart.model("tuned"), apart.model("reasoning")) == (ModelRef("org/one"), ModelRef("org/two"))


def test_an_unknown_role_lists_the_known(workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match=r"'judge'.*reasoning, tuned"):
        workspace.model("judge")


def test_a_pipeline_without_vectors_names_the_command(tmp_path: Path, small_source: Path) -> None:
    settings = Settings(home=tmp_path / "home", engine="scripted", encoder="scripted")
    datasets.prepare("ml-latest-small", settings.home / "datasets", source=small_source)
    with pytest.raises(NotPreparedError, match="rallrec embed"):
        Workspace(settings).pipeline()


def test_opening_nothing_writes_nothing(tmp_path: Path) -> None:
    opened = Workspace(Settings(home=tmp_path / "home"))
    opened.recipe(gamma=0.5)
    opened.model("tuned")
    opened.close()
    assert not (tmp_path / "home").exists()


@pytest.mark.model
def test_the_shipped_vectors_are_those_of_the_embedded_model(shipped: datasets.Dataset, models_dir: Path) -> None:
    from backend.representation import title_texts
    from storage.vectors import load_vectors

    opened = Workspace(Settings(home=models_dir.parent, device="cpu"))
    rows = load_vectors(shipped, opened.encoder, opened.artifacts)
    assert rows.shape == (shipped.n_items, 576)
    some = [0, 1, 500, 4321, 9124]
    texts = title_texts("movie", [shipped.item_label(code) for code in some], [shipped.categories[c] for c in some])
    made = opened.engine(opened.encoder).embed(texts).astype(np.float64)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    assert (np.sum(made * rows[some].astype(np.float64), axis=1) > 0.999).all()
    # The titles are told apart, so that agreement means something.
    assert (made @ made.T)[np.triu_indices(len(some), 1)].max() < 0.999
