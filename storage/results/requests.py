"""The prompts of one call on the cached engine: equal ones once, where they stand in the caller's list, what is known.

What is stored and what is run is ``storage.results.cached_engine``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backend.engines.base import OnAnswer, OnPiece, OnTrace
from backend.errors import EngineError, PartialError
from backend.types import Answer, Messages, Trace
from storage.results.rows import Prompt


@dataclass
class Asked:
    """One distinct prompt of a call, where it stands in it, and its answer or its chains (by sample index) so far."""

    prompt: Prompt
    positions: list[int] = field(default_factory=list)
    answer: Answer | None = None
    traces: dict[int, Trace] = field(default_factory=dict)

    def missing(self, indices: Sequence[int]) -> tuple[int, ...]:
        return tuple(index for index in dict.fromkeys(indices) if index not in self.traces)

    def take(self, answer: Answer, on_answer: OnAnswer | None) -> None:
        self.answer = answer
        if on_answer is not None:
            for position in self.positions:
                on_answer(position, answer)

    def add(self, trace: Trace, on_trace: OnTrace | None) -> None:
        self.traces[trace.index] = trace
        if on_trace is not None:
            for position in self.positions:
                on_trace(position, trace)


def distinct(prompts: Iterable[Messages]) -> list[Asked]:
    """The prompts of a call, equal ones once: those that the cache cannot tell apart."""
    asked: dict[str, Asked] = {}
    for position, messages in enumerate(prompts):
        prompt = Prompt(tuple(messages))
        asked.setdefault(prompt.hash, Asked(prompt)).positions.append(position)
    return list(asked.values())


def in_order(asked: Iterable[Asked]) -> list[Asked]:
    """For every place of the caller's list, what stands there."""
    at = {position: item for item in asked for position in item.positions}
    return [at[position] for position in sorted(at)]


def failures_of(error: EngineError, items: Sequence[Asked]) -> dict[int, str]:
    """What went wrong by the place in the caller's list, where ``items`` are the prompts that were run."""
    by_item = error.failures if isinstance(error, PartialError) else dict.fromkeys(range(len(items)), error.problem)
    return {position: problem for number, problem in by_item.items() for position in items[number].positions}


def by_missing(asked: Iterable[Asked], indices: Sequence[int]) -> dict[tuple[int, ...], list[Asked]]:
    """The prompts that lack chains, grouped by which they lack, so that each group is one call."""
    groups: dict[tuple[int, ...], list[Asked]] = {}
    for item in asked:
        missing = item.missing(indices)
        if missing:
            groups.setdefault(missing, []).append(item)
    return groups


def for_every_position(on_piece: OnPiece | None, group: list[Asked]) -> OnPiece | None:
    """``on_piece`` of the caller, whose prompts are numbered otherwise than the ``group`` that runs."""
    if on_piece is None:
        return None

    def pass_on(number: int, index: int, piece: str) -> None:
        for position in group[number].positions:
            on_piece(position, index, piece)

    return pass_on
