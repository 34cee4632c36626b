"""Several rationales behind one prompt: learned beside each other as if each stood alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backend.training.config import LoraSettings
from backend.training.examples import Example, SoftAnswer, joined

torch = pytest.importorskip("torch")
LoraTuner = pytest.importorskip("backend.training.lora").LoraTuner
losses = pytest.importorskip("backend.training.lora")._losses


def _example(prompt: list[int], written: list[int]) -> Example:
    """Tokens of the ``prompt`` at even places weigh something too, as answers of a history do."""
    weights = [float(place in (2, 4, 6)) * 0.5 for place in range(len(prompt))]
    weights[-1] = 0.0
    ids = (*prompt, *written)
    of_written = [1.0] * (len(written) - 1) + [6.0]
    return Example(ids, (*weights, *of_written), len(ids) - 1, True, len(prompt))


BEGIN = [5, 9, 12, 7, 33, 20, 41, 8]
SINGLES = [
    _example([*BEGIN, 50, 51, 52], [60, 61, 62, 63]),
    _example([*BEGIN, 70, 52], [64, 65]),
    _example([*BEGIN, 50, 51, 52], [60, 66, 67]),
]


def test_what_they_share_stands_once_and_every_tail_begins_within_the_prompt() -> None:
    one = joined(SINGLES)
    assert one.ids[: len(BEGIN)] == tuple(BEGIN)
    assert one.tails[0] == len(BEGIN)
    ends = (*one.tails[1:], len(one.ids))
    assert [one.ids[start:end] for start, end in zip(one.tails, ends, strict=True)] == [
        single.ids[len(BEGIN) :] for single in SINGLES
    ]
    assert all(one.weights[start] == 0 for start in one.tails)
    assert one.ids[one.answer_at] == SINGLES[0].ids[-1]
    same = joined([SINGLES[0], SINGLES[0]])
    assert same.tails[0] == SINGLES[0].written_at - 1, "one token of the prompt is in each tail"


def test_logits_are_those_of_each_alone(tiny_folder: Path) -> None:
    config = LoraSettings(rank=2, dropout=0, base="float32", learning_rate=1e-3, batch_size=2)
    tuner = LoraTuner(str(tiny_folder), "tiny", config, 0, "cpu")
    short = _example([5, 9, 12], [60, 61])
    with torch.inference_mode():
        together, targets, weights, *_ = tuner._forward([joined(SINGLES), short])
        alone = [tuner._forward([single]) for single in (*SINGLES, short)]
    # The weighted places of the shared beginning come once, from the first.
    shared = sum(weight > 0 for weight in SINGLES[0].weights[: len(BEGIN)])
    kept = [logits if n in (0, 3) else logits[shared:] for n, (logits, *_) in enumerate(alone)]
    assert torch.allclose(together, torch.cat(kept), atol=1e-5)
    of_targets = [logits if n in (0, 3) else logits[shared:] for n, (_, logits, *_) in enumerate(alone)]
    assert targets.tolist() == torch.cat(of_targets).tolist()
    assert weights.max() == 6


def test_a_soft_answer_is_learned_towards_its_probability(tiny_folder: Path) -> None:
    config = LoraSettings(rank=2, dropout=0, base="float32", learning_rate=1e-3, batch_size=2)
    tuner = LoraTuner(str(tiny_folder), "tiny", config, 0, "cpu")
    hard = [_example([5, 9, 12, 7], [60, 61]), _example([5, 9, 12], [64, 65, 66])]
    soft = [
        replace(example, soft=(SoftAnswer(len(example.ids) - 1, yes, example.ids[-1], 0.3),))
        for example, yes in zip(hard, (50, 51), strict=True)
    ]
    with torch.inference_mode():
        logits, targets, _weights, answers, _, none = tuner._forward(hard)
        *_, given = tuner._forward(soft)
        plain, towards = losses(logits, targets, none), losses(logits, targets, given)
    known = torch.log_softmax(logits, dim=-1)
    assert torch.equal(plain[~answers], towards[~answers])
    for place, yes, no in zip(answers.nonzero().flatten().tolist(), (50, 51), (61, 66), strict=True):
        assert float(towards[place]) == pytest.approx(
            float(-(0.3 * known[place, yes] + 0.7 * known[place, no])), abs=1e-5
        )
