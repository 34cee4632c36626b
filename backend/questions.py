"""From a user and a target to a question: the past items chosen for it, and M_G's prompt in every history order.

The cheap part of a prediction (milliseconds, no model). Asking the models is ``backend.pipeline``, learning from
questions ``backend.training``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from backend.datasets import Dataset, build_samples, split
from backend.datasets.statistics import TrainingStatistics
from backend.errors import UsageError
from backend.evidence import EvidenceLine, EvidenceReader, evidence_lines
from backend.prompting import HistoryLine, Layout, Prompt, PromptSubject, RatingHabit, about_user, build_prompt
from backend.representation import ItemSpace
from backend.retrieval import (
    PAPER_GAMMAS,
    Channels,
    RankedItem,
    RetrievalConfig,
    Retriever,
    order_items,
    orders_from,
)
from backend.types import Spread
from backend.what_if import Edits, Past, edit_past


@dataclass(frozen=True)
class PromptVariant:
    """How one of M_G's prompts differs from the recipe's own: its history ``order``, the item code that is left out
    (``without``), or another ``gamma``.
    """

    order: str
    without: int | None = None
    gamma: float | None = None


@dataclass(frozen=True)
class Question:
    """One user, one target, and the history chosen for it.

    ``history_rows``: the interactions before the target, oldest first; ``label`` is None where the user never rated
    the target (then the whole history is before it). ``prompts``: M_G's prompt in every one of its ``variants``, the
    recipe's own first. ``past``: what the question is asked from: those interactions, with ``edits`` made.
    """

    user: int
    item: int
    label: bool | None
    history_rows: range
    channels: Channels
    chosen: tuple[RankedItem, ...]
    prompts: tuple[Prompt, ...]
    subject: PromptSubject
    lines: tuple[HistoryLine, ...]
    past: Past = field(compare=False, repr=False)
    variants: tuple[PromptVariant, ...] = ()
    edits: Edits = field(default_factory=Edits)

    @property
    def of_one_variant(self) -> Question:
        """The same question with M_G's first prompt alone."""
        return replace(self, prompts=self.prompts[:1], variants=self.variants[:1])


