"""Long work as commands and jobs both do it: what is known comes from the cache, how far it is is said in words.

The work itself is ``backend.batch`` and ``storage.precompute.plan``; who shows its progress is their business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backend.batch import Batch, Count, unasked_predictions
from backend.errors import EngineError, Stopped, UsageError
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.types import Progress, Stop
from storage.kept.sample_list import Sample, at_line
from storage.results.lookup import look_up


def recalled(
    pipeline: Pipeline, samples: Sequence[Sample], recipes: Sequence[Recipe], progress: Progress, stop: Stop
) -> Iterator[Prediction]:
    """Every sample under every recipe, with what is in the cache."""
    for number, sample in enumerate(samples):
        if stop():
            raise Stopped("Stopped before any model was asked")
        progress("looking up what is cached", number / len(samples))
        try:
            predictions = list(unasked_predictions(pipeline, [(sample.user, sample.item)], recipes))
        except UsageError as error:
            raise at_line(sample.where, error) from error
        for prediction in predictions:
            yield look_up(pipeline, prediction.question, prediction.recipe)


def kept(batch: Batch) -> str:
    """How much of a batch is there: ``30 of 30 answers and 12 of 60 chains``."""
    return " and ".join(
        f"{count.known + count.made:,} of {count.wanted:,} {count.kind}"
        for count in (batch.answers, batch.chains)
        if count.wanted
    )


def failures_of(batch: Batch, samples: Sequence[Sample], recipes: Sequence[Recipe]) -> list[dict[str, str]]:
    """Which samples failed, and why."""
    return [
        {"sample": samples[place // len(recipes)].where, "problem": problem}
        for place, problem in sorted(batch.failures.items())
    ]


def raise_failures(batch: Batch, samples: Sequence[Sample], recipes: Sequence[Recipe], fix: str) -> None:
    """Raise ``EngineError`` where prompts failed; the others are kept."""
    if batch.failures:
        first = failures_of(batch, samples, recipes)[0]
        raise EngineError(
            f"{batch.answers.failed + batch.chains.failed} prompts failed; {first['sample']}: {first['problem']}",
            expected="an answer to each (the others are kept)",
            fix=f"{fix}: only what is missing is run",
        )


def counted(count: Count) -> str:
    """How far it is: ``chains: 120 of 900 (60 from the cache), 2.1 per second``."""
    said = [f"{count.kind}: {count.known + count.made:,} of {count.wanted:,} ({count.known:,} from the cache)"]
    if count.failed:
        said.append(f"{count.failed:,} prompts failed")
    if count.made and count.seconds:
        pace = count.made / count.seconds
        said.append(f"{pace:,.1f} per second" if pace >= 1 else f"{pace * 60:,.1f} per minute")
    return ", ".join(said)
