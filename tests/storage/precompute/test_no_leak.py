"""What lies in validation and test changes nothing that is made from the training part.

The counterfactual: every validation and test rating is turned over (a like becomes a dislike), and each is of another
item, so that other items are popular there. Validation may say when a training ends, which is what it is for; here each
has one epoch, so that there is nothing to say.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backend.baselines import BOOSTING, NETWORKS, TrivialPredictors
from backend.datasets import Dataset, Split, build_samples, split
from backend.datasets.statistics import TrainingStatistics, training_counts, training_rows
from backend.engines import SCRIPTED
from backend.engines.scripted import ScriptedEngine
from backend.prompting import build_prompt
from backend.settings import Settings
from backend.training.config import RECIPES, ReasonerConfig, TuneConfig
from storage.precompute import tune
from storage.precompute.artifacts import Artifact, ArtifactStore
from storage.precompute.describe import load_descriptions
from storage.precompute.job import VECTORS, load_array
from storage.precompute.plan import Precompute
from storage.precompute.tune import plain_guess
from tests.storage.precompute.conftest import QUICK

ROLES = dict.fromkeys(("encoder", "describer", "tuned", "reasoning"), SCRIPTED)
# Few items are described, so that many could take another's place.
ONE_EPOCH: dict[str, Any] = {
    "describe": {"items": 8, "counted": "train"}, "collaborative": {"dimensions": 8, "max_epochs": 1},
    "align": {"max_epochs": 1}, "baselines": {"max_epochs": 1}, "boosting": {"rounds": 5},
}  # fmt: skip


def _split(data: Dataset) -> Split:
    return split(build_samples(data), data)


def turned_over(data: Dataset, *, moved: bool) -> Dataset:
    """The dataset with every held-out rating turned over and, if ``moved``, each item there in another one's place."""
    parts = _split(data)
    held_out = np.setdiff1d(np.arange(data.n_interactions), training_rows(data, parts))
    rating, items = data.rating.copy(), data.item_index.copy()
    rating[held_out] = np.where(data.labels[held_out], data.meta.rating_min, data.meta.rating_max)
    if moved:
        items[held_out] = np.random.default_rng(1).permutation(data.n_items)[items[held_out]]
    changed = replace(data, rating=rating, item_index=items, meta=data.meta.model_copy(update={"data_hash": "other"}))
    assert (changed.labels[held_out] != data.labels[held_out]).all()
    return changed


def _made(data: Dataset, folder: Path, **settings: Any) -> tuple[dict[str, Artifact], Precompute]:
    chosen = Settings(**QUICK | ONE_EPOCH | settings)
    work = Precompute(data, chosen, ArtifactStore(folder, folder / "no bundle"), ROLES, lambda _role: ScriptedEngine())
    made = [*work.run("index"), *work.run("map"), *work.run("baselines")]
    return {artifact.meta["kind"]: artifact for artifact in made}, work


def _prompts(data: Dataset, artifacts: dict[str, Artifact], recipe: str) -> list[Any]:
    """What an adapter of a recipe learns from: every prompt of the training part, with its label."""
    config = (ReasonerConfig if recipe == "reasoner" else TuneConfig)(samples=40, k=3)
    job: Any = SimpleNamespace(
        dataset=data, data_split=_split(data), settings=SimpleNamespace(seed=0), config=config,
        inputs={"space": artifacts["space"]}, progress=lambda *_: None, check_stop=lambda: None,
    )  # fmt: skip
    asking = tune._asking(job)
    asked = [*tune._questions(job, asking, "train", 40, recipe)]
    reasons = [build_prompt("reason", question.subject, question.lines).messages for question in asked]
    answers = [[prompt.messages for prompt in question.prompts] for question in asked]
    guesses = [plain_guess(question, asking.statistics) for question in asked]
    return [*zip([question.label for question in asked], guesses, answers, reasons, strict=True)]


@pytest.mark.parametrize("moved", [False, True], ids=["turned over", "turned over and moved"])
def test_nothing_that_is_made_from_training_knows_the_rest(data: Dataset, tmp_path: Path, moved: bool) -> None:
    other = turned_over(data, moved=moved)
    (first, plan), (second, other_plan) = (
        _made(one, tmp_path / name) for one, name in ((data, "first"), (other, "second"))
    )

    def same(kind: str, file: str) -> bool:
        return np.array_equal(load_array(first[kind], file), load_array(second[kind], file))

    described = [[row.source for row in load_descriptions(one["descriptions"])] for one in (first, second)]
    assert described[0] == described[1]
    assert described[0].count("fixed") == data.n_items - 8
    for kind in ("title-vectors", "description-vectors", "collaborative", "aligned"):
        assert same(kind, VECTORS), kind
    assert same("space", "rows.npy")
    for variant in ("text", "concat+ssl"):
        assert same("map", f"{variant}.npy")
    for name in (*NETWORKS, BOOSTING):
        kind = name.lower()
        if name in NETWORKS:
            curves = [json.loads((one[kind].folder / "curve.json").read_text("utf-8")) for one in (first, second)]
            assert curves[0][0]["loss"] == curves[1][0]["loss"]
        if not moved:  # what is asked about a held-out sample is its item
            # A user's held-out ratings are the past of that user's later samples, and of nobody else's.
            scored = load_array(first[kind], "rows.npy")
            _, of_user = np.unique(data.user_index[scored], return_index=True)
            scores = [load_array(one[kind], "scores.npy") for one in (first, second)]
            assert np.array_equal(scores[0][of_user], scores[1][of_user]), name
    for recipe in RECIPES:
        assert _prompts(data, first, recipe) == _prompts(other, second, recipe), recipe
        recipes = [work.nodes[recipe].recipe | {"data": None, "inputs": None} for work in (plan, other_plan)]
        assert recipes[0] == recipes[1]
    parts = _split(data)
    rows = training_rows(data, parts)
    assert np.array_equal(rows, training_rows(other, _split(other)))
    assert np.array_equal(training_counts(data, parts), training_counts(other, _split(other)))
    trivial = [TrivialPredictors(one, _split(one)) for one in (data, other)]
    assert trivial[0].prior == trivial[1].prior
    assert np.array_equal(trivial[0].item_mean(rows), trivial[1].item_mean(rows))
    assert np.array_equal(trivial[0].user_mean(rows), trivial[1].user_mean(rows))
    means = [TrainingStatistics(one, _split(one)) for one in (data, other)]
    assert means[0].mean == means[1].mean
    for row in rows.tolist():
        user, item = int(data.user_index[row]), int(data.item_index[row])
        assert means[0].others(user, item) == means[1].others(user, item)


def test_counting_all_interactions_would_have_been_noticed(data: Dataset, tmp_path: Path) -> None:
    other = turned_over(data, moved=True)
    chosen = []
    for one, name in ((data, "first"), (other, "second")):
        store = ArtifactStore(tmp_path / name, tmp_path / "no bundle")
        settings = Settings(**QUICK | {"describe": {"items": 8, "counted": "all"}})
        [artifact] = Precompute(one, settings, store, ROLES, lambda _role: ScriptedEngine()).run("describe")
        chosen.append([row.source for row in load_descriptions(artifact)])
    assert chosen[0] != chosen[1]
