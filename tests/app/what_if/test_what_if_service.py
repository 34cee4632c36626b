"""The What-if page's service: links, before and after, asking what is missing, keeping; plain predictions untouched."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.what_if.service import MAX_LINK, WhatIfService
from app.what_if.view import WhatIfSession, WhatIfView
from backend.batch import unasked_predictions
from backend.datasets import build_samples
from backend.errors import CorruptCacheError, RallrecError, UsageError
from backend.pipeline import Prediction
from backend.prompting import Prompt
from storage.kept.what_ifs import WhatIfs
from storage.results.lookup import look_up
from storage.workspace import Workspace
from tests.app.conftest import HeldEngine, answered, hold, over
from tests.app.predict.test_sessions import without_times

LINK = {"user": "7", "item": "901", "k": "4"}


@pytest.fixture
def what_ifs(workspace: Workspace, service: PredictService) -> WhatIfService:
    return WhatIfService(workspace, service)


@pytest.fixture
def page() -> WhatIfSession:
    return WhatIfSession()


@pytest.fixture
def opened(what_ifs: WhatIfService, page: WhatIfSession) -> WhatIfView:
    return what_ifs.look(what_ifs.open(LINK), page)


def first(view: WhatIfView, place: int = 0) -> str:
    """The id of an item of the prompt before the edits."""
    return view.data.item_ids[view.before.prediction.question.chosen[place].item]


def asked(what_ifs: WhatIfService, page: WhatIfSession) -> WhatIfView:
    *_, last = what_ifs.follow(page)
    return last


def calls(workspace: Workspace) -> list[tuple[str, int]]:
    """What the model ran, in words: (answer or reason, how many)."""
    tuned_calls: list[tuple[str, int]] = workspace.cached_engine("tuned").inner.calls  # type: ignore[attr-defined]
    return tuned_calls


def test_without_edits_it_is_the_prediction_of_the_predict_page(
    what_ifs: WhatIfService, service: PredictService, opened: WhatIfView
) -> None:
    plain = service.look(service.request(LINK), PredictSession())
    assert opened.before.prediction == opened.after.prediction == plain.prediction
    assert (opened.edited, opened.kept, opened.sides) == (False, None, (opened.before,))
    assert opened.cast == "made up"


def test_nothing_is_asked_by_opening_or_editing(
    what_ifs: WhatIfService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    view = what_ifs.act("remove", first(opened), "", page)
    assert calls(workspace) == []
    assert (view.before.missing, view.after.missing) == (6, 6)
    removed, left = opened.before.prediction.question.chosen[0].item, view.after.prediction.question.chosen
    assert removed not in [row.item for row in left]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"gamma": "0.667", "epsilon": "0.01", "seed": "7", "knowledge": "graded"},
        {"template": "answered", "temperature": "0.9", "order": "chronological", "p_g": "mean"},
    ],
)
def test_a_link_opens_what_it_was_made_of(what_ifs: WhatIfService, page: WhatIfSession, more: dict[str, str]) -> None:
    view = what_ifs.look(what_ifs.open(LINK | more), page)
    actions = [("remove", first(view), ""), ("rate", first(view, 1), "0.5"), ("add", "905", ""), ("set", "k", "3")]
    actions += [("hint", "", "own"), ("sentence", "", "Ünlike & <odd> “words” %"), ("target", "902", "")]
    for action in actions:
        view = what_ifs.act(*action, page)
    assert what_ifs.open(view.link) == view.what_if
    assert what_ifs.open(view.plain_link).edits.canonical == "{}"
    assert what_ifs.look(what_ifs.open(view.link), WhatIfSession()).link == view.link
    assert view.what_if.recipe.retrieval.gamma == pytest.approx(2 / 3, abs=1e-15)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"user": "nobody"}, "No user 'nobody'"),
        ({"item": "nothing"}, "No item 'nothing'"),
        ({"edits": "{"}, "edits cannot be read"),
        ({"edits": '{"removed": ["906"]}'}, "not in the past"),
        ({"edits": '{"settings": {"dataset": "x"}}'}, "Unknown choice of a recipe 'dataset'"),
        ({"edits": '{"settings": {"k": 0}}'}, "k is 0"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"id": "nothing"}, "No what-if 'nothing'"),
    ],
)
def test_a_wrong_link_says_what_is_wrong(
    what_ifs: WhatIfService, page: WhatIfSession, query: dict[str, str], said: str
) -> None:
    with pytest.raises(RallrecError, match=said):
        what_ifs.look(what_ifs.open(LINK | query), page)


def test_asking_runs_what_is_missing_on_both_sides_and_nothing_else(
    what_ifs: WhatIfService, service: PredictService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    plain = answered(service, service.request(LINK), PredictSession())
    ran = len(calls(workspace))
    what_ifs.look(opened.what_if, page)
    what_ifs.act("remove", first(opened), "", page)
    view = asked(what_ifs, page)
    assert view.before.prediction == plain.prediction
    assert view.after.prediction.complete
    # P_G's prompt, three chains, the other two orders: of the edited question alone.
    assert calls(workspace)[ran:] == [("answer", 1), ("reason", 3), ("answer", 2)]
    ran = len(calls(workspace))
    assert asked(what_ifs, page).after.prediction == view.after.prediction
    assert len(calls(workspace)) == ran
    more = what_ifs.act("set", "traces", "5", page)
    assert more.after.missing == 2
    asked(what_ifs, page)
    assert calls(workspace)[ran:] == [("reason", 2)]


def test_what_it_says_is_what_the_pipeline_says_of_the_edited_question(
    what_ifs: WhatIfService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    for action in (("rate", first(opened), "0.5"), ("hint", "", "no"), ("set", "temperature", "0.9")):
        view = what_ifs.act(*action, page)
    view = asked(what_ifs, page)
    what_if, apart = view.what_if, over(workspace, workspace.cached_engine("tuned").inner)  # type: ignore[arg-type]
    user, item = apart.dataset.user_code("7"), apart.dataset.item_code("901")
    recipe = what_if.recipe.replacing(temperature=0.9)
    done = apart.predict(apart.question(user, item, recipe, what_if.edits), recipe)
    assert without_times(view.after.prediction) == without_times(done)
    assert view.after.prediction.reason_prompt == done.reason_prompt
    assert done.reason_prompt is not None
    assert "might be No." in done.reason_prompt.text
    assert view.after.prediction.p_final == done.p_final


def test_an_answer_is_never_shown_for_other_edits(
    what_ifs: WhatIfService, page: WhatIfSession, opened: WhatIfView
) -> None:
    what_ifs.act("remove", first(opened), "", page)
    one = asked(what_ifs, page)
    removed = what_ifs.act("remove", first(opened, 1), "", page)
    assert removed.before.prediction.complete
    assert removed.after.prediction.answers == (None,) * 3
    back = what_ifs.act("restore", first(opened, 1), "", page)
    assert back.after.prediction == one.after.prediction
    assert what_ifs.act("clear", "", "", page).after.prediction == one.before.prediction


def test_a_merge_setting_needs_no_model(
    what_ifs: WhatIfService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    asked(what_ifs, page)
    ran = len(calls(workspace))
    view = what_ifs.act("set", "alpha", "0.9", page)
    assert (view.after.missing, len(calls(workspace))) == (0, ran)
    assert view.after.prediction.p_final != view.before.prediction.p_final


def test_both_sides_are_asked_one_after_the_other_and_can_be_stopped(
    what_ifs: WhatIfService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView, held_engine: HeldEngine
) -> None:
    hold(workspace, held_engine)
    what_ifs.act("remove", first(opened), "", page)
    runs = what_ifs.ask(page)
    assert held_engine.started.wait(10)
    view = what_ifs.watch(page)
    assert (view.before.run and view.before.run.status, view.after.run and view.after.run.status) == (
        "running", "queued",
    )  # fmt: skip
    assert what_ifs.ask(page) == runs  # asking again while it goes on starts nothing
    elsewhere = what_ifs.act("remove", first(opened, 1), "", page)
    assert (elsewhere.after.run, elsewhere.other_run) == (None, True)
    assert elsewhere.before.live
    what_ifs.stop(page)
    held_engine.gate.set()
    ends = time.monotonic() + 10
    while any(run.snapshot().live for run in runs):
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert [run.snapshot().status for run in runs] == ["stopped", "stopped"]
    assert held_engine.most == 1
    assert asked(what_ifs, page).after.prediction.complete


def test_an_edited_prompt_asks_the_reasoner_only_and_is_kept_whatever_else_is_edited(
    what_ifs: WhatIfService, service: PredictService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    answered(service, service.request(LINK), PredictSession())
    view = what_ifs.act("prompt", "", opened.draft + "\n<b>Be brief.</b>", page)
    prompt = view.what_if.edits.prompt
    assert prompt is not None
    # M_G is asked the same as before, so only the chains are missing.
    assert (view.before.missing, view.after.missing, all(view.after.prediction.answers)) == (0, 3, True)
    assert view.after.prediction.reason_prompt == Prompt(prompt)
    done = asked(what_ifs, page)
    assert done.after.prediction.complete
    assert done.after.prediction.traces != done.before.prediction.traces
    removed = what_ifs.act("remove", first(opened), "", page)
    assert removed.what_if.edits.prompt == prompt
    assert removed.after.prediction.traces == done.after.prediction.traces
    assert removed.draft != what_ifs.act("restore", first(opened), "", page).draft == service_prompt(done)
    assert what_ifs.open(done.link).edits.prompt == prompt
    assert what_ifs.act("prompt", "", done.draft, page).edited is False


def service_prompt(view: WhatIfView) -> str:
    assert view.before.prediction.reason_prompt is not None
    return view.before.prediction.reason_prompt.text


def test_it_is_kept_found_by_its_link_renamed_and_deleted_with_a_way_back(
    what_ifs: WhatIfService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    edited = what_ifs.act("remove", first(opened), "", page)
    kept = what_ifs.keep("without the best", page)
    assert kept.kept is not None
    assert kept.link == f"user=7&item=901&id={kept.kept.id}"
    elsewhere = WhatIfService(workspace, what_ifs._predict)
    reopened = elsewhere.look(elsewhere.open(kept.link), WhatIfSession())
    assert (reopened.what_if, reopened.kept, reopened.others) == (edited.what_if, kept.kept, (kept.kept,))
    # The same edits by hand are the same what-if, others are not.
    by_hand = elsewhere.look(elsewhere.open(edited.link), WhatIfSession())
    assert by_hand.kept == kept.kept
    assert what_ifs.act("remove", first(opened, 1), "", page).kept is None
    what_ifs.act("restore", first(opened, 1), "", page)
    assert [one.name for one in what_ifs.keep("another name", page).others] == ["another name"]
    deleted = what_ifs.delete(kept.kept.id, page)
    assert (deleted.kept, deleted.others) == (None, ())
    assert deleted.link == edited.link
    assert what_ifs.restore(page).others[0].created_at == kept.kept.created_at
    assert (what_ifs.restore(page).deleted, len(what_ifs.restore(page).others)) == (None, 1)


def test_what_is_not_edited_is_not_kept(what_ifs: WhatIfService, page: WhatIfSession, opened: WhatIfView) -> None:
    with pytest.raises(UsageError, match="Nothing is changed"):
        what_ifs.keep("a name", page)


def test_one_that_was_kept_for_other_data_is_not_shown_as_if_it_fitted(
    what_ifs: WhatIfService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    outdated = replace(what_ifs.act("remove", first(opened), "", page).what_if, data_hash="0" * 64)
    kept = WhatIfs(workspace.database).keep(outdated, "of old data")
    with pytest.raises(UsageError, match="was kept for other data"):
        what_ifs.open({"id": kept.id})


def test_a_link_that_grows_too_long_says_so_and_a_kept_one_is_short(
    what_ifs: WhatIfService, page: WhatIfSession, opened: WhatIfView
) -> None:
    view = opened
    for code in opened.before.prediction.question.past.items.tolist():
        view = what_ifs.act("rate", view.data.item_ids[code], "1.5", page)
    sentence = "ü" * 300  # six characters each in an address
    view = what_ifs.act("sentence", "", sentence, page)
    assert view.too_long is (len(view.link) > MAX_LINK) is True
    kept = what_ifs.keep("long", page)
    assert not kept.too_long
    assert what_ifs.open(kept.link) == view.what_if


def test_what_no_edit_can_be_made_of_leaves_the_page_as_it_was(
    what_ifs: WhatIfService, page: WhatIfSession, opened: WhatIfView
) -> None:
    for action in (("rate", first(opened), "9"), ("add", "901", ""), ("set", "seed", "-1"), ("boil", "", "")):
        with pytest.raises(UsageError):
            what_ifs.act(*action, page)
        assert what_ifs.watch(page).what_if == opened.what_if
    with pytest.raises(UsageError, match="load it again"):
        what_ifs.act("clear", "", "", WhatIfSession())


def test_a_damaged_row_is_said_where_it_is_opened(
    what_ifs: WhatIfService, workspace: Workspace, page: WhatIfSession, opened: WhatIfView
) -> None:
    what_ifs.act("remove", first(opened), "", page)
    kept = what_ifs.keep("mine", page).kept
    assert kept is not None
    with workspace.database.session() as session:
        session.execute(text("UPDATE what_ifs SET item_id = '902'"))
    with pytest.raises(CorruptCacheError):
        what_ifs.open({"id": kept.id})


def everything(workspace: Workspace, *recipes: Any) -> list[Prediction]:
    """What an evaluation reads: every sample of the data, as the cache knows it."""
    pipeline, data = workspace.pipeline(), workspace.dataset()
    rows = build_samples(data).rows.tolist()
    samples = [(int(data.user_index[row]), int(data.item_index[row])) for row in rows]
    return [
        look_up(pipeline, prediction.question, prediction.recipe)
        for prediction in unasked_predictions(pipeline, samples, recipes)
    ]


def test_an_evaluation_reads_the_same_whatever_was_asked_here(
    what_ifs: WhatIfService, service: PredictService, workspace: Workspace, page: WhatIfSession
) -> None:
    """Of an evaluated sample, and with every kind of edit that makes another prompt."""
    data = workspace.dataset()
    link = LINK | {"item": data.item_ids[int(data.item_index[-1])]}
    answered(service, service.request(link), PredictSession())
    recipes = [workspace.recipe(k=4), workspace.recipe(k=4, knowledge="none")]
    before = everything(workspace, *recipes)
    assert [prediction.complete for prediction in before].count(True) == 1
    view = what_ifs.look(what_ifs.open(link), page)
    edits: list[dict[str, Any]] = [
        {"removed": [first(view)]},
        {"rated": [{"item": first(view), "rating": 1.5}]},
        {"added": [{"item": "905", "rating": 5}]},
        {"hint": "own", "sentence": "They loved it."},
        {"target": "905"},
        {"prompt": "Will they like it? Yes or No."},
    ]
    for one in edits:
        what_ifs.look(what_ifs.open(link | {"edits": json.dumps(one)}), page)
        assert asked(what_ifs, page).after.prediction.complete
        what_ifs.keep("kept", page)
    assert everything(workspace, *recipes) == before
