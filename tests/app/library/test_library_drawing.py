"""The Library page's panels: numbers read as they are meant."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.library import drawing
from app.library.drawing import doctor_panel, training_curve
from app.library.view import (
    ArtifactEntry,
    Cache,
    CacheEntry,
    Curve,
    DatasetEntry,
    DescribedItem,
    Descriptions,
    DrawnEntry,
    Facts,
    FactTable,
    File,
    Input,
    ModelEntry,
    Shelf,
)
from storage.doctor.findings import Finding
from storage.inventory import Space
from tests.app.views import ParsedHtml


def facts_of(text: str) -> Facts:
    sample = DescribedItem(text, 3, text, text, 2, (text,))
    told = Descriptions(9, {"generated": 4, "rejected": 1, "fixed": 4}, 2, 0.5, ((text, 2),), (sample,), text, "small")
    rows = ({text: text, "n": 1}, {"n": None, "x": 0.25})
    numbers = {"rows": 9.0, "items_with_a_vector": 8.0, "held_out_pairs": 0.1, "held_out_random": float("nan")}
    return Facts(numbers, told, (Curve(text, (1.0, None, 0.5)),), 3, FactTable((text, "n", "x"), rows), text)


def entry_of(text: str, kind: str, **more: Any) -> ArtifactEntry:
    recipe = {"stage": text, "data": {"name": text, text: text, "hash": "f" * 64}, "text": [text, text], "none": None}
    given = {
        "key": f"{kind} {text}", "kind": kind, "stage": text, "state": "ready", "why": text, "command": text,
        "recipe": recipe, "inputs": (Input(text, text, text), Input(text, text, None)), "folder": text, "made": text,
        "version": text, "seconds": 1.5, "bytes": 10, "rows": 9, "dimensions": 4, "files": (File(text, 10, text),),
        "facts": facts_of(text), "error": text,
    }  # fmt: skip
    return ArtifactEntry(**given | more)  # type: ignore[arg-type]


def every_panel(text: str) -> dict[str, str]:
    kinds = ("descriptions", "title-vectors", "collaborative", "aligned", "space", "index", "retrieval-report", text)
    states = ("making", "interrupted", "missing", "damaged", "shipped")
    own_entries = [entry_of(text, kind) for kind in kinds] + [entry_of(text, "map", state=state) for state in states]
    shelf = Shelf(tuple(own_entries), (entry_of(text, "map"),))
    entries = [
        DatasetEntry(text, state, True, text, text, text, text, 1, 2, 3, 4, 5)
        for state in ("prepared", "shipped", "missing", "damaged")
    ]
    models = [ModelEntry(text, text, text, state, 1, text) for state in ("disk", "fetched", "hub", "scripted")]
    return {
        "own": drawing.own_artifacts(shelf, f"aligned {text}"),
        "unknown": drawing.own_artifacts(shelf, text),
        "problem": drawing.own_artifacts(Shelf((), (), text), ""),
        "others": drawing.other_artifacts(shelf, ""),
        "no others": drawing.other_artifacts(Shelf((), ()), ""),
        "datasets": drawing.datasets_table(entries),
        "models": drawing.models_table(models),
        "cache": drawing.cache_table(
            Cache(text, True, 5, (CacheEntry(text, text, 1, 2, text),), (DrawnEntry(text, 0.6, None, 8, 1, 2, 3),))
        ),
        "empty cache": drawing.cache_table(Cache(text, True, None, ())),
        "no cache": drawing.cache_table(Cache(text, False, None, ())),
        "looked": drawing.looked(text, Space(text, 5, 6)),
        "doctor": doctor_panel([Finding(text, state, text, text) for state in ("ok", "missing", "optional")]),
    }


def test_only_the_linked_fold_is_open_and_an_unknown_one_is_said() -> None:
    drawn = every_panel("plain")
    opened = re.findall(r'data-artifact="([^"]+)" open', drawn["own"])
    assert opened == ["aligned plain"]
    assert "is not here" in drawn["unknown"]
    assert "is not here" not in drawn["own"]


def test_the_doctor_names_what_is_missing_and_how_to_mend_it() -> None:
    findings = [Finding("torch", "ok", "2.13"), Finding("disk", "missing", "1 GiB free", "free 2 GiB")]
    said = " ".join(ParsedHtml(doctor_panel(findings)).words)
    assert "Missing: disk." in said
    assert "free 2 GiB" in said
    assert "Nothing is missing" in doctor_panel(findings[:1])
    assert "Looking" in doctor_panel(None)


def test_how_much_room_there_is_stands_beside_when_it_was_looked_at() -> None:
    said = drawing.looked("10:00:00", Space("/data", 1_234_000, 56_000_000_000))
    assert "/data takes <b>1.2 MB</b>; <b>56.0 GB</b> are free" in said


def test_an_unfinished_artifact_shows_its_reason_and_its_command() -> None:
    late = entry_of("w", "map", state="interrupted", why="an earlier run was cut off", command="rallrec precompute")
    html = drawing.own_artifacts(Shelf((late,), ()), "")
    assert "<code>rallrec precompute</code>" in html
    assert "an earlier run was cut off" in html
    assert "0 of 1 are there, 0 bytes in all" in html


@pytest.mark.parametrize(
    ("count", "said"),
    [(None, ""), (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (99_950, "100 kB"),
     (999_499, "999 kB"), (999_500, "1.0 MB"), (541_615_061, "542 MB"), (4.2e9, "4.2 GB"), (7e15, "7000 TB")],
)  # fmt: skip
def test_sizes_in_words(count: int | None, said: str) -> None:
    assert drawing.size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0.0, "< 0.1 s"), (0.06, "0.1 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"),
     (242.0, "4 min 2 s"), (3599.7, "1 h 0 min"), (7500, "2 h 5 min")],
)  # fmt: skip
def test_durations_in_words(seconds: float | None, said: str) -> None:
    assert drawing.duration(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (float("nan"), "–"), (0.12345, "0.1235"), (12345, "12,345"), (True, "yes"), ("text", "text")],
)
def test_values_of_any_table(value: Any, said: str) -> None:
    assert drawing.cell(value) == said


def test_moments_lose_their_seconds_and_nothing_else_is_changed() -> None:
    assert drawing.moment("2026-11-22T21:23:30Z") == "2026-11-22 21:23"
    assert drawing.moment("Thursday") == "Thursday"
    assert drawing.moment("") == ""


def points(svg: str) -> list[tuple[float, float]]:
    [line] = re.findall(r'<polyline points="([^"]*)"', svg)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_a_curve_spans_its_box_and_marks_its_best_epoch() -> None:
    svg = training_curve([3.0, 2.0, 1.0, 1.5], 3)
    assert points(svg) == [(40.0, 10.0), (129.3, 49.0), (218.7, 88.0), (308.0, 68.5)]
    assert 'cx="218.7" cy="88.0"' in svg
    assert "1 at epoch 3, the best" in svg


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [None, 0.5, None], [0.1, None, 0.3]])
def test_a_curve_of_little_is_drawn(values: list[float | None]) -> None:
    svg = training_curve(values, 2)
    assert len(points(svg)) == sum(value is not None for value in values)
    assert ParsedHtml(svg).open == []
    assert "nan" not in svg


def test_a_curve_of_nothing_is_left_out() -> None:
    assert training_curve([None, None], 1) == ""
    assert training_curve([], 0) == ""
