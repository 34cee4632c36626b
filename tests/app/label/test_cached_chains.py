"""The chains that a filter takes in are counted from memory, and are those that are read to make the project."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.label.cached_chains import CachedChains
from app.label.service import LabelService
from app.label.views import VIEWS
from backend.labelling import Account, ChainFilter, Project
from backend.labelling.tasks import Exhibit, tasks_of
from backend.settings import Settings
from scripts.cli import app
from storage.labels import projects
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


def given(settings: Settings) -> dict[str, str]:
    """The settings as the environment gives them to a command."""
    told = settings.model_dump(mode="json", exclude_unset=True).items()
    return {f"RALLREC_{name.upper()}": value if isinstance(value, str) else json.dumps(value) for name, value in told}


def test_what_is_counted_is_what_is_there(workspace: Workspace) -> None:
    chains = CachedChains(workspace)
    for chain_filter in FILTERS.values():
        for mode in ("chain", "pair"):
            project = Project(name="Trial", dataset="ml-latest-small", mode=mode, chains=chain_filter)
            tasks = tasks_of(project, exhibits(workspace, chain_filter))
            assert chains.count(project)["tasks"] == len(tasks)
            assert [chain.id for task_chains, _ in tasks for chain in task_chains] == [
                chain.id for task_chains, _ in tasks_of(project, chains.of(project)) for chain in task_chains
            ]
    workspace.close()


def test_a_project_has_what_was_counted_though_wordings_gave_the_same_prompt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, data, graded = workspace.pipeline(), workspace.dataset(), workspace.recipe(knowledge="graded")
    for chain, _ in list(exhibits(workspace, ChainFilter(knowledge="paper"))):
        pipeline.predict(pipeline.question(data.user_code(chain.user), data.item_code(chain.item), graded), graded)
    ids = [chain.id for chain, _ in exhibits(workspace, ChainFilter())]
    assert len(set(ids)) < len(ids), "some samples have one prompt for both wordings"
    chains = CachedChains(workspace)
    for chain_filter in (FILTERS["all"], FILTERS["few"], FILTERS["gap"]):
        for mode in ("chain", "pair"):
            project = Project(name="Trial", dataset="ml-latest-small", mode=mode, chains=chain_filter)
            key = projects.create_project(workspace.database, project, chains.of(project))
            [made] = [
                project_row for project_row in projects.projects(workspace.database, None) if project_row.key == key
            ]
            assert made.tasks == chains.count(project)["tasks"]
            if mode == "chain":
                assert made.tasks == chains.count(project)["chains"]
    few = chains.count(Project(name="Trial", dataset="ml-latest-small", mode="pair", chains=FILTERS["few"]))["tasks"]
    workspace.close()
    for name, value in given(workspace.settings).items():
        monkeypatch.setenv(name, value)
    create = ["labels", "project", "create", "P", "--mode", "pair", "--limit", "2", "--chains", "2", "--json"]
    told = [json.loads(CliRunner().invoke(app, [*create, *more]).stdout) for more in (["--dry-run"], [])]
    listed = json.loads(CliRunner().invoke(app, ["labels", "project", "list", "--json"]).stdout)["projects"]
    assert [project_row["tasks"] for project_row in told] == [few, few]
    assert next(project_row["tasks"] for project_row in listed if project_row["key"] == told[1]["key"]) == few > 0


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


def test_who_may_make_a_project_has_its_chains_read_before_they_ask(workspace: Workspace) -> None:
    reads: list[str] = []
    service = LabelService(workspace)
    chains = service._chains
    read = chains._read

    def counted(dataset: str, chain_filter: ChainFilter) -> Iterator[Exhibit]:
        reads.append(dataset)
        return read(dataset, chain_filter)

    chains._read = counted  # type: ignore[method-assign]
    for view in ("projects", "project"):
        VIEWS[view](service, Account(name="rita", role="reviewer"), {})
    chains.warm("ml-latest-small").join()
    project = Project(name="Trial", dataset="ml-latest-small")
    assert service.preview(Account(name="rita", role="reviewer"), project)["tasks"] > 0
    assert reads == ["ml-latest-small"]
    workspace.close()


def test_who_may_not_make_a_project_has_nothing_read(workspace: Workspace) -> None:
    service = LabelService(workspace)
    for account in (None, Account(name="ann", role="annotator"), Account(name="vic", role="viewer")):
        VIEWS["projects"](service, account, {})
    assert service._chains._warming == {}
    workspace.close()
