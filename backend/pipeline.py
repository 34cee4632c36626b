"""One prediction from history to merged probability; a Recipe wires the stages. Knows no database and no screen.

``Pipeline.question`` is the cheap part (retrieval, rerank, prompts: milliseconds, no model); ``Pipeline.predict`` asks
the two models. Both give the same :class:`Prediction`, with None where nothing has been asked yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from backend.datasets import Dataset
from backend.datasets.statistics import TrainingStatistics
from backend.engines import Engine, ReasoningConfig
from backend.errors import SettingsError, UnknownNameError
from backend.merging import MergingConfig, TunedConfig, mean_and_variance, merge, scale
from backend.prompting import Prompt, PromptingConfig, build_prompt, knowledge_sentence
from backend.questions import Question as Question  # of this module too, for those who predict
from backend.questions import Questions
from backend.representation import ItemSpace
from backend.retrieval import RetrievalConfig, Retriever
from backend.seeding import digest
from backend.settings import Settings
from backend.types import Answer, Progress, Stop, Trace
from backend.what_if import Edits


class Recipe(BaseModel):
    """Every choice behind a prediction; its :attr:`hash` is written into every result.

    What ``tuned`` holds is written, and may be read, as part of ``prompting``: hashes and stored recipes are older than
    the stage.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    retrieval: RetrievalConfig = RetrievalConfig()
    prompting: PromptingConfig = PromptingConfig()
    tuned: TunedConfig = TunedConfig()
    reasoning: ReasoningConfig = ReasoningConfig()
    merging: MergingConfig = MergingConfig()

    @model_validator(mode="before")
    @classmethod
    def _as_read(cls, given: Any) -> Any:
        prompting = given.get("prompting") if isinstance(given, dict) else None
        if not isinstance(prompting, dict) or not prompting.keys() & TunedConfig.model_fields:
            return given
        tuned = {name: value for name, value in prompting.items() if name in TunedConfig.model_fields}
        kept = {name: value for name, value in prompting.items() if name not in tuned}
        return given | {"prompting": kept, "tuned": dict(given.get("tuned", {})) | tuned}

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        for stage, (name, before) in _LATER.items():
            if written.get(stage, {}).get(name) == before:
                del written[stage][name]
        if "prompting" in written and "tuned" in written:
            written["prompting"] |= written.pop("tuned")
        return written

    @property
    def hash(self) -> str:
        return digest(self.model_dump(mode="json"), 16)

    @classmethod
    def from_settings(cls, settings: Settings, **overrides: Any) -> Recipe:
        """Makes the recipe of ``settings``, which name choices as the stages do; ``overrides`` that are not None win.

        Raises ``UnknownNameError`` for an override that is no stage's, ``SettingsError`` naming the value that a stage
        does not take.
        """
        return cls._of(settings.model_dump(), overrides)

    def replacing(self, **values: Any) -> Recipe:
        """Returns this recipe with some choices replaced, named as settings are. Raises as :meth:`from_settings`."""
        return self._of(self.named, values)

    @property
    def named(self) -> dict[str, Any]:
        """Returns every choice by the name that settings have for it."""
        return {name: value for stage in _STAGES for name, value in dict(getattr(self, stage)).items()}

    @staticmethod
    def stage_of(name: str) -> str:
        """The stage that a choice belongs to. Raises ``UnknownNameError``."""
        for stage, model in _STAGES.items():
            if name in model.model_fields:
                return stage
        raise UnknownNameError("choice of a recipe", name, _choices())

    @staticmethod
    def field(name: str) -> FieldInfo:
        """What the config takes for a choice. Raises ``UnknownNameError``."""
        return _STAGES[Recipe.stage_of(name)].model_fields[name]

    @classmethod
    def _of(cls, named: dict[str, Any], overrides: dict[str, Any]) -> Recipe:
        for name in sorted(overrides.keys() - _choices()):
            raise UnknownNameError("choice of a recipe", name, _choices())
        given = named | {name: value for name, value in overrides.items() if value is not None}
        stages: dict[str, dict[str, Any]] = {
            stage: {name: given[name] for name in model.model_fields if name in given}
            for stage, model in _STAGES.items()
        }
        try:
            return cls.model_validate(stages)
        except ValidationError as error:
            first = error.errors()[0]
            raise SettingsError(f"{first['loc'][-1]} is {first['input']!r}: {first['msg']}") from error


