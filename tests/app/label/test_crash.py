"""The bench in small: people label over HTTP while the server is killed, and all that was acknowledged is there."""

from __future__ import annotations

from pathlib import Path

from backend.labelling import Project
from storage.labels import accounts, projects
from storage.labels.exhibits import exhibits
from storage.workspace import Workspace
from tests.app.conftest import settings_of
from tests.bench.labels import PASSWORD, crowd


def test_a_killed_server_loses_no_acknowledged_label_and_doubles_none(answered_home: Path) -> None:
    names = [f"crash {number}" for number in range(4)]
    with Workspace(settings_of(answered_home)) as workspace:
        database = workspace.database
        for name in names:
            accounts.add_account(database, name, PASSWORD, "annotator")
        project = Project(name="Crash", dataset="ml-latest-small", overlap=3)
        key = projects.create_project(database, project, exhibits(workspace, project.chains), names)
    settings = {"engine": "scripted", "encoder": "scripted", "describer": "scripted"}
    report = crowd(answered_home, key, names, 5, 1, **settings)
    assert report["refused"] == []
    assert report["acknowledged"] == 20
    assert report["found"] == {
        "submitted": 20, "lost": 0, "acknowledged_twice": 0, "never_acknowledged": 0, "over_the_overlap": 0,
        "reserved_for_ever": 0,
    }  # fmt: skip
