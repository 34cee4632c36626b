"""Which samples and results ship with the program: drawn, asked where they are missing, and named by their keys.

Test samples under every shipped setting, so that the first page and its sliders answer at once; validation samples, on
which alpha and epsilon are chosen; and the systems that the tuned models are compared with.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.batch import Batch, BatchListener, unasked_predictions
from backend.datasets import Dataset, build_samples, split
from backend.datasets.samples import spread_sample
from backend.errors import NotPreparedError
from backend.evaluation.citations import cited_titles
from backend.pipeline import Pipeline, Prediction
from backend.prompting import read_verdict
from backend.representation import VARIANTS
from backend.settings import Settings, load_settings
from backend.types import ModelRef, Stop
from scripts.console import open_workspace
from storage.evaluation.ways import GAMMAS, KNOWLEDGE, ZERO_SHOT, tuned_choices, untuned
from storage.kept.sample_list import COLUMNS, Sample, read_samples
from storage.results.cached_engine import CachedEngine
from storage.results.lookup import look_up
from storage.roles import ROLES
from storage.shipped import samples_file
from storage.workspace import Workspace

# How many samples of how many users ship, by part.
SAMPLES = {"test": (300, 60), "validation": (100, 50)}


@dataclass(frozen=True)
class ShippedSystem:
    """Some recipes of one M_G and M_R on one part. ``settings``: what differs from the settings at hand.
    ``every_variant``: whether M_G is asked every variant of its prompt; without, there is no sigma_G^2.
    """

    name: str
    part: str
    settings: dict[str, Any]
    recipes: tuple[dict[str, Any], ...]
    every_variant: bool = True


@dataclass(frozen=True)
class SystemResults:
    """A system's predictions, the models that made them, and the keys under which their parts are kept."""

    system: ShippedSystem
    predictions: list[Prediction]
    models: frozenset[ModelRef]
    keys: frozenset[str]


def systems(settings: Settings) -> tuple[ShippedSystem, ...]:
    """In the order in which they are worth having."""
    both = tuple({"knowledge": wording} for wording in KNOWLEDGE)
    by_text = tuned_choices(settings, "rella") | {"traces": 0}
    more = tuple({"gamma": gamma, "knowledge": wording} for gamma in GAMMAS[1:] for wording in KNOWLEDGE)
    gammas = tuple({"gamma": gamma, "traces": 0} for gamma in GAMMAS)
    recent, untuned_model = {"strategy": "recent"}, {"tuned_adapter": ""}
    return (
        ShippedSystem("RALLRec+", "test", {}, both),
        ShippedSystem("RALLRec+", "validation", {}, both),
        ShippedSystem("zero-shot", "test", untuned_model, (ZERO_SHOT | {"traces": 0},), every_variant=False),
        ShippedSystem("ReLLa", "test", {"tuned_adapter": "rella"}, (by_text,), every_variant=False),
        ShippedSystem("RALLRec+, other gamma", "test", {}, more),
        ShippedSystem("RALLRec, each gamma", "validation", {}, gammas, every_variant=False),
        ShippedSystem(
            "zero-shot without retrieval",
            "test",
            {"tuned_adapter": ""},
            (ZERO_SHOT | recent | {"traces": 0},),
            every_variant=False,
        ),
        ShippedSystem("retrieval compared", "test", {}, retrievals(), every_variant=False),
        ShippedSystem("reasoner without retrieval", "test", {}, (recent | {"knowledge": "none"},), every_variant=False),
    )


def retrievals() -> tuple[dict[str, Any], ...]:
    """What Table 6 (each variant by similarity alone) and Fig. 8 (each strategy) ask M_G, beside the default."""
    by_similarity = tuple({"strategy": "mix-then-retrieve", "variant": variant, "traces": 0} for variant in VARIANTS)
    others = tuple({"strategy": strategy, "traces": 0} for strategy in ("recent", "retrieve-then-mix"))
    return by_similarity + others


def draw_samples(workspace: Workspace, folder: Path) -> None:
    """Write the lists of samples that ship; always the same for the same data."""
    data = workspace.dataset()
    parts = split(build_samples(data), data, workspace.settings.split)
    for part, (limit, users) in SAMPLES.items():
        # A second rating of the same item is not asked about: the page could not show it.
        rows = np.array([row for row in parts.part(part) if data.find_row(*_pair(data, row)) == row], dtype=np.int64)
        present = len(np.unique(data.user_index[rows]))
        chosen = spread_sample(data, rows, min(users, present), limit, workspace.settings.seed)
        _write(samples_file(folder, part), data, [_pair(data, row) for row in chosen])


