"""The Predict page's questions about any of the datasets: each goes to the service of the dataset that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.predict.service import PredictService
from app.predict.view import Request, Session, View
from app.shared.controls import check_bounds
from app.shared.mended_links import LeftOut, readable
from app.shared.per_dataset import PerDataset
from app.shared.runs import Run, RunQueue
from app.shared.sessions import Sessions
from backend.errors import RallrecError, UsageError
from backend.settings import Settings
from storage.workspace import Workspace


class PredictServices(PerDataset[PredictService]):
    """One per app; one queue of runs for all datasets. A page keeps to one dataset: another one is another address."""

    def __init__(self, workspace: Workspace, runs: RunQueue | None = None) -> None:
        self.runs = runs or RunQueue(workspace.worker)
        super().__init__(workspace, lambda own: PredictService(own, self.runs))
        self._sessions = Sessions(Session)

    def session(self, page: str) -> Session:
        """What the open page with this key remembers; the pages used longest ago are forgotten first."""
        return self._sessions.of(page)

    def request(self, query: Mapping[str, Any]) -> Request:
        """See :meth:`PredictService.request`; ``dataset`` says of which."""
        return self.of(str(query.get("dataset") or "")).request(query)

    def look_at(
        self, link: Mapping[str, str], session: Session, settings: Settings
    ) -> tuple[View, tuple[LeftOut, ...]]:
        """:meth:`look` at what a link asks for, or at as much of it as can be shown, and what was left out.

        Raises ``RallrecError`` where nothing can be shown at all.
        """
        service = self.of(link.get("dataset", ""))

        def look(some: Mapping[str, str], session: Session) -> View:
            return service.look(check_bounds(service.request(some), settings), session)

        try:
            return look(link, session), ()
        except RallrecError:
            named = {name: value for name, value in link.items() if name != "dataset"}
            kept, left = readable(named, lambda some: look(some, Session()))
            return look(kept, session), left

    def look(self, request: Request, session: Session) -> View:
        return self.of(request.dataset).look(request, session)

    def merge(self, request: Request, session: Session, truth: bool = False) -> View:
        return self.of(request.dataset).merge(request, session, truth)

    def open_nearest(self, request: Request, session: Session) -> View:
        return self.of(request.dataset).open_nearest(request, session)

    def watch(self, session: Session) -> View:
        return self._shown(session).watch(session)

    def ask(self, session: Session) -> Run:
        return self._shown(session).ask(session)

    def stop(self, session: Session) -> None:
        self._shown(session).stop(session)

    def _shown(self, session: Session) -> PredictService:
        if session.view is None:
            raise UsageError("This page was open for too long and is forgotten", fix="load it again")
        return self.of(session.view.request.dataset)
