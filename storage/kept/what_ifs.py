"""What-ifs that are kept: under a name, by an id that is a hash of what they ask.

What a what-if asks is ``backend.what_if``; what the models said to it is in the cache, where results of edited prompts
have keys of their own. So nothing here, and nothing that is deleted here, touches a plain prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import delete, select, update

from backend.datasets import DatasetMeta
from backend.errors import CorruptCacheError, UsageError
from backend.pipeline import Recipe
from backend.seeding import canonical_json, digest
from backend.what_if import Edits
from storage.database.connection import Database
from storage.database.tables import WhatIfRow, insert_or_pass, utc_now

MAX_NAME = 120
_ID_LENGTH = 12


@dataclass(frozen=True)
class WhatIf:
    """A question (by a user's and an item's id), the recipe before the edits, and the edits of both.

    ``data_hash``: of the data that it was asked of.
    """

    dataset: str
    data_hash: str
    user: str
    item: str
    recipe: Recipe
    edits: Edits

    @classmethod
    def of(cls, meta: DatasetMeta, user: str, item: str, recipe: Recipe, edits: Edits) -> WhatIf:
        return cls(meta.name, meta.data_hash, user, item, recipe, edits)

    @property
    def id(self) -> str:
        """12 hexadecimal characters that name what is asked: the same what-if has the same id everywhere."""
        return _id(self.dataset, self.data_hash, self.user, self.item, self.recipe_json, self.edits.canonical)

    @property
    def recipe_json(self) -> str:
        return canonical_json(self.recipe.model_dump(mode="json"))

    @property
    def edited_recipe(self) -> Recipe:
        """The recipe after the edits. Raises ``UsageError`` for a setting that is none, or does not take its value."""
        return self.recipe.replacing(**self.edits.settings)


@dataclass(frozen=True)
class KeptWhatIf:
    """A what-if as it is kept. ``id``: that of the row; a later version of the program may give the same another."""

    id: str
    what_if: WhatIf
    name: str
    created_at: datetime


class WhatIfs:
    """The kept what-ifs of one database. Methods may be called from any thread; they raise ``StorageError`` too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, what_if: WhatIf, name: str, created_at: datetime | None = None) -> KeptWhatIf:
        """Keep a what-if under a name. One that is kept already only takes the name; it stays as old as it is.

        ``created_at``: for one that was deleted and comes back. Raises ``UsageError`` for a name that is none.
        """
        name = checked_name(name)
        row = {
            "id": what_if.id, "name": name, "dataset": what_if.dataset, "data_hash": what_if.data_hash,
            "user_id": what_if.user, "item_id": what_if.item, "edits": what_if.edits.canonical,
            "recipe": what_if.recipe_json, "created_at": created_at or utc_now(),
        }  # fmt: skip
        with self._database.session() as session:
            session.execute(insert_or_pass(session, WhatIfRow).values(**row))
            session.execute(update(WhatIfRow).where(WhatIfRow.id == what_if.id).values(name=name))
        return self.get(what_if.id)

    def find(self, identifier: str) -> KeptWhatIf | None:
        """The what-if with this id. Raises ``CorruptCacheError`` for one that cannot be read any more."""
        with self._database.session(read_only=True) as session:
            row = session.get(WhatIfRow, identifier)
        return None if row is None else _read(row)

    def get(self, identifier: str) -> KeptWhatIf:
        """The what-if with this id. Raises ``UsageError`` where there is none."""
        kept = self.find(identifier)
        if kept is None:
            raise UsageError(
                f"No what-if {identifier!r} is kept in this database",
                expected="an id of the list of kept what-ifs",
                fix="ask whoever sent the link to keep it again",
            )
        return kept

    def all(
        self, dataset: str, *, user: str | None = None, item: str | None = None, limit: int | None = None
    ) -> list[KeptWhatIf]:
        """Those of a dataset (of a user, of an item), the latest ``limit`` first; what cannot be read is left out."""
        rows = select(WhatIfRow).where(WhatIfRow.dataset == dataset)
        for column, value in ((WhatIfRow.user_id, user), (WhatIfRow.item_id, item)):
            rows = rows if value is None else rows.where(column == value)
        rows = rows.order_by(WhatIfRow.created_at.desc(), WhatIfRow.id).limit(limit)
        with self._database.session(read_only=True) as session:
            stored_rows = list(session.execute(rows).scalars())
        kept = []
        for row in stored_rows:
            try:
                kept.append(_read(row))
            except CorruptCacheError:  # said by whoever opens it
                continue
        return kept

    def delete(self, identifier: str) -> KeptWhatIf:
        """Forget a what-if; the answers to it stay in the cache. :meth:`keep` brings it back under the same id."""
        kept = self.get(identifier)
        with self._database.session() as session:
            session.execute(delete(WhatIfRow).where(WhatIfRow.id == identifier))
        return kept


def checked_name(name: str) -> str:
    """The name in one line. Raises ``UsageError`` for an empty or a long one."""
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME:
        raise UsageError(f"The name of a what-if has {len(name)} characters", expected=f"1 to {MAX_NAME}")
    return name


def _id(*said: str) -> str:
    return digest(list(said), _ID_LENGTH)


def _read(row: WhatIfRow) -> KeptWhatIf:
    if row.id != _id(row.dataset, row.data_hash, row.user_id, row.item_id, row.recipe, row.edits):
        raise CorruptCacheError(f"The what-if {row.id} ({row.name}) was changed or damaged", fix="delete it")
    try:
        recipe, edits = Recipe.model_validate_json(row.recipe), Edits.model_validate_json(row.edits)
    except ValidationError as error:
        raise CorruptCacheError(
            f"The what-if {row.id} ({row.name}) cannot be read",
            expected="a recipe and edits as this version of the program writes them",
            fix="open it with the version that kept it",
        ) from error
    what_if = WhatIf(row.dataset, row.data_hash, row.user_id, row.item_id, recipe, edits)
    return KeptWhatIf(row.id, what_if, row.name, row.created_at)
