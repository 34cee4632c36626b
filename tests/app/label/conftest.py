"""A home whose cached results are real chains to label, and browsers of the people who label them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.server import create_app
from storage.labels import accounts
from storage.workspace import Workspace
from tests.app.conftest import settings_of
from tests.storage.labels.conftest import PASSWORD, PEOPLE
from tests.storage.labels.conftest import database as database
from tests.storage.labels.conftest import make as make
from tests.storage.labels.conftest import people as people


@pytest.fixture(scope="module")
def answered_home(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with predictions of four samples in its cache, and people who can log in."""
    home = Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("labels") / "home"))
    workspace = Workspace(settings_of(home))
    pipeline, recipe = workspace.pipeline(), workspace.recipe()
    data = workspace.dataset()
    for row in [row for row in range(data.n_interactions) if row - data.user_ptr[data.user_index[row]] >= 5][-4:]:
        pipeline.predict(pipeline.question(int(data.user_index[row]), int(data.item_index[row]), recipe), recipe)
    for name, role in PEOPLE.items():
        accounts.add_account(workspace.database, name, PASSWORD, role)
    workspace.close()
    return home


@pytest.fixture(scope="module")
def server(answered_home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings_of(answered_home)), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def as_(server: TestClient) -> Any:
    """as_("ann") is her browser; as_(None) that of somebody who is not logged in."""
    from tests.app.label.browsing import Browser

    known: dict[str | None, Any] = {}

    def browser(name: str | None) -> Any:
        if name not in known:
            known[name] = Browser(server, name)
        return known[name]

    return browser


@pytest.fixture(scope="module")
def key(as_: Any) -> str:
    project = {"name": "Pilot", "dataset": "ml-latest-small", "overlap": 1}
    made = as_("rita").post("projects", {"project": project, "members": ["ann", "bob"]})
    assert made.status_code == 201, made.text
    return str(made.json()["key"])
