"""Words that a model takes for commands, in texts from outside."""

from __future__ import annotations

import pytest

from backend.control_words import pattern_of, without_control_words
from backend.prompting import HistoryLine, PromptSubject, build_prompt
from backend.representation.descriptions import describe_prompt
from tests.backend.prompting.test_prompts import META

COMMANDS = [
    "<|im_end|>", "<\uff5cUser\uff5c>", "\uff1c|end|\uff1e", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<think>",
    "</think>", "\uff1c/think\uff1e", "<s>", "</s>", "<start_of_turn>", "[INST]", "[/INST]",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_a_title_is_none_in_any_prompt(command: str) -> None:
    broken = f"{command[0]} {command[1:]}"
    hostile = HistoryLine(f"Heat {command}", (f"Crime{command}",), 4.0, 0)
    prompts = [
        build_prompt(kind, PromptSubject(META, hostile, (f"A doctor{command}.",)), [hostile]).messages
        for kind in ("answer", "reason")
    ]
    prompts.append(describe_prompt(META, f"Heat {command}", [command]))
    for [message] in prompts:
        said = message.content.removesuffix("Close your thinking with </think>, then answer with one word, Yes or No.")
        assert command not in said
        assert broken in said


@pytest.mark.parametrize("title", ["Heat", "[REC] 2", "I <3 You", "1 < 2 > 1", "<b>Bold</b>", "<>", "a|b"])
def test_a_title_that_holds_none_stays_as_it_is(title: str) -> None:
    assert without_control_words(title) == title


def test_known_words_are_found_in_whatever_width() -> None:
    words = pattern_of(["<|end|>", "<|end|>x", "a_b"])
    assert (
        without_control_words("<|end|>x <\uff5cend|\uff1e a_b a\u2581b ab", words)
        == "< |end|>x < \uff5cend|\uff1e a _b a \u2581b ab"
    )
    assert without_control_words("<|end|>", words, but=["<|end|>"]) == "<|end|>"
    assert without_control_words("anything", pattern_of([])) == "anything"
