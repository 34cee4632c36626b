"""The ID-based systems and boosting as artifacts: made only when asked for, and read back for every interaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backend import datasets
from backend.baselines import BOOSTING, NETWORKS
from backend.datasets import build_samples, split
from backend.evaluation import metrics
from backend.settings import Settings
from storage.workspace import Workspace
from tests.backend.datasets.made import write_bookcrossing

QUICK: dict[str, Any] = {
    "baselines": {"dimensions": 4, "layers": [8], "max_epochs": 2}, "boosting": {"rounds": 5},
    "collaborative": {"dimensions": 4, "max_epochs": 2},
}  # fmt: skip


def test_made_once_asked_for_and_read_back(small_source: Path, tmp_path: Path) -> None:
    datasets.prepare("ml-latest-small", tmp_path / "datasets", source=small_source)
    workspace = Workspace(Settings(home=tmp_path, **QUICK), bundle=tmp_path / "none")
    work, data = workspace.precompute(), workspace.dataset()
    assert "deepfm" not in {planned.node.stage.kind for planned in work.plan()}
    assert workspace.baselines() == {}
    made = work.run("baselines")
    systems = (*NETWORKS, BOOSTING)
    # They compare items by who rated them, so that no language model is asked.
    assert [artifact.meta["kind"] for artifact in made] == ["collaborative", *(name.lower() for name in systems)]
    scores = workspace.baselines()
    assert tuple(scores) == systems
    parts = split(build_samples(data), data, workspace.settings.split)
    predicted_rows = np.sort(np.concatenate([parts.validation, parts.test]))
    for name, system_scores in scores.items():
        assert np.flatnonzero(~np.isnan(system_scores)).tolist() == predicted_rows.tolist()
        facts = next(artifact.meta for artifact in made if artifact.meta["kind"] == name.lower())
        labels = data.labels[np.sort(parts.validation)]
        assert facts["validation_log_loss"] == round(
            metrics.log_loss(labels, system_scores[np.sort(parts.validation)]), 4
        )


def test_data_without_times_and_with_one_sample_a_user_is_learned_from_too(tmp_path: Path) -> None:
    data = datasets.import_data(write_bookcrossing(tmp_path / "bx"), "books", "bookcrossing", tmp_path / "datasets")
    workspace = Workspace(Settings(home=tmp_path, dataset="books", **QUICK), bundle=tmp_path / "none")
    workspace.precompute().run("baselines")
    parts, scores = split(build_samples(data), data, workspace.settings.split), workspace.baselines()
    assert len(np.unique(data.user_index[parts.test])) == len(parts.test) > 0
    assert set(scores) == {*NETWORKS, BOOSTING}
    for name, of_system in scores.items():
        assert ((of_system[parts.test] > 0) & (of_system[parts.test] < 1)).all(), name
