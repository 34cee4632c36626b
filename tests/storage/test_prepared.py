"""Samples whose results ship: known where the models that made them play, and only there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.predict.service import PredictService
from app.predict.view import PredictSession
from backend.datasets import Dataset
from backend.settings import Settings
from scripts import shipping
from storage.shipped import RESULTS_META, samples_file, ship_results, shipped_samples
from storage.workspace import Workspace
from tests.conftest import random_space


@pytest.fixture
def shipped(small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace of the scripted engine over a bundle that was made with it; the dataset is a small one."""
    monkeypatch.setattr(shipping, "SAMPLES", {"test": (6, 3), "validation": (4, 2)})
    monkeypatch.setattr(Workspace, "dataset", lambda *_names, **_how: small)
    monkeypatch.setattr(Workspace, "space", lambda *_names, **_how: random_space(small.n_items))
    home = tmp_path / "home"
    monkeypatch.setenv("RALLREC_HOME", str(home))
    for name, value in {"ENGINE": "scripted", "SCRIPTED_DELAY": "0", "TRACES": "2"}.items():
        monkeypatch.setenv(f"RALLREC_{name}", value)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    workspace = Workspace(Settings(), bundle)
    shipping.draw_samples(workspace, bundle)
    asked_systems = list(shipping.ask(bundle, shipping.BatchListener(), lambda: False))
    keys = {key for system_asked in asked_systems for key in system_asked.keys}
    assert ship_results(
        workspace.database, {m for system_asked in asked_systems for m in system_asked.models}, bundle, keys
    )
    workspace.close()
    return Workspace(Settings(home=tmp_path / "fresh"), bundle)


def test_the_first_page_is_there_without_asking_any_model(shipped: Workspace) -> None:
    service = PredictService(shipped)
    request = service.default_request
    assert (request.user, request.item) == shipped.prepared_samples()[0]
    for gamma in shipping.GAMMAS:
        for knowledge in shipping.KNOWLEDGE:
            moved = service.request({"gamma": gamma, "knowledge": knowledge})
            assert service.look(moved, PredictSession()).prediction.complete
    assert shipped.cached_engine("tuned").inner.calls == []  # type: ignore[attr-defined]
    assert not service.look(service.request({"gamma": 0.9}), PredictSession()).prediction.complete


def test_prepared_users_and_items_come_first_and_say_so(shipped: Workspace) -> None:
    choices = PredictService(shipped).choices
    prepared = shipped.prepared_samples()
    users = {user for user, _ in prepared}
    users_found = choices.find_users()
    assert {user for _, user in users_found[: len(users)]} == users
    assert ["ready" in label for label, _ in users_found] == [True] * len(users) + [False] * (
        len(users_found) - len(users)
    )
    user = prepared[0][0]
    items = {item for owner, item in prepared if owner == user}
    shown = choices.find_items(user)
    assert {item for _, item in shown[: len(items)]} == items
    assert ["ready" in label for label, _ in shown] == [True] * len(items) + [False] * (len(shown) - len(items))


def test_other_models_have_nothing_prepared(shipped: Workspace) -> None:
    other_workspace = Workspace(shipped.settings.model_copy(update={"tuned_adapter": "mine"}), shipped._bundle)
    assert other_workspace.prepared_samples() == []
    assert "ready" not in PredictService(other_workspace).choices.find_users()[0][0]


def test_a_list_alone_or_a_broken_manifest_prepares_nothing(shipped: Workspace) -> None:
    assert len(shipped_samples(shipped._bundle, "test")) == 6
    (shipped._bundle / RESULTS_META).write_text("{")
    assert shipped.prepared_samples() == []
    shutil.rmtree(shipped._bundle)
    assert shipped.prepared_samples() == []


def test_what_is_asked_again_runs_nothing(shipped: Workspace, small: Dataset) -> None:
    assert samples_file(shipped._bundle, "test").read_text().startswith("user,item\n")
    again = list(shipping.ask(shipped._bundle, shipping.BatchListener(), lambda: False))
    assert [system_asked.system.name for system_asked in again] == [
        system.name for system in shipping.systems(shipped.settings)
    ]
    assert all(prediction.complete for system_asked in again for prediction in system_asked.predictions)
