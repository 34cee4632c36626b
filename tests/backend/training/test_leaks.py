"""Nothing of validation or test is learned from: with all its labels turned round, the same examples are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.datasets import Dataset, Split, build_samples, split
from backend.engines.chat import Chat, TokenizerVocabulary
from backend.training import lora
from backend.training.examples import Example
from storage.precompute.plan import Precompute
from tests.backend.training.tiny_models import BytesTokenizer


@dataclass
class Recorder:
    """Stands in for the tuner and keeps what it is given to learn from; its tokenizer and chat are real."""

    train: Sequence[Example] = ()
    held_out: Sequence[Example] = ()

    def __post_init__(self) -> None:
        self.tokenizer, self.end = BytesTokenizer(), 0
        self.chat = Chat(TokenizerVocabulary(self.tokenizer), 1 << 20)

    def tune(self, train: Sequence[Example], held_out: Sequence[Example], **_options: Any) -> lora.Tuned:
        self.train, self.held_out = train, held_out
        return lora.Tuned([], 0, 0)

    def answers(self, examples: Sequence[Example]) -> np.ndarray:
        return np.full(len(examples), 0.5)

    def save(self, folder: Path) -> None:
        (folder / lora.ADAPTER_FILE).write_bytes(b"")


@pytest.fixture(scope="module", params=["chronological", "per-user"])
def twins(
    request: pytest.FixtureRequest,
    data: Dataset,
    work: Callable[..., Precompute],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Split, Callable[..., tuple[Recorder, Recorder]]]:
    """The split, and tuned(stage) of two: the data, and the same with all labels of validation and test turned round.

    All that stands before the tuning, such as the item vectors, is made of each anew.
    """
    parts = split(build_samples(data), data, request.param)
    hidden = np.concatenate([parts.validation, parts.test])
    rating = data.rating.copy()
    rating[hidden] = np.where(data.labels[hidden], 0.5, 3.5)  # the mean changes too
    altered = replace(data, rating=rating)
    both = (data, altered)
    stores = [tmp_path_factory.mktemp(f"twin-{request.param}") for _ in both]

    def tuned(stage: str, patch: pytest.MonkeyPatch, **settings: Any) -> tuple[Recorder, Recorder]:
        recorders = []
        for dataset, store in zip(both, stores, strict=True):
            recorder = Recorder()
            patch.setattr(lora, "LoraTuner", lambda *_, recorder=recorder: recorder)
            work(dataset, store, split=request.param, **settings).run(stage, fresh=[stage])
            recorders.append(recorder)
        return recorders[0], recorders[1]

    return parts, tuned


@pytest.mark.parametrize("samples", [12, 400])
@pytest.mark.parametrize("recipe", ["rallrec", "rella"])
def test_an_expert_learns_nothing_of_validation_or_test(
    recipe: str, samples: int, twins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, tuned = twins
    one, two = tuned(f"tune-{recipe}", monkeypatch, tune={"samples": samples, "held_out": 30})
    assert len(one.train) == 2 * min(samples, len(parts.train))
    assert any(re.search(r"Others: \d", one.tokenizer.decode(example.ids)) for example in one.train)
    assert one.train == two.train
    assert len(one.held_out) == len(two.held_out) == min(30, len(parts.validation)) > 20
    # It decides when to stop: its own answers are known, and here all the other way round.
    assert all(a.label is not b.label for a, b in zip(one.held_out, two.held_out, strict=True))
    for example in (*one.train, *one.held_out):
        assert example.label is (example.ids[-1] in one.chat.yes)


def test_a_teacher_learns_nothing_of_validation_or_test(twins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, tuned = twins
    settings = {"samples": 40, "held_out": 30, "template": "evidence", "teacher": 0.75, "fewer": 0.5}
    one, two = tuned("tune-rallrec", monkeypatch, tune=settings)
    assert any("most similar past movies" in one.tokenizer.decode(example.ids) for example in one.train)
    assert len({example.soft[0].p_yes for example in one.train}) > 10
    assert one.train == two.train
    # What a held-out answer should be is a quarter its label, the rest the teacher's, who knows none of them.
    towards = np.array(
        [[example.soft[0].p_yes - 0.25 * example.label for example in twin.held_out] for twin in (one, two)]
    )
    assert towards[0] == pytest.approx(towards[1])


@pytest.mark.parametrize(
    "composed", [{"composed": "label"}, {"composed": "evidence", "template": "evidence", "teacher": 1}]
)
@pytest.mark.parametrize("samples", [12, 400])
def test_the_reasoner_learns_nothing_of_validation_or_test_and_is_not_scored_by_it(
    samples: int, composed: dict[str, Any], twins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tuned = twins
    one, two = tuned("tune-reasoner", monkeypatch, reasoner={"samples": samples, "held_out": 20, **composed})
    assert (len(one.train) > 10, len(one.held_out)) == (True, 16 if samples == 12 else 20)
    assert one.train == two.train
    assert one.held_out == two.held_out
    assert not {example.ids for example in one.train} & {example.ids for example in one.held_out}


def test_every_training_sample_is_of_the_training_part_and_taken_once(
    twins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, tuned = twins
    recorder, _ = tuned("tune-rallrec", monkeypatch, tune={"samples": 400, "orders": 1})
    prompts = {example.ids[:-1] for example in recorder.train}
    assert len(prompts) == len(recorder.train) == len(parts.train)


@pytest.mark.parametrize(("last", "loss", "weights"), [(4, "every-answer", {0, 1, 4}), (2, "answer", {0, 2})])
def test_the_loss_and_its_weights_follow_the_settings(
    last: int, loss: str, weights: set[float], twins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tuned = twins
    recorder, _ = tuned("tune-rallrec", monkeypatch, tune={"last_weight": last, "loss": loss})
    assert {weight for example in recorder.train for weight in example.weights} == weights
    assert {example.weights[-1] for example in recorder.train} == {last}
    assert {sum(example.weights) for example in recorder.held_out} == {1}, "what decides is the one answer"


def test_orders_are_different_prompts_of_the_same_samples(twins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, tuned = twins
    recorder, _ = tuned("tune-rallrec", monkeypatch, tune={"orders": 3, "samples": 10})
    assert len(recorder.train) == 30
    targets = [recorder.tokenizer.decode(example.ids).rpartition("Will the user like")[2] for example in recorder.train]
    assert all(len(set(targets[at : at + 3])) == 1 for at in range(0, 30, 3))
    assert len({example.ids for example in recorder.train}) > 15
