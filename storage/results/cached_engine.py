"""An engine that runs the model only for what was never asked before, and keeps what it runs.

It wraps any engine and passes the same contract. The rows are ``rows``, the keys ``keys``.
Written texts are not cached here: they are artifacts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from backend.engines.base import Engine, OnAnswer, OnPiece, OnTrace, raise_if, sample_indices
from backend.errors import EngineError, PartialError, UsageError
from backend.types import Answer, ChainReading, Messages, Progress, Sampling, Stop, Trace
from storage.database.connection import Database
from storage.results.keys import unknown_of
from storage.results.rows import KeyedPrompt, ResultCache


@dataclass
class AskedPrompt:
    """One distinct prompt of a call, where it stands in it, and its answer or its chains (by sample index) so far."""

    prompt: KeyedPrompt
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


class CachedEngine:
    """``inner`` with a memory: a repeated request runs no model, a larger one only what is missing.

    Results are looked up, and kept, under ``inner.model`` as it is now, each as soon as ``inner`` hands it over. Any
    number of threads may call at the same time: the model runs for one of them after the other, and what is in the
    cache needs no waiting.

    Beside what ``inner`` raises, the methods raise ``EngineError`` if it returns something else than it was asked for,
    ``CorruptCacheError`` for a stored row that does not belong to its key, and ``StorageError``.
    """

    def __init__(self, inner: Engine, database: Database) -> None:
        self.inner = inner
        self.name = inner.name
        self.model = inner.model
        self._cache = ResultCache(database, inner.model, inner.name)
        before = unknown_of(inner.model)
        self._unknown = None if before is None else ResultCache(database, before, inner.name)
        self._inner_is_busy = threading.RLock()

    def load(self, progress: Progress | None = None) -> None:
        """Load the model now. Not needed where the cache holds everything."""
        with self._turn(None):
            self.inner.load(progress)

    def adapted(self, adapter: str | None, folder: str | None = None) -> CachedEngine:
        """``inner`` with another adapter, behind the same database. The two take turns: they share their weights."""
        adapted = CachedEngine(self.inner.adapted(adapter, folder), self._cache.database)
        adapted._inner_is_busy = self._inner_is_busy
        return adapted

    def answer(
        self,
        prompts: Sequence[Messages],
        *,
        on_answer: OnAnswer | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Answer]:
        """P(yes) of every prompt, in order; only those that are not stored are run, equal ones once.

        ``on_answer`` is given the stored answers first, then each new one as soon as it is stored, so whatever it has
        seen is kept, on ``Stopped`` and ``PartialError`` too.
        """
        entries = _distinct(prompts)
        self._recall_answers(entries, on_answer)
        known = sum(item.answer is not None for item in entries)
        if progress is not None and entries:
            read = known == len(entries)
            progress("reading answers from the cache" if read else "waiting for the model", 1.0 if read else None)
        if known < len(entries):
            with self._turn(stop):
                # While this call waited, another may have run some of it.
                self._recall_answers(entries, on_answer)
                missing = [item for item in entries if item.answer is None]
                if missing:
                    raise_if(stop)
                    done = 1 - len(missing) / len(entries)
                    if progress is not None:
                        progress("answering", done or None)
                    share = _share(progress, done)
                    try:
                        self._run_answers(missing, on_answer, share, stop)
                    except PartialError as error:
                        raise PartialError(_failures_of(error, missing), len(prompts), fix=error.fix) from error
            if progress is not None:
                progress("answering", 1.0)
        answers = [item.answer for item in _in_order(entries)]
        assert all(answer is not None for answer in answers), "a prompt was left without an answer"
        return [answer for answer in answers if answer is not None]

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
        seen is kept, on ``Stopped`` and ``PartialError`` too. ``on_piece`` is given what is newly written.
        """
        indices = _checked_indices(samples)
        entries = _distinct(prompts)
        self._recall_traces(entries, indices, sampling, on_trace)
        if any(item.missing(indices) for item in entries):
            failures: dict[int, str] = {}
            first: EngineError | None = None
            with self._turn(stop):
                # While this call waited, another may have run some of it.
                self._recall_traces(entries, indices, sampling, on_trace)
                groups = _by_missing(entries, indices)
                for missing, group in groups.items():
                    raise_if(stop)
                    try:
                        self._run_traces(group, missing, sampling, on_piece, on_trace, progress, stop)
                    except EngineError as error:
                        if len(groups) == 1 and not isinstance(error, PartialError):
                            raise
                        # The other groups are still to be done.
                        failures |= _failures_of(error, group)
                        first = first or error
            if first is not None:
                raise PartialError(failures, len(prompts), fix=first.fix) from first
        return [[item.traces[index] for index in indices] for item in _in_order(entries)]

    def read_chains(
        self,
        prompts: Sequence[Messages],
        texts: Sequence[str],
        sampling: Sampling,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[ChainReading]:
        """What ``inner`` reads, uncached: it is asked in order to compare it with what is stored."""
        with self._turn(stop):
            return self.inner.read_chains(prompts, texts, sampling, progress=progress, stop=stop)

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """As ``inner`` plans it."""
        with self._turn(None):
            return self.inner.plan(prompts)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """What ``inner`` writes, uncached."""
        with self._turn(stop):
            return self.inner.write(prompts, sampling, stop=stop)

    def peek_answers(self, prompts: Sequence[Messages], *, unknown: bool = False) -> list[Answer | None]:
        """The stored answer of every prompt, in order, None where there is none. Runs and writes nothing.

        ``unknown``: those instead that were kept before the precision was written down, and say so.
        """
        cache = self._unknown if unknown else self._cache
        if cache is None:
            return [None] * len(prompts)
        keys = [cache.answer_key(KeyedPrompt(tuple(messages))) for messages in prompts]
        stored = cache.answers(dict.fromkeys(keys))
        answers = [stored.get(key) for key in keys]
        return [replace(answer, unknown=True) if answer and unknown else answer for answer in answers]

    def peek_traces(self, prompt: Messages, samples: int | Sequence[int], sampling: Sampling) -> list[Trace | None]:
        """The stored chains of one prompt, one per sample, None where there is none. Runs and writes nothing."""
        return self.peek_all_traces([prompt], samples, sampling)[0]

    def peek_all_traces(
        self,
        prompts: Sequence[Messages],
        samples: int | Sequence[int],
        sampling: Sampling,
        *,
        unknown: bool = False,
    ) -> list[list[Trace | None]]:
        """The stored chains of every prompt, as :meth:`peek_traces` of each, read together.

        ``unknown``: as in :meth:`peek_answers`.
        """
        cache, indices = self._unknown if unknown else self._cache, _checked_indices(samples)
        if cache is None:
            return [[None] * len(indices) for _ in prompts]
        keyed = [KeyedPrompt(tuple(prompt)) for prompt in prompts]
        keys = [[cache.trace_key(prompt, sampling, index) for index in indices] for prompt in keyed]
        stored = cache.traces(dict.fromkeys(key for of_prompt in keys for key in of_prompt))
        chains = [[stored.get(key) for key in of_prompt] for of_prompt in keys]
        if not unknown:
            return chains
        return [[replace(chain, unknown=True) if chain else None for chain in of_prompt] for of_prompt in chains]

    def answer_keys(self, prompts: Sequence[Messages]) -> list[str]:
        """Under which keys the answers are kept, in order."""
        return [self._cache.answer_key(KeyedPrompt(tuple(messages))) for messages in prompts]

    def trace_keys(self, prompt: Messages, samples: int | Sequence[int], sampling: Sampling) -> list[str]:
        """Under which keys the chains of one prompt are kept, one per sample."""
        keyed = KeyedPrompt(tuple(prompt))
        return [self._cache.trace_key(keyed, sampling, index) for index in _checked_indices(samples)]

    def _recall_answers(self, entries: Iterable[AskedPrompt], on_answer: OnAnswer | None) -> None:
        """Give every prompt the answer that it lacks, if that is stored."""
        keys = {self._cache.answer_key(item.prompt): item for item in entries if item.answer is None}
        stored = self._cache.answers(keys)
        for key, item in keys.items():
            if key in stored:
                item.take(stored[key], on_answer)

    def _run_answers(
        self, missing: list[AskedPrompt], on_answer: OnAnswer | None, progress: Progress | None, stop: Stop | None
    ) -> None:
        """Run the ``missing`` prompts, all in one call."""

        def keep(number: int, answer: Answer) -> None:
            if not 0 <= number < len(missing):
                raise EngineError(
                    f"The engine {self.name!r} answered prompt {number}", expected=f"one of {len(missing)} prompts"
                )
            if missing[number].answer is None:
                self._save_answers([missing[number]], [answer], on_answer)

        messages = [item.prompt.messages for item in missing]
        returned = self.inner.answer(messages, on_answer=keep, progress=progress, stop=stop)
        if len(returned) != len(missing):
            raise EngineError(
                f"The engine {self.name!r} returned {len(returned)} answers",
                expected=f"{len(missing)}, one per prompt",
            )
        # What the engine returned without having handed it over.
        rest = [(item, answer) for item, answer in zip(missing, returned, strict=True) if item.answer is None]
        self._save_answers([item for item, _ in rest], [answer for _, answer in rest], on_answer)

    def _save_answers(self, items: list[AskedPrompt], answers: list[Answer], on_answer: OnAnswer | None) -> None:
        """Store one answer to each of ``items``, all or none, and hand on what is stored by then."""
        prompts = {self._cache.answer_key(item.prompt): item.prompt for item in items}
        stored = self._cache.save_answers(prompts, answers)
        for key, item in zip(prompts, items, strict=True):
            item.take(stored[key], on_answer)

    def _recall_traces(
        self, entries: Iterable[AskedPrompt], indices: list[int], sampling: Sampling, on_trace: OnTrace | None
    ) -> None:
        """Give every prompt the chains that it lacks and that are stored."""
        keys = {
            self._cache.trace_key(item.prompt, sampling, index): (item, index)
            for item in entries
            for index in item.missing(indices)
        }
        stored = self._cache.traces(keys)
        for key, (item, _) in keys.items():
            if key in stored:
                item.add(stored[key], on_trace)

    def _run_traces(
        self,
        group: list[AskedPrompt],
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
            raise_if(stop)
        try:
            yield
        finally:
            self._inner_is_busy.release()


def _distinct(prompts: Iterable[Messages]) -> list[AskedPrompt]:
    """The prompts of a call, equal ones once: those that the cache cannot tell apart."""
    entries: dict[str, AskedPrompt] = {}
    for position, messages in enumerate(prompts):
        prompt = KeyedPrompt(tuple(messages))
        entries.setdefault(prompt.hash, AskedPrompt(prompt)).positions.append(position)
    return list(entries.values())


def _in_order(entries: Iterable[AskedPrompt]) -> list[AskedPrompt]:
    """For every place of the caller's list, what stands there."""
    at = {position: item for item in entries for position in item.positions}
    return [at[position] for position in sorted(at)]


def _failures_of(error: EngineError, items: Sequence[AskedPrompt]) -> dict[int, str]:
    """What went wrong by the place in the caller's list, where ``items`` are the prompts that were run."""
    by_item = error.failures if isinstance(error, PartialError) else dict.fromkeys(range(len(items)), error.problem)
    return {position: problem for number, problem in by_item.items() for position in items[number].positions}


def _by_missing(entries: Iterable[AskedPrompt], indices: Sequence[int]) -> dict[tuple[int, ...], list[AskedPrompt]]:
    """The prompts that lack chains, grouped by which they lack, so that each group is one call."""
    groups: dict[tuple[int, ...], list[AskedPrompt]] = {}
    for item in entries:
        missing = item.missing(indices)
        if missing:
            groups.setdefault(missing, []).append(item)
    return groups


def _for_every_position(on_piece: OnPiece | None, group: list[AskedPrompt]) -> OnPiece | None:
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


def _share(progress: Progress | None, start: float) -> Progress | None:
    """A progress for the rest of the work, from ``start`` on."""
    if progress is None:
        return None
    return lambda what, fraction: progress(what, None if fraction is None else start + (1 - start) * fraction)
