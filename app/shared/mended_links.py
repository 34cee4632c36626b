"""What of a link can still be shown where the whole cannot: a link with a slip in it is not another question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from backend.errors import RallrecError

_WHO = ("user", "item")
# Says most and is read with all the rest.
_LAST = ("edits",)


@dataclass(frozen=True)
class LeftOut:
    """A parameter of a link that was not used, and why."""

    name: str
    why: str


def readable(
    query: Mapping[str, str], look: Callable[[Mapping[str, str]], object]
) -> tuple[dict[str, str], tuple[LeftOut, ...]]:
    """The parameters of a link that can be shown together, and those that cannot.

    ``look`` shows some of them, or raises ``RallrecError``; it is asked once more than there are parameters at most.
    The user and the item come first, so that a wrong setting does not cost the question, and the edits last.
    """
    kept: dict[str, str] = {}
    who = {name: query[name] for name in _WHO if name in query}
    with suppress(RallrecError):
        look(who)
        kept = who
    left = []
    named = [name for name in query if name not in (*_WHO, *_LAST)]
    for name in (*who, *named, *(name for name in _LAST if name in query)):
        if name in kept:
            continue
        try:
            look(kept | {name: query[name]})
            kept[name] = query[name]
        except RallrecError as error:
            left.append(LeftOut(name, str(error)))
    return kept, tuple(left)
