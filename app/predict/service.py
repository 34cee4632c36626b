"""The Predict page's questions: who and what can be picked, what a setting shows, what asking starts.

Knows no Gradio and no HTML. Every number comes from the pipeline; nothing is computed twice.
"""

from __future__ import annotations

import reprlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from app.predict import neighbours as neighbourhood
from app.predict.neighbours import Nearest
from app.predict.other_choice import ChoiceSide, against
from app.predict.pickable import Choices
from app.predict.slider_marks import Answered, answered_values
from app.predict.view import PredictSession, PredictView
from app.shared.address import LeftOut, SampleAddress, readable
from app.shared.controls import check_bounds, read
from app.shared.frame import cast_of
from app.shared.per_dataset import PerDataset
from app.shared.runs import LiveRun, RunQueue, known
from app.shared.sessions import Sessions
from backend.commands import command_line
from backend.datasets import Dataset, build_samples, split
from backend.engines import models
from backend.errors import RallrecError, UsageError
from backend.merging import MergingConfig
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.questions import Question
from backend.retrieval import GammaStretch, RetrievalConfig, gamma_stretches
from storage.results.lookup import look_up
from storage.workspace import Workspace


class PredictService:
    """One per app and dataset. Methods may be called from any thread; they raise ``RallrecError`` for bad input."""

    def __init__(self, workspace: Workspace, runs: RunQueue | None = None) -> None:
        self._workspace = workspace
        self.runs = runs or RunQueue(workspace.worker)
        self.choices = Choices(workspace)

    @property
    def pipeline(self) -> Pipeline:
        return self._workspace.pipeline()

    @property
    def _data(self) -> Dataset:
        return self._workspace.dataset()

    def item_id(self, code: Any) -> str:
        """The id of an item code, which may be anything that a browser sends. Raises ``UsageError``."""
        if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code < self._data.n_items:
            raise UsageError(f"{reprlib.repr(code)} is no item", expected=f"a code below {self._data.n_items}")
        return self._data.item_ids[code]

    @cached_property
    def default_request(self) -> SampleAddress:
        """The first prepared sample, or else the first test sample, at the settings' values."""
        data, settings = self._data, self._workspace.settings
        prepared = self._workspace.prepared_samples()
        if not prepared:
            row = int(split(build_samples(data), data, settings.split).test[0])
            prepared = [(data.user_ids[data.user_index[row]], data.item_ids[data.item_index[row]])]
        usual = SampleAddress.of(*prepared[0], self._workspace.recipe(), self._workspace.other)
        return usual.choosing(**{name: read(name, value) for name, value in usual.choices.items()})

    def request(self, query: Mapping[str, Any]) -> SampleAddress:
        """What a link or the page's controls ask for; what they leave out keeps its default.

        Raises ``UsageError`` naming the parameter.
        """
        given, usual = SampleAddress.parse(query), self.default_request
        item = given.item
        if given.user and not item:
            items = self.choices.find_items(given.user)
            item = items[0][1] if items else ""
        changed = {"user": given.user or usual.user, "item": item or usual.item, "near": given.near}
        return usual.choosing(**given.choices).model_copy(update=changed)

    def opened(self, query: Mapping[str, Any]) -> SampleAddress:
        """:meth:`request`, if the page's controls can show it. Raises ``UsageError`` naming what they cannot."""
        request = self.request(query)
        check_bounds(request.choices, self._workspace.settings)
        return request

    def look(self, request: SampleAddress, session: PredictSession) -> PredictView:
        """What is known for this setting, without asking any model; remembers it as what the page shows."""
        pipeline, recipe = self.pipeline, self._recipe(request)
        data = pipeline.dataset
        question = pipeline.question(data.user_code(request.user), data.item_code(request.item), recipe)
        tuned, reasoning = (self._workspace.model(role) for role in ("tuned", "reasoning"))
        both = question.channels
        view = PredictView(
            request=request,
            command=self.command(request),
            data=data,
            prediction=look_up(pipeline, question, recipe, unknown=True),
            models={"tuned": models.display_name(tuned), "reasoning": models.display_name(reasoning)},
            players={"tuned": tuned, "reasoning": reasoning},
            cast=cast_of(tuned, reasoning),
            stretches=self._stretches(question, recipe.retrieval, session.view),
            explained=neighbourhood.explain(
                self._workspace, list(dict.fromkeys([*both.relevant, *both.recent])), question.item
            ),
            nearest=self._nearest(request, question, session),
        )
        with session.lock:
            if not view.prediction.complete or view.prediction.unknown:
                self._join_run(view.prediction, session)
                view = replace(view, earlier=self.runs.last_job(pipeline, question, recipe))
            chosen = before = _chosen(view.prediction)
            if session.view and _sample(session.view.prediction) == _sample(view.prediction):
                before = _chosen(session.view.prediction)
            entered, left = frozenset(chosen) - frozenset(before), tuple(i for i in before if i not in chosen)
            return self._remember(replace(view, entered=entered, left=left), session)

    def merge(self, request: SampleAddress, session: PredictSession, truth: bool = False) -> PredictView:
        """What is known for this setting; where only alpha and epsilon moved, by another merge, with no look-up.

        ``truth``: whether it is to be told.
        """
        merging = self._recipe(request).merging
        with session.lock:
            shown = session.view
            if shown and _unmerged(shown.request) == _unmerged(request):
                if session.asked:
                    session.asked = _merged_by(session.asked, merging)
                shown = replace(shown, request=request, command=self.command(request))
                view = replace(shown, prediction=_merged_by(shown.prediction, merging))
                return replace(self._remember(view, session), truth=truth)
        return replace(self.look(request, session), truth=truth)

    def open_nearest(self, request: SampleAddress, session: PredictSession) -> PredictView:
        """Look, and from now on with the nearest items of ``request.near``; the first time this can take seconds."""
        session.near_open = True
        return self.look(request, session)

    def watch(self, session: PredictSession) -> PredictView:
        """The page's present view with its run as of now. ``session.view`` must be there."""
        with session.lock:
            assert session.view is not None
            return self._remember(session.view, session)

    def command(self, request: SampleAddress) -> str:
        """The command that predicts the same as a request."""
        return request.command(self._command)

    @cached_property
    def _command(self) -> str:
        """The command without any choice. It reads the settings anew, which a slider has no time for."""
        return command_line(self._workspace.settings, "predict")

    def answered(self, request: SampleAddress) -> Answered:
        """For which values of its sliders the other choices of a request are answered already."""
        return answered_values(self.pipeline, *self._codes(request), self._recipe(request))

    def against(self, request: SampleAddress, other: str) -> tuple[ChoiceSide, ChoiceSide]:
        """What enters a request's prompt, beside what would by another variant or strategy."""
        return against(self.pipeline, *self._codes(request), self._recipe(request), other)

    def ask(self, session: PredictSession) -> LiveRun:
        """Start asking both models about what the page shows; an earlier run of this page is stopped first."""
        with session.lock:
            assert session.view is not None
            if session.run and session.run.owner == session.owner:
                self.stop(session)
            shown = session.view.prediction
            session.run = self.runs.start(self.pipeline, shown.question, shown.recipe, session.owner)
            return session.run

    def stop(self, session: PredictSession) -> None:
        """Stop this page's run, if one goes on. Raises ``UsageError`` where somebody else started it."""
        run = session.run
        if run and run.snapshot().live:
            self.runs.stop(run, session.owner)

    def _join_run(self, prediction: Prediction, session: PredictSession) -> None:
        """A page that has no run of its own watches the one of this prediction, whoever started it."""
        if session.run is None or not session.run.snapshot().live:
            session.run = self.runs.live(self.pipeline, prediction.question, prediction.recipe) or session.run

    def _codes(self, request: SampleAddress) -> tuple[int, int]:
        return self._data.user_code(request.user), self._data.item_code(request.item)

    def _recipe(self, request: SampleAddress) -> Recipe:
        return self._workspace.recipe(**request.choices)

    def _nearest(self, request: SampleAddress, question: Question, session: PredictSession) -> Nearest | None:
        """For an open fold only; what the page already shows is not looked up again."""
        item = self._data.item_code(request.near) if request.near else question.item
        variant = request.choices["variant"]
        if not session.near_open:
            return None
        before = session.view.nearest if session.view else None
        if before and not before.problem and before.asked == (variant, item, question.user, question.item):
            return before
        return neighbourhood.nearest(self._workspace, variant, item, question)

    @staticmethod
    def _stretches(question: Question, config: RetrievalConfig, before: PredictView | None) -> Sequence[GammaStretch]:
        """Where along gamma the chosen set changes; moving gamma itself does not ask that anew."""
        if config.strategy != "rerank":
            return ()
        if before is not None:
            old, earlier = before.prediction.recipe.retrieval, before.prediction.question
            if old.model_copy(update={"gamma": config.gamma}) == config and earlier.channels == question.channels:
                return before.stretches
        both = question.channels
        return gamma_stretches(both.relevant, both.recent, config.k, config.beta, config.combine)

    @staticmethod
    def _remember(view: PredictView, session: PredictSession) -> PredictView:
        """Join the view with the page's run and its last answered prediction, and keep it as what the page shows."""
        run, prediction = session.run.snapshot() if session.run else None, view.prediction
        of_this = run is not None and _same(run.prediction, prediction)
        if run and of_this:
            # The run may have finished more than was looked up; what was looked up, more than the run has reached.
            prediction = max(prediction, replace(run.prediction, recipe=prediction.recipe), key=known)
        if prediction.complete:
            session.asked = prediction
        last_complete = session.asked
        needs_stale = not prediction.complete and not (run and of_this and run.live)
        session.view = replace(
            view,
            prediction=prediction,
            stale=last_complete
            if needs_stale and last_complete and _sample(last_complete) == _sample(prediction)
            else None,
            run=run if of_this else None,
            other_run=bool(run and run.live and not of_this and session.run and session.run.owner == session.owner),
        )
        return session.view


