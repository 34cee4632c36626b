"""The What-if page's questions: a link to a what-if and back, what is known before and after, asking, keeping.

Knows no Gradio and no HTML. Both sides go through the one pipeline and the one queue of runs. Nothing here is read by
an evaluation: results of an edited prompt have keys of their own, and the kept edits a table of their own. (An edit
that leaves a prompt as it is asks the models the same, and shares its answer.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import numpy as np

from app.predict.service import PredictService
from app.shared.address import LeftOut, readable
from app.shared.frame import cast_of
from app.shared.runs import LiveRun
from app.shared.sessions import Sessions
from app.what_if.edits import Plain, act
from app.what_if.view import WhatIfSession, WhatIfSide, WhatIfView
from backend.datasets import Dataset
from backend.engines import models
from backend.errors import RallrecError, UsageError
from backend.knobs import KNOBS
from backend.merging import MergingConfig
from backend.pipeline import Prediction, Recipe
from backend.retrieval import exact_gamma
from backend.what_if import Edits
from storage.kept.what_ifs import KeptWhatIf, WhatIf, WhatIfs
from storage.results.lookup import look_up
from storage.workspace import Workspace

# Longer addresses are cut by some programs that they are sent with.
MAX_LINK = 2000
_MAX_LISTED = 100
_CHOICES = frozenset(Recipe().named)


class WhatIfService:
    """One per app and dataset. Methods may be called from any thread; they raise ``RallrecError`` for bad input."""

    def __init__(self, workspace: Workspace, predict: PredictService) -> None:
        self._workspace, self._predict = workspace, predict
        self._sessions = Sessions(WhatIfSession)

    def session(self, page: str) -> WhatIfSession:
        """What the open page with this key remembers; the pages used longest ago are forgotten first."""
        return self._sessions.of(page)

    @property
    def data(self) -> Dataset:
        return self._workspace.dataset()

    @property
    def _kept(self) -> WhatIfs:
        return WhatIfs(self._workspace.database)

    @cached_property
    def _step(self) -> float:
        """The smallest difference of two ratings that are given."""
        used = np.unique(self.data.rating)
        return float(np.diff(used).min()) if len(used) > 1 else 1.0

    def find_items(self, text: str, user: str) -> list[tuple[str, str]]:
        """(what to show, id) of items whose title holds ``text``, those of this user first."""
        return self._predict.choices.find_items(user or self._predict.default_request.user, text)

    def open(self, link: str | Mapping[str, str]) -> WhatIf:
        """The what-if of a link (its query). ``id``: a kept one; else Predict's parameters, and ``edits`` as JSON.

        Raises ``UsageError`` naming what is wrong with it.
        """
        query = dict(parse_qsl(link)) if isinstance(link, str) else dict(link)
        meta = self.data.meta
        if query.get("id"):
            kept = self._kept.get(query["id"])
            if (kept.what_if.dataset, kept.what_if.data_hash) != (meta.name, meta.data_hash):
                raise UsageError(
                    f"The what-if {kept.name!r} was kept for other data ({kept.what_if.dataset})",
                    expected=f"{meta.name} as it is now",
                    fix="open it where that dataset is served",
                )
            return kept.what_if
        request = self._predict.request({name: value for name, value in query.items() if name != "near"})
        more = {name: value for name, value in query.items() if name in _CHOICES - KNOBS.keys()}
        recipe = self._workspace.recipe(**request.choices, **more)
        return WhatIf.of(meta, request.user, request.item, recipe, Edits.read(query.get("edits") or "{}"))

    def look_at(self, link: Mapping[str, str], session: WhatIfSession) -> tuple[WhatIfView, tuple[LeftOut, ...]]:
        """:meth:`look` at what a link opens, or at as much of it as can be shown, and what was left out.

        Raises ``RallrecError`` where nothing can be shown at all.
        """
        try:
            return self.look(self.open(link), session), ()
        except RallrecError:
            known = {name: value for name, value in link.items() if name in _PARAMETERS}
            kept, left = readable(known, lambda some: self.look(self.open(some), WhatIfSession()))
            return self.look(self.open(kept), session), left

    def look(self, what_if: WhatIf, session: WhatIfSession) -> WhatIfView:
        """What is known before and after, without asking any model; remembers it as what the page shows."""
        pipeline, recipe = self._predict.pipeline, what_if.recipe
        data = pipeline.dataset
        user, item = data.user_code(what_if.user), data.item_code(what_if.item)
        question = pipeline.question(user, item, recipe)
        before = after = WhatIfSide(look_up(pipeline, question, recipe, unknown=True))
        if what_if.edits:
            edited = pipeline.question(user, item, what_if.edited_recipe, what_if.edits)
            after = WhatIfSide(look_up(pipeline, edited, what_if.edited_recipe, unknown=True))
        tuned, reasoning = (self._workspace.model(role) for role in ("tuned", "reasoning"))
        kept = self._kept.find(what_if.id) if what_if.edits else None
        link = self.link(what_if, kept)
        view = WhatIfView(
            what_if=what_if,
            data=data,
            plain=Plain(data, question.past, what_if.item, recipe),
            before=before,
            after=after,
            models={"tuned": models.display_name(tuned), "reasoning": models.display_name(reasoning)},
            cast=cast_of(tuned, reasoning),
            link=link,
            plain_link=self.link(replace(what_if, edits=Edits())),
            step=self._step,
            kept=kept,
            others=self._others(what_if),
            deleted=session.deleted,
            too_long=len(link) > MAX_LINK,
        )
        with session.lock:
            return self._remember(view, session)

    def _others(self, what_if: WhatIf) -> tuple[KeptWhatIf, ...]:
        """All kept ones of this question, then the latest of the dataset."""
        here = self._kept.all(what_if.dataset, user=what_if.user, item=what_if.item)
        latest = self._kept.all(what_if.dataset, limit=_MAX_LISTED)
        return tuple({kept.id: kept for kept in (*here, *latest)}.values())

    def act(self, do: str, name: str, value: str, session: WhatIfSession) -> WhatIfView:
        """One action in the editor, on what the page shows (:func:`app.what_if.edits.act`)."""
        with session.lock:
            shown = self._shown(session)
            edits = act(shown.what_if.edits, do, name, value, replace(shown.plain, draft=shown.draft))
            return self.look(replace(shown.what_if, edits=edits), session)

    def link(self, what_if: WhatIf, kept: KeptWhatIf | None = None) -> str:
        """The query of the what-if's address: what :meth:`open` gives it back from."""
        query: dict[str, Any] = {"dataset": self._workspace.other} if self._workspace.other else {}
        query |= {"user": what_if.user, "item": what_if.item}
        if kept is not None:
            return urlencode(query | {"id": kept.id}, quote_via=quote)
        usual = self._workspace.recipe().named
        for name, value in what_if.recipe.named.items():
            if name in KNOBS or value != usual[name]:
                query[name] = _spelt(name, value)
        if what_if.edits:
            query["edits"] = what_if.edits.canonical
        return urlencode(query, quote_via=quote)

    def ask(self, session: WhatIfSession) -> list[LiveRun]:
        """Start asking what is missing before and after, before first; runs of another what-if are stopped."""
        with session.lock:
            view = self._remember(self._shown(session), session)
            named = dict(zip(("before", "after"), view.sides, strict=False))
            for name, run in session.runs.items():
                if name not in named or not _same(run.snapshot().prediction, named[name].prediction):
                    run.stop()
            for name, side in named.items():
                if side.unasked and not side.live:
                    unanswered = side.prediction
                    session.runs[name] = self._predict.runs.start(
                        self._predict.pipeline, unanswered.question, unanswered.recipe
                    )
            return [session.runs[name] for name in named if name in session.runs]

    def watch(self, session: WhatIfSession) -> WhatIfView:
        """The page's present view with its runs as of now."""
        with session.lock:
            return self._remember(self._shown(session), session)

    def follow(self, session: WhatIfSession) -> Iterator[WhatIfView]:
        """Views as the page's runs go on, until all have ended or others took their place."""
        runs = self.ask(session)
        for run in runs:
            for _ in run.watch():
                if all(run is not current for current in session.runs.values()):
                    return
                yield self.watch(session)
        yield self.watch(session)

    def stop(self, session: WhatIfSession) -> None:
        """Stop this page's runs; what has finished is kept."""
        with session.lock:
            for run in session.runs.values():
                if run.snapshot().live:
                    run.stop()

    def keep(self, name: str, session: WhatIfSession) -> WhatIfView:
        """Keep what the page shows under a name, or rename it. Raises ``UsageError`` where nothing is edited."""
        with session.lock:
            shown = self._shown(session)
            if not shown.edited:
                raise UsageError("Nothing is changed yet: there is nothing to keep", fix="change something first")
            self._kept.keep(shown.what_if, name)
            return self.look(shown.what_if, session)

    def delete(self, identifier: str, session: WhatIfSession) -> WhatIfView:
        """Forget a kept what-if; :meth:`restore` brings it back."""
        with session.lock:
            session.deleted = self._kept.delete(identifier)
            return self.look(self._shown(session).what_if, session)

    def restore(self, session: WhatIfSession) -> WhatIfView:
        """Keep again what this page deleted last, as it was."""
        with session.lock:
            if session.deleted is not None:
                self._kept.keep(session.deleted.what_if, session.deleted.name, session.deleted.created_at)
                session.deleted = None
            return self.look(self._shown(session).what_if, session)

    @staticmethod
    def _shown(session: WhatIfSession) -> WhatIfView:
        if session.view is None:
            raise UsageError("This page was open for too long and is forgotten", fix="load it again")
        return session.view

    @staticmethod
    def _remember(view: WhatIfView, session: WhatIfSession) -> WhatIfView:
        """Join both sides with the page's runs, and keep the view as what the page shows."""
        view = replace(view, before=_joined(view.before, session.runs.get("before")))
        view = replace(view, after=_joined(view.after, session.runs.get("after")) if view.edited else view.before)
        live_sides = [side.live for side in view.sides]
        live = [run for run in session.runs.values() if run.snapshot().live]
        session.view = replace(view, other_run=len(live) > sum(live_sides))
        return session.view


