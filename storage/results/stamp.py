"""Files results of an unknown precision under one that was found out, by computing some of them anew.

The results that shipped before precisions were written down were stamped with this.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from backend.engines.chat import READING
from backend.errors import CorruptCacheError, UsageError
from backend.seeding import canonical_json
from backend.types import ModelRef
from storage.database.connection import Database
from storage.database.tables import AnswerRow, TraceRow
from storage.results.keys import cache_key, is_known, result_checksum, result_problem, stored_model
from storage.results.transfer import insert_missing


def stamp(
    database: Database, model: ModelRef, precision: str, *, but: Collection[str] = (), reading: int = READING
) -> tuple[int, int]:
    """Copy the answers and chains of ``model``, of unknown precision, to the keys that they have in ``precision``.

    Returns how many answers and chains are new. Each copy says what its original says, also where it came from, and the
    originals stay. ``but``: keys of results that are left out. ``reading``: how P(yes) was read when they were made.
    Raises ``UsageError`` for a model whose precision is known, and ``CorruptCacheError``.
    """
    if is_known(model):
        raise UsageError(f"The precision of {model} is known", expected="a model without one")
    new, left_out = [], set(but)
    for kind, table in (("answer", AnswerRow), ("trace", TraceRow)):
        query = select(*table.__table__.columns).where(table.model == model.name)
        with database.session() as session:
            rows = [dict(row) for row in session.execute(query).mappings()]
            stamped = [
                _stamped(kind, row, model, {"precision": precision, "reading": reading})
                for row in rows
                if row["key"] not in left_out
                and stored_model(row["model"], row["revision"], row["adapter"], row["options"]) == model
            ]
            new.append(insert_missing(session, table, stamped))
    return new[0], new[1]


def _stamped(kind: str, row: dict[str, Any], model: ModelRef, said: dict[str, Any]) -> dict[str, Any]:
    if problem := result_problem(kind, row):
        raise CorruptCacheError(f"The {kind} {row['key']} was changed or damaged: {problem}")
    options = canonical_json(json.loads(row["options"]) | said)
    drawn = (row["seed"], row["sample_index"]) if kind == "trace" else ()
    stamped = row | {"options": options, "key": cache_key(kind, model, row["prompt_hash"], options, *drawn)}
    return stamped | {"checksum": result_checksum(kind, stamped)}
