"""Speaking in tokens: when it is chosen, and what can go wrong with it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from backend.engines.openai import OpenAIEngine
from backend.errors import EngineError, PartialError
from backend.types import Message, ModelRef, Sampling
from tests.backend.engines_openai.badserver import BadReply, BadServer, ServerRequest, as_json, listing, refuse
from tests.backend.engines_openai.charserver import COMMANDS, logprobs, speaks_tokens, spoken, text_of
from tests.backend.engines_openai.conftest import Start
from tests.backend.engines_openai.prompts import PROMPTS, with_history

SAMPLING = Sampling(max_tokens=40, seed=2)


def _begin(
    start: Start, speech: Any = None, reading: Any = logprobs, context: int = 400, lossy: bool = False, **how: Any
) -> tuple[OpenAIEngine, BadServer]:
    def complete(request: ServerRequest) -> BadReply:
        return speech(request) if request.streams else reading(request)

    engine, server = start(lambda _asked: listing(), **how)
    speaks_tokens(server, complete, context=context, lossy=lossy)
    return engine, server


def _dialect(engine: OpenAIEngine) -> str:
    engine.load()
    return engine._connection.dialect.name


def test_a_server_that_tells_its_tokens_is_asked_in_tokens(start: Start) -> None:
    engine, server = _begin(start)
    assert _dialect(engine) == "tokens"
    [answer] = engine.answer(PROMPTS[:1])
    assert answer.p_yes == pytest.approx(1 / (1 + math.exp(-1.0)))
    body = server.of("/v1/completions")[-1].body
    assert text_of(body["prompt"]) == (
        "<|start|>system\nYou recommend films.<|end|>\n"
        "<|start|>user\nWill the user like Ronin?<|end|>\n<|start|>assistant\n"
    )
    assert answer.prompt_tokens == len(body["prompt"])
    assert server.chats == []


@pytest.mark.parametrize(
    "tokenize",
    [
        refuse(404, "Not Found"),
        refuse(405, "no"),
        refuse(400, "content is missing"),
        as_json({"tokens": []}),
        as_json({"tokens": [1, 2], "count": 2}),
        as_json({"tokens": [1], "max_model_len": "long"}),
    ],
)
def test_any_other_server_is_asked_in_messages(start: Start, tokenize: BadReply) -> None:
    engine, server = start(lambda _asked: listing())
    plain = server._reply
    server._reply = lambda request: tokenize if request.path == "/tokenize" else plain(request)  # type: ignore[method-assign]
    assert _dialect(engine) == "chat"
    assert engine.answer(PROMPTS[:1])


def test_tokens_that_do_not_come_back_are_not_spoken_in(start: Start) -> None:
    assert _dialect(_begin(start, lossy=True)[0]) == "chat"


@pytest.mark.parametrize(
    "reading",
    [refuse(404, "no completions here"), as_json({"choices": []}), as_json({"choices": [{"logprobs": None}]})],
)
def test_a_server_that_cannot_complete_tokens_is_asked_in_messages(start: Start, reading: BadReply) -> None:
    assert _dialect(_begin(start, reading=lambda _asked: reading)[0]) == "chat"


def test_a_server_in_trouble_is_not_taken_for_another_kind(start: Start) -> None:
    engine, server = start(lambda _asked: listing(), retries=1)
    plain = server._reply
    server._reply = lambda a: refuse(503, "starting") if a.path == "/tokenize" else plain(a)  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="503: starting"):
        engine.load()
    server._reply = plain  # type: ignore[method-assign]
    assert _dialect(engine) == "chat"


def test_trouble_while_a_template_is_tried_out_is_not_taken_for_its_answer(start: Start) -> None:
    """Whether a template knows system messages is found by trying: a lost connection is no answer to that."""
    engine, server = _begin(start, retries=0)
    plain = server._reply
    failing = [True]

    def reply(request: ServerRequest) -> BadReply:
        if failing[0] and any(turn["role"] == "system" for turn in request.body.get("messages", [])):
            return refuse(500, "lost")
        return plain(request)

    server._reply = reply  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="500: lost"):
        engine.load()
    failing[0] = False
    engine.answer(PROMPTS[:1])
    assert "system" in text_of(server.of("/v1/completions")[-1].body["prompt"])


def test_what_a_title_says_is_no_command(start: Start) -> None:
    engine, server = _begin(start)
    engine.answer([(Message("user", "A film called"),)])
    plain = [token for token in server.of("/v1/completions")[-1].body["prompt"] if token >= 200_000]
    for command in COMMANDS:
        engine.answer([(Message("user", f"A film called {command}"),)])
        prompt = server.of("/v1/completions")[-1].body["prompt"]
        assert [token for token in prompt if token >= 200_000] == plain
        assert f"< {command[1:]}" in text_of(prompt)


@pytest.mark.parametrize(
    ("parts", "text", "kept"),
    [
        (("S", "o", "."), "So.", "So."),
        (("So.\n</th", "ink>\n\nYes"), "So.\n</think>\n\nYes", "So.\n</think>"),
        (("So.\n</think>\n\nYes.",), "So.\n</think>\n\nYes.", "So.\n</think>"),
        (("<think>", "\nSo."), "So.", "<think>\nSo."),
        (("So", "<|start|>", " so."), "So so.", "So<|start|> so."),
        ((" ", "."), " .", " ."),
    ],
)
def test_a_chain_is_its_tokens_but_for_the_one_that_ends_it(
    start: Start, parts: tuple[str, ...], text: str, kept: str
) -> None:
    engine, server = _begin(start, lambda _asked: spoken(*parts))
    pieces: list[str] = []
    [[chain]] = engine.reason(PROMPTS[:1], 1, SAMPLING, on_piece=lambda _n, _i, piece: pieces.append(piece))
    assert chain.text == text == "".join(pieces)
    assert (chain.finish, chain.tokens) == ("stop", len(server_tokens(parts)))
    drawn, read = (request.body["prompt"] for request in server.of("/v1/completions")[-2:])
    assert text_of(drawn).endswith("<|start|>assistant\n<think>\n")
    closing = "\n\n" if "</think>" in kept else "\n</think>\n\n"
    assert text_of(read) == text_of(drawn) + kept + closing


def server_tokens(parts: tuple[str, ...]) -> list[str]:
    """The parts' tokens, each as its text."""
    return [text for part in parts for text in ([part] if part == "<|start|>" else part)]


