"""For which values of a slider everything is answered already, the other settings being as they are.

Found in the cache alone, by the very questions that the page would ask there; no model runs. It takes some tens of
milliseconds, so it is asked once a page's sliders rest, never while they move.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

from backend.knobs import KNOBS
from backend.pipeline import Pipeline, Recipe
from backend.questions import Question
from backend.retrieval import gamma_orders, orders_from, shown_gammas
from storage.results.cached_engine import CachedEngine
from storage.results.lookup import look_up, look_up_answers


@dataclass(frozen=True)
class Stretch:
    """All values from ``low`` to ``high`` are answered, by the same answers; ``pick``: the one to go to."""

    low: float
    high: float
    pick: float


@dataclass(frozen=True)
class Answered:
    """The answered values of each slider, ascending; ``gamma`` is empty where it does not apply."""

    gamma: tuple[Stretch, ...]
    k: tuple[Stretch, ...]
    traces: tuple[Stretch, ...]


def answered_values(pipeline: Pipeline, user: int, item: int, recipe: Recipe) -> Answered:
    """For the user and item codes. Raises ``UsageError`` as ``Pipeline.question`` does."""
    around = _Around(pipeline, user, item, recipe)
    return Answered(around.gammas(), around.ks(), around.traces())


@dataclass(frozen=True)
class _Around:
    """One setting of one sample, from which one value at a time is moved."""

    pipeline: Pipeline
    user: int
    item: int
    recipe: Recipe

    def gammas(self) -> tuple[Stretch, ...]:
        """Gammas that give the same list of items ask the same, so one question stands for a stretch of them."""
        config = self.recipe.retrieval
        if config.strategy != "rerank":
            return ()
        both = self._question(self.recipe).channels
        places = shown_gammas()
        orders = gamma_orders(both.relevant, both.recent, config.k, config.beta, places, config.combine)
        at = dict(zip(places, orders, strict=True))
        lists = [(order, list(gammas)) for order, gammas in groupby(places, at.__getitem__)]
        # Most prompts depend on the set of items alone, and there are far fewer sets than lists.
        of_set: dict[frozenset[Hashable], Recipe] = {}
        for order, gammas in lists:
            of_set.setdefault(frozenset(order), self._at(gamma=gammas[0]))
        by_set = [place for place, order in enumerate(self._orders()) if order != "rank"]
        known = zip(of_set, self._answers(of_set.values()), strict=True)
        sets = {items for items, answered in known if all(answered[place] for place in by_set)}
        left = [gammas for order, gammas in lists if frozenset(order) in sets]
        complete = self._complete([self._at(gamma=gammas[0]) for gammas in left])
        return tuple(
            Stretch(gammas[0], gammas[-1], min(gammas, key=_oddness))
            for gammas, yes in zip(left, complete, strict=True)
            if yes
        )

    def ks(self) -> tuple[Stretch, ...]:
        """With no more past items to put in, a larger K asks the same."""
        recipes = {k: self._at(k=k) for k in range(1, _most("k") + 1)}
        stretches = [list(same) for _, same in groupby(recipes, lambda k: self._question(recipes[k]).prompts)]
        complete = self._complete([recipes[ks[0]] for ks in stretches])
        return tuple(Stretch(ks[0], ks[-1], ks[0]) for ks, yes in zip(stretches, complete, strict=True) if yes)

    def traces(self) -> tuple[Stretch, ...]:
        """Fewer chains than there are need no other answers."""
        most = _most("traces")
        reasoning = self.recipe.reasoning.model_copy(update={"traces": most})
        recipe = self.recipe.model_copy(update={"reasoning": reasoning})
        prediction = look_up(self.pipeline, self._question(recipe), recipe, unknown=True)
        count = next((place for place, trace in enumerate(prediction.traces) if trace is None), most)
        return (Stretch(1, count, count),) if count and all(prediction.answers) else ()

    def _at(self, **values: Any) -> Recipe:
        return self.recipe.model_copy(update={"retrieval": self.recipe.retrieval.model_copy(update=values)})

    def _orders(self) -> tuple[str, ...]:
        """The orders of the first prompts, as many as depend on the set of items and its order alone."""
        order = self.recipe.retrieval.order
        return orders_from(order) if self.recipe.tuned.spread == "orders" else (order,)

    def _question(self, recipe: Recipe) -> Question:
        return self.pipeline.question(self.user, self.item, recipe)

    def _answers(self, recipes: Iterable[Recipe]) -> list[list[bool]]:
        """For each recipe, which of its prompts M_G has answered; all looked up at once."""
        tuned = self.pipeline.tuned
        assert isinstance(tuned, CachedEngine)
        prompts = [[prompt.messages for prompt in self._question(recipe).prompts] for recipe in recipes]
        answers = look_up_answers(tuned, prompts, unknown=True)
        return [[answer is not None for answer in of_recipe] for of_recipe in answers]

    def _complete(self, recipes: Sequence[Recipe]) -> list[bool]:
        """For each recipe, whether nothing would have to be asked."""
        return [
            all(known) and look_up(self.pipeline, self._question(recipe), recipe, unknown=True).complete
            for recipe, known in zip(recipes, self._answers(recipes), strict=True)
        ]


def _most(name: str) -> int:
    """How far the slider of a count reaches."""
    slider = KNOBS[name].slider
    assert slider
    return int(slider[1])


def _oddness(gamma: float) -> int:
    """The denominator: 2/3 is what a person means, not 0.693. The ends are the last of the simple ones."""
    denominator = Fraction(gamma).limit_denominator(1000).denominator
    return denominator if denominator > 1 else 7
