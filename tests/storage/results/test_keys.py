"""Cache keys: a property over everything that a key covers."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engines import SCRIPTED
from backend.types import Answer, Message, ModelRef, Sampling, Trace
from storage.results.keys import (
    answer_checksum,
    answer_key,
    answer_options,
    is_known,
    messages_json,
    prompt_hash,
    stored_model,
    trace_checksum,
    trace_key,
    trace_options,
    unknown_of,
)

# Few and awkward values, so that equal and nearly equal requests both come up.
texts = st.sampled_from(["", "a", "b", "ab", '"', "null", "None", "é", "e\u0301", "日本"])
messages = st.lists(st.builds(Message, st.sampled_from(["system", "user"]), texts), max_size=3).map(tuple)
models = st.builds(
    ModelRef,
    texts,
    texts,
    st.none() | texts,
    st.none() | st.sampled_from([512, 1024]),
    st.none() | texts,
    st.none() | texts,
    st.none() | st.sampled_from([1, 2]),
    st.none() | texts,
)
samplings = st.builds(
    Sampling,
    st.sampled_from([0.6, 0.60001, 1.0, 1]),
    st.sampled_from([0.95, 1.0]),
    st.sampled_from([1, 128]),
    st.sampled_from([0, 1, 2**62]),
)
answers = st.tuples(st.just("answer"), models, messages)
traces = st.tuples(st.just("trace"), models, messages, samplings, st.integers(0, 3))


def key_of(request: tuple) -> str:
    kind, model, prompt, *rest = request
    hashed = prompt_hash(messages_json(prompt))
    return answer_key(model, hashed) if kind == "answer" else trace_key(model, hashed, *rest)


@given(answers | traces, answers | traces)
def test_two_requests_share_a_key_only_if_they_are_the_same(first: tuple, second: tuple) -> None:
    assert (key_of(first) == key_of(second)) == (first == second)


@pytest.mark.parametrize(
    "option",
    [
        {"temperature": 0.7},
        {"top_p": 0.9},
        {"max_tokens": 64},
        {"seed": 1},
    ],
)
def test_each_decoding_option_changes_the_key(option: dict) -> None:
    model, prompt = ModelRef("tiny"), prompt_hash(messages_json((Message("user", "hi"),)))
    assert {field.name for field in fields(Sampling)} == {"temperature", "top_p", "max_tokens", "seed"}
    assert trace_key(model, prompt, Sampling(), 0) != trace_key(model, prompt, Sampling(**option), 0)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_spelling_is_fixed() -> None:
    """Changing any of these would orphan every stored result."""
    text = messages_json((Message("user", "héllo"),))
    assert text == '[{"content":"héllo","role":"user"}]'
    assert prompt_hash(text) == "532a996701783aab92ae56865c1737f109a3b9942e98c1838a3bea2501b9074c"
    plain = ModelRef("tiny")
    assert answer_options(plain) == "{}"
    assert trace_options(plain, Sampling(temperature=1)) == '{"max_tokens":128,"temperature":1.0,"top_p":0.95}'
    tight = ModelRef("tiny", context=512, quantized="int8")
    assert answer_options(tight) == '{"context":512,"quantized":"int8"}'
    assert (
        trace_options(tight, Sampling())
        == '{"context":512,"max_tokens":128,"quantized":"int8","temperature":0.6,"top_p":0.95}'
    )
    assert answer_key(ModelRef("tiny", "r1"), "p") == sha256(
        '{"adapter":null,"kind":"answer","model":"tiny","options":"{}","prompt":"p","revision":"r1",'
        '"sample_index":null,"seed":null}'
    )
    assert trace_key(ModelRef("tiny", "r1", "lora"), "p", Sampling(seed=5), 3) == sha256(
        '{"adapter":"lora","kind":"trace","model":"tiny",'
        r'"options":"{\"max_tokens\":128,\"temperature\":0.6,\"top_p\":0.95}",'
        '"prompt":"p","revision":"r1","sample_index":3,"seed":5}'
    )


def test_keys_and_checksums_of_results_stored_before_lines_were_dropped_still_fit() -> None:
    """Written down from the version that knew neither a model's context nor dropped lines."""
    model = ModelRef("tiny", "r1", "lora")
    prompt = prompt_hash(messages_json((Message("system", "You are a recommender."), Message("user", "héllo"))))
    assert prompt == "201f972b7a3399afe75da390ec505790da10ba0d3187924f4c5ab5363b2cf9ed"
    answered = "c9a2da14b6c1e6fbd5b72969edb39ee1c0176bf7353adeafb5e04957cf93d20d"
    drawn = "7e0098f44b93ff0dc6449138dab86f619e9bd8f7680b889c140ace48e4429beb"
    assert answer_key(model, prompt) == answered
    assert trace_key(model, prompt, Sampling(0.7, 0.9, 64, 5), 3) == drawn
    assert (
        answer_checksum(answered, Answer(0.625, 7, 0.25))
        == "4040aec6df3d6b0cfeb6dd7f3bee0b10dbf2bd1d9c6017271254f4f41293981b"
    )
    assert (
        trace_checksum(drawn, Trace(3, "chain 3 ✓\n</think>\nYes", 0.375, 5, 0.5, "stop"))
        == "b08e5762336fddce783ace9d4069897a16ddc9bba195f1e0e969b37db02d3822"
    )


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (ModelRef("tiny", precision="float32", reading=1), '{"precision":"float32","reading":1}'),
        (ModelRef("tiny", reading=2, server="gpu1:8000"), '{"reading":2,"server":"gpu1:8000"}'),
    ],
)
def test_what_a_model_is_known_by_is_in_its_keys(model: ModelRef, options: str) -> None:
    assert answer_options(model) == options
    assert is_known(model)
    assert unknown_of(model) == ModelRef("tiny")


