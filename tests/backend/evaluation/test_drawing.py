"""Places, ticks and marks on paper, computed by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from backend.evaluation.drawing import draw_panel, draw_table
from backend.evaluation.drawing.figures import AxisScale, said, spread, written
from backend.evaluation.paper.exhibits import Column, Panel, ResultTable, Series, TableLine


def series(key: str, x: list[float], y: list[float], **more: object) -> Series:
    return Series(key, key, np.array(x), np.array(y), **more)  # type: ignore[arg-type]


def test_a_scale_lays_values_out() -> None:
    plain = AxisScale(0, 10, 100, 300)
    assert [plain.at(value) for value in (0, 5, 10)] == [100, 200, 300]
    assert AxisScale(1e-6, 1e-1, 0, 100, log=True).at(1e-3) == pytest.approx(60)
    assert AxisScale(3, 3, 0, 10).at(3) == 5


def test_ticks_are_round_and_inside() -> None:
    assert AxisScale(0, 1, 0, 1).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert AxisScale(0.688, 0.722, 0, 1).ticks(4) == [0.69, 0.7, 0.71, 0.72]
    assert AxisScale(1e-6, 1e-1, 0, 1, log=True).ticks(6) == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert AxisScale(2, 2, 0, 1).ticks() == [2]


def test_ranges_have_room() -> None:
    assert spread([0.5, 0.7], zero=True) == (0, pytest.approx(0.7 + 0.06 * 0.7))
    assert spread([0.5, 0.7, float("nan")]) == (pytest.approx(0.488), pytest.approx(0.712))
    assert spread([]) == (0, 1)
    assert [written(value) for value in (0.70583, 1e-6, 0.0, 2.5e-5, float("nan"), 740.3)] == [
        "0.706", "10⁻⁶", "0", "2.5×10⁻⁵", "–", "740",
    ]  # fmt: skip


def test_bars_stand_on_zero_and_lead_to_their_samples() -> None:
    spans = np.array([[0, 2], [2, 3]])
    one = series("responses", [1, 2], [0.5, 1.0], words=("short", "long"), order=np.arange(3), spans=spans)
    panel = Panel("length", "Length", "group", "accuracy", "bars", (one,))
    drawn = str(draw_panel(panel, lambda _panel, drawn, point: f"/x?{drawn.key}:{point}", chosen="responses:1"))
    tall, heights = re.findall(r'<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', drawn), []
    for top, height in tall:
        heights.append(float(height))
        assert float(top) + float(height) == pytest.approx(190, abs=0.2)  # the axis
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert re.findall(r'href="(/x[^"]*)" data-go="(length[^"]*)"', drawn) == [
        ("/x?responses:0", "length:responses:0"), ("/x?responses:1", "length:responses:1"),
    ]  # fmt: skip
    assert drawn.count("aria-current") == 1
    assert said(panel, one, 0) == "short; accuracy 0.5"


def test_points_that_are_not_defined_are_not_drawn() -> None:
    line = series("a", [0, 1, 2], [0.1, float("nan"), 0.3])
    drawn = str(draw_panel(Panel("p", "P", "x", "y", "line", (line,))))
    assert len(re.findall(r'points="([^"]*)"', drawn)[0].split()) == 2
    logarithmic = series("a", [0, 0.1, 1], [0.1, 0.2, 0.3])  # 0 has no place there
    drawn = str(draw_panel(Panel("p", "P", "x", "y", "line", (logarithmic,), log=True), mark=0.1))
    assert len(re.findall(r'points="([^"]*)"', drawn)[0].split()) == 2
    assert 'class="present"' in drawn
    assert "<svg" in str(draw_panel(Panel("p", "P", "x", "y", "dots", ())))


def test_series_are_told_apart_by_shape_as_well_as_colour() -> None:
    both = Panel("p", "P", "x", "y", "line", (series("RALLRec", [0], [1]), series("RALLRec+", [0], [2])))
    drawn = str(draw_panel(both))
    shapes = set(re.findall(r'class="(?:tuned|merged)" d="([^"]+)"', drawn))
    assert len(shapes) == 2
    assert ">RALLRec</text>" in drawn


def test_a_table_says_what_is_best_missing_and_the_papers() -> None:
    columns = (Column("auc", "AUC", "high"), Column("log_loss", "log loss", "low"))
    lines = (
        TableLine("a", "A", {"auc": 0.7, "log_loss": 0.5}, {"auc": (0.6, 0.8)}, paper={"auc": 0.7658}),
        TableLine("b", "B", {"auc": 0.6, "log_loss": float("nan")}),
        TableLine("c", "C", missing="not cached (0 of 3)", run="rallrec reason"),
    )
    drawn = str(draw_table(ResultTable("t", "T", "on three", columns, lines)))
    assert drawn.count("★") == 1  # one log loss alone is no contest
    assert "0.600 to 0.800" in drawn
    assert "0.7658" in drawn
    assert "not cached (0 of 3) <code>rallrec reason</code>" in drawn
    assert drawn.count("–") == 1
