"""The Predict page's questions: who and what can be picked, what a setting shows, what asking starts.

Knows no Gradio and no HTML. Every number comes from the pipeline; nothing is computed twice.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

from app.predict import neighbours as neighbourhood
from app.predict.neighbours import Nearest
from app.predict.other_choice import Side, against
from app.predict.pickable import Choices
from app.predict.slider_marks import Answered, answered_values
from app.predict.view import Request, Session, View
from app.shared.frame import cast_of
from app.shared.runs import Run, RunQueue, known
from app.shared.sessions import Sessions
from backend.datasets import Dataset, build_samples, split
from backend.engines import models
from backend.errors import UsageError
from backend.merging import MergingConfig
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.questions import Question
from backend.retrieval import GammaStretch, RetrievalConfig, exact_gamma, gamma_stretches
from storage.results.lookup import look_up
from storage.workspace import Workspace

# What of a request is a choice of the recipe.
_CHOICES = tuple(field.name for field in fields(Request) if field.name not in ("user", "item", "near", "dataset"))


class PredictService:
    """One per app and dataset. Methods may be called from any thread; they raise ``RallrecError`` for bad input."""

    def __init__(self, workspace: Workspace, runs: RunQueue | None = None) -> None:
        self._workspace = workspace
        self.runs = runs or RunQueue(workspace.worker)
        self._sessions = Sessions(Session)
        self.choices = Choices(workspace)

    def session(self, page: str) -> Session:
        """What the open page with this key remembers; the pages used longest ago are forgotten first."""
        return self._sessions.of(page)

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
    def default_request(self) -> Request:
        """The first prepared sample, or else the first test sample, at the settings' values."""
        data, settings = self._data, self._workspace.settings
        prepared = self._workspace.prepared_samples()
        if not prepared:
            row = int(split(build_samples(data), data, settings.split).test[0])
            prepared = [(data.user_ids[data.user_index[row]], data.item_ids[data.item_index[row]])]
        return Request(
            user=prepared[0][0],
            item=prepared[0][1],
            **{name: getattr(settings, name) for name in _CHOICES if hasattr(settings, name)},
            dataset=self._workspace.other,
        )

    def request(self, query: Mapping[str, Any]) -> Request:
        """A request from a deep link or from the page's controls; what is missing keeps its default.

        Raises ``UsageError`` naming the parameter.
        """
        values = {}
        for field in fields(Request):
            given = query.get(field.name)
            if given is None or given == "" or field.name == "dataset":  # which one this is, is known
                continue
            kind = {"int": int, "float": float}.get(str(field.type), str)
            try:
                values[field.name] = kind(given)
                if not (isinstance(values[field.name], str) or math.isfinite(values[field.name])):
                    raise ValueError
            except (TypeError, ValueError, OverflowError):
                raise UsageError(
                    f"{field.name} is {reprlib.repr(given)}",
                    expected=f"a number, as in {field.name}=1",
                    fix="mend the link",
                ) from None
        request = replace(self.default_request, **values)
        if "user" in values and "item" not in values:
            choices = self.choices.find_items(request.user)
            if choices:
                request = replace(request, item=choices[0][1])
        return replace(request, gamma=exact_gamma(request.gamma), epsilon=float(f"{request.epsilon:.9g}"))

    def look(self, request: Request, session: Session) -> View:
        """What is known for this setting, without asking any model; remembers it as what the page shows."""
        pipeline, recipe = self.pipeline, self._recipe(request)
        data = pipeline.dataset
        question = pipeline.question(data.user_code(request.user), data.item_code(request.item), recipe)
        tuned, reasoning = (self._workspace.model(role) for role in ("tuned", "reasoning"))
        both = question.channels
        view = View(
            request=request,
            data=data,
            prediction=look_up(pipeline, question, recipe),
            models={"tuned": models.display_name(tuned), "reasoning": models.display_name(reasoning)},
            cast=cast_of(tuned, reasoning),
            stretches=self._stretches(question, recipe.retrieval, session.view),
            explained=neighbourhood.explain(
                self._workspace, list(dict.fromkeys([*both.relevant, *both.recent])), question.item
            ),
            nearest=self._nearest(request, question, session),
        )
        with session.lock:
            if not view.prediction.complete:
                self._join_run(view.prediction, session)
                view = replace(view, earlier=self.runs.last_job(pipeline, question, recipe))
            chosen = before = _chosen(view.prediction)
            if session.view and _sample(session.view.prediction) == _sample(view.prediction):
                before = _chosen(session.view.prediction)
            entered, left = frozenset(chosen) - frozenset(before), tuple(i for i in before if i not in chosen)
            return self._remember(replace(view, entered=entered, left=left), session)

    def merge(self, request: Request, session: Session, truth: bool = False) -> View:
        """What is known for this setting; where only alpha and epsilon moved, by another merge, with no look-up.

        ``truth``: whether it is to be told.
        """
        merging = self._recipe(request).merging
        with session.lock:
            shown = session.view
            if shown and replace(shown.request, alpha=request.alpha, epsilon=request.epsilon) == request:
                if session.asked:
                    session.asked = _merged_by(session.asked, merging)
                view = replace(shown, request=request, prediction=_merged_by(shown.prediction, merging))
                return replace(self._remember(view, session), truth=truth)
        return replace(self.look(request, session), truth=truth)

    def open_nearest(self, request: Request, session: Session) -> View:
        """Look, and from now on with the nearest items of ``request.near``; the first time this can take seconds."""
        session.near_open = True
        return self.look(request, session)

    def watch(self, session: Session) -> View:
        """The page's present view with its run as of now. ``session.view`` must be there."""
        with session.lock:
            assert session.view is not None
            return self._remember(session.view, session)

    def answered(self, request: Request) -> Answered:
        """For which values of its sliders the other choices of a request are answered already."""
        return answered_values(self.pipeline, *self._codes(request), self._recipe(request))

    def against(self, request: Request, other: str) -> tuple[Side, Side]:
        """What enters a request's prompt, beside what would by another variant or strategy."""
        return against(self.pipeline, *self._codes(request), self._recipe(request), other)

    def ask(self, session: Session) -> Run:
        """Start asking both models about what the page shows; an earlier run of this page is stopped first."""
        with session.lock:
            assert session.view is not None
            if session.run and session.run.owner == session.owner:
                self.stop(session)
            shown = session.view.prediction
            session.run = self.runs.start(self.pipeline, shown.question, shown.recipe, session.owner)
            return session.run

    def stop(self, session: Session) -> None:
        """Stop this page's run, if one goes on. Raises ``UsageError`` where somebody else started it."""
        run = session.run
        if run and run.snapshot().live:
            self.runs.stop(run, session.owner)

    def _join_run(self, prediction: Prediction, session: Session) -> None:
        """A page that has no run of its own watches the one of this prediction, whoever started it."""
        if session.run is None or not session.run.snapshot().live:
            session.run = self.runs.live(self.pipeline, prediction.question, prediction.recipe) or session.run

    def _codes(self, request: Request) -> tuple[int, int]:
        return self._data.user_code(request.user), self._data.item_code(request.item)

    def _recipe(self, request: Request) -> Recipe:
        return self._workspace.recipe(**{name: getattr(request, name) for name in _CHOICES})

    def _nearest(self, request: Request, question: Question, session: Session) -> Nearest | None:
        """For an open fold only; what the page already shows is not looked up again."""
        item = self._data.item_code(request.near) if request.near else question.item
        if not session.near_open:
            return None
        before = session.view.nearest if session.view else None
        if before and not before.problem and before.asked == (request.variant, item, question.user, question.item):
            return before
        return neighbourhood.nearest(self._workspace, request.variant, item, question)

    @staticmethod
    def _stretches(question: Question, config: RetrievalConfig, before: View | None) -> Sequence[GammaStretch]:
        """Where along gamma the chosen set changes; moving gamma itself does not ask that anew."""
        if config.strategy != "rerank":
            return ()
        if before is not None:
            old, asked = before.prediction.recipe.retrieval, before.prediction.question
            if old.model_copy(update={"gamma": config.gamma}) == config and asked.channels == question.channels:
                return before.stretches
        both = question.channels
        return gamma_stretches(both.relevant, both.recent, config.k, config.beta, config.combine)

    @staticmethod
    def _remember(view: View, session: Session) -> View:
        """Join the view with the page's run and its last answered prediction, and keep it as what the page shows."""
        run, prediction = session.run.snapshot() if session.run else None, view.prediction
        own = run is not None and _same(run.prediction, prediction)
        if run and own:
            # The run may have finished more than was looked up; what was looked up, more than the run has reached.
            prediction = max(prediction, replace(run.prediction, recipe=prediction.recipe), key=known)
        if prediction.complete:
            session.asked = prediction
        asked = session.asked
        needs_stale = not prediction.complete and not (run and own and run.live)
        session.view = replace(
            view,
            prediction=prediction,
            stale=asked if needs_stale and asked and _sample(asked) == _sample(prediction) else None,
            run=run if own else None,
            other_run=bool(run and run.live and not own and session.run and session.run.owner == session.owner),
        )
        return session.view


def _sample(prediction: Prediction) -> tuple[int, int]:
    return prediction.question.user, prediction.question.item


def _chosen(prediction: Prediction) -> tuple[Hashable, ...]:
    return tuple(row.item for row in prediction.question.chosen)


def _merged_by(prediction: Prediction, merging: MergingConfig) -> Prediction:
    return replace(prediction, recipe=prediction.recipe.model_copy(update={"merging": merging}))


def _same(one: Prediction, other: Prediction) -> bool:
    """Whether two predictions ask the same (alpha and epsilon do not matter to that)."""
    recipes = [_merged_by(prediction, MergingConfig()).recipe for prediction in (one, other)]
    return _sample(one) == _sample(other) and recipes[0] == recipes[1]
