"""Chains and texts of many prompts side by side, against one after the other, every token from scratch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3NextConfig,
)

from backend.engines.causal_lm import CausalLM
from backend.engines.decoding import Decoder, RowGroup, draw
from backend.engines.shared_prefix import supports_shared_prefix
from backend.errors import Stopped
from backend.seeding import derive_seed
from backend.types import Message, Messages, Sampling, Trace
from tests.backend.engines.tiny import TINY, tiny_lm

SAMPLING = Sampling(temperature=1.0, max_tokens=9, seed=3)
PROMPTS: list[Messages] = [(Message("user", text),) for text in ("Heat? Yes.", "Ronin", "Alien and Heat, no?", "X")]
KINDS = [LlamaConfig(**TINY), MistralConfig(**TINY, sliding_window=8)]


@pytest.fixture(scope="module", params=KINDS, ids=["shared", "window"])
def tiny(request: pytest.FixtureRequest) -> CausalLM:
    return tiny_lm(request.param)


@pytest.mark.parametrize(
    ("config", "supported"),
    [
        (LlamaConfig(**TINY), True),
        (MistralConfig(**TINY, sliding_window=None), True),
        (MistralConfig(**TINY, sliding_window=16), False),
        (Phi3Config(**TINY, sliding_window=16), False),
        (Qwen2Config(**TINY), True),
        (Qwen2Config(**TINY, use_sliding_window=True, max_window_layers=1, sliding_window=16), False),
        (Gemma3TextConfig(**TINY), False),
        (Qwen3NextConfig(**TINY), False),
    ],
)
def test_only_layers_that_see_the_whole_context_share_a_prefix(config: Any, supported: bool) -> None:
    assert supports_shared_prefix(config) is supported


@torch.inference_mode()
def _logits(lm: CausalLM, ids: list[int]) -> Tensor:
    logits: Tensor = lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()
    return logits


def naive_chain(
    lm: CausalLM, messages: Messages, index: int | None, sampling: Sampling
) -> tuple[str, str, float | None]:
    """The text of a chain (or, without an index, of a text), how it ended, and P(yes) after it where it is a chain."""
    words = [message.content for message in messages]
    named = [words] if index is None else [words, index]
    generator = torch.Generator().manual_seed(derive_seed(sampling.seed, *named))
    chat = lm.chat
    prompt = chat.write_prompt(messages, 1).ids if index is None else chat.reason_prompt(messages, 1).ids
    tokens: list[int] = []
    finish = "length"
    while len(tokens) < sampling.max_tokens:
        [token] = draw(_logits(lm, prompt + tokens)[None], sampling.temperature, sampling.top_p, [generator])
        if token in lm.ends:
            finish = "stop"
            break
        tokens.append(token)
    if index is not None and not chat.text(tokens).strip():
        return chat.text(tokens), "empty", None
    kept, closing = chat.before_reading(tokens)
    return chat.text(tokens), finish, lm.chance(_logits(lm, prompt + tokens[:kept] + closing)).p_yes


def decode(lm: CausalLM, prompts: list[Messages], samples: tuple[int, ...], sampling: Sampling, **more: Any) -> Any:
    groups = [RowGroup(n, p, lm.chat.reason_prompt(p, sampling.max_tokens), samples) for n, p in enumerate(prompts)]
    traces: dict[tuple[int, int], Trace] = {}
    stop: Callable[[], None] = more.pop("stop", lambda: None)

    def keep(number: int, trace: Trace) -> None:
        assert (number, trace.index) not in traces
        traces[number, trace.index] = trace

    Decoder(lm, sampling, stop).run(groups, on_trace=keep, **more)
    return traces


@pytest.mark.parametrize("rows", [2, 5, 96])
def test_chains_of_many_prompts_are_those_made_from_scratch(
    tiny: CausalLM, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows there is room for: with little, prompts come in as others' chains end."""
    monkeypatch.setattr(tiny, "rows", rows)
    traces = decode(tiny, PROMPTS, (0, 3, 1), SAMPLING)
    assert sorted(traces) == [(n, i) for n in range(4) for i in (0, 1, 3)]
    finishes = set()
    for (number, index), trace in traces.items():
        text, finish, p_yes = naive_chain(tiny, PROMPTS[number], index, SAMPLING)
        assert (trace.text, trace.finish, trace.p_yes) == (text, finish, p_yes and pytest.approx(p_yes, abs=1e-4))
        finishes.add(finish)


