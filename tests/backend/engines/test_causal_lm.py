"""The real model against the naive way: one full forward pass per token, nothing shared, nothing cached."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.engines.base import THINK_OPEN
from backend.engines.causal_lm import CausalLM
from backend.types import Message, Messages, Sampling
from tests.backend.engines.test_decoding import decode, naive_chain

pytestmark = pytest.mark.model
PROMPTS: list[Messages] = [
    (Message("user", f"1. Heat: 5 of 5\nWill the user like {title}? Yes or No."),) for title in ("Ronin", "Saw II")
]
CLOSE = "</think>"


def _ids(lm: CausalLM, text: str) -> list[int]:
    ids: list[int] = lm.tokenizer(text, add_special_tokens=False).input_ids
    return ids


@torch.inference_mode()
def _last_logits(lm: CausalLM, ids: list[int]) -> Tensor:
    logits: Tensor = lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()
    return logits


def test_chains_and_their_readings_equal_those_made_from_scratch(lm: CausalLM) -> None:
    sampling = Sampling(max_tokens=5, seed=3)
    for (number, index), trace in decode(lm, PROMPTS, (0, 4), sampling).items():
        text, finish, p_yes = naive_chain(lm, PROMPTS[number], index, sampling)
        assert (trace.text, trace.finish) == (text, finish)
        assert trace.p_yes == pytest.approx(p_yes, abs=1e-4)


def test_an_answer_is_the_softmax_over_all_spellings_of_yes_and_no(lm: CausalLM) -> None:
    ids = lm.chat.answer_prompt(PROMPTS[0]).ids
    shares = torch.softmax(_last_logits(lm, ids).double(), 0)
    spelt = {word: {_ids(lm, before + word)[-1] for before in ("", " ", "\n")} for word in ("Yes", "No")}
    yes, no = (sum(float(shares[token]) for token in spelt[word]) for word in ("Yes", "No"))
    assert len(spelt["Yes"]) == 2
    chance = lm.chance(lm.read(ids)[1])
    assert chance.p_yes == pytest.approx(yes / (yes + no), abs=1e-5)
    assert chance.mass == pytest.approx(yes + no, abs=1e-5)


def test_an_embedding_is_the_mean_of_the_final_states_over_the_tokens(lm: CausalLM) -> None:
    texts = ["The movie is called Heat (1995).", "Alien", "The movie is called Jaws (1975)."]
    rows = lm.embed(texts, "mean", None, lambda: None)
    for text, row in zip(texts, rows, strict=True):
        with torch.inference_mode():
            states = lm.model(input_ids=torch.tensor([_ids(lm, text)]), output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(torch.tensor(row), states[0].mean(0), atol=1e-4, rtol=1e-4)


def test_the_closing_mark_in_a_prompt_is_left_as_it_is(lm: CausalLM) -> None:
    ids = lm.chat.reason_prompt((Message("user", f"Close with {CLOSE}."),), 5).ids
    text = lm.tokenizer.decode(ids)
    assert f"Close with {CLOSE}." in text
    assert text.endswith(f"assistant\n{THINK_OPEN}")