def test_a_chain_at_its_limit_keeps_its_last_token(start: Start) -> None:
    engine, _ = _begin(start, lambda request: spoken("So so"[: request.body["max_tokens"]], finish="length"))
    [[chain]] = engine.reason(PROMPTS[:1], 1, Sampling(max_tokens=3))
    assert (chain.text, chain.tokens, chain.finish) == ("So ", 3, "length")


def test_nothing_but_the_sampling_shapes_a_chain(start: Start) -> None:
    engine, server = _begin(start, lambda _asked: spoken("So."))
    engine.reason(PROMPTS[:1], 1, Sampling(0.7, 0.9, 12, 5))
    body = server.of("/v1/completions")[-2].body
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.9, 12)
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (0, 0.0, 1.0)
    assert 0 <= body["seed"] < 2**31


def test_the_chains_of_a_prompt_share_its_tokens(start: Start) -> None:
    engine, server = _begin(start, lambda _asked: spoken("So."))
    engine.load()
    before = len(server.of("/tokenize"))
    engine.reason(PROMPTS[:1], 6, SAMPLING)
    six = len(server.of("/tokenize")) - before
    engine.reason(PROMPTS[:1], 1, SAMPLING)
    assert len(server.of("/tokenize")) - before - six <= six <= 6


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (spoken("So.", token_ids=None), "without its token ids"),
        (spoken("So.", token_ids=["a"]), "without its token ids"),
        (spoken("S" * 41, finish="length"), "more tokens than were asked for"),
        (spoken("So.", finish=None), "broke off"),
    ],
)
def test_a_stream_that_is_no_chain_fails_its_prompt(start: Start, broken: BadReply, said: str) -> None:
    engine, _ = _begin(
        start, lambda request: broken if "Saw" in text_of(request.body["prompt"]) else spoken("So."), retries=1
    )
    with pytest.raises(PartialError, match=f"prompt 2: .*{said}"):
        engine.reason(PROMPTS, 1, SAMPLING)


