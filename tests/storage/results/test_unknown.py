"""Results of unknown precision: which of them are taken, and that exactly these are asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.datasets import Dataset
from backend.engines.chat import READING
from backend.errors import Stopped
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.settings import Settings
from backend.types import ModelRef, Sampling
from storage import CachedEngine, Database
from storage import workspace as workspace_module
from storage.doctor.checks import check
from storage.doctor.findings import Finding
from storage.results.keys import unknown_of
from storage.results.lookup import look_up
from storage.results.unknown import ask_again, count_unknown, only_unknown
from storage.workspace import Workspace
from tests.conftest import random_space
from tests.storage.storage_fakes import CountingEngine, ask

KNOWN = ModelRef("tiny", "r1", precision="float32", reading=READING)
SAMPLING = Sampling(seed=4)
PROMPTS = [ask(str(number)) for number in range(5)]


# --- which are taken ---


@pytest.fixture
def pipelines(small: Dataset, database: Database) -> Callable[[ModelRef], Pipeline]:
    """pipelines(model): where this model plays both roles."""

    def of(model: ModelRef) -> Pipeline:
        tuned, reasoner = (CachedEngine(CountingEngine(replace(model, adapter=name)), database) for name in "gr")
        return Pipeline(small, random_space(small.n_items), tuned, reasoner)

    return of


def test_unknown_results_are_taken_only_where_allowed_and_never_beside_known_ones_of_the_question(
    pipelines: Callable[[ModelRef], Pipeline], small: Dataset
) -> None:
    before, now = pipelines(unknown_of(KNOWN) or KNOWN), pipelines(KNOWN)
    recipe = Recipe.model_validate({"reasoning": {"traces": 3}, "prompting": {"knowledge": "none"}})
    user = small.n_users - 1
    question = now.question(user, int(small.item_index[small.user_rows(user).stop - 1]), recipe)
    then = before.predict(question, recipe)

    def taken(prediction: Prediction) -> tuple[list[bool | None], list[bool | None]]:
        marks = [
            [result and result.unknown for result in results] for results in (prediction.answers, prediction.traces)
        ]
        return marks[0], marks[1]  # type: ignore[return-value]

    assert taken(look_up(now, question, recipe)) == ([None] * 3, [None] * 3)
    shown = look_up(now, question, recipe, unknown=True)
    assert taken(shown) == ([True] * 3, [True] * 3)
    assert (shown.p_g, shown.p_r, shown.p_final) == (then.p_g, then.p_r, then.p_final)
    assert (shown.unknown, then.unknown) == (True, False)
    # One answer of this precision, and one chain: the other ones are not filled up with noise.
    now.tuned.answer([question.prompts[1].messages])
    assert taken(look_up(now, question, recipe, unknown=True)) == ([None, False, None], [True] * 3)
    assert shown.reason_prompt
    now.reasoner.reason([shown.reason_prompt.messages], [2], recipe.reasoning.sampling)
    assert taken(look_up(now, question, recipe, unknown=True)) == ([None, False, None], [None, None, False])
    done = now.predict(question, recipe)
    assert look_up(now, question, recipe) == look_up(now, question, recipe, unknown=True) == done
    assert not done.unknown


# --- asking again ---


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[CountingEngine]:
    """The engines that a workspace makes from now on, those with an adapter too."""
    made: list[CountingEngine] = []

    class Kept(CountingEngine):
        def __init__(self, model: ModelRef | None = None, **_options: Any) -> None:
            super().__init__(model)
            made.append(self)

    monkeypatch.setattr(workspace_module, "create_engine", lambda _name, model, **_options: Kept(model))
    return made


@pytest.fixture
def workspace(tmp_path: Path, database_url: str, engines: list[CountingEngine]) -> Iterator[Workspace]:
    settings = Settings(
        home=tmp_path, database_url=database_url, tuned_adapter="tuned", reasoning_adapter="taught", dtype="float32"
    )
    with Workspace(settings, bundle=tmp_path / "no bundle") as opened:
        yield opened


def then(workspace: Workspace, adapter: str | None, dropped: int = 0) -> CachedEngine:
    """What answered with an adapter before its precision was written down."""
    model = unknown_of(workspace.model("tuned"))
    assert model
    return CachedEngine(CountingEngine(replace(model, adapter=adapter), dropped=dropped), workspace.database)


def run(engines: list[CountingEngine]) -> tuple[int, int]:
    return sum(len(engine.answered) for engine in engines), sum(len(engine.drawn) for engine in engines)


def quiet(_what: str, _fraction: float | None) -> None:
    pass


def test_exactly_the_unknown_ones_are_asked_again_and_once(workspace: Workspace, engines: list[CountingEngine]) -> None:
    then(workspace, "tuned").answer(PROMPTS)
    then(workspace, "taught").reason(PROMPTS[:2], [0, 3], SAMPLING)
    then(workspace, "taught").reason(PROMPTS[:1], [5], SAMPLING)
    tuned, taught = (workspace.cached_engine(role) for role in ("tuned", "reasoning"))
    tuned.answer(PROMPTS[:2])
    taught.reason(PROMPTS[:1], [3], SAMPLING)
    assert run(engines) == (2, 1)
    assert count_unknown(workspace.settings, workspace.database) == 3 + 4
    told: list[float | None] = []
    done = ask_again(workspace, lambda _what, fraction: told.append(fraction), lambda: False)
    assert (done.asked, done.cut, done.not_here) == (7, 0, {})
    assert run(engines) == (5, 5)
    assert told[0] == 0
    assert None not in tuned.peek_answers(PROMPTS)
    assert None not in taught.peek_traces(PROMPTS[0], [0, 3, 5], SAMPLING)
    assert None not in taught.peek_traces(PROMPTS[1], [0, 3], SAMPLING)
    assert ask_again(workspace, quiet, lambda: False).asked == 0
    assert run(engines) == (5, 5)
    assert count_unknown(workspace.settings, workspace.database) == 0


def test_the_doctor_counts_them_and_says_what_to_run(workspace: Workspace) -> None:
    def findings() -> list[Finding]:
        return [finding for finding in check(workspace.settings) if finding.name == "results"]

    assert workspace.database
    assert findings() == []
    then(workspace, "tuned").answer(PROMPTS)
    [finding] = findings()
    assert (finding.state, finding.detail.split()[0]) == ("optional", "5")
    assert finding.fix.endswith("reason --again unknown")


def test_what_cannot_be_asked_is_said(workspace: Workspace, engines: list[CountingEngine]) -> None:
    then(workspace, None).answer(PROMPTS[:1])
    then(workspace, "gone").answer(PROMPTS[:2])
    then(workspace, "tuned", dropped=1).answer(PROMPTS[:3])
    assert count_unknown(workspace.settings, workspace.database) == 6
    done = ask_again(workspace, quiet, lambda: False)
    assert (done.asked, done.cut, done.not_here) == (1, 3, {"smollm2-135m-instruct with gone": 2})
    assert run(engines) == (1, 0)


def test_it_can_be_stopped_and_goes_on(workspace: Workspace, engines: list[CountingEngine]) -> None:
    then(workspace, "tuned").answer(PROMPTS)
    with pytest.raises(Stopped):
        ask_again(workspace, quiet, lambda: True)
    assert run(engines) == (0, 0)
    assert ask_again(workspace, quiet, lambda: False).asked == 5


def test_they_are_shown_alone_only_while_nothing_else_is_known(workspace: Workspace, tmp_path: Path) -> None:
    then(workspace, "tuned").answer(PROMPTS)
    assert only_unknown(workspace)
    workspace.cached_engine("tuned").answer(PROMPTS[:1])
    assert not only_unknown(workspace)
    with Workspace(Settings(home=tmp_path / "made up", engine="scripted")) as scripted:
        assert not only_unknown(scripted), "made-up answers have no precision"
