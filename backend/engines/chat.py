"""From messages to the tokens a chat model sees, and from its tokens to an answer: all that depends on a tokenizer.

Shared by the engines that feed tokens (in-process or to a server that tells its tokenizer), so that each asks the same
question. Imports no model library: what it needs of a tokenizer is a :class:`Vocabulary`.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from backend.control_words import looks_like_one, pattern_of, without_control_words
from backend.engines.base import THINK_CLOSE, THINK_OPEN
from backend.errors import EngineError, PartialError
from backend.types import Message, Messages

T = TypeVar("T")
P = TypeVar("P")
# How a prompt is written as a chat, and how and where P(yes) is read. It is a part of what results are kept under:
# whoever changes either so that a model would be shown other tokens, or another number would be read, raises it.
READING = 1
ANSWERS = ("Yes", "No")
# What can stand before an answer; some tokenizers write the word differently after each.
_BEFORE_ANSWER = ("", " ", "\n")
# Other ways to write both answers; see :func:`counted`.
_OTHER_CASES: tuple[Callable[[str], str], ...] = (str.lower, str.upper)
# Between the end of the thinking and the answer.
_GAP = "\n\n"
_PROBE = "4c1f"
# In a chain they are what it says, and prompts speak of them.
_MARKS = (THINK_OPEN.strip(), THINK_CLOSE)


class Chance(NamedTuple):
    """What is read at an answer position: P(yes), and the ``mass`` behind it (:class:`backend.types.Answer`)."""

    p_yes: float
    mass: float


class Vocabulary(Protocol):
    """A tokenizer with its chat template."""

    @property
    def control_tokens(self) -> Sequence[str]:
        """The spellings that a model takes for commands."""
        ...

    def encode(self, text: str) -> list[int]:
        """Returns the token ids of ``text`` as it stands; nothing is added."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Returns the text of tokens that a model wrote, without control tokens, with the marks of thinking."""
        ...

    def render(self, chat: list[dict[str, str]], *, thinking: bool) -> str:
        """Returns the chat up to where the model speaks. Templates may ask for ``thinking``. Raises what they raise."""
        ...


class TokenizerVocabulary:
    """A Hugging Face ``tokenizer`` (``PreTrainedTokenizer``), as transformers loads it and as vLLM hands it out."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added = {int(number): token for number, token in tokenizer.added_tokens_decoder.items()}
        special = {number: str(token) for number, token in added.items() if token.special}
        # Not all commands are marked as special: those that look like one are taken for one.
        commands = (str(token) for token in added.values() if token.special or looks_like_one(str(token)))
        self.control_tokens = tuple(dict.fromkeys(commands))
        # Some tokenizers count the marks of thinking among the control tokens.
        self._unsaid = {number for number, token in special.items() if token not in _MARKS}

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([token for token in tokens if token not in self._unsaid]))

    def render(self, chat: list[dict[str, str]], *, thinking: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=False, enable_thinking=thinking
            )
        )


@dataclass(frozen=True)
class FittedPrompt:
    """Token ids that fit a context; ``dropped`` of the oldest history lines were left out for that."""

    ids: list[int]
    dropped: int


@dataclass(frozen=True)
class FittedChain(FittedPrompt):
    """A prompt with a chain's text behind it, up to the answer position; ``tokens`` of it are the text."""

    tokens: int


class FittedPrompts(Generic[P, T]):
    """The prompts of a call as they are fed (``fit``: a method of :class:`Chat`), made one by one when iterated over.

    Iterating gives the place in the call and the fitted prompt of each that can be fed; the others become failures.
    """

    def __init__(self, prompts: Sequence[P], fit: Callable[[P], T]) -> None:
        self._prompts, self._fit = prompts, fit
        self.failures: dict[int, EngineError] = {}

    def __iter__(self) -> Iterator[tuple[int, T]]:
        for number, prompt in enumerate(self._prompts):
            try:
                fitted = self._fit(prompt)
            except EngineError as error:
                self.failures[number] = error
            else:
                yield number, fitted

    def raise_failures(self) -> None:
        """Raise what failed, once the other prompts are done: see :func:`raise_failures`."""
        raise_failures(self.failures, len(self._prompts))


