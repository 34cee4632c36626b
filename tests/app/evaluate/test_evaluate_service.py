"""The Evaluate page's service on a small home: states, live weights, points and the samples behind them, jobs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.evaluate import drawing
from app.evaluate.address import FIGURES, SIDES, TABLES, EvaluateQuery
from app.evaluate.samples_behind import side_words
from app.evaluate.service import EvaluateService
from app.evaluate.view import State, SystemPair
from app.shared.jobs import JobsService
from app.shared.runs import RunQueue
from backend.batch import Batch, unasked_predictions
from backend.errors import UsageError
from backend.evaluation import metrics
from backend.evaluation.paper.exhibits import Figure, ResultTable
from backend.evaluation.paper.tables import all_tables
from backend.merging import merge
from storage.evaluation.labelled import SampleChoice, labelled
from storage.workspace import Workspace
from tests.app.conftest import settings_of
from tests.app.views import ParsedHtml
from tests.backend.evaluation.test_metrics import BRIER

TEST = EvaluateQuery(samples="test")


def service_over(workspace: Workspace) -> EvaluateService:
    return EvaluateService(workspace, JobsService(workspace, RunQueue(workspace.worker)))


@pytest.fixture(scope="module")
def answered_workspace(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """With all that the full method says of the test part, and of validation."""
    home = Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("evaluate") / "home"))
    workspace = Workspace(settings_of(home, tuned_adapter="mine", k=4))
    pipeline = workspace.pipeline()
    recipes = [workspace.recipe(knowledge=wording) for wording in ("none", "paper")]
    lists = [labelled(workspace, SampleChoice(part), part) for part in ("test", "validation")]
    pairs = [pair for part in lists for pair in zip(part.users.tolist(), part.items.tolist(), strict=True)]
    Batch(pipeline, unasked_predictions(pipeline, pairs, recipes)).run()
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def looked(answered_workspace: Workspace) -> tuple[EvaluateService, State]:
    service = service_over(answered_workspace)
    state = service.look(TEST)
    assert state is not None
    return service, state


def test_every_view_has_something_to_show(looked: tuple[EvaluateService, State]) -> None:
    _, state = looked
    assert len(state.evaluation.samples) > 5
    for view in TABLES:
        assert isinstance(state.exhibit(EvaluateQuery(samples="test", view=view)), ResultTable)
    for view in FIGURES:
        shown = state.exhibit(EvaluateQuery(samples="test", view=view))
        assert isinstance(shown, Figure)
        assert shown.key == view
        assert shown.panels or shown.missing
    assert isinstance(state.exhibit(EvaluateQuery(samples="test", view="pair")), SystemPair)


def test_alpha_and_epsilon_move_rallrec_plus_alone(looked: tuple[EvaluateService, State]) -> None:
    _, state = looked
    evaluation, responses = state.evaluation, state.evaluation.ways["full-paper"].responses
    moved = EvaluateQuery(samples="test", alpha=0.9, epsilon=0.05)
    scores = merge(*responses.merging, 0.9, 0.05)
    assert state.system("RALLRec+", moved).scores == pytest.approx(scores)
    assert state.system("RALLRec", moved) is evaluation.systems["RALLRec"]
    assert state.system("RALLRec+", TEST) is evaluation.systems["RALLRec+"]
    numbers = state.numbers(moved)
    assert list(numbers) == ["now", "chosen", "paper"]
    assert numbers["now"].values["log_loss"] == pytest.approx(metrics.log_loss(evaluation.samples.labels, scores))
    assert (numbers["paper"].alpha, numbers["paper"].epsilon) == (0.1, 1e-3)
    best = evaluation.chosen.weights["paper"].best
    assert (numbers["chosen"].alpha, numbers["chosen"].epsilon) == (best.alpha, best.epsilon)
    # The table goes on to report what was chosen on validation samples.
    [line] = [one for one in state.tables["table-4"].lines if one.key == "RALLRec+"]
    assert line.values["log_loss"] == pytest.approx(numbers["chosen"].values["log_loss"])


def test_the_samples_behind_every_point(looked: tuple[EvaluateService, State]) -> None:
    service, state = looked
    for view in ("figure-2", "figure-3", "calibration", "risk", "slices"):
        figure = state.exhibit(EvaluateQuery(samples="test", view=view))
        assert isinstance(figure, Figure)
        for panel in figure.panels:
            series = panel.series[0]
            point = len(series.x) - 1
            query = EvaluateQuery(samples="test", view=view, show=f"{panel.key}:{series.key}:{point}")
            behind = service.behind(state, query)
            assert behind is not None
            assert behind.total == len(series.behind(point)) > 0
            row = behind.rows[0]
            place = int(series.behind(point)[0])
            assert row.scores[behind.systems.index("RALLRec+")] == state.evaluation.systems["RALLRec+"].scores[place]
            first = behind.systems[0]  # the score of the system whose point it is comes first
            assert first == (series.key if series.key in state.evaluation.systems else "RALLRec+")
            assert (f"{first}, " in behind.what) == (series.key == first)
            assert row.liked == bool(state.evaluation.samples.labels[place])
            merging = state.merging(query)
            choices = row.request.choices
            assert (row.request.user, choices["knowledge"], choices["alpha"]) == (row.user, "paper", merging.alpha)
    gone = EvaluateQuery(samples="test", view="figure-2", show="length:responses:99")
    assert service.behind(state, gone) is None
    assert service.behind(state, TEST) is None


def test_wins_and_losses_are_all_samples_once(looked: tuple[EvaluateService, State]) -> None:
    service, state = looked
    total = 0
    for side in SIDES:
        query = EvaluateQuery(samples="test", view="pair", second="ItemMean", show=side)
        behind = service.behind(state, query)
        assert behind is not None
        assert behind.what == side_words(query)[side]
        total += behind.total
        for row in behind.rows:
            right = tuple((score > 0.5) == row.liked for score in row.scores)
            assert right == {"first": (True, False), "second": (False, True)}.get(side, (side == "both",) * 2)
    assert total == len(state.evaluation.samples)


def test_a_pair_is_tested_and_a_missing_system_says_what_to_run(looked: tuple[EvaluateService, State]) -> None:
    _, state = looked
    for alpha in (None, 0.9):
        pair = state.exhibit(EvaluateQuery(samples="test", view="pair", second="UserMean", alpha=alpha))
        assert isinstance(pair, SystemPair)
        assert [one.method for one in pair.differences] == ["DeLong", *["bootstrap"] * 5]
    gone = state.exhibit(EvaluateQuery(samples="test", view="pair", second="DeepFM"))
    assert isinstance(gone, SystemPair)
    assert [system.run for system in gone.missing] == ["RALLREC_ENGINE=scripted rallrec baselines"]
    assert gone.wins is None


def test_the_page_begins_with_whether_language_models_beat_the_bar(
    looked: tuple[EvaluateService, State], workspace: Workspace
) -> None:
    _, state = looked
    words = " ".join(ParsedHtml(drawing.evaluate_bar(TEST, "test", ("test",), state)).words)
    sentence = state.evaluation.bar_words
    assert "language model" in sentence
    assert words.index(sentence) < words.index("Tables")
    nothing = service_over(workspace).look(TEST)
    assert nothing is not None
    assert nothing.evaluation.bar_words == ""


def test_a_metric_that_is_registered_is_on_the_page(
    answered_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(metrics.METRICS, "brier", BRIER)
    state = service_over(answered_workspace).look(TEST)
    assert state is not None
    for view, words in (
        ("table-4", 'data-label="Brier score"'), ("figure-6", "Brier score by alpha"), ("slices", "; brier 0."),
        ("pair", "Brier score <small>bootstrap"),
    ):  # fmt: skip
        query = EvaluateQuery(samples="test", view=view, second="UserMean")
        assert words in drawing.evaluate_exhibit(state.exhibit(query), state, query)
    numbers = drawing.evaluate_numbers(state, TEST)
    assert 'title="The mean squared error.">Brier score' in numbers
    scores = state.evaluation.systems["RALLRec+"].scores
    assert f"{np.mean((scores - state.evaluation.samples.labels) ** 2):.4f}" in numbers
    records = state.records(EvaluateQuery(samples="test", view="table-4"))
    assert [record["column"] for record in records[:6]] == [*metrics.METRICS]


def test_downloads_hold_every_number(looked: tuple[EvaluateService, State]) -> None:
    _, state = looked
    table = state.records(EvaluateQuery(samples="test", view="table-4"))
    assert {record["line"] for record in table} >= {"RALLRec+", "DeepFM", "UserMean", "Boosting"}
    pair = state.records(EvaluateQuery(samples="test", view="pair", second="DeepFM"))
    assert len(pair) == len(state.evaluation.samples)
    assert [record["RALLRec+"] for record in pair] == pytest.approx(
        state.evaluation.systems["RALLRec+"].scores.tolist()
    )
    assert {record["DeepFM"] for record in pair} == {None}


def test_why_auc_is_not_defined_is_said(looked: tuple[EvaluateService, State]) -> None:
    evaluation = looked[1].evaluation
    samples = replace(evaluation.samples, labels=np.ones(len(evaluation.samples)))
    tables = all_tables(replace(evaluation, samples=samples))
    assert ["AUC compares two classes." in " ".join(table.notes) for table in tables] == [True] * 6 + [False]


def test_without_chains_the_page_says_what_is_missing(workspace: Workspace) -> None:
    state = service_over(workspace).look(TEST)
    assert state is not None
    assert state.live is None
    assert state.numbers(TEST) == {}
    for view in ("figure-2", "figure-6", "figure-9"):
        figure = state.exhibit(EvaluateQuery(samples="test", view=view))
        assert isinstance(figure, Figure)
        assert figure.missing
        assert "rallrec reason" in figure.run
    there = [line.key for line in state.tables["table-4"].lines if np.isfinite(line.values.get("auc", np.nan))]
    assert there == ["UserMean", "ItemMean", "MeanBlend"]


def test_a_large_list_is_looked_up_by_a_job(answered_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.evaluate.service._AT_ONCE", 3)
    service, query = service_over(answered_workspace), EvaluateQuery(samples="test", limit=7)
    monkeypatch.setattr(service._jobs._runner, "wake", lambda: None)  # the job is done here, not beside
    assert service.look(query) is None
    assert service.job(query) is None
    job = service.start(query, "me")
    stored = service.job(query)
    assert stored is not None
    assert (stored.number, stored.kind, stored.state) == (job.number, "evaluate", "queued")
    with pytest.raises(UsageError, match="does the same"):
        service.start(query, "me")
    said: list[Any] = []
    job.params.perform(answered_workspace, said.append, lambda: False)
    assert said[-1].fraction == 1.0
    assert "systems are scored on 7 samples" in said[-1].stage
    state = service.look(query)
    assert state is not None
    assert state.evaluation.systems["RALLRec+"].complete


@pytest.mark.parametrize(
    "address",
    [
        "?view=table-9", "?first=Nobody", "?samples=train", "?alpha=2", "?epsilon=0", "?epsilon=nan", "?limit=0",
        "?limit=x", "?show=first", "?view=pair&show=a:b:1", "?view=figure-2&show=a:b", "?view=figure-2&show=a:b:-1",
    ],
)  # fmt: skip
def test_addresses_that_are_none_are_refused(address: str) -> None:
    with pytest.raises(UsageError):
        EvaluateQuery.parse(address)


def test_an_address_comes_back_as_it_was() -> None:
    query = EvaluateQuery(
        samples="test", limit=40, view="figure-3", alpha=0.25, epsilon=3.162e-05, first="ReLLa", second="LLM",
        show="variance:windows:7", page=3,
    )  # fmt: skip
    assert query.link() == (
        "/evaluate?samples=test&limit=40&view=figure-3&alpha=0.25&epsilon=3.162e-05&first=ReLLa&second=LLM"
        "&show=variance%3Awindows%3A7&page=3"
    )
    assert EvaluateQuery.parse(query.link()) == query
    assert EvaluateQuery().link() == "/evaluate"
    assert EvaluateQuery.parse(query.viewing("risk")).show == ""
