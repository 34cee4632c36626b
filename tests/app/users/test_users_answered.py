"""The list of users where what M_G has answered cannot be counted."""

from __future__ import annotations

from collections.abc import Callable

from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.shared.per_dataset import PerDataset
from app.users.page import _later
from app.users.service import UsersService
from storage.workspace import Workspace
from tests.app.conftest import answered

Open = Callable[..., Workspace]


def test_the_list_is_there_where_nothing_can_be_counted(open_workspace: Open) -> None:
    first = open_workspace()
    service = PredictService(first)
    answered(service, service.request({"user": "7", "item": "22"}), PredictSession())
    users = PerDataset(open_workspace(encoder="org/another"), UsersService)
    for address in ("", "?show=predicted&sort=-predictions"):
        html, *_ = _later(users, address, "")
        assert "8 users" in html
        assert "cannot be counted" in html
        assert "rallrec precompute" in html
    _, _, table, *_ = _later(users, "?user=7", "")
    assert "rallrec precompute" in table
