"""LoRA tuning: it learns, the same seed gives the same bytes, a stopped run goes on, and engines load what it saves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from backend.engines.causal_lm import CausalLM
from backend.engines.transformers_engine import TransformersEngine
from backend.errors import EngineError, Stopped, UsageError
from backend.training.config import LoraSettings
from backend.training.examples import Example, ExampleWriter
from backend.training.lora import ADAPTER_FILE, CONFIG_FILE, LoraTuner, Tuned
from backend.types import Message, ModelRef
from tests.backend.engines.tiny import TinyTokenizer
from tests.backend.training.test_examples import _prompt
from tests.backend.training.tiny_models import QUICK, save_tiny, signs

TOKENIZER = TinyTokenizer()
TRAIN, HELD_OUT = signs(TOKENIZER, 96, 1), signs(TOKENIZER, 24, 2)
# A rate at which nothing good is learned, so that scores get worse.
WILD = 0.9


def _tuner(folder: Path, seed: int = 0, config: LoraSettings = QUICK, **changes: Any) -> LoraTuner:
    return LoraTuner(str(folder), "tiny", config.model_copy(update=changes), seed, "cpu")


def _tune(tuner: LoraTuner, folder: Path, train: Sequence[Example] = TRAIN, **options: Any) -> Tuned:
    """Tune, save into ``folder``, and say what was done."""
    made = tuner.tune(train, HELD_OUT, checkpoint=folder / "checkpoint.pt", **options)
    tuner.save(folder / "adapter")
    return made


def _bytes(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "adapter" / ADAPTER_FILE).read_bytes(), (folder / "adapter" / CONFIG_FILE).read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tuned, LoraTuner]:
    """One run that nobody stopped."""
    folder, tuner = tmp_path_factory.mktemp("undisturbed"), _tuner(tiny_folder)
    return folder, _tune(tuner, folder), tuner


def test_what_can_be_learned_is_learned(undisturbed: tuple[Path, Tuned, LoraTuner], tiny_folder: Path) -> None:
    _, made, tuner = undisturbed
    assert [point["epoch"] for point in made.curve] == [1, 2, 3, 4]
    assert made.curve[-1]["loss"] < 0.7 * made.curve[0]["loss"]
    best = made.curve[made.best - 1]
    assert best["log_loss"] < 0.5
    assert best["auc"] > 0.85
    before = _tuner(tiny_folder).answers(HELD_OUT)
    labels = np.array([example.label for example in HELD_OUT])
    assert -np.log(np.where(labels, before, 1 - before)).mean() > 0.69, "before, it knew nothing"
    assert best["log_loss"] == min(point["log_loss"] for point in made.curve)
    after = tuner.answers(HELD_OUT)
    assert best["log_loss"] == pytest.approx(-np.log(np.where(labels, after, 1 - after)).mean())


def test_one_seed_gives_the_same_bytes_and_another_seed_others(
    undisturbed: tuple[Path, Tuned, LoraTuner], tiny_folder: Path, tmp_path: Path
) -> None:
    folder, made, _ = undisturbed
    torch.manual_seed(99)  # what was drawn elsewhere is nothing to a run
    again = _tune(_tuner(tiny_folder), tmp_path / "again")
    assert (again.curve, again.best) == (made.curve, made.best)
    assert _bytes(tmp_path / "again") == _bytes(folder)
    _tune(_tuner(tiny_folder, seed=1), tmp_path / "other")
    assert _bytes(tmp_path / "other")[0] != _bytes(folder)[0]


@pytest.mark.parametrize("steps", [0, 9, 10, 21])
def test_a_stopped_run_goes_on_and_ends_as_an_undisturbed_one(
    steps: int, undisturbed: tuple[Path, Tuned, LoraTuner], tiny_folder: Path, tmp_path: Path
) -> None:
    said: list[str] = []

    def stop() -> bool:
        return sum("step" in what for what in said) >= steps

    with pytest.raises(Stopped):
        _tune(_tuner(tiny_folder), tmp_path, progress=lambda what, _: said.append(what), stop=stop)
    finished = max(0, steps - 1) // 9  # of four rounds of nine steps; stopped while a round is scored, it is not kept
    assert (tmp_path / "checkpoint.pt").is_file() is (finished > 0)
    said.clear()
    made = _tune(_tuner(tiny_folder), tmp_path, progress=lambda what, _: said.append(what))
    assert sum("step" in what for what in said) == 36 - 9 * finished, "finished rounds are not done again"
    assert made == undisturbed[1]
    assert _bytes(tmp_path) == _bytes(undisturbed[0])


def test_a_finished_run_is_not_done_again(tiny_folder: Path, tmp_path: Path) -> None:
    first = _tune(_tuner(tiny_folder, epochs=1), tmp_path)
    said: list[str] = []
    assert _tune(_tuner(tiny_folder, epochs=1), tmp_path, progress=lambda what, _: said.append(what)) == first
    assert said == []


def test_it_ends_when_nothing_gets_better_and_keeps_the_best_rounds_weights(tiny_folder: Path, tmp_path: Path) -> None:
    tuner = _tuner(tiny_folder, learning_rate=WILD, rounds=12, patience=2)
    kept: dict[int, dict[str, Any]] = {}

    def remember(what: str, _fraction: float | None) -> None:
        if "epoch" in what:
            kept[len(kept) + 1] = {n: v.detach().clone() for n, v in tuner._peft.named_parameters() if v.requires_grad}

    made = _tune(tuner, tmp_path, progress=remember)
    scores = [point["log_loss"] for point in made.curve]
    assert made.best == 1 + int(np.argmin(scores)) < len(scores) < 12
    assert len(scores) == made.best + 2
    now = {name: value for name, value in tuner._peft.named_parameters() if value.requires_grad}
    assert all(torch.equal(value, kept[made.best][name]) for name, value in now.items())
    assert not all(torch.equal(value, kept[len(scores)][name]) for name, value in now.items())


def test_the_score_that_decides_can_be_chosen(tiny_folder: Path, tmp_path: Path) -> None:
    made = _tune(_tuner(tiny_folder), tmp_path, score="held_out_loss")
    assert made.curve[made.best - 1]["held_out_loss"] == min(point["held_out_loss"] for point in made.curve)


def test_the_saved_adapter_is_half_precision_and_names_no_place_of_this_machine(
    undisturbed: tuple[Path, Tuned, LoraTuner], tiny_folder: Path
) -> None:
    folder, made, _ = undisturbed
    saved = load_file(folder / "adapter" / ADAPTER_FILE)
    assert {value.dtype for value in saved.values()} == {torch.float16}
    assert sum(value.numel() for value in saved.values()) == made.parameters
    config = json.loads((folder / "adapter" / CONFIG_FILE).read_text("utf-8"))
    assert (config["base_model_name_or_path"], config["r"], config["lora_alpha"]) == ("tiny", 4, 8)
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert (config["peft_type"], config["task_type"]) == ("LORA", "CAUSAL_LM")
    for place in (tiny_folder, folder, Path.home(), Path.cwd()):
        assert str(place) not in json.dumps(config)


def test_an_engine_with_the_saved_adapter_says_what_the_tuner_said(
    undisturbed: tuple[Path, Tuned, LoraTuner], tiny_folder: Path, tmp_path: Path
) -> None:
    folder, _, tuner = undisturbed
    questions = [(Message("user", text),) for text in ("abc+", "ab-ccd", "+", "hgf-a")]
    prompts = [tuner.chat.answer_prompt(question).ids for question in questions]
    word = TOKENIZER("Yes", add_special_tokens=False).input_ids[:1]
    examples = [Example((*ids, *word), (*[0.0] * len(ids), 1.0), len(ids), True) for ids in prompts]
    tuned = tuner.answers(examples)
    engine = TransformersEngine(ModelRef(str(tiny_folder)), models_dir=tmp_path, device="cpu")
    base = [answer.p_yes for answer in engine.answer(questions)]
    adapted = engine.adapted("rallrec-123", str(folder / "adapter"))
    assert adapted.model == ModelRef(str(tiny_folder), adapter="rallrec-123")
    np.testing.assert_allclose([answer.p_yes for answer in adapted.answer(questions)], tuned, atol=3e-3)
    assert np.abs(np.subtract(base, tuned)).max() > 0.05, "the adapter is felt"
    assert [answer.p_yes for answer in engine.answer(questions)] == pytest.approx(base), "and only where asked for"
    lm = CausalLM.load(str(tiny_folder), ModelRef("tiny"), "cpu")
    lm.use(str(folder / "adapter"))
    np.testing.assert_allclose([lm.chance(lm.read(ids)[1]).p_yes for ids in prompts], tuned, atol=3e-3)


@pytest.mark.parametrize(("layers", "adapted"), [(0, {0, 1, 2}), (1, {2}), (2, {1, 2}), (3, {0, 1, 2}), (9, {0, 1, 2})])
def test_only_the_last_layers_are_adapted(layers: int, adapted: set[int], tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "deep", layers=3)
    tuner = _tuner(folder, layers=layers, targets=("q_proj", "down_proj"))
    tuner.save(tmp_path / "adapter")
    names = load_file(tmp_path / "adapter" / ADAPTER_FILE)
    assert {int(name.split(".layers.")[1].split(".")[0]) for name in names} == adapted
    assert len(names) == 2 * 2 * len(adapted)


def test_gradients_flow_to_the_adapter_alone(tiny_folder: Path) -> None:
    tuner = _tuner(tiny_folder, dropout=0.0)
    before = {name: value.detach().clone() for name, value in tuner._peft.named_parameters()}
    trained = [value for value in tuner._peft.parameters() if value.requires_grad]
    tuner._step(TRAIN[:8], torch.optim.SGD(trained, lr=0.1))
    for name, value in tuner._peft.named_parameters():
        assert value.requires_grad is ("lora_" in name), name
        assert value.requires_grad or value.grad is None, name
        assert torch.equal(value, before[name]) is ("lora_B" not in name), name  # A moves once B is no longer zero


@pytest.mark.parametrize("base", ["float32", "bfloat16"])
def test_the_weighted_loss_is_that_of_every_token_one_by_one(base: str, tiny_folder: Path) -> None:
    tuner = _tuner(tiny_folder, base=base, dropout=0.0, side_by_side=3)
    some = [replace(one, weights=(0.0, *np.round(np.linspace(0, 2, len(one.ids) - 1), 1))) for one in TRAIN[:7]]
    lost = total = 0.0
    for example in some:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=base == "bfloat16"):
            logits = tuner._inner(torch.tensor([example.ids])).logits[0].float()
        for place in range(1, len(example.ids)):
            lost -= example.weights[place] * float(torch.log_softmax(logits[place - 1], -1)[example.ids[place]])
            total += example.weights[place]
    trained = [value for value in tuner._peft.parameters() if value.requires_grad]
    tolerance = 1e-5 if base == "float32" else 0.02
    assert tuner._read(some, lambda: None)[1] == pytest.approx(lost / total, rel=tolerance)
    tuner._peft.eval()
    assert tuner._step(some, torch.optim.SGD(trained, lr=0.0)) == pytest.approx(lost / total, rel=tolerance)


def test_a_step_does_not_depend_on_how_many_run_side_by_side(tiny_folder: Path) -> None:
    gradients = []
    for count in (1, 3, 8):
        tuner = _tuner(tiny_folder, dropout=0.0, side_by_side=count)
        trained = {name: value for name, value in tuner._peft.named_parameters() if value.requires_grad}
        tuner._step(TRAIN[:8], torch.optim.SGD(trained.values(), lr=0.0))
        gradients.append(torch.cat([value.grad.flatten() for value in trained.values() if value.grad is not None]))
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(gradients[0], gradients[2], rtol=1e-4, atol=1e-7)


def test_answers_are_those_of_the_answer_position_whatever_stands_behind(tiny_folder: Path) -> None:
    tuner = _tuner(tiny_folder)
    writer, prompt = ExampleWriter(tuner.chat, tuner.tokenizer), _prompt(kind="reason")
    rationale = writer.rationale(prompt, "Because.", True, every_answer=True, end=tuner.end)
    short = writer.answer(_prompt(), False, every_answer=True)
    together = tuner.answers([rationale, short])
    for example, logit in zip((rationale, short), together, strict=True):
        with torch.no_grad():
            logits = tuner._inner(torch.tensor([example.ids[: example.answer_at]])).logits[0, -1].double()
        ids = tuner.chat.answer_ids
        expected = tuner.chat.p_yes(dict(zip(ids, logits[ids].tolist(), strict=True)))
        assert logit == pytest.approx(expected, abs=1e-6)


def test_answers_of_a_bfloat16_base_are_read_in_float32(tiny_folder: Path) -> None:
    tuner = _tuner(tiny_folder, base="bfloat16")
    writer = ExampleWriter(tuner.chat, tuner.tokenizer)
    examples = [writer.answer(_prompt(), liked, every_answer=True) for liked in (True, False)]
    head, ids = tuner._inner.get_output_embeddings(), tuner.chat.answer_ids
    rounded, exact = [], []
    for example in examples:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            told = torch.tensor([example.ids[: example.answer_at]])
            state = tuner._inner.base_model(told, use_cache=False).last_hidden_state[0, -1]
        for read, logits in ((rounded, head(state.bfloat16())), (exact, state.float() @ head.weight.float().T)):
            read.append(tuner.chat.p_yes(dict(zip(ids, logits[ids].double().tolist(), strict=True))))
    answers = tuner.answers(examples)
    np.testing.assert_allclose(answers, exact, atol=1e-4)
    assert np.abs(answers - exact).max() < np.abs(np.subtract(rounded, exact)).max() / 3


def test_targets_that_the_model_lacks_are_an_error_that_says_what_to_set(tiny_folder: Path) -> None:
    with pytest.raises(EngineError, match=r"'tiny'.*nothing_proj.*RALLREC_TUNE__TARGETS"):
        _tuner(tiny_folder, targets=("nothing_proj",))


def test_a_model_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"'tiny' could not be loaded.*doctor"):
        _tuner(tmp_path / "nowhere")


@pytest.mark.skipif(torch.cuda.is_available(), reason="only a CPU refuses it")
def test_rounded_weights_are_refused_on_a_cpu(tiny_folder: Path) -> None:
    with pytest.raises(UsageError, match="8bit"):
        _tuner(tiny_folder, base="8bit")
