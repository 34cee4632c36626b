"""Words that a model takes for commands, such as ``<|im_end|>``: in texts from outside they are spelt so that they are
none. A title or a review that holds one could end the user's turn, or the model's thinking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Those that are about, whatever the model: <|im_end|>, <｜User｜>, </think>, <s>, <start_of_turn>, [INST].
KNOWN = re.compile(
    r"[<\uff1c](?:[|\uff5c][^<>\uff1c\uff1e\s]{1,40}[|\uff5c]"
    r"|/?(?:s|bos|eos|pad|unk|mask|think|thinking|start_of_turn|end_of_turn|tool_call|tool_response|tools))[>\uff1e]"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_[A-Z]{1,9})\]"
)
# Characters that tokenizers may make the same of.
_ALIKE = ("<\uff1c", ">\uff1e", "|\uff5c", "_\u2581\uff3f")


def without_control_words(text: str, words: re.Pattern[str] = KNOWN, but: Iterable[str] = ()) -> str:
    """Returns the text with a space in each of ``words``, so that no tokenizer reads it as one, ``but`` for these."""
    return words.sub(lambda found: found[0] if found[0] in but else f"{found[0][0]} {found[0][1:]}", text)


def looks_like_one(word: str) -> bool:
    """Returns whether a tokenizer's word stands in brackets, as its commands do."""
    return len(word) > 2 and word[0] in "<\uff1c[" and word[-1] in ">\uff1e]"


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """Returns a pattern of these control words, in whatever width their brackets and bars are written."""
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join("".join(map(_in_any_width, word)) for word in longest_first) or r"(?!)")


def _in_any_width(character: str) -> str:
    return next((f"[{alike}]" for alike in _ALIKE if character in alike), re.escape(character))
