"""What vLLM is asked and how: one request per sample, streamed, over one prefix cache, with the adapter of the call."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from backend.engines import models
from backend.engines.vllm_engine import VllmEngine
from backend.errors import EngineError, Stopped
from backend.types import Message, Messages, ModelRef, Sampling, Trace

pytestmark = pytest.mark.model
_BLOCK = 32  # tokens per piece of the cache on a CPU


def _question(target: str, films: int = 12) -> Messages:
    lines = "".join(f"{n}. Film number {n} of the {1950 + n}s: {n % 5 + 1} of 5\n" for n in range(films))
    return (Message("user", f"A user rated:\n{lines}Will the user like {target}? Say Yes or No."),)


@pytest.fixture
def question(request: pytest.FixtureRequest) -> Messages:
    """A prompt that nothing has asked before, so that nothing of it is cached."""
    return (Message("system", f"Test {request.node.name}."), *_question("Ronin"))


def test_pieces_are_heard_while_the_chains_are_written(vllm: VllmEngine, question: Messages) -> None:
    heard: list[tuple[str, int]] = []
    vllm.reason(
        [question],
        2,
        Sampling(max_tokens=24),
        on_piece=lambda _n, index, _text: heard.append(("piece", index)),
        on_trace=lambda _n, trace: heard.append(("trace", trace.index)),
    )
    before_any_end = heard[: [what for what, _ in heard].index("trace")]
    assert len(before_any_end) > 10
    assert {index for _, index in before_any_end} == {0, 1}


def test_a_stop_leaves_nothing_running_and_the_engine_works_again(
    vllm: VllmEngine, question: Messages, outputs: list[Any]
) -> None:
    whole = vllm.reason([question], 2, Sampling(max_tokens=12, seed=3))
    outputs.clear()
    with pytest.raises(Stopped):
        vllm.reason([question], 4, Sampling(max_tokens=200, seed=5), stop=lambda: len(outputs) >= 20)
    assert len(outputs) == 20
    assert vllm._shared.loaded is not None
    assert not vllm._shared.loaded.engine.has_unfinished_requests()
    again = vllm.reason([question], 2, Sampling(max_tokens=12, seed=3))
    assert [trace.text for trace in again[0]] == [trace.text for trace in whole[0]]


def test_an_error_of_a_listener_leaves_nothing_running(
    vllm: VllmEngine, question: Messages, outputs: list[Any]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the screen is gone")

    with pytest.raises(RuntimeError, match="the screen is gone"):
        vllm.reason([question], 4, Sampling(max_tokens=200), on_piece=fail)
    assert len(vllm.answer([question])) == 1


def test_the_prompt_is_computed_once_and_the_readings_only_add_their_end(
    vllm: VllmEngine, question: Messages, outputs: list[Any]
) -> None:
    [traces] = vllm.reason([question], 4, Sampling(max_tokens=70, temperature=1.0))
    first: dict[str, Any] = {}
    for output in outputs:
        first.setdefault(output.request_id, output)
    requests = sorted(first.values(), key=lambda output: int(output.request_id.split("-")[1]))
    chains, readings = requests[:4], requests[4:]
    prompt = len(chains[0].prompt_token_ids)
    assert prompt > 4 * _BLOCK
    shared = (prompt - 1) // _BLOCK * _BLOCK
    assert [output.num_cached_tokens for output in chains] == [0, shared, shared, shared]
    assert len(readings) == 4
    for reading in readings:  # of prompt, chain and closing, at most a block and the closing are computed
        assert reading.num_cached_tokens >= len(reading.prompt_token_ids) - 2 * _BLOCK
    assert max(trace.tokens for trace in traces) > _BLOCK
    assert max(reading.num_cached_tokens for reading in readings) > prompt


def test_a_chain_counts_its_tokens_without_the_one_that_ends_it(
    vllm: VllmEngine, question: Messages, outputs: list[Any]
) -> None:
    traces: list[Trace] = []
    vllm.reason([question], 8, Sampling(max_tokens=150), on_trace=lambda _n, trace: traces.append(trace))
    drawn: dict[str, list[int]] = {}
    ends: dict[str, str] = {}
    for output in outputs:
        if output.outputs[0].logprobs is None:
            drawn.setdefault(output.request_id, []).extend(output.outputs[0].token_ids)
            ends[output.request_id] = output.outputs[0].finish_reason
    assert vllm._shared.loaded is not None
    text = vllm._shared.loaded.chat.text
    expected = sorted(
        (text(tokens[:-1] if ends[name] == "stop" else tokens), len(tokens) - (ends[name] == "stop"), ends[name])
        for name, tokens in drawn.items()
    )
    assert sorted((trace.text, trace.tokens, trace.finish) for trace in traces) == expected
    assert {trace.finish for trace in traces} == {"stop", "length"}


def test_probabilities_are_those_of_the_raw_logits_also_beside_hot_chains(
    vllm: VllmEngine, model_ref: ModelRef, models_dir: Path, question: Messages, outputs: list[Any]
) -> None:
    from backend.engines.vllm_requests import AnswerReading, RequestLoop, Text

    assert vllm._shared.loaded is not None
    engine, chat = vllm._shared.loaded.engine, vllm._shared.loaded.chat
    prompt = chat.answer_prompt(question)
    alone, beside = [], []
    RequestLoop(engine).run([AnswerReading(chat, alone.append).request(prompt.ids)], lambda: None)
    hot = Text(chat, prompt, Sampling(temperature=2.0, top_p=0.5, max_tokens=3), 7)
    RequestLoop(engine).run([hot.request(), AnswerReading(chat, beside.append).request(prompt.ids)], lambda: None)

    model = AutoModelForCausalLM.from_pretrained(models.fetch(model_ref, models_dir), dtype=torch.float32)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt.ids]), use_cache=False).logits[0, -1].double()
    everything = logits.log_softmax(-1)
    logprobs = outputs[0].outputs[0].logprobs[0]
    for token in chat.answer_ids:
        assert logprobs[token].logprob == pytest.approx(float(everything[token]), abs=2e-3)
    yes, no = (float(logits[list(tokens)].exp().sum()) for tokens in (chat.yes, chat.no))
    assert alone[0].p_yes == pytest.approx(yes / (yes + no), abs=1e-4)
    assert beside[0].p_yes == pytest.approx(alone[0].p_yes, abs=1e-5)


def test_the_same_adapter_given_from_the_start_answers_alike(
    vllm: VllmEngine, adapters: tuple[str, str], question: Messages
) -> None:
    stages: list[str] = []
    adapted = vllm.adapted(adapters[0])
    adapted.load(lambda what, _fraction: stages.append(what))
    assert stages == []  # the base model is loaded
    assert vllm._shared.loaded is not None
    assert vllm._shared.loaded.adapter(adapters[0]) is vllm._shared.loaded.adapter(adapters[0])
    assert adapted.answer([question]) != vllm.answer([question])


def test_more_prompts_than_run_side_by_side_are_all_answered(vllm: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vllm._shared.loaded is not None
    scheduler = vllm._shared.loaded.engine.vllm_config.scheduler_config
    prompts = [_question(f"Film {n}", films=2) for n in range(7)]
    wide = vllm.answer(prompts)
    monkeypatch.setattr(scheduler, "max_num_seqs", 2)
    narrow = vllm.answer(prompts)
    assert [a.p_yes for a in narrow] == pytest.approx([a.p_yes for a in wide], abs=1e-6)
    assert len({a.p_yes for a in wide}) == 7


def test_a_plan_cuts_by_position(vllm: VllmEngine) -> None:
    plan = vllm.plan([_question("Heat")] * 600)
    assert [len(part) for part in plan] == [256, 256, 88]
    assert [number for part in plan for number in part] == list(range(600))


def test_too_hot_a_chain_is_refused_in_plain_words(vllm: VllmEngine, question: Messages) -> None:
    with pytest.raises(EngineError, match="temperature of at most 2"):
        vllm.reason([question], 1, Sampling(temperature=3.0, max_tokens=4))
    assert math.isfinite(vllm.answer([question])[0].p_yes)
