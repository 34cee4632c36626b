"""The parts that need no server: probabilities, tokens with their text, fitting, what is shown."""

from __future__ import annotations

import asyncio
import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engines.openai.chat_dialect import ThinkingText, fitted
from backend.engines.openai.faults import TooLong
from backend.engines.openai.reading import (
    Unreadable,
    chance,
    finish_reason,
    listed_logprobs,
    read_event,
    token_logprobs,
)
from backend.engines.openai.tokens_dialect import Spoken
from backend.errors import EngineError
from backend.types import Messages
from tests.backend.engines_openai.prompts import with_history

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "message", "content", "logprobs", "top_logprobs", "token", "logprob"])
            | st.sampled_from(["usage", "token_ids", "token_id:3", "text", "finish_reason", "completion_tokens"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["choices", "usage", "text"]), JSON, max_size=3))
def test_whatever_a_server_sends_is_read_or_refused_with_words(answer: dict[str, Any]) -> None:
    read_event(answer)
    for read in (listed_logprobs, token_logprobs):
        with contextlib.suppress(EngineError):
            read(answer)


@given(st.floats(-30, 0), st.floats(-30, 0))
def test_two_listed_answers_are_a_softmax(yes: float, no: float) -> None:
    read = chance([("Yes", yes), ("No", no)])
    assert read.p_yes == pytest.approx(math.exp(yes) / (math.exp(yes) + math.exp(no)))
    assert read.p_yes + chance([("No", yes), ("Yes", no)]).p_yes == pytest.approx(1)
    assert read.mass == pytest.approx(min(1.0, math.exp(yes) + math.exp(no)))


def test_extreme_log_probabilities_stay_probabilities() -> None:
    assert chance([("Yes", -9999.0), ("No", 0.0)]).p_yes == pytest.approx(0.0)
    assert chance([("Yes", 0.0), ("No", -9999.0)]) == (1.0, 1.0)
    assert chance([("Yes", -9999.0), ("No", -9999.0)]) == (0.5, 0.0)


@pytest.mark.parametrize("impossible", [None, -math.inf, -3.4028234663852886e38, -1e300])
def test_what_is_impossible_is_listed_with_probability_zero(impossible: Any) -> None:
    def listed(yes: Any, no: Any) -> Any:
        top = [{"token": "Yes", "logprob": yes}, {"token": "No", "logprob": no}, {"token": "I", "logprob": -3.0}]
        return listed_logprobs({"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]})

    assert chance(listed(-0.5, impossible)) == (1.0, pytest.approx(math.exp(-0.5)))
    assert chance(listed(impossible, -0.5)) == (0.0, pytest.approx(math.exp(-0.5)))
    with pytest.raises(Unreadable, match="Neither Yes nor No"):
        chance(listed(impossible, impossible))
    tokens = {"choices": [{"logprobs": {"top_logprobs": [{"token_id:5": impossible, "token_id:7": -1.0}]}}]}
    assert token_logprobs(tokens) == {5: -math.inf, 7: -1.0}


@pytest.mark.parametrize("token", ["yes", " Yes", "\nYes", "YES", "\u2581Yes", "\u0120yes", "Yes"])
def test_yes_is_yes_in_any_case_behind_any_space(token: str) -> None:
    assert chance([(token, -1.0), ("Maybe", -1.0)]) == (0.5, pytest.approx(math.exp(-1)))


def test_other_cases_are_read_where_they_are_likelier() -> None:
    assert chance([("Yes", -1.0), ("No", -1.0), ("yes", -3.0)]) == (0.5, pytest.approx(2 * math.exp(-1)))
    assert chance([("Yes", -4.0), ("no", -0.1)]).p_yes == pytest.approx(math.exp(-4) / (math.exp(-4) + math.exp(-0.1)))


@pytest.mark.parametrize("token", ["know", "Yesterday", "nope", "not", "y", "Yes.", "N"])
def test_know_is_not_no(token: str) -> None:
    with pytest.raises(Unreadable, match="Neither Yes nor No"):
        chance([(token, -0.1), ("I", -0.2)])


@pytest.mark.parametrize(
    ("told", "finish"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "filter"), ("tool_calls", "tool"), ("eos", "stop")],
)
def test_a_server_says_why_a_text_ended(told: str, finish: str) -> None:
    assert finish_reason(told) == finish


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=6), st.data())
def test_the_beginnings_of_what_was_spoken_know_their_text(parts: list[list[int]], data: st.DataObject) -> None:
    spoken = Spoken()
    for tokens in parts:
        spoken.add(tokens, "".join(map(str, tokens)))
    flat = [token for tokens in parts for token in tokens]
    assert list(spoken) == flat
    length = data.draw(st.integers(0, len(flat) + 2))
    beginning = spoken[:length]
    assert isinstance(beginning, Spoken)
    assert list(beginning) == flat[:length]
    text, left = beginning.known()
    assert text + "".join(map(str, left)) == "".join(map(str, flat[:length]))
    assert list(spoken[1:3]) == flat[1:3]
    if flat:
        assert spoken[len(flat) - 1] == flat[-1]


@given(st.lists(st.text(alphabet="<think>/\n ab", min_size=1, max_size=4), max_size=12))
def test_the_text_so_far_only_grows(parts: list[str]) -> None:
    written, before = ThinkingText(), ""
    for part in parts:
        written.add("", part)
        assert written.text().startswith(before)
        before = written.text()
    assert written.text(last=True).startswith(before)


@pytest.mark.parametrize("numbers", [True, False])
@pytest.mark.parametrize("limit", [100, 500, 1500, 2200])
def test_fitting_asks_few_times_and_drops_little_more_than_it_must(limit: int, numbers: bool) -> None:
    prompt = with_history(64)
    requests = 0

    async def ask(messages: Messages) -> int:
        nonlocal requests
        requests += 1
        length = len(messages[0].content)
        if length > limit:
            raise TooLong("too long", length if numbers else None, limit if numbers else None)
        return length

    with ThreadPoolExecutor(1) as thread:  # the browser tests leave a loop running in this one
        kept, dropped = thread.submit(asyncio.run, fitted(prompt, ask)).result()
    assert requests <= (4 if numbers else 8)
    assert kept <= limit
    start, end = prompt[0].droppable[0][0], prompt[0].droppable[dropped - 1][1]
    assert kept == len(prompt[0].content) - (end - start)
    if numbers and limit > 100:
        assert kept > 0.85 * limit
