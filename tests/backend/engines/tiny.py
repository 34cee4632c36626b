"""Random models of two layers over a hundred tokens: for what does not depend on what a model has learnt."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from backend.engines.causal_lm import CausalLM
from backend.engines.shared_prefix import ATTENTION

TINY: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 128, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip
TEMPLATE = "{% for m in messages %}<s>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"


def TinyTokenizer() -> Any:
    """One token per character, and the marks; every token below 128 can be decoded."""
    words = ["[UNK]", "<s>", "</s>", "<a>", "\n", " ", *map(chr, range(33, 127)), *map(chr, range(161, 189))]
    built = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.Split(Regex(".|\n"), "isolated")
    built.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=built, chat_template=TEMPLATE, eos_token="</s>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<s>", "<a>"]})
    return tokenizer


def tiny_lm(config: Any, seed: int = 0) -> CausalLM:
    """A model of that kind with random weights, spread enough that its choices differ."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.3)
    return CausalLM(model, TinyTokenizer())
