"""A prediction as one plain object: what ``rallrec predict --json`` prints and what a view exports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from backend.datasets import Dataset
from backend.knobs import KNOBS
from backend.numbers import or_null
from backend.pipeline import Pipeline, Prediction
from backend.prompting import read_verdict
from backend.questions import PromptVariant
from backend.types import LOW_MASS, NO_CHAIN, Answer, ModelRef, Trace


def prediction_record(pipeline: Pipeline, prediction: Prediction, *, cached: bool) -> dict[str, Any]:
    """Makes the JSON object: numbers that are not known are null, and ``history`` is in eq. 8's rank order.

    ``prompt`` is what M_R was given (the injected sentence included); ``dropped`` counts the oldest of its past items
    that the model did not see (:func:`left_out`). ``evidence``: the lines of the layout ``evidence``; only there.
    ``answers``: M_G's, by variant of its prompt. ``cached``: no model ran. ``mass``: :class:`backend.types.Answer`;
    ``notices``: what has to be known of the results (:func:`notices`). ``edits``: what was changed of the question on
    purpose; only where something was.
    """
    data, question, recipe = pipeline.dataset, prediction.question, prediction.recipe
    prompt, choices = prediction.reason_prompt or question.prompts[0], recipe.named
    return {
        "dataset": data.meta.name,
        "user": data.user_ids[question.user],
        "item": data.item_ids[question.item],
        "title": data.item_label(question.item),
        "label": None if question.label is None else int(question.label),
        "history": [
            {
                "item": data.item_ids[row.item],
                "title": data.item_label(row.item),
                "rating": question.past.rating_of(row.item),
                "score": row.score,
                "relevance_rank": row.relevance_rank,
                "recency_rank": row.recency_rank,
            }
            for row in question.chosen
        ],
        "prompt": prompt.text,
        **({"evidence": [asdict(line) for line in question.subject.evidence]} if question.subject.evidence else {}),
        "p_g": or_null(prediction.p_g),
        "p_g_temperature": recipe.tuned.p_g_temperature,
        "p_r_temperature": recipe.merging.p_r_temperature,
        "spread": recipe.tuned.spread,
        "var_g": or_null(prediction.var_g),
        "p_r": or_null(prediction.p_r),
        "var_r": or_null(prediction.var_r),
        "p_final": or_null(prediction.p_final),
        "channels": list(question.channels.names),
        **{name: choices[name] for name, knob in KNOBS.items() if knob.recorded},
        "traces": [
            {
                "text": trace.text,
                "verdict": read_verdict(trace.text).answer,
                "p_yes": trace.p_yes,
                "tokens": trace.tokens,
                "seconds": round(trace.seconds, 3),
                "finish": trace.finish,
                "dropped": trace.dropped,
                "mass": trace.mass,
            }
            for trace in prediction.traces
            if trace
        ],
        "answers": [
            {
                **_variant(data, variant),
                "p_yes": answer.p_yes,
                "dropped": answer.dropped,
                "mass": answer.mass,
            }
            for variant, answer in zip(question.variants, prediction.answers, strict=True)
            if answer
        ],
        "notices": {"tuned": notices(prediction.answers), "reasoning": notices(prediction.traces)},
        "models": {
            "tuned": asdict(made_by(pipeline.tuned.model, prediction.answers)),
            "reasoning": asdict(made_by(pipeline.reasoner.model, prediction.traces)),
        },
        "recipe": recipe.hash,
        "cached": cached,
        **({"edits": json.loads(question.edits.canonical)} if question.edits else {}),
    }


def _variant(data: Dataset, variant: PromptVariant) -> dict[str, Any]:
    """What a prompt of M_G is: its history order, and what else differs from the recipe's own."""
    without = None if variant.without is None else data.item_ids[variant.without]
    said = {"order": variant.order, "without": without, "gamma": variant.gamma}
    return {name: value for name, value in said.items() if value is not None}


def notices(results: Sequence[Answer | Trace | None]) -> list[str]:
    """Says in sentences what has to be known of a model's results before they are believed; nothing where all is well.

    That it did not see all past items, that P(yes) compares two words that it would hardly have said, and that texts
    are no chains.
    """
    return [said for said in (left_out(results), _hardly_said(results), _no_chains(results)) if said]


def _hardly_said(results: Sequence[Answer | Trace | None]) -> str:
    low = [result.mass for result in results if result and result.mass is not None and result.mass < LOW_MASS]
    if not low:
        return ""
    places = (
        "Where P(yes) was read" if len(low) == len(results) else f"Where {len(low)} of {len(results)} P(yes) were read"
    )
    return (
        f"{places}, Yes and No together had at most {max(low):.2%} of the probability: the model was about to write "
        "something else, and P(yes) says little."
    )


def _no_chains(results: Iterable[Answer | Trace | None]) -> str:
    whys = [NO_CHAIN[result.finish] for result in results if isinstance(result, Trace) and not result.is_chain]
    if not whys:
        return ""
    texts = "One sampled text is no chain" if len(whys) == 1 else f"{len(whys)} sampled texts are no chains"
    counts = "It counts" if len(whys) == 1 else "They count"
    return f"{texts}: {', '.join(dict.fromkeys(whys))}. {counts} neither in P_R nor in its variance."


def made_by(model: ModelRef, results: Iterable[Answer | Trace | None]) -> ModelRef:
    """The model that a prediction's results are of: of no precision where that is unknown."""
    unknown = any(result.unknown for result in results if result)
    return replace(model, precision=None, reading=None, server=None) if unknown else model


def left_out(results: Iterable[Answer | Trace | None]) -> str:
    """Says in a sentence how many past items a model did not see, the most of all results; empty for none."""
    count = max((result.dropped for result in results if result), default=0)
    if not count:
        return ""
    items = "the oldest past item was" if count == 1 else f"the {count} oldest past items were"
    return f"The prompt was longer than the model's context: {items} left out."
