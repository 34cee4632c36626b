"""The same question under another way to choose past items: what both choose, and what only one does."""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import UnknownNameError
from backend.pipeline import Pipeline, Recipe
from backend.representation import VARIANTS
from backend.retrieval import STRATEGIES


@dataclass(frozen=True)
class ChosenItem:
    """A chosen past item, by its code; ``there``: its rank (from 1) in the other list, None where it is not in it."""

    item: int
    there: int | None


@dataclass(frozen=True)
class ChoiceSide:
    """One way to choose, and the past items that enter the prompt by it, best first."""

    variant: str
    strategy: str
    rows: tuple[ChosenItem, ...]

    @property
    def own(self) -> tuple[int, ...]:
        """The items that are in this list alone."""
        return tuple(row.item for row in self.rows if row.there is None)


def against(pipeline: Pipeline, user: int, item: int, recipe: Recipe, other: str) -> tuple[ChoiceSide, ChoiceSide]:
    """The recipe's choice beside that of ``other``, a variant or a strategy, all else being the same.

    Raises ``UnknownNameError``, and ``UsageError`` as ``Pipeline.question`` does.
    """
    field = "variant" if other in VARIANTS else "strategy"
    if field == "strategy" and other not in STRATEGIES:
        raise UnknownNameError("embedding variant or strategy", other, (*VARIANTS, *STRATEGIES))
    changed = recipe.model_copy(update={"retrieval": recipe.retrieval.model_copy(update={field: other})})
    lists = [[row.item for row in pipeline.question(user, item, choice).chosen] for choice in (recipe, changed)]
    ranks = [{code: rank for rank, code in enumerate(codes, start=1)} for codes in lists]
    here, there = (
        ChoiceSide(
            choice.retrieval.variant,
            choice.retrieval.strategy,
            tuple(ChosenItem(code, elsewhere.get(code)) for code in codes),
        )
        for choice, codes, elsewhere in zip((recipe, changed), lists, reversed(ranks), strict=True)
    )
    return here, there
