"""Tokenizers are tried out when they are loaded: what loses a text's spaces is loaded right, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers import models as kinds
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from backend.engines import create_engine, models
from backend.engines.tokenizers import check_words_apart, load_tokenizer
from backend.errors import EngineError
from backend.training.config import LoraSettings
from backend.training.lora import LoraTuner
from backend.types import Message, ModelRef

TEXT = "The user liked Toy Story.\n\n  Amélie 千と千尋\tOK"


@pytest.fixture
def misnamed(model_ref: ModelRef, models_dir: Path, tmp_path: Path) -> Path:
    """The small model with a byte-level tokenizer that is called another class, as some published ones are."""
    source = Path(models.fetch(model_ref, models_dir))
    for file in source.iterdir():
        if file.suffix == ".safetensors":
            (tmp_path / file.name).symlink_to(file)
        else:
            shutil.copy(file, tmp_path)
    config = json.loads((source / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "LlamaTokenizerFast"}))
    return tmp_path


@pytest.mark.model
def test_a_tokenizer_that_is_called_another_class_is_loaded_as_what_it_is(misnamed: Path) -> None:
    as_told = AutoTokenizer.from_pretrained(misnamed)
    assert " " not in as_told.decode(as_told(TEXT, add_special_tokens=False).input_ids), "no such fault any more"
    tokenizer = load_tokenizer(str(misnamed), "small")
    assert tokenizer.decode(tokenizer(TEXT, add_special_tokens=False).input_ids) == TEXT
    assert tokenizer.chat_template


@pytest.mark.model
def test_engine_and_training_read_with_it(misnamed: Path, models_dir: Path) -> None:
    engine: Any = create_engine("transformers", model=ModelRef(str(misnamed)), models_dir=models_dir, device="cpu")
    lm = engine._lm(None)
    assert TEXT in lm.tokenizer.decode(lm.chat.answer_prompt((Message("user", TEXT),)).ids)
    tuner = LoraTuner(str(misnamed), "small", LoraSettings(layers=1), seed=0, device="cpu")
    assert TEXT in tuner.tokenizer.decode(tuner.chat.answer_prompt((Message("user", TEXT),)).ids)


def _saved(folder: Path, pattern: str, known: str = "é") -> str:
    """A tokenizer of characters, ``known`` among them, that loses what matches ``pattern``."""
    characters = {
        character: number
        for number, character in enumerate(dict.fromkeys(f"\n {known}" + "".join(map(chr, range(33, 127)))))
    }
    built = Tokenizer(kinds.WordLevel(characters | {"[UNK]": 200}, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "removed"), pre_tokenizers.Split(Regex(".|\n"), "isolated")]
    )
    built.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=built).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("lost", [" ", "\n", "é"])
def test_a_tokenizer_that_loses_something_is_refused_with_what_it_made_of_it(tmp_path: Path, lost: str) -> None:
    with pytest.raises(EngineError, match=r"does not give back what it was given.*came back as.*tokenizer_class"):
        load_tokenizer(_saved(tmp_path, lost), "small")


@pytest.mark.parametrize("known", ["é", ""])
def test_a_tokenizer_that_gives_back_all_that_it_knows_is_taken(tmp_path: Path, known: str) -> None:
    assert load_tokenizer(_saved(tmp_path, "\u2602", known), "small")


def test_one_that_encodes_texts_alone_must_keep_words_apart_and_no_more(tmp_path: Path) -> None:
    check_words_apart(load_tokenizer(_saved(tmp_path, "\u2602"), "small"), "small")
    check_words_apart(PreTrainedTokenizerFast.from_pretrained(_saved(tmp_path, "\n")), "small")
    with pytest.raises(EngineError, match="runs words together: 'the user liked two films' became 'theuser"):
        check_words_apart(PreTrainedTokenizerFast.from_pretrained(_saved(tmp_path, " ")), "small")