class PredictServices(PerDataset[PredictService]):
    """One per app; one queue of runs for all datasets. A page keeps to one dataset: another one is another address."""

    def __init__(self, workspace: Workspace, runs: RunQueue | None = None) -> None:
        self.runs = runs or RunQueue(workspace.worker)
        super().__init__(workspace, lambda over: PredictService(over, self.runs))
        self._sessions = Sessions(PredictSession)

    def session(self, page: str) -> PredictSession:
        """What the open page with this key remembers; the pages used longest ago are forgotten first."""
        return self._sessions.of(page)

    def shown(self, session: PredictSession) -> PredictService:
        """The service of what a page shows. Raises ``UsageError`` where the page is forgotten."""
        if session.view is None:
            raise UsageError("This page was open for too long and is forgotten", fix="load it again")
        return self.of(session.view.request.dataset)

    def request(self, query: Mapping[str, Any]) -> SampleAddress:
        """See :meth:`PredictService.request`; ``dataset`` says of which."""
        return self.of(str(query.get("dataset") or "")).request(query)

    def look_at(self, link: Mapping[str, str], session: PredictSession) -> tuple[PredictView, tuple[LeftOut, ...]]:
        """Look at what a link asks for, or at as much of it as can be shown, and what was left out.

        Raises ``RallrecError`` where nothing can be shown at all.
        """
        service = self.of(link.get("dataset", ""))
        try:
            return service.look(service.opened(link), session), ()
        except RallrecError:
            named = {name: value for name, value in link.items() if name != "dataset"}
            kept, left = readable(named, lambda some: service.look(service.opened(some), PredictSession()))
            return service.look(service.opened(kept), session), left


def _unmerged(request: SampleAddress) -> SampleAddress:
    """The request without what a merge depends on."""
    return request.choosing(**dict.fromkeys(MergingConfig.model_fields))


def _sample(prediction: Prediction) -> tuple[int, int]:
    return prediction.question.user, prediction.question.item


def _chosen(prediction: Prediction) -> tuple[Hashable, ...]:
    return tuple(row.item for row in prediction.question.chosen)


def _merged_by(prediction: Prediction, merging: MergingConfig) -> Prediction:
    return replace(prediction, recipe=prediction.recipe.model_copy(update={"merging": merging}))


def _same(first: Prediction, second: Prediction) -> bool:
    """Whether two predictions ask the same (alpha and epsilon do not matter to that)."""
    recipes = [_merged_by(prediction, MergingConfig()).recipe for prediction in (first, second)]
    return _sample(first) == _sample(second) and recipes[0] == recipes[1]
