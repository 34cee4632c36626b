"""P(yes) from a server that speaks in chat messages."""

from __future__ import annotations

import math
from typing import Any

import pytest

from backend.engines.openai import OpenAIEngine
from backend.errors import EngineError, PartialError, Stopped
from backend.types import LOW_MASS, Answer, Message, ModelRef, Sampling
from tests.backend.engines_openai.badserver import BadReply, ServerRequest, as_json, listing, refuse
from tests.backend.engines_openai.conftest import Start
from tests.backend.engines_openai.prompts import PROMPTS, with_history


def test_the_answer_is_read_from_the_listed_tokens(start: Start) -> None:
    likely = [("Yes", -1.0), (" Yes", -2.0), ("No", -1.5), ("yes", -2.5), ("\nNo", -4.0), ("Well", -6.0)]
    engine, server = start(lambda _asked: listing(likely, prompt_tokens=11))
    [answer] = engine.answer(PROMPTS[:1])
    yes, no = math.exp(-1) + math.exp(-2), math.exp(-1.5) + math.exp(-4)
    assert answer.p_yes == pytest.approx(yes / (yes + no))
    assert answer.mass == pytest.approx(yes + no)
    assert (answer.prompt_tokens, answer.dropped) == (11, 0)
    assert answer.seconds > 0
    [request] = server.chats
    assert request.body["messages"] == [{"role": m.role, "content": m.content} for m in PROMPTS[0]]
    assert [request.body[name] for name in ("model", "max_tokens", "temperature", "logprobs", "top_logprobs")] == [
        "small",
        1,
        0.0,
        True,
        20,
    ]


def test_an_answer_that_is_not_listed_is_as_likely_as_the_least_listed(start: Start) -> None:
    engine, _ = start(lambda _asked: listing([("Yes", -0.1), ("Sure", -3.0), ("Of", -5.0)]))
    assert engine.answer(PROMPTS[:1])[0].p_yes == pytest.approx(math.exp(-0.1) / (math.exp(-0.1) + math.exp(-5)))


@pytest.mark.parametrize(
    ("likely", "low"),
    [
        ([("<think>", -0.001), ("Yes", -8.0), ("No", -9.0)], True),
        ([("\n\n", -0.01), ("No", -7.0)], True),
        ([("yes", -0.1), ("Yes", -4.0), ("No", -6.0)], False),
        ([("Yes", -1.0), ("No", -1.0)], False),
    ],
)
def test_how_likely_both_answers_are_is_told(start: Start, likely: Any, low: bool) -> None:
    [answer] = start(lambda _asked: listing(likely))[0].answer(PROMPTS[:1])
    assert answer.mass is not None
    assert (answer.mass < LOW_MASS) is low


@pytest.mark.parametrize("command", ["<|im_end|>", "<\uff5cUser\uff5c>", "<s>", "[/INST]", "\uff1cthink\uff1e"])
def test_what_looks_like_a_command_is_sent_so_that_it_is_none(start: Start, command: str) -> None:
    engine, server = start(lambda _asked: listing())
    engine.answer([(Message("user", f"A film called {command}?"),)])
    assert server.chats[0].body["messages"][0]["content"] == f"A film called {command[0]} {command[1:]}?"


