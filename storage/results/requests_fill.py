"""Finds out about which samples stored prompts are, where nothing was written down: results of version 0.1.0.

Each prompt is read backwards (which item it asks about, which past items it shows), and written again for whoever it
can be about: the same text is the proof. This happens once per database and dataset, and after an import.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from backend.datasets import Dataset
from backend.prompting import PERSONS, HistoryLine, Layout, Person, PromptSubject, build_prompt
from backend.questions import Questions
from storage.database.connection import Database
from storage.database.tables import AnswerRow, PromptRow, RequestRow
from storage.results.requests import PromptAbout, save_requests

# Stands for a title while the words around titles are found out.
_TITLE = "\x00"
# Where a title can end in a line of a prompt.
_ENDS = re.compile(r" \[|[?:.]|$")


def fill_requests(database: Database, questions: Questions) -> None:
    """Write down about whom the answered prompts of a dataset are that no request names. Raises ``StorageError``."""
    meta, reader = questions.dataset.meta, PromptReader(questions)
    named = select(RequestRow.prompt_hash).where(
        RequestRow.dataset == meta.name, RequestRow.data_hash == meta.data_hash
    )
    query = select(PromptRow.hash, PromptRow.messages).where(
        PromptRow.hash.in_(select(AnswerRow.prompt_hash)), PromptRow.hash.not_in(named)
    )
    with database.session(read_only=True) as session:
        stored = session.execute(query).all()
    about = [request for row in stored for request in reader.about(row.hash, _text(row.messages))]
    save_requests(database, meta, about, fills=True)


# The layouts that there were before requests were kept: nothing else has to be read backwards.
_LAYOUTS: tuple[Layout, ...] = ("paper", "answered")


@dataclass(frozen=True)
class PromptReading:
    """Item codes. ``target``: the items that it can be (titles may repeat). ``past``: the same of every line, in order.
    ``layout``: how the history is written.
    """

    layout: Layout
    target: tuple[int, ...]
    past: tuple[tuple[int, ...], ...]


class PromptReader:
    """Reads M_G's prompts about one dataset."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._data = data = questions.dataset
        self._codes: dict[str, list[int]] = {}
        for code in range(data.n_items):
            self._codes.setdefault(" ".join(data.item_label(code).split()), []).append(code)
        openings = {(_opening(data, layout, person), layout) for layout in _LAYOUTS for person in PERSONS}
        # The longest first: one layout's words may begin another's.
        self._openings = sorted(openings, key=lambda opening: len(opening[0]), reverse=True)
        self._by_item = np.argsort(data.item_index, kind="stable")
        self._item_ptr = np.searchsorted(data.item_index[self._by_item], np.arange(data.n_items + 1))

    def about(self, prompt: str, text: str) -> Iterator[PromptAbout]:
        """The samples whose text this is: many users rated the same few items, other datasets have the same titles."""
        data, reading = self._data, self.read(text)
        if reading is None:
            return
        for row, shown in self._candidates(reading):
            user, item = int(data.user_index[row]), int(data.item_index[row])
            if self._questions.prompt(user, item, shown, reading.layout).text == text:
                yield prompt, data.user_ids[user], data.item_ids[item]

    def read(self, text: str) -> PromptReading | None:
        """None where the text is no question about an item of this dataset."""
        for opening, layout in self._openings:
            before, asks, question = text.rpartition("\n" + opening)
            target = self._titled(question.partition("\n")[0]) if asks else ()
            if target:
                return PromptReading(layout, target, tuple(self._titled(line) for line in _numbered(before)))
        return None

    def _titled(self, line: str) -> tuple[int, ...]:
        """The items whose title the line begins with."""
        starts = {line[: end.start()] for end in _ENDS.finditer(line)}
        return tuple(code for start in starts for code in self._codes.get(start, ()))

    def _candidates(self, reading: PromptReading) -> Iterator[tuple[int, list[int]]]:
        """The samples (interaction rows) of a target whose user rated every past item before; with these items."""
        data = self._data
        for target in reading.target:
            for row in self._by_item[self._item_ptr[target] : self._item_ptr[target + 1]].tolist():
                user = int(data.user_index[row])
                if row - data.user_ptr[user] < data.meta.rules.min_history:
                    continue
                shown: list[int] = []
                for codes in reading.past:
                    rated = (code for code in codes if (first := data.find_row(user, code)) is not None and first < row)
                    code = next(rated, None)
                    if code is None:
                        break
                    shown.append(code)
                else:
                    yield row, shown


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


def _text(messages: str) -> str:
    """What a stored prompt says; nothing for one that cannot be read."""
    try:
        return "\n".join(message["content"] for message in json.loads(messages))
    except (KeyError, TypeError, ValueError):
        return ""
