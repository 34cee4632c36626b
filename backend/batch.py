"""Many predictions at once: M_G's answers to all of them first, then M_R's chains, in calls that fill the models.

Equal prompts are asked once, and prompts that begin alike stand side by side, because engines share what prompts have
in common. Knows no database: what is known already is in the predictions that come in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.engines import Engine
from backend.engines.base import parts, raise_if
from backend.errors import EngineError, PartialError, Stopped
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.types import Answer, Messages, Progress, Sampling, Stop, Trace

# Prompts per call. Results are heard one by one, so a call only bounds how many prompts are prepared at a time.
ANSWERS_PER_CALL = 256
CHAINS_PER_CALL = 64
# An error that names no prompts means that the engine is broken if at least this many were asked. Of fewer prompts, it
# may only mean that each of them fails.
_ALL_FAIL = 8


@dataclass
class Count:
    """How far one kind of result (``answers`` or ``chains``) is.

    ``prompts``: distinct ones. ``wanted``: their results; ``known`` of these before, ``made`` now, ``lost`` with the
    ``failed`` prompts. ``tokens``: read for the answers made now, or written for the chains. ``seconds``: what the
    calls took until now, without loading.
    """

    kind: str
    prompts: int = 0
    wanted: int = 0
    known: int = 0
    made: int = 0
    failed: int = 0
    lost: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> int:
        """Results still to be made."""
        return self.wanted - self.known - self.made - self.lost

    @property
    def fraction(self) -> float:
        """Returns how much of what was missing is done, from 0 to 1; 1 where nothing was missing."""
        missing = self.wanted - self.known
        return 1 - self.left / missing if missing else 1.0

    @property
    def seconds_left(self) -> float | None:
        """Estimates the rest by the pace of what was made now; None before the first result."""
        return self.left * self.seconds / self.made if self.made else None

    @property
    def tokens_per_second(self) -> float | None:
        """Returns the pace of this run; None where nothing was made."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None


@dataclass(frozen=True)
class BatchListener:
    """``stage``: what an engine says while it loads; ``count``: heard as a kind begins and at each of its results."""

    stage: Progress | None = None
    count: Callable[[Count], None] | None = None


def unasked_predictions(
    pipeline: Pipeline, samples: Iterable[tuple[int, int]], recipes: Sequence[Recipe]
) -> Iterator[Prediction]:
    """Every (user code, item code) under every recipe, as predictions to which nobody has said anything yet.

    All recipes of the first sample come first. Recipes with the same history share it. Raises ``UsageError`` as
    ``Pipeline.question``.
    """
    for user, item in samples:
        questions = {}
        for recipe in recipes:
            depends_on = recipe.retrieval, recipe.prompting.template
            if depends_on not in questions:
                questions[depends_on] = pipeline.question(user, item, recipe)
            yield pipeline.unasked(questions[depends_on], recipe)


@dataclass(eq=False)
class _Ask:
    """One distinct prompt: its ``results`` by sample index (an answer has 0), ``wanted`` in all, and whose it is."""

    messages: Messages
    wanted: int
    results: dict[int, Any] = field(default_factory=dict)
    places: set[int] = field(default_factory=set)

    @property
    def missing(self) -> int:
        return self.wanted - len(self.results)


