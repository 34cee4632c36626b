"""The kinds of jobs, by the words that the database knows them by. A kind is one module and one line in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from backend.errors import CorruptCacheError, UnknownNameError, UsageError
from storage.jobs.evaluate import EvaluateParams
from storage.jobs.kind import JobParams, Player
from storage.jobs.precompute import PrecomputeParams
from storage.jobs.predict import PredictParams
from storage.jobs.reason import ReasonParams

__all__ = [
    "KINDS", "UNATTENDED", "EvaluateParams", "JobParams", "Player", "PrecomputeParams", "PredictParams", "ReasonParams",
    "checked", "stored",
]  # fmt: skip

KINDS: Mapping[str, type[JobParams]] = {
    params.kind: params for params in (PredictParams, PrecomputeParams, ReasonParams, EvaluateParams)
}
# The kinds that need nobody to watch them.
UNATTENDED = tuple(kind for kind, params in KINDS.items() if not params.attended)


def checked(kind: str, given: Mapping[str, Any]) -> JobParams:
    """Parameters of a kind out of what somebody gave. Raises ``UsageError`` naming the parameter."""
    if kind not in KINDS:
        raise UnknownNameError("kind of job", kind, KINDS)
    try:
        return KINDS[kind].model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{where} of the job {kind} is {first['input']!r}: {first['msg']}",
            expected=f"for {kind}: {', '.join(KINDS[kind].model_fields)}",
        ) from error


def stored(kind: str, text: str) -> JobParams:
    """Parameters as the database holds them. Raises ``CorruptCacheError`` for what this version does not know."""
    try:
        return KINDS[kind].model_validate_json(text)
    except (KeyError, ValidationError) as error:
        raise CorruptCacheError(
            f"The database holds a job of the kind {kind!r} that this version cannot read",
            fix="start it anew, or with the version that wrote it",
        ) from error
