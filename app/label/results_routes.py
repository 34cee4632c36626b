"""The routes of ``/labels/`` for what comes of labelling: figures as JSON, files, and the import of canonical ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

from fastapi.responses import Response, StreamingResponse

from app.label.http import HEADERS, LINES, Asked, Route
from app.label.services import Services
from backend.errors import DataError, UsageError
from backend.labelling import agreement, insight
from backend.labelling.formats import read_labels

_AT_ONCE = 1 << 18


def results_routes(services: Services) -> tuple[Route, ...]:
    """All of them."""
    service, reviewing = services.results, services.reviewing

    def agreed(asked: Asked) -> Any:
        return agreement.record(service.report(asked.account, asked.needed("project")))

    def disputed(asked: Asked) -> Any:
        found = service.disputed(asked.account, asked.needed("project"))
        return {"tasks": [dispute.record for dispute in found]}

    def seen(asked: Asked) -> Any:
        return insight.record(service.insight(asked.account, asked.needed("project")))

    def export(asked: Asked) -> Response:
        status = asked.query.get("status") or "submitted"
        made = service.export(asked.account, asked.needed("project"), asked.needed("format"), status)
        headers = HEADERS | {"Content-Disposition": f'attachment; filename="{made.name}"'}
        return StreamingResponse(_pieces(made.content), media_type=made.media_type, headers=headers)

    def take_over(asked: Asked) -> Any:
        try:
            counts = reviewing.take_over(asked.account, read_labels(io.BytesIO(asked.body), "what was sent"))
        except DataError as error:
            raise UsageError(error.problem, expected=error.expected, fix=error.fix) from error
        return {
            "new": counts.new,
            "same": counts.same,
            "conflicting": list(counts.conflicting),
            "projects": list(counts.projects),
            "says": taken_over(counts.new, counts.same, len(counts.conflicting)),
        }

    return (
        Route("GET", "agreement", agreed, service.report),
        Route("GET", "disputed", disputed, service.disputed),
        Route("GET", "insight", seen, service.insight),
        Route("GET", "export", export, service.export),
        Route("POST", "import", take_over, reviewing.take_over, takes=LINES),
    )


def taken_over(new: int, same: int, conflicting: int) -> str:
    """What an import did, in a sentence."""
    told = f"{new:,} labels are new, {same:,} were here already"
    return told + (f"; {conflicting:,} say something else than here and were left out." if conflicting else ".")


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    with content:
        while piece := content.read(_AT_ONCE):
            yield piece
