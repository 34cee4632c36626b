"""Two chains compared: whatever tells of it names them by their place in the task, and in the same words."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from backend.labelling import Account, Judgement, Label
from storage import Database
from storage.labels import projects, queue, records, work
from storage.labels.resolve import side_by_side
from storage.labels.work import own_labels
from tests.storage.labels.conftest import exhibits, project_of

WORDS = {"first": "The first is better", "second": "The second is better", "tie": "They are alike"}


@pytest.fixture
def compared(database: Database, people: dict[str, Account]) -> tuple[str, list[Label]]:
    """A project of twelve pairs, all submitted: ann prefers the first, then the second, and so on, bob the second."""
    project = project_of(name="Pairs", mode="pair", overlap=2)
    key = projects.create_project(database, project, exhibits(4, 3), ["ann", "bob"], "rita")
    for name in ("ann", "bob"):
        for turn in range(12):
            task: Any = queue.next_task(database, key, people[name])
            said = Judgement(preferred=task.pair[1 if name == "bob" else turn % 2])
            work.submit(database, task.id, people[name], said, 5.0, task.state.version, f"submission-{name}-{turn}")
    return key, list(records.labels(database, key, status=("submitted",)))


def places(labels: list[Label], author: str) -> dict[str, str]:
    """What somebody prefers, by task: "first" is the chain that the task has first."""
    authors_labels = [label for label in labels if label.author == author]
    return {
        label.task: "first" if label.judgement.preferred == label.chains[0].id else "second" for label in authors_labels
    }


def test_the_preferred_chain_has_one_name_in_all_that_tells_of_it(
    compared: tuple[str, list[Label]], database: Database, people: dict[str, Account]
) -> None:
    from app.label.drawing.lists import in_words
    from app.label.drawing.results import adjudicate
    from backend.labelling import rubric
    from backend.labelling.agreement import confusion
    from backend.labelling.disputed import disputed
    from backend.labelling.formats import FORMATS

    key, labels = compared
    sides = {name: places(labels, name) for name in ("ann", "bob")}
    assert set(sides["ann"].values()) == {"first", "second"}
    assert any(label.chains[0].id > label.chains[1].id for label in labels), "the order is not that of the ids"
    # The list of disputes, and the confusion matrix.
    told = {dispute.task: dict(dispute.parts[0].answers) for dispute in disputed(labels)}
    assert told == {task: {"ann": sides["ann"][task], "bob": "second"} for task in sides["bob"]}
    matrix = confusion(labels, "preferred", "ann", "bob")
    counts = dict(zip(matrix.dimension.categories, matrix.counts, strict=True))
    assert counts["first"] == (0, 6, 0, 0)
    assert counts["second"] == (0, 6, 0, 0)
    # Label Studio.
    out = io.BytesIO()
    FORMATS["label-studio"].write(labels, out)
    for task in json.loads(out.getvalue()):
        said = [{result["from_name"]: result["value"] for result in one["result"]} for one in task["annotations"]]
        by_person = {results["author"]["text"][0]: results["preferred"]["choices"] for results in said}
        name = task["data"]["task"]
        assert by_person == {"ann": [sides["ann"][name]], "bob": ["second"]}
    # The page of adjudication, which shows the chains in the task's order.
    for name, side in sides["ann"].items():
        beside = side_by_side(database, key, name)
        page = adjudicate(beside, rubric("1"), "")
        assert f"ann <b>{WORDS[side]}</b>" in page
        assert f"bob <b>{WORDS['second']}</b>" in page
        heads = re.findall(r'<article class="pair-chain"><h3>(.*?)</h3><p class="pre">(.*?)</p>', page, re.S)
        assert [head for head, _ in heads] == ["First chain", "Second chain"]
        assert [text.split(".")[0] for _, text in heads] == [chain.text.split(".")[0] for chain in beside.task.chains]
    # One's own labels.
    first_shown = {label.task: label.first for label in own_labels(database, key, people["ann"])}
    for label in labels:
        if label.author == "ann":
            assert in_words(label.judgement, rubric("1"), first_shown[label.task]) == [
                ("Better chain", sides["ann"][label.task])
            ]
