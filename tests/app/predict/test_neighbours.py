"""What a similarity is made of, which items are near, and what the page is told of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.predict import neighbours as neighbourhood
from app.predict.neighbours import COLLABORATIVE
from app.predict.service import PredictService
from app.predict.view import PredictSession
from backend.errors import StorageError
from backend.representation import VARIANT_PARTS, VARIANTS
from backend.retrieval import STRATEGIES
from storage.workspace import Workspace


def test_a_variants_parts_are_the_columns_it_compares(workspace: Workspace) -> None:
    space = workspace.space()
    for variant, parts in VARIANT_PARTS.items():
        columns = np.concatenate([space.rows[:, space.columns(part)] for part in parts], axis=1)
        assert np.array_equal(space.variant(variant), columns)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_similarity_shown_is_the_sum_of_its_parts(
    service: PredictService, session: PredictSession, request_of: Any, variant: str, strategy: str
) -> None:
    view = service.look(request_of(variant=variant, strategy=strategy), session)
    both, cosines = view.prediction.question.channels, view.explained.cosines
    assert set(cosines) == {*both.relevant, *both.recent}
    for item in cosines:
        assert both.similarity[item] == pytest.approx(sum(cosines[item][p] for p in VARIANT_PARTS[variant]), abs=2e-6)
    if strategy == "retrieve-then-mix":
        assert both.names == ("text", "collaborative")
        first, second = both.ranked_by
        assert second is not None
        assert [first[item] for item in both.relevant] == pytest.approx([cosines[i]["text"] for i in both.relevant])
        assert [second[item] for item in both.recent] == pytest.approx([cosines[i][COLLABORATIVE] for i in both.recent])


def test_items_that_no_training_rating_names_are_told(
    service: PredictService, workspace: Workspace, session: PredictSession, request_of: Any
) -> None:
    # 903 was rated by nobody, so as a target it has no collaborative signal.
    view = service.look(request_of(item="903"), session)
    space, explained = workspace.space(), view.explained
    known = space.rows[:, space.columns(COLLABORATIVE)].any(axis=1)
    target = view.prediction.question.item
    assert target in explained.silent
    assert {item for item in [*explained.cosines, target] if not known[item]} == explained.silent
    assert {cosines[COLLABORATIVE] for cosines in explained.cosines.values()} == {0.0}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_nearest_items_are_those_of_a_full_comparison(
    service: PredictService, workspace: Workspace, session: PredictSession, request_of: Any, variant: str
) -> None:
    request = request_of(variant=variant, near="3")
    assert service.look(request, session).nearest is None
    near = service.open_nearest(request, session).nearest
    rows, item = np.asarray(workspace.space().variant(variant), dtype=np.float64), workspace.dataset().item_code("3")
    scores = rows @ rows[item]
    others = [code for code in range(len(rows)) if code != item and rows[code].any()]
    best = sorted(others, key=lambda code: -scores[code])[:10]
    assert near is not None
    assert (near.item, near.variant) == (item, variant)
    assert [row.similarity for row in near.rows] == pytest.approx([scores[code] for code in best], abs=2e-6)
    for row in near.rows:
        parts = near.explained.cosines[row.item]
        assert row.similarity == pytest.approx(sum(parts[part] for part in VARIANT_PARTS[variant]), abs=2e-6)


def test_only_ratings_given_before_the_target_are_told(
    service: PredictService, workspace: Workspace, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = workspace.dataset()
    user = data.user_code("7")
    rows = range(data.n_interactions)[data.user_rows(user)]
    target_row = rows[10]
    everything = np.arange(data.n_items)
    monkeypatch.setattr(workspace, "nearest", lambda item, count, variant: (everything, np.zeros(data.n_items)))
    request = request_of(user="7", item=data.item_ids[data.item_index[target_row]])
    near = service.open_nearest(request, PredictSession()).nearest
    assert near is not None
    expected = dict.fromkeys(range(data.n_items), ("unrated", None))
    for row in rows:
        told: tuple[str, Any] = ("rated", float(data.rating[row])) if row < target_row else ("later", None)
        expected[int(data.item_index[row])] = ("target", None) if row == target_row else told
    assert {row.item: (row.relation, row.rating) for row in near.rows} == expected


def test_an_item_without_a_signal_has_no_nearest(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    near = service.open_nearest(request_of(variant="id", near="903"), session).nearest
    assert near is not None
    assert (near.rows, near.problem, near.item in near.explained.silent) == ((), "", True)


def test_what_is_shown_is_not_looked_up_again_and_what_failed_is(
    service: PredictService,
    workspace: Workspace,
    session: PredictSession,
    request_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[Any, ...]] = []
    broken = [True]

    def nearest(*arguments: Any) -> Any:
        calls.append(arguments)
        if broken[0]:
            raise StorageError("The disk is full")
        return np.array([1]), np.array([0.5])

    monkeypatch.setattr(workspace, "nearest", nearest)
    near = service.open_nearest(request_of(), session).nearest
    assert near is not None
    assert (near.rows, near.problem) == ((), "The disk is full.")
    broken[0] = False
    for more in ({}, {"gamma": 0.2}, {"strategy": "recent"}, {"k": 3}):
        again = service.look(request_of(**more), session).nearest
        assert again is not None
        assert len(again.rows) == 1
    assert len(calls) == 2
    service.look(request_of(variant="text"), session)
    service.look(request_of(variant="text", near="3"), session)
    service.look(request_of(variant="text", near="3", item="902"), session)
    assert len(calls) == 5


def test_a_strategy_without_gamma_has_no_stretches_of_it(
    service: PredictService, session: PredictSession, request_of: Any
) -> None:
    for strategy in STRATEGIES:
        view = service.look(request_of(strategy=strategy), session)
        assert bool(view.stretches) == (strategy == "rerank")


def test_an_answer_of_another_strategy_or_variant_is_stale(
    service: PredictService, session: PredictSession, request_of: Callable[..., Any]
) -> None:
    from tests.app.conftest import answered

    done = answered(service, request_of(k=3, gamma=1), session)
    away = service.look(request_of(k=3, gamma=1, strategy="recent"), session)
    assert away.entered == {row.item for row in away.prediction.question.chosen} - {
        row.item for row in done.prediction.question.chosen
    }
    assert (away.stale, away.prediction.complete) == (done.prediction, False)
    # The same items in the same order make the same prompt, whoever chose them.
    same = service.look(request_of(k=3, strategy="mix-then-retrieve"), session)
    assert [row.item for row in same.prediction.question.chosen] == [
        row.item for row in done.prediction.question.chosen
    ]
    assert same.prediction.complete


def test_nearest_has_a_limit() -> None:
    assert neighbourhood.NEAREST == 10