# Choices that came later, and what held before they came: at that value they are not written, because hashes and stored
# recipes are older.
_LATER: dict[str, tuple[str, Any]] = {"tuned": ("spread", "orders"), "merging": ("p_r_temperature", 1.0)}
_STAGES: dict[str, type[BaseModel]] = {
    "retrieval": RetrievalConfig,
    "prompting": PromptingConfig,
    "tuned": TunedConfig,
    "reasoning": ReasoningConfig,
    "merging": MergingConfig,
}


def _choices() -> set[str]:
    return {name for model in _STAGES.values() for name in model.model_fields}


@dataclass(frozen=True)
class Prediction:
    """A question with what the models have said so far. Means and variances are NaN until there is enough to say."""

    question: Question
    recipe: Recipe
    answers: tuple[Answer | None, ...]
    reason_prompt: Prompt | None = None
    traces: tuple[Trace | None, ...] = ()

    @property
    def p_g(self) -> float:
        """M_G's answer to the first variant of its prompt, or the mean over all, as the recipe says."""
        return self._tuned[0]

    @property
    def var_g(self) -> float:
        """Population variance of M_G's answers over the variants of its prompt (:class:`TunedConfig`)."""
        return self._tuned[1]

    @cached_property
    def _tuned(self) -> tuple[float, float]:
        return self.recipe.tuned.merge_answers([answer.p_yes if answer else None for answer in self.answers])

    @property
    def p_r(self) -> float:
        return self._reasoning[0]

    @property
    def var_r(self) -> float:
        return self._reasoning[1]

    @cached_property
    def complete(self) -> bool:
        """True where every answer and every chain is there."""
        return all(self.answers) and self.reason_prompt is not None and all(self.traces)

    @property
    def unknown(self) -> bool:
        """Whether it is made of results whose precision is unknown."""
        return any(result.unknown for result in (*self.answers, *self.traces) if result)

    @property
    def p_final(self) -> float:
        """Eq. 10; P_G alone where the recipe asks for no chains; NaN until complete, and where none is a chain."""
        if not self.traces:
            return self.p_g if self.complete else float("nan")
        merging = self.recipe.merging
        return float(merge(self.p_r, self.var_r, self.p_g, self.var_g, merging.alpha, merging.epsilon))

    @cached_property
    def written_prompt(self) -> Prompt | None:
        """M_R's prompt as history and hint make it, even where its text was edited; None until the hint is known."""
        question, wording = self.question, self.recipe.prompting.knowledge
        sentence = question.edits.injected
        if sentence is None:
            if np.isnan(self.p_g) and wording != "none":
                return None
            sentence = knowledge_sentence(self.p_g, wording)
        return build_prompt("reason", question.subject, question.lines, sentence)

    @property
    def chains(self) -> list[Trace]:
        """What counts in P_R and its variance: the sampled texts so far that are chains (:attr:`Trace.is_chain`)."""
        return [trace for trace in self.traces if trace and trace.is_chain]

    @property
    def lacks_chains(self) -> bool:
        """True where every text was sampled and none of them is a chain: P_R is undefined, and nothing is merged."""
        return bool(self.traces) and all(self.traces) and not self.chains

    def taking_traces(self, traces: Sequence[Trace | None]) -> Prediction:
        """Returns the same prediction with these chains."""
        return replace(self, traces=tuple(traces))

    @cached_property
    def _reasoning(self) -> tuple[float, float]:
        if not all(self.traces):
            return float("nan"), float("nan")
        known = [trace.p_yes for trace in self.chains if trace.p_yes is not None]
        return mean_and_variance(scale(known, self.recipe.merging.p_r_temperature))


@dataclass(frozen=True)
class Listener:
    """What a caller hears while a prediction is made; every part is optional.

    ``stage``: what goes on, with a fraction; ``update``: the prediction so far; ``piece``: text of a chain.
    """

    stage: Progress | None = None
    update: Callable[[Prediction], None] | None = None
    piece: Callable[[int, str], None] | None = None


