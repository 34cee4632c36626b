"""A stored prompt read backwards: which item it asks about, and which past items it shows.

The database keeps results by their prompt, not by user and item. The words around titles are asked of the template
itself, so what is read follows from how prompts are written (``backend.prompting``). A reading names candidates: it
proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from backend.datasets import Dataset
from backend.prompting import PERSONS, HistoryLine, Person, PromptSubject, build_prompt
from backend.prompting.prompts import Layout

# Stands for a title while the words around titles are found out.
_TITLE = "\x00"
# Where a title can end in a line of a prompt.
_ENDS = re.compile(r" \[|[?:.]|$")


@dataclass(frozen=True)
class Reading:
    """Item codes. ``target``: the items that it can be (titles may repeat). ``past``: the same of every line, in order.
    ``layout``: how the history is written.
    """

    layout: Layout
    target: tuple[int, ...]
    past: tuple[tuple[int, ...], ...]


class PromptReader:
    """Reads M_G's prompts about one dataset."""

    def __init__(self, data: Dataset) -> None:
        self._codes: dict[str, list[int]] = {}
        for code in range(data.n_items):
            self._codes.setdefault(" ".join(data.item_label(code).split()), []).append(code)
        layouts: Sequence[Layout] = get_args(Layout)
        # The longest first: one layout's words may begin another's.
        openings = {(_opening(data, layout, person), layout) for layout in layouts for person in PERSONS}
        self._openings = sorted(openings, key=_length, reverse=True)

    def read(self, text: str) -> Reading | None:
        """None where the text is no question about an item of this dataset."""
        for opening, layout in self._openings:
            before, found, question = text.rpartition("\n" + opening)
            target = self._titled(question.partition("\n")[0]) if found else ()
            if target:
                return Reading(layout, target, tuple(self._titled(line) for line in _numbered(before)))
        return None

    def _titled(self, line: str) -> tuple[int, ...]:
        """The items whose title the line begins with."""
        starts = {line[: end.start()] for end in _ENDS.finditer(line)}
        return tuple(code for start in starts for code in self._codes.get(start, ()))


def _length(opening: tuple[str, Layout]) -> int:
    return len(opening[0])


def _opening(data: Dataset, layout: Layout, person: Person) -> str:
    """What stands before the target's title in its line."""
    subject = PromptSubject(data.meta, HistoryLine(_TITLE, ()), layout=layout, person=person)
    prompt = build_prompt("answer", subject, [HistoryLine(_TITLE, (), data.meta.rating_min, position=0)])
    return prompt.text[prompt.droppable[-1][1] :].partition(_TITLE)[0]


def _numbered(before: str) -> list[str]:
    """The lines of the history without their numbers: the last one says how many there are."""
    lines = before.split("\n")
    number = lines[-1].partition(". ")[0]
    count = int(number) if number.isascii() and number.isdigit() else 0
    if not 0 < count <= len(lines):
        return []
    return [line.removeprefix(f"{place}. ") for place, line in enumerate(lines[-count:], 1)]
