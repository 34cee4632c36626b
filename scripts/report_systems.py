"""What ``rallrec report`` compares: each system's predictions for a list of samples, from the cache alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.baselines import TrivialPredictors
from backend.datasets import PARTS, Dataset, build_samples, split
from backend.errors import UsageError
from backend.evaluation.citations import CitationCount, cited_titles
from backend.pipeline import Prediction, Recipe
from backend.prompting import NO_ANSWER, HistoryLine, read_verdict
from backend.questions import Question
from backend.settings import Settings, load_settings
from backend.training.config import RECIPES, TuneConfig
from backend.types import Progress, Trace
from storage.cached_engine import CachedEngine
from storage.lookup import look_up
from storage.roles import SCRIPTED
from storage.sample_list import Sample, at_line
from storage.workspace import Workspace

# The sentence that M_R is told (eq. 9): none, or as the paper words it.
KNOWLEDGE = ("none", "paper")
# What the untuned model is asked with: the answers of past items are for one that learned from them.
ZERO_SHOT = {"template": "paper"}
Float64 = NDArray[np.float64]
# Settings given as options; None: not given.
Given = dict[str, str | None]


@dataclass(frozen=True)
class Labelled:
    """Samples with what really happened. ``rows``: int64[s]; ``users``: codes; ``labels``: 0 or 1."""

    samples: tuple[Sample, ...]
    rows: NDArray[np.int64]
    users: NDArray[np.int64]
    labels: Float64

    @classmethod
    def of(cls, samples: Sequence[Sample], data: Dataset) -> Labelled:
        """Raises ``UsageError`` naming the line of a sample that the user never rated: nothing says what is right."""
        rows = []
        for sample in samples:
            row = data.find_row(sample.user, sample.item)
            if row is None:
                user, item = data.user_ids[sample.user], data.item_label(sample.item)
                raise UsageError(f"{sample.where}: user {user} never rated {item}", expected="samples with a rating")
            rows.append(row)
        found = np.asarray(rows, dtype=np.int64)
        users = data.user_index[found].astype(np.int64)
        return cls(tuple(samples), found, users, data.labels[found].astype(np.float64))

    def parts(self, workspace: Workspace) -> dict[str, int]:
        """How many samples are of which part of the split."""
        data = workspace.dataset()
        how = split(build_samples(data), data, workspace.settings.split)
        names = [how.name_of(int(row)) or "no sample" for row in self.rows]
        return {name: names.count(name) for name in (*PARTS, "no sample") if name in names}


@dataclass(frozen=True)
class System:
    """``scores``: a probability per sample, NaN where it is not cached; ``missing``: why there can be none at all."""

    key: str
    name: str
    scores: Float64
    missing: str | None = None

    @property
    def cached(self) -> int:
        return int((~np.isnan(self.scores)).sum())

    @property
    def complete(self) -> bool:
        return self.missing is None and self.cached == len(self.scores)


def open_tuned(given: Given, adapter: str) -> Workspace:
    """The settings' workspace with another adapter of M_G ("" for none): same home and database."""
    return Workspace(load_settings(**given, tuned_adapter=adapter))


def own_adapter(settings: Settings) -> str:
    """M_G's adapter in RALLRec: the settings' own where it is not tuned here, else the recipe ``rallrec``."""
    own = settings.tuned_adapter
    return own if own and own not in RECIPES else "rallrec"


def untuned(workspace: Workspace, role: str = "tuned") -> str | None:
    """Why M_G (or who else plays ``role``) is not the tuned model that the settings name; None where it is."""
    model, named = workspace.model(role), getattr(workspace.settings, f"{role}_adapter")
    if named in RECIPES and model.adapter is None and model.name != SCRIPTED.name:
        return f"not tuned: rallrec tune --recipe {named}"
    return None


def rella_choices(settings: Settings) -> dict[str, Any]:
    """ReLLa's retrieval (by text alone), as its adapter was tuned."""
    return TuneConfig.model_validate(settings.tune).retrieval("rella").model_dump()


def trivial(workspace: Workspace, samples: Labelled) -> tuple[System, System]:
    data = workspace.dataset()
    means = TrivialPredictors(data, split(build_samples(data), data, workspace.settings.split))
    return (
        System("user-mean", "user mean", means.user_mean(samples.rows)),
        System("item-mean", "item mean", means.item_mean(samples.rows)),
    )


