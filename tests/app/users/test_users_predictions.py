"""A user's cached predictions: the numbers of the Predict page, sorted and filtered, and no model is ever run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import text

from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.users import service as module
from app.users.address import PREDICTION_COLUMNS, UsersQuery
from app.users.service import PredictionRow, UsersService, _sorted, kinds
from backend.errors import CorruptCacheError, UsageError
from storage.workspace import Workspace
from tests.app.conftest import HeldEngine, answered, hold

SEVEN = UsersQuery(user="7")
Ask = Callable[..., Any]


@pytest.fixture
def users(workspace: Workspace) -> UsersService:
    return UsersService(workspace)


@pytest.fixture
def targets(workspace: Workspace) -> list[str]:
    """User 7's targets, oldest first."""
    data = workspace.dataset()
    sample_rows = data.user_rows(7)
    return [data.item_ids[code] for code in data.item_index[sample_rows.start + 5 : sample_rows.stop]]


@pytest.fixture
def ask(service: PredictService) -> Ask:
    def ask_about(item: str, **more: Any) -> Any:
        return answered(service, service.request({"user": "7", "item": item} | more), PredictSession())

    return ask_about


def test_a_row_has_the_numbers_of_the_predict_page(
    users: UsersService, workspace: Workspace, targets: list[str], ask: Ask
) -> None:
    views = {item: ask(item) for item in (targets[0], targets[-1], targets[-2])}
    predictions = users.predictions(SEVEN)
    assert [user_row.item for user_row in predictions.rows] == [targets[-1], targets[-2], targets[0]], (
        "newest target first"
    )
    data = workspace.dataset()
    for user_row in predictions.every:
        prediction = views[user_row.item].prediction
        assert (user_row.p_g, user_row.p_r, user_row.p_final) == (prediction.p_g, prediction.p_r, prediction.p_final)
        assert user_row.complete
        assert user_row.row == data.find_row(7, data.item_code(user_row.item))
        assert user_row.liked == prediction.question.label == (data.rating[user_row.row] > 3)
        assert user_row.error == pytest.approx(abs(user_row.liked - user_row.p_final))
        assert user_row.place == user_row.row - data.user_ptr[7]
        for one, chosen in zip(user_row.picked, prediction.question.chosen, strict=True):
            assert (one.item, one.first, one.second) == (chosen.item, chosen.relevance_rank, chosen.recency_rank)
            assert data.item_index[data.user_ptr[7] + one.place] == one.item
            assert one.place < user_row.place
    assert predictions.selected == predictions.every[0]
    assert predictions.elsewhere == 0


def test_other_choices_show_other_predictions(users: UsersService, targets: list[str], ask: Ask) -> None:
    ask(targets[-1], gamma=0.5)
    ask(targets[-2], knowledge="none")
    plain = users.predictions(SEVEN)
    # What M_G said does not depend on what M_R is told.
    assert [(user_row.item, user_row.complete) for user_row in plain.every] == [(targets[-2], False)]
    assert plain.elsewhere == 1
    [partial] = users.predictions(SEVEN.model_copy(update={"show": "partial"})).rows
    assert (partial.answers, partial.chains, math.isnan(partial.error)) == ((3, 3), (0, 3), True)
    [half] = users.predictions(SEVEN.model_copy(update={"gamma": 0.5})).every
    assert (half.item, half.complete) == (targets[-1], True)
    [none] = users.predictions(SEVEN.model_copy(update={"knowledge": "none"})).every
    assert (none.item, none.complete) == (targets[-2], True)


def test_what_is_asked_meanwhile_appears_at_the_next_look(users: UsersService, targets: list[str], ask: Ask) -> None:
    assert users.predictions(SEVEN).every == ()
    ask(targets[-1])
    assert len(users.predictions(SEVEN).every) == 1
    ask(targets[-2])
    assert len(users.predictions(SEVEN).every) == 2


def test_no_model_is_run(
    workspace: Workspace, users: UsersService, targets: list[str], ask: Ask, held_engine: HeldEngine
) -> None:
    ask(targets[-1])
    ask(targets[-2], gamma=0.5)
    hold(workspace, held_engine)
    for gamma in (None, 0.5, 0.9):
        users.predictions(SEVEN.model_copy(update={"gamma": gamma}))
    users.users(UsersQuery())
    assert not held_engine.started.is_set()


