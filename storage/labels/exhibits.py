"""The chains that can be labelled: what is cached of the settings' recipe, as it was written. No model is loaded.

What the prompt showed is kept with a chain; the rest of a user's history stays in the dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from backend.datasets import Dataset
from backend.labelling import ChainFilter, ChainRecord, Setting, ShownItem
from backend.labelling.project import Bounds
from backend.labelling.tasks import gap
from backend.numbers import or_null
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.prompting import knowledge_sentence, read_verdict
from backend.prompting.knowledge import KNOWLEDGE_WORDINGS
from backend.types import ModelRef
from storage.results.keys import trace_key, unknown_of
from storage.results.lookup import look_up_all
from storage.results.requests import AnsweredSamples
from storage.results.rows import KeyedPrompt
from storage.workspace import Workspace

# Samples whose results are looked up together.
_AT_ONCE = 64


def exhibits(
    workspace: Workspace,
    chain_filter: ChainFilter,
    dataset: str | None = None,
    answered: AnsweredSamples | None = None,
) -> Iterator[tuple[ChainRecord, Setting]]:
    """The chains that fit a filter, each with the setting of its sample's prediction, sample by sample.

    Of the settings' recipe, with every wording of the injected sentence for which all answers and chains of a sample
    are cached. ``limit`` and ``chains_per_sample`` are the project's order's business
    (:func:`backend.labelling.tasks.tasks_of`). ``answered``: of that dataset, where one has been read before: reading
    takes seconds. Raises ``UsageError`` for a sample that is none.
    """
    pipeline = workspace.pipeline(dataset)
    model = pipeline.reasoner.model
    if chain_filter.models and model.name not in chain_filter.models:
        return
    wordings = KNOWLEDGE_WORDINGS if chain_filter.knowledge == "any" else (chain_filter.knowledge,)
    recipes = [workspace.recipe(knowledge=wording) for wording in wordings]
    data = pipeline.dataset
    chosen = _samples(data, chain_filter, answered or AnsweredSamples(workspace, data.meta.name))
    for start in range(0, len(chosen), _AT_ONCE):
        samples = chosen[start : start + _AT_ONCE]
        # What is retrieved does not depend on the wording.
        questions = [pipeline.question(user, item, recipes[0]) for user, item in samples]
        for recipe in recipes:
            for prediction in look_up_all(pipeline, questions, recipe, unknown=True):
                if prediction.traces and prediction.complete:
                    setting = _setting(prediction, pipeline.tuned.model)
                    for chain in _chains(pipeline, prediction):
                        if fits(chain, setting, chain_filter):
                            yield chain, setting


def _samples(data: Dataset, chain_filter: ChainFilter, answered: AnsweredSamples) -> list[tuple[int, int]]:
    """(user, item) codes: those that are named, else all that M_G has answered."""
    if chain_filter.samples:
        return [(data.user_code(user), data.item_code(item)) for user, item in dict.fromkeys(chain_filter.samples)]
    return [(int(data.user_index[row]), int(data.item_index[row])) for row in answered.rows()]


def fits(chain: ChainRecord, setting: Setting, chain_filter: ChainFilter) -> bool:
    """Whether the filter takes this chain in; ``limit`` and ``chains_per_sample`` are not asked."""
    return (
        (not chain_filter.models or chain.model["name"] in chain_filter.models)
        and chain_filter.knowledge in ("any", setting.knowledge)
        and (not chain_filter.samples or (chain.user, chain.item) in chain_filter.samples)
        and _within(chain_filter.gap, gap(setting))
        and _within(chain_filter.variance, setting.var_r)
        and _within(chain_filter.tokens, chain.tokens)
        and _has_outcome(chain, chain_filter.outcome)
    )


def _within(bounds: Bounds, value: float | None) -> bool:
    low, high = bounds
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _has_outcome(chain: ChainRecord, outcome: str) -> bool:
    if outcome == "any":
        return True
    if outcome == "no_answer":
        return chain.verdict is None
    if chain.verdict is None or chain.truth is None:
        return False
    return ((chain.verdict == "yes") == chain.truth) == (outcome == "correct")


def _setting(prediction: Prediction, tuned: ModelRef) -> Setting:
    recipe: Recipe = prediction.recipe
    retrieval, merging = recipe.retrieval, recipe.merging
    return Setting(
        recipe=recipe.hash, gamma=retrieval.gamma, beta=retrieval.beta, k=retrieval.k, alpha=merging.alpha,
        epsilon=merging.epsilon, traces=recipe.reasoning.traces, seed=recipe.reasoning.seed,
        strategy=retrieval.strategy, variant=retrieval.variant, knowledge=recipe.prompting.knowledge,
        tuned_model=asdict(tuned), p_g=or_null(prediction.p_g), var_g=or_null(prediction.var_g),
        p_r=or_null(prediction.p_r), var_r=or_null(prediction.var_r), p_final=or_null(prediction.p_final),
    )  # fmt: skip


def _chains(pipeline: Pipeline, prediction: Prediction) -> Iterator[ChainRecord]:
    data, question, sampling = pipeline.dataset, prediction.question, prediction.recipe.reasoning.sampling
    assert prediction.reason_prompt is not None
    prompt, player = KeyedPrompt(prediction.reason_prompt.messages), pipeline.reasoner.model
    sentence = knowledge_sentence(prediction.p_g, prediction.recipe.prompting.knowledge)
    history = tuple(
        ShownItem(
            item=data.item_ids[row.item], title=data.item_label(row.item), rating=question.past.rating_of(row.item),
            relevance_rank=row.relevance_rank, recency_rank=row.recency_rank,
        )
        for row in question.chosen
    )  # fmt: skip
    for trace in prediction.chains:
        assert trace.p_yes is not None
        model = (unknown_of(player) if trace.unknown else None) or player
        verdict = read_verdict(trace.text).answer
        yield ChainRecord(
            id=trace_key(model, prompt.hash, sampling, trace.index), dataset=data.meta.name,
            data_hash=data.meta.data_hash, user=data.user_ids[question.user], item=data.item_ids[question.item],
            title=data.item_label(question.item), truth=question.label, history=history,
            prompt=prediction.reason_prompt.text, prompt_hash=prompt.hash, knowledge=sentence or "",
            model=asdict(model), index=trace.index, seed=sampling.seed, text=trace.text,
            verdict=verdict if verdict in ("yes", "no") else None,
            p_yes=trace.p_yes, tokens=trace.tokens, finish=trace.finish,
        )  # fmt: skip
