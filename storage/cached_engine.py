"""An engine that runs the model only for what was never asked before, and keeps what it runs.

It wraps any engine and passes the same contract. The rows are ``storage.cache``, the keys ``storage.cache_keys``.
Vectors and written texts are not cached here: they are artifacts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from backend.engines.base import Engine, OnPiece, OnTrace, sample_indices
from backend.errors import EngineError, Stopped, UsageError
from backend.types import Answer, Messages, Progress, Sampling, Stop, Trace
from storage.cache import Prompt, ResultCache
from storage.database import Database


class CachedEngine:
    """``inner`` with a memory: a repeated request runs no model, a larger one only what is missing.

    Results are looked up, and kept, under ``inner.model`` as it is now. Any number of threads may call at the same
    time: the model runs for one of them after the other, and what is in the cache needs no waiting. ``answer_chunk``
    prompts (at least 1) are answered at a time, so that many are kept when a long run stops.

    Beside what ``inner`` raises, the methods raise ``EngineError`` if it returns something else than it was asked for,
    ``CorruptCacheError`` for a stored row that does not belong to its key, and ``StorageError``.
    """

    def __init__(self, inner: Engine, database: Database, *, answer_chunk: int = 64) -> None:
        if answer_chunk < 1:
            raise UsageError(f"answer_chunk is {answer_chunk}", expected="a whole number from 1")
        self.inner = inner
        self.name = inner.name
        self.model = inner.model
        self._cache = ResultCache(database, inner.model, inner.name)
        self._answer_chunk = answer_chunk
        self._inner_is_busy = threading.RLock()

    def load(self, progress: Progress | None = None) -> None:
        """Load the model now. Not needed where the cache holds everything."""
        with self._turn(None):
            self.inner.load(progress)

    def answer(
        self, prompts: Sequence[Messages], *, progress: Progress | None = None, stop: Stop | None = None
    ) -> list[Answer]:
        """P(yes) of every prompt, in order; only those that are not stored are run, equal ones once.

        On ``Stopped``, the chunks that had finished are kept.
        """
        keys, wanted = self._wanted(prompts)
        found = self._cache.answers(wanted)
        if progress is not None and wanted:
            progress("Reading answers from the cache", len(found) / len(wanted))
        if len(found) < len(wanted):
            with self._turn(stop):
                self._run_answers(wanted, found, progress, stop)
        return [found[key] for key in keys]

    def reason(
        self,
        prompts: Sequence[Messages],
        samples: int | Sequence[int],
        sampling: Sampling,
        *,
        on_piece: OnPiece | None = None,
        on_trace: OnTrace | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[list[Trace]]:
        """``samples`` chains per prompt; only the sample indices that are not stored are run.

        ``on_trace`` is given the stored chains first, then each new one as soon as it is stored, so whatever it has
        seen is kept, on ``Stopped`` too. ``on_piece`` is given what is newly written.
        """
        indices = _checked_indices(samples)
        asked: dict[Messages, _Asked] = {}
        for position, messages in enumerate(prompts):
            asked.setdefault(tuple(messages), _Asked(Prompt(tuple(messages)))).positions.append(position)
        self._recall(asked.values(), indices, sampling, on_trace)
        if any(item.missing(indices) for item in asked.values()):
            with self._turn(stop):
                # While this call waited, another may have run some of it.
                self._recall(asked.values(), indices, sampling, on_trace)
                for missing, group in _by_missing(asked.values(), indices).items():
                    _raise_if_stopped(stop)
                    self._run_traces(group, missing, sampling, on_piece, on_trace, progress, stop)
        return [[asked[tuple(messages)].traces[index] for index in indices] for messages in prompts]

    def embed(
        self,
        texts: Sequence[str],
        *,
        pooling: str = "mean",
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> np.ndarray:
        """What ``inner`` embeds, uncached: float32 of shape [len(texts), d]."""
        with self._turn(stop):
            return self.inner.embed(texts, pooling=pooling, progress=progress, stop=stop)

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """As ``inner`` plans it."""
        with self._turn(None):
            return self.inner.plan(prompts)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """What ``inner`` writes, uncached."""
        with self._turn(stop):
            return self.inner.write(prompts, sampling, stop=stop)

    def peek_answers(self, prompts: Sequence[Messages]) -> list[Answer | None]:
        """The stored answer of every prompt, in order, None where there is none. Runs and writes nothing."""
        keys, wanted = self._wanted(prompts)
        found = self._cache.answers(wanted)
        return [found.get(key) for key in keys]

    def peek_traces(self, prompt: Messages, samples: int | Sequence[int], sampling: Sampling) -> list[Trace | None]:
        """The stored chains of one prompt, one per sample, None where there is none. Runs and writes nothing."""
        asked = Prompt(tuple(prompt))
        keys = [self._cache.trace_key(asked, sampling, index) for index in _checked_indices(samples)]
        found = self._cache.traces(dict.fromkeys(keys))
        return [found.get(key) for key in keys]

    def _wanted(self, prompts: Sequence[Messages]) -> tuple[list[str], dict[str, Prompt]]:
        """The key of every prompt, and the distinct prompts by key."""
        distinct = [Prompt(tuple(messages)) for messages in prompts]
        keys = [self._cache.answer_key(prompt) for prompt in distinct]
        return keys, dict(zip(keys, distinct, strict=True))

    def _run_answers(
        self, wanted: dict[str, Prompt], found: dict[str, Answer], progress: Progress | None, stop: Stop | None
    ) -> None:
        """Add to ``found`` what it lacks of ``wanted``."""
        # While this call waited, another may have run some of it.
        found.update(self._cache.answers([key for key in wanted if key not in found]))
        missing = [key for key in wanted if key not in found]
        for start in range(0, len(missing), self._answer_chunk):
            _raise_if_stopped(stop)
            chunk = {key: wanted[key] for key in missing[start : start + self._answer_chunk]}
            share = _share(progress, len(found) / len(wanted), len(chunk) / len(wanted))
            answers = self.inner.answer([prompt.messages for prompt in chunk.values()], progress=share, stop=stop)
            if len(answers) != len(chunk):
                raise EngineError(
                    f"The engine {self.name!r} returned {len(answers)} answers",
                    expected=f"{len(chunk)}, one per prompt",
                )
            found.update(self._cache.save_answers(chunk, answers))
            if progress is not None:
                progress("Answering", len(found) / len(wanted))

    def _recall(
        self, asked: Iterable[_Asked], indices: list[int], sampling: Sampling, on_trace: OnTrace | None
    ) -> None:
        """Give every prompt the chains that it lacks and that are stored."""
        keys = {
            self._cache.trace_key(item.prompt, sampling, index): (item, index)
            for item in asked
            for index in item.missing(indices)
        }
        found = self._cache.traces(keys)
        for key, (item, _) in keys.items():
            if key in found:
                item.add(found[key], on_trace)

    def _run_traces(
        self,
        group: list[_Asked],
        missing: tuple[int, ...],
        sampling: Sampling,
        on_piece: OnPiece | None,
        on_trace: OnTrace | None,
        progress: Progress | None,
        stop: Stop | None,
    ) -> None:
        """Run the ``missing`` samples of the prompts in ``group``, which are the same for all of them."""

        def keep(number: int, trace: Trace) -> None:
            if not 0 <= number < len(group) or trace.index not in missing:
                raise EngineError(
                    f"The engine {self.name!r} returned sample {trace.index} of prompt {number}",
                    expected=f"samples {list(missing)} of {len(group)} prompts",
                )
            item = group[number]
            if trace.index not in item.traces:
                item.add(self._cache.save_trace(item.prompt, sampling, trace), on_trace)

        returned = self.inner.reason(
            [item.prompt.messages for item in group],
            list(missing),
            sampling,
            on_piece=_for_every_position(on_piece, group),
            on_trace=keep,
            progress=progress,
            stop=stop,
        )
        drawn = [[trace.index for trace in traces] for traces in returned]
        if drawn != [list(missing)] * len(group):
            raise EngineError(
                f"The engine {self.name!r} returned the samples {drawn}",
                expected=f"{list(missing)} for each of {len(group)} prompts",
            )
        for number, traces in enumerate(returned):
            for trace in traces:
                keep(number, trace)

    @contextmanager
    def _turn(self, stop: Stop | None) -> Iterator[None]:
        """Wait until no other thread uses ``inner``; raises ``Stopped`` if asked to meanwhile."""
        while not self._inner_is_busy.acquire(timeout=0.1):
            _raise_if_stopped(stop)
        try:
            yield
        finally:
            self._inner_is_busy.release()


@dataclass
class _Asked:
    """One distinct prompt of a call, where it stands in it, and its chains so far by sample index."""

    prompt: Prompt
    positions: list[int] = field(default_factory=list)
    traces: dict[int, Trace] = field(default_factory=dict)

    def missing(self, indices: Sequence[int]) -> tuple[int, ...]:
        return tuple(index for index in dict.fromkeys(indices) if index not in self.traces)

    def add(self, trace: Trace, on_trace: OnTrace | None) -> None:
        self.traces[trace.index] = trace
        if on_trace is not None:
            for position in self.positions:
                on_trace(position, trace)


def _by_missing(asked: Iterable[_Asked], indices: Sequence[int]) -> dict[tuple[int, ...], list[_Asked]]:
    """The prompts that lack chains, grouped by which they lack, so that each group is one call."""
    groups: dict[tuple[int, ...], list[_Asked]] = {}
    for item in asked:
        missing = item.missing(indices)
        if missing:
            groups.setdefault(missing, []).append(item)
    return groups


def _for_every_position(on_piece: OnPiece | None, group: list[_Asked]) -> OnPiece | None:
    """``on_piece`` of the caller, whose prompts are numbered otherwise than the ``group`` that runs."""
    if on_piece is None:
        return None

    def pass_on(number: int, index: int, piece: str) -> None:
        for position in group[number].positions:
            on_piece(position, index, piece)

    return pass_on


def _checked_indices(samples: int | Sequence[int]) -> list[int]:
    indices = [int(index) for index in sample_indices(samples)]
    if any(index < 0 for index in indices):
        raise UsageError(f"The samples {indices} were asked for", expected="indices from 0")
    return indices


def _raise_if_stopped(stop: Stop | None) -> None:
    if stop is not None and stop():
        raise Stopped


def _share(progress: Progress | None, start: float, width: float) -> Progress | None:
    """A progress for one part of the work, ``width`` of the whole from ``start``."""
    if progress is None:
        return None
    return lambda what, fraction: progress(what, None if fraction is None else start + width * fraction)
