"""Sentence-embedding models as encoders: a tiny random one, built here and read from its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.engines import create_encoder
from backend.errors import EngineError, Stopped
from backend.types import ModelRef

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heat", "is", "a", "movie", "jaws", "shark", "crime"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """A BERT of two layers over a dozen words, saved as sentence-transformers saves them."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("sentence")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder / "bert")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    words = Transformer(str(folder / "bert"))
    SentenceTransformer(modules=[words, Pooling(16)], device="cpu").save(str(folder / "model"))
    return ModelRef(str(folder / "model"))


def test_texts_become_the_rows_that_the_library_gives(tiny: ModelRef) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["Heat is a crime movie", "Jaws", "a movie"] * 30
    rows = create_encoder("sentence", model=tiny, device="cpu").embed(texts)
    assert rows.dtype == np.float32
    assert rows.shape == (90, 16)
    np.testing.assert_allclose(rows, SentenceTransformer(tiny.name, device="cpu").encode(texts), atol=1e-5)
    assert not np.allclose(rows[0], rows[1])


def test_it_stops_when_asked(tiny: ModelRef) -> None:
    engine = create_encoder("sentence", model=tiny, device="cpu")
    with pytest.raises(Stopped):
        engine.embed(["heat"], stop=lambda: True)


def test_a_model_that_is_not_there_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EngineError, match="could not be loaded"):
        create_encoder("sentence", model=ModelRef(str(tmp_path / "nothing")), device="cpu").load()
