"""What a page remembers: nothing stale is ever current, and nothing known is forgotten."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from app.predict.service import PredictService
from app.predict.view import PredictSession, PredictView
from app.shared import sessions
from backend.merging import merge
from backend.pipeline import Prediction
from backend.record import prediction_record
from storage.workspace import Workspace
from tests.app.conftest import HeldEngine, answered, hold, settings_of


def without_times(prediction: Prediction) -> Any:
    return [replace(answer, seconds=0) if answer else None for answer in prediction.answers], [
        replace(trace, seconds=0) if trace else None for trace in prediction.traces
    ]


def test_nothing_is_asked_by_looking(service: PredictService, session: PredictSession, request_of: Any) -> None:
    view = service.look(request_of(), session)
    assert view.prediction.answers == (None,) * 3
    assert (view.stale, view.run, view.other_run, view.entered, view.left) == (None, None, False, frozenset(), ())
    assert view.cast == "made up"


def test_what_was_asked_is_shown_and_comes_back_complete(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    view = answered(service, request_of(), session)
    assert view.prediction.complete
    assert view.stale is None
    away = service.look(request_of(k=2), session)
    assert not away.prediction.complete
    assert (away.stale, away.run) == (view.prediction, None)
    back = service.look(request_of(), session)
    assert (back.prediction, back.stale) == (view.prediction, None)
    other_page = service.look(request_of(), PredictSession())
    assert (other_page.prediction, other_page.stale, other_page.run) == (view.prediction, None, None)


def test_what_is_shown_is_what_the_command_computes(
    service: PredictService, session: PredictSession, request_of: Any, tmp_path: Any, prepared_home: Any
) -> None:
    request = request_of(gamma="0.4", beta="0.7", k=6, alpha="0.35", epsilon="0.02", seed=5, traces=4)
    view = answered(service, request, session)
    (tmp_path / "other").mkdir()
    for part in ("datasets", "artifacts"):
        (tmp_path / "other" / part).symlink_to(prepared_home / part)
    apart = Workspace(settings_of(tmp_path / "other"))
    recipe = apart.recipe(gamma=0.4, beta=0.7, k=6, alpha=0.35, epsilon=0.02, seed=5, traces=4)
    pipeline = apart.pipeline()
    question = pipeline.question(pipeline.dataset.user_code("7"), pipeline.dataset.item_code("901"), recipe)
    record = prediction_record(pipeline, pipeline.predict(question, recipe), cached=False)
    shown = prediction_record(service.pipeline, view.prediction, cached=False)
    for trace in record["traces"] + shown["traces"]:
        trace["seconds"] = 0
    assert shown == record
    assert None not in [record[name] for name in ("p_g", "var_g", "p_r", "var_r", "p_final")]
    apart.close()


def test_an_answer_is_never_stale_for_another_sample(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    answered(service, request_of(), session)
    assert service.look(request_of(item="902", k=2), session).stale is None
    assert service.look(request_of(user="6", k=2), session).stale is None
    assert service.look(request_of(k=2), session).stale is not None


def test_the_stale_answer_is_the_last_of_several(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    answered(service, request_of(k=3), session)
    second = answered(service, request_of(k=4), session)
    assert service.look(request_of(k=5), session).stale == second.prediction
    first = service.look(request_of(k=3), session)
    assert service.look(request_of(k=5), session).stale == first.prediction


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_never_shows_an_answer_of_another_setting(service: PredictService, seed: int) -> None:
    """Against fresh look-ups by a page that remembers nothing."""
    rng, session = random.Random(seed), PredictSession()
    for _ in range(25):
        request = service.request(
            {
                "user": rng.choice(["6", "7"]), "item": rng.choice(["903", "905"]), "k": rng.choice([3, 4]),
                "gamma": rng.choice([0.1, 0.5, 0.9]), "traces": rng.choice([1, 3]), "seed": rng.choice([0, 1]),
                "alpha": rng.random(),
            }
        )  # fmt: skip
        view = service.look(request, session)
        if rng.random() < 0.3:
            view = answered(service, request, session)
        fresh = service.look(request, PredictSession())
        assert (view.prediction, view.request) == (fresh.prediction, request)
        if view.stale:
            assert not view.prediction.complete
            assert view.stale.complete
            shown = view.stale.question, view.prediction.question
            assert shown[0].user == shown[1].user
            assert shown[0].item == shown[1].item


def test_what_entered_and_left_is_told_against_the_setting_before(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    def chosen(view: PredictView) -> set[Any]:
        return {row.item for row in view.prediction.question.chosen}

    before = service.look(request_of(gamma=0, k=4), session)
    after = service.look(request_of(gamma=1, k=4), session)
    assert after.entered == chosen(after) - chosen(before) != set()
    assert set(after.left) == chosen(before) - chosen(after)
    assert [row.item for row in before.prediction.question.chosen if row.item in after.left] == list(after.left)
    again = service.look(request_of(gamma=1, k=4), session)
    assert (again.entered, again.left) == (frozenset(), ())
    moved = service.look(request_of(user="6", k=2), session)
    assert (moved.entered, moved.left) == (frozenset(), ())


def test_merging_anew_is_eq_10_for_any_alpha_and_epsilon(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    p = answered(service, request_of(), session).prediction
    rng = random.Random(4)
    for _ in range(50):
        alpha, epsilon = rng.random(), 10 ** rng.uniform(-6, -1)
        request = request_of(alpha=alpha, epsilon=epsilon)
        view = service.merge(request, session)
        expected = merge(p.p_r, p.var_r, p.p_g, p.var_g, alpha, request.choices["epsilon"])
        assert view.prediction.p_final == pytest.approx(float(expected), abs=1e-15)
        assert view.prediction == service.look(request, PredictSession()).prediction
        assert service.watch(session).prediction == view.prediction


def test_merging_anew_goes_for_the_stale_answer_too(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    old = answered(service, request_of(), session).prediction
    service.look(request_of(k=2), session)
    stale = service.merge(request_of(k=2, alpha=0.9), session).stale
    assert stale is not None
    assert stale.recipe.merging.alpha == 0.9
    assert (stale.p_g, stale.p_r) == (old.p_g, old.p_r)


def test_a_merge_that_overtakes_another_slider_shows_that_sliders_setting(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    answered(service, request_of(k=3), session)
    request = request_of(k=5, alpha=0.7)
    view = service.merge(request, session)
    assert (view.request, view.prediction) == (request, service.look(request, PredictSession()).prediction)


def test_a_page_that_opens_with_a_merge_looks(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    assert service.merge(request_of(), session).request == request_of()


def test_a_run_belongs_to_its_setting_alone(
    service: PredictService, workspace: Workspace, session: PredictSession, request_of: Any, held_engine: HeldEngine
) -> None:
    hold(workspace, held_engine)
    service.look(request_of(), session)
    run = service.ask(session)
    assert held_engine.started.wait(10)
    view = service.watch(session)
    assert (view.run and view.run.status, view.other_run) == ("running", False)
    away = service.look(request_of(k=2), session)
    assert (away.run, away.other_run, away.prediction.answers) == (None, True, (None,) * 3)
    merged = service.merge(request_of(k=2, alpha=0.9), session)
    assert (merged.run, merged.other_run) == (None, True)
    held_engine.gate.set()
    *_, last = run.watch(0)
    assert last.status == "done"
    away = service.watch(session)
    assert (away.run, away.other_run, away.prediction.answers) == (None, False, (None,) * 3)
    assert service.look(request_of(alpha=0.9), session).prediction.complete


def test_asking_again_replaces_the_pages_run_and_no_other_pages(
    service: PredictService, workspace: Workspace, session: PredictSession, request_of: Any, held_engine: HeldEngine
) -> None:
    hold(workspace, held_engine)
    other_page = PredictSession()
    service.look(request_of(), session)
    first = service.ask(session)
    assert held_engine.started.wait(10)
    service.look(request_of(k=3), other_page)
    others = service.ask(other_page)
    service.look(request_of(k=2), session)
    second = service.ask(session)
    held_engine.gate.set()
    assert [[*run.watch(0)][-1].status for run in (first, others, second)] == ["stopped", "done", "done"]
    assert session.run is second


def test_a_known_answer_stays_in_sight_while_it_is_asked_again_and_has_to_wait(
    service: PredictService, workspace: Workspace, session: PredictSession, request_of: Any, held_engine: HeldEngine
) -> None:
    known = answered(service, request_of(), session).prediction
    more = service.look(request_of(traces=5), session).prediction
    assert sum(trace is not None for trace in more.traces) == 3
    hold(workspace, held_engine)
    other_page = PredictSession()
    service.look(request_of(k=2), other_page)
    service.ask(other_page)
    assert held_engine.started.wait(10)
    service.look(request_of(), session)
    service.ask(session)
    assert service.watch(session).prediction == known
    service.look(request_of(traces=5), session)
    service.ask(session)
    assert without_times(service.watch(session).prediction) == without_times(more)


def test_stopping_what_does_not_run_is_nothing(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    service.stop(session)
    done = answered(service, request_of(), session)
    service.stop(session)
    assert service.watch(session) == done


def test_the_pages_used_longest_ago_are_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    pages = sessions.Sessions(PredictSession)
    kept = {name: pages.of(name) for name in "abc"}
    assert pages.of("a") is kept["a"]
    pages.of("d")
    assert [pages.of(name) is kept[name] for name in "ca"] == [True, True]
    assert pages.of("b") is not kept["b"]
