"""Free text, many prompts side by side: what shares a batch, and that a batch writes what each would write alone."""

from __future__ import annotations

import pytest
import torch

from backend.engines.causal_lm import CausalLM
from backend.engines.sampling import draw
from backend.engines.writing import plan_batches, write_batch
from backend.seeding import derive_seed
from backend.types import Message, Messages, Sampling


def test_equal_lengths_go_together_in_batches_of_a_size() -> None:
    assert plan_batches([3, 5, 3, 3, 5, 7], 2) == [[0, 2], [1, 4], [3], [5]]
    assert plan_batches([], 4) == []


def _ask(title: str) -> Messages:
    return (Message("user", f"Describe the movie {title} in one sentence."),)


@torch.inference_mode()
def _alone(lm: CausalLM, prompt: Messages, sampling: Sampling) -> str:
    """The naive way: the whole text is fed again for every token."""
    generator = torch.Generator().manual_seed(derive_seed(sampling.seed, [message.content for message in prompt]))
    ids, written = lm.chat_ids(prompt), []
    for _ in range(sampling.max_tokens):
        logits = lm._model(input_ids=torch.tensor([ids + written]), use_cache=False).logits[:, -1].float()
        [token] = draw(logits, sampling.temperature, sampling.top_p, [generator])
        if token in lm.ends:
            break
        written.append(token)
    return lm.decode(written)


@pytest.fixture(scope="module")
def prompts(lm: CausalLM) -> list[Messages]:
    """Three questions of equal length in tokens."""
    by_length: dict[int, list[Messages]] = {}
    for title in ("Heat", "Jaws", "Alien", "Big", "Speed", "Ghost", "Seven", "Frozen", "Rain Man", "Star Wars"):
        by_length.setdefault(len(lm.chat_ids(_ask(title))), []).append(_ask(title))
    return max(by_length.values(), key=len)[:3]


@pytest.mark.model
def test_a_batch_writes_what_each_prompt_would_alone(lm: CausalLM, prompts: list[Messages]) -> None:
    ids = [lm.chat_ids(prompt) for prompt in prompts]
    assert len(ids) == 3
    sampling = Sampling(max_tokens=14, seed=3)
    texts = write_batch(lm, prompts, ids, sampling, lambda: None)
    assert texts == [_alone(lm, prompt, sampling) for prompt in prompts]


@pytest.mark.model
def test_a_text_that_ends_early_leaves_the_others_as_they_are(
    lm: CausalLM, prompts: list[Messages], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, sampling = [lm.chat_ids(prompt) for prompt in prompts], Sampling(max_tokens=12, seed=3)
    whole = write_batch(lm, prompts, ids, sampling, lambda: None)
    # Make a token that one of them draws early, and the others do not, the end of a text.
    tokens = [lm._tokenizer(text, add_special_tokens=False).input_ids for text in whole]
    early = next(t for t in tokens[1][2:5] if t not in tokens[0] and t not in tokens[2])
    monkeypatch.setattr(lm, "ends", lm.ends | {early})
    shorter = write_batch(lm, prompts, ids, sampling, lambda: None)
    assert (shorter[0], shorter[2]) == (whole[0], whole[2])
    assert len(shorter[1]) < len(whole[1])
    assert whole[1].startswith(shorter[1])