def expert(workspace: Workspace, recipe: Recipe, samples: Labelled, key: str, name: str, progress: Progress) -> System:
    """M_G alone: its answers to the first history order."""
    missing = untuned(workspace)
    if missing:
        return System(key, name, np.full(len(samples.rows), np.nan), missing)
    pipeline = workspace.pipeline()
    assert isinstance(pipeline.tuned, CachedEngine)
    prompts = []
    for sample in _told(samples.samples, f"{name}: looking up", progress):
        question = _asked(sample, lambda own: pipeline.question(own.user, own.item, recipe))
        prompts.append(question.prompts[0].messages)
    answers = pipeline.tuned.peek_answers(prompts)
    return System(key, name, np.array([np.nan if own is None else own.p_yes for own in answers]))


def reasoned(
    workspace: Workspace, samples: Labelled, gamma: float | None, progress: Progress
) -> dict[str, list[Prediction]]:
    """By knowledge, every sample with what is cached of its answers and chains."""
    pipeline = workspace.pipeline()
    recipes = {wording: workspace.recipe(gamma=gamma, knowledge=wording) for wording in KNOWLEDGE}
    found: dict[str, list[Prediction]] = {wording: [] for wording in KNOWLEDGE}
    for sample in _told(samples.samples, "full method: looking up", progress):
        question = _asked(sample, lambda own: pipeline.question(own.user, own.item, recipes["none"]))
        for wording, recipe in recipes.items():
            found[wording].append(look_up(pipeline, question, recipe))
    return found


@dataclass(frozen=True)
class Merging:
    """The four numbers that eq. 10 takes, each float64[s], NaN where something is not cached."""

    p_r: Float64
    var_r: Float64
    p_g: Float64
    var_g: Float64

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> Merging:
        def column(name: str) -> Float64:
            return np.array([getattr(own, name) for own in predictions], dtype=np.float64)

        return cls(column("p_r"), column("var_r"), column("p_g"), column("var_g"))

    @property
    def columns(self) -> tuple[Float64, Float64, Float64, Float64]:
        return self.p_r, self.var_r, self.p_g, self.var_g

    @property
    def cached(self) -> int:
        return int((~np.isnan(np.array(self.columns)).any(axis=0)).sum())


@dataclass(frozen=True)
class ChainFacts:
    """Over the cached chains of one knowledge: how many there are and should be, how many end in a verdict that can be
    read, what they cite, and their tokens in all.
    """

    knowledge: str
    chains: int
    wanted: int
    readable: int
    citations: CitationCount
    tokens: int


def chain_facts(knowledge: str, predictions: Sequence[Prediction]) -> ChainFacts:
    """A prompt that lost lines is judged by those that were left."""
    traces = [(own.question, trace) for own in predictions for trace in own.traces if trace]
    cited = [
        found
        for question, trace in traces
        for found in cited_titles(trace.text, shown_lines(question, trace), question.subject.target)
    ]
    return ChainFacts(
        knowledge,
        len(traces),
        sum(len(own.traces) for own in predictions),
        sum(read_verdict(trace.text).answer != NO_ANSWER for _, trace in traces),
        CitationCount.of(cited),
        sum(trace.tokens for _, trace in traces),
    )


def shown_lines(question: Question, trace: Trace) -> list[HistoryLine]:
    """The history's lines that the chain's model was shown: without the oldest that did not fit."""
    oldest = sorted(question.lines, key=lambda line: -1 if line.position is None else line.position)
    dropped = oldest[: trace.dropped]
    return [line for line in question.lines if line not in dropped]


def _asked(sample: Sample, ask: Callable[[Sample], Question]) -> Question:
    try:
        return ask(sample)
    except UsageError as error:
        raise at_line(sample.where, error) from error


def _told(samples: Sequence[Sample], what: str, progress: Progress) -> Iterable[Sample]:
    for number, sample in enumerate(samples):
        progress(what, number / len(samples))
        yield sample


def number(value: float) -> float | None:
    """What JSON takes: null for NaN."""
    return None if isnan(value) else float(value)


def check_apart(test: Labelled, validation: Labelled) -> None:
    """Raise ``UsageError`` where a sample is in both lists: weights chosen on it would be scored on it."""
    both = np.intersect1d(test.rows, validation.rows)
    if len(both):
        where = test.samples[int(np.flatnonzero(test.rows == both[0])[0])].where
        raise UsageError(
            f"{len(both)} samples are in both lists; the first is {where}",
            expected="validation samples that are not scored",
            fix="take them out of one list",
        )
