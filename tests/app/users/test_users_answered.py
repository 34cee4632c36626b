"""Which samples were answered is read off stored prompts: all of them, none else, and nothing is read twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.shared.address import SampleAddress
from app.shared.per_dataset import PerDataset
from app.users.page import _later
from app.users.service import UsersService
from backend.datasets import Dataset
from backend.prompting.prompts import Layout
from backend.questions import Questions
from backend.retrieval import RetrievalConfig
from backend.types import Message
from storage.results import answered_samples as module
from storage.results.answered_samples import AnsweredSamples, SampleFinder
from storage.results.prompt_reading import PromptReader, Reading
from storage.workspace import Workspace
from tests.app.conftest import answered
from tests.app.views import dataset_of
from tests.conftest import random_space

Open = Callable[..., Workspace]
LAYOUTS: list[Layout] = list(get_args(Layout))


def sample_rows(data: Dataset) -> list[int]:
    return [row for row in range(data.n_interactions) if row - data.user_ptr[data.user_index[row]] >= 5]


def found_rows(reader: PromptReader, finder: SampleFinder, text: str) -> list[int]:
    reading = reader.read(text)
    return [] if reading is None else finder.samples(reading).tolist()


@pytest.mark.parametrize(
    "words", ["plain", "What? A: B. C [D]", "the movie", "1. 2. Liked: Yes", "Will the user like x"]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_prompt_of_every_sample_names_its_target_and_its_past(small: Dataset, layout: Layout, words: str) -> None:
    data = dataset_of(small, words, item_noun="movie", rating_unit="stars")
    questions, reader, finder = Questions(data, random_space(data.n_items)), PromptReader(data), SampleFinder(data)
    for row in sample_rows(data)[::3]:
        user, item = int(data.user_index[row]), int(data.item_index[row])
        question = questions.ask(user, item, RetrievalConfig(k=4), layout)
        for prompt in question.prompts:
            reading = reader.read(prompt.text)
            assert reading is not None
            assert reading.layout == layout
            assert item in reading.target
            assert len(reading.past) == len(question.chosen)
            assert row in finder.samples(reading).tolist()


@given(st.text(max_size=200), st.booleans())
def test_any_other_text_is_no_question_or_names_what_is_there(small: Dataset, words: str, asks: bool) -> None:
    reader = PromptReader(small)
    reading = reader.read(f"1. {words}\nWill the user like {words}" if asks else words)
    assert reading is None or all(0 <= code < small.n_items for code in reading.target)


def test_samples_are_those_who_rated_all_of_it_before(small: Dataset) -> None:
    finder, rng = SampleFinder(small), np.random.default_rng(0)
    some = 0
    for _ in range(300):
        target, *past = rng.integers(0, small.n_items, rng.integers(1, 5)).tolist()
        naive = []
        for row in sample_rows(small):
            before = set(small.item_index[small.history_before(row)].tolist())
            if small.item_index[row] == target and before >= set(past):
                naive.append(row)
        reading = Reading("paper", (target,), tuple((code,) for code in past))
        assert finder.samples(reading).tolist() == naive
        some += bool(naive)
    assert some > 50


def row_of(workspace: Workspace, request: SampleAddress) -> int:
    data = workspace.dataset()
    row = data.find_row(data.user_code(request.user), data.item_code(request.item))
    assert row is not None
    return row


def items_of(workspace: Workspace, user: str) -> list[str]:
    """The targets of a user's samples, oldest first."""
    data = workspace.dataset()
    own = data.user_rows(data.user_code(user))
    return [data.item_ids[code] for code in data.item_index[own.start + 5 : own.stop]]


def test_what_was_asked_is_found_whatever_its_settings_and_nothing_else(
    workspace: Workspace, service: PredictService
) -> None:
    samples = AnsweredSamples(workspace)
    assert samples.counts(read=False) is None
    assert samples.rows().tolist() == []
    asked: set[int] = set()
    six, seven = items_of(workspace, "6"), items_of(workspace, "7")
    for user, item, more in (
        ("7", seven[-1], {}),
        ("7", seven[3], {"gamma": 0.25, "k": 3}),
        ("6", six[0], {"strategy": "recent"}),
        ("6", six[0], {"knowledge": "none"}),
    ):
        request = service.request({"user": user, "item": item, **more})
        answered(service, request, PredictSession())
        asked.add(row_of(workspace, request))
        assert set(samples.rows().tolist()) == asked
    counts = samples.counts()
    assert counts is not None
    assert (int(counts[6]), int(counts[7]), int(counts.sum())) == (1, 2, 3)
    assert samples.of_user(7).tolist() == sorted(row for row in asked if workspace.dataset().user_index[row] == 7)


def test_what_nobody_rated_has_no_sample(workspace: Workspace, service: PredictService) -> None:
    answered(service, service.request({"user": "7", "item": "901"}), PredictSession())
    assert AnsweredSamples(workspace).rows().tolist() == []


def test_prompts_are_read_once_and_what_is_deleted_is_forgotten(
    workspace: Workspace, service: PredictService, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, reads = AnsweredSamples(workspace), []
    real = module.prompt_texts

    def counted(database: Any, hashes: Any) -> dict[str, str]:
        reads.append(len(hashes))
        return real(database, hashes)

    monkeypatch.setattr(module, "prompt_texts", counted)
    for item in items_of(workspace, "7")[-2:]:
        answered(service, service.request({"user": "7", "item": item}), PredictSession())
        assert samples.rows().tolist() == samples.rows().tolist()
    assert len(samples.rows()) == 2
    assert reads == [3, 3]
    with workspace.database.session() as session:
        session.execute(text("DELETE FROM answers"))
    assert samples.rows().tolist() == []


def test_another_model_s_answers_do_not_count(open_workspace: Open) -> None:
    first = open_workspace()
    service = PredictService(first)
    answered(service, service.request({"user": "7", "item": items_of(first, "7")[-1]}), PredictSession())
    assert len(AnsweredSamples(first).rows()) == 1
    other = open_workspace(tuned_adapter="another")
    assert AnsweredSamples(other).rows().tolist() == []


def test_a_prompt_of_another_dataset_with_the_same_titles_is_nobody_s(workspace: Workspace) -> None:
    """The same past and target, another rating: every name fits, the text does not."""
    data, engine = workspace.dataset(), workspace.cached_engine("tuned")
    item = data.item_code(items_of(workspace, "7")[-1])
    own = workspace.pipeline().question(7, item, workspace.recipe()).prompts[0].text
    forged = own.replace(", 0.5\n", ", 4.5\n", 1)
    assert forged != own
    assert found_rows(PromptReader(data), SampleFinder(data), forged)
    samples = AnsweredSamples(workspace)
    engine.answer([(Message("user", forged),)])
    assert samples.rows().tolist() == []
    engine.answer([(Message("user", own),)])
    assert samples.rows().tolist() == [data.find_row(7, item)]


def test_the_list_is_there_where_nothing_can_be_counted(open_workspace: Open) -> None:
    first = open_workspace()
    service = PredictService(first)
    answered(service, service.request({"user": "7", "item": items_of(first, "7")[-1]}), PredictSession())
    users = PerDataset(open_workspace(encoder="org/another"), UsersService)
    for address in ("", "?show=predicted&sort=-predictions"):
        html, *_ = _later(users, address, "")
        assert "8 users" in html
        assert "cannot be counted" in html
        assert "rallrec precompute" in html
    _, _, table, *_ = _later(users, "?user=7", "")
    assert "rallrec precompute" in table