# What a link can say; the rest of it is none of this page's.
_PARAMETERS = _CHOICES | {"user", "item", "id", "edits"}


def _joined(side: WhatIfSide, run: LiveRun | None) -> WhatIfSide:
    """The side with what its run has reached, if the run is of exactly this question."""
    snapshot = run.snapshot() if run else None
    if snapshot is None or not _same(snapshot.prediction, side.prediction):
        return replace(side, run=None)
    reached = WhatIfSide(replace(snapshot.prediction, recipe=side.prediction.recipe), snapshot)
    return reached if reached.unasked < side.unasked else replace(side, run=snapshot)


def _same(first: Prediction, second: Prediction) -> bool:
    """Whether two predictions ask the same (alpha and epsilon do not matter to that)."""
    questions = []
    for prediction in (first, second):
        question, recipe = prediction.question, prediction.recipe.model_copy(update={"merging": MergingConfig()})
        questions.append((question.user, question.item, question.history_rows, _of_question(question.edits), recipe))
    return questions[0] == questions[1]


def _of_question(edits: Edits) -> Edits:
    """The edits without those of the recipe."""
    return edits.model_copy(update={"settings": {}})


def _spelt(name: str, value: Any) -> str:
    if name == "gamma" and exact_gamma(round(value, 3)) == value:
        value = round(value, 3)
    return f"{value:.12g}" if isinstance(value, float) else str(value)
