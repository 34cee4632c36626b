"""The job ``predict``: a live prediction, which its page runs; what it finished is in the cache."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from backend.pipeline import Recipe
from backend.questions import Question
from backend.seeding import digest
from backend.types import ModelRef
from storage.jobs.kind import PlayedParams, Player


class PredictParams(PlayedParams):
    """``user`` and ``item`` are ids; ``prompts`` is a digest of the prompts that M_G is asked, which may have been
    edited; ``edited``: the question's edits, if any; ``recipe`` is all of it but the merge, which asks nothing of a
    model.
    """

    kind: ClassVar[str] = "predict"
    attended: ClassVar[bool] = True

    user: str
    item: str
    prompts: str
    recipe: dict[str, Any]
    edited: str = ""

    @classmethod
    def of(
        cls,
        dataset: str,
        ids: tuple[str, str],
        question: Question,
        recipe: Recipe,
        tuned: ModelRef,
        reasoning: ModelRef,
    ) -> Self:
        prompts = [[[message.role, message.content] for message in prompt.messages] for prompt in question.prompts]
        return cls(
            dataset=dataset,
            user=ids[0],
            item=ids[1],
            prompts=digest(prompts, 16),
            recipe=recipe.model_dump(mode="json", exclude={"merging"}),
            tuned=Player.of(tuned),
            reasoning=Player.of(reasoning),
            edited=question.edits.canonical if question.edits else "",
        )

    @property
    def title(self) -> str:
        return f"{'what-if' if self.edited else 'prediction'} for user {self.user}, item {self.item}"
