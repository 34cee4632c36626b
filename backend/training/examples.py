"""Questions with known answers as token sequences, each token with the weight that its prediction has in the loss.

``answer``: the loss is on the one answer token. ``every-answer``: a history written with its own answers (template
``answered``) teaches at each of them, so that one pass gives many signals. A rationale counts token by token.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.engines.chat import ANSWERS, Chat, common_length, without_oldest
from backend.prompting import Prompt


@dataclass(frozen=True)
class SoftAnswer:
    """An answer that is learned towards a probability. ``place``: of its token; ``yes``, ``no``: the two tokens that
    can stand there; ``p_yes``: the first one's probability.
    """

    place: int
    yes: int
    no: int
    p_yes: float


@dataclass(frozen=True)
class Example:
    """``ids``: tokens; ``weights``: as many numbers, the weight of the loss of predicting each token (0: none).

    ``answer_at``: the place of the answer's token; the logits before it are P(yes). ``label``: the answer.
    ``written_at``: where the prompt ends and what the model is to write begins. ``tails``: of an example that holds
    several (:func:`joined`), where the end of each begins; those are alternatives, each behind what stands before the
    first. ``soft``: answers that are learned towards a probability instead of the token that stands there.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    answer_at: int
    label: bool
    written_at: int = 0
    tails: tuple[int, ...] = ()
    soft: tuple[SoftAnswer, ...] = ()


class ExampleWriter:
    """Writes examples for one model: ``chat`` is its format, ``tokenizer`` its (fast) Hugging Face tokenizer.

    As the engines do, a prompt that is longer than the model's context loses its oldest history lines; one that is too
    long without any raises ``EngineError``.
    """

    def __init__(self, chat: Chat, tokenizer: Any) -> None:
        self._chat, self._tokenizer = chat, tokenizer

    def answer(
        self, prompt: Prompt, label: bool, *, every_answer: bool, last_weight: float = 1.0, p_yes: float | None = None
    ) -> Example:
        """The prompt as M_G is asked it, with the answer behind it; ``p_yes``: what it is learned towards (the
        label).
        """
        shown = _without_oldest(prompt, self._chat.answer_prompt(prompt.messages).dropped)
        ids, weights = self._prompt(shown, self._chat.ask_answer(shown.messages), every_answer)
        yes, no = (self._encode(word)[0] for word in ANSWERS)
        at = len(ids)
        soft = () if p_yes is None else (SoftAnswer(at, yes, no, p_yes),)
        return Example((*ids, yes if label else no), (*weights, last_weight), at, label, at, soft=soft)

    def rationale(
        self,
        prompt: Prompt,
        rationale: str,
        label: bool,
        *,
        every_answer: bool,
        end: int,
        last_weight: float = 1.0,
        p_yes: float | None = None,
    ) -> Example:
        """The prompt as M_R is asked it, then what it is to write: ``rationale``, ``</think>``, the answer, ``end``.

        ``p_yes``: what the answer is learned towards (the label).
        """
        written, opposite = (self._chat.written(rationale, answer) for answer in (label, not label))
        answer_at = common_length(
            written, opposite
        )  # where a reader of the answer looks, also if its word is two tokens
        written.append(end)
        shown = _without_oldest(prompt, self._chat.reason_prompt(prompt.messages, len(written)).dropped)
        ids, weights = self._prompt(shown, self._chat.ask_chain(shown.messages), every_answer)
        of_written = [1.0] * len(written)
        of_written[answer_at] = last_weight
        at = len(ids)
        words = (written[answer_at], opposite[answer_at]) if label else (opposite[answer_at], written[answer_at])
        soft = () if p_yes is None else (SoftAnswer(at + answer_at, *words, p_yes),)
        return Example(tuple(ids + written), tuple(weights + of_written), at + answer_at, label, at, soft=soft)

    def _prompt(self, prompt: Prompt, text: str, every_answer: bool) -> tuple[list[int], list[float]]:
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids: list[int] = encoded.input_ids
        weights = [0.0] * len(ids)
        start = text.find(prompt.text)
        # A title that holds a control token is spelt otherwise for the model: then the prompt teaches its last answer.
        if every_answer and start >= 0:
            ends = [end for _, end in encoded.offset_mapping]
            for first, _ in prompt.answers:
                weights[bisect_right(ends, start + first)] = 1.0  # the token that holds the answer's first character
        return ids, weights

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids


def joined(examples: Sequence[Example]) -> Example:
    """Examples that begin alike as one, in which what they have in common stands, and is read, once.

    The naive equivalent is the examples one by one; the weights of what they share count once, the first one's.
    """
    first = examples[0]
    # What is written is predicted by a token of its own tail, so the last one of the prompt is in every tail.
    shared = min(min(common_length(first.ids, example.ids), example.written_at - 1) for example in examples)
    ids, weights, tails = list(first.ids[:shared]), list(first.weights[:shared]), []
    soft: list[SoftAnswer] = []
    for example in examples:
        soft += [replace(answer, place=answer.place + len(ids) - shared) for answer in example.soft]
        tails.append(len(ids))
        ids += example.ids[shared:]
        weights += (0.0, *example.weights[shared + 1 :])  # the token before it in the row is another tail's
    ends = tuple(tails), tuple(soft)
    return Example(tuple(ids), tuple(weights), first.answer_at, first.label, first.written_at, *ends)


def _without_oldest(prompt: Prompt, count: int) -> Prompt:
    """The prompt without its ``count`` oldest history lines, and where the answers that are left stand in it."""
    if not count:
        return prompt
    gone = prompt.droppable[:count]
    [message] = without_oldest(prompt.messages, count)
    left = [span for span in prompt.answers if not any(start <= span[0] < end for start, end in gone)]
    moved = [sum(end - start for start, end in gone if end <= span[0]) for span in left]
    answers = tuple((start - less, end - less) for (start, end), less in zip(left, moved, strict=True))
    return Prompt(message.content, answers=answers)


def by_length(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Parts of ``size``, of examples about equally long, so that little is padded."""
    ordered = sorted(examples, key=lambda example: len(example.ids))
    return [list(ordered[start : start + size]) for start in range(0, len(ordered), size)]
