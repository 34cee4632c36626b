"""The chains that a filter takes in are counted from memory, and are those that are read to make the project."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.services.labelling.cached_chains import CachedChains
from backend.labelling import ChainFilter, Project
from backend.labelling.tasks import tasks_of
from storage.labels.exhibits import exhibits
from storage.workspace import Workspace
from tests.app.conftest import settings_of

FILTERS = {
    "all": ChainFilter(),
    "few": ChainFilter(limit=2, chains_per_sample=2),
    "gap": ChainFilter(gap=(0.2, None)),
    "variance": ChainFilter(variance=(None, 0.05), outcome="correct"),
    "length": ChainFilter(tokens=(10, 40)),
    "none of the kind": ChainFilter(models=("no such model",)),
    "wording": ChainFilter(knowledge="none"),
}


@pytest.fixture
def workspace(answered_home: Path, tmp_path: Path) -> Workspace:
    return Workspace(settings_of(Path(shutil.copytree(answered_home, tmp_path / "home"))))


def test_what_is_counted_is_what_is_there(workspace: Workspace) -> None:
    chains = CachedChains(workspace)
    for wanted in FILTERS.values():
        for mode in ("chain", "pair"):
            project = Project(name="Trial", dataset="ml-latest-small", mode=mode, chains=wanted)
            tasks = tasks_of(project, exhibits(workspace, wanted))
            assert chains.count(project)["tasks"] == len(tasks)
            assert [chain.id for own, _ in tasks for chain in own] == [
                chain.id for own, _ in tasks_of(project, chains.of(project)) for chain in own
            ]
    workspace.close()


def test_what_was_predicted_since_is_counted_too(workspace: Workspace) -> None:
    chains, project = CachedChains(workspace), Project(name="Trial", dataset="ml-latest-small")
    before = chains.count(project)
    pipeline, recipe, data = workspace.pipeline(), workspace.recipe(), workspace.dataset()
    answered = {chain.item for chain, _ in exhibits(workspace, ChainFilter())}
    rows = [row for row in range(data.n_interactions) if row - data.user_ptr[data.user_index[row]] >= 5]
    row = next(row for row in rows if data.item_ids[data.item_index[row]] not in answered)
    pipeline.predict(pipeline.question(int(data.user_index[row]), int(data.item_index[row]), recipe), recipe)
    after = chains.count(project)
    assert (after["samples"], after["chains"]) == (before["samples"] + 1, before["chains"] + recipe.reasoning.traces)
    workspace.close()