class Pipeline:
    """A dataset, its items' vectors, the tuned model M_G and the reasoning model M_R.

    ``on_asked`` is told the questions that M_G is about to be asked, by :meth:`predict` or in a batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        space: ItemSpace,
        tuned: Engine,
        reasoner: Engine,
        statistics: TrainingStatistics | None = None,
    ) -> None:
        self.dataset, self.tuned, self.reasoner = dataset, tuned, reasoner
        self.on_asked: Callable[[Sequence[Question]], None] = lambda _questions: None
        self.questions = Questions(dataset, space, statistics)

    @property
    def retriever(self) -> Retriever:
        return self.questions.retriever

    def question(self, user: int, item: int, recipe: Recipe, edits: Edits | None = None) -> Question:
        """Retrieve, rerank and write the prompts for the user and item codes. Raises ``UsageError``.

        Of ``edits``, those of the question are made; those of the recipe (``settings``) are made in ``recipe``.
        """
        spread, layout = recipe.tuned.spread, recipe.prompting.template
        return self.questions.ask(user, item, recipe.retrieval, layout, edits, spread)

    def unasked(self, question: Question, recipe: Recipe) -> Prediction:
        """Makes a prediction of the question, with no answer and no chain yet."""
        return Prediction(question, recipe, (None,) * len(question.prompts), None, (None,) * recipe.reasoning.traces)

    def with_answers(self, prediction: Prediction, answers: Sequence[Answer | None]) -> Prediction:
        """Take in M_G's answers and, once P_G is known, write M_R's prompt with the injected sentence (eq. 9)."""
        taken = replace(prediction, answers=tuple(answers))
        if taken.reason_prompt is not None and taken.p_g == prediction.p_g:
            return taken
        edited = taken.question.edits.prompt
        return replace(taken, reason_prompt=taken.written_prompt if edited is None else Prompt(edited))

    def predict(
        self, question: Question, recipe: Recipe, listener: Listener | None = None, stop: Stop | None = None
    ) -> Prediction:
        """Ask M_G, then M_R with what M_G said, then M_G again for its variance. Raises what the engines raise.

        The first order's answer is all that M_R's prompt needs, so the chains start before the other orders are asked.
        """
        hear = listener or Listener()
        self.on_asked([question])
        now = self.unasked(question, recipe)
        orders = len(question.prompts)
        first = recipe.tuned.needed(orders)
        now = self._answer(now, range(first), hear, stop)
        now = self._reason(now, hear, stop)
        return self._answer(now, range(first, orders), hear, stop)

    def _answer(self, now: Prediction, orders: range, hear: Listener, stop: Stop | None) -> Prediction:
        """Ask M_G about the history in these orders; each answer is told as it is known."""

        def on_answer(number: int, answer: Answer) -> None:
            nonlocal now
            place = orders[number]
            now = self.with_answers(now, [*now.answers[:place], answer, *now.answers[place + 1 :]])
            _tell(hear, now)

        if orders:
            prompts = [now.question.prompts[order].messages for order in orders]
            self.tuned.answer(prompts, on_answer=on_answer, progress=hear.stage, stop=stop)
        return now

    def _reason(self, now: Prediction, hear: Listener, stop: Stop | None) -> Prediction:
        config = now.recipe.reasoning
        if not config.traces or now.reason_prompt is None:
            return now
        traces: list[Trace | None] = [None] * config.traces

        def on_trace(_prompt: int, trace: Trace) -> None:
            traces[trace.index] = trace
            _tell(hear, now.taking_traces(traces))

        def on_piece(_prompt: int, index: int, text: str) -> None:
            if hear.piece:
                hear.piece(index, text)

        [done] = self.reasoner.reason(
            [now.reason_prompt.messages],
            config.traces,
            config.sampling,
            on_piece=on_piece,
            on_trace=on_trace,
            progress=hear.stage,
            stop=stop,
        )
        return now.taking_traces(done)


def _tell(listener: Listener, prediction: Prediction) -> None:
    if listener.update:
        listener.update(prediction)
