"""Which samples M_G has answered: found from the stored prompts, whatever the settings they were asked under.

The naive equivalent writes the prompts of every sample under every setting and looks each up: a question takes
milliseconds, and 100,000 samples have millions of settings. Here every stored prompt is read once, and written again
for who it can be about: the same text is the proof.
"""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backend.datasets import Dataset
from storage.results.answered import answered_prompts, prompt_texts
from storage.results.prompt_reading import PromptReader, Reading
from storage.workspace import Workspace

Rows = NDArray[np.int64]
_NONE: Rows = np.empty(0, dtype=np.int64)


class AnsweredSamples:
    """Of a dataset (the settings' by default) and M_G. Any thread may call; what was read is not read again."""

    def __init__(self, workspace: Workspace, dataset: str | None = None) -> None:
        self._workspace, self._name = workspace, dataset
        self._lock = threading.Lock()
        self._read: dict[str, Rows] = {}
        self._rows: Rows | None = None

    def rows(self) -> Rows:
        """int64[s], ascending: the samples (interaction rows) with an answered prompt of theirs.

        The first call reads all prompts, later ones those that came since. Raises ``StorageError``, and
        ``NotPreparedError`` where nothing can be asked.
        """
        with self._lock:
            database = self._workspace.database
            hashes = answered_prompts(database, self._workspace.model("tuned", self._name))
            new = hashes - self._read.keys()
            gone = self._read.keys() - hashes
            if new or gone or self._rows is None:
                texts = prompt_texts(database, new)
                self._read |= {key: self._samples_of(texts.get(key, "")) for key in new}
                for key in gone:
                    del self._read[key]
                self._rows = np.unique(np.concatenate([_NONE, *self._read.values()]))
            return self._rows

    def of_user(self, user: int) -> Rows:
        """Those of one user code."""
        rows, own = self.rows(), self._workspace.dataset(self._name).user_rows(user)
        return rows[(rows >= own.start) & (rows < own.stop)]

    def counts(self, read: bool = True) -> NDArray[np.int64] | None:
        """int64[users]: how many each user has. Without ``read``, as they were when last read, None before that."""
        rows, data = self.rows() if read else self._rows, self._workspace.dataset(self._name)
        if rows is None:
            return None
        return np.bincount(data.user_index[rows], minlength=data.n_users).astype(np.int64)

    def _samples_of(self, text: str) -> Rows:
        found = self._reader.read(text)
        if found is None:
            return _NONE
        rows = self._finder.samples(found).tolist()
        return np.array([row for row in rows if self._is_of(row, found, text)], dtype=np.int64)

    def _is_of(self, row: int, reading: Reading, text: str) -> bool:
        """Whether this sample's prompt with these past items is this very text.

        Many users have rated the same few items, other datasets have the same titles.
        """
        data, questions = self._workspace.dataset(self._name), self._workspace.pipeline(self._name).questions
        past = set(data.item_index[data.history_before(row)].tolist())
        shown = [next(code for code in codes if code in past) for codes in reading.past]
        user, item = int(data.user_index[row]), int(data.item_index[row])
        return questions.prompt(user, item, shown, reading.layout).text == text

    @cached_property
    def _reader(self) -> PromptReader:
        return PromptReader(self._workspace.dataset(self._name))

    @cached_property
    def _finder(self) -> SampleFinder:
        return SampleFinder(self._workspace.dataset(self._name))


class SampleFinder:
    """Whose sample a prompt can be: somebody's who rated the target, and before it every past item that it shows."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._by_item = np.argsort(data.item_index, kind="stable")
        self._item_ptr = np.searchsorted(data.item_index[self._by_item], np.arange(data.n_items + 1))
        # Every (user, item) that is rated, as one sorted number; stable, so that a pair's first row comes first.
        pairs = data.user_index.astype(np.int64) * data.n_items + data.item_index
        self._pair_rows = np.argsort(pairs, kind="stable")
        self._pairs = pairs[self._pair_rows]

    def samples(self, reading: Reading) -> Rows:
        """int64, ascending. The naive equivalent asks this of every interaction of the target."""
        data = self._data
        rated = [self._by_item[self._item_ptr[code] : self._item_ptr[code + 1]] for code in reading.target]
        rows = np.sort(np.concatenate(rated)).astype(np.int64)
        rows = rows[rows - data.user_ptr[data.user_index[rows]] >= data.meta.rules.min_history]
        for codes in reading.past:
            shown = np.zeros(len(rows), dtype=bool)
            for code in codes:
                first = self._first_rows(data.user_index[rows], code)
                shown |= (first >= 0) & (first < rows)
            rows = rows[shown]
        return rows

    def _first_rows(self, users: NDArray[np.int32], item: int) -> Rows:
        """Where each user code rated the item first; -1 for who did not."""
        wanted = users.astype(np.int64) * self._data.n_items + item
        places = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
        return np.where(self._pairs[places] == wanted, self._pair_rows[places], -1)
