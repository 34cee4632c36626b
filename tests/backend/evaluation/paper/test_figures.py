"""The data of every figure on cases that are computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import UsageError
from backend.evaluation import metrics
from backend.evaluation.paper import figures
from backend.evaluation.paper.exhibits import Figure, Panel, Series
from backend.evaluation.paper.live import LiveMerge
from backend.evaluation.paper.slices import by_group, by_quantity
from backend.retrieval import STRATEGIES


def only(panel: Panel) -> Series:
    [series] = panel.series
    return series


def test_fig_2_five_groups_by_length() -> None:
    # Two samples with three chains each: labels 1 and 0; six responses in five groups, the first holds two.
    tokens = [[10, 60], [20, 50], [30, 40]]
    verdicts = [[1, 0], [0, 1], [0.5, 0]]
    one = only(figures.by_length([1, 0], tokens, verdicts))
    # By length: 10 right, 20 wrong, 30 unreadable, 40 right, 50 wrong, 60 right.
    assert one.y.tolist() == [0.5, 0, 1, 0, 1]
    assert one.facts["responses"].tolist() == [2, 1, 1, 1, 1]
    assert one.facts["tokens"].tolist() == [15, 30, 40, 50, 60]
    assert one.facts["unreadable"].tolist() == [0, 1, 0, 0, 0]
    assert [one.behind(place).tolist() for place in range(5)] == [[0], [0], [1], [1], [1]]
    assert one.words[0] == "group 1: 10 to 20 tokens"
    assert one.behind(9).tolist() == []
    with pytest.raises(UsageError):
        figures.by_length([1, 0], [[1, 2, 3]], [[1, 1, 1]])


def test_fig_3_a_window_over_variance() -> None:
    labels, p = [1, 1, 0, 0, 1, 0, 1], [0.9, 0.2, 0.1, 0.8, 0.7, 0.6, 0.3]
    variance = [0.0, 0.6, 0.1, 0.5, 0.2, 0.3, 0.4]  # in ascending order: samples 0, 2, 4, 5, 6, 3, 1
    one = only(figures.by_variance(labels, p, variance, 1000))  # a third of seven: two
    assert one.x.tolist() == [1, 2, 3, 4, 5, 6]
    # Right: 0 yes, 2 yes, 4 yes, 5 no, 6 no, 3 no, 1 no.
    assert one.y.tolist() == [1, 1, 0.5, 0, 0, 0]
    assert one.facts["variance"] == pytest.approx([0.05, 0.15, 0.25, 0.35, 0.45, 0.55])
    assert one.behind(2).tolist() == [4, 5]
    assert only(figures.by_variance(labels * 600, p * 600, variance * 600, 1000)).facts["samples"][0] == 1000
    assert len(only(figures.by_variance(labels * 600, p * 600, variance * 600, 1000)).x) <= 60
    assert len(only(figures.by_variance([], [], [], 1000)).x) == 0
    sizes = {count: only(figures.by_variance([1.0] * count, [0.9] * count, range(count), 4)) for count in (3, 4, 5, 12)}
    assert {count: int(one.facts["samples"][0]) for count, one in sizes.items()} == {3: 1, 4: 4, 5: 4, 12: 4}
    assert len(sizes[4].x) == 1


def test_figs_6_and_7_are_the_merge_at_each_point() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(50) < 0.5).astype(float)
    live = LiveMerge(labels, rng.random((3, 50)), rng.random(50), rng.random(50) / 10)
    for panels, points in (
        (figures.over_alpha(live, 1e-3), [(alpha, 1e-3) for alpha in figures.ALPHAS]),
        (figures.over_epsilon(live, 0.1), [(0.1, epsilon) for epsilon in figures.EPSILONS]),
    ):
        assert [panel.key for panel in panels] == ["auc", "log_loss", "accuracy"]
        for panel, metric in zip(panels, (metrics.auc, metrics.log_loss, metrics.accuracy), strict=True):
            assert only(panel).y == pytest.approx([metric(labels, live.scores(*point)) for point in points])
    assert {0.1, 0.2, 0.3, 0.4, 0.5} <= set(figures.ALPHAS)  # the paper's points
    assert {1e-2, 1e-3, 1e-4, 1e-5, 1e-6} <= set(figures.EPSILONS)


def test_fig_8_strategies_and_fig_9_latency() -> None:
    scores = {"recent": [0.4, 0.6, 0.7], "rerank": [0.9, 0.1, 0.8]}
    areas, hits = figures.by_strategy([0, 0, 1], [1, 0, 1], {"strategies": scores, "tuned-on-recent": {}})
    assert only(areas).words == STRATEGIES == ("recent", "retrieve-then-mix", "mix-then-retrieve", "rerank")
    nothing = float("nan")  # no bar
    assert only(areas).y == pytest.approx([0.5, nothing, nothing, 1], nan_ok=True)
    assert only(hits).y == pytest.approx([1 / 3, nothing, nothing, 1], nan_ok=True)
    both = figures.by_strategy(
        [0, 0, 1], [1, 0, 1], {"strategies": scores, "tuned-on-recent": {"rerank": [0.0, 1.0, 0.0]}}
    )
    assert [series.name for series in both[0].series] == ["tuned on retrieved histories", "tuned on recent histories"]
    assert both[1].series[1].y[3] == 0
    one = only(figures.latency({"general": [0.1, 0.3], "reasoning": [[1, 2], [np.nan, 6]], "none": [np.nan]}))
    assert one.y[:2] == pytest.approx([0.2, 3])
    assert np.isnan(one.y[2])
    assert one.facts["median"][:2] == pytest.approx([0.2, 2])
    assert one.facts["responses"].tolist() == [2, 3, 0]
    assert [one.behind(place).tolist() for place in range(3)] == [[1], [1], []]  # the slowest tenth, at least one
    assert [only(areas).behind(place).tolist() for place in range(4)] == [[0, 1], [], [], []]  # what is wrong
    assert only(hits).behind_words[3] == "wrong with rerank, tuned on retrieved histories"


def test_calibration_in_bins_and_its_error() -> None:
    labels, scores = [1, 0, 1, 1], [0.15, 0.13, 0.95, 1.0]
    one = only(figures.calibration("RALLRec", labels, scores))
    assert one.x == pytest.approx([0.14, 0.975])
    assert one.y.tolist() == [0.5, 1]
    assert one.facts["samples"].tolist() == [2, 2]
    assert one.words == ("said 0.1 to 0.2", "said 0.9 to 1.0")
    assert one.behind(1).tolist() == [2, 3]
    assert metrics.ece(labels, scores) == pytest.approx(abs(0.14 - 0.5) / 2 + abs(0.975 - 1) / 2)
    assert np.isnan(metrics.ece([], []))
    assert metrics.ece([1, 0], [0.5, 0.5]) == 0


def test_risk_and_coverage() -> None:
    panel = figures.risk_coverage([1, 1, 0, 0], [0.9, 0.1, 0.2, 0.9], {"variance": [0.1, 0.4, 0.2, 0.3]}, steps=4)
    one = only(panel)
    assert one.x.tolist() == [0.25, 0.5, 0.75, 1]
    assert one.y == pytest.approx([0, 0, 1 / 3, 0.5])
    assert one.behind(1).tolist() == [0, 2]


def test_cost_against_quality_has_who_has_both() -> None:
    seconds = {"A": 0.1, "B": 2.0, "C": np.nan, "D": 1.0}
    areas, losses = figures.cost_quality(
        seconds, {"log_loss": {"A": 0.6, "B": 0.5, "C": 0.4}, "auc": {"A": 0.7, "B": 0.8, "C": 0.9}}
    )
    assert [(series.key, series.x[0], series.y[0]) for series in areas.series] == [("A", 0.1, 0.7), ("B", 2.0, 0.8)]
    assert [series.y[0] for series in losses.series] == [0.6, 0.5]


def test_slices() -> None:
    slices = by_quantity("history", "length", [5, 5, 5, 9, 7, 8, np.nan], parts=3)
    # Equal values stay together: cuts after two and four of six; the first would part the fives.
    assert slices.names == ("5 to 7", "8 to 9")
    assert [slices.order[a:b].tolist() for a, b in slices.spans.tolist()] == [[0, 1, 2, 4], [5, 3]]
    genres = by_group("genre", "genre", [("Drama", [0, 2]), ("Comedy", [2])])
    panel = figures.sliced([7, 7, 8], [1, 0, 0], {"A": [0.9, 0.8, 0.3]}, genres)
    one = only(panel)
    assert one.words == ("Drama", "Comedy")
    assert one.y.tolist() == [1, 1]
    assert one.facts["auc"][0] == 1
    # Two users, though both right, say nothing of others; ten do.
    assert np.isnan(one.facts["high"]).all()
    ten = only(figures.sliced(range(10), [1] * 10, {"A": [0.9] * 10}, by_group("all", "all", [("all", range(10))])))
    assert (ten.facts["low"][0], ten.facts["high"][0]) == (1, 1)
    # What is off the mean of 1/2 is 1/2 for each of ten users: sqrt(10 / 4 * 10 / 9) / 10.
    assert figures._error_by_user(range(10), [1, 0] * 5) == pytest.approx(1 / 6)
    assert np.isnan(figures._error_by_user(range(9), [1] * 9))
    assert np.isnan(one.facts["auc"][1])
    assert one.behind(1).tolist() == [2]
    assert by_quantity("x", "x", []).names == ()
    assert by_quantity("x", "x", [4, 4, 4]).names == ("4",)


def test_what_is_downloaded_has_every_point() -> None:
    panel = figures.calibration("RALLRec", [1, 0, 1, 1], [0.15, 0.13, 0.95, 1.0])
    figure = Figure("calibration", "Calibration", "test", (panel,))
    first, second = figure.records()
    assert first == {
        "panel": "RALLRec", "series": "RALLRec", "point": 0, "x": pytest.approx(0.14), "y": 0.5,
        "words": "said 0.1 to 0.2", "samples": 2.0,
    }  # fmt: skip
    assert second["point"] == 1
    assert figure.series("RALLRec", "RALLRec") is panel.series[0]
    assert figure.series("RALLRec", "other") is None
    assert figure.series("other", "RALLRec") is None
