"""Predictions from the cache alone: what a screen can show at once, without any model."""

from __future__ import annotations

from collections.abc import Sequence

from backend.pipeline import Pipeline, Prediction, Recipe
from backend.questions import Question
from storage.results.cached_engine import CachedEngine


def look_up(pipeline: Pipeline, question: Question, recipe: Recipe) -> Prediction:
    """What is cached of this question's answers and chains; None for the rest. Runs no model.

    The pipeline's engines must be :class:`CachedEngine`. Raises ``CorruptCacheError`` as they do.
    """
    return look_up_all(pipeline, [question], recipe)[0]


def look_up_all(pipeline: Pipeline, questions: Sequence[Question], recipe: Recipe) -> list[Prediction]:
    """:func:`look_up` of each question, in the same order, in one question to the database for all answers and one
    for all chains.
    """
    tuned, reasoner = pipeline.tuned, pipeline.reasoner
    assert isinstance(tuned, CachedEngine)
    assert isinstance(reasoner, CachedEngine)
    answers = iter(tuned.peek_answers([prompt.messages for question in questions for prompt in question.prompts]))
    predictions = [
        pipeline.with_answers(pipeline.unasked(question, recipe), [next(answers) for _ in question.prompts])
        for question in questions
    ]
    config = recipe.reasoning
    messages = {
        place: prediction.reason_prompt.messages
        for place, prediction in enumerate(predictions)
        if prediction.reason_prompt is not None
    }
    if config.traces and messages:
        chains = reasoner.peek_all_traces(list(messages.values()), config.traces, config.sampling)
        for place, traces in zip(messages, chains, strict=True):
            predictions[place] = predictions[place].taking_traces(traces)
    return predictions
