"""Stories found among predictions: the right sample, the right numbers, and none where nothing tells one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from backend.datasets import MIN_HISTORY, Dataset
from backend.engines.scripted import ScriptedEngine
from backend.merging import merge
from backend.pipeline import Pipeline, Recipe
from backend.settings import Settings
from backend.stories import Story, Told, find_stories
from backend.stories.finder import RECENT, RELEVANT, USUAL
from backend.types import Answer, Trace
from scripts.evaluate import find_stories_of
from storage.kept.stories import read_stories
from storage.precompute.artifacts import BUNDLE
from storage.shipped import samples_file
from storage.workspace import Workspace
from tests.conftest import random_space

Tell = Callable[..., Told]


@pytest.fixture(scope="module")
def tell(small: Dataset) -> Tell:
    """tell(place, label, {(gamma, knowledge): (P(yes) per order, P(yes) per chain)}), of the place-th user's last."""
    pipeline = Pipeline(small, random_space(small.n_items), ScriptedEngine(), ScriptedEngine())
    known = [user for user in range(small.n_users) if np.diff(small.user_ptr)[user] > MIN_HISTORY + 4]

    def make(place: int, label: bool, said: dict[tuple[float, str], tuple[list[float], list[float]]]) -> Told:
        user = known[place]
        item = int(small.item_index[small.user_rows(user).stop - 1])
        by = {}
        for (gamma, knowledge), (answers, chains) in said.items():
            recipe = Recipe.model_validate(
                {
                    "reasoning": {"traces": len(chains)},
                    "prompting": {"template": "answered", "knowledge": knowledge},
                    "retrieval": {"gamma": gamma, "k": 4},
                }
            )
            question = replace(pipeline.question(user, item, recipe), label=label)
            prediction = pipeline.with_answers(pipeline.unasked(question, recipe), [Answer(p, 9, 0.1) for p in answers])
            by[gamma, knowledge] = prediction.taking_traces([_chain(n, p) for n, p in enumerate(chains)])
        return Told(small.user_ids[user], small.item_ids[item], small.item_label(item), label, by)

    return make


def _chain(number: int, p_yes: float, text: str = "As before.") -> Trace:
    return Trace(number, f"{text}\n</think>\n\n{'Yes' if p_yes > 0.5 else 'No'}", p_yes, 9, 0.1, "stop")


STEADY = [0.7, 0.7, 0.7]


def test_nothing_is_told_of_nothing(tell: Tell) -> None:
    assert find_stories([]) == {}
    assert find_stories([tell(0, True, {(USUAL, "none"): (STEADY, [1, 1])})]) == {}


def test_the_hint_is_told_where_it_turns_the_reasoner_round(tell: Tell) -> None:
    small_turn = tell(0, True, {(USUAL, "none"): (STEADY, [0, 0, 1]), (USUAL, "paper"): (STEADY, [1, 1, 0])})
    turned = tell(1, True, {(USUAL, "none"): (STEADY, [0, 0, 0]), (USUAL, "paper"): (STEADY, [1, 1, 1])})
    unmoved = tell(2, True, {(USUAL, "none"): (STEADY, [1, 1, 1]), (USUAL, "paper"): (STEADY, [1, 1, 1])})
    told = find_stories([small_turn, turned, unmoved])["hint"]
    assert f"user {turned.user} " in told.steps[0].sentence
    assert "none of the 3 chains end in Yes: P_R is 0.00" in told.steps[0].sentence
    assert "all of the 3 chains end in Yes: P_R moves to 1.00" in told.steps[2].sentence
    assert "so the hint helped" in told.steps[3].sentence
    assert [parse_qs(urlsplit(step.view).query)["knowledge"] for step in told.steps] == [
        ["none"], ["paper"], ["paper"], ["paper"],
    ]  # fmt: skip


