"""What is known of one list of samples, and what a view of it shows: a table, a figure, or two systems side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from app.evaluate.address import PAIR, TABLES, EvaluateQuery
from backend.datasets import Dataset
from backend.evaluation.paper.exhibits import Figure, Table
from backend.evaluation.paper.live import LiveMerge, Point
from backend.evaluation.paper.pairs import Contest, Difference, contest, differences
from backend.evaluation.paper.slices import Slices
from backend.evaluation.paper.tables import Scored
from backend.merging import MergingConfig
from storage.evaluation.exhibits import (
    OF_SAMPLES,
    all_tables,
    comparing_figures,
    drawn_scores,
    merged_system,
    reasoning_figures,
    sample_figure,
    swept,
)
from storage.evaluation.scored import score_one
from storage.evaluation.systems import Evaluated, System

# A pair whose weights were just moved is drawn users for, for up to so many samples.
_LIVE_SAMPLES = 2000


@dataclass(frozen=True)
class State:
    """What is known of one list of samples. ``live``: None where chains or answers are missing."""

    own: Evaluated
    scored: Mapping[str, Scored]
    live: LiveMerge | None
    slices: Sequence[Slices]
    data: Dataset

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        return {table.key: table for table in all_tables(self.own, self.scored)}

    def merging(self, query: EvaluateQuery) -> MergingConfig:
        """The page's alpha and epsilon: those of its address, or the chosen ones."""
        usual = self.own.chosen.merging("paper")
        alpha = usual.alpha if query.alpha is None else query.alpha
        return MergingConfig(alpha=alpha, epsilon=usual.epsilon if query.epsilon is None else query.epsilon)

    def system(self, name: str, query: EvaluateQuery) -> System:
        """A system by its name; RALLRec+ at the page's alpha and epsilon."""
        merging = self.merging(query)
        if name == "RALLRec+" and self.live is not None and merging != self.own.chosen.merging("paper"):
            return merged_system(self.own, self.live.scores(merging.alpha, merging.epsilon))
        return self.own.systems[name]

    @property
    def chosen(self) -> bool:
        """Whether validation samples could say which alpha and epsilon are best."""
        return "paper" in self.own.chosen.weights

    def numbers(self, query: EvaluateQuery) -> dict[str, Point]:
        """What the page's alpha and epsilon reach, and beside it the paper's, and the chosen where
        they could be chosen; nothing without chains.
        """
        if self.live is None:
            return {}
        now = self.merging(query)
        return {"now": self.live.at(now.alpha, now.epsilon), **self._fixed}

    @cached_property
    def _fixed(self) -> dict[str, Point]:
        """What stays when the sliders move."""
        chosen = {"chosen": self.own.chosen.merging("paper")} if self.chosen else {}
        weights = chosen | {"paper": MergingConfig()}
        return {name: self.live.at(own.alpha, own.epsilon) for name, own in weights.items()} if self.live else {}

    def exhibit(self, query: EvaluateQuery) -> Table | Figure | Pair:
        """What the page's view shows."""
        if query.view in TABLES:
            return self.tables[query.view]
        return self._pair(query) if query.view == PAIR else self._figure(query)

    def records(self, query: EvaluateQuery) -> list[dict[str, Any]]:
        """The data of the view, to be downloaded; of the pair, every sample with the scores of both."""
        shown = self.exhibit(query)
        if not isinstance(shown, Pair):
            return shown.records()
        samples, data = self.own.samples, self.data
        both = [(own.name, own.scores.tolist()) for own in (shown.first, shown.second)]
        return [
            {
                "user": data.user_ids[int(samples.users[place])],
                "item": data.item_ids[int(data.item_index[row])],
                "liked": bool(samples.labels[place]),
            }
            | {name: None if np.isnan(scores[place]) else scores[place] for name, scores in both}
            for place, row in enumerate(samples.rows.tolist())
        ]

    def _figure(self, query: EvaluateQuery) -> Figure:
        """Those that depend on alpha and epsilon at the page's."""
        merging = self.merging(query)
        if query.view in OF_SAMPLES:
            merged = self.live.scores(merging.alpha, merging.epsilon) if self.live else None
            return sample_figure(query.view, self.own, drawn_scores(self.own, merged), self.slices)
        if query.view in ("figure-6", "figure-7"):
            return swept(query.view, self.own, self.live, merging)
        found = (*reasoning_figures(self.own), *comparing_figures(self.own))
        return next(figure for figure in found if figure.key == query.view)

    def _pair(self, query: EvaluateQuery) -> Pair:
        first, second = self.system(query.first, query), self.system(query.second, query)
        missing = tuple(own for own in (first, second) if not own.complete)
        y = self.own.samples.labels
        if missing or not len(y):
            return Pair(first, second, missing=missing)
        found = differences(y, self._drawn(first), self._drawn(second), first.scores, second.scores)
        return Pair(first, second, tuple(found), contest(y, first.scores, second.scores))

    def _drawn(self, system: System) -> Scored:
        if system is self.own.systems[system.name]:
            return self.scored[system.name]
        # Both are to be drawn as often as each other: the other one was drawn more often, long ago.
        draws = len(next(iter(self.scored["UserMean"].drawn.values())).each)
        return score_one(None, self.own.samples, system, draws if len(self.own.samples) <= _LIVE_SAMPLES else 0)


@dataclass(frozen=True)
class Pair:
    """Two systems side by side; ``missing``: those of them that are not there, and then there is nothing else."""

    first: System
    second: System
    differences: tuple[Difference, ...] = ()
    contest: Contest | None = None
    missing: tuple[System, ...] = ()
