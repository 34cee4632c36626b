"""Which prompts a model has answered, what they say, and many chains read together."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text

from backend.types import Message, ModelRef, Sampling
from storage import CachedEngine, Database
from storage.results.answered import answered_prompts, prompt_texts
from tests.storage.storage_fakes import CountingEngine, ask

PLAIN = ModelRef("tiny", "r1")
OTHERS = [
    ModelRef("tiny", "r2"), ModelRef("large", "r1"), ModelRef("tiny", "r1", "adapter"),
    ModelRef("tiny", "r1", None, 512), ModelRef("tiny", "r1", None, None, "int8"),
]  # fmt: skip


def test_only_the_model_s_own_answers_count(database: Database) -> None:
    for number, model in enumerate([PLAIN, *OTHERS]):
        CachedEngine(CountingEngine(model), database).answer([ask(f"prompt {number}"), ask("all")])
    for number, model in enumerate([PLAIN, *OTHERS]):
        found = prompt_texts(database, answered_prompts(database, model))
        assert sorted(found.values()) == [
            "You are a recommender.\nall",
            f"You are a recommender.\nprompt {number}",
        ]


def test_a_prompt_that_was_only_reasoned_about_was_not_answered(cached: CachedEngine, database: Database) -> None:
    cached.reason([ask("a")], 1, Sampling())
    assert answered_prompts(database, PLAIN) == set()


def test_what_is_gone_or_cannot_be_read_is_left_out(cached: CachedEngine, database: Database) -> None:
    cached.answer([(Message("user", "a"),), (Message("user", "b"),)])
    hashes = answered_prompts(database, PLAIN)
    broken = next(key for key, said in prompt_texts(database, hashes).items() if said == "a")
    for messages in ("not JSON", '[{"role": "user"}]', "[7]", "7"):
        with database.session() as session:
            session.execute(text("UPDATE prompts SET messages = :m WHERE hash = :h"), {"m": messages, "h": broken})
        assert prompt_texts(database, {*hashes, "0" * 64}) == dict.fromkeys(hashes - {broken}, "b")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_chains_of_many_prompts_are_those_of_each(cached: CachedEngine, database: Database, count: int) -> None:
    prompts = [ask(f"prompt {number}") for number in range(count)]
    sampling = Sampling(seed=3)
    for prompt in prompts[::2]:
        cached.reason([prompt], [0, 2], sampling)
    expected = [cached.peek_traces(prompt, 3, sampling) for prompt in prompts]
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert cached.peek_all_traces(prompts, 3, sampling) == expected
    assert len([each for each in statements if each.startswith("SELECT")]) == min(count, 1)
