"""What can be asked for as a job: one strict model of parameters per kind, kept as canonical JSON.

The parameters say all that the work depends on, so that equal ones are the same work: a prediction that was interrupted
is found again by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import CorruptCacheError, UnknownNameError, UsageError
from backend.pipeline import Recipe
from backend.questions import Question
from backend.seeding import canonical_json, digest
from backend.types import ModelRef


class Params(BaseModel):
    """Base of every kind's parameters. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def json_text(self) -> str:
        """The one spelling of these parameters."""
        return canonical_json(self.model_dump(mode="json"))


class Player(Params):
    """Which weights play a role: :class:`backend.types.ModelRef`, field for field."""

    name: str
    revision: str
    adapter: str | None = None
    context: int | None = None
    quantized: str | None = None

    @classmethod
    def of(cls, model: ModelRef) -> Self:
        return cls(**asdict(model))


class Asked(Params):
    """What is asked of the two models: the dataset at hand and who plays."""

    dataset: str
    tuned: Player
    reasoning: Player


class PredictParams(Asked):
    """A live prediction. ``user`` and ``item`` are ids; ``prompts`` is a digest of the prompts that M_G is asked, which
    may have been edited; ``edited``: the question's edits, if any; ``recipe`` is all of it but the merge, which asks
    nothing of a model.
    """

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
        prompts = [[[message.role, message.content] for message in own.messages] for own in question.prompts]
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


class PrecomputeParams(Params):
    """``rallrec precompute``. ``until``: the last stage; None: all that are not made only when asked for."""

    dataset: str
    until: str | None = None


class ReasonParams(Asked):
    """``rallrec reason``. ``samples``: the list that ships, or the earliest ``limit`` of a part; every one is asked
    under each of ``gammas`` with each of ``knowledge``, for ``traces`` chains (0: the tuned model alone). ``choices``:
    further choices of the recipe, by name; not written where there are none, so that jobs of before are the same.
    """

    samples: Literal["shipped", "train", "validation", "test"]
    limit: int | None = Field(None, ge=1)
    gammas: tuple[float, ...] = Field(min_length=1)
    knowledge: tuple[str, ...] = Field(min_length=1)
    traces: int = Field(ge=0, le=64)
    choices: dict[str, str | int | float] = Field({}, exclude_if=lambda choices: not choices)


class EvaluateParams(Asked):
    """``rallrec evaluate``: look up what is cached of many samples, and draw users for the intervals, so that the
    Evaluate page has both at once. ``samples``: a list that ships, or the earliest ``limit`` of a part.
    """

    samples: Literal["shipped", "shipped-validation", "train", "validation", "test"]
    limit: int | None = Field(None, ge=1)


KINDS: Mapping[str, type[Params]] = {
    "predict": PredictParams,
    "precompute": PrecomputeParams,
    "reason": ReasonParams,
    "evaluate": EvaluateParams,
}


def kind_of(params: Params) -> str:
    """The kind that these parameters are of."""
    return next(kind for kind, model in KINDS.items() if type(params) is model)


def checked(kind: str, given: Mapping[str, Any]) -> Params:
    """Parameters of a kind out of what somebody gave. Raises ``UsageError`` naming the parameter."""
    if kind not in KINDS:
        raise UnknownNameError("kind of job", kind, KINDS)
    try:
        return KINDS[kind].model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{where} of the job {kind} is {first['input']!r}: {first['msg']}",
            expected=f"for {kind}: {', '.join(KINDS[kind].model_fields)}",
        ) from error


def stored(kind: str, text: str) -> Params:
    """Parameters as the database holds them. Raises ``CorruptCacheError`` for what this version does not know."""
    try:
        return KINDS[kind].model_validate_json(text)
    except (KeyError, ValidationError) as error:
        raise CorruptCacheError(
            f"The database holds a job of the kind {kind!r} that this version cannot read",
            fix="start it anew, or with the version that wrote it",
        ) from error
