"""What is known of one list of samples, and what a view of it shows: a table, a figure, or two systems side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.evaluate.address import PAIR, TABLES, EvaluateQuery
from backend.datasets import Dataset
from backend.evaluation.paper.exhibits import Figure, ResultTable
from backend.evaluation.paper.figures import (
    OF_SAMPLES,
    comparing_figures,
    drawn_scores,
    live_merge,
    reasoning_figures,
    sample_figure,
    swept,
)
from backend.evaluation.paper.live import LiveMerge, Point
from backend.evaluation.paper.pairs import Difference, WinsAndLosses, differences, wins_and_losses
from backend.evaluation.paper.slices import Slices
from backend.evaluation.paper.systems import Evaluation, System, SystemMetrics
from backend.evaluation.paper.tables import all_tables
from backend.merging import MergingConfig
from backend.numbers import or_null
from storage.evaluation.systems import score_system

# Users are drawn for a pair whose weights were just moved, for up to so many samples.
_LIVE_SAMPLES = 2000


@dataclass(frozen=True)
class SystemPair:
    """Two systems side by side; ``missing``: those of them that are not there, and then there is nothing else."""

    first: System
    second: System
    differences: tuple[Difference, ...] = ()
    wins: WinsAndLosses | None = None
    missing: tuple[System, ...] = ()


@dataclass(frozen=True)
class State:
    """What is known of one list of samples. ``again``: the command that asks for results of unknown precision."""

    evaluation: Evaluation
    slices: Sequence[Slices]
    data: Dataset
    again: str = ""

    @cached_property
    def live(self) -> LiveMerge | None:
        """Eq. 10 over the samples; None where chains or answers are missing."""
        return live_merge(self.evaluation)

    @cached_property
    def tables(self) -> Mapping[str, ResultTable]:
        return {table.key: table for table in all_tables(self.evaluation)}

    @property
    def usual(self) -> MergingConfig:
        """The alpha and epsilon of RALLRec+ in the tables."""
        return self.evaluation.chosen.merging("paper")

    def merging(self, query: EvaluateQuery) -> MergingConfig:
        """The page's alpha and epsilon: those of its address, or the chosen ones."""
        alpha = self.usual.alpha if query.alpha is None else query.alpha
        return MergingConfig(alpha=alpha, epsilon=self.usual.epsilon if query.epsilon is None else query.epsilon)

    def system(self, name: str, query: EvaluateQuery) -> System:
        """A system by its name; RALLRec+ at the page's alpha and epsilon."""
        merging = self.merging(query)
        if name == "RALLRec+" and self.live is not None and merging != self.usual:
            return self.evaluation.merged_anew(self.live.scores(merging.alpha, merging.epsilon))
        return self.evaluation.all[name]

    @property
    def chosen(self) -> bool:
        """Whether validation samples could say which alpha and epsilon are best."""
        return "paper" in self.evaluation.chosen.weights

    def numbers(self, query: EvaluateQuery) -> dict[str, Point]:
        """What the page's alpha and epsilon reach, beside what the chosen ones (if any) and the paper's reach; empty
        without chains.
        """
        if self.live is None:
            return {}
        weights = {"now": self.merging(query), "chosen": self.usual, "paper": MergingConfig()}
        if not self.chosen:
            del weights["chosen"]
        return {name: self.live.known(merging.alpha, merging.epsilon) for name, merging in weights.items()}

    def exhibit(self, query: EvaluateQuery) -> ResultTable | Figure | SystemPair:
        """The table, the figure or the pair that the page's view names."""
        if query.view in TABLES:
            return self.tables[query.view]
        return self._pair(query) if query.view == PAIR else self._figure(query)

    def records(self, query: EvaluateQuery) -> list[dict[str, Any]]:
        """The data of the view, to be downloaded; of the pair, every sample with the scores of both."""
        shown = self.exhibit(query)
        if not isinstance(shown, SystemPair):
            return shown.records()
        samples, data = self.evaluation.samples, self.data
        return [
            {
                "user": data.user_ids[int(samples.users[place])],
                "item": data.item_ids[int(samples.items[place])],
                "liked": bool(samples.labels[place]),
            }
            | {system.name: or_null(system.scores[place]) for system in (shown.first, shown.second)}
            for place in range(len(samples))
        ]

    def _figure(self, query: EvaluateQuery) -> Figure:
        """The figure of the view, at the page's alpha and epsilon."""
        merging = self.merging(query)
        if query.view in OF_SAMPLES:
            merged = self.live.scores(merging.alpha, merging.epsilon) if self.live else None
            return sample_figure(query.view, self.evaluation, drawn_scores(self.evaluation, merged), self.slices)
        if query.view in ("figure-6", "figure-7"):
            return swept(query.view, self.evaluation, self.live, merging)
        figures = (*reasoning_figures(self.evaluation), *comparing_figures(self.evaluation))
        return next(figure for figure in figures if figure.key == query.view)

    def _pair(self, query: EvaluateQuery) -> SystemPair:
        first, second = self.system(query.first, query), self.system(query.second, query)
        missing = tuple(system for system in (first, second) if not system.complete)
        labels = self.evaluation.samples.labels
        if missing or not len(labels):
            return SystemPair(first, second, missing=missing)
        tested = differences(labels, self._scored(first), self._scored(second), first.scores, second.scores)
        return SystemPair(first, second, tuple(tested), wins_and_losses(labels, first.scores, second.scores))

    def _scored(self, system: System) -> SystemMetrics:
        if system is self.evaluation.systems[system.name]:
            return self.evaluation.scored[system.name]
        # Both need the same number of draws, and the other system was drawn before.
        samples, drawn = self.evaluation.samples, self.evaluation.scored["UserMean"].drawn
        draws = len(next(iter(drawn.values())).each) if drawn and len(samples) <= _LIVE_SAMPLES else 0
        return score_system(None, samples, system, draws)
