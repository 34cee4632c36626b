"""Rows over one cache, against the naive way: each row's whole text in one forward pass of its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3NextConfig

from backend.engines import shared_prefix
from backend.engines.causal_lm import CausalLM, answer_batch, plan_batches, shared_length
from backend.engines.shared_prefix import ATTENTION, attend
from tests.backend.engines.tiny import TINY, TinyTokenizer, tiny_lm

TOKENS = st.integers(10, 90)


@pytest.fixture(scope="module")
def tiny() -> CausalLM:
    return tiny_lm(LlamaConfig(**TINY))


@torch.inference_mode()
def _from_scratch(lm: CausalLM, ids: list[int]) -> Tensor:
    logits: Tensor = lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()
    return logits


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_of_any_prompts_that_come_write_and_go_are_as_if_alone(tiny: CausalLM, data: st.DataObject) -> None:
    """``texts`` is the naive side: what each row's text is by now, in the order of the cache's rows."""
    cache, texts, prompts = tiny.new_rows(), [], []
    for _ in range(data.draw(st.integers(2, 7), "steps")):
        action = data.draw(st.sampled_from(["add", "feed", "feed", "remove", "cut"]), "action") if texts else "add"
        row = data.draw(st.integers(0, len(texts) - 1), "row") if texts else 0
        if action == "add":
            prompt = data.draw(st.lists(TOKENS, min_size=1, max_size=9), "prompt")
            count = data.draw(st.integers(1, 3), "rows")
            prefix, logits = tiny.read(prompt)
            torch.testing.assert_close(logits, _from_scratch(tiny, prompt), atol=1e-4, rtol=1e-4)
            cache.add(prefix, count)
            texts += [list(prompt) for _ in range(count)]
            prompts += [len(prompt)] * count
        elif action == "feed":
            fed = [data.draw(st.lists(TOKENS, min_size=1, max_size=3), "tokens") for _ in texts]
            texts = [text + new for text, new in zip(texts, fed, strict=True)]
            for logits_of_row, text in zip(tiny.feed(fed, cache), texts, strict=True):
                torch.testing.assert_close(logits_of_row, _from_scratch(tiny, text), atol=1e-4, rtol=1e-4)
        elif action == "remove":
            cache.remove(row)
            for per_row in (texts, prompts):
                per_row[row] = per_row[-1]
                per_row.pop()
        else:  # what a row has written can be cut back
            kept = data.draw(st.integers(0, cache.written[row]), "kept")
            cache.written[row] = kept
            texts[row] = texts[row][: prompts[row] + kept]


def test_rows_that_grow_past_their_buffer_keep_what_they_wrote(tiny: CausalLM) -> None:
    cache = tiny.new_rows()
    cache.add(tiny.read([11, 12])[0], 2)
    texts = [[11, 12], [11, 12]]
    for step in range(shared_prefix._STEP + 3):
        fed = [[20 + step % 50], [30 + step % 40]]
        texts = [text + new for text, new in zip(texts, fed, strict=True)]
        logits = tiny.feed(fed, cache)
    for logits_of_row, text in zip(logits, texts, strict=True):
        torch.testing.assert_close(logits_of_row, _from_scratch(tiny, text), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_and_its_log_sum_exp_are_those_of_one_softmax(masked: bool) -> None:
    query, keys, values = (torch.randn(2, 3, n, 8) for n in (4, 7, 7))
    mask = torch.zeros(2, 1, 4, 7).masked_fill_(torch.rand(2, 1, 4, 7) < 0.3, float("-inf")) if masked else None
    if mask is not None:
        mask[..., 0] = 0.0
    out, lse = attend(query, keys, values, mask, 0.3)
    scores = (query @ keys.transpose(2, 3)) * 0.3 + (0 if mask is None else mask)
    torch.testing.assert_close(out, scores.softmax(-1) @ values)
    torch.testing.assert_close(lse, scores.logsumexp(-1))


def test_the_way_of_other_devices_gives_the_same(tiny: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU runs, on this machine's processor."""
    query, keys, values = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 8)
    fused = attend(query, keys, values, None, 0.3)

    class Elsewhere(Tensor):
        @property
        def device(self) -> Any:
            return torch.device("meta")

    plain = attend(query.as_subclass(Elsewhere), keys, values, None, 0.3)
    for fused_row, plain_row in zip(fused, plain, strict=True):
        torch.testing.assert_close(fused_row, plain_row.as_subclass(Tensor))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), max_size=12), st.integers(1, 40))
def test_batches_hold_every_prompt_once_within_their_bounds(prompts: list[list[int]], tokens: int) -> None:
    batches = plan_batches(prompts, tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(prompts)))
    for batch in batches:
        together = [prompts[index] for index in batch]
        shared = shared_length(together)
        assert all(prompt[:shared] == together[0][:shared] for prompt in together)
        assert all(len(prompt) > shared for prompt in together)
        fed = [len(prompt) - shared for prompt in together]
        padded = max(fed) * len(fed)
        assert len(batch) == 1 or (padded <= tokens and 4 * (padded - sum(fed)) <= padded)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(20, 22), min_size=1, max_size=8), min_size=1, max_size=6))
def test_prompts_answered_side_by_side_are_answered_as_if_alone(tiny: CausalLM, prompts: list[list[int]]) -> None:
    prompts = sorted(prompts)
    alone = [tiny.chance(_from_scratch(tiny, prompt)).p_yes for prompt in prompts]
    assert [chance.p_yes for chance in answer_batch(tiny, prompts)] == pytest.approx(alone, abs=1e-5)


def test_a_model_with_layers_of_another_kind_answers_too() -> None:
    """Linear attention keeps no keys and values that prompts could share."""
    lm = tiny_lm(Qwen3NextConfig(**TINY, layer_types=["linear_attention", "full_attention"]))
    prompts = [[11, 12, 13], [11, 12, 20, 21]]
    alone = [lm.chance(_from_scratch(lm, prompt)).p_yes for prompt in prompts]
    assert [chance.p_yes for chance in answer_batch(lm, prompts)] == pytest.approx(alone, abs=1e-4)


def test_a_prompt_that_begins_like_the_last_one_reads_only_the_rest(tiny: CausalLM, monkeypatch: Any) -> None:
    fed: list[int] = []
    forward = tiny.forward
    monkeypatch.setattr(tiny, "forward", lambda ids, cache: fed.append(len(ids[0])) or forward(ids, cache))
    for prompt in ([11, 12, 13, 14], [11, 12, 13, 20, 21], [11, 12, 13, 20, 21], [30]):
        logits = tiny.read(prompt)[1]
        torch.testing.assert_close(logits, _from_scratch(tiny, prompt), atol=1e-4, rtol=1e-4)
    assert fed == [4, 2, 1, 1]


def test_a_grouped_query_model_shares_too() -> None:
    config = LlamaConfig(**(TINY | {"num_key_value_heads": 1}))
    torch.manual_seed(0)
    lm = CausalLM(AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval(), TinyTokenizer())
    cache = lm.new_rows()
    cache.add(lm.read([11, 12, 13])[0], 2)
    for logits, last in zip(lm.feed([[14], [15]], cache), (14, 15), strict=True):
        torch.testing.assert_close(logits, _from_scratch(lm, [11, 12, 13, last]), atol=1e-4, rtol=1e-4)
