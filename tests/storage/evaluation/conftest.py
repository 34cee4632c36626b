"""A small home whose cache the scripted engine fills, and ``rallrec evaluate`` over it, for which no engine may run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend import datasets
from backend.batch import Batch, unasked_predictions
from backend.datasets import Dataset, build_samples
from backend.engines.scripted import ScriptedEngine
from backend.pipeline import Prediction
from backend.settings import load_settings
from scripts.cli import app
from storage.workspace import Workspace

OWN = {
    "ENGINE": "scripted", "ENCODER": "scripted", "DESCRIBER": "scripted", "SCRIPTED_DELAY": "0", "TEMPLATE": "paper",
    "DESCRIBE": '{"items": 20}', "COLLABORATIVE": '{"dimensions": 8, "max_epochs": 3}', "ALIGN": '{"max_epochs": 3}',
    "TUNED_ADAPTER": "mine", "TRACES": "4", "K": "3",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, small_source: Path) -> Path:
    folder = tmp_path_factory.mktemp("report") / "home"
    datasets.prepare("ml-latest-small", folder / "datasets", source=small_source)
    return folder


@pytest.fixture
def settings(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small home, with a database of the test's own."""
    for name, value in (OWN | {"HOME": str(home), "DATABASE_URL": f"sqlite:///{tmp_path / 'own.db'}"}).items():
        monkeypatch.setenv(f"RALLREC_{name}", value)
    workspace = Workspace(load_settings())
    workspace.precompute().run("mix")
    workspace.close()


Lists = dict[str, list[tuple[int, int]]]


@pytest.fixture
def lists(small: Dataset, tmp_path: Path) -> Lists:
    """Samples of the test part and, next to them, of validation, as codes; the files lie in ``tmp_path``."""
    rows = build_samples(small).rows
    named = {"test": rows[-14:], "validation": rows[-24:-14]}
    for name, chosen in named.items():
        lines = [f"{small.user_ids[small.user_index[row]]},{small.item_ids[small.item_index[row]]}" for row in chosen]
        (tmp_path / f"{name}.csv").write_text("\n".join(["user,item", *lines]) + "\n", "utf-8")
    return {
        name: [(int(small.user_index[row]), int(small.item_index[row])) for row in chosen]
        for name, chosen in named.items()
    }


Asked = dict[str, list[Prediction]]


def ask(adapter: str, samples: Sequence[tuple[int, int]], knowledge: Sequence[str], **recipe: Any) -> Asked:
    """Fill the cache as ``rallrec reason`` does; the predictions by knowledge."""
    workspace = Workspace(load_settings(tuned_adapter=adapter))
    pipeline = workspace.pipeline()
    recipes = [workspace.recipe(knowledge=wording, **recipe) for wording in knowledge]
    done = Batch(pipeline, unasked_predictions(pipeline, samples, recipes)).run()
    workspace.close()
    return {wording: done[place :: len(recipes)] for place, wording in enumerate(knowledge)}


@pytest.fixture
def report(settings: None, lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """report() is the parsed object, report(as_json=False) the printed text. No engine may run."""

    def run(*options: str, as_json: bool = True) -> Any:
        def forbidden(*_given: Any, **_named: Any) -> Any:
            raise AssertionError("a model was asked")

        files = ("--samples", str(tmp_path / "test.csv"), "--validation", str(tmp_path / "validation.csv"))
        with monkeypatch.context() as patch:
            for method in ("answer", "reason", "embed", "write", "load"):
                patch.setattr(ScriptedEngine, method, forbidden)
            done = CliRunner().invoke(app, ["evaluate", *files, *options, *(["--json"] if as_json else [])])
        if done.exception:
            raise done.exception
        return json.loads(done.stdout) if as_json else done.stdout

    return run