def raise_failures(failures: Mapping[int, EngineError], prompts: int) -> None:
    """Raise nothing without failures, the error itself where there is one prompt in all, else ``PartialError``."""
    if prompts == 1 and failures:
        raise failures[0]
    if failures:
        problems = {number: error.problem for number, error in failures.items()}
        raise PartialError(problems, prompts, fix=next(iter(failures.values())).fix)


class Chat:
    """A model's chat format. ``context``: tokens that a prompt and what is written after it may take together.

    Raises ``EngineError`` for a tokenizer without a chat template, or one whose two answers begin alike.
    """

    def __init__(self, vocabulary: Vocabulary, context: int) -> None:
        self._words = vocabulary
        self.context = context
        (self.yes, self.no), (self.other_yes, self.other_no) = _answer_tokens(vocabulary)

    def answer_prompt(self, messages: Messages) -> FittedPrompt:
        """Returns the question up to the answer position. Thinking that the template opens is closed at once."""
        return self._fit(messages, 1, self.ask_answer)

    def reason_prompt(self, messages: Messages, max_tokens: int) -> FittedPrompt:
        """Returns the question with the thinking opened; it leaves room for a chain and its closing."""
        return self._fit(messages, max_tokens + len(self._closing) + 1, self.ask_chain)

    def write_prompt(self, messages: Messages, max_tokens: int) -> FittedPrompt:
        """Returns the request for a text; it leaves room for the text."""
        return self._fit(messages, max_tokens, lambda some: self._render(some, thinking=False))

    def read_prompt(self, chain: tuple[Messages, str], max_tokens: int) -> FittedChain:
        """Returns the question with a chain's text behind it, up to the answer position: as if it had been drawn."""
        messages, text = chain
        prompt, tokens = self.reason_prompt(messages, max_tokens), self._words.encode(text)
        kept, closing = self.before_reading(tokens)
        return FittedChain([*prompt.ids, *tokens[:kept], *closing], prompt.dropped, len(tokens))

    def text(self, tokens: Sequence[int]) -> str:
        """Returns what a chain says, without the ``<think>`` that some models repeat."""
        return self._words.decode(tokens).removeprefix(THINK_OPEN.strip()).removeprefix("\n")

    def before_reading(self, tokens: Sequence[int]) -> tuple[int, list[int]]:
        """Returns how many of a chain's tokens are the reasoning itself, and the ids that lead from it to the answer.

        A chain that closed its thinking is cut right after its last ``</think>``; an open one is closed.
        """
        decode = self._words.decode
        closings = decode(tokens).count(THINK_CLOSE)
        if not closings:
            return len(tokens), self._closing

        def holds_all(length: int) -> bool:
            return decode(tokens[:length]).count(THINK_CLOSE) == closings

        # The shortest beginning that holds the last </think>, as the worded verdict does.
        return 1 + bisect_left(range(1, len(tokens)), True, key=holds_all), self._gap

    def p_yes(self, logprobs: Mapping[int, float]) -> float:
        """Returns P(yes) from log probabilities or logits, at least of :attr:`answer_ids`.

        An answer sums its spellings (:func:`counted`). Raises ``EngineError`` where neither has any probability.
        """
        return softmax_of_two(*self._of_answers(logprobs))

    def chance(self, logprobs: Mapping[int, float]) -> Chance:
        """Returns P(yes) and the mass behind it, from log probabilities over the vocabulary (:meth:`p_yes`)."""
        return chance_of_two(*self._of_answers(logprobs))

    def _of_answers(self, logprobs: Mapping[int, float]) -> tuple[list[float], list[float]]:
        spellings = self.yes, self.no, self.other_yes, self.other_no
        return counted(*([logprobs[token] for token in tokens] for tokens in spellings))

    @property
    def answer_ids(self) -> list[int]:
        """Every token that is an answer."""
        return [*self.yes, *self.no, *self.other_yes, *self.other_no]

    def written(self, rationale: str, answer: bool) -> list[int]:
        """Returns the tokens of a chain as a model is taught to write it: ``rationale``, its closing, the answer."""
        word = ANSWERS[0] if answer else ANSWERS[1]
        return self._words.encode(rationale) + self._words.encode(f"\n{THINK_CLOSE}{_GAP}{word}")

    @cached_property
    def _closing(self) -> list[int]:
        return self._before_answer(f"\n{THINK_CLOSE}{_GAP}")

    @cached_property
    def _gap(self) -> list[int]:
        return self._before_answer(_GAP)

    def _before_answer(self, text: str) -> list[int]:
        # With an answer behind it, as it is in real text: alone, its line breaks can be other tokens.
        yes, no = (self._words.encode(text + word) for word in ANSWERS)
        return yes[: common_length(yes, no)]

    def ask_answer(self, messages: Messages) -> str:
        """Returns the question as text, up to the answer position."""
        text = self._render(messages, thinking=False)
        return text.rstrip() + f"\n{THINK_CLOSE}{_GAP}" if text.rstrip().endswith(THINK_OPEN.strip()) else text

    def ask_chain(self, messages: Messages) -> str:
        """Returns the question as text, with the thinking opened."""
        text = self._render(messages, thinking=True)
        if text.rstrip().endswith(THINK_OPEN.strip()):  # some templates open the thinking themselves
            return text.rstrip() + "\n"
        return text + THINK_OPEN

    def _render(self, messages: Messages, *, thinking: bool) -> str:
        chat = [{"role": message.role, "content": self._as_text(message.content)} for message in messages]
        try:
            return self._words.render(chat if self._knows_system else _without_system(chat), thinking=thinking)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(
                f"The model's chat template cannot be used: {error}",
                expected="a chat model (instruct, or reasoning)",
                fix="choose another model: RALLREC_TUNED_MODEL, RALLREC_REASONING_MODEL",
            ) from error

    @cached_property
    def _knows_system(self) -> bool:
        """Whether the template shows what a system message says; some raise, some leave it out."""
        probe = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "?"}]
        try:
            return _PROBE in self._words.render(probe, thinking=False)
        except Exception:
            return False

    def _as_text(self, content: str) -> str:
        """Returns what a message says; control tokens in it (a title can hold one) are spelt so that they are none."""
        return without_control_words(content, self._control_words)

    @cached_property
    def _control_words(self) -> re.Pattern[str]:
        return pattern_of(word for word in self._words.control_tokens if word not in _MARKS)

    def _fit(self, messages: Messages, room: int, render: Callable[[Messages], str]) -> FittedPrompt:
        """Returns the tokens of the rendered messages; as few of the oldest lines go as must to leave ``room``."""
        limit = self.context - room

        def ids(dropped: int) -> list[int]:
            return self._words.encode(render(without_oldest(messages, dropped) if dropped else messages))

        whole = ids(0)
        if len(whole) <= limit:
            return FittedPrompt(whole, 0)
        droppable = sum(len(message.droppable) for message in messages)
        dropped = 1 + bisect_left(range(1, droppable + 1), True, key=lambda count: len(ids(count)) <= limit)
        if dropped > droppable:
            raise EngineError(
                f"The prompt has {len(ids(droppable))} tokens without any history, "
                f"and {room} are kept free for what is written",
                expected=f"at most {self.context} together, the context of the model as it is run",
                fix="set fewer tokens per chain (RALLREC_MAX_TOKENS), or choose a model with a longer context",
            )
        return FittedPrompt(ids(dropped), dropped)