def test_a_chain_that_ends_early_leaves_the_others_as_they_are(tiny: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the token that ends it is its first."""
    whole = decode(tiny, PROMPTS[:2], (0, 1, 2), SAMPLING)
    ends = {tiny.tokenizer(trace.text[:1], add_special_tokens=False).input_ids[0] for trace in list(whole.values())[:2]}
    monkeypatch.setattr(tiny, "ends", tiny.ends | ends)
    traces = decode(tiny, PROMPTS[:2], (0, 1, 2), SAMPLING)
    assert any(trace.finish == "empty" and trace.tokens == 0 for trace in traces.values())
    for (number, index), trace in traces.items():
        text, finish, p_yes = naive_chain(tiny, PROMPTS[number], index, SAMPLING)
        assert (trace.text, trace.finish, trace.p_yes) == (text, finish, p_yes and pytest.approx(p_yes, abs=1e-4))


@pytest.mark.parametrize("beyond", [0, 1, 4])
def test_a_chain_that_closed_its_thinking_is_read_right_after_the_mark(
    tiny: CausalLM, beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tokens came after ``</think>``: what is drawn is made to be a text that closes."""
    said = "They.</think>" + "No, no"[:beyond]
    script = tiny.tokenizer(said, add_special_tokens=False).input_ids
    places: dict[int, int] = {}

    def scripted(logits: Tensor, _temperature: float, _top_p: float, generators: list[torch.Generator]) -> list[int]:
        chosen = []
        for generator in generators:
            place = places.get(id(generator), 0)
            places[id(generator)] = place + 1
            chosen.append(script[place] if place < len(script) else 2)
        return chosen

    monkeypatch.setattr("backend.engines.decoding.draw", scripted)
    traces = decode(tiny, PROMPTS[:2], (0, 1), Sampling(max_tokens=40))
    for (number, _), trace in traces.items():
        prompt = tiny.chat.reason_prompt(PROMPTS[number], 40).ids
        closed = tiny.tokenizer("They.</think>\n\n", add_special_tokens=False).input_ids
        assert (trace.text, trace.finish, trace.tokens) == (said, "stop", len(script))
        assert trace.p_yes == pytest.approx(tiny.chance(_logits(tiny, prompt + closed)).p_yes, abs=1e-4)


def test_texts_are_those_made_from_scratch(tiny: CausalLM) -> None:
    texts: dict[int, str] = {}
    groups = [RowGroup(n, p, tiny.chat.write_prompt(p, SAMPLING.max_tokens), (None,)) for n, p in enumerate(PROMPTS)]
    Decoder(tiny, SAMPLING, lambda: None).run(groups, on_text=texts.__setitem__)
    assert texts == {n: naive_chain(tiny, p, None, SAMPLING)[0] for n, p in enumerate(PROMPTS)}


def test_pieces_come_as_they_are_written_and_join_to_the_text(tiny: CausalLM) -> None:
    pieces: dict[tuple[int, int], list[str]] = {}
    traces = decode(
        tiny, PROMPTS, (0, 1), SAMPLING, on_piece=lambda n, i, text: pieces.setdefault((n, i), []).append(text)
    )
    assert {key: "".join(parts) for key, parts in pieces.items()} == {k: t.text for k, t in traces.items() if t.text}
    assert max(map(len, pieces.values())) > 3


def test_it_stops_between_steps(tiny: CausalLM) -> None:
    polls = iter(range(100))

    def stop() -> None:
        if next(polls) > 4:
            raise Stopped

    with pytest.raises(Stopped):
        decode(tiny, PROMPTS, (0, 1), SAMPLING, stop=stop)
    assert next(polls) < 8