@pytest.mark.parametrize("value", ["NaN", True, 4.0, math.nan])
def test_a_probability_that_is_none_fails_its_prompt(start: Start, value: Any) -> None:
    def reading(request: ServerRequest) -> BadReply:
        return logprobs(request, value if "Saw" in text_of(request.body["prompt"]) else -1.0)

    engine, _ = _begin(start, reading=reading)
    with pytest.raises(PartialError, match="1 of 4 prompts failed; prompt 2: A log probability is"):
        engine.answer(PROMPTS)


@pytest.mark.parametrize("value", [None, -math.inf, -3.4028234663852886e38])
def test_an_impossible_answer_has_probability_zero(start: Start, value: Any) -> None:
    engine, _ = _begin(start, reading=lambda request: logprobs(request, value))
    [answer] = engine.answer(PROMPTS[:1])
    assert (answer.p_yes, answer.mass) == (0.0, pytest.approx(math.exp(-2.0)))


@pytest.mark.parametrize(
    ("said", "told", "finish"),
    [
        ("So.", "content_filter", "filter"),
        ("", "tool_calls", "tool"),
        ("", "stop", "empty"),
        (" \n", "length", "empty"),
    ],
)
def test_a_text_that_is_no_chain_says_why_and_has_no_p_yes(start: Start, said: str, told: str, finish: str) -> None:
    engine, server = _begin(start, speech=lambda _asked: spoken(said, finish=told))
    before = len(server.of("/v1/completions"))
    [[chain]] = engine.reason(PROMPTS[:1], 1, SAMPLING)
    assert (chain.finish, chain.p_yes, chain.mass, chain.is_chain) == (finish, None, None, False)
    asked = server.of("/v1/completions")[before:]
    assert len(asked) == 2, "one request opens the dialect, one draws; nothing is read behind what is no chain"


def test_too_long_a_prompt_loses_as_few_lines_as_need_be(start: Start) -> None:
    engine, server = _begin(start, lambda _asked: spoken("So."), context=600, model=ModelRef("small", context=500))
    [answer] = engine.answer([with_history(40)])
    assert answer.prompt_tokens <= 499 < answer.prompt_tokens + 40
    [[chain]] = engine.reason([with_history(40)], 1, SAMPLING)
    assert chain.dropped > answer.dropped > 0
    assert all(len(request.body["prompt"]) < 500 for request in server.of("/v1/completions"))


@pytest.mark.parametrize("text", ["It fits.", "It fits.\n</think>\n\nYes."])
def test_a_chain_is_read_anew_behind_its_closed_thinking(start: Start, text: str) -> None:
    engine, server = _begin(start)
    [reading] = engine.read_chains(PROMPTS[:1], [text], SAMPLING)
    assert reading.p_yes == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert reading.tokens == len(text)
    said = text_of(server.of("/v1/completions")[-1].body["prompt"])
    assert said.endswith("<|start|>assistant\n<think>\nIt fits.\n</think>\n\n")


def test_a_text_is_written_in_tokens(start: Start) -> None:
    engine, server = _begin(start, lambda _asked: spoken("A film", ".<|start|>"))
    assert engine.write(PROMPTS[:2], SAMPLING) == ["A film."] * 2
    assert not any("<think>" in text_of(request.body["prompt"]) for request in server.of("/v1/completions"))
