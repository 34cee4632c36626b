"""The one contract that every engine passes, the real model included."""

from __future__ import annotations

import numpy as np
import pytest

from backend.engines import ENGINES, Engine, create_engine
from backend.errors import Stopped, UnknownNameError
from backend.types import Message, Messages, Sampling, Trace

SHORT = Sampling(max_tokens=10)
# Eighty tokens each for the real model, so that the suite stays quick.
PROMPTS: list[Messages] = [
    (
        Message(
            "user", f"A user rated:\n1. {one}: 5 of 5\n2. {two}: 1 of 5\nWill the user like {target}? Say Yes or No."
        ),
    )
    for one, two, target in (("Heat", "Cats", "Ronin"), ("Shrek", "Jaws", "Saw"), ("Alien", "Big", "Brazil"))
]


def _texts(chains: list[Trace]) -> list[str]:
    return [chain.text for chain in chains]


def test_an_engine_is_one(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    assert engine.name in ENGINES
    assert engine.model.name


def test_loading_twice_is_loading_once(engine: Engine) -> None:
    engine.load()
    before = engine.answer(PROMPTS[:1])[0].p_yes
    stages: list[str] = []
    engine.load(lambda what, _fraction: stages.append(what))
    assert stages == []
    assert engine.answer(PROMPTS[:1])[0].p_yes == before


def test_answers_are_probabilities_in_the_order_of_the_prompts_whatever_the_company(engine: Engine) -> None:
    together = engine.answer(PROMPTS)
    assert all(0 <= answer.p_yes <= 1 and answer.prompt_tokens > 0 and answer.seconds >= 0 for answer in together)
    assert len({answer.p_yes for answer in together}) == len(PROMPTS)
    alone = [engine.answer([prompt])[0] for prompt in PROMPTS]
    backwards = engine.answer(PROMPTS[::-1])[::-1]
    assert [a.p_yes for a in alone] == [a.p_yes for a in backwards] == [a.p_yes for a in together]
    assert [a.prompt_tokens for a in alone] == [a.prompt_tokens for a in together]


def test_progress_of_answers_grows_to_one(engine: Engine) -> None:
    fractions: list[float | None] = []
    engine.answer(PROMPTS, progress=lambda _what, fraction: fractions.append(fraction))
    known = [fraction for fraction in fractions if fraction is not None]
    assert known == sorted(known)
    assert known[-1] == 1.0


def test_chains_have_their_index_their_length_and_a_probability(engine: Engine) -> None:
    for chains in engine.reason(PROMPTS[:2], 3, SHORT):
        assert [chain.index for chain in chains] == [0, 1, 2]
        for chain in chains:
            assert 0 <= chain.p_yes <= 1
            assert 0 <= chain.tokens <= SHORT.max_tokens
            assert chain.seconds >= 0
            assert chain.finish == "length" or chain.tokens < SHORT.max_tokens
            assert "<think>" not in chain.text


@pytest.mark.parametrize("limit", [1, 3])
def test_a_chain_stops_at_the_token_limit(engine: Engine, limit: int) -> None:
    [chains] = engine.reason(PROMPTS[:1], 2, Sampling(max_tokens=limit))
    assert [(chain.tokens, chain.finish) for chain in chains] == [(limit, "length")] * 2


def test_the_same_seed_gives_the_same_chains_and_another_seed_others(engine: Engine) -> None:
    draws = [engine.reason(PROMPTS[:1], 3, Sampling(max_tokens=16, seed=seed))[0] for seed in (1, 1, 2)]
    assert _texts(draws[0]) == _texts(draws[1])
    assert [c.p_yes for c in draws[0]] == pytest.approx([c.p_yes for c in draws[1]], abs=1e-6)
    assert _texts(draws[0]) != _texts(draws[2])


def test_samples_and_prompts_have_streams_of_their_own(engine: Engine) -> None:
    one, other = engine.reason(PROMPTS[:2], 6, Sampling(max_tokens=20, temperature=1.0))
    assert len(set(_texts(one))) > 1
    assert len(set(_texts(other))) > 1
    assert set(_texts(one)).isdisjoint(_texts(other))


def test_a_sample_is_the_same_drawn_alone_or_beside_others(engine: Engine) -> None:
    sampling = Sampling(max_tokens=16, seed=4)
    [alone] = engine.reason(PROMPTS[:1], [2], sampling)
    [backwards] = engine.reason(PROMPTS[:1], [2, 0], sampling)
    together = engine.reason(PROMPTS[:2], 4, sampling)[0]
    assert [chain.index for chain in backwards] == [2, 0]
    assert alone[0].text == backwards[0].text == together[2].text
    assert backwards[1].text == together[0].text
    # Matrix products over other numbers of rows round otherwise in the last digits.
    assert alone[0].p_yes == pytest.approx(together[2].p_yes, abs=1e-4)


def test_pieces_join_to_the_chains_and_each_chain_is_handed_over_once(engine: Engine) -> None:
    pieces: dict[tuple[int, int], str] = {}
    handed: list[tuple[int, Trace]] = []

    def on_piece(prompt: int, index: int, text: str) -> None:
        assert text
        assert all((prompt, index) != (number, trace.index) for number, trace in handed), "a piece after the end"
        pieces[prompt, index] = pieces.get((prompt, index), "") + text

    returned = engine.reason(
        PROMPTS[:2], [5, 1], SHORT, on_piece=on_piece, on_trace=lambda number, trace: handed.append((number, trace))
    )
    assert pieces == {(n, chain.index): chain.text for n, chains in enumerate(returned) for chain in chains}
    assert sorted((n, trace.index) for n, trace in handed) == [(0, 1), (0, 5), (1, 1), (1, 5)]
    assert all(trace in returned[number] for number, trace in handed)


def test_stop_raises_and_what_had_finished_was_handed_over(engine: Engine) -> None:
    handed: list[tuple[int, Trace]] = []
    # The chains of the first prompt have all ended when the second is stopped.
    with pytest.raises(Stopped):
        engine.reason(
            PROMPTS[:2], 2, SHORT, on_trace=lambda n, trace: handed.append((n, trace)), stop=lambda: len(handed) >= 2
        )
    assert sorted((number, trace.index) for number, trace in handed) == [(0, 0), (0, 1)]
    whole = {trace.index: trace.text for trace in engine.reason(PROMPTS[:1], 2, SHORT)[0]}
    assert {trace.index: trace.text for _, trace in handed} == whole


def test_stop_is_polled_by_every_method(engine: Engine) -> None:
    for call in (
        lambda: engine.answer(PROMPTS, stop=lambda: True),
        lambda: engine.reason(PROMPTS, 1, SHORT, stop=lambda: True),
        lambda: engine.embed(["a film"], stop=lambda: True),
    ):
        with pytest.raises(Stopped):
            call()


def test_an_engine_works_again_after_a_stop(engine: Engine) -> None:
    before = engine.reason(PROMPTS[:1], 1, SHORT)[0][0].text
    polls = iter([False, False, False, True])
    with pytest.raises(Stopped):
        engine.reason(PROMPTS[1:2], 2, Sampling(max_tokens=50, seed=9), stop=lambda: next(polls, True))
    assert engine.reason(PROMPTS[:1], 1, SHORT)[0][0].text == before


def test_nothing_asked_is_nothing_answered(engine: Engine) -> None:
    assert engine.answer([]) == []
    assert engine.reason([], 3, SHORT) == []
    assert engine.reason(PROMPTS[:1], 0, SHORT) == [[]]
    assert engine.embed([]).shape == (0, engine.embed(["x"]).shape[1])


def test_prompts_of_any_script_are_answered(engine: Engine) -> None:
    odd: list[Messages] = [(Message("user", text),) for text in ("千と千尋の神隠し 🎬?", "\u202eمرحبا\u200d", " ")]
    assert all(0 <= answer.p_yes <= 1 for answer in engine.answer(odd))
    pieces: list[str] = []
    [[chain]] = engine.reason(odd[:1], 1, SHORT, on_piece=lambda _n, _i, text: pieces.append(text))
    assert "".join(pieces) == chain.text


def test_embeddings_are_float32_rows_that_depend_on_their_text_alone(engine: Engine) -> None:
    texts = [
        "Heat (1995)",
        "Alien (1979)",
        "",
        "千と千尋の神隠し",
        "Heat (1995)",
        "A much longer title than the others",
    ]
    rows = engine.embed(texts)
    assert rows.dtype == np.float32
    assert rows.shape[0] == len(texts)
    assert np.isfinite(rows).all()
    assert np.array_equal(rows, engine.embed(texts))
    np.testing.assert_allclose(rows, np.concatenate([engine.embed([text]) for text in texts]), atol=1e-4)
    np.testing.assert_allclose(rows[::-1], engine.embed(texts[::-1]), atol=1e-4)
    assert np.abs(rows[0] - rows[1]).max() > 0.01


def test_an_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'vlm'.*scripted, sentence, transformers"):
        create_engine("vlm")


def test_a_plan_names_every_prompt_once_and_depends_on_nothing_else(engine: Engine) -> None:
    prompts = PROMPTS * 3
    plan = engine.plan(prompts)
    assert sorted(i for part in plan for i in part) == list(range(len(prompts)))
    assert engine.plan(prompts) == plan
    assert engine.plan([]) == []


def test_texts_are_written_in_the_order_of_the_prompts_from_streams_of_their_own(engine: Engine) -> None:
    sampling = Sampling(max_tokens=12, temperature=1.0)
    one, other = (
        engine.write(PROMPTS, sampling),
        engine.write(PROMPTS, Sampling(max_tokens=12, temperature=1.0, seed=9)),
    )
    assert len(one) == len(PROMPTS)
    assert len(set(one)) == len(PROMPTS)
    assert engine.write(PROMPTS, sampling) == one
    assert one != other
    assert engine.write([], sampling) == []


def test_a_text_is_the_same_whatever_stands_beside_it(engine: Engine) -> None:
    sampling = Sampling(max_tokens=10)
    assert [engine.write([prompt], sampling)[0] for prompt in PROMPTS] == engine.write(PROMPTS, sampling)


def test_writing_stops_when_asked(engine: Engine) -> None:
    with pytest.raises(Stopped):
        engine.write(PROMPTS, SHORT, stop=lambda: True)


def test_a_state_can_be_the_mean_or_the_last_of_a_text(engine: Engine) -> None:
    texts = ["A quiet tale of rivals", "of rivals"]
    mean, last = engine.embed(texts), engine.embed(texts, pooling="last")
    assert mean.shape == last.shape
    assert not np.allclose(mean, last)
    np.testing.assert_allclose(engine.embed(["the"]), engine.embed(["the"], pooling="last"), atol=1e-5)
    with pytest.raises(UnknownNameError, match="last, mean"):
        engine.embed(texts, pooling="first")
