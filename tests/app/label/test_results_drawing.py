"""The drawings and forms of results: numbers where they belong, names escaped, nothing where nothing is known."""

from __future__ import annotations

import math
import re

import pytest

from app.label.drawing import results
from app.label.drawing.figures import Mark, rows, told, trend_figure
from backend.labelling import Label, rubric
from backend.labelling.agreement import confusion, report
from backend.labelling.disputed import disputed
from backend.labelling.insight import insight
from backend.labelling.measures import Measure, undefined
from storage.labels.values import SideBySide, Task
from tests.backend.labelling.making import PROJECT, STEPS, chain, judgement, label, setting

EVIL = "<img src=x onerror=alert(1)>"
COUNTS = {"submitted": 2, "skipped": 1, "draft": 0, "resolved": 1}


def beside(labels: list[Label], resolved: Label | None = None, **more: object) -> SideBySide:
    task = Task("t1", "spring", PROJECT, (chain("t1", title=EVIL, prompt=EVIL),), setting())
    return SideBySide(task, tuple(labels), resolved, None, False)


def test_a_measure_is_told_with_its_interval_or_as_a_dash() -> None:
    assert told(Measure(0.714, 0.5, 0.801, 9)) == "0.71 [0.50, 0.80]"
    assert told(Measure(0.5, -0.1, 0.6, 9), sign="+") == "+0.50 [-0.10, +0.60]"
    assert told(Measure(0.5, math.nan, math.nan, 1)) == "0.50"
    assert told(undefined("because")) == "–"


def test_marks_stand_where_their_values_are_and_never_beyond_the_axis() -> None:
    drawn = rows(
        [
            Mark(Measure(0.0, -9.0, 0.5, 3), "round", "alpha", "alpha"),
            Mark(undefined("why"), "square", "gwet", "AC1"),
            Mark(Measure(1.0, math.nan, math.nan, 3), "square", "gwet", f"{EVIL}"),
        ],
        -1.0,
        1.0,
        zero=0.0,
    )
    assert 'cx="120.0"' in drawn, "0 is in the middle of -1 to 1"
    assert 'x1="6.0"' in drawn, "what lies beyond the axis ends at its edge"
    assert drawn.count("<title>") == 2, "what is not defined is not drawn"
    assert "<img" not in drawn
    assert rows([Mark(undefined("why"), "round", "alpha", "alpha")], 0, 1) == ""


def test_a_trend_has_a_dot_for_each_chain_and_a_mean_for_each_part() -> None:
    labels = [
        label(f"t{n}", "ann", judgement(scales=1 + n % 5), chains=(chain(f"c{n}", user=str(n), tokens=10 * n),))
        for n in range(8)
    ]
    trend = insight(labels).length[0]
    drawn = trend_figure(trend, "tokens")
    assert drawn.count('class="one"') == 8
    assert drawn.count("<title>") == len(trend.groups) == 4
    assert trend_figure(insight([label("t1", "ann", judgement("ggg"))]).length[-1], "tokens") == "", "no bad step"


def test_what_all_say_alike_is_where_the_resolved_label_begins() -> None:
    first, second = judgement("gbn", [1, 2, 3, 4, 5]), judgement("gbg", [1, 2, 3, 4, 4], "no")
    alike = results.consensus([first, second])
    assert {step: step_label.value for step, step_label in alike.steps.items()} == {STEPS[0]: "good", STEPS[1]: "bad"}
    assert alike.steps[STEPS[1]].tags == ("irrelevant",)
    assert alike.scales == {"groundedness": 1, "validity": 2, "coherence": 3, "informativeness": 4}
    assert (alike.verdict, alike.confidence) == (None, 3)
    assert results.consensus([first]).steps == {}, "nobody confirmed what one alone said"
    assert results.consensus([]).scales == {}


def test_adjudication_marks_what_differs_and_escapes_what_people_wrote() -> None:
    labels = [
        label("t1", EVIL, judgement("gbg", 4, comment=EVIL, corrected=EVIL)),
        label("t1", "bob", judgement("ggg", 4)),
        label("t1", "cyd", status="skipped", skip_reason=EVIL),
    ]
    page = results.adjudicate(beside(labels), rubric("1"), "")
    assert page.count("≠ differs</span>") == 1
    assert "<img" not in page
    assert page.count("&lt;img") >= 6
    checked = re.findall(r'name="judgement\.(?:scales|steps)[^>]* checked>', page)
    assert len(checked) == 7, "five scales and two steps that both judged alike"


def test_tags_can_be_chosen_for_bad_steps_alone() -> None:
    page = results.adjudicate(beside([label("t1", name, judgement("gbg")) for name in "ab"]), rubric("1"), "")
    fields = re.findall(r'<input type="checkbox" data-kind="chosen"[^>]*>', page)
    assert len(fields) == 3 * len(rubric("1").tags)
    assert sum("disabled" not in field for field in fields) == len(rubric("1").tags)


def test_a_step_that_an_imported_label_judges_in_other_words_is_shown_as_it_is() -> None:
    record = judgement("g..").model_dump()
    record["steps"][STEPS[0]] = {"value": "splendid", "tags": ["witty"]}
    page = results.adjudicate(beside([label("t1", "ann", type(judgement()).model_validate(record))]), rubric("1"), "")
    assert "splendid: witty" in page


@pytest.mark.parametrize("count", [0, 1])
def test_pages_without_anything_to_tell_say_so(count: int) -> None:
    labels = [label("t1", "ann")][:count]
    told_of = results.agreement(report(labels), "spring", "steps", None)
    assert ("Nobody has submitted a label" in told_of) == (count == 0)
    assert "nothing can be disputed" in results.disputes(disputed(labels), "spring", unresolved=False)
    assert ("No chain has a submitted label yet" in results.insight(insight(labels))) == (count == 0)


def test_insight_of_pairs_says_who_won_and_of_how_many() -> None:
    two = (chain("a", tokens=50), chain("b", "No.", verdict="no", tokens=20))
    pair = PROJECT.model_copy(update={"mode": "pair"})
    labels = [label("t1", name, judgement("...", preferred=two[0].id), chains=two, project=pair) for name in "xy"]
    page = results.insight(insight(labels))
    assert "No chain has a submitted label yet" not in page
    assert "1 compared pair of 1 user" in page
    cells = {
        name: re.findall(r'<td class="n"[^>]*>(.*?)</td>', row)
        for name, row in re.findall(r'<tr data-contest="(\w+)">(.*?)</tr>', page, re.S)
    }
    assert cells["correct"] == cells["longer"] == ["1.00", "1", "0"]
    assert cells["injected"] == ["–", "0", "0"]


def test_names_are_escaped_wherever_they_stand() -> None:
    labels = [label("t1", EVIL), label("t1", "bob", judgement("gbg", 2, "no"))]
    matrix = confusion(labels, "steps", EVIL, "bob")
    pages = (
        results.agreement(report(labels, {"t1": judgement()}), "spring", "steps", matrix),
        results.disputes(disputed(labels), "spring", unresolved=True),
        results.exports("a&b", COUNTS, everything=True, imports=True),
    )
    for page in pages:
        assert "<img" not in page
    assert "project=a%26b" in pages[2]


def test_who_may_not_see_everybodys_labels_is_offered_resolved_ones_alone() -> None:
    page = results.exports("spring", COUNTS, everything=False, imports=False)
    assert "status=resolved" in page
    assert "status=submitted" not in page
    assert "data-import" not in page
