"""Predictions from the cache alone: what a screen can show at once, without any model.

The one place that decides which results are taken, where some were kept before it was written down in which precision
a model answers. Callers say whether such ``unknown`` ones may be taken at all. Those of one question are never mixed
with known ones: sigma_G^2 over two precisions is the noise between them.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.pipeline import Pipeline, Prediction, Recipe
from backend.questions import Question
from backend.types import Answer, Messages
from storage.results.cached_engine import CachedEngine


def look_up(pipeline: Pipeline, question: Question, recipe: Recipe, *, unknown: bool = False) -> Prediction:
    """What is cached of this question's answers and chains; None for the rest. Runs no model.

    ``unknown``: answers whose precision is unknown are taken where no other one is known, and so are chains.
    The pipeline's engines must be :class:`CachedEngine`. Raises ``CorruptCacheError`` as they do.
    """
    return look_up_all(pipeline, [question], recipe, unknown=unknown)[0]


def look_up_answers(
    tuned: CachedEngine, prompts: Sequence[Sequence[Messages]], *, unknown: bool = False
) -> list[list[Answer | None]]:
    """The cached answers to the prompts of each of several questions; ``unknown`` as in :func:`look_up`."""
    counts = [len(of_question) for of_question in prompts]
    flat = iter(tuned.peek_answers([messages for of_question in prompts for messages in of_question]))
    answers = [[next(flat) for _ in range(count)] for count in counts]
    lacking = [place for place, of_question in enumerate(answers) if unknown and not any(of_question)]
    if lacking:
        flat = iter(tuned.peek_answers([messages for place in lacking for messages in prompts[place]], unknown=True))
        for place in lacking:
            answers[place] = [next(flat) for _ in range(counts[place])]
    return answers


def look_up_all(
    pipeline: Pipeline, questions: Sequence[Question], recipe: Recipe, *, unknown: bool = False
) -> list[Prediction]:
    """:func:`look_up` of each question, in the same order, in one question to the database for all answers and one
    for all chains.
    """
    tuned, reasoner = pipeline.tuned, pipeline.reasoner
    assert isinstance(tuned, CachedEngine)
    assert isinstance(reasoner, CachedEngine)
    prompts = [[prompt.messages for prompt in question.prompts] for question in questions]
    predictions = [
        pipeline.with_answers(pipeline.unasked(question, recipe), answers)
        for question, answers in zip(questions, look_up_answers(tuned, prompts, unknown=unknown), strict=True)
    ]
    config = recipe.reasoning
    messages = {
        place: prediction.reason_prompt.messages
        for place, prediction in enumerate(predictions)
        if prediction.reason_prompt is not None
    }
    if config.traces and messages:
        chains = reasoner.peek_all_traces(list(messages.values()), config.traces, config.sampling)
        known = dict(zip(messages, chains, strict=True))
        lacking = [place for place, traces in known.items() if unknown and not any(traces)]
        if lacking:
            some = [messages[place] for place in lacking]
            chains = reasoner.peek_all_traces(some, config.traces, config.sampling, unknown=True)
            known |= zip(lacking, chains, strict=True)
        for place, traces in known.items():
            predictions[place] = predictions[place].taking_traces(traces)
    return predictions
