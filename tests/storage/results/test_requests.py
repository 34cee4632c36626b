"""Which samples M_G has answered: written down as they are asked, and read off the prompts of an older database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect, text

from backend import datasets
from backend.batch import Batch
from backend.datasets import Dataset
from backend.pipeline import Recipe
from backend.prompting.prompts import Layout
from backend.questions import Questions
from backend.retrieval import RetrievalConfig
from backend.settings import Settings
from backend.types import Message
from backend.what_if import Edits
from storage.results import requests_fill
from storage.results.requests import AnsweredSamples
from storage.results.requests_fill import PromptReader
from storage.results.transfer import export_results, import_results
from storage.workspace import Workspace
from tests.app.views import dataset_of
from tests.conftest import random_space
from tests.storage.precompute.conftest import QUICK
from tests.storage.results.test_dropped_lines import downgrade

# Those that there were before requests were kept.
LAYOUTS: list[Layout] = ["paper", "answered"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, small_source: Path) -> Path:
    settings = Settings(home=tmp_path_factory.mktemp("requests") / "home", **QUICK)
    datasets.prepare("ml-latest-small", settings.home / "datasets", source=small_source)
    with Workspace(settings) as opened:
        opened.precompute().run("align")
    return settings.home


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path / 'rallrec.db'}"
    return Settings(home=home, database_url=url, scripted_delay=0, traces=2, **QUICK)


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    with Workspace(settings) as opened:
        yield opened


def predict(workspace: Workspace, row: int, edits: Edits | None = None, **choices: Any) -> int:
    """Ask both models about the sample of an interaction, which is returned."""
    data, pipeline, recipe = workspace.dataset(), workspace.pipeline(), workspace.recipe(**choices)
    question = pipeline.question(int(data.user_index[row]), int(data.item_index[row]), recipe, edits)
    pipeline.predict(question, recipe)
    return row


def latest(workspace: Workspace, user: int, place: int = 1) -> int:
    return workspace.dataset().user_rows(user).stop - place


def unwritten(workspace: Workspace) -> None:
    """The database as if nobody had written down a request, and nothing been read."""
    with workspace.database.session() as session:
        for table in ("requests", "request_fills"):
            session.execute(text(f"DELETE FROM {table}"))


def test_what_was_asked_is_found_whatever_its_settings_and_nothing_else(workspace: Workspace) -> None:
    samples, asked_rows = AnsweredSamples(workspace), set[int]()
    assert samples.counts(read=False) is None
    assert samples.rows().tolist() == []
    oldest = workspace.dataset().user_rows(6).start + 5
    for row, choices in (
        (latest(workspace, 7), {}),
        (latest(workspace, 7, 4), {"gamma": 0.25, "k": 3}),
        (oldest, {"strategy": "recent"}),
        (oldest, {"knowledge": "none", "template": "answered"}),
    ):
        asked_rows.add(predict(workspace, row, **choices))
        assert set(samples.rows().tolist()) == asked_rows
    counts = samples.counts()
    assert counts is not None
    assert (int(counts[6]), int(counts[7]), int(counts.sum())) == (1, 2, 3)
    assert samples.of_user(7).tolist() == sorted(row for row in asked_rows if workspace.dataset().user_index[row] == 7)
    unwritten(workspace)
    assert set(samples.rows().tolist()) == asked_rows
    with workspace.database.session() as session:
        session.execute(text("DELETE FROM answers"))
    assert samples.rows().tolist() == []


def test_a_batch_writes_down_what_it_asks_and_prompts_are_read_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, recipe = workspace.pipeline(), workspace.recipe()
    rows = [latest(workspace, 7), latest(workspace, 7, 2), latest(workspace, 6)]
    data = workspace.dataset()
    questions = [pipeline.question(int(data.user_index[row]), int(data.item_index[row]), recipe) for row in rows]
    Batch(pipeline, [pipeline.unasked(question, recipe) for question in questions]).run()
    unread, samples = [], AnsweredSamples(workspace)
    fill = requests_fill.fill_requests
    monkeypatch.setattr(requests_fill, "fill_requests", lambda *given: (unread.append(given), fill(*given)))
    monkeypatch.setattr(PromptReader, "about", lambda *_: pytest.fail("a prompt was read whose request is known"))
    assert samples.rows().tolist() == AnsweredSamples(workspace).rows().tolist() == sorted(rows)
    assert len(unread) == 1


def test_a_database_of_the_revision_before_is_filled_from_its_prompts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engines.scripted._MASS", None)  # which such a database does not know
    with Workspace(settings) as before:
        rows = {predict(before, latest(before, 7), gamma=0.3), predict(before, latest(before, 5), template="answered")}
        downgrade(before.database, "0007")
    with Workspace(settings) as after:
        assert set(AnsweredSamples(after).rows().tolist()) == rows
        assert {"requests", "request_fills"} <= set(inspect(after.database.engine).get_table_names())


def test_what_is_imported_is_found_too(settings: Settings, tmp_path: Path) -> None:
    with Workspace(settings) as first:
        row = predict(first, latest(first, 7))
        export_results(first.database, tmp_path / "results.jsonl.gz")
    with Workspace(settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'second.db'}"})) as second:
        samples = AnsweredSamples(second)
        assert samples.rows().tolist() == []
        import_results(second.database, tmp_path / "results.jsonl.gz")
        assert samples.rows().tolist() == [row]


def test_another_model_s_answers_and_other_data_do_not_count(settings: Settings) -> None:
    with Workspace(settings) as first:
        assert AnsweredSamples(first).rows().tolist() == []
        row = predict(first, latest(first, 7))
        assert AnsweredSamples(first).rows().tolist() == [row]
        with first.database.session() as session:
            session.execute(text("UPDATE requests SET data_hash = 'another'"))
        assert AnsweredSamples(first).rows().tolist() == []
    with Workspace(settings.model_copy(update={"tuned_adapter": "another"})) as other_workspace:
        assert AnsweredSamples(other_workspace).rows().tolist() == []


def test_what_nobody_rated_has_no_sample(workspace: Workspace) -> None:
    data = workspace.dataset()
    item = next(code for code in range(data.n_items) if data.find_row(5, code) is None)
    recipe = workspace.recipe()
    workspace.pipeline().predict(workspace.pipeline().question(5, item, recipe), recipe)
    assert AnsweredSamples(workspace).rows().tolist() == []


@pytest.mark.parametrize(
    ("edits", "counts"),
    [
        ('{"hint": "no"}', True),
        ('{"removed": ["%s"]}', False),
        ('{"rated": [{"item": "%s", "rating": 0.5}]}', False),
        ('{"target": "%s"}', True),
    ],
)
def test_an_edited_question_counts_where_its_prompt_is_a_sample_s(
    workspace: Workspace, edits: str, counts: bool
) -> None:
    data, row = workspace.dataset(), latest(workspace, 7)
    pipeline, recipe = workspace.pipeline(), workspace.recipe(k=4)
    shown = pipeline.question(7, int(data.item_index[row]), recipe).chosen[0].item
    made = Edits.read(edits.replace("%s", data.item_ids[shown]))
    predict(workspace, row, made, k=4)
    written = AnsweredSamples(workspace).rows().tolist()
    unwritten(workspace)
    assert AnsweredSamples(workspace).rows().tolist() == written
    if made.target is None:
        assert written == ([row] if counts else [])


def test_a_prompt_of_another_dataset_with_the_same_titles_is_nobody_s(workspace: Workspace) -> None:
    """The same past and target, another rating: every name fits, the text does not."""
    data, engine, row = workspace.dataset(), workspace.cached_engine("tuned"), latest(workspace, 7)
    questions = workspace.pipeline().questions
    real_prompt = workspace.pipeline().question(7, int(data.item_index[row]), Recipe()).prompts[0].text
    forged = re.sub(r"[\d.]+(?=\D*\n2\. )", "4.25", real_prompt)
    assert forged != real_prompt
    reader = PromptReader(questions)
    assert reader.read(forged) == reader.read(real_prompt)
    engine.answer([(Message("user", forged),)])
    assert AnsweredSamples(workspace).rows().tolist() == []
    engine.answer([(Message("user", real_prompt),)])
    unwritten(workspace)
    assert AnsweredSamples(workspace).rows().tolist() == [row]


def test_a_prompt_that_cannot_be_read_is_nobody_s(workspace: Workspace) -> None:
    row = predict(workspace, latest(workspace, 7))
    unwritten(workspace)
    with workspace.database.session() as session:
        hashes = [hash_row[0] for hash_row in session.execute(text("SELECT hash FROM prompts ORDER BY hash"))]
        for key, messages in zip(hashes, ("not JSON", '[{"role": "user"}]', "[7]"), strict=False):
            session.execute(text("UPDATE prompts SET messages = :m WHERE hash = :h"), {"m": messages, "h": key})
    assert set(AnsweredSamples(workspace).rows().tolist()) <= {row}


@pytest.mark.parametrize(
    "words", ["plain", "What? A: B. C [D]", "the movie", "1. 2. Liked: Yes", "Will the user like x"]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_prompt_of_every_sample_is_read_as_that_sample_s(small: Dataset, layout: Layout, words: str) -> None:
    data = dataset_of(small, words, item_noun="movie", rating_unit="stars")
    questions = Questions(data, random_space(data.n_items))
    reader = PromptReader(questions)
    samples = [row for row in range(data.n_interactions) if row - data.user_ptr[data.user_index[row]] >= 5]
    for row in samples[::3]:
        user, item = int(data.user_index[row]), int(data.item_index[row])
        for prompt in questions.ask(user, item, RetrievalConfig(k=4), layout).prompts:
            reading = reader.read(prompt.text)
            assert reading is not None
            assert reading.layout == layout
            assert ("p", data.user_ids[user], data.item_ids[item]) in list(reader.about("p", prompt.text))


@given(st.text(max_size=200), st.booleans())
def test_any_other_text_is_no_question_or_names_what_is_there(small: Dataset, words: str, asks: bool) -> None:
    reader = PromptReader(Questions(small, random_space(small.n_items)))
    reading = reader.read(f"1. {words}\nWill the user like {words}" if asks else words)
    assert reading is None or all(0 <= code < small.n_items for code in reading.target)
