"""Thirty annotators over HTTP while the server is killed twice: what was acknowledged is there, once; prints JSON.

    python -m tests.bench.labels [--people 30] [--each 40] [--kills 2] [--think 0]

Real chains (those that ship), a real server in a process of its own, which gets SIGKILL when a third and two thirds of
the work are done, and is started again. Each person logs in once, and then, task by task, asks for it, saves a draft,
thinks for ``--think`` seconds (none, where people need a minute) and submits; what gets no reply is sent again, as
the page does.
Server and people share this machine's cores.
Afterwards the database is checked: see ``found`` in the report, whose counts of faults must all be 0.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from backend.labelling import Account, ChainFilter, Project
from backend.settings import Settings
from storage import Database, open_database
from storage.database.tables import utc_now
from storage.labels import accounts, projects
from storage.labels.exhibits import exhibits
from storage.labels.queue import next_task
from storage.labels.tables import LabelRow, TaskRow
from storage.labels.values import Task
from storage.workspace import Workspace
from tests.app.label.browsing import whole
from tests.bench.sliders import summary
from tests.browser.serving import served

PASSWORD = "thirty annotators"
_SAVE = {"comment": "so far"}
# Seconds after a start while the server still opens the dataset, and thirty people who waited for it come at once.
_WARMING = 10.0


@dataclass
class Site:
    """The server, wherever it is now. ``done``: acknowledged submissions of everybody. ``begun``: when it answered."""

    home: Path
    settings: dict[str, Any]
    url: str = ""
    done: int = 0
    begun: float = 0.0
    _stack: ExitStack = field(default_factory=ExitStack)
    _process: Any = None

    def start(self) -> None:
        self.url, self._process = self._stack.enter_context(served(self.home, **self.settings))
        self.begun = time.perf_counter()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._stack.close()
        self.start()

    def stop(self) -> None:
        self._stack.close()


@dataclass
class Annotator:
    """``kept``: (label, task) of each submission that the server acknowledged. ``times``: seconds of each submission
    that was answered at the first try; ``warm``: of those among them that came later than :data:`_WARMING` after a
    start. ``refused``: answers that a person would have to read.
    """

    name: str
    project: str
    site: Site
    kept: list[tuple[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    logins: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    again: int = 0
    think: float = 0.0

    def work(self, count: int) -> None:
        with httpx.Client(timeout=30) as client:
            begun = time.perf_counter()
            self._post(client, "login", {"name": self.name, "password": PASSWORD})
            self.logins.append(time.perf_counter() - begun)
            while len(self.kept) < count:
                offer = self._post(client, "next", {"project": self.project}).json()
                if "task" not in offer:
                    self.refused.append(str(offer))
                    return
                self._judge(client, offer["task"])

    def _judge(self, client: httpx.Client, task: dict[str, Any]) -> None:
        about = {"task": task["task"], "seconds": 3.0}
        saved = self._post(client, "draft", about | {"judgement": _SAVE, "version": task["version"]})
        version = saved.json().get("version", task["version"])
        body = about | {"judgement": whole(task), "version": version, "submission": uuid.uuid4().hex}
        time.sleep(self.think * random.uniform(0.5, 1.5))
        before, begun = self.again, time.perf_counter()
        answer = self._post(client, "submit", body)
        if answer.status_code != 200:
            self.refused.append(f"{answer.status_code} {answer.text}")
            return
        if self.again == before:
            self.times.append(time.perf_counter() - begun)
            if begun - self.site.begun > _WARMING:
                self.warm.append(self.times[-1])
        self.kept.append((answer.json()["label"], task["task"]))
        self.site.done += 1

    def _post(self, client: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response:
        """Send it until there is an answer."""
        for wait in [0.05, 0.1, 0.2, 0.5, *[1.0] * 120]:
            try:
                answer = client.post(f"{self.site.url}/labels/{path}", json=body)
                if answer.status_code != 503:
                    return answer
            except httpx.TransportError:
                pass
            self.again += 1
            time.sleep(wait)
        raise AssertionError(f"{self.name}: no answer to {path}")


def crowd(
    home: Path, key: str, names: list[str], labels_each: int, kills: int, think: float = 0.0, **settings: Any
) -> dict[str, Any]:
    """Let these people label, kill the server in between, and say what is found afterwards."""
    site = Site(home, settings)
    site.start()
    people = [Annotator(name, key, site, think=think) for name in names]
    threads = [threading.Thread(target=person.work, args=(labels_each,)) for person in people]
    begun, downs = time.perf_counter(), []
    try:
        for thread in threads:
            thread.start()
        for number in range(1, kills + 1):
            while site.done < len(names) * labels_each * number / (kills + 1) and any(
                map(threading.Thread.is_alive, threads)
            ):
                time.sleep(0.02)
            down = time.perf_counter()
            site.kill()
            downs.append(round(time.perf_counter() - down, 2))
        for thread in threads:
            thread.join()
    finally:
        site.stop()
    seconds = time.perf_counter() - begun
    with closing(open_database(f"sqlite:///{home / 'rallrec.db'}")) as database:
        counted = _found(database, key, people)
    return {
        "people": len(names), "each": labels_each, "kills": kills, "think_s": think, "down_s": downs,
        "seconds": round(seconds, 1), "acknowledged": sum(len(person.kept) for person in people),
        "sent_again": sum(person.again for person in people),
        "refused": [text for person in people for text in person.refused][:10],
        "submission_ms": summary([1000 * duration for person in people for duration in person.times]),
        "warm_submission_ms": summary([1000 * duration for person in people for duration in person.warm] or [0.0]),
        "login_ms": summary([1000 * duration for person in people for duration in person.logins]), "found": counted,
    }  # fmt: skip


def _found(database: Database, key: str, people: list[Annotator]) -> dict[str, int]:
    """Faults, each counted; ``submitted``: rows. Time is moved on to see whether all that is reserved comes back."""
    with database.session(read_only=True) as session:
        of_project = select(LabelRow).join(TaskRow, TaskRow.id == LabelRow.task).where(TaskRow.project_key == key)
        rows = list(session.scalars(of_project))
        tasks = list(session.scalars(select(TaskRow.id).where(TaskRow.project_key == key)))
    overlap = projects.project(database, key).overlap
    submitted = {row.id: row for row in rows if row.status == "submitted"}
    per_task = Counter(row.task for row in submitted.values())
    kept = [label for person in people for label in person.kept]
    later = utc_now() + timedelta(days=1)
    stranger = accounts.add_account(database, f"stranger-{uuid.uuid4().hex[:8]}", None, "annotator")
    free = sum(per_task[task] < overlap for task in tasks)
    return {
        "submitted": len(submitted),
        "lost": sum(label not in submitted or submitted[label].task != task for label, task in kept),
        "acknowledged_twice": len(kept) - len(set(kept)),
        "never_acknowledged": len(submitted.keys() - {label for label, _ in kept}),
        "over_the_overlap": sum(count > overlap for count in per_task.values()),
        "reserved_for_ever": free - _given(database, key, stranger, later),
    }


def _given(database: Database, key: str, stranger: Account, later: Any) -> int:
    """How many different tasks somebody new gets, once every reservation is over."""
    from storage.labels.work import skip

    count = 0
    while isinstance(task := next_task(database, key, stranger, later), Task):
        skip(database, task.id, stranger, "counted", later)
        count += 1
    return count


@contextmanager
def shipped_project(people: list[str], overlap: int, samples: int) -> Iterator[tuple[Path, str]]:
    """A home with a project of chains that ship, and these people as its members."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Workspace(Settings(home=home)) as workspace:
            database = workspace.database
            hashed = accounts.hash_password(PASSWORD)
            for name in people:
                accounts.add_account(database, name, None, "annotator")
            with database.session() as session:
                for name in people:
                    accounts.get(session, name).password = hashed
            named = tuple(workspace.prepared_samples()[:samples])
            project = Project(
                name="Crowd", dataset="ml-latest-small", overlap=overlap,
                chains=ChainFilter(samples=named, knowledge="paper"),
            )  # fmt: skip
            key = projects.create_project(database, project, exhibits(workspace, project.chains), people)
        yield home, key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--think", type=float, default=0.0)
    parser.add_argument("--overlap", type=int, default=3)
    given = parser.parse_args()
    names = [f"annotator {number}" for number in range(1, given.people + 1)]
    # A quarter more places than are needed, so that nobody waits for another at the end; six chains of each sample.
    samples = -(-given.people * given.each * 5 // (4 * given.overlap * 6))
    with shipped_project(names, given.overlap, samples) as (home, key):
        print(json.dumps(crowd(home, key, names, given.each, given.kills, given.think), indent=2))


if __name__ == "__main__":
    main()
