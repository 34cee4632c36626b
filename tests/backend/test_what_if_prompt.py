"""A prompt edited by hand: who gets it, what can be sent, and that nothing is lost of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.errors import UsageError
from backend.pipeline import Pipeline, Recipe
from backend.record import prediction_record
from backend.types import Answer
from backend.what_if import MAX_PROMPT, Edits


@pytest.mark.parametrize("edits", [{}, {"hint": "no"}, {"settings": {"knowledge": "none"}}])
def test_an_edited_prompt_is_what_the_reasoner_gets_and_the_tuned_model_does_not(
    pipeline: Pipeline, edits: dict[str, Any]
) -> None:
    user, item = int(pipeline.dataset.user_index[-1]), int(pipeline.dataset.item_index[-1])
    prompt_edits = Edits.model_validate(edits | {"prompt": " Will they?\r\n\tSay {{ Yes }} or No.\n"})
    recipe = Recipe().replacing(**prompt_edits.settings)
    question, plain = (
        pipeline.question(user, item, recipe, one) for one in (prompt_edits, Edits.model_validate(edits))
    )
    assert question.prompts == plain.prompts
    # It waits for no hint, and M_G's answer does not change it.
    nothing = pipeline.with_answers(pipeline.unasked(question, recipe), (None, None, None))
    done = pipeline.with_answers(nothing, [Answer(0.9, 9, 0.1)] * 3)
    for said in (nothing.reason_prompt, done.reason_prompt):
        assert said is not None
        assert (said.text, said.knowledge_span, said.droppable) == ("Will they?\n\tSay {{ Yes }} or No.", None, ())
        assert said.messages[0].role == "user"
    written = pipeline.with_answers(pipeline.unasked(plain, recipe), [Answer(0.9, 9, 0.1)] * 3).reason_prompt
    assert done.written_prompt == written
    record = prediction_record(pipeline, done, cached=False)
    assert record["prompt"] == prompt_edits.prompt == record["edits"]["prompt"]
    assert Edits.read(prompt_edits.canonical) == prompt_edits


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has 0 characters"),
        (" \n\t ", "it has 0 characters"),
        ("x" * (MAX_PROMPT + 1), f"it has {MAX_PROMPT + 1} characters"),
        ("ab\u0000c", r"character 3 is the control character U\+0000"),
        ("a\u001b[31m", r"character 2 is the control character U\+001B"),
        ("a\u0085b", r"control character U\+0085"),
        (7, "valid string"),
    ],
)
def test_a_prompt_that_cannot_be_sent_is_refused_with_one_clear_error(text: Any, said: str) -> None:
    for spelt in ({"prompt": text}, json.dumps({"prompt": text})):
        with pytest.raises(UsageError, match=f"The edited prompt cannot be used: .*{said}") as told:
            Edits.read(spelt)
        assert f"1 to {MAX_PROMPT} characters" in str(told.value)
        assert len(str(told.value)) < 400


def test_a_prompt_as_long_as_may_be_and_of_any_script_is_taken() -> None:
    for text in ("x" * MAX_PROMPT, "だめ？ ‮ \ue000 <think>"):
        assert Edits.read({"prompt": text}).prompt == text
