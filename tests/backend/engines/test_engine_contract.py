"""The one contract that every engine passes, the real model included."""

from __future__ import annotations

import time

import pytest

from backend.engines import ENGINES, Engine, create_encoder, create_engine
from backend.engines.chat import without_oldest
from backend.errors import EngineError, PartialError, Stopped, UnknownNameError, UsageError
from backend.types import Answer, Message, Messages, Sampling, Trace
from tests.backend.engines.conftest import CONTEXT, ask

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


# Matrix products over other numbers of rows round otherwise in the last digits.
CLOSE = 1e-3


def _texts(chains: list[Trace]) -> list[str]:
    return [chain.text for chain in chains]


def _p(answers: list[Answer]) -> list[float]:
    return [answer.p_yes for answer in answers]


def _long_prompt(lines: int) -> Messages:
    """A history of many lines, each of which may be left out; the last line stands first in time."""
    text, spans = "A user rated:\n", []
    for number in range(lines):
        line = f"{number + 1}. The long and winding film number {number}: {number % 5 + 1} of 5 stars\n"
        spans.append((len(text), len(text) + len(line)))
        text += line
    return (Message("user", f"{text}Will the user like Ronin? Say Yes or No.", tuple(reversed(spans))),)


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
    assert engine.answer(PROMPTS[:1])[0].p_yes == pytest.approx(before, abs=CLOSE)


def test_answers_are_probabilities_in_the_order_of_the_prompts_whatever_the_company(engine: Engine) -> None:
    together = engine.answer(PROMPTS)
    assert all(0 <= answer.p_yes <= 1 and answer.prompt_tokens > 0 and answer.seconds >= 0 for answer in together)
    assert all(answer.mass is not None and 0 < answer.mass <= 1 for answer in together)
    assert len({answer.p_yes for answer in together}) == len(PROMPTS)
    alone = [engine.answer([prompt])[0] for prompt in PROMPTS]
    backwards = engine.answer(PROMPTS[::-1])[::-1]
    assert _p(alone) == pytest.approx(_p(together), abs=CLOSE)
    assert _p(backwards) == pytest.approx(_p(together), abs=CLOSE)
    assert [a.prompt_tokens for a in alone] == [a.prompt_tokens for a in together]


def test_progress_of_answers_grows_to_one(engine: Engine) -> None:
    fractions: list[float | None] = []
    engine.answer(PROMPTS, progress=lambda _what, fraction: fractions.append(fraction))
    known = [fraction for fraction in fractions if fraction is not None]
    assert known == sorted(known)
    assert known[-1] == 1.0


def test_each_answer_is_handed_over_once_as_it_is_returned(engine: Engine) -> None:
    handed: dict[int, Answer] = {}

    def on_answer(number: int, answer: Answer) -> None:
        assert number not in handed
        handed[number] = answer

    returned = engine.answer([*PROMPTS, PROMPTS[0]], on_answer=on_answer)
    assert [handed[number] for number in range(4)] == returned


def test_chains_have_their_index_their_length_and_a_probability(engine: Engine) -> None:
    for chains in engine.reason(PROMPTS[:2], 3, SHORT):
        assert [chain.index for chain in chains] == [0, 1, 2]
        for chain in chains:
            assert chain.is_chain
            assert chain.p_yes is not None
            assert 0 <= chain.p_yes <= 1
            assert chain.mass is not None
            assert 0 < chain.mass <= 1
            assert 0 <= chain.tokens <= SHORT.max_tokens
            assert chain.seconds >= 0
            assert chain.finish == "length" or chain.tokens < SHORT.max_tokens
            assert "<think>" not in chain.text


@pytest.mark.parametrize("limit", [1, 3])
def test_a_chain_stops_at_the_token_limit(engine: Engine, limit: int) -> None:
    [chains] = engine.reason(PROMPTS[:1], 2, Sampling(max_tokens=limit))
    for chain in chains:
        assert (chain.tokens, chain.finish) == (limit, "length" if chain.text.strip() else "empty")
        assert (chain.p_yes is not None) == chain.is_chain


def test_the_same_seed_gives_the_same_chains_and_another_seed_others(engine: Engine) -> None:
    draws = [engine.reason(PROMPTS[:1], 3, Sampling(max_tokens=16, seed=seed))[0] for seed in (1, 1, 2)]
    assert _texts(draws[0]) == _texts(draws[1])
    assert [c.p_yes for c in draws[0]] == pytest.approx([c.p_yes for c in draws[1]], abs=CLOSE)
    assert _texts(draws[0]) != _texts(draws[2])


def test_samples_and_prompts_have_streams_of_their_own(engine: Engine) -> None:
    first, second = engine.reason(PROMPTS[:2], 6, Sampling(max_tokens=20, temperature=1.0))
    assert len(set(_texts(first))) > 1
    assert len(set(_texts(second))) > 1
    assert set(_texts(first)).isdisjoint(_texts(second))