def put_front(folder: Path, data: Dataset, predictions: Sequence[Prediction]) -> None:
    """Move the sample that shows most to the top of the test list: the first page opens on it.

    Its chains disagree, and yet each can be read, cites only what its prompt shows, and the merged prediction is right;
    of several, the one whose chains cite most. Where there is none, the list stays as it is.
    """
    best = max(predictions, key=_shows, default=None)
    if best is None or not _shows(best):
        return
    first = best.question.user, best.question.item
    pairs = list(dict.fromkeys((prediction.question.user, prediction.question.item) for prediction in predictions))
    _write(samples_file(folder, "test"), data, [first, *(pair for pair in pairs if pair != first)])


def _shows(prediction: Prediction) -> int:
    """How many titles its chains cite; 0 where it does not show what ``put_front`` asks for."""
    question = prediction.question
    chains = [trace.text for trace in prediction.chains]
    verdicts = {read_verdict(text).answer for text in chains}
    cited = [title for text in chains for title in cited_titles(text, question.lines, question.subject.target)]
    grounded = all(title.in_prompt and title.rating_right is not False for title in cited)
    right = prediction.complete and (prediction.p_final > 0.5) == question.label
    return len(cited) if right and grounded and verdicts == {"yes", "no"} else 0


def _write(path: Path, data: Dataset, pairs: Iterable[tuple[int, int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((data.user_ids[user], data.item_ids[item]) for user, item in pairs)


def ask(folder: Path, listener: BatchListener, stop: Stop) -> Iterator[SystemResults]:
    """Every system on its samples, asked for what is missing; what is made is kept as it comes. Raises ``Stopped``."""
    for system in systems(load_settings()):
        with open_workspace(**system.settings) as workspace:
            _check_tuned(workspace, system)
            pipeline = workspace.pipeline()
            samples = read_samples(samples_file(folder, system.part), workspace.dataset())
            batch = Batch(pipeline, known(workspace, system, samples))
            batch.run(listener, stop)
            yield SystemResults(system, batch.predictions, *_keys(pipeline, batch.predictions))


def known(workspace: Workspace, system: ShippedSystem, samples: Sequence[Sample]) -> Iterator[Prediction]:
    """What is cached of a system's predictions: all recipes of the first sample first. Runs no model."""
    pipeline = workspace.pipeline()
    recipes = [workspace.recipe(**recipe) for recipe in system.recipes]
    for unasked in unasked_predictions(pipeline, [(sample.user, sample.item) for sample in samples], recipes):
        question = unasked.question if system.every_variant else unasked.question.of_one_variant
        yield look_up(pipeline, question, unasked.recipe)


def _check_tuned(workspace: Workspace, system: ShippedSystem) -> None:
    """Raise ``NotPreparedError`` where an adapter is missing: the base model alone would be asked instead."""
    for role in ROLES:
        if tune := untuned(workspace, role):
            raise NotPreparedError(f"The {role} model of {system.name} is not tuned yet", fix=tune)


def _keys(pipeline: Pipeline, predictions: Sequence[Prediction]) -> tuple[frozenset[ModelRef], frozenset[str]]:
    """Whose results the predictions are made of, and under which keys they are kept."""
    tuned, reasoner = pipeline.tuned, pipeline.reasoner
    assert isinstance(tuned, CachedEngine)
    assert isinstance(reasoner, CachedEngine)
    keys: set[str] = set()
    models = {tuned.model}
    for prediction in predictions:
        keys.update(tuned.answer_keys([prompt.messages for prompt in prediction.question.prompts]))
        if prediction.reason_prompt and prediction.traces:
            sampling = prediction.recipe.reasoning.sampling
            models.add(reasoner.model)
            keys.update(reasoner.trace_keys(prediction.reason_prompt.messages, len(prediction.traces), sampling))
    return frozenset(models), frozenset(keys)


def _pair(data: Dataset, row: int) -> tuple[int, int]:
    return int(data.user_index[row]), int(data.item_index[row])
