"""Looks up what is cached of a way for a list of samples, as arrays, and keeps these in files.

To write the prompts of 10,000 samples and check what is stored under them takes minutes; the arrays are small. Stored
results never change, so complete arrays stay as they are; others are looked up again once results were added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from sqlalchemy import func, select

from backend.engines.base import parts, raise_if
from backend.errors import NotPreparedError, UsageError
from backend.evaluation.citations import CitationCount, cited_titles
from backend.evaluation.paper.systems import LabelledSamples, Responses, WayResponses
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.prompting import HistoryLine, read_verdict
from backend.questions import Question
from backend.retrieval import ORDERS, PAPER_GAMMAS
from backend.seeding import digest
from backend.types import Progress, Stop, Trace, own_seconds
from storage.arrays import keep_arrays, kept_arrays
from storage.database.tables import AnswerRow, TraceRow
from storage.evaluation.ways import Way, untuned
from storage.kept.sample_list import at_line
from storage.results.lookup import look_up_all
from storage.workspace import Workspace

# This number goes up whenever the same cached results would give other arrays.
_VERSION = 3
_SAMPLES_PER_LOOK = 200


@dataclass(frozen=True)
class LookUp:
    """How look-ups go: who hears of them, and who can stop them. ``kept``: only what was looked up before is taken,
    even if results were added since. ``unknown``: results of unknown precision are taken too.
    """

    progress: Progress = lambda _what, _fraction: None
    stop: Stop = lambda: False
    kept: bool = False
    unknown: bool = False


def look_up_ways(
    workspace: Workspace, ways: Sequence[Way], samples: LabelledSamples, look_up: LookUp
) -> dict[str, WayResponses]:
    """Returns what is cached of each way, by key. Runs no model. Raises ``Stopped``, ``UsageError`` naming a sample's
    line, and ``NotPreparedError`` where only what is kept is asked for and there is none.
    """
    cached: dict[str, WayResponses] = {}
    usual = workspace.settings.tuned_adapter
    for adapter in dict.fromkeys(way.adapter for way in ways):
        of_adapter = [way for way in ways if way.adapter == adapter]
        if adapter == usual:
            cached |= _of_workspace(workspace, of_adapter, samples, look_up)
            continue
        with Workspace(workspace.settings.model_copy(update={"tuned_adapter": adapter})) as tuned_otherwise:
            cached |= _of_workspace(tuned_otherwise, of_adapter, samples, look_up)
    return {way.key: cached[way.key] for way in ways}


def _of_workspace(
    workspace: Workspace, ways: Sequence[Way], samples: LabelledSamples, look_up: LookUp
) -> dict[str, WayResponses]:
    tune = untuned(workspace)
    kept, cached = _KeptResponses(workspace, samples, look_up.unknown), {}
    for number, way in enumerate(ways):
        raise_if(look_up.stop)
        recipe = workspace.recipe(**way.recipe)
        responses = Responses.unknown(len(samples), 0) if tune else kept.read(way, recipe, old=look_up.kept)
        if responses is None:
            if look_up.kept:
                raise NotPreparedError(f"{samples.said} were not looked up yet", fix="rallrec evaluate, or the job")
            begin, whole = number / len(ways), 1 / len(ways)

            def tell(what: str, fraction: float | None, begin: float = begin, whole: float = whole) -> None:
                look_up.progress(what, begin + whole * (fraction or 0.0))

            responses = _look(workspace.pipeline(), way, recipe, samples, replace(look_up, progress=tell))
            kept.write(way, recipe, responses)
        run, answers_run = (
            tune or way.command(workspace.settings, samples.options, answers_only=alone) for alone in (False, True)
        )
        missing = "not tuned yet" if tune else ""
        responses = responses.tempered(recipe.merging.p_r_temperature)
        cached[way.key] = WayResponses(
            responses, recipe.hash, _asked(recipe, way), way.chains, missing, run, answers_run
        )
    return cached


def _look(pipeline: Pipeline, way: Way, recipe: Recipe, samples: LabelledSamples, look_up: LookUp) -> Responses:
    """The naive equivalent is ``storage.results.lookup.look_up`` of each sample."""
    chains = recipe.reasoning.traces if way.chains else 0
    blocks = []
    for chunk in parts(len(samples), _SAMPLES_PER_LOOK):
        raise_if(look_up.stop)
        look_up.progress(f"looking up {way.key}", chunk[0] / len(samples))
        questions = _questions(pipeline, recipe, samples, chunk)
        asked = [question if way.every_variant else question.of_one_variant for question in questions]
        blocks.append(_arrays(look_up_all(pipeline, asked, recipe, unknown=look_up.unknown), chains))
    return Responses.joined(blocks) if blocks else Responses.unknown(0, chains)


def _asked(recipe: Recipe, way: Way) -> int:
    """How many variants of a prompt M_G is asked, where no history is shorter than K."""
    config = recipe.retrieval
    gammas = 1 + sum(gamma != config.gamma for gamma in PAPER_GAMMAS)
    of_spread = {"orders": len(ORDERS), "left-out": 1 + config.k, "gamma": gammas}
    return of_spread[recipe.tuned.spread] if way.every_variant else 1


def _questions(
    pipeline: Pipeline, recipe: Recipe, samples: LabelledSamples, places: Iterable[int]
) -> Iterator[Question]:
    for place in places:
        try:
            yield pipeline.question(int(samples.users[place]), int(samples.items[place]), recipe)
        except UsageError as error:
            raise at_line(samples.where[place], error) from error


def _arrays(predictions: Sequence[Prediction], chains: int) -> Responses:
    responses = Responses.unknown(len(predictions), chains)
    for place, prediction in enumerate(predictions):
        responses.p_g[place], responses.var_g[place] = prediction.p_g, prediction.var_g
        first = prediction.answers[0]
        if first:
            responses.first[place] = first.p_yes
            responses.answer_seconds[place], responses.answer_tokens[place] = first.seconds, first.prompt_tokens
        for index, trace in enumerate(prediction.traces[:chains]):
            if trace:
                _read_chain(responses, (index, place), prediction.question, trace)
        known = {index: trace for index, trace in enumerate(prediction.traces[:chains]) if trace}
        responses.seconds[list(known), place] = own_seconds(list(known.values()))
    return responses


def _read_chain(responses: Responses, where: tuple[int, int], question: Question, trace: Trace) -> None:
    responses.p_yes[where] = np.nan if trace.p_yes is None else trace.p_yes
    responses.verdict[where] = read_verdict(trace.text).hard if trace.is_chain else np.nan
    responses.tokens[where] = trace.tokens
    cited = cited_titles(trace.text, shown_lines(question, trace), question.subject.target)
    for name, count in asdict(CitationCount.of(cited)).items():
        getattr(responses, name)[where] = count


def shown_lines(question: Question, trace: Trace) -> list[HistoryLine]:
    """The history's lines that the chain's model was shown: without the oldest that did not fit."""
    oldest = sorted(question.lines, key=lambda line: -1 if line.position is None else line.position)
    dropped = oldest[: trace.dropped]
    return [line for line in question.lines if line not in dropped]


class _KeptResponses:
    """Files of what was looked up, in ``evaluated`` of the home folder, named by all that it depends on."""

    def __init__(self, workspace: Workspace, samples: LabelledSamples, unknown: bool) -> None:
        self._workspace, self._samples, self._unknown = workspace, samples, unknown
        with workspace.database.session(read_only=True) as session:
            counts = (select(func.count()).select_from(table) for table in (AnswerRow, TraceRow))
            self._counts = np.array([session.execute(query).scalar_one() for query in counts])

    def read(self, way: Way, recipe: Recipe, old: bool) -> Responses | None:
        """Returns None where nothing is kept, where it is damaged, and (not with ``old``) where results were added
        since that it may lack.
        """
        names = [field.name for field in fields(Responses)]
        arrays = kept_arrays(self._path(way, recipe), [*names, "counts"])
        if arrays is None:
            return None
        counts = arrays.pop("counts")
        responses = Responses(**arrays)
        # If there are fewer results than then, some were deleted, and nobody can say which.
        fits = (self._counts >= counts).all() if responses.complete else (self._counts == counts).all()
        return responses if fits or old else None

    def write(self, way: Way, recipe: Recipe, responses: Responses) -> None:
        keep_arrays(self._path(way, recipe), {"counts": self._counts, **responses.arrays})

    def _path(self, way: Way, recipe: Recipe) -> Path:
        work = self._workspace
        models = [asdict(work.model(role)) for role in ("tuned", "reasoning")]
        key = {
            "version": _VERSION,
            "data": work.dataset().meta.data_hash,
            "samples": self._samples.digest,
            "models": models,
            "unknown": self._unknown,
            "recipe": recipe.model_dump(mode="json", exclude={"merging"}),
            "orders": len(ORDERS) if way.every_variant else 1,
            "chains": way.chains,
            "split": work.settings.split,
            "database": str(work.database.url),
            "space": _space(work),
        }
        return work.settings.home / "evaluated" / f"{way.key}-{digest(key, 24)}.npz"


def _space(workspace: Workspace) -> str:
    """Names the vectors that choose the history."""
    ready = workspace.precompute().ready("space")
    return ready.folder.name if ready else ""