def test_a_sample_is_the_same_drawn_alone_or_beside_others(engine: Engine) -> None:
    sampling = Sampling(max_tokens=16, seed=4)
    [alone] = engine.reason(PROMPTS[:1], [2], sampling)
    [backwards] = engine.reason(PROMPTS[:1], [2, 0], sampling)
    together = engine.reason(PROMPTS[:2], 4, sampling)[0]
    assert [chain.index for chain in backwards] == [2, 0]
    assert alone[0].text == backwards[0].text == together[2].text
    assert backwards[1].text == together[0].text
    assert alone[0].p_yes == pytest.approx(together[2].p_yes, abs=CLOSE)


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


def test_a_chain_read_anew_has_the_p_yes_that_it_was_drawn_with(engine: Engine) -> None:
    sampling = Sampling(max_tokens=16)
    rows = engine.reason(PROMPTS, 2, sampling)
    drawn = [(prompt, chain) for prompt, row in zip(PROMPTS, rows, strict=True) for chain in row][::-1]
    readings = engine.read_chains([prompt for prompt, _ in drawn], [chain.text for _, chain in drawn], sampling)
    pairs = [(chain, reading) for (_, chain), reading in zip(drawn, readings, strict=True)]
    same = [(chain.p_yes, reading.p_yes) for chain, reading in pairs if chain.tokens == reading.tokens]
    assert same, "a text that begins with no line break is read as the tokens that it was written in"
    assert [read for _, read in same] == pytest.approx([known for known, _ in same], abs=CLOSE)


def test_seconds_are_of_a_requests_own_work(engine: Engine) -> None:
    """However many run side by side, theirs add up to no more than the time that passed."""
    started = time.perf_counter()
    answers = engine.answer(PROMPTS)
    rows = engine.reason(PROMPTS, 4, SHORT)
    passed = time.perf_counter() - started
    own = [result.seconds for result in (*answers, *(chain for row in rows for chain in row))]
    assert min(own) >= 0
    assert sum(own) <= passed


def test_a_closed_chain_is_read_right_behind_its_thinking(engine: Engine) -> None:
    open_chain, closed = engine.read_chains(PROMPTS[:1] * 2, ["It is good.", "It is good.\n</think>\n\nNo."], SHORT)
    assert closed.tokens > open_chain.tokens > 0
    if engine.name != "scripted":  # whose numbers follow from the text alone
        assert closed.p_yes == pytest.approx(open_chain.p_yes, abs=CLOSE)


def test_every_prompt_needs_its_chain(engine: Engine) -> None:
    assert engine.read_chains([], [], SHORT) == []
    with pytest.raises(UsageError, match="1 chains of 2 prompts"):
        engine.read_chains(PROMPTS[:2], ["so"], SHORT)


def test_stop_raises_and_what_had_finished_was_handed_over(engine: Engine) -> None:
    handed: list[tuple[int, Trace]] = []
    with pytest.raises(Stopped):
        engine.reason(
            PROMPTS, 30, SHORT, on_trace=lambda n, trace: handed.append((n, trace)), stop=lambda: len(handed) >= 2
        )
    assert 2 <= len(handed) < 90
    for number, trace in handed[:3]:
        [[again]] = engine.reason([PROMPTS[number]], [trace.index], SHORT)
        assert again.text == trace.text


