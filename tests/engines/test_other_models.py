"""Small random models of other kinds: layers with windows and none, and tokenizers that cannot answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3NextConfig,
)

from backend.engines.base import THINK_OPEN
from backend.engines.causal_lm import CausalLM, _Chain
from backend.engines.shared_prefix import ATTENTION, supports_shared_prefix
from backend.types import Message, Messages, Sampling

TINY: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 49152, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip
PROMPT: Messages = (Message("user", "1. Heat: 5 of 5\nWill the user like Ronin?"),)


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


def _tiny(config: Any, tokenizer: Any) -> CausalLM:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    return CausalLM(model, tokenizer)


@torch.inference_mode()
def _from_scratch(lm: CausalLM, ids: list[int]) -> float:
    return lm.p_yes(lm._model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float())


@pytest.mark.model
@pytest.mark.parametrize("config", [LlamaConfig(**TINY), MistralConfig(**TINY, sliding_window=8)])
def test_a_closed_chain_is_read_right_in_and_beyond_a_sliding_window(lm: CausalLM, config: Any) -> None:
    tiny = _tiny(config, lm._tokenizer)
    encode = lm._tokenizer
    prompt = tiny.chat_ids(PROMPT, THINK_OPEN)
    thinking = encode("They do.\n</think>", add_special_tokens=False).input_ids
    tokens = thinking + encode("\n\nNo, not at all, never", add_special_tokens=False).input_ids
    with torch.inference_mode():
        cache = tiny._fan_out(prompt, 2, 40)[0]
        for token in tokens[:-1]:
            tiny.forward([[token + 1], [token]], cache)
        found = tiny._read_after(_Chain(0, torch.Generator(), tokens), cache, 1)
    before_answer = encode("\n\nYes", add_special_tokens=False).input_ids[:-1]
    assert found == pytest.approx(_from_scratch(tiny, prompt + thinking + before_answer), abs=1e-5)


@pytest.mark.model
def test_chains_of_a_model_with_a_sliding_window_do_not_depend_on_each_other(lm: CausalLM) -> None:
    tiny = _tiny(MistralConfig(**TINY, sliding_window=8), lm._tokenizer)

    def draw(indices: list[int]) -> dict[int, tuple[str, float]]:
        sampling = Sampling(max_tokens=12)
        traces = tiny.sample_chains(PROMPT, indices, sampling, on_piece=None, on_trace=None, stop=lambda: None)
        return {trace.index: (trace.text, round(trace.p_yes, 5)) for trace in traces}

    together = draw([0, 1, 2])
    assert draw([1]) == {1: together[1]}
    assert len({text for text, _ in together.values()}) == 3