class Batch:
    """Completes predictions together. They, the counts and the failures say what there is, also after a stop.

    ``predictions``: in the order given. ``failures``: what went wrong, by the prediction's place.
    """

    def __init__(self, pipeline: Pipeline, predictions: Iterable[Prediction]) -> None:
        self.predictions = list(predictions)
        self.answers, self.chains = Count("answers"), Count("chains")
        self.failures: dict[int, str] = {}
        self._pipeline = pipeline

    def run(
        self, listener: BatchListener | None = None, stop: Stop | None = None, chains_per_call: int = CHAINS_PER_CALL
    ) -> list[Prediction]:
        """Returns all predictions with their answers and with the chains that their recipes ask for.

        The naive equivalent is ``Pipeline.predict`` of each. A prompt that fails is noted in ``failures`` and the
        others go on. Raises ``Stopped``, and an ``EngineError`` that is the engine's own: the next call would fail too.
        """
        hear = listener or BatchListener()
        self._answer(hear, stop)
        self._reason(hear, stop, chains_per_call)
        return self.predictions

    def _answer(self, hear: BatchListener, stop: Stop | None) -> None:
        """Ask M_G about every history order of all predictions."""
        asks: dict[Messages, _Ask] = {}
        for place in self._neighbours(range(len(self.predictions))):
            prediction = self.predictions[place]
            for prompt, answer in zip(prediction.question.prompts, prediction.answers, strict=True):
                ask = asks.setdefault(prompt.messages, _Ask(prompt.messages, 1))
                ask.places.add(place)
                if answer:
                    ask.results[0] = answer
        self._pipeline.on_asked([prediction.question for prediction in self.predictions])
        tuned = self._pipeline.tuned

        def call(prompts: list[Messages], take: _Take) -> None:
            def on_answer(number: int, answer: Answer) -> None:
                take(number, 0, answer, answer.prompt_tokens)

            tuned.answer(prompts, on_answer=on_answer, stop=stop)

        calls = _Calls(self.answers, hear, self.failures)
        try:
            calls.run([(list(asks.values()), call)], tuned, ANSWERS_PER_CALL, stop)
        finally:
            for place, prediction in enumerate(self.predictions):
                answers = [asks[prompt.messages].results.get(0) for prompt in prediction.question.prompts]
                self.predictions[place] = self._pipeline.with_answers(prediction, answers)

    def _reason(self, hear: BatchListener, stop: Stop | None, chains_per_call: int) -> None:
        """Ask M_R for the chains of all predictions whose prompt is known by now."""
        groups: dict[tuple[Sampling, int], dict[Messages, _Ask]] = {}
        ask_of: dict[int, _Ask] = {}
        known = [place for place, prediction in enumerate(self.predictions) if prediction.reason_prompt]
        for place in self._neighbours(known):
            prediction = self.predictions[place]
            if not prediction.reason_prompt or not prediction.traces:
                continue
            messages, count = prediction.reason_prompt.messages, len(prediction.traces)
            group = groups.setdefault((prediction.recipe.reasoning.sampling, count), {})
            ask = ask_of[place] = group.setdefault(messages, _Ask(messages, count))
            ask.places.add(place)
            ask.results |= {trace.index: trace for trace in prediction.traces if trace}
        reasoner = self._pipeline.reasoner

        def caller(sampling: Sampling, count: int) -> _Call:
            def call(prompts: list[Messages], take: _Take) -> None:
                def on_trace(number: int, trace: Trace) -> None:
                    take(number, trace.index, trace, trace.tokens)

                reasoner.reason(prompts, count, sampling, on_trace=on_trace, stop=stop)

            return call

        calls = _Calls(self.chains, hear, self.failures)
        try:
            work = [(list(group.values()), caller(*config)) for config, group in groups.items()]
            calls.run(work, reasoner, chains_per_call, stop)
        finally:
            for place, ask in ask_of.items():
                traces = [ask.results.get(index) for index in range(ask.wanted)]
                self.predictions[place] = self.predictions[place].taking_traces(traces)

    def _neighbours(self, places: Iterable[int]) -> list[int]:
        """Sorts predictions by user, item and text, so that prompts that begin alike follow each other."""

        def key(place: int) -> tuple[int, int, str]:
            prediction = self.predictions[place]
            return (
                prediction.question.user,
                prediction.question.item,
                (prediction.reason_prompt or prediction.question.prompts[0]).text,
            )

        return sorted(places, key=key)


# take(number of the prompt in the call, sample index, result, tokens)
_Take = Callable[[int, int, Any, int], None]
_Call = Callable[[list[Messages], _Take], None]


class _Calls:
    """Makes the calls on one engine, fills in the results, counts them, and notes what fails."""

    def __init__(self, count: Count, hear: BatchListener, failures: dict[int, str]) -> None:
        self._count, self._hear, self._failures = count, hear, failures
        self._since = 0.0

    def run(self, work: Sequence[tuple[Sequence[_Ask], _Call]], engine: Engine, size: int, stop: Stop | None) -> None:
        """Make what is missing, ``size`` prompts a call. Each of ``work`` is called in its own way."""
        everything = [ask for asks, _ in work for ask in asks]
        count = self._count
        count.prompts, count.wanted = len(everything), sum(ask.wanted for ask in everything)
        count.known = sum(len(ask.results) for ask in everything)
        self._tell()
        if count.left:
            engine.load(self._hear.stage)
        for asks, call in work:
            pending = [ask for ask in asks if ask.missing]
            for numbers in parts(len(pending), size):
                raise_if(stop)
                self._make([pending[number] for number in numbers], call, stop)

    def _make(self, asks: list[_Ask], call: _Call, stop: Stop | None) -> None:
        def take(number: int, index: int, result: Any, tokens: int) -> None:
            if index not in asks[number].results:  # what is kept is handed over too
                asks[number].results[index] = result
                self._count.made += 1
                self._count.tokens += tokens
                self._spend()
                self._tell()

        self._since = time.perf_counter()
        try:
            call([ask.messages for ask in asks], take)
        except EngineError as error:
            if stop and stop():  # a model in another process may have heard the same Ctrl-C
                raise Stopped from error
            if isinstance(error, PartialError):
                self._fail({asks[number]: problem for number, problem in error.failures.items()})
            else:
                self._fail({ask: error.problem for ask in asks if ask.missing})
                if len(asks) >= _ALL_FAIL:
                    raise
        finally:
            self._spend()

    def _fail(self, problems: Mapping[_Ask, str]) -> None:
        for ask, problem in problems.items():
            self._count.failed += 1
            self._count.lost += ask.missing
            self._failures.update(dict.fromkeys(ask.places, problem))
        self._tell()

    def _spend(self) -> None:
        now = time.perf_counter()
        self._count.seconds += now - self._since
        self._since = now

    def _tell(self) -> None:
        if self._hear.count:
            self._hear.count(self._count)
