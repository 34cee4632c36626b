"""Which sample the first page opens on."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.datasets import MIN_HISTORY, Dataset
from backend.engines.scripted import ScriptedEngine
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.types import Answer, Trace
from scripts.shipping import put_front
from storage.shipped import samples_file
from tests.conftest import random_space


@pytest.fixture
def predictions(small: Dataset) -> list[Prediction]:
    """Of four samples, each with an answer on the right side and no chain yet."""
    engine = ScriptedEngine()
    pipeline = Pipeline(small, random_space(small.n_items), engine, engine)
    recipe = Recipe.model_validate({"reasoning": {"traces": 2}, "prompting": {"template": "answered"}})
    predictions = []
    known = [user for user in range(small.n_users) if np.diff(small.user_ptr)[user] > MIN_HISTORY + 4]
    for user in known[:4]:
        row = small.user_rows(user).stop - 1
        question = pipeline.question(user, int(small.item_index[row]), recipe)
        answer = Answer(0.9 if question.label else 0.1, 10, 0.1)
        predictions.append(pipeline.with_answers(pipeline.unasked(question, recipe), [answer] * 3))
    return predictions


def _with(prediction: Prediction, *texts: str) -> Prediction:
    return prediction.taking_traces([Trace(n, text, 0.5, 9, 0.1, "stop") for n, text in enumerate(texts)])


def _cites(prediction: Prediction, count: int, verdict: str) -> str:
    cited = [f"{line.label} got {line.rating:g}" for line in prediction.question.lines[:count]]
    return f"{', '.join(cited)}.\n</think>\n\n{verdict}"


def _listed(folder: Path) -> list[tuple[str, str]]:
    with samples_file(folder, "test").open() as file:
        return [(row["user"], row["item"]) for row in csv.DictReader(file)]


def test_it_is_one_whose_chains_disagree_and_are_grounded(
    predictions: list[Prediction], small: Dataset, tmp_path: Path
) -> None:
    a, b, c, d = predictions
    wrong = replace(d, answers=tuple(replace(answer, p_yes=1 - answer.p_yes) for answer in d.answers if answer))
    told = [
        _with(a, _cites(a, 3, "Yes"), _cites(a, 3, "Yes")),  # of one mind
        _with(b, _cites(b, 1, "Yes"), _cites(b, 1, "No")),
        _with(c, _cites(c, 2, "Yes"), _cites(c, 2, "No")),
        _with(wrong, _cites(d, 4, "Yes"), _cites(d, 4, "No")),  # the prediction is wrong
    ]
    put_front(tmp_path, small, told)
    ids = [(small.user_ids[prediction.question.user], small.item_ids[prediction.question.item]) for prediction in told]
    assert _listed(tmp_path) == [ids[2], ids[0], ids[1], ids[3]]


def test_without_one_the_list_stays(predictions: list[Prediction], small: Dataset, tmp_path: Path) -> None:
    prediction = predictions[0]
    invented = "Nowhere Land (1950) got 4.\n</think>\n\n"
    put_front(tmp_path, small, [_with(prediction, f"{invented}Yes", f"{invented}No")])
    put_front(
        tmp_path, small, [_with(prediction, _cites(prediction, 2, "Yes"), "They may like it.")]
    )  # one cannot be read
    put_front(tmp_path, small, [])
    assert not samples_file(tmp_path, "test").exists()
