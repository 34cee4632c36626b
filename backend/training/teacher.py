"""The teacher: gradient boosting on the statistics of the past, for every choice of them.

It tells a small model how likely a yes is given some pieces of evidence, which a label, yes or no, tells in hundreds of
samples only. It learns from the training part alone, and speaks about a training sample by what it learned from other
samples (out of fold). Every training row is learned several times, each time with other pieces of evidence hidden, so
that its probability is right for whichever pieces are given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import DataError
from backend.evidence import STATISTICS
from backend.seeding import derive_seed

# The pieces of evidence that a prompt's lines tell, and a chain can cite, with the statistics behind each.
PIECES: Mapping[str, tuple[str, ...]] = {
    "habit": ("mean", "liked", "spread", "count"),
    "latest": ("mean_of_10", "mean_of_3", "liked_of_10"),
    "others": ("item_mean", "item_count", "year", "categories"),
    "expected": ("against_others", "expected"),
    "nearest": ("by_nearest",),
    "category": ("by_category",),
    "hint": ("hint",),
}
# What it learns from: the statistics, and the hint that M_R is given (0, 1, or NaN for none).
COLUMNS = (*STATISTICS, "hint")
FOLDS = 5
_COPIES = 4
_BOOSTING = {"max_iter": 200, "learning_rate": 0.05, "max_leaf_nodes": 15}


class Teacher:
    """Learned from ``evidence`` (float64[m, 16], :data:`COLUMNS`) and labels (bool[m]) of training rows (int[m],
    ascending), whose users (int[m]) are parted into folds. Raises ``DataError`` where all labels are equal.
    """

    def __init__(
        self, rows: ArrayLike, users: ArrayLike, evidence: NDArray[np.float64], labels: ArrayLike, seed: int
    ) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._rows, y = np.asarray(rows, dtype=np.int64), np.asarray(labels, dtype=bool)
        rng = np.random.default_rng(derive_seed(seed, "teacher"))
        users = np.asarray(users, dtype=np.int64)
        self._fold = rng.integers(FOLDS, size=int(users.max(initial=0)) + 1)[users]
        copies = [evidence, *(_hide(evidence, _drawn(rng, len(y))) for _ in range(_COPIES - 1))]
        # Boosting takes no column without any number: a hint, where there is none.
        self._known = ~np.isnan(evidence).all(axis=0)
        self._models: list[Any] = []
        for fold in range(FOLDS):
            kept = self._fold != fold
            x, known = np.concatenate([copy[kept] for copy in copies]), np.tile(y[kept], _COPIES)
            if known.all() or not known.any():
                raise DataError(
                    "The training samples are all liked or all not liked: nothing can be learned from them",
                    fix="tune on the labels alone (teacher = 0), or give a larger dataset",
                )
            self._models.append(
                HistGradientBoostingClassifier(**_BOOSTING, random_state=0).fit(x[:, self._known], known)
            )

    def p_yes(self, row: int, evidence: NDArray[np.float64], pieces: Collection[str] = tuple(PIECES)) -> float:
        """P(yes) of the sample with this interaction row by these ``pieces`` of its ``evidence`` (float64[16]).

        A sample that it learned from is judged by the model that did not; another, by the mean over all of them.
        """
        x = _hide(evidence[None], np.array([[piece not in pieces for piece in PIECES]]))
        place = int(np.searchsorted(self._rows, row))
        learned = place < len(self._rows) and self._rows[place] == row
        models = [self._models[self._fold[place]]] if learned else self._models
        return float(np.mean([model.predict_proba(x[:, self._known])[0, 1] for model in models]))

    def out_of_fold(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(yes) of every sample that it learned from, float64[m], each by the model that did not see its user."""
        known = np.empty(len(self._rows))
        for fold, model in enumerate(self._models):
            known[self._fold == fold] = model.predict_proba(evidence[self._fold == fold][:, self._known])[:, 1]
        return known


def _drawn(rng: np.random.Generator, count: int) -> NDArray[np.bool_]:
    """Which pieces are hidden, [count, pieces]: each row hides a share of its own of them."""
    return rng.random((count, len(PIECES))) < rng.random((count, 1))


def _hide(evidence: NDArray[np.float64], hidden: NDArray[np.bool_]) -> NDArray[np.float64]:
    shown = evidence.copy()
    for place, names in enumerate(PIECES.values()):
        for name in names:
            shown[hidden[:, place], COLUMNS.index(name)] = np.nan
    return shown
