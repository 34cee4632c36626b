"""The ID-based systems as artifacts: made only when asked for, and read back for every interaction."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.baselines import NETWORKS
from backend.datasets import build_samples, split
from backend.settings import Settings
from storage.workspace import Workspace


def test_made_once_asked_for_and_read_back(tmp_path: Path) -> None:
    quick = {"dimensions": 4, "layers": [8], "max_epochs": 1, "learning_rate": 0.01}
    workspace = Workspace(Settings(home=tmp_path, baselines=quick), bundle=tmp_path / "none")
    work, data = workspace.precompute(), workspace.dataset()
    assert "deepfm" not in {planned.node.stage.kind for planned in work.plan()}
    assert workspace.baselines() == {}
    made = work.run("baselines")
    assert [artifact.meta["kind"] for artifact in made] == [name.lower() for name in NETWORKS]
    scores = workspace.baselines()
    assert tuple(scores) == NETWORKS
    parts = split(build_samples(data), data, workspace.settings.split)
    asked = np.sort(np.concatenate([parts.validation, parts.test]))
    for name, own in scores.items():
        assert np.flatnonzero(~np.isnan(own)).tolist() == asked.tolist()
        facts = next(artifact.meta for artifact in made if artifact.meta["kind"] == name.lower())
        assert facts["validation_auc"] > 0.55