def test_the_link_to_predict_opens_exactly_that_prediction(
    users: UsersService, service: PredictService, targets: list[str], ask: Ask
) -> None:
    for query, more in (
        (SEVEN, {}),
        (SEVEN.model_copy(update={"gamma": 4 / 5, "knowledge": "graded"}), {"gamma": 0.8, "knowledge": "graded"}),
    ):
        ask(targets[-1], **more)
        [user_row] = users.predictions(query).every
        link = users.predict_request(query, user_row).link()
        assert link.startswith("/?")
        request = service.request(dict(parse_qsl(link[2:])))
        assert request == users.predict_request(query, user_row)
        prediction = service.look(request, PredictSession()).prediction
        assert prediction.complete
        assert (prediction.p_g, prediction.p_final) == (user_row.p_g, user_row.p_final)


def test_a_selected_item_is_marked_and_an_unknown_one_is_not(users: UsersService, targets: list[str], ask: Ask) -> None:
    for item in targets[-2:]:
        ask(item)
    chosen = users.predictions(SEVEN.model_copy(update={"item": targets[-2]})).selected
    assert chosen is not None
    assert chosen.item == targets[-2]
    assert users.predictions(SEVEN.model_copy(update={"item": "nowhere"})).selected is None


def test_pages_together_are_all_of_them(
    users: UsersService, targets: list[str], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PREDICTIONS_A_PAGE", 2)
    for item in targets[-5:]:
        ask(item)
    pages = [users.predictions(SEVEN.model_copy(update={"page": number, "sort": "error"})) for number in (1, 2, 3, 9)]
    assert [len(one.rows) for one in pages] == [2, 2, 1, 1]
    assert [(one.page, one.pages, len(one.every)) for one in pages] == [(1, 3, 5), (2, 3, 5), (3, 3, 5), (3, 3, 5)]
    errors = [user_row.error for one in pages[:3] for user_row in one.rows]
    assert errors == sorted(errors)


def test_an_unknown_user_is_named(users: UsersService) -> None:
    for look in (users.profile, users.timeline, users.predictions):
        with pytest.raises(UsageError, match="nobody"):
            look(UsersQuery(user="nobody"))


def test_a_changed_row_of_the_cache_is_said(
    users: UsersService, workspace: Workspace, targets: list[str], ask: Ask
) -> None:
    ask(targets[-1])

    with workspace.database.session() as session:
        session.execute(text("UPDATE answers SET p_yes = 0.123"))
    with pytest.raises(CorruptCacheError, match="changed or damaged"):
        users.predictions(SEVEN)


def row(number: int, rating: float, p_g: float, p_r: float, p_final: float, label: str = "") -> PredictionRow:
    return PredictionRow(
        number, number, "test", str(number), label or f"item {number}", number, rating, rating > 3, p_g, p_r, p_final,
        (3, 3), (6, 6), ("relevance", "recency"), (),
    )  # fmt: skip


NAN = float("nan")
ROWS = [
    row(4, 5.0, 0.9, 0.8, 0.85, "b"), row(3, 1.0, 0.9, 0.2, 0.8, "A"), row(2, 2.0, 0.4, 0.6, 0.45, "c"),
    row(1, 4.0, 0.6, NAN, NAN, "d"),
]  # fmt: skip


def test_hand_computed_kinds() -> None:
    assert [user_row.wrong for user_row in ROWS] == [False, True, False, False]
    assert [user_row.disagree for user_row in ROWS] == [False, True, True, False]
    assert [round(user_row.error, 9) for user_row in ROWS[:3]] == [0.15, 0.8, 0.45]
    assert kinds(ROWS) == {"all": 4, "wrong": 1, "disagree": 2, "partial": 1}


@pytest.mark.parametrize(
    ("sort", "order"),
    [("", "4321"), ("item", "3421"), ("-when", "4321"), ("truth", "3214"), ("p_g", "2143"), ("-p_g", "4312"),
     ("p_r", "3241"), ("-p_r", "4231"), ("p_final", "2341"), ("-error", "3241"), ("error", "4231")],
)  # fmt: skip
def test_what_is_not_known_comes_last_either_way_and_equal_rows_stay(sort: str, order: str) -> None:
    assert "".join(user_row.item for user_row in _sorted(ROWS, UsersQuery(user="7", sort=sort))) == order


def test_every_column_can_be_sorted_by() -> None:
    for name in PREDICTION_COLUMNS:
        up, down = (_sorted(ROWS[:3], UsersQuery(user="7", sort=way + name)) for way in ("", "-"))
        assert sorted(map(id, up)) == sorted(map(id, down))
