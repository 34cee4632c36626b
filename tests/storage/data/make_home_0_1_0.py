"""Made ``home-0.1.0.tar.gz`` and ``home-0.1.0.json``, with the program of version 0.1.0; it does not run with a later one.

    PYTHONPATH=<a checkout of version 0.1.0> python tests/storage/data/make_home_0_1_0.py <an empty folder>

The archive holds a small home: data, vectors, cached answers and chains, labels, stories, what-ifs, jobs and a settings
file. The JSON file says what version 0.1.0 reads of it. ``tests.storage.test_old_home`` opens the home again.
"""

# ruff: noqa: E501, I001 (its imports are those of version 0.1.0)
from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.server import create_app
from fastapi.testclient import TestClient
from sqlalchemy import inspect, text

from backend import datasets
from backend.labelling import ChainFilter, Judgement, Project, StepJudgement
from backend.labelling.formats import tables
from backend.pipeline import Recipe
from backend.prompting import split_steps
from backend.settings import load_settings
from backend.stories import StoryStep, Story
from backend.what_if import Edits
from storage.answered_samples import AnsweredSamples
from storage.jobs.kinds import Player, PredictParams, checked
from storage.jobs.store import JobStore, Report
from storage.labels import accounts, projects
from storage.labels.exhibits import exhibits
from storage.labels.gold import set_gold
from storage.labels.queue import next_task
from storage.labels.records import labels, resolved
from storage.labels.resolve import resolve
from storage.labels.undoing import undo
from storage.labels.work import save_draft, skip, submit
from storage.stories import keep_story, kept_stories
from storage.what_ifs import WhatIf, WhatIfs
from storage.workspace import Workspace
from tests.conftest import small_movies, small_ratings, write_movielens

HERE = Path(__file__).parent
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = """engine = "scripted"
encoder = "scripted"
describer = "scripted"
scripted_delay = 0
traces = 3

[describe]
items = 10

[collaborative]
dimensions = 8
max_epochs = 3

[align]
max_epochs = 3
"""


