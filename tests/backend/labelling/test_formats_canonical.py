"""The canonical form is read back without loss, and what is wrong with a file is said with its line."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import DataError, UnknownNameError
from backend.labelling import Label
from backend.labelling.formats import FORMATS, file_format, read_labels
from tests.backend.labelling import making
from tests.backend.labelling.making import chain, judgement, label


def written(labels: list[Label], name: str = "jsonl") -> bytes:
    out = io.BytesIO()
    file_format(name).write(labels, out)
    return out.getvalue()


@settings(max_examples=40)
@given(st.lists(making.labels, max_size=4))
def test_every_label_comes_back_as_it_was(labels: list[Label]) -> None:
    content = written(labels)
    assert list(read_labels(io.BytesIO(content), "x.jsonl")) == labels
    assert written(list(read_labels(io.BytesIO(content), "x.jsonl"))) == content


def test_a_line_is_one_label_whatever_breaks_lines_elsewhere() -> None:
    written_label = label(said=judgement(comment="one\u2028two\x0bthree\r\nfour\x85five"))
    content = written([written_label, written_label])
    assert content.count(b"\n") == 2
    assert [back.judgement.comment for back in read_labels(io.BytesIO(content), "x")] == [
        written_label.judgement.comment
    ] * 2


def test_half_a_surrogate_pair_survives() -> None:
    surrogate_label = label(chains=(chain("c", "So \ud83d it fits."),))
    (back,) = read_labels(io.BytesIO(written([surrogate_label])), "x")
    assert back == surrogate_label


def test_a_file_that_an_editor_marked_and_ended_with_blank_lines_is_read() -> None:
    content = b"\xef\xbb\xbf" + written([label()]) + b"\n  \n"
    assert len(list(read_labels(io.BytesIO(content), "x"))) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{nonsense", "no JSON"),
        (b"[1]", "a JSON list"),
        (b'{"format": 2}', "knows format 1"),
        (b"{}", "Field required"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_what_is_no_label_is_refused_with_its_line(line: bytes, says: str) -> None:
    lines = [written([label()]), b"\n", line]
    with pytest.raises(DataError, match=f"Line 3 of mine.jsonl.*{says}"):
        list(read_labels(lines, "mine.jsonl"))


def test_a_wrong_value_is_named() -> None:
    value = json.loads(written([label()]))
    value["judgement"]["scales"]["validity"] = 9
    with pytest.raises(DataError, match=r"judgement\.scales\.validity: Input should be less than or equal to 5"):
        list(read_labels([json.dumps(value).encode()], "x"))


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="jsonl"):
        file_format("xml")


@settings(max_examples=12)
@given(st.lists(making.labels, max_size=3))
@pytest.mark.parametrize("name", FORMATS)
def test_no_labels_whatever_make_an_export_fail(name: str, labels: list[Label]) -> None:
    written(labels, name)
