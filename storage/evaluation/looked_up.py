"""What is cached of a way for a list of samples, as arrays; kept beside the database, so that it is read once.

Writing the prompts of 10,000 samples and checking what is stored under them takes minutes, what comes of it is small.
Stored results never change, so what is complete stays so; what is not is looked up again once results were added.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from backend.engines.base import parts, raise_if
from backend.errors import NotPreparedError, UsageError
from backend.evaluation.citations import CitationCount, cited_titles
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.prompting import HistoryLine, read_verdict
from backend.questions import Question
from backend.seeding import digest
from backend.types import Progress, Stop, Trace
from storage.database.tables import AnswerRow, TraceRow
from storage.evaluation.labelled import Labelled
from storage.evaluation.ways import Way, untuned
from storage.kept.sample_list import Sample, at_line
from storage.results.lookup import look_up_all
from storage.workspace import Workspace

Float64 = NDArray[np.float64]
# Raised whenever the same cached results would give other arrays.
_VERSION = 1
_SAMPLES_PER_LOOK = 200


@dataclass(frozen=True)
class Looked:
    """Of s samples and K chains (0 where M_R is not asked); NaN where something is not cached.

    Of M_G, [s]: ``p_g``, ``var_g`` as the recipe wants them; ``first``: its answer to the first history order, with
    ``answer_seconds`` and ``answer_tokens``. Of the chains, [K, s]: ``p_yes``; ``verdict``: 1, 0, or 0.5 where none
    can be read; ``tokens``; ``seconds``; how many titles each cites (``cited``, ``in_prompt``) and ratings it quotes
    (``rated``, ``rated_right``).
    """

    p_g: Float64
    var_g: Float64
    first: Float64
    answer_seconds: Float64
    answer_tokens: Float64
    p_yes: Float64
    verdict: Float64
    tokens: Float64
    seconds: Float64
    cited: Float64
    in_prompt: Float64
    rated: Float64
    rated_right: Float64

    @property
    def p_r(self) -> Float64:
        """The mean over the chains, NaN where one is missing."""
        return self.p_yes.mean(axis=0) if len(self.p_yes) else np.full(len(self.p_g), np.nan)

    @property
    def var_r(self) -> Float64:
        return self.p_yes.var(axis=0) if len(self.p_yes) else np.full(len(self.p_g), np.nan)

    @property
    def merging(self) -> tuple[Float64, Float64, Float64, Float64]:
        """The four numbers that eq. 10 takes."""
        return self.p_r, self.var_r, self.p_g, self.var_g

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not any(np.isnan(getattr(self, own.name)).any() for own in fields(self))


@dataclass(frozen=True)
class Found:
    """What is cached of a way. ``missing``: why there can be nothing at all; ``recipe``: its hash."""

    way: Way
    looked: Looked
    recipe: str
    missing: str = ""


@dataclass(frozen=True)
class Looking:
    """How look-ups go: who hears of them, and who can stop them. ``kept``: what was looked up before is taken as it
    is, though results may have been added since, and nothing else is looked up.
    """

    progress: Progress = lambda _what, _fraction: None
    stop: Stop = lambda: False
    kept: bool = False


def look_up_ways(workspace: Workspace, ways: Sequence[Way], samples: Labelled, looking: Looking) -> dict[str, Found]:
    """By key, what is cached of each way. Runs no model. Raises ``Stopped``, ``UsageError`` naming a sample's line, and
    ``NotPreparedError`` where only what is kept is asked for and it is not.
    """
    found: dict[str, Found] = {}
    for adapter in dict.fromkeys(way.adapter for way in ways):
        own = [way for way in ways if way.adapter == adapter]
        if adapter == workspace.settings.tuned_adapter:
            found |= _of_workspace(workspace, own, samples, looking)
            continue
        settings = workspace.settings.model_copy(update={"tuned_adapter": adapter})
        with closing(Workspace(settings)) as other:
            found |= _of_workspace(other, own, samples, looking)
    return {way.key: found[way.key] for way in ways}


def _of_workspace(workspace: Workspace, ways: Sequence[Way], samples: Labelled, looking: Looking) -> dict[str, Found]:
    missing, found = untuned(workspace) or "", {}
    kept = _Kept(workspace, samples)
    for number, way in enumerate(ways):
        raise_if(looking.stop)
        recipe = workspace.recipe(**way.recipe)
        if missing:
            found[way.key] = Found(way, _nothing(len(samples), 0), recipe.hash, missing)
            continue
        looked = kept.read(way, recipe, old=looking.kept)
        if looked is None:
            if looking.kept:
                raise NotPreparedError(f"{samples.said} were not looked up yet", fix="rallrec evaluate, or the job")
            begin, whole = number / len(ways), 1 / len(ways)

            def tell(what: str, fraction: float | None, begin: float = begin, whole: float = whole) -> None:
                looking.progress(what, begin + whole * (fraction or 0.0))

            looked = _look(workspace.pipeline(), way, recipe, samples, tell, looking.stop)
            kept.write(way, recipe, looked)
        found[way.key] = Found(way, looked, recipe.hash)
    return found


def _look(pipeline: Pipeline, way: Way, recipe: Recipe, samples: Labelled, progress: Progress, stop: Stop) -> Looked:
    """The naive equivalent is ``storage.results.lookup.look_up`` of each sample."""
    blocks = []
    for chunk in parts(len(samples), _SAMPLES_PER_LOOK):
        raise_if(stop)
        progress(f"looking up {way.key}", chunk[0] / len(samples))
        asked = list(_questions(pipeline, recipe, [samples.samples[place] for place in chunk]))
        cut = [replace(own, prompts=own.prompts[: way.orders]) for own in asked]
        blocks.append(_arrays(look_up_all(pipeline, cut, recipe), recipe.reasoning.traces if way.chains else 0))
    if not blocks:
        return _nothing(0, recipe.reasoning.traces if way.chains else 0)
    joined = {
        own.name: np.concatenate([getattr(block, own.name) for block in blocks], axis=-1) for own in fields(Looked)
    }
    return Looked(**joined)


def _questions(pipeline: Pipeline, recipe: Recipe, samples: Sequence[Sample]) -> Iterator[Question]:
    for sample in samples:
        try:
            yield pipeline.question(sample.user, sample.item, recipe)
        except UsageError as error:
            raise at_line(sample.where, error) from error


def _arrays(predictions: Sequence[Prediction], chains: int) -> Looked:
    looked = _nothing(len(predictions), chains)
    for place, own in enumerate(predictions):
        looked.p_g[place], looked.var_g[place] = own.p_g, own.var_g
        first = own.answers[0]
        if first:
            looked.first[place] = first.p_yes
            looked.answer_seconds[place], looked.answer_tokens[place] = first.seconds, first.prompt_tokens
        for index, trace in enumerate(own.traces[:chains]):
            if trace:
                _read_chain(looked, (index, place), own.question, trace)
    return looked


def _read_chain(looked: Looked, where: tuple[int, int], question: Question, trace: Trace) -> None:
    looked.p_yes[where], looked.verdict[where] = trace.p_yes, read_verdict(trace.text).hard
    looked.tokens[where], looked.seconds[where] = trace.tokens, trace.seconds
    cited = cited_titles(trace.text, shown_lines(question, trace), question.subject.target)
    for name, count in asdict(CitationCount.of(cited)).items():
        getattr(looked, name)[where] = count


def shown_lines(question: Question, trace: Trace) -> list[HistoryLine]:
    """The history's lines that the chain's model was shown: without the oldest that did not fit."""
    oldest = sorted(question.lines, key=lambda line: -1 if line.position is None else line.position)
    dropped = oldest[: trace.dropped]
    return [line for line in question.lines if line not in dropped]


def _nothing(samples: int, chains: int) -> Looked:
    of_sample = {"p_g", "var_g", "first", "answer_seconds", "answer_tokens"}
    shapes = {own.name: (samples,) if own.name in of_sample else (chains, samples) for own in fields(Looked)}
    return Looked(**{name: np.full(shape, np.nan) for name, shape in shapes.items()})


class _Kept:
    """Files of what was looked up, in ``evaluated`` of the home folder, named by all that it depends on."""

    def __init__(self, workspace: Workspace, samples: Labelled) -> None:
        self._workspace, self._samples = workspace, samples
        with workspace.database.session(read_only=True) as session:
            counts = (select(func.count()).select_from(table) for table in (AnswerRow, TraceRow))
            self._counts = np.array([session.execute(query).scalar_one() for query in counts])

    def read(self, way: Way, recipe: Recipe, old: bool) -> Looked | None:
        """None where nothing is kept, what is kept is damaged, or (not with ``old``) results were added that it may
        lack."""
        try:
            with np.load(self._path(way, recipe)) as stored:
                looked, counts = Looked(**{own.name: stored[own.name] for own in fields(Looked)}), stored["counts"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        # Fewer results than then: some were deleted, which ones cannot be told.
        fits = (self._counts >= counts).all() if looked.complete else (self._counts == counts).all()
        return looked if fits or old else None

    def write(self, way: Way, recipe: Recipe, looked: Looked) -> None:
        """Without it the next run takes longer, no more: a folder that cannot be written is no error."""
        path = self._path(way, recipe)
        packed = io.BytesIO()
        np.savez_compressed(packed, **{"counts": self._counts, **_named(looked)})  # type: ignore[arg-type]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(".new")
            beside.write_bytes(packed.getvalue())
            beside.replace(path)
        except OSError:
            return

    def _path(self, way: Way, recipe: Recipe) -> Path:
        work = self._workspace
        models = [asdict(work.model(role)) for role in ("tuned", "reasoning")]
        key = {
            "version": _VERSION,
            "data": work.dataset().meta.data_hash,
            "samples": self._samples.digest,
            "models": models,
            "recipe": recipe.model_dump(mode="json", exclude={"merging"}),
            "orders": way.orders,
            "chains": way.chains,
            "split": work.settings.split,
            "database": str(work.database.url),
            "space": _space(work),
        }
        return work.settings.home / "evaluated" / f"{way.key}-{digest(key, 24)}.npz"


def _named(looked: Looked) -> Mapping[str, Float64]:
    return {own.name: getattr(looked, own.name) for own in fields(looked)}


def _space(workspace: Workspace) -> str:
    """Which vectors choose the history."""
    ready = workspace.precompute().ready("space")
    return ready.folder.name if ready else ""
