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
from storage import CachedEngine
from storage.precompute.embed import load_text_vectors
from storage.precompute.job import load_array
from storage.results.lookup import look_up, look_up_all
from storage.workspace import Workspace
from tests.storage.precompute.conftest import QUICK


@pytest.fixture
def workspace(tmp_path: Path, small_source: Path) -> Any:
    settings = Settings(home=tmp_path / "home", scripted_delay=0, traces=3, **QUICK)
    datasets.prepare("ml-latest-small", settings.home / "datasets", source=small_source)
    opened = Workspace(settings)
    opened.precompute().run("align")
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


def test_many_are_looked_up_as_each_of_them(workspace: Workspace) -> None:
    pipeline, recipe = workspace.pipeline(), workspace.recipe()
    rows = pipeline.dataset.item_index[-6:].tolist()
    questions = [pipeline.question(7, int(item), recipe) for item in rows]
    for question in questions[::2]:
        pipeline.predict(question, recipe)
    pipeline.tuned.answer([questions[1].prompts[0].messages])  # M_R was not asked
    for some_recipe in (
        recipe,
        workspace.recipe(traces=0),
        workspace.recipe(knowledge="none"),
        workspace.recipe(p_g="mean"),
    ):
        looked_up = look_up_all(pipeline, questions, some_recipe)
        assert looked_up == [look_up(pipeline, question, some_recipe) for question in questions]
    assert [prediction.complete for prediction in look_up_all(pipeline, questions, recipe)] == [True, False] * 3
    assert look_up_all(pipeline, [], recipe) == []


def test_both_roles_share_one_engine_where_they_are_the_same_weights(workspace: Workspace) -> None:
    assert workspace.cached_engine("tuned") is workspace.cached_engine("reasoning")
    assert workspace.pipeline() is workspace.pipeline()
    apart = Workspace(Settings(tuned_model="org/one", reasoning_model="org/two"))
    assert [apart.model(role).name for role in ("tuned", "reasoning")] == ["org/one", "org/two"]


def test_an_unknown_role_lists_the_known(workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match=r"'judge'.*reasoning, tuned"):
        workspace.model("judge")


def test_a_pipeline_without_vectors_names_the_command(tmp_path: Path, small_source: Path) -> None:
    settings = Settings(home=tmp_path / "home", engine="scripted", encoder="scripted")
    datasets.prepare("ml-latest-small", settings.home / "datasets", source=small_source)
    with pytest.raises(NotPreparedError, match="rallrec precompute"):
        Workspace(settings).pipeline()


def test_opening_nothing_writes_nothing(tmp_path: Path) -> None:
    opened = Workspace(Settings(home=tmp_path / "home", tuned_adapter=""))
    opened.recipe(gamma=0.5)
    opened.model("tuned")
    opened.close()
    assert not (tmp_path / "home").exists()


def test_the_nearest_items_and_the_map_are_those_of_the_space(workspace: Workspace) -> None:
    vectors = workspace.space().variant("concat")
    codes, similarity = workspace.nearest(3, 5, "concat")
    naive = np.asarray(vectors) @ np.asarray(vectors[3])
    naive[3] = -np.inf
    assert codes.tolist() == np.argsort(-naive, kind="stable")[:5].tolist()
    np.testing.assert_allclose(similarity, naive[codes], atol=1e-5)
    with pytest.raises(UnknownNameError, match="concat\\+ssl"):
        workspace.nearest(3, 5, "all")
    with pytest.raises(NotPreparedError, match="--until map"):
        workspace.flat_map("text")
    workspace.precompute().run("map")
    assert workspace.flat_map("text").shape == (len(vectors), 2)


@pytest.mark.model
def test_the_shipped_vectors_are_those_of_the_embedded_model(shipped: datasets.Dataset, models_dir: Path) -> None:
    from backend.representation import title_texts
    from storage.precompute.describe import load_descriptions

    opened = Workspace(Settings(home=models_dir.parent, device="cpu"))
    plan = {item.node.stage.kind: item.artifact for item in opened.precompute().plan("align")}
    assert all(plan.values()), "a shipped artifact was made under other settings than the default ones"
    some = [0, 1, 500, 4321, 9124]
    titles = title_texts(
        shipped.meta, [shipped.item_label(code) for code in some], [shipped.categories[c] for c in some]
    )
    described = load_descriptions(plan["descriptions"])
    for kind, texts in (("title-vectors", titles), ("description-vectors", [described[code].text for code in some])):
        rows, (_, scale) = load_text_vectors(plan[kind]), load_array(plan[kind], "columns.npy")
        assert rows.shape == (shipped.n_items, 576)
        made = opened.item_encoder().embed(texts)
        assert (np.abs(rows[some] - made) <= scale / 2 + 0.02 + 0.02 * np.abs(made)).all()
        assert not np.allclose(made[0], made[1], rtol=0.02, atol=0.02)


def test_all_of_the_bundle_is_as_it_was_written() -> None:
    from storage.precompute.artifacts import BUNDLE, ArtifactStore

    shipped = ArtifactStore(BUNDLE / "nothing").all()
    assert len(shipped) >= 6
    assert {artifact.folder.name: artifact.damage() for artifact in shipped if artifact.damage()} == {}
