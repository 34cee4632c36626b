"""A prediction from the cache alone: what a screen can show at once, without any model."""

from __future__ import annotations

from backend.pipeline import Pipeline, Prediction, Recipe
from backend.questions import Question
from backend.types import Trace
from storage.cached_engine import CachedEngine


def look_up(pipeline: Pipeline, question: Question, recipe: Recipe) -> Prediction:
    """What is cached of this question's answers and chains; None for the rest. Runs no model.

    The pipeline's engines must be :class:`CachedEngine`. Raises ``CorruptCacheError`` as they do.
    """
    tuned, reasoner = pipeline.tuned, pipeline.reasoner
    assert isinstance(tuned, CachedEngine)
    assert isinstance(reasoner, CachedEngine)
    answers = tuned.peek_answers([prompt.messages for prompt in question.prompts])
    prediction = pipeline.with_answers(pipeline.unasked(question, recipe), answers)
    if prediction.reason_prompt is None or not recipe.reasoning.traces:
        return prediction
    traces: list[Trace | None] = reasoner.peek_traces(
        prediction.reason_prompt.messages, recipe.reasoning.traces, recipe.reasoning.sampling
    )
    return prediction.taking_traces(traces)
