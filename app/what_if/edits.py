"""What a click in the What-if editor makes of the edits: pure, and forgiving where two clicks undo each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.datasets import Dataset
from backend.errors import UnknownNameError
from backend.pipeline import Recipe
from backend.prompting import knowledge_sentence
from backend.retrieval import exact_gamma
from backend.what_if import Edits, Past

Parts = dict[str, Any]


@dataclass(frozen=True)
class Plain:
    """The question before any edit: what an edit that gives the same again is measured by, and dropped.

    ``draft``: M_R's prompt as the other edits write it, which an edit of its text is measured by.
    """

    data: Dataset
    past: Past
    item: str
    recipe: Recipe
    draft: str = ""

    def rating(self, item: str) -> float | None:
        """The user's own rating of an item id; None where the past has none."""
        return self.past.rating_of(self.data.item_code(item))


def act(edits: Edits, do: str, name: str, value: str, plain: Plain) -> Edits:
    """The edits after one action; ``name`` is an item's id, or for ``set`` a setting's name.

    Actions: ``remove``, ``restore`` (an item as it was), ``rate`` (to ``value``), ``add`` (as the newest; one of the
    past moves there), ``place`` (from 1, the oldest; empty: newest), ``target`` and ``set``, a setting (empty: as it
    was), ``hint``, ``sentence``, ``prompt`` (its text; ``written`` takes that back), ``clear``. Raises
    ``UnknownNameError`` for another, ``UsageError`` for what cannot be.
    """
    if do not in _ACTIONS:
        raise UnknownNameError("action of the editor", do, _ACTIONS)
    parts = edits.model_dump()
    _ACTIONS[do](parts, name, value, plain)
    return Edits.read(parts)


def _remove(parts: Parts, item: str, _value: str, plain: Plain) -> None:
    _restore(parts, item, "", plain)
    if plain.rating(item) is not None:
        parts["removed"] = [*parts["removed"], item]


def _restore(parts: Parts, item: str, _value: str, _plain: Plain) -> None:
    parts["removed"] = [one for one in parts["removed"] if one != item]
    for kind in ("rated", "added"):
        parts[kind] = [row for row in parts[kind] if row["item"] != item]


def _rate(parts: Parts, item: str, value: str, plain: Plain) -> None:
    added = [row for row in parts["added"] if row["item"] == item]
    for row in added:
        row["rating"] = value
    if added:
        return
    parts["rated"] = [row for row in parts["rated"] if row["item"] != item]
    unedited = plain.rating(item)
    if unedited is None or value != f"{unedited:g}":
        parts["rated"].append({"item": item, "rating": value})


def _add(parts: Parts, item: str, _value: str, plain: Plain) -> None:
    unedited = plain.rating(item)
    _restore(parts, item, "", plain)
    if unedited is not None:
        parts["removed"] = [*parts["removed"], item]
    parts["added"] = [
        *parts["added"],
        {"item": item, "rating": plain.data.meta.rating_max if unedited is None else unedited},
    ]


def _place(parts: Parts, item: str, value: str, _plain: Plain) -> None:
    for row in parts["added"]:
        if row["item"] == item:
            row["place"] = int(value) - 1 if value.isdecimal() else value or None


def _target(parts: Parts, item: str, _value: str, plain: Plain) -> None:
    _restore(parts, item, "", plain)  # what is asked about is not in the past: no edit of it there means anything
    parts["target"] = None if item in ("", plain.item) else item


def _set(parts: Parts, name: str, value: str, plain: Plain) -> None:
    parts["settings"].pop(name, None)
    if not value:
        return
    changed = plain.recipe.replacing(**{name: value}).named[name]
    if name == "gamma":
        changed = exact_gamma(changed)
    if changed != plain.recipe.named[name]:
        parts["settings"][name] = changed


def _hint(parts: Parts, _name: str, value: str, _plain: Plain) -> None:
    sentence = Edits.read(parts).injected or knowledge_sentence(1.0)
    parts |= {"hint": value or None, "sentence": sentence if value == "own" else ""}


def _sentence(parts: Parts, _name: str, value: str, _plain: Plain) -> None:
    said = " ".join(value.split())
    parts |= {"hint": "own" if said else "none", "sentence": said}


def _prompt(parts: Parts, _name: str, value: str, plain: Plain) -> None:
    sent = Edits.read({"prompt": value}).prompt
    parts["prompt"] = None if sent == plain.draft else sent


def _written(parts: Parts, _name: str, _value: str, _plain: Plain) -> None:
    parts["prompt"] = None


def _clear(parts: Parts, _name: str, _value: str, _plain: Plain) -> None:
    parts.clear()


_ACTIONS: dict[str, Callable[[Parts, str, str, Plain], None]] = {
    "remove": _remove,
    "restore": _restore,
    "rate": _rate,
    "add": _add,
    "place": _place,
    "target": _target,
    "set": _set,
    "hint": _hint,
    "sentence": _sentence,
    "prompt": _prompt,
    "written": _written,
    "clear": _clear,
}
