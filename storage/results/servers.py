"""What a server says of the model behind a name, compared with what it said when results of it were first kept.

Weights of a server cannot be looked into. Where it names another origin of them than before, it has other weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from backend.errors import EngineError
from backend.seeding import canonical_json
from backend.types import ModelRef
from storage.database.connection import Database
from storage.database.tables import ServerRow, insert_or_pass

_KEY = ("server", "model", "revision")


def check_server(database: Database, model: ModelRef, said: Mapping[str, str]) -> None:
    """Write down what a server says of ``model`` on its first contact, and compare it on every later one.

    What it did not say then, or does not say now, is no difference. Raises ``EngineError`` that names one, and
    ``StorageError``.
    """
    key = model.server or "", model.adapter or model.name, model.revision
    with database.session() as session:
        new = dict(zip(_KEY, key, strict=True)) | {"said": canonical_json(dict(said))}
        session.connection().execute(insert_or_pass(session, ServerRow), [new])
        row = session.get_one(ServerRow, key)
        before = json.loads(row.said)
        differences = [name for name, value in said.items() if before.get(name, value) != value]
        if not differences:
            row.said = canonical_json({**said, **before})
            return
    told = "; ".join(f"{name} {before[name]!r} then, {said[name]!r} now" for name in differences)
    quoted = (value.replace("'", "''") for value in key)
    where = " AND ".join(f"{name} = '{value}'" for name, value in zip(_KEY, quoted, strict=True))
    raise EngineError(
        f"The server {key[0]} has another model under the name {key[1]!r} than before: {told}",
        expected="the weights that the results kept here are of",
        fix="set RALLREC_SERVER__REVISION to a name of the new ones, and results are kept apart. If they are the same, "
        f"run this SQL on the database: DELETE FROM servers WHERE {where}",
    )