class Questions:
    """Over a dataset and its items' vectors. ``statistics``: what prompts tell of other users; by default those of the
    chronological split.
    """

    def __init__(self, dataset: Dataset, space: ItemSpace, statistics: TrainingStatistics | None = None) -> None:
        if len(space) != dataset.n_items:
            raise UsageError(
                f"There are {len(space)} vectors for {dataset.n_items} items",
                fix=f"rallrec precompute --dataset {dataset.meta.name}",
            )
        self.dataset, self._space = dataset, space
        self.retriever = Retriever(space)
        self._statistics = statistics

    @cached_property
    def statistics(self) -> TrainingStatistics:
        return self._statistics or TrainingStatistics(self.dataset, split(build_samples(self.dataset), self.dataset))

    @cached_property
    def evidence(self) -> EvidenceReader:
        return EvidenceReader(self.dataset, self.statistics, self._space)

    def ask(
        self,
        user: int,
        item: int,
        config: RetrievalConfig,
        layout: Layout = "paper",
        edits: Edits | None = None,
        spread: Spread = "orders",
    ) -> Question:
        """Retrieve, rerank and write the prompts for the user and item codes; ``spread``: what their variants differ
        in.

        With ``edits``, the past is the one before ``item``, whichever target they name. Raises ``UsageError``.
        """
        data, edits = self.dataset, edits or Edits()
        row, rows = self._before(user, item)
        least = data.meta.rules.min_history
        if rows.stop - rows.start < least:
            raise UsageError(
                f"User {data.user_ids[user]} has {rows.stop - rows.start} ratings before {data.item_label(item)}",
                expected=f"at least {least}, as for every sample",
                fix="choose an item the user rated later, or one the user has not rated",
            )
        if edits.target is not None:
            item = data.item_code(edits.target)
            row = data.find_row(user, item)
        past = edit_past(Past.of(data, rows), edits, data, item)
        retrieval = self.retriever.retrieve(past.items, item, config)
        both, chosen = retrieval.channels, retrieval.chosen
        when = {code: position for position, code in enumerate(past.items.tolist())}
        subject = self._subject(user, item, past, layout)
        rated: dict[int, HistoryLine] = {}

        def line(row: RankedItem) -> HistoryLine:
            if row.item not in rated:
                rated[row.item] = self._past_line(user, past, when[row.item])
            return rated[row.item]

        def lines(order: str, rows: Sequence[RankedItem] = chosen) -> tuple[HistoryLine, ...]:
            return tuple(map(line, order_items(rows, order, when, both.similarity)))

        written, variants = lines(config.order), [PromptVariant(config.order)]
        histories = [written]
        if spread == "orders":
            variants += [PromptVariant(order) for order in orders_from(config.order)[1:]]
            histories += [lines(variant.order) for variant in variants[1:]]
        elif spread == "left-out":
            for left_out in order_items(chosen, config.order, when, both.similarity):
                variants.append(PromptVariant(config.order, without=left_out.item))
                histories.append(tuple(one for one in written if one.position != when[left_out.item]))
        else:
            for gamma in (gamma for gamma in PAPER_GAMMAS if gamma != config.gamma):
                variants.append(PromptVariant(config.order, gamma=gamma))
                other = self.retriever.retrieve(past.items, item, config.model_copy(update={"gamma": gamma}))
                histories.append(lines(config.order, other.chosen))
        prompts = tuple(build_prompt("answer", subject, history) for history in histories)
        label = None if row is None else bool(data.labels[row])
        before = range(rows.start, rows.stop)
        return Question(
            user, item, label, before, both, chosen, prompts, subject, written, past, tuple(variants), edits
        )

    def prompt(self, user: int, item: int, shown: Sequence[int], layout: Layout = "paper") -> Prompt:
        """M_G's prompt for the user and item codes with these past items (codes) in this order, without retrieval.

        Raises ``UsageError`` for an item that is not in the user's past.
        """
        past = Past.of(self.dataset, self._before(user, item)[1])
        when = {code: position for position, code in enumerate(past.items.tolist())}
        unknown = [code for code in shown if code not in when]
        if unknown:
            raise UsageError(f"{self.dataset.item_label(unknown[0])} is not in the past", expected="items rated before")
        subject = self._subject(user, item, past, layout)
        return build_prompt("answer", subject, [self._past_line(user, past, when[code]) for code in shown])

    def _before(self, user: int, item: int) -> tuple[int | None, slice]:
        """The interaction of the user with the item, if there is one, and the user's interactions before it."""
        row = self.dataset.find_row(user, item)
        return row, self.dataset.user_rows(user) if row is None else self.dataset.history_before(row)

    def _subject(self, user: int, item: int, past: Past, layout: Layout) -> PromptSubject:
        meta = self.dataset.meta
        known = {name: values[user] for name, values in self._known_of_users.items()}
        profile, person = about_user(meta.templates.profile, known)
        told: tuple[EvidenceLine, ...] = ()
        if layout == "evidence":
            numbers = self.evidence.of_past(user, item, past.items, past.ratings).at(0)
            told = evidence_lines(numbers, meta, person.they, person.their)
        return PromptSubject(meta, self._line(user, item), profile, self._habit(past), layout, person, told)

    @cached_property
    def _known_of_users(self) -> dict[str, list[str | None]]:
        """What each column says of each user code; empty for data whose prompts say nothing of users."""
        users = self.dataset.users if self.dataset.meta.templates.profile else self.dataset.users[[]]
        return {
            str(name): users[name].astype(object).where(users[name].notna(), None).tolist()
            for name in users.columns
            if name != "user"
        }

    def _past_line(self, user: int, past: Past, position: int) -> HistoryLine:
        """Writes the line of the item at ``position`` of a past."""
        line = self._line(user, int(past.items[position]))
        return replace(line, rating=float(past.ratings[position]), position=position)

    def _line(self, user: int, item: int) -> HistoryLine:
        data = self.dataset
        return HistoryLine(data.item_label(item), data.categories[item], others=self.statistics.others(user, item))

    def _habit(self, past: Past) -> RatingHabit | None:
        """Tells how the user rates; None for an empty past."""
        if not len(past):
            return None
        liked = self.dataset.meta.label_rule.apply(past.ratings)
        return RatingHabit(len(past), float(past.ratings.mean(dtype="f8")), float(liked.mean()))
