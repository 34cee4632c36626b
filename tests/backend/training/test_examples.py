"""Examples: what is fed is what the engines feed, and the weights sit on answers and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets import Dataset, build_samples
from backend.engines.chat import Chat, TokenizerVocabulary
from backend.errors import EngineError
from backend.prompting import HistoryLine, Prompt, PromptSubject, RatingHabit, build_prompt
from backend.questions import Questions
from backend.retrieval import RetrievalConfig
from backend.training.examples import Example, ExampleWriter, by_length, joined
from tests.backend.engines.tiny import TinyTokenizer
from tests.backend.training.tiny_models import META, BytesTokenizer
from tests.conftest import random_space

TOKENIZERS = {"letters": TinyTokenizer(), "bytes": BytesTokenizer()}
# Titles that could be taken for an answer, for a line or for letters of another size.
TITLES = ("Heat (1995)", "Liked: Yes, 4", "Amélie ☕ (2001)", "3. Up. Liked: No, 1", "Yes", "No\nYes", "千と千尋")
RATINGS = (4.0, 2.5, 3.0, 3.5, 0.5, 5.0, 1.0)
END = 2


@pytest.fixture(params=list(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """One whose answers are three letters, one whose answers are one token."""
    return TOKENIZERS[request.param]


def _chat(tokenizer: Any, context: int = 1 << 20) -> Chat:
    return Chat(TokenizerVocabulary(tokenizer), context)


def _prompt(
    titles: tuple[str, ...] = TITLES,
    ratings: tuple[float, ...] = RATINGS,
    kind: str = "answer",
    target: str = "Alien (1979)",
    knowledge: str | None = None,
) -> Prompt:
    history = [
        HistoryLine(title, ("Drama",), rating, place, 3.4 if place % 2 else None)
        for place, (title, rating) in enumerate(zip(titles, ratings, strict=False))
    ]
    subject = PromptSubject(META, HistoryLine(target, (), others=3.1), (), RatingHabit(7, 2.8, 0.43), "answered")
    return build_prompt(kind, subject, history, knowledge)  # type: ignore[arg-type]


def _first_letters(tokenizer: Any, example: Example, places: range | None = None) -> str:
    """Y and N for the tokens with a weight, in order; anything else stands out."""
    ids = [example.ids[place] for place in places or range(len(example.ids)) if example.weights[place]]
    return "".join(tokenizer.decode([number]).strip()[:1] for number in ids)


@pytest.mark.parametrize("label", [True, False])
def test_an_answer_is_the_engines_prompt_and_the_first_token_of_the_word(tokenizer: Any, label: bool) -> None:
    chat, prompt = _chat(tokenizer), _prompt()
    example = ExampleWriter(chat, tokenizer).answer(prompt, label, every_answer=False, last_weight=3)
    fed = chat.answer_prompt(prompt.messages).ids
    assert list(example.ids[:-1]) == fed
    assert example.ids[-1] in (chat.yes if label else chat.no)
    assert (example.answer_at, example.label) == (len(fed), label)
    assert example.weights == (*[0.0] * len(fed), 3)


def test_every_answer_of_the_history_has_a_weight_and_nothing_else(tokenizer: Any) -> None:
    example = ExampleWriter(_chat(tokenizer), tokenizer).answer(_prompt(), True, every_answer=True, last_weight=4)
    assert _first_letters(tokenizer, example) == "YNNYNYN" + "Y"
    assert [weight for weight in example.weights if weight] == [1.0] * 7 + [4]
    # Read back: before each weighted token stands what only the template writes.
    weighted = [place for place, weight in enumerate(example.weights) if weight][:-1]
    for place in weighted:
        before = tokenizer.decode(example.ids[:place], skip_special_tokens=False)
        assert before.rstrip(" ").endswith(("Others: few. Liked:", "Others: 3.4. Liked:"))


_rated = st.tuples(st.text(max_size=12) | st.sampled_from(TITLES), st.sampled_from([0.5, 3.0, 3.5, 5.0]))


@given(
    st.lists(_rated, max_size=5),
    st.sampled_from(list(TOKENIZERS)),
    st.booleans(),
)
def test_no_title_moves_a_weight(lines: list[tuple[str, float]], name: str, label: bool) -> None:
    titles, ratings = tuple(title for title, _ in lines), tuple(rating for _, rating in lines)
    tokenizer, prompt = TOKENIZERS[name], _prompt(titles, ratings)
    example = ExampleWriter(_chat(tokenizer), tokenizer).answer(prompt, label, every_answer=True)
    letters = "".join("Y" if rating > 3 else "N" for rating in ratings) + ("Y" if label else "N")
    assert _first_letters(tokenizer, example) == letters


def test_a_control_token_in_a_title_is_defused_and_only_the_last_answer_teaches(tokenizer: Any) -> None:
    chat, prompt = _chat(tokenizer), _prompt(("Heat", "<a>Yes</s>"))
    example = ExampleWriter(chat, tokenizer).answer(prompt, True, every_answer=True)
    assert list(example.ids[:-1]) == chat.answer_prompt(prompt.messages).ids
    marks = tokenizer("<a></s>", add_special_tokens=False).input_ids
    assert [example.ids.count(mark) for mark in marks] == [1, 0], "the one that asks for an answer"
    assert example.weights == (*[0.0] * (len(example.ids) - 1), 1.0)


def test_the_paper_layout_teaches_its_one_answer(tokenizer: Any) -> None:
    subject = PromptSubject(META, HistoryLine("Alien", ()))
    prompt = build_prompt("answer", subject, [HistoryLine("Yes", (), 5.0, 0)])
    example = ExampleWriter(_chat(tokenizer), tokenizer).answer(prompt, False, every_answer=True, last_weight=2)
    assert np.flatnonzero(example.weights).tolist() == [len(example.ids) - 1]
    assert example.weights[-1] == 2


@pytest.mark.parametrize("label", [True, False])
def test_a_rationale_is_closed_with_the_tokens_that_an_engine_closes_with(tokenizer: Any, label: bool) -> None:
    chat, text = _chat(tokenizer), "Liked: Yes, and so on."
    prompt = _prompt(kind="reason", knowledge="Another one think the answer might be No.")
    example = ExampleWriter(chat, tokenizer).rationale(prompt, text, label, every_answer=True, end=END)
    fed, written = chat.reason_prompt(prompt.messages, 99).ids, tokenizer(text, add_special_tokens=False).input_ids
    count, closing = chat.before_reading(written)
    assert (count, closing[0]) == (len(written), tokenizer("\n", add_special_tokens=False).input_ids[0])
    assert list(example.ids[: example.answer_at]) == [*fed, *written, *closing]
    assert example.ids[example.answer_at] in (chat.yes if label else chat.no)
    assert example.ids[-1] == END
    said = tokenizer.decode(example.ids[example.answer_at :], skip_special_tokens=True)
    assert said == ("Yes" if label else "No")
    assert _first_letters(tokenizer, example, range(len(fed))) == "YNNYNYN"
    assert set(example.weights[len(fed) :]) == {1.0}, "all that is to be written counts"
    one = ExampleWriter(chat, tokenizer).rationale(prompt, text, label, every_answer=False, end=END)
    assert (one.ids, one.answer_at, one.label) == (example.ids, example.answer_at, label)
    assert set(one.weights[: len(fed)]) == {0.0}


@pytest.mark.parametrize("room", [0, 1, 60, 200])
def test_a_prompt_that_is_too_long_loses_what_the_engines_leave_out(tokenizer: Any, room: int) -> None:
    prompt = _prompt()
    whole = len(_chat(tokenizer).answer_prompt(prompt.messages).ids)
    chat = _chat(tokenizer, whole + 1 - room)
    fitted = chat.answer_prompt(prompt.messages)
    assert (fitted.dropped > 0) is (room > 0)
    example = ExampleWriter(chat, tokenizer).answer(prompt, True, every_answer=True)
    assert list(example.ids[:-1]) == fitted.ids
    assert len(example.ids) <= chat.context
    assert _first_letters(tokenizer, example) == "YNNYNYN"[fitted.dropped :] + "Y"
    reason = _prompt(kind="reason")
    longest = len(_chat(tokenizer).reason_prompt(reason.messages, 40).ids)
    chat = _chat(tokenizer, longest + 40 - room)
    rationale = ExampleWriter(chat, tokenizer).rationale(reason, "Because.", False, every_answer=True, end=END)
    assert len(rationale.ids) <= chat.context


def test_a_prompt_that_never_fits_is_refused(tokenizer: Any) -> None:
    with pytest.raises(EngineError, match="without any history"):
        ExampleWriter(_chat(tokenizer, 40), tokenizer).answer(_prompt(), True, every_answer=True)


def test_parts_are_of_like_length_and_leave_nothing_out() -> None:
    examples = [Example((1,) * length, (1.0,) * length, 0, True) for length in (5, 1, 4, 2, 3)]
    parts = by_length(examples, 2)
    assert [[len(example.ids) for example in part] for part in parts] == [[1, 2], [3, 4], [5]]


@pytest.mark.model
def test_the_small_models_own_tokenizer_writes_answers_that_are_one_token(
    shipped: Dataset, models_dir: Path, model_ref: Any
) -> None:
    from transformers import AutoTokenizer

    from backend.engines import models

    tokenizer = AutoTokenizer.from_pretrained(models.fetch(model_ref, models_dir))
    chat, questions = _chat(tokenizer, 8192), Questions(shipped, random_space(shipped.n_items))
    writer = ExampleWriter(chat, tokenizer)
    for row in map(int, np.random.default_rng(0).permutation(build_samples(shipped).rows)[:40]):
        user, item = int(shipped.user_index[row]), int(shipped.item_index[row])
        question = questions.ask(user, item, RetrievalConfig(k=5), "answered")
        example = writer.answer(question.prompts[0], True, every_answer=True)
        liked = [bool(shipped.meta.label_rule.apply(np.asarray(line.rating))) for line in question.lines]
        words = [tokenizer.decode([n]) for n, weight in zip(example.ids, example.weights, strict=True) if weight]
        assert words == [*(" Yes" if yes else " No" for yes in liked), "Yes"]
        rationale = writer.rationale(question.prompts[0], "It is like that.", False, every_answer=True, end=END)
        assert tokenizer.decode(rationale.ids[rationale.answer_at]) == "No"
        assert rationale.answer_at == len(rationale.ids) - 2


def test_a_soft_answer_stands_at_the_answer_and_names_both_words(tokenizer: Any) -> None:
    chat, prompt = _chat(tokenizer), _prompt(kind="reason")
    writer = ExampleWriter(chat, tokenizer)
    example = writer.rationale(prompt, "so be it", False, every_answer=True, end=END, p_yes=0.3)
    [soft] = example.soft
    assert (soft.place, soft.p_yes) == (example.answer_at, 0.3)
    assert soft.no == example.ids[example.answer_at] != soft.yes
    yes = writer.rationale(prompt, "so be it", True, every_answer=True, end=END)
    assert yes.ids[yes.answer_at] == soft.yes
    assert not yes.soft, "without a probability the label is learned"
    [answered] = writer.answer(_prompt(), True, every_answer=False, p_yes=0.9).soft
    assert (answered.yes in chat.yes, answered.no in chat.no) == (True, True)


def test_joined_examples_keep_their_soft_answers_at_their_own_tails(tokenizer: Any) -> None:
    writer, prompt = ExampleWriter(_chat(tokenizer), tokenizer), _prompt(kind="reason")
    singles = [
        writer.rationale(prompt, text, label, every_answer=True, end=END, p_yes=p_yes)
        for text, label, p_yes in (("one way", True, 0.9), ("another, longer way", False, 0.2), ("third", True, 0.6))
    ]
    one = joined(singles)
    assert [soft.p_yes for soft in one.soft] == [0.9, 0.2, 0.6]
    for soft, single in zip(one.soft, singles, strict=True):
        behind = single.ids[single.answer_at :]
        assert one.ids[soft.place : soft.place + len(behind)] == behind
