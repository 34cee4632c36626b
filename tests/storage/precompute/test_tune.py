"""The stages that tune: what they plan, what they make, and how they go on where they were stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backend import datasets
from backend.datasets import Dataset, build_samples, split
from backend.datasets.statistics import TrainingStatistics
from backend.engines import SCRIPTED
from backend.engines.scripted import ScriptedEngine
from backend.errors import DataError, Stopped, UnknownNameError, UsageError
from backend.prompting import HistoryLine, PromptSubject, RatingHabit
from backend.retrieval import RetrievalConfig
from backend.settings import Settings, load_settings
from backend.training import lora
from backend.training.config import RECIPES, ReasonerConfig, TuneConfig
from backend.types import ModelRef
from storage.precompute import tune
from storage.precompute.artifacts import Artifact
from storage.precompute.job import StageWork
from storage.precompute.plan import Precompute
from storage.precompute.tune import adapter_name, plain_guess
from tests.backend.datasets.made import write_bookcrossing
from tests.backend.training.tiny_models import META
from tests.conftest import DAY, random_space, small_movies, write_movielens
from tests.storage.precompute.conftest import QUICK

Work = Callable[..., Precompute]


def _files(artifact: Artifact) -> dict[str, str]:
    return {name: file["sha256"] for name, file in artifact.meta["files"].items()}


def _only(work: Precompute, stage: str, **options: Any) -> Artifact:
    return work.run(stage, **options)[-1]


def test_adapters_are_made_only_where_they_are_asked_for(work: Work) -> None:
    planned = work()
    assert not set(RECIPES) & {item.node.stage.kind for item in planned.plan()}
    assert set(RECIPES) < {item.node.stage.kind for item in planned.plan(extra=True)}
    kinds = [item.node.stage.kind for item in planned.plan("tune-rella")]
    assert kinds[-1] == "rella"
    assert not {"rallrec", "reasoner", "map", "index"} & set(kinds)
    with pytest.raises(UnknownNameError, match="tune-rallrec"):
        planned.plan("tune")


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_adapter_says_what_it_was_made_of_and_how_good_it_is(
    recipe: str, work: Work, data: Dataset, tiny_folder: Path
) -> None:
    artifact = _only(work(), f"tune-{recipe}")
    meta = artifact.meta
    assert meta["recipe"]["data"] == {"name": "ml-latest-small", "hash": data.meta.data_hash}
    assert meta["recipe"]["model"]["name"] == str(tiny_folder)
    assert (meta["recipe"]["seed"], meta["recipe"]["split"]) == (0, "chronological")
    assert meta["recipe"]["config"]["samples"] == 12
    assert set(meta["recipe"]["inputs"]) == set(meta["inputs"]) == {"space"}
    assert set(meta["files"]) == {lora.ADAPTER_FILE, lora.CONFIG_FILE, "curve.json"}
    assert (meta["rows"], meta["held_out"]) == ({"reasoner": 12}.get(recipe, 24), 6)
    assert meta["parameters"] > 0
    scores = meta["scores"]
    assert 0 <= scores["accuracy"] <= 1
    assert scores["log_loss"] > 0
    curve = json.loads((artifact.folder / "curve.json").read_text("utf-8"))
    assert [point["epoch"] for point in curve] == list(range(1, meta["epochs"] + 1))
    best = curve[meta["best_epoch"] - 1]
    decides = "held_out_loss" if recipe == "reasoner" else "log_loss"
    assert best[decides] == min(point[decides] for point in curve)
    assert scores["log_loss"] == pytest.approx(best["log_loss"], abs=1e-4), "what is kept is the best round"
    config = json.loads((artifact.folder / lora.CONFIG_FILE).read_text("utf-8"))
    assert config["base_model_name_or_path"] == tiny_folder.name
    assert not [name for name, value in config.items() if str(tiny_folder.parent) in str(value)]
    assert adapter_name(artifact) == f"{recipe}-{_files(artifact)[lora.ADAPTER_FILE][:12]}"
    assert {item.state for item in work().plan(f"tune-{recipe}")} == {"ready"}
    assert _only(work(), f"tune-{recipe}").folder == artifact.folder


@pytest.mark.parametrize(
    ("recipe", "prompts", "variant", "strategy"),
    [
        ("rallrec", "mix-then-retrieve", "concat+ssl", "mix-then-retrieve"),
        ("rallrec", "rerank", "concat+ssl", "rerank"),
        ("rella", "rerank", "text", "mix-then-retrieve"),
        ("hybrid", "mix-then-retrieve", "concat+ssl", "retrieve-then-mix"),
        ("recent", "mix-then-retrieve", "concat+ssl", "recent"),
    ],
)
def test_an_expert_learns_on_the_prompts_of_its_recipe(
    recipe: str, prompts: Any, variant: Any, strategy: Any, data: Dataset, tmp_path: Path
) -> None:
    job = _job(data, tmp_path, TuneConfig(samples=6, k=3, prompts=prompts), replace(SCRIPTED))
    asking = tune._asking(job)
    choice = RetrievalConfig(k=3, variant=variant, strategy=strategy)
    learned = [*tune._questions(job, asking, "train", 6, recipe)]
    assert len(learned) == 6
    for question in learned:
        assert question.prompts == asking.ask(question.user, question.item, choice).prompts


def test_the_papers_prompts_are_the_default_and_what_ships_keeps_its_own() -> None:
    assert TuneConfig().prompts == "mix-then-retrieve"
    assert ReasonerConfig().prompts == "rerank"
    assert TuneConfig(**load_settings(profile="cpu-default").tune).prompts == "rerank"
    assert TuneConfig(**load_settings(profile="paper").tune).prompts == "mix-then-retrieve"


def test_other_settings_are_another_adapter_of_another_name(work: Work) -> None:
    first, faster = _only(work(), "tune-rallrec"), _only(work(tune={"learning_rate": 0.1}), "tune-rallrec")
    assert first.folder != faster.folder
    assert adapter_name(first) != adapter_name(faster)
    planned = work(tune={"dropout": 0.3}).plan("tune-rallrec")[-1]
    assert planned.state == "missing"
    assert planned.why.startswith("changed since the last one: config.dropout: ")


def test_a_stopped_tuning_goes_on_where_it_was_and_ends_in_the_same_files(work: Work, tmp_path: Path) -> None:
    undisturbed = _only(work(), "tune-rallrec")
    said: list[str] = []

    def stop() -> bool:
        return any("step 3 of" in what for what in said)

    with pytest.raises(Stopped):
        work(store=tmp_path).run("tune-rallrec", progress=lambda what, _: said.append(what), stop=stop)
    states = {item.node.stage.kind: item.state for item in work(store=tmp_path).plan("tune-rallrec")}
    assert (states["space"], states["rallrec"]) == ("ready", "begun")
    said.clear()
    artifact = _only(work(store=tmp_path), "tune-rallrec", progress=lambda what, _: said.append(what))
    steps = [what for what in said if "step" in what]
    assert steps[0].startswith("adapter: step 3 of 6"), "the first round's two steps are not done again"
    assert _files(artifact) == _files(undisturbed)
    assert artifact.meta["scores"] == undisturbed.meta["scores"]
    assert not list(artifact.folder.glob("scratch*"))


def test_made_anew_it_comes_out_the_same(work: Work) -> None:
    before = _files(_only(work(), "tune-rella"))
    made: list[Artifact] = []
    again = _only(work(), "tune-rella", fresh=["tune-rella"], on_done=made.append)
    assert [artifact.meta["kind"] for artifact in made] == ["rella"]
    assert _files(again) == before


def test_the_scripted_engine_has_nothing_to_tune(data: Dataset, work: Work, tmp_path: Path) -> None:
    job = _job(data, tmp_path, TuneConfig(), replace(SCRIPTED))
    with pytest.raises(UsageError, match=r"no weights to tune.*rallrec tune"):
        tune.make_expert(job, "rallrec")


def _job(data: Dataset, folder: Path, config: Any, model: ModelRef) -> StageWork:
    """What a stage is given, over random item vectors."""
    space = random_space(data.n_items)
    np.save(folder / "rows.npy", space.rows)
    (folder / "widths.json").write_text(json.dumps(dict(space.widths)))
    (folder / "part").mkdir(exist_ok=True)
    inputs = {"space": Artifact(folder, {})}
    settings = Settings(**QUICK)
    return StageWork(
        data, settings, config, folder / "part", inputs, ScriptedEngine, lambda *_: None, lambda: False, model
    )


def _alone(ratings: int, folder: Path) -> Dataset:
    """One user's so many ratings."""
    source = write_movielens(folder / "raw", small_movies(9), [(1, 1 + n, 4.0, DAY * n) for n in range(ratings)])
    return datasets.prepare("ml-latest-small", folder / "datasets", source=source)