def test_stop_is_polled_by_every_method(engine: Engine) -> None:
    for call in (
        lambda: engine.answer(PROMPTS, stop=lambda: True),
        lambda: engine.reason(PROMPTS, 1, SHORT, stop=lambda: True),
        lambda: engine.write(PROMPTS, SHORT, stop=lambda: True),
        lambda: engine.read_chains(PROMPTS, ["so"] * 3, SHORT, stop=lambda: True),
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
    assert engine.write([], SHORT) == []
    assert engine.plan([]) == []


def test_prompts_of_any_script_are_answered(engine: Engine) -> None:
    odd: list[Messages] = [(Message("user", text),) for text in ("千と千尋の神隠し 🎬?", "\u202eمرحبا\u200d", " ")]
    assert all(0 <= answer.p_yes <= 1 for answer in engine.answer(odd))
    pieces: list[str] = []
    [[chain]] = engine.reason(odd[:1], 1, SHORT, on_piece=lambda _n, _i, text: pieces.append(text))
    assert "".join(pieces) == chain.text


def test_an_empty_history_is_answered(engine: Engine) -> None:
    prompt = ask("(The user has no history yet.)\nWill the user like Ronin? Say Yes or No.")
    assert 0 <= engine.answer([prompt])[0].p_yes <= 1
    [[chain]] = engine.reason([prompt], 1, SHORT)
    assert chain.tokens > 0


def test_a_prompt_longer_than_the_context_loses_its_oldest_lines_and_says_so(engine: Engine) -> None:
    prompt = _long_prompt(200)
    [answer] = engine.answer([prompt])
    [[chain]] = engine.reason([prompt], 1, SHORT)
    for result in (answer, chain):
        assert 0 < result.dropped < 200
    assert chain.dropped >= answer.dropped
    assert answer.prompt_tokens < CONTEXT
    [same] = engine.answer([without_oldest(prompt, answer.dropped)])
    assert same.dropped == 0
    assert (same.p_yes, same.prompt_tokens) == (pytest.approx(answer.p_yes, abs=CLOSE), answer.prompt_tokens)
    # As few as need be.
    with pytest.raises(EngineError):
        engine.answer([without_oldest(prompt, answer.dropped - 1)])


def test_a_prompt_that_cannot_fit_fails_alone(engine: Engine) -> None:
    endless = ask("the user likes long films " * 3000)
    handed: list[int] = []
    with pytest.raises(PartialError) as failed:
        engine.answer([PROMPTS[0], endless, PROMPTS[1]], on_answer=lambda number, _answer: handed.append(number))
    assert sorted(handed) == [0, 2]
    assert list(failed.value.failures) == [1]
    traced: list[int] = []
    with pytest.raises(PartialError):
        engine.reason([PROMPTS[0], endless], 2, SHORT, on_trace=lambda number, _trace: traced.append(number))
    assert traced == [0, 0]
    with pytest.raises(EngineError, match=r"tokens|words"):
        engine.answer([endless])


def test_sixty_four_prompts_at_once(engine: Engine) -> None:
    prompts = [ask(f"A user rated {n} films 5 of 5. Will the user like number {n + 1}? Yes or No.") for n in range(64)]
    answers = engine.answer(prompts)
    assert len({answer.p_yes for answer in answers}) > 32
    assert _p(engine.answer(prompts[17:19])) == pytest.approx(_p(answers[17:19]), abs=CLOSE)
    # Chains of a quarter: each costs what six answers do.
    chains = engine.reason(prompts[::4], 2, Sampling(max_tokens=4))
    assert [[chain.index for chain in drawn] for drawn in chains] == [[0, 1]] * 16
    assert _texts(engine.reason([prompts[40]], 2, Sampling(max_tokens=4))[0]) == _texts(chains[10])


def test_an_adapter_changes_what_is_said_and_switching_back_restores_it(
    engine: Engine, adapters: tuple[str, str]
) -> None:
    sampling = Sampling(max_tokens=12)
    base = _p(engine.answer(PROMPTS))
    chains = engine.reason(PROMPTS[:1], 2, sampling)[0]
    first_engine, second_engine = (engine.adapted(adapter) for adapter in adapters)
    assert first_engine.model.adapter == adapters[0]
    first, second = _p(first_engine.answer(PROMPTS)), _p(second_engine.answer(PROMPTS))
    assert max(abs(a - b) for a, b in zip(base, first, strict=True)) > 10 * CLOSE
    assert first != pytest.approx(second, abs=CLOSE)
    adapted = first_engine.reason(PROMPTS[:1], 2, sampling)[0]
    assert [chain.p_yes for chain in adapted] != pytest.approx([chain.p_yes for chain in chains], abs=CLOSE)
    assert _p(first_engine.answer(PROMPTS)) == pytest.approx(first, abs=CLOSE)
    assert _p(first_engine.adapted(None).answer(PROMPTS)) == pytest.approx(base, abs=CLOSE)
    assert _p(engine.answer(PROMPTS)) == pytest.approx(base, abs=CLOSE)
    assert _texts(engine.reason(PROMPTS[:1], 2, sampling)[0]) == _texts(chains)


def test_an_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'vlm'.*openai, scripted, transformers, vllm"):
        create_engine("vlm")
    with pytest.raises(UnknownNameError, match=r"'vllm'.*scripted, sentence, transformers"):
        create_encoder("vllm")


def test_a_plan_names_every_prompt_once_and_depends_on_nothing_else(engine: Engine) -> None:
    prompts = PROMPTS * 3
    plan = engine.plan(prompts)
    assert sorted(i for part in plan for i in part) == list(range(len(prompts)))
    assert engine.plan(prompts) == plan
    assert engine.plan([]) == []


def test_texts_are_written_in_the_order_of_the_prompts_from_streams_of_their_own(engine: Engine) -> None:
    sampling = Sampling(max_tokens=12, temperature=1.0)
    first, second = (
        engine.write(PROMPTS, sampling),
        engine.write(PROMPTS, Sampling(max_tokens=12, temperature=1.0, seed=9)),
    )
    assert len(first) == len(PROMPTS)
    assert len(set(first)) == len(PROMPTS)
    assert engine.write(PROMPTS, sampling) == first
    assert first != second
    assert engine.write([], sampling) == []


def test_a_text_is_the_same_whatever_stands_beside_it(engine: Engine) -> None:
    sampling = Sampling(max_tokens=10)
    assert [engine.write([prompt], sampling)[0] for prompt in PROMPTS] == engine.write(PROMPTS, sampling)
