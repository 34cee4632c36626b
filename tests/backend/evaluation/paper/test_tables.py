"""The data of every table, pairs of systems, and the paper's numbers beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.evaluation import metrics
from backend.evaluation.drawing import draw_table
from backend.evaluation.intervals import MetricDraws, too_few
from backend.evaluation.paper import tables
from backend.evaluation.paper.exhibits import ResultTable
from backend.evaluation.paper.pairs import differences, wins_and_losses
from backend.evaluation.paper.published import paper_dataset, paper_line, paper_tokens
from backend.evaluation.paper.systems import SystemMetrics, bar_words, score, score_runs, unweighted
from backend.merging import merge

USERS, LABELS = [0, 0, 1, 1, 2, 2], [1, 0, 1, 0, 0, 1]
GOOD, BAD = [0.9, 0.2, 0.8, 0.4, 0.3, 0.6], [0.4, 0.6, 0.7, 0.3, 0.5, 0.5]


def two() -> tuple[SystemMetrics, SystemMetrics]:
    return score("A", USERS, LABELS, BAD, 200), score("B", USERS, LABELS, GOOD, 200)


def lines_of(table: ResultTable) -> dict[str, dict[str, float]]:
    return {line.key: dict(line.values) for line in table.lines}


def test_a_system_is_scored_by_every_metric() -> None:
    scored = score("B", USERS, LABELS, GOOD, 200)
    assert dict(scored.values) == {
        "auc": metrics.auc(LABELS, GOOD), "gauc": 1.0, "log_loss": metrics.log_loss(LABELS, GOOD), "accuracy": 1.0,
        "ece": pytest.approx((0.1 + 0.2 + 0.2 + 0.4 + 0.3 + 0.4) / 6),
    }  # fmt: skip
    assert scored.n == 6
    for metric, (low, high) in scored.intervals.items():
        assert low <= scored.values[metric] <= high
    assert score("B", USERS, LABELS, GOOD, 0).intervals == {}


def test_tables_of_systems_stand_beside_the_paper() -> None:
    a, b = two()
    gone = SystemMetrics("C", missing="not cached (0 of 6)", run="rallrec reason")
    lines = [("LLM", "A", a), ("RALLRec", "B", b), ("ReLLa", "C", gone)]
    table = tables.of_systems("table-4", "Table 4", "test", lines, "MovieLens", about={"LLM": "untuned"})
    assert lines_of(table)["RALLRec"]["accuracy"] == 1.0
    assert table.lines[0].paper == {"auc": 0.5865, "log_loss": 0.6853, "accuracy": 0.5591}
    assert (table.lines[0].about, table.lines[2].missing) == ("untuned", "not cached (0 of 6)")
    best = {column.key: table.best(column) for column in table.columns}
    assert (best["auc"], best["log_loss"], best["accuracy"]) == ("RALLRec", "RALLRec", "RALLRec")
    records = table.records()
    assert len(records) == 15
    assert records[0]["value"] == a.values["auc"]
    assert (records[-1]["value"], records[-1]["run"]) == (None, "rallrec reason")


@pytest.mark.parametrize(("users", "enough"), [(2, False), (9, False), (10, True), (40, True)])
def test_too_few_users_give_no_star_and_the_table_says_so(users: int, enough: bool) -> None:
    owners = np.arange(400) % users
    labels = (np.arange(400) // users) % 2
    drawn = np.random.default_rng(0).random((2, 400))
    good, bad = (0.5 * labels + drawn[0]) / 1.5, drawn[1]
    a, b = (score(name, owners, labels, scores, 200) for name, scores in (("A", good), ("B", bad)))
    tested = differences(labels, a, b, good, bad)
    assert all(difference.p < 0.01 for difference in tested if difference.method == "DeLong")
    assert {difference.significant for difference in tested if difference.p < 0.01} == {enough}
    table = tables.of_systems("table-4", "Table 4", "test", [("A", "A", a), ("B", "B", b)])
    assert [note for note in table.notes if "fewer than 10" in note] == ([] if enough else [too_few(users)])


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ({"RALLRec+": 0.53, "RALLRec": 0.52, "Boosting": 0.49, "DCN": 0.5},
         "No system that asks a language model beats those that read no text: Boosting has the lowest log loss, 0.490, "
         "and RALLRec comes closest with 0.520."),
        ({"LLM": 0.6, "RALLRec+": 0.48, "DCN": 0.49},
         "Of the systems that ask a language model, those with a lower log loss than every system that reads no text "
         "(DCN is the best of these, 0.490): RALLRec+."),
        ({"LLM": 0.5, "DCN": 0.5},
         "No system that asks a language model beats those that read no text: DCN has the lowest log loss, 0.500, "
         "and LLM comes closest with 0.500."),
        ({"Boosting": 0.49}, ""),
        ({"RALLRec": 0.52}, ""),
        ({"RALLRec": math.nan, "DCN": 0.5}, ""),
    ],
)  # fmt: skip
def test_whether_language_models_beat_the_bar_is_said_plainly(losses: dict[str, float], said: str) -> None:
    scored = {name: SystemMetrics(name, 6, values={"log_loss": loss}) for name, loss in losses.items()}
    assert bar_words(scored | {"ReLLa": SystemMetrics("ReLLa", missing="not cached (0 of 6)")}) == said


def test_single_runs_are_averaged_and_stand_beside_all_chains_together() -> None:
    runs = np.array([GOOD, BAD, [0.9, 0.2, np.nan, 0.4, 0.3, 0.6]])
    scored = score_runs("runs", USERS, LABELS, runs)
    known = [0, 1, 3, 4, 5]
    each = [metrics.accuracy(LABELS, run) for run in runs[:2]]
    each.append(metrics.accuracy(np.array(LABELS)[known], runs[2][known]))
    assert each[0] != each[1]
    assert scored.values["accuracy"] == pytest.approx(np.mean(each))
    assert scored.spreads["accuracy"] == pytest.approx(np.std(each, ddof=1))
    assert (scored.runs, scored.intervals) == (3, {})
    together = score("together", USERS, LABELS, np.nanmean(runs, axis=0), 0)
    assert together.values["log_loss"] != pytest.approx(scored.values["log_loss"])
    table = tables.of_systems("table-2", "Table 2", "test", [("Reasoner", "single", scored), ("all", "all", together)])
    assert f"± {scored.spreads['accuracy']:.3f} over 3 runs" in draw_table(table)
    by_line = {(row["line"], row["column"]): row for row in table.records()}
    assert by_line["Reasoner", "accuracy"]["runs"] == 3
    assert by_line["Reasoner", "accuracy"]["spread"] == pytest.approx(scored.spreads["accuracy"])
    assert by_line["all", "accuracy"]["spread"] is None
    one = score_runs("one", USERS, LABELS, runs[:1])
    assert math.isnan(one.spreads["accuracy"])
    assert score_runs("none", USERS, LABELS, runs[:0]).values == {}


def test_the_improvement_is_the_papers() -> None:
    a, b = two()
    table = tables.of_systems("table-2", "Table 2", "test", [("LLM", "A", a), ("Reasoner", "B", b)], "Amazon")
    better = tables.with_improvement(table)
    last = better.lines[-1]
    assert [better.best(column) for column in better.columns] == [table.best(column) for column in table.columns]
    # What the paper prints for Amazon: AUC, log loss (less is better), accuracy.
    assert {name: round(value, 2) for name, value in last.paper.items()} == {
        "auc": -2.15, "log_loss": 26.19, "accuracy": 65.12,
    }  # fmt: skip
    assert last.values["accuracy"] == pytest.approx(100 * (1 - a.values["accuracy"]) / a.values["accuracy"])
    assert last.values["log_loss"] > 0
    empty = tables.of_systems("table-2", "Table 2", "test", [("LLM", "A", a), ("Reasoner", "B", SystemMetrics("B"))])
    assert tables.with_improvement(empty).lines[-1].missing == "both lines are needed"


def test_without_cm_is_the_merge_that_looks_at_no_variance() -> None:
    p_r, p_g = np.array([0.9, 0.2]), np.array([0.4, 0.8])
    assert unweighted(p_r, p_g, 0.25) == pytest.approx([(0.225 + 0.4) / 1.25, (0.05 + 0.8) / 1.25])
    assert unweighted(p_r, p_g, 1) == pytest.approx((p_r + p_g) / 2)
    # Equal variances say nothing, and neither do any under a large epsilon.
    assert unweighted(p_r, p_g, 0.1) == pytest.approx(merge(p_r, 0.02, p_g, 0.02, 0.1, 1e-3))
    assert unweighted(p_r, p_g, 0.1) == pytest.approx(merge(p_r, 0.02, p_g, 0.2, 0.1, 1e9))


def test_tokens_per_response() -> None:
    ways = [("recent", "without", [[10, 20], [np.nan, 30]], "", ""), ("full", "with", [np.nan], "no chains", "run it")]
    table = tables.of_tokens("test", ways, "Amazon")
    assert lines_of(table) == {"recent": {"tokens": 20, "responses": 3}, "full": {}}
    assert (table.lines[0].paper, table.lines[1].missing) == ({"tokens": 661.6}, "no chains")


def test_pairs_of_systems() -> None:
    a, b = two()
    compared = differences(LABELS, b, a, GOOD, BAD)
    assert [(difference.metric, difference.method) for difference in compared] == [
        ("auc", "DeLong"), ("auc", "bootstrap"), ("gauc", "bootstrap"), ("log_loss", "bootstrap"),
        ("accuracy", "bootstrap"), ("ece", "bootstrap"),
    ]  # fmt: skip
    assert compared[0].value == pytest.approx(compared[1].value)
    assert compared[3].value == pytest.approx(b.values["log_loss"] - a.values["log_loss"])
    for difference in compared:
        assert difference.low <= difference.value <= difference.high
        assert 0 < difference.p <= 1


def test_p_values_of_draws_are_counted() -> None:
    draws = np.r_[np.full(97, 0.5), [-0.1, -0.2, 0.0]]
    assert MetricDraws(0.4, draws).p_value == pytest.approx(2 * 4 / 101)
    assert MetricDraws(-0.4, -draws).p_value == pytest.approx(2 * 4 / 101)
    assert MetricDraws(0.0, np.zeros(100)).p_value == 1
    assert MetricDraws(1.0, np.r_[np.ones(99), np.nan]).p_value == pytest.approx(2 / 100)
    assert math.isnan(MetricDraws(float("nan"), draws).p_value)


def test_wins_and_losses() -> None:
    outcomes = wins_and_losses([1, 1, 0, 0, 1], [0.9, 0.2, 0.1, 0.7, 0.6], [0.3, 0.9, 0.4, 0.9, 0.4])
    assert outcomes.first.tolist() == [0, 4]  # farthest apart first
    assert (outcomes.second.tolist(), outcomes.both.tolist(), outcomes.neither.tolist()) == ([1], [2], [3])


def test_the_papers_datasets() -> None:
    names = {"ml-latest-small": "MovieLens", "ml-1m": "MovieLens", "bookcrossing": "BookCrossing", "my-data": None}
    names |= {"amazon-movies": "Amazon", "mlb-games": None, "movielens-1m": "MovieLens"}
    assert {name: paper_dataset(name) for name in names} == names
    assert paper_line("table-4", "RALLRec+", "Amazon") == {"auc": 0.8412, "log_loss": 0.5036, "accuracy": 0.8343}
    assert paper_line("table-4", "UserMean", "Amazon") == paper_line("table-4", "LLM", None) == paper_tokens(None) == {}