def test_too_little_to_learn_from_or_to_hold_out_is_said(tiny_folder: Path, tmp_path: Path) -> None:
    little = _alone(7, tmp_path)  # one training sample, one of the test part
    model = ModelRef(str(tiny_folder))
    with pytest.raises(DataError, match=r"one sample.*held out.*larger"):
        tune.make_expert(_job(little, tmp_path, TuneConfig(base="float32", k=3), model), "rallrec")
    with pytest.raises(DataError, match=r"one sample.*held out"):
        tune.make_reasoner(_job(little, tmp_path, ReasonerConfig(base="float32", k=3), model))


@pytest.mark.parametrize(
    ("mean", "others", "guess"),
    [(4.0, None, True), (2.5, None, False), (3.2, None, False), (3.3, None, True), (2.0, 5.0, True), (4.0, 2.0, False)],
)
def test_the_plain_guess_adds_what_others_say_to_the_users_average(
    mean: float, others: float | None, guess: bool, data: Dataset
) -> None:
    statistics = TrainingStatistics(data, split(build_samples(data), data))
    statistics.mean = 3.5
    subject = PromptSubject(META, HistoryLine("Heat", (), others=others), habit=RatingHabit(9, mean, 0.5))
    question: Any = SimpleNamespace(subject=subject)
    assert plain_guess(question, statistics) is guess


def test_where_the_split_has_no_validation_part_some_of_train_is_held_out(tmp_path: Path, data: Dataset) -> None:
    """BookCrossing's rules leave none: each user's last book, nine users of ten to learn from."""
    raw = write_bookcrossing(tmp_path / "raw", users=30, books=20, ratings=300)
    books = datasets.import_data(raw, "books", "bookcrossing", tmp_path / "datasets")
    job = _job(books, tmp_path, TuneConfig(samples=12, held_out=5, k=4), replace(SCRIPTED))
    assert not len(job.data_split.validation)
    learned, held_out = (list(part) for part in tune._learned_and_held_out(job, tune._asking(job), "rallrec"))
    assert (len(learned), len(held_out)) == (12, 5)
    train = set(job.data_split.train.tolist())
    rows = [books.find_row(question.user, question.item) for question in (*learned, *held_out)]
    assert len(set(rows)) == 17
    assert set(rows) <= train