class PieceReader:
    """Reads the text of a growing chain piece by piece. The pieces join to :meth:`Chat.text`."""

    def __init__(self, chat: Chat) -> None:
        self._chat, self._shown = chat, ""

    def read(self, tokens: Sequence[int], *, last: bool = False) -> str:
        """Returns what is new since the last call. Half a character, and half a ``<think>``, wait for the rest."""
        text = self._chat.text(tokens)
        if not last and (text.endswith("\ufffd") or THINK_OPEN.startswith(text)):
            return ""
        piece = text[len(self._shown) :]
        self._shown = text
        return piece


def softmax_of_two(yes: Sequence[float], no: Sequence[float]) -> float:
    """Returns the share of Yes between the two answers, from the log probabilities of the spellings of each.

    Raises ``EngineError`` where both are impossible (minus infinity).
    """
    of_yes, of_no = _log_sum(yes), _log_sum(no)
    if of_yes == of_no == -math.inf:
        raise EngineError(
            f"Neither {ANSWERS[0]} nor {ANSWERS[1]} has any probability as the model's next word",
            expected="a model that can answer with one of them",
            fix="choose another model",
        )
    return 1 / (1 + math.exp(min(of_no - of_yes, 700.0))) if of_yes > -math.inf else 0.0


def counted(
    yes: Sequence[float], no: Sequence[float], other_yes: Sequence[float], other_no: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Returns the log probabilities of the spellings that make P(yes), those of Yes and those of No.

    They are ``Yes`` and ``No``, which is what prompts ask for and models are taught. ``yes``, ``NO`` and the like are
    counted too where they together are likelier: the model then answers in them. Elsewhere they are what is left over.
    """
    if _log_sum([*other_yes, *other_no]) > _log_sum([*yes, *no]):
        return [*yes, *other_yes], [*no, *other_no]
    return list(yes), list(no)


def chance_of_two(yes: Sequence[float], no: Sequence[float]) -> Chance:
    """Returns P(yes) and the mass behind it, from the log probabilities of the spellings of each."""
    return Chance(softmax_of_two(yes, no), min(1.0, math.exp(min(_log_sum([*yes, *no]), 0.0))))


def _log_sum(values: Sequence[float]) -> float:
    highest = max(values, default=-math.inf)
    if highest == -math.inf:
        return highest
    return highest + math.log(sum(math.exp(value - highest) for value in values))


def without_oldest(messages: Messages, count: int) -> Messages:
    """Returns the messages without their ``count`` first droppable parts."""
    kept = []
    for message in messages:
        gone = message.droppable[:count]
        count -= len(gone)
        content = message.content
        for start, end in sorted(gone, reverse=True):
            content = content[:start] + content[end:]
        kept.append(Message(message.role, content))
    return tuple(kept)


def _without_system(chat: list[dict[str, str]]) -> list[dict[str, str]]:
    """Returns the chat with what the system says moved to the head of the user's first turn."""
    system = [turn["content"] for turn in chat if turn["role"] == "system"]
    rest = [dict(turn) for turn in chat if turn["role"] != "system"]
    for turn in rest:
        if system and turn["role"] == "user":
            turn["content"] = "\n\n".join([*system, turn["content"]])
            break
    return rest


def _answer_tokens(vocabulary: Vocabulary) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Returns the tokens that say Yes and those that say No (at a start, after a space, after a line break), then those
    that say them in other cases.

    Of a tokenizer that writes a word in several tokens the first one is taken. ``yes`` and ``YES`` are taken where they
    are one token: a part of them could begin any other word.
    """
    pairs = set()
    others: tuple[set[int], set[int]] = set(), set()
    for before in _BEFORE_ANSWER:
        for case in _OTHER_CASES:
            spelt = [vocabulary.encode(before + case(word)) for word in ANSWERS]
            where = common_length(*spelt)
            for tokens, found in zip(spelt, others, strict=True):
                found.update(tokens[where:] if len(tokens) == where + 1 else ())
        yes, no = (vocabulary.encode(before + word) for word in ANSWERS)
        where = common_length(yes, no)
        if (where and not before) or where >= min(len(yes), len(no)):
            raise EngineError(
                f"{ANSWERS[0]} and {ANSWERS[1]} begin with the same token in this model's tokenizer",
                expected="answers that differ in their first token",
                fix="choose another model",
            )
        pairs.add((yes[where], no[where]))
    usual = {yes for yes, _ in pairs}, {no for _, no in pairs}
    taken = usual[0] | usual[1]
    apart = [others[0] - others[1] - taken, others[1] - others[0] - taken]
    return tuple(tuple(sorted(tokens)) for tokens in usual), tuple(tuple(sorted(tokens)) for tokens in apart)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Returns how many tokens both have in common at their beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
