"""Models of a few thousand weights, in folders as programs load them, and tokenizers with the two kinds of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from backend.datasets import DatasetMeta, LabelRule
from backend.training.config import LoraSettings
from backend.training.examples import Example
from tests.backend.engines.tiny import TEMPLATE, TINY, TinyTokenizer

META = DatasetMeta(
    name="films", title="Films", item_noun="film", item_noun_plural="films", verb_past="saw", rating_min=0.5,
    rating_max=5, rating_unit="points", label_rule=LabelRule(threshold=3), time_ordered=True, licence="none",
    source_hash="0",
)  # fmt: skip
# What the tiny models learn here in a second or two.
QUICK = LoraSettings(
    rank=4, lora_alpha=8, dropout=0.1, learning_rate=0.02, epochs=3, batch_size=8, side_by_side=4, base="float32",
    rounds=4, patience=9,
)  # fmt: skip


def BytesTokenizer() -> Any:
    """Bytes and what is often written: the answers are one token each, a letter beyond ASCII is two or more."""
    often = ["Yes", "No", ". Liked: Yes, 4", ". Liked: No, 2.5", "Others: 3.4", "Answer with one word, Yes or No."]
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["</s>", "<s>", "<a>"], initial_alphabet=alphabet, show_progress=False
    )
    built.train_from_iterator(often * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=built, chat_template=TEMPLATE, eos_token="</s>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<s>", "<a>"]})
    return tokenizer


def save_tiny(folder: Path, layers: int = 2, seed: int = 0) -> Path:
    """A random Llama over single characters, spread enough that its answers differ."""
    torch.manual_seed(seed)
    config = LlamaConfig(**TINY | {"num_hidden_layers": layers, "tie_word_embeddings": True})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.2)
    model.save_pretrained(folder)
    TinyTokenizer().save_pretrained(folder)
    return folder


def signs(tokenizer: Any, count: int, seed: int = 0) -> list[Example]:
    """Something to learn: the answer is Yes where a plus stands among letters, No where a minus does.

    One more letter of each has a weight, as in-history answers do.
    """
    draw = np.random.default_rng(seed)
    yes, no = (tokenizer(word, add_special_tokens=False).input_ids[:1] for word in ("Yes", "No"))
    made = []
    for _ in range(count):
        length, place, label = (int(draw.integers(low, high)) for low, high in ((6, 14), (1, 5), (0, 2)))
        letters = [str(letter) for letter in draw.choice(list("abcdefgh"), length)]
        letters[place] = "+" if label else "-"
        ids = tokenizer("".join(letters) + "=", add_special_tokens=False).input_ids
        weights = [0.0] * len(ids)
        weights[place] = 0.5
        made.append(Example((*ids, *(yes if label else no)), (*weights, 2.0), len(ids), bool(label)))
    return made
