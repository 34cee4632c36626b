"""Hidden tasks and the qualification: when they come, what they show, and who passes."""

from __future__ import annotations

from collections.abc import Callable

from backend.labelling import Account, Judgement, StepJudgement
from storage import Database
from storage.labels import projects
from storage.labels.queue import agreement, next_task
from storage.labels.records import labels
from storage.labels.resolve import set_gold, side_by_side
from storage.labels.values import Nothing, Task
from storage.labels.work import skip, submit
from tests.storage.labels.conftest import after, judged
from tests.storage.labels.test_queue import get

Make = Callable[..., str]
People = dict[str, Account]


def known(database: Database, key: str, count: int, qualification: bool = False) -> set[str]:
    """The first ``count`` tasks become gold, each step good."""
    from sqlalchemy import select

    from storage.labels.tables import TaskRow

    with database.session(read_only=True) as session:
        names = session.scalars(
            select(TaskRow.id).where(TaskRow.project_key == key, TaskRow.gold.is_(None)).order_by(TaskRow.place)
        ).all()[:count]
    for name in names:
        set_gold(database, name, judged(side_by_side(database, key, name).task), "rita", qualification)
    return set(names)


def work(database: Database, key: str, account: Account, value: str = "good", most: int = 1000) -> list[str]:
    """The tasks somebody gets, in order, each judged alike."""
    seen: list[str] = []
    while len(seen) < most and isinstance(task := next_task(database, key, account, after(0)), Task):
        assert task.state
        submit(database, task.id, account, judged(task, value), 1, 0, f"submission-{task.id}", after(0))
        seen.append(task.id)
    return seen


def test_agreement_is_counted_by_step_or_by_the_preferred_chain() -> None:
    right = Judgement(steps={"a": StepJudgement(value="good"), "b": StepJudgement(value="neutral")})
    said = Judgement(steps={"a": StepJudgement(value="good"), "c": StepJudgement(value="good")})
    assert agreement(said, right) == (1, 2)
    assert agreement(Judgement(preferred="x"), Judgement(preferred="x")) == (1, 1)
    assert agreement(Judgement(preferred="tie"), Judgement(preferred="x")) == (0, 1)


def test_hidden_tasks_come_to_everybody_in_the_seeded_share_and_fill_no_place(
    database: Database, people: People, make: Make
) -> None:
    key = make(samples=60, overlap=1, gold=0.25)
    hidden = known(database, key, 20)
    ann, bob = work(database, key, people["ann"], most=30), work(database, key, people["bob"])
    assert 3 <= len(hidden & set(ann)) <= 14  # 30 draws of a quarter
    assert hidden & set(ann) & set(bob)  # the same one, whatever the overlap
    assert not (set(ann) & set(bob)) - hidden
    assert set(ann) | set(bob) >= {label.task for label in labels(database, key)}
    assert len((set(ann) | set(bob)) - hidden) == 40
    flagged = {label.task for label in labels(database, key) if label.gold}
    assert flagged == hidden & (set(ann) | set(bob))


def test_which_tasks_are_hidden_is_drawn_once(database: Database, people: People, make: Make) -> None:
    key = make(samples=20, gold=0.5)
    known(database, key, 10)
    first = get(database, key, people["ann"])
    assert {get(database, key, people["ann"], minute).id for minute in range(5)} == {first.id}


def test_a_qualification_comes_first_and_is_passed_or_not(database: Database, people: People, make: Make) -> None:
    key = make(samples=8, overlap=3, qualification=3, pass_share=0.7)
    qualifying = known(database, key, 4, qualification=True)
    ann = work(database, key, people["ann"])
    assert set(ann[:3]) <= qualifying
    assert len(ann) == 3 + 4  # and no more of the qualification than the project asks for
    assert set(work(database, key, people["bob"], "bad")) <= qualifying
    nothing = next_task(database, key, people["bob"], after(0))
    assert isinstance(nothing, Nothing)
    assert nothing.reason == "unqualified"
    assert all(label.qualification for label in labels(database, key) if label.author == "bob")
    projects.update_project(database, key, "rita", values={"pass_share": 0.0})
    assert len(work(database, key, people["bob"])) == 4


def test_skipping_is_no_way_round_the_qualification(database: Database, people: People, make: Make) -> None:
    key = make(samples=4, qualification=2)
    known(database, key, 2, qualification=True)
    for _ in range(2):
        skip(database, get(database, key, people["ann"]).id, people["ann"], "too hard", after(0))
    nothing = next_task(database, key, people["ann"], after(0))
    assert isinstance(nothing, Nothing)
    assert (nothing.reason, nothing.skipped) == ("unqualified", 2)