def main(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(parents=True)
    (folder / "rallrec.toml").write_text(SETTINGS, "utf-8")
    os.chdir(folder)
    settings = load_settings(home=home)
    source = write_movielens(folder / "raw", small_movies(), small_ratings())
    datasets.prepare("ml-latest-small", home / "datasets", source=source)
    workspace = Workspace(settings)
    workspace.precompute().run()
    database = workspace.database
    answer(workspace)
    kept = keep_things(workspace)
    key = label(workspace)
    run_jobs(workspace)
    with database.session(read_only=True) as session:
        jobs = [list(row) for row in session.execute(text("SELECT * FROM jobs ORDER BY number"))]
        counts = {
            table: session.execute(text(f"SELECT count(*) FROM {table}")).scalar()
            for table in sorted(inspect(database.engine).get_table_names())
        }
    with TestClient(create_app(settings)) as client:
        links = {link: client.get(link) for link in links_of(workspace, kept)}
    assert all(reply.status_code == 200 for reply in links.values()), {
        link: reply.text for link, reply in links.items() if reply.status_code != 200
    }
    csv = io.BytesIO()
    tables.write_csv(labels(database, key), csv)
    said = {
        "project": key,
        "labels": [row.model_dump(mode="json") for row in (*labels(database, key), *resolved(database, key))],
        "labels_csv": csv.getvalue().decode(),
        "accounts": [[row.account.name, row.account.role, row.can_log_in] for row in accounts.accounts(database)],
        "stories": [[row.key, row.story.model_dump(mode="json")] for row in kept_stories(database)],
        "what_ifs": [
            [row.id, row.name, row.what_if.user, row.what_if.item, row.what_if.recipe_json, row.what_if.edits.canonical]
            for row in WhatIfs(database).all("ml-latest-small")
        ],
        "jobs": jobs,
        "counts": counts,
        "answered": AnsweredSamples(workspace).rows().tolist(),
        "links": {link: reply.json() for link, reply in links.items() if ".json" in link},
        "pages": [link for link in links if ".json" not in link],
    }  # fmt: skip
    workspace.close()
    lines = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in said.items())
    (HERE / "home-0.1.0.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    with tarfile.open(HERE / "home-0.1.0.tar.gz", "w:gz") as archive:
        archive.add(folder / "rallrec.toml", "rallrec.toml")
        archive.add(home, "home")


def answer(workspace: Workspace) -> None:
    """Users 5 to 7 and their last items, under several settings; two of them in part."""
    pipeline, data = workspace.pipeline(), workspace.dataset()
    ways: list[dict[str, Any]] = [
        {},
        {"gamma": 0.4, "k": 5},
        {"knowledge": "none"},
        {"template": "answered", "seed": 1},
    ]
    for user, way in zip((7, 7, 6, 5, 4), (*ways, {}), strict=True):
        recipe = workspace.recipe(**way)
        for row in list(range(*data.user_rows(user).indices(data.n_interactions)))[-3:]:
            pipeline.predict(pipeline.question(user, int(data.item_index[row]), recipe), recipe)
    recipe = workspace.recipe()
    alone = pipeline.question(3, int(data.item_index[data.user_rows(3).stop - 1]), recipe)
    pipeline.tuned.answer([alone.prompts[0].messages])
    unrated = pipeline.question(6, 0, recipe)
    pipeline.tuned.answer([prompt.messages for prompt in unrated.prompts])


def keep_things(workspace: Workspace) -> dict[str, list[str]]:
    pipeline, data, database = workspace.pipeline(), workspace.dataset(), workspace.database
    user, item = 7, int(data.item_index[-1])
    chosen = pipeline.question(user, item, workspace.recipe()).chosen
    edits = [
        {"hint": "no", "removed": [data.item_ids[chosen[0].item]]},
        {"settings": {"k": 4, "gamma": 0.25}},
    ]
    ids = []
    for number, said in enumerate(edits):
        what_if = WhatIf.of(
            data.meta, data.user_ids[user], data.item_ids[item], workspace.recipe(), Edits.read(json.dumps(said))
        )
        question = pipeline.question(user, item, what_if.edited_recipe, what_if.edits)
        pipeline.predict(question, what_if.edited_recipe)
        ids.append(WhatIfs(database).keep(what_if, f"What-if {number} – été", NOON + timedelta(days=number)).id)
    story = Story(
        title="A story of 0.1.0",
        about="Every kind of view",
        steps=(
            StoryStep(view="/?user=7&item=22", sentence="A prediction.", look="prompt"),
            StoryStep(view="/users?user=7", sentence="A user."),
            StoryStep(view=f"/what-if?id={ids[0]}", sentence="A what-if."),
        ),
    )
    return {"what_ifs": ids, "stories": [keep_story(database, story)]}


def judged(task: Any, value: str = "good", **more: Any) -> Judgement:
    tags = ("irrelevant",) if value == "bad" else ()
    steps = [step.id for step in split_steps(task.chains[0].text)]
    plain: dict[str, Any] = {
        "steps": {step: StepJudgement(value=value, tags=tags) for step in steps},
        "scales": dict.fromkeys(("groundedness", "validity", "coherence", "informativeness", "personalisation"), 4),
        "verdict": "yes",
        "confidence": 3,
    }
    return Judgement(**plain | more)


def label(workspace: Workspace) -> str:
    """A submitted, an undone and submitted again, a skipped, a draft and a resolved label; and a known answer."""
    database = workspace.database
    roles = {"root": "admin", "rita": "reviewer", "ann": "annotator", "bob": "annotator", "vic": "viewer"}
    people = {
        name: accounts.add_account(database, name, "a long password" if name in ("root", "ann") else None, role)
        for name, role in roles.items()
    }
    shown = list(exhibits(workspace, ChainFilter(chains_per_sample=1)))
    project = Project(name="Trial – é", dataset="ml-latest-small", overlap=2)
    key = projects.create_project(database, project, shown, ["ann", "bob", "rita"], "rita")

    def after(minutes: float) -> datetime:
        return NOON + timedelta(minutes=minutes)

    def take(name: str, minute: float) -> Any:
        return next_task(database, key, people[name], after(minute))

    def send(task: Any, name: str, minute: float, **more: Any) -> None:
        submit(database, task.id, people[name], judged(task, **more), 12.5, task.own.version, f"{name}-{task.id}",
               after(minute))  # fmt: skip

    first = take("ann", 0)
    send(first, "ann", 1)
    again = undo(database, key, people["ann"], after(2))
    submit(database, again.id, people["ann"], judged(again, "bad", comment="=1+1 é 好"), 9, again.own.version,
           "a-second-one", after(2.5))  # fmt: skip
    skip(database, take("ann", 3).id, people["ann"], "cannot read it", after(4))
    save_draft(database, take("ann", 5).id, people["ann"], Judgement(comment="half"), 2.25, 0, after(6))
    send(take("bob", 1), "bob", 2)
    second = take("bob", 3)
    send(second, "bob", 4, value="neutral")
    resolve(database, first.id, judged(first), "rita", now=after(8))
    set_gold(database, second.id, judged(second), "rita")
    return key


def run_jobs(workspace: Workspace) -> None:
    """One job of every kind; done, failed, stopped, interrupted, and interrupted and done again."""
    store, data = JobStore(workspace.database), workspace.dataset()
    players = {role: Player.of(workspace.model(role)).model_dump() for role in ("tuned", "reasoning")}
    both = {"dataset": "ml-latest-small", **players}
    recipe: Recipe = workspace.recipe()
    question = workspace.pipeline().question(7, int(data.item_index[-1]), recipe)
    ids = data.user_ids[7], data.item_ids[int(data.item_index[-1])]
    params = [
        PredictParams.of("ml-latest-small", ids, question, recipe, workspace.model("tuned"), workspace.model("reasoning")),
        checked("precompute", {"dataset": "ml-latest-small", "until": "map"}),
        checked("reason", both | {"samples": "test", "limit": 3, "gammas": [0.4], "knowledge": ["paper"], "traces": 3}),
        checked("evaluate", both | {"samples": "validation", "limit": None}),
        checked("precompute", {"dataset": "ml-latest-small"}),
    ]  # fmt: skip
    jobs = [store.add(one, "an owner") for one in params]
    for job, state in zip(jobs, ("done", "failed", "interrupted", "done", "stopped"), strict=True):
        if state == "stopped":
            assert store.ask_to_stop(job.number)
            continue
        claimed = store.claim("a process")
        assert claimed
        assert claimed.number == job.number
        report = Report(f"{job.kind}: half", 0.5, 2, 4)
        store.beat("a process", {job.number: report})
        if state == "interrupted":
            assert store.abandon("a process") == 1
        else:
            error = "The disk is full" if state == "failed" else ""
            store.end(job.number, "a process", state, Report("end", 1.0, 4, 4), error)


def links_of(workspace: Workspace, kept: dict[str, list[str]]) -> list[str]:
    """Addresses of every kind that people may have kept; those of the pages are the same without ``/export``."""
    item = workspace.dataset().item_ids[int(workspace.dataset().item_index[-1])]
    queries = [
        *(f"predict.{{}}?user={user}&item={item}&truth=1" for user in ("7", "6")),
        f"predict.{{}}?user=7&item={item}&gamma=0.4&k=5&beta=2&alpha=0.2&epsilon=0.01&variant=text&strategy=retrieve-then-mix",
        "users.{}", "users.{}?user=7", "users.{}?user=6&knowledge=none&sort=p_final", "users.{}?sort=predictions&page=1",
        *(f"what-if.{{}}?id={number}" for number in kept["what_ifs"]),
        f"what-if.{{}}?user=7&item={item}&edits=%7B%22hint%22%3A%22no%22%7D",
        "stories.{}", *(f"stories.{{}}?story={key}" for key in kept["stories"]),
        "library.{}", "evaluate.{}?samples=test&view=table-4",
    ]  # fmt: skip
    return [f"/export/{query.format(kind)}" for query in queries for kind in ("json", "html")]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
