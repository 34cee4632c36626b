"""Probabilities and texts out of what a server sent. Nothing in it is trusted: a wrong type is a clear error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.engines.chat import ANSWERS, Chance, chance_of_two, counted
from backend.errors import EngineError

_TOKEN_ID = "token_id:"
# Float32 sums are not exact: a log probability may end a little above 0.
_SLACK = 1e-3
# Below this a log probability is a server's word for impossible: null, minus infinity, the lowest float32.
_IMPOSSIBLE = -1e6
# How lists of tokens write the space before a word.
_SPACES = str.maketrans({"\u2581": " ", "\u0120": " "})
_NONE = (-math.inf,)
# Why a text ended, in the words of servers and of :data:`backend.types.NO_CHAIN`.
_NO_CHAIN = {"content_filter": "filter", "tool_calls": "tool", "function_call": "tool"}


class Unreadable(EngineError):
    """An answer that holds no P(yes). ``listed``: whether it listed probabilities at all."""

    def __init__(self, problem: str, *, listed: bool, fix: str | None = None) -> None:
        super().__init__(problem, expected="log probabilities of the answers Yes and No", fix=fix)
        self.listed = listed


@dataclass
class Event:
    """What one event of a stream, or one whole answer, says."""

    content: str = ""
    reasoning: str = ""
    tokens: list[int] | None = None
    finish: str | None = None
    usage: dict[str, int] | None = None


def first_choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the answer's first choice; empty where it has none."""
    choices = answer.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def usage(answer: Mapping[str, Any]) -> dict[str, int]:
    """Returns the numbers of tokens, as far as the answer tells them and they are numbers."""
    told = answer.get("usage")
    if not isinstance(told, dict):
        return {}
    return {name: count for name, count in told.items() if type(count) is int and 0 <= count < 2**31}


def read_event(answer: Mapping[str, Any]) -> Event:
    """Read an event of ``/completions`` or ``/chat/completions``. Nothing in it is trusted, and nothing is raised."""
    choice = first_choice(answer)
    said = next((part for part in (choice.get("delta"), choice.get("message")) if isinstance(part, dict)), {})
    tokens = choice.get("token_ids")
    whole = isinstance(tokens, list) and all(type(token) is int and token >= 0 for token in tokens)
    return Event(
        content=_text(said.get("content")) or _text(choice.get("text")),
        reasoning=_text(said.get("reasoning_content")) or _text(said.get("reasoning")),
        tokens=tokens if whole else None,
        finish=_text(choice.get("finish_reason")) or None,
        usage=usage(answer) or None,
    )


def token_logprobs(answer: Mapping[str, Any]) -> dict[int, float]:
    """Returns log probabilities by token id, of the one token of a ``/completions`` answer. Raises ``Unreadable``."""
    logprobs = first_choice(answer).get("logprobs")
    listed = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
    top = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    return {
        int(name.removeprefix(_TOKEN_ID)): _logprob(value)
        for name, value in top.items()
        if name.startswith(_TOKEN_ID) and name.removeprefix(_TOKEN_ID).isdecimal()
    }


def listed_logprobs(answer: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Returns the likeliest first tokens of a ``/chat/completions`` answer. Raises ``Unreadable`` without any."""
    logprobs = first_choice(answer).get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}
    top = first.get("top_logprobs")
    listed = [
        (entry["token"], _logprob(entry.get("logprob")))
        for entry in (top if isinstance(top, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("token"), str)
    ]
    if not listed:
        raise Unreadable("The answer lists no log probabilities", listed=False)
    return listed


def chance(listed: Iterable[tuple[str, float]]) -> Chance:
    """Returns P(yes), a softmax over the two answers, each the sum of its listed spellings, and the mass behind it.

    An answer that is not listed is at most as likely as the least likely token listed: that bound stands for it in
    P(yes), and nothing in the mass. Raises ``Unreadable`` where neither is listed with any probability.
    """
    listed = list(listed)
    words = {word: [(_word(token), value) for token, value in listed if _word(token).casefold() == word.casefold()]
             for word in ANSWERS}  # fmt: skip
    usual = [[value for said, value in words[word] if said == word] for word in ANSWERS]
    others = [[value for said, value in words[word] if said != word] for word in ANSWERS]
    yes, no = counted(*usual, *others)
    if max([*yes, *no], default=-math.inf) == -math.inf:
        shown = ", ".join(repr(token[:20]) for token, _ in listed[:5])
        raise Unreadable(
            f"Neither Yes nor No is among the {len(listed)} likeliest first tokens ({shown})",
            listed=True,
            fix="choose a model that answers without thinking first, or serve it with vLLM",
        )
    bound = [min(value for _, value in listed)]
    return Chance(chance_of_two(yes or bound, no or bound).p_yes, chance_of_two(yes or _NONE, no or _NONE).mass)


def finish_reason(told: str) -> str:
    """Returns a server's ``finish_reason`` as :class:`backend.types.Trace` has it; an unknown one counts as its end."""
    return _NO_CHAIN.get(told, "length" if told == "length" else "stop")


def _word(token: str) -> str:
    """Returns a listed token without the space before it, however that is written."""
    return token.translate(_SPACES).strip()


def _logprob(value: object) -> float:
    if value is None:
        return -math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value <= _SLACK:
        raise Unreadable(f"A log probability is {str(value)[:40]!r}", listed=True, fix="look at the server's log")
    return float(value) if value >= _IMPOSSIBLE else -math.inf


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
