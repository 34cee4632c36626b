"""Chains from a server that speaks in chat messages, in every form that servers give thinking in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from backend.engines.base import THINK_CLOSE
from backend.errors import EngineError, PartialError
from backend.types import ModelRef, Sampling, Trace
from tests.backend.engines_openai.badserver import BadReply, ServerRequest, event, listing, refuse, speech
from tests.backend.engines_openai.conftest import Start
from tests.backend.engines_openai.prompts import PROMPTS, with_history

SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_tokens=40, seed=3)
LONG = "A thought of some length. "


def _says(*deltas: str | dict[str, str], **how: Any) -> Any:
    return lambda request: speech(*deltas, **how) if request.streams else listing([("Yes", -0.2), ("No", -2.0)])


def _drawn(engine: Any, samples: int | Sequence[int] = 1) -> tuple[list[Trace], str]:
    """The chains of one prompt, whose pieces are held to join to their texts; and the first one's text."""
    pieces: dict[int, str] = {}

    def hear(_number: int, index: int, text: str) -> None:
        assert text
        pieces[index] = pieces.get(index, "") + text

    [chains] = engine.reason(PROMPTS[:1], samples, SAMPLING, on_piece=hear)
    assert pieces == {chain.index: chain.text for chain in chains if chain.text}
    return chains, chains[0].text


@pytest.mark.parametrize(
    ("deltas", "text"),
    [
        (("So. ", "Yes."), "So. Yes."),
        (("<th", "ink>", "\nSo.", "\n</thi", "nk>\n\nYes"), "So.\n</think>\n\nYes"),
        (("\n<think>", "So."), "So."),
        (("<thin",), "<thin"),
        (("<think>",), ""),
        (({"reasoning_content": "So"}, {"reasoning_content": " so."}, "Yes"), "So so.\n</think>\n\nYes"),
        (({"reasoning": "So so."}, {"content": "Ye"}, {"content": "s"}), "So so.\n</think>\n\nYes"),
        (({"reasoning": "So so.", "reasoning_content": "So so."}, "No"), "So so.\n</think>\n\nNo"),
        (({"reasoning": "Never closed"},), "Never closed"),
        (({"role": "assistant", "content": ""}, "千と", "千尋 🎬"), "千と千尋 🎬"),
        ((), ""),
    ],
)
def test_the_text_is_what_comes_after_the_mark_of_thinking(start: Start, deltas: Any, text: str) -> None:
    engine, _ = start(_says(*deltas))
    assert _drawn(engine)[1] == text


def test_a_chain_knows_its_length_and_how_it_ended(start: Start) -> None:
    for how, tokens, finish in (
        ({"finish": "length", "tokens": 40}, 40, "length"),
        ({"finish": "stop", "tokens": 12}, 12, "stop"),
        ({"finish": "stop"}, 3, "stop"),  # no usage: the parts are counted
        ({"finish": "eos", "tokens": 10**6}, 40, "stop"),
    ):
        engine, _ = start(_says("a", "b", "c", **how))
        [[chain], _] = [*_drawn(engine)]
        assert (chain.tokens, chain.finish) == (tokens, finish)
        assert chain.p_yes == pytest.approx(1 / (1 + math.exp(-1.8)))
        assert chain.seconds > 0


@pytest.mark.parametrize(
    ("deltas", "told", "finish"),
    [
        (("It ",), "content_filter", "filter"),
        (("So.",), "tool_calls", "tool"),
        ((), "function_call", "tool"),
        ((), "stop", "empty"),
        (("<think>", "\n\n"), "length", "empty"),
    ],
)
def test_a_text_that_is_no_chain_says_why_and_has_no_p_yes(start: Start, deltas: Any, told: str, finish: str) -> None:
    engine, server = start(_says(*deltas, finish=told))
    [chain] = _drawn(engine)[0]
    assert (chain.finish, chain.p_yes, chain.mass, chain.is_chain) == (finish, None, None, False)
    assert all(request.streams for request in server.chats), "nothing is read behind what is no chain"


def test_each_sample_is_a_request_with_a_seed_of_its_own(start: Start) -> None:
    engine, server = start(_says("So."))
    engine.reason(PROMPTS[:2], 3, SAMPLING)
    first = [request.body for request in server.chats if request.streams]
    assert len({body["seed"] for body in first}) == 6
    assert all(0 <= body["seed"] < 2**31 for body in first)
    assert {(body["temperature"], body["top_p"], body["max_tokens"]) for body in first} == {(0.7, 0.9, 40)}
    engine.reason(PROMPTS[1:2], [2], SAMPLING)
    assert server.chats[-2].body["seed"] in {body["seed"] for body in first}


