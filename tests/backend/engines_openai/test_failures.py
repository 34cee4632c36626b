"""Servers that are slow, silent, overloaded, broken, or somebody else's."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import traceback
from email.utils import formatdate
from functools import partial

import pytest

from backend.engines.config import ServerConfig
from backend.engines.openai import OpenAIEngine
from backend.engines.openai.faults import _seconds
from backend.errors import EngineError, PartialError, Stopped
from backend.types import Answer, ModelRef, Sampling
from tests.backend.engines_openai.badserver import LIKELY, BadReply, ServerRequest, as_json, listing, refuse, speech
from tests.backend.engines_openai.conftest import Start
from tests.backend.engines_openai.prompts import PROMPTS

SECRET = "sk-very-secret-0123456789"


def test_what_may_pass_is_asked_again(start: Start) -> None:
    passing = [refuse(500, "oops"), refuse(503, "loading"), refuse(429, "slow down"), BadReply([b"{"], cut=True)]
    engine, server = start(lambda request: [*passing, listing()][request.number])
    assert engine.answer(PROMPTS[:1])[0].p_yes > 0.5
    assert len(server.chats) == 5


def test_retries_end(start: Start) -> None:
    engine, server = start(lambda _asked: refuse(500, "out of memory"), retries=2)
    with pytest.raises(EngineError, match="answered 500: out of memory"):
        engine.answer(PROMPTS[:1])
    assert len(server.chats) == 3


@pytest.mark.parametrize("status", [400, 405, 409, 422])
def test_a_refusal_is_not_asked_again(start: Start, status: int) -> None:
    engine, server = start(lambda _asked: refuse(status, "no such field"))
    with pytest.raises(EngineError, match=f"answered {status}: no such field"):
        engine.answer(PROMPTS[:1])
    assert len(server.chats) == 1


def test_retry_after_is_honoured(start: Start) -> None:
    def answer(request: ServerRequest) -> BadReply:
        busy = as_json({"error": {"message": "busy"}}, 429, Retry_After="0.6")
        return busy if request.number == 0 else listing()

    engine, _ = start(answer)
    engine.load()
    started = time.perf_counter()
    engine.answer(PROMPTS[:1])
    assert time.perf_counter() - started >= 0.6


def test_retry_after_is_seconds_or_a_date_and_is_capped() -> None:
    assert _seconds("3") == 3
    assert _seconds("1e9") == 60
    assert _seconds("-4") == 0
    assert 5 < (_seconds(formatdate(time.time() + 10, usegmt=True)) or 0) <= 10
    assert [_seconds(odd) for odd in (None, "", "soon", "nan", "inf")] == [None] * 5


def test_one_prompt_that_always_fails_leaves_the_others(start: Start) -> None:
    engine, _ = start(lambda request: refuse(500, "boom") if "Saw" in request.said else listing(), retries=1)
    handed: dict[int, Answer] = {}
    with pytest.raises(PartialError, match=r"1 of 4 prompts failed; prompt 2: .*boom") as caught:
        engine.answer(PROMPTS, on_answer=handed.__setitem__)
    assert set(caught.value.failures) == {1}
    assert set(handed) == {0, 2, 3}


def test_a_server_that_breaks_down_is_not_asked_for_the_rest(start: Start) -> None:
    engine, server = start(lambda a: listing() if a.number < 3 else refuse(500, "gone"), retries=0, concurrency=2)
    with pytest.raises(PartialError) as caught:
        engine.answer(PROMPTS * 50)
    assert len(caught.value.failures) == 197
    assert len(server.chats) < 12


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = OpenAIEngine(ModelRef("small"), url=f"http://user:word@127.0.0.1:{port}/v1")
    with pytest.raises(EngineError, match=r"cannot be reached.*RALLREC_SERVER_URL") as caught:
        engine.answer(PROMPTS)
    assert not isinstance(caught.value, PartialError)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://host/v1", "http://", "http://[::1/v1", "http://host:many/v1"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(EngineError, match="RALLREC_SERVER_URL"):
        OpenAIEngine(ModelRef("small"), url=url)


def test_an_unknown_model_lists_the_served_ones(start: Start) -> None:
    engine, _ = start(lambda _asked: listing(), served=("large", "larger"))
    with pytest.raises(EngineError, match=r"does not serve the model 'small'\. Expected one of large, larger"):
        engine.load()


def test_a_server_without_a_list_of_models_is_used_all_the_same(start: Start) -> None:
    engine, _ = start(lambda _asked: listing(), served=())
    assert engine.answer(PROMPTS[:1])


@pytest.mark.parametrize("answer", [as_json({"data": "small"}), as_json([]), BadReply([b"hello"])])
def test_a_list_of_models_that_is_none(start: Start, answer: BadReply) -> None:
    with pytest.MonkeyPatch.context() as patch:
        engine, server = start(lambda _asked: listing())
        patch.setattr(server, "_reply", lambda _asked: answer)
        with pytest.raises(EngineError, match="OpenAI-compatible"):
            engine.load()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_but_never_shown(
    start: Start, monkeypatch: pytest.MonkeyPatch, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("MY_KEY", SECRET)
    engine, server = start(
        lambda request: refuse(status, f"bad key {request.headers['authorization']}\n\x1b[31m" + "x" * 10_000),
        key_variable="MY_KEY",
        concurrency=1,
    )
    with pytest.raises(EngineError, match=r"refused the key.*MY_KEY") as caught:
        engine.answer(PROMPTS)
    assert len(server.chats) == 1
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    assert server.chats[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in caplog.text
    assert SECRET not in repr(vars(engine))


def test_the_key_comes_from_the_variable_alone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    for variable, sent in (("OPENAI_API_KEY", SECRET), ("ANOTHER_KEY", "none")):
        engine, server = start(lambda _asked: listing(), key_variable=variable)
        engine.answer(PROMPTS[:1])
        assert {request.headers["authorization"] for request in server.asked} == {f"Bearer {sent}"}
    assert SECRET not in repr(ServerConfig())
    assert os.environ["OPENAI_API_KEY"] == SECRET


@pytest.mark.parametrize("key", ["two words", "schlüssel", "line\nbreak"])
def test_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EngineError, match="OPENAI_API_KEY") as caught:
        OpenAIEngine(ModelRef("small"), url="http://127.0.0.1:1/v1")
    assert key not in str(caught.value)


def test_a_silent_server_is_given_up(start: Start) -> None:
    engine, _ = start(lambda _asked: BadReply(silent=True), timeout=0.3, retries=1)
    with pytest.raises(EngineError, match=r"silent for 0\.3 s"):
        engine.answer(PROMPTS[:1])


def test_a_stream_that_only_gives_signs_of_life_is_given_up(start: Start) -> None:
    engine, _ = start(lambda _asked: BadReply([b": ping\n\n"] * 100, pause=0.05), timeout=0.4, retries=0)
    with pytest.raises(EngineError, match=r"silent for 0\.4 s"):
        engine.reason(PROMPTS[:1], 1, Sampling())


@pytest.mark.parametrize("what", ["answer", "reason", "write", "load"])
def test_stop_is_prompt_while_the_server_is_silent(start: Start, what: str) -> None:
    def answer(request: ServerRequest) -> BadReply:
        tries = "the the" in request.said or request.said == "?"  # whether it continues a turn
        if tries or "Ronin" in request.said:
            return speech("Yes.") if request.streams else listing()
        return BadReply(silent=True)

    engine, server = start(answer, timeout=60)
    if what == "load":
        server._reply = lambda _asked: BadReply(silent=True)  # type: ignore[method-assign]
    handed: list[int] = []
    silent = 1 if what == "load" else 3

    def stop() -> bool:  # once all that can be had was had
        heard = handed == [0] or what in ("load", "write")
        return heard and server.under_way == silent and len(server.asked) >= silent

    call = {
        "reason": partial(engine.reason, PROMPTS, 1, Sampling(), on_trace=lambda n, _t: handed.append(n)),
        "write": partial(engine.write, PROMPTS, Sampling()),
    }.get(what, partial(engine.answer, PROMPTS, on_answer=lambda n, _a: handed.append(n)))
    with pytest.raises(Stopped):
        call(stop=stop)
    until = time.monotonic() + 5
    while server.under_way and time.monotonic() < until:  # the requests are given up, not left behind
        time.sleep(0.02)
    assert server.under_way == 0
    assert handed == ([0] if what in ("answer", "reason") else [])


def test_a_waiting_call_stops_too(start: Start) -> None:
    engine, _ = start(lambda _asked: BadReply(silent=True), timeout=60)
    engine.load()
    done = threading.Event()
    ended: list[type] = []

    def ask() -> None:
        try:
            engine.answer(PROMPTS, stop=done.is_set)
        except Stopped:
            ended.append(Stopped)

    first = threading.Thread(target=ask)
    first.start()
    until = time.perf_counter() + 0.3
    with pytest.raises(Stopped):
        engine.adapted(None).answer(PROMPTS, stop=lambda: time.perf_counter() > until)
    done.set()
    first.join(5)
    assert ended == [Stopped]


def test_the_engine_works_again_after_a_stop_and_after_a_callback_that_raises(start: Start) -> None:
    engine, _ = start(lambda request: BadReply(silent=True) if "Saw" in request.said else listing(), timeout=60)

    def fail(_number: int, _answer: Answer) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError):
        engine.answer(PROMPTS, on_answer=fail)
    handed: list[int] = []
    with pytest.raises(Stopped):
        engine.answer(PROMPTS, on_answer=lambda n, _a: handed.append(n), stop=lambda: len(handed) == 3)
    assert sorted(handed) == [0, 2, 3]
    assert engine.answer(PROMPTS[:1])[0].p_yes == pytest.approx(1 / (1 + 2.718281828 ** (LIKELY[1][1] - LIKELY[0][1])))


def test_callbacks_come_one_at_a_time_from_the_thread_that_asked(start: Start) -> None:
    engine, _ = start(lambda request: speech(*"abcdefgh", pause=0.005) if request.streams else listing())
    inside = threading.Lock()
    threads: set[int] = set()

    def hear(*_what: object) -> None:
        assert inside.acquire(blocking=False)
        threads.add(threading.get_ident())
        time.sleep(0.002)
        inside.release()

    engine.reason(PROMPTS, 3, Sampling(), on_piece=hear, on_trace=hear)
    assert threads == {threading.get_ident()}


def test_the_loop_of_an_engine_that_nobody_has_any_more_is_closed(start: Start) -> None:
    engine, _ = start(lambda _asked: listing())
    engine.load()
    loop = engine._connection.client._loop
    assert loop is not None
    del engine
    until = time.monotonic() + 5
    while not loop.is_closed() and time.monotonic() < until:
        gc.collect()
        time.sleep(0.02)
    assert loop.is_closed()