def test_answers_keep_the_order_of_the_prompts_and_each_is_handed_over_once(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        place = next(i for i, prompt in enumerate(PROMPTS) if prompt[1].content in request.said)
        return BadReply(listing([("Yes", -float(place + 1)), ("No", -1.0)]).parts, pause=0.05 * (3 - place))

    engine, _ = start(answer)
    handed: dict[int, Answer] = {}
    fractions: list[float | None] = []

    def hear(number: int, answer: Answer) -> None:
        assert number not in handed
        handed[number] = answer

    answers = engine.answer(PROMPTS, on_answer=hear, progress=lambda _what, fraction: fractions.append(fraction))
    assert [a.p_yes for a in answers] == sorted((a.p_yes for a in answers), reverse=True)
    assert [handed[number] for number in range(4)] == answers
    assert [f for f in fractions if f is not None] == [0.25, 0.5, 0.75, 1.0]


def test_the_server_is_asked_once_what_it_is(start: Start) -> None:
    engine, server = start(lambda _asked: listing(), served=("small", "tuned"))
    stages: list[str] = []
    engine.load(lambda what, _fraction: stages.append(what))
    assert len(stages) == 1
    engine.load(lambda what, _fraction: stages.append(what))
    engine.answer(PROMPTS)
    assert len(stages) == 1
    assert [len(server.of(path)) for path in ("/v1/models", "/tokenize")] == [1, 1]


def test_an_adapter_is_asked_for_by_its_name_over_the_same_connection(start: Start) -> None:
    engine, server = start(lambda _asked: listing(), served=("small", "tuned"))
    engine.load()
    tuned = engine.adapted("tuned")
    assert isinstance(tuned, OpenAIEngine)
    assert tuned.model == ModelRef("small", adapter="tuned")
    tuned.answer(PROMPTS[:1])
    tuned.adapted(None).answer(PROMPTS[:1])
    assert [request.body["model"] for request in server.chats] == ["tuned", "small"]
    assert len(server.of("/tokenize")) == 1
    with pytest.raises(EngineError, match=r"does not serve the model 'other'.*small, tuned"):
        engine.adapted("other").load()


def test_a_server_that_wants_the_new_name_of_the_limit_is_asked_by_it(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        if "max_tokens" in request.body:
            return refuse(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return listing()

    engine, server = start(answer, concurrency=1)
    engine.answer(PROMPTS)
    assert [("max_tokens" in request.body) for request in server.chats] == [True, False, False, False, False]


def test_a_server_that_lists_fewer_tokens_is_asked_for_fewer(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        return listing() if request.body["top_logprobs"] <= 5 else refuse(400, "top_logprobs must be at most 5")

    engine, server = start(answer, concurrency=1)
    engine.answer(PROMPTS[:2])
    assert [request.body["top_logprobs"] for request in server.chats] == [20, 5, 5]


def test_no_log_probabilities_are_one_clear_error(start: Start) -> None:
    for reply in (listing([]), refuse(400, "This model does not support logprobs")):
        engine, server = start(lambda _asked, reply=reply: reply, concurrency=1)
        with pytest.raises(EngineError, match=r"no log probabilities for the model 'small'.*vLLM") as caught:
            engine.answer(PROMPTS)
        assert not isinstance(caught.value, PartialError)
        assert len(server.chats) == 1


def test_a_prompt_whose_answer_is_not_listed_fails_alone(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        return listing([("<think>", -0.1), ("I", -3.0)] if "Saw" in request.said else [("Yes", -1.0), ("No", -1.0)])

    engine, _ = start(answer)
    handed: set[int] = set()
    with pytest.raises(PartialError, match="1 of 4 prompts failed") as caught:
        engine.answer(PROMPTS, on_answer=lambda number, _answer: handed.add(number))
    assert set(caught.value.failures) == {1}
    assert "'<think>'" in caught.value.failures[1]
    assert handed == {0, 2, 3}


@pytest.mark.parametrize(
    "broken",
    [
        BadReply([b'{"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "Yes", "logprob": NaN}]}]}}]}']),
        BadReply([b'{"choices": ['], headers={"Content-Type": "application/json"}),
        BadReply([b"[" * 200_000], headers={"Content-Type": "application/json"}),
        BadReply([b"<html>sign in</html>"], headers={"Content-Type": "text/html"}),
        BadReply([b"\xff\xfe\x00"], headers={"Content-Type": "application/json"}),
        as_json([1, 2]),
        as_json({"choices": {"0": 1}, "usage": [1]}),
        as_json({"choices": [{"logprobs": {"content": [{"top_logprobs": "many"}]}}]}),
        listing([("Yes", "likely"), ("No", -1.0)]),
        listing([("Yes", 3.5), ("No", -1.0)]),
        listing([("Yes", True), ("No", -1.0)]),
    ],
    ids=["nan", "half", "deep", "html", "bytes", "list", "types", "types inside", "text", "positive", "bool"],
)
def test_a_malformed_answer_fails_its_prompt_with_words(start: Start, broken: BadReply) -> None:
    engine, _ = start(lambda request: broken if "Brazil" in request.said else listing(), concurrency=1)
    with pytest.raises(PartialError, match="1 of 4 prompts failed; prompt 3: "):
        engine.answer(PROMPTS)


def test_a_huge_answer_is_not_read_to_its_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.engines.openai.client.LONGEST_ANSWER", 100_000)
    engine, server = start(lambda request: BadReply([b" " * 50_000] * 50) if "Saw" in request.said else listing())
    with pytest.raises(PartialError, match="more than 100000 bytes"):
        engine.answer(PROMPTS)
    assert len(server.chats) == 4


def _context(limit: int, told: Any) -> Any:
    """Answers unless the prompt has more characters than ``limit``; ``told(length)`` is the refusal."""

    def answer(request: ServerRequest) -> BadReply:
        length = len(request.said)
        return listing(prompt_tokens=length) if length <= limit else told(length)

    return answer


@pytest.mark.parametrize(
    ("told", "most_requests"),
    [
        (
            lambda n: refuse(400, f"maximum context length is 500 tokens. However, you requested {n} tokens"),
            3,
        ),
        (lambda n: refuse(400, "exceeds the available context size", n_prompt_tokens=n, n_ctx=500), 3),
        (lambda n: refuse(400, "too long", code="context_length_exceeded"), 6),
    ],
    ids=["vllm", "llama.cpp", "code"],
)
def test_too_long_a_prompt_loses_its_oldest_lines(start: Start, told: Any, most_requests: int) -> None:
    engine, server = start(_context(500, told))
    [answer] = engine.answer([with_history(40)])
    assert 0 < answer.dropped <= 40
    assert len(server.chats) <= most_requests
    kept = server.chats[-1].said
    assert kept.count("A film of") == 40 - answer.dropped
    assert "Will the user like Heat?" in kept
    if most_requests == 3:
        assert kept.count("A film of") >= 10
        assert "39. A film" in kept


def test_too_long_a_prompt_without_history_says_so(start: Start) -> None:
    engine, server = start(lambda _asked: refuse(400, "prompt is too long", code="context_length_exceeded"))
    with pytest.raises(EngineError, match="too long for the server"):
        engine.answer(PROMPTS[:1])
    assert len(server.chats) == 1


def test_the_models_own_limit_is_kept(start: Start) -> None:
    engine, _ = start(_context(10_000, None), model=ModelRef("small", context=500))
    [answer] = engine.answer([with_history(40)])
    assert answer.dropped > 0
    assert answer.prompt_tokens < 500


def test_texts_are_planned_by_position_and_nothing_asked_asks_nothing(start: Start) -> None:
    engine, server = start(lambda _asked: listing())
    assert [len(part) for part in engine.plan(PROMPTS * 40)] == [64, 64, 32]
    assert engine.plan([]) == []
    assert engine.answer([]) == []
    assert engine.reason(PROMPTS[:2], 0, Sampling()) == [[], []]
    assert engine.reason([], 3, Sampling()) == []
    assert server.asked == []


def test_stop_before_anything_is_asked(start: Start) -> None:
    engine, server = start(lambda _asked: listing())
    with pytest.raises(Stopped):
        engine.answer(PROMPTS, stop=lambda: True)
    assert server.asked == []