def test_consistent_chains_are_told_with_the_merge_of_both_alphas(tell: Tell) -> None:
    answers = [0.6, 0.5, 0.7]
    sample = tell(0, False, {(USUAL, "none"): (answers, [0, 0, 0])})
    told = find_stories([sample])["consistent"]
    for step, alpha in zip(told.steps[2:], (0.1, 1.0), strict=True):
        assert f"P_final is {merge(0, 0, 0.6, np.var(answers), alpha):.2f}" in step.sentence
        assert parse_qs(urlsplit(step.view).query)["alpha"] == [f"{alpha:g}"]
    right_already = tell(0, True, {(USUAL, "none"): (answers, [0, 0, 0])})
    assert "consistent" not in find_stories([right_already])


def test_recency_is_told_where_another_gamma_mends_the_answer(tell: Tell) -> None:
    said = {(RECENT, "none"): ([0.8] * 3, [1, 1]), (RELEVANT, "none"): ([0.3] * 3, [0, 0])}
    sample = next(tell(place, False, said) for place in range(3) if _differ(tell(place, False, said)))
    told = find_stories([sample])["recency"]
    assert "then says 0.80. The user did not like it" in told.steps[1].sentence
    assert "Now the tuned model says 0.30" in told.steps[3].sentence
    lines = [{line.label for line in sample.by[key].question.lines} for key in said]
    came = re.search(r"in (.*?); out", told.steps[2].sentence)
    assert came
    assert all(label in lines[1] - lines[0] for label in came[1].split(", "))
    liked = replace(sample, label=True)
    assert "recency" not in find_stories([liked])


def _differ(sample: Told) -> bool:
    return len({frozenset(line.label for line in prediction.question.lines) for prediction in sample.by.values()}) > 1


def test_divided_wrong_and_order(tell: Tell) -> None:
    divided = tell(0, True, {(USUAL, "none"): (STEADY, [0, 1, 0, 1])})
    wrong = tell(1, False, {(USUAL, "paper"): ([0.9] * 3, [1, 1])})
    unsteady = tell(2, True, {(USUAL, "paper"): ([0.9, 0.4, 0.6], [1, 0])})
    stories = find_stories([divided, wrong, unsteady])
    assert set(stories) == {"divided", "wrong", "order"}
    assert "2 of the 4 chains end in Yes" in stories["divided"].steps[0].sentence
    assert "0.25" in stories["divided"].steps[1].sentence
    assert "The user did not like it" in stories["wrong"].steps[2].sentence
    assert "0.90, 0.40 and 0.60" in stories["order"].steps[0].sentence


def test_an_invented_title_is_told_with_the_chain_that_invents_it(tell: Tell) -> None:
    sample = tell(0, True, {(USUAL, "paper"): (STEADY, [1, 1])})
    prediction = sample.by[USUAL, "paper"]
    line = prediction.question.lines[0]
    cites = f"They gave {line.label} {line.rating:g}."
    chains = [_chain(0, 1, cites), _chain(1, 1, "They gave Nowhere Land (1950) 4.")]
    made_up = replace(sample, by={(USUAL, "paper"): prediction.taking_traces(chains)})
    told = find_stories([made_up])["invented"]
    assert "Chain 2 argues with Nowhere Land (1950)" in told.steps[1].sentence
    misquoted = _chain(0, 1, f"They gave {line.label} {(line.rating or 0) + 1:g}.")
    assert "invented" not in find_stories(
        [replace(sample, by={(USUAL, "paper"): prediction.taking_traces([misquoted, chains[1]])})]
    )


def test_the_stories_that_ship_are_those_of_the_results_that_ship(tmp_path: Path) -> None:
    workspace = Workspace(Settings(home=tmp_path))
    try:
        stories = find_stories_of(workspace, samples_file(BUNDLE, "test"), lambda _what, _fraction: None)
    finally:
        workspace.close()
    assert stories == read_stories(BUNDLE)
    assert len(stories) >= 5
    assert all(isinstance(story, Story) and len(story.steps) > 1 for story in stories.values())