def test_the_answer_is_read_with_the_assistants_turn_continued_behind_the_closed_thinking(start: Start) -> None:
    for text, reasoning in (("So.", "So."), ("So.\n</think>\n\nNo.", "So."), ("a</think>b</think>c", "a</think>b")):
        engine, server = start(_says(text))
        engine.reason(PROMPTS[:1], 1, SAMPLING)
        body = server.chats[-1].body
        assert body["messages"][-1] == {"role": "assistant", "content": f"<think>\n{reasoning}\n{THINK_CLOSE}\n\n"}
        assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
        assert (body["max_tokens"], body["temperature"]) == (1, 0.0)


def test_a_server_that_does_not_continue_a_turn_is_asked_in_another(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        if request.streams:
            return speech("<think>\nSo.\n</think>\n\nNo.")
        if "continue_final_message" in request.body:
            return refuse(400, "Unrecognized request argument supplied: continue_final_message")
        return listing()

    engine, server = start(answer, concurrency=1)
    engine.reason(PROMPTS[:1], 2, SAMPLING)
    readings = [request.body for request in server.chats if "logprobs" in request.body]
    assert not any("continue_final_message" in body for body in readings)
    assert len([request for request in server.chats if "continue_final_message" in request.body]) == 1
    assert [turn["role"] for turn in readings[-1]["messages"]] == ["system", "user", "assistant", "user"]
    assert readings[-1]["messages"][2]["content"] == "So."
    assert "Yes or No" in readings[-1]["messages"][3]["content"]


def test_a_turn_that_was_silently_not_continued_is_asked_for_in_another_for_that_chain(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        if request.streams:
            return speech("So.")
        return listing([("The", -0.1)]) if "continue_final_message" in request.body else listing()

    engine, server = start(answer, concurrency=1)
    engine.reason(PROMPTS[:1], 2, SAMPLING)
    readings = [request.body for request in server.chats if "logprobs" in request.body]
    assert ["continue_final_message" in body for body in readings] == [True, False, True, False]


_WORDS_AROUND = 2  # of a turn: its head and its end


@pytest.mark.parametrize(
    ("adds", "continues"),
    [
        (lambda asked: 0 if asked else _WORDS_AROUND, True),  # vLLM
        (lambda _asked: 0, True),  # llama.cpp, which always goes on in a last turn of the assistant
        (lambda _asked: _WORDS_AROUND, False),  # closes the turn and opens another
        (lambda asked: 1 if asked else _WORDS_AROUND, False),  # closes the turn, and opens none where asked not to
        (None, True),  # tells no numbers: it is believed
    ],
)
def test_a_server_that_closes_the_turn_without_a_word_is_found_out(
    start: Start, adds: Any, continues: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """``adds``: the tokens that stand behind a last turn of the assistant, by whether it is to be continued."""

    def answer(request: ServerRequest) -> BadReply:
        if request.streams:
            return speech("So.")
        turns, tokens = request.body["messages"], None
        if adds is not None:
            tokens = sum(_WORDS_AROUND + len(turn["content"].split()) for turn in turns) + 1
            if turns[-1]["role"] == "assistant":
                tokens += adds("continue_final_message" in request.body) - _WORDS_AROUND
        return listing(prompt_tokens=tokens)

    engine, server = start(answer)
    engine.reason(PROMPTS[:2], 3, SAMPLING)
    readings = [request.body["messages"][-1]["role"] for request in server.chats if "logprobs" in request.body]
    assert readings == ["assistant" if continues else "user"] * 6
    assert ("closes the assistant's turn" in caplog.text) is not continues
    tried = [request for request in server.chats if not request.streams and "logprobs" not in request.body]
    assert len(tried) == 3, "each server is tried once"


def _cut_once(first: BadReply, then: BadReply) -> Any:
    def answer(request: ServerRequest) -> BadReply:
        if not request.streams:
            return listing()
        return first if request.number == 0 else then

    return answer


@pytest.mark.parametrize(
    "broken",
    [
        speech("One two ", "three", finish=None, cut=True, pause=0.05),
        speech("One two ", finish=None),
        BadReply([event({"choices": [{"delta": {"content": "One"}}]}), event({"error": {"message": "died"}})]),
        refuse(503, "loading"),
    ],
    ids=["cut", "no end", "error inside", "503"],
)
def test_a_stream_that_breaks_off_is_repeated_and_nothing_is_shown_twice(start: Start, broken: BadReply) -> None:
    engine, server = start(_cut_once(broken, speech("One ", "two three", " four.")))
    assert _drawn(engine)[1] == "One two three four."
    streams = [request.body for request in server.chats if request.streams]
    assert len(streams) == 2
    assert streams[0] == streams[1]


@pytest.mark.parametrize("again", ["Three four", "One"])
def test_a_repeated_stream_that_says_something_else_fails_once_a_part_was_shown(start: Start, again: str) -> None:
    first, then = speech("One two", finish=None), speech(again)
    engine, _ = start(_cut_once(first, then))
    shown: list[str] = []
    with pytest.raises(EngineError, match="on repetition the server wrote another"):
        engine.reason(PROMPTS[:1], 1, SAMPLING, on_piece=lambda _n, _i, text: shown.append(text))
    assert shown == ["One two"]
    engine, _ = start(_cut_once(first, then))
    assert engine.reason(PROMPTS[:1], 1, SAMPLING)[0][0].text == again  # nobody had seen the first


@pytest.mark.parametrize(
    "broken",
    [
        BadReply([b"data: {nonsense\n\n"]),
        BadReply([b"data: [1]\n\n"]),
        BadReply([b'data: {"choices": [{"delta": {"content": ["a"]}, "finish_reason": 7}]}\n\n']),
        BadReply([b'data: {"choices": {}, "usage": {"completion_tokens": -1}}\n\n', b"data: [DONE]\n\n"]),
        BadReply([b"data: \xff\xfe\n\n"]),
        BadReply([event({"error": "died"})]),
    ],
)
def test_a_malformed_stream_fails_its_prompt_with_words(start: Start, broken: BadReply) -> None:
    def answer(request: ServerRequest) -> BadReply:
        if not request.streams:
            return listing()
        return broken if "Saw" in request.said else speech("So.")

    engine, _ = start(answer, retries=1)
    handed: list[tuple[int, int]] = []
    with pytest.raises(PartialError, match="1 of 4 prompts failed; prompt 2: ") as caught:
        engine.reason(PROMPTS, 2, SAMPLING, on_trace=lambda number, trace: handed.append((number, trace.index)))
    assert set(caught.value.failures) == {1}
    assert sorted(handed) == [(n, i) for n in (0, 2, 3) for i in (0, 1)]


def test_a_server_without_stream_options_is_asked_without(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        if "stream_options" in request.body:
            return refuse(400, "stream_options is not permitted")
        return _says("So.")(request)

    engine, server = start(answer, concurrency=1)
    engine.reason(PROMPTS[:1], 2, SAMPLING)
    assert ["stream_options" in request.body for request in server.chats if request.streams] == [True, False, False]


def test_too_long_a_prompt_of_chains_loses_the_same_lines_for_all(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        if len(request.said) > 700:
            return refuse(
                400, f"maximum context length is 700 tokens. However, you requested {len(request.said)} tokens"
            )
        return speech("So.") if request.streams else listing()

    engine, server = start(answer)
    [chains] = engine.reason([with_history(40)], 4, SAMPLING)
    assert len({chain.dropped for chain in chains}) == 1
    assert chains[0].dropped > 0
    assert {a.said.count("A film") for a in server.chats if "logprobs" in a.body} == {40 - chains[0].dropped}


def test_the_models_own_limit_holds_for_chains_and_texts(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        return speech("So.") if request.streams else listing(prompt_tokens=len(request.said))

    engine, server = start(answer, model=ModelRef("small", context=600))
    [[chain]] = engine.reason([with_history(40)], 1, SAMPLING)
    assert chain.dropped > 0
    engine.write([with_history(40)], SAMPLING)
    assert all(len(request.said) + 40 <= 600 for request in server.chats if request.streams)


def test_chains_are_not_read_anew_in_messages(start: Start) -> None:
    engine, _ = start(_says("So."))
    with pytest.raises(EngineError, match="takes chat messages alone"):
        engine.read_chains(PROMPTS[:1], ["So."], SAMPLING)


def test_texts_are_written_in_order_from_streams_of_their_own(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        return speech("About ", request.said.rpartition("like ")[2])

    engine, server = start(answer)
    assert engine.write(PROMPTS, SAMPLING) == [f"About {t}?" for t in ("Ronin", "Saw", "Brazil", "Alien")]
    assert len({request.body["seed"] for request in server.chats}) == 4
    assert engine.write([], SAMPLING) == []


def test_texts_that_fail_are_named(start: Start) -> None:
    engine, _ = start(lambda request: refuse(400, "no") if "Saw" in request.said else speech("So."))
    with pytest.raises(PartialError, match=r"prompt 2: .*answered 400: no"):
        engine.write(PROMPTS, SAMPLING)


def test_concurrency_holds_over_prompts_and_chains(start: Start) -> None:
    engine, server = start(_says("a", "b", pause=0.02), concurrency=4)
    traces = engine.reason(PROMPTS, 5, SAMPLING)
    assert [[trace.index for trace in chains] for chains in traces] == [list(range(5))] * 4
    engine.answer(PROMPTS * 6)
    assert server.most == 4
