"""A prediction as the JSON object that commands print."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from backend.pipeline import Pipeline, Recipe
from backend.prompting import read_verdict
from backend.questions import Question
from backend.record import left_out, notices, prediction_record
from backend.types import CHAIN_ENDS, Answer, ModelRef, Trace

PROMISED = [
    "dataset", "user", "item", "label", "history", "prompt", "p_g", "var_g", "p_r", "var_r", "p_final", "alpha",
    "epsilon", "variant", "strategy", "channels", "gamma", "beta", "k", "traces", "models", "cached",
]  # fmt: skip


@pytest.fixture
def recipe() -> Recipe:
    return Recipe.model_validate({"reasoning": {"traces": 5, "seed": 3}, "merging": {"alpha": 0.4}})


def test_a_record_has_exactly_the_promised_keys_and_title_seed_and_recipe(
    pipeline: Pipeline, question: Question, recipe: Recipe
) -> None:
    record = prediction_record(pipeline, pipeline.predict(question, recipe), cached=False)
    assert sorted(record) == sorted(
        [*PROMISED, "title", "seed", "recipe", "answers", "notices", "p_g_temperature", "p_r_temperature", "spread"]
    )
    for row in record["history"]:
        assert list(row) == ["item", "title", "rating", "score", "relevance_rank", "recency_rank"]
    for trace in record["traces"]:
        assert list(trace) == ["text", "verdict", "p_yes", "tokens", "seconds", "finish", "dropped", "mass"]
    for answer in record["answers"]:
        assert list(answer) == ["order", "p_yes", "dropped", "mass"]


def test_a_model_whose_results_are_of_unknown_precision_has_none_in_the_record(
    pipeline: Pipeline, question: Question, recipe: Recipe
) -> None:
    known = ModelRef("tiny", precision="float32", reading=1)
    pipeline.tuned.model = pipeline.reasoner.model = known
    done = pipeline.predict(question, recipe)
    old = replace(done, answers=tuple(replace(answer, unknown=True) for answer in done.answers if answer))
    for prediction, tuned in ((done, known), (old, ModelRef("tiny"))):
        models = prediction_record(pipeline, prediction, cached=True)["models"]
        assert models == {"tuned": asdict(tuned), "reasoning": asdict(known)}


def test_a_record_says_what_the_prediction_says(pipeline: Pipeline, question: Question, recipe: Recipe) -> None:
    done, data = pipeline.predict(question, recipe), pipeline.dataset
    record = prediction_record(pipeline, done, cached=True)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert [record[name] for name in ("p_g", "var_g", "p_r", "var_r", "p_final")] == [
        done.p_g, done.var_g, done.p_r, done.var_r, done.p_final,
    ]  # fmt: skip
    knobs = [record[name] for name in ("alpha", "epsilon", "gamma", "beta", "k", "seed")]
    assert knobs == [0.4, 1e-3, 2 / 3, 1.0, 10, 3]
    assert (record["variant"], record["strategy"]) == ("concat+ssl", "rerank")
    assert record["channels"] == ["relevance", "recency"]
    assert record["recipe"] == recipe.hash
    assert record["cached"] is True
    assert (record["dataset"], record["label"]) == ("ml-latest-small", int(bool(question.label)))
    assert record["user"] == data.user_ids[question.user]
    assert (record["item"], record["title"]) == (data.item_ids[question.item], data.item_label(question.item))
    assert done.reason_prompt is not None
    assert record["prompt"] == done.reason_prompt.text
    assert [row["score"] for row in record["history"]] == [row.score for row in question.chosen]
    rated = {data.item_ids[int(data.item_index[r])]: float(data.rating[r]) for r in question.history_rows}
    assert all(row["rating"] == rated[row["item"]] for row in record["history"])
    verdicts = [trace["verdict"] for trace in record["traces"]]
    assert verdicts == [read_verdict(trace.text).answer for trace in done.traces if trace]
    assert verdicts[3] == "no_answer"
    assert record["models"] == {
        role: asdict(ModelRef(f"scripted-{name}", "1"))
        for role, name in (("tuned", "tuned"), ("reasoning", "reasoner"))
    }


def test_lines_that_were_left_out_are_counted_for_answers_and_chains(
    pipeline: Pipeline, question: Question, recipe: Recipe
) -> None:
    done = pipeline.predict(question, recipe)
    answers = [replace(answer, dropped=n) for n, answer in enumerate(done.answers) if answer]
    traces = [replace(trace, dropped=4) for trace in done.traces if trace]
    known = replace(done, answers=(answers[0], None, answers[2]), traces=tuple(traces))
    record = prediction_record(pipeline, known, cached=False)
    assert record["answers"] == [
        {"order": "rank", "p_yes": answers[0].p_yes, "dropped": 0, "mass": 1.0},
        {"order": "relevance", "p_yes": answers[2].p_yes, "dropped": 2, "mass": 1.0},
    ]
    assert [trace["dropped"] for trace in record["traces"]] == [4] * 5


@pytest.mark.parametrize(
    ("dropped", "items"),
    [([], ""), ([0, 0], ""), ([1], "the oldest past item was"), ([0, 3, 2], "the 3 oldest past items were")],
)
def test_what_was_left_out_is_one_sentence(dropped: list[int], items: str) -> None:
    said = left_out([None, *(Answer(0.5, 1, 0.1, count) for count in dropped)])
    assert said == (f"The prompt was longer than the model's context: {items} left out." if items else "")


@pytest.mark.parametrize(
    ("masses", "said"),
    [
        ([], ""),
        ([None, 0.05, 0.9], ""),
        ([0.9, 0.001, None], "Where 1 of 3 P(yes) were read, Yes and No together had at most 0.10%"),
        ([0.002, 0.01], "Where P(yes) was read, Yes and No together had at most 1.00%"),
    ],
)
def test_a_low_mass_is_said(masses: list[float | None], said: str) -> None:
    sentences = notices([Answer(0.5, 1, 0.1, mass=mass) for mass in masses])
    assert len(sentences) == bool(said)
    assert "".join(sentences).startswith(said)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (["stop", "length"], ""),
        (["stop", "filter"], "One sampled text is no chain: the server's content filter cut it. It counts neither"),
        (
            ["tool", "empty", "tool"],
            "3 sampled texts are no chains: the model called a tool, the model wrote no text. ",
        ),
    ],
)
def test_texts_that_are_no_chains_are_said(ends: list[str], said: str) -> None:
    sentences = notices([Trace(n, "So.", 0.5 if e in CHAIN_ENDS else None, 1, 0.1, e) for n, e in enumerate(ends)])
    assert len(sentences) == bool(said)
    assert "".join(sentences).startswith(said)


def test_texts_that_are_no_chains_count_neither_in_p_r_nor_in_its_variance(
    pipeline: Pipeline, question: Question, recipe: Recipe
) -> None:
    done = pipeline.predict(question, recipe)
    ends = ["stop", "filter", "length", "tool", "empty"]
    values = [0.2, None, 0.6, None, None]
    mixed = done.taking_traces(
        [Trace(n, "So.", p, 1, 0.1, e) for n, (p, e) in enumerate(zip(values, ends, strict=True))]
    )
    assert (mixed.p_r, mixed.var_r) == (pytest.approx(0.4), pytest.approx(0.04))
    assert mixed.complete
    assert 0 < mixed.p_final < 1
    record = prediction_record(pipeline, mixed, cached=True)
    assert [(trace["finish"], trace["p_yes"]) for trace in record["traces"]] == list(zip(ends, values, strict=True))
    assert record["notices"]["reasoning"] == notices(mixed.traces)

    nothing = done.taking_traces([Trace(n, "", None, 1, 0.1, "empty") for n in range(5)])
    assert nothing.complete
    assert nothing.lacks_chains
    record = prediction_record(pipeline, nothing, cached=True)
    assert {record[name] for name in ("p_r", "var_r", "p_final")} == {None}


def test_what_nobody_has_said_yet_is_null(pipeline: Pipeline, question: Question, recipe: Recipe) -> None:
    record = prediction_record(pipeline, pipeline.unasked(question, recipe), cached=False)
    assert {record[name] for name in ("p_g", "var_g", "p_r", "var_r", "p_final")} == {None}
    assert record["traces"] == record["answers"] == []
    assert record["prompt"] == question.prompts[0].text
    json.dumps(record, allow_nan=False)


def test_the_label_of_an_item_that_was_never_rated_is_null(pipeline: Pipeline, recipe: Recipe) -> None:
    data = pipeline.dataset
    rated = set(data.item_index[data.user_rows(7)].tolist())
    unrated = next(code for code in range(data.n_items) if code not in rated)
    question = pipeline.question(7, unrated, recipe)
    assert prediction_record(pipeline, pipeline.unasked(question, recipe), cached=False)["label"] is None
