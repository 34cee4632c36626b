"""What other tools read: their own field names, nobody's work left out, no formula in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelling import Label
from backend.labelling.formats import FORMATS
from backend.labelling.formats.label_studio import setup
from backend.labelling.formats.tables import neutral
from tests.backend.labelling.making import PROJECT, SCALES, STEPS, TEXT, chain, judgement, label
from tests.backend.labelling.test_formats_canonical import written

PAIR = PROJECT.model_copy(update={"mode": "pair"})
SKIPPED = label("t2", "bob", judgement("...", verdict=None).model_copy(update={"scales": {}}), status="skipped",
                submitted_at=None, skip_reason="not my language")  # fmt: skip


def lines(labels: list[Label], name: str) -> list[dict]:
    return [json.loads(line) for line in written(labels, name).splitlines()]


def sheet(labels: list[Label]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(labels, "csv").decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("trl", "preference", "parquet")])
def test_exports_hold_scores_comments_and_authors_langfuse_8362_9774(name: str) -> None:
    """langfuse 8362, discussion 9774: exports without scores, comments or authors."""
    said = judgement("gbg", [1, 2, 3, 4, 5], comment="Heat is no comedy", corrected="They liked Heat.")
    text = written([label("t1", "ann-marie", said)], name).decode()
    for part in ("ann-marie", "Heat is no comedy", "They liked Heat.", "irrelevant"):
        assert part in text
    for scale in SCALES:
        assert scale in text


def test_reviewed_and_nothing_found_is_told_from_not_done_label_studio_9774() -> None:
    """label-studio 9774: "reviewed, nothing found" looks like "not done"."""
    fine = label("t1", "ann", judgement("ggg"))
    draft = label("t3", "cyd", judgement("...", verdict=None), status="draft", submitted_at=None)
    labels = [fine, SKIPPED, draft]
    rows = sheet(labels)
    assert [row["status"] for row in rows] == ["submitted", "skipped", "draft"]
    assert [row["step_1_judgement"] for row in rows] == ["good", "", ""]
    done, skipped, open_one = json.loads(written(labels, "label-studio"))
    (annotation,) = done["annotations"]
    assert [result["value"]["labels"] for result in annotation["result"] if result["from_name"] == "step"] == [
        ["good"]
    ] * 3
    assert (annotation["was_cancelled"], skipped["annotations"][0]["was_cancelled"]) == (False, True)
    assert (open_one["annotations"], len(open_one["drafts"])) == ([], 1)
    assert [row["label"]["finish_reason"] for row in lines(labels, "prm800k")] == ["solution", "give_up"]
    assert [row["labels"] for row in lines(labels, "trl")] == [[True, True, True]]


def test_prm800k_has_its_own_fields_and_ratings() -> None:
    (row,) = lines([label("t1", "ann", judgement("nbu"), gold=True)], "prm800k")
    ratings = [step["completions"][0]["rating"] for step in row["label"]["steps"]]
    assert ratings == [0, -1, None]
    assert row["label"]["steps"][2]["completions"][0]["flagged"] is True
    assert row["label"]["steps"][0]["chosen_completion"] == 0
    assert (row["labeler"], row["is_quality_control_question"], row["generation"]) == ("ann", True, None)
    assert row["question"]["pre_generated_steps"] == [TEXT[place["start"] : place["end"]] for place in _places()]
    assert (row["question"]["ground_truth_answer"], row["question"]["pre_generated_answer"]) == ("yes", "yes")
    assert (row["label"]["total_time"], row["label"]["finish_reason"]) == (61_500, "found_error")


def test_prm800k_of_a_first_error_project_ends_with_it() -> None:
    quick = PROJECT.model_copy(update={"first_error": True})
    (row,) = lines([label(said=judgement("gb."), project=quick)], "prm800k")
    assert len(row["label"]["steps"]) == 2


def test_trl_has_three_columns_and_ends_before_what_nobody_can_judge() -> None:
    (row,) = lines([label(said=judgement("bgu")), label("t2", "bob", judgement("ugg"))], "trl")
    assert set(row) == {"prompt", "completions", "labels"}
    assert row["labels"] == [False, True]
    assert row["completions"] == ["They liked Heat.", "They liked Ronin."]


def test_preference_pairs_come_from_pairs_and_from_corrected_chains() -> None:
    two = (chain("a", "First."), chain("b", "Second."))
    better = judgement("...", preferred=two[1].id)
    labels = [
        label("t1", "ann", better, chains=two, project=PAIR),
        label("t1", "bob", judgement("...", preferred="tie"), chains=two, project=PAIR),
        label("t1", "cyd", better, chains=(two[0], chain("b", "Second.", prompt="Other?")), project=PAIR),
        label("t2", "ann", judgement(corrected="They liked Heat alone.")),
        label("t3", "ann", judgement(corrected="Not sent"), status="draft"),
    ]
    prompt = "Will they like Toy Story?"
    assert lines(labels, "preference") == [
        {"prompt": prompt, "chosen": "Second.", "rejected": "First."},
        {"prompt": prompt, "chosen": "They liked Heat alone.", "rejected": TEXT},
    ]


def test_label_studio_tasks_fit_the_setup_that_goes_with_them() -> None:
    tags = judgement("gbg", comment="x").model_copy(update={"missing_step": True})
    labels = [label("t1", "ann", tags), label("t1", "bob"), label("t1", "rex", kind="resolved"), SKIPPED]
    labels.append(label("t5", "ann", judgement("...", preferred="tie"), chains=(chain("a"), chain("b")), project=PAIR))
    root = ET.fromstring(setup("1"))
    controls = {element.get("name"): element for element in root.iter() if element.get("toName")}
    data = {element.get("value", "").removeprefix("$") for element in root.iter() if element.tag in ("Text", "Header")}
    tasks = json.loads(written(labels, "label-studio"))
    assert len(tasks) == 3
    kinds = {"labels": "Labels", "choices": "Choices", "rating": "Rating", "textarea": "TextArea"}
    for task in tasks:
        assert data <= set(task["data"])
        for annotation in task["annotations"]:
            # A user that Label Studio does not know makes its whole import fail.
            assert "completed_by" not in annotation
            for result in annotation["result"]:
                control = controls[result["from_name"]]
                assert (control.get("toName"), control.tag) == (result["to_name"], kinds[result["type"]])
                if result["type"] in ("labels", "choices"):
                    options = {choice.get("value") for choice in control}
                    assert set(result["value"][result["type"]]) <= options
                if result["from_name"] == "step":
                    place = result["value"]
                    assert task["data"]["chain"][place["start"] : place["end"]] == place["text"]
    assert [entry["ground_truth"] for entry in tasks[0]["annotations"]] == [False, False, True]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "＝", " =", "\u00a0@"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(sign: str) -> None:
    attack = f'{sign}HYPERLINK("http://evil","x")'
    attacked = judgement(comment=attack, corrected=attack)
    (row,) = sheet([label("t1", "ann", attacked, chains=(chain("c", attack, title=attack),))])
    for column in ("comment", "corrected", "chain_text", "title"):
        assert row[column] == f"'{attack}"
    assert row["step_1_text"].startswith("'") or not row["step_1_text"].startswith(("=", "+", "-", "@"))


@given(st.text())
def test_no_text_whatever_starts_a_formula(text: str) -> None:
    assert not neutral(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert neutral(text).removeprefix("'") == text or neutral(text) == text


def test_the_sheet_keeps_numbers_as_numbers_and_has_columns_for_the_longest_chain() -> None:
    long = chain("long", "One. Two. Three. Four. Five. The answer is: No.")
    rows = sheet([label("t1", "ann", judgement("gbg")), label("t2", "bob", chains=(long,))])
    assert rows[0]["scale_validity"] == "4"
    assert (rows[0]["step_2_judgement"], rows[0]["step_2_tags"]) == ("bad", "irrelevant")
    assert rows[1]["step_6_text"] == "The answer is: No."
    assert rows[0]["seconds"] == "61.5"


def test_the_sheet_has_both_chains_of_a_pair_and_which_one_is_better() -> None:
    attack = '=HYPERLINK("http://evil","x")'
    two = (chain("b", "First."), chain("a", attack, verdict="no", p_yes=0.125))

    def said(task: str, preferred: str | None) -> Label:
        return label(task, "ann", judgement("...", preferred=preferred), chains=two, project=PAIR)

    labels = [said(f"t{n}", preferred) for n, preferred in enumerate((two[0].id, two[1].id, "tie", "cannot", None))]
    rows = sheet([*labels, label("t9", "ann")])
    assert [row["preferred_side"] for row in rows] == ["first", "second", "tie", "cannot", "", ""]
    first, single = rows[0], rows[-1]
    assert (first["chain"], first["chain_text"]) == (two[0].id, "First.")
    assert (first["second_chain"], first["second_chain_text"]) == (two[1].id, f"'{attack}")
    assert (first["second_chain_verdict"], first["second_chain_p_yes"]) == ("no", "0.125")
    assert {single[name] for name in single if name.startswith("second_chain")} == {""}
    table = pq.read_table(io.BytesIO(written(labels, "parquet"))).to_pylist()
    assert [row["preferred_side"] for row in table] == ["first", "second", "tie", "cannot", None]
    assert table[0]["second_chain_text"] == attack


def test_parquet_has_typed_nested_columns_whatever_the_rows_hold() -> None:
    full = pq.read_table(io.BytesIO(written([label("t1", "ann", judgement("gbg", comment="c")), SKIPPED], "parquet")))
    empty = pq.read_table(io.BytesIO(written([], "parquet")))
    assert full.schema.equals(empty.schema)
    first, second = full.to_pylist()
    assert first["judged_steps"][1] == {
        "id": STEPS[1], "text": "They liked Ronin.", "value": "bad", "tags": ["irrelevant"],
    }  # fmt: skip
    assert first["scales"] == dict.fromkeys(SCALES, 4)
    assert (first["author"], first["comment"], first["created_at"].tzinfo is not None) == ("ann", "c", True)
    assert (second["status"], second["skip_reason"], second["scales"]["validity"]) == (
        "skipped", "not my language", None,
    )  # fmt: skip
    assert full.to_pandas()["judged_steps"][0][1]["value"] == "bad"


def _places() -> list[dict[str, int]]:
    from backend.prompting.steps import split_steps

    return [{"start": step.start, "end": step.end} for step in split_steps(TEXT)]