@pytest.mark.parametrize("model", [ModelRef("tiny"), SCRIPTED, replace(SCRIPTED, adapter="mine")])
def test_nothing_else_is_known_of_a_model_without_a_precision_nor_of_made_up_answers(model: ModelRef) -> None:
    assert unknown_of(model) is None
    assert is_known(model) == (model.name == SCRIPTED.name)


def test_what_may_be_dropped_is_no_part_of_a_prompts_hash() -> None:
    plain, marked = (messages_json((Message("user", "abc", spans),)) for spans in ((), ((0, 1),)))
    assert plain == marked


@given(models, samplings)
def test_a_rows_columns_tell_its_model(model: ModelRef, sampling: Sampling) -> None:
    for options in (answer_options(model), trace_options(model, sampling)):
        assert stored_model(model.name, model.revision, model.adapter, options) == model


@pytest.mark.parametrize(
    "options",
    [
        "", "[]", "null", "{", '{"context": [], "quantized": 4}', '{"context": "512"}',
        '{"precision": 1, "reading": "1", "server": {}}',
    ],
)  # fmt: skip
def test_options_that_were_damaged_name_the_plain_model(options: str) -> None:
    assert stored_model("tiny", "r1", None, options) == ModelRef("tiny", "r1")


def test_a_checksum_covers_each_field_and_the_key() -> None:
    answer = Answer(0.5, 7, 0.25)
    others = [Answer(0.6, 7, 0.25), Answer(0.5, 8, 0.25), Answer(0.5, 7, 0.5)]
    others += [Answer(0.5, 7, 0.25, dropped) for dropped in (1, 2)]
    assert len({answer_checksum("k", result) for result in [answer, *others]} | {answer_checksum("l", answer)}) == 7
    trace = Trace(0, "a", 0.5, 1, 0.25, "stop")
    others_ = [
        Trace(0, "b", 0.5, 1, 0.25, "stop"),
        Trace(0, "a", 0.6, 1, 0.25, "stop"),
        Trace(0, "a", 0.5, 2, 0.25, "stop"),
        Trace(0, "a", 0.5, 1, 0.5, "stop"),
        Trace(0, "a", 0.5, 1, 0.25, "length"),
        Trace(0, "a", 0.5, 1, 0.25, "stop", 1),
    ]
    assert len({trace_checksum("k", result) for result in [trace, *others_]} | {trace_checksum("l", trace)}) == 8
