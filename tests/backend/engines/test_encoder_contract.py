"""The contract of encoders; the sentence-embedding one has its own file, since it pools as it was trained to."""

from __future__ import annotations

import numpy as np
import pytest

from backend.engines import ENCODERS, Encoder, create_encoder
from backend.errors import Stopped, UnknownNameError


@pytest.fixture(params=["scripted", pytest.param("transformers", marks=pytest.mark.model)])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "scripted":
        return create_encoder("scripted")
    real: Encoder = request.getfixturevalue("real_engine")
    return real


def test_an_encoder_is_one(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    assert encoder.name in ENCODERS


def test_embedding_stops_when_asked_and_nothing_gives_no_rows(encoder: Encoder) -> None:
    with pytest.raises(Stopped):
        encoder.embed(["a film"], stop=lambda: True)
    assert encoder.embed([]).shape == (0, encoder.embed(["x"]).shape[1])


def test_embeddings_are_float32_rows_that_depend_on_their_text_alone(encoder: Encoder) -> None:
    texts = [
        "Heat (1995)",
        "Alien (1979)",
        "",
        "千と千尋の神隠し",
        "Heat (1995)",
        "A much longer title than the others",
    ]
    rows = encoder.embed(texts)
    assert rows.dtype == np.float32
    assert rows.shape[0] == len(texts)
    assert np.isfinite(rows).all()
    assert np.array_equal(rows, encoder.embed(texts))
    np.testing.assert_allclose(rows, np.concatenate([encoder.embed([text]) for text in texts]), atol=1e-4)
    np.testing.assert_allclose(rows[::-1], encoder.embed(texts[::-1]), atol=1e-4)
    assert np.abs(rows[0] - rows[1]).max() > 0.01


def test_a_state_can_be_the_mean_or_the_last_of_a_text(encoder: Encoder) -> None:
    texts = ["A quiet tale of rivals", "of rivals"]
    mean, last = encoder.embed(texts), encoder.embed(texts, pooling="last")
    assert mean.shape == last.shape
    assert not np.allclose(mean, last)
    np.testing.assert_allclose(encoder.embed(["the"]), encoder.embed(["the"], pooling="last"), atol=1e-5)
    with pytest.raises(UnknownNameError, match="last, mean"):
        encoder.embed(texts, pooling="first")
