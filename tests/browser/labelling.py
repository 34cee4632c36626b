"""People who label in a browser: a server over cached chains, accounts, projects, and what a labeller does by keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.labelling import ChainFilter, Label, Project
from backend.settings import Settings
from storage.database.connection import Database
from storage.labels import accounts, exhibits, projects, records
from storage.workspace import Workspace
from tests.storage.labels.conftest import PASSWORD as PASSWORD
from tests.storage.labels.conftest import PEOPLE

# Of these users, the predictions of two items each are made ahead: eight samples, three chains each. They have rated 44
# to 51 movies, all of which a task shows, and no two of the three chains are alike.
_USERS = ("6", "9", "10", "18")


@dataclass(frozen=True)
class LabelSite:
    """``url`` of the server; ``workspace``: the same home and database, beside it."""

    url: str
    workspace: Workspace

    @property
    def database(self) -> Database:
        return self.workspace.database

    def project(self, name: str, **more: Any) -> str:
        """A new project of all cached chains that all but vic are members of; its key."""
        made = Project(**{"name": name, "dataset": "ml-latest-small"} | more)
        shown = exhibits.exhibits(self.workspace, made.chains, made.dataset)
        return projects.create_project(self.database, made, shown, ["ann", "bob", "rita", "root"], "rita")

    def labels(self, key: str, author: str = "ann") -> list[Label]:
        return [label for label in records.labels(self.database, key) if label.author == author]


def one_chain_of_each(limit: int) -> ChainFilter:
    return ChainFilter(limit=limit, chains_per_sample=1)


def label_settings(home: Path, database_url: str) -> Settings:
    """As ``SCRIPTED`` of the server, with a database of its own."""
    quick: dict[str, Any] = {"collaborative": {"max_epochs": 1}, "align": {"max_epochs": 1}, "map": {"limit": 0}}
    scripted = {"engine": "scripted", "encoder": "scripted", "describer": "scripted"}
    return Settings(**scripted, **quick, traces=3, home=home, database_url=database_url)


def fill(workspace: Workspace) -> None:
    """Accounts, and cached predictions to label."""
    for name, role in PEOPLE.items():
        accounts.add_account(workspace.database, name, PASSWORD, role)
    pipeline, recipe, data = workspace.pipeline(), workspace.recipe(), workspace.dataset()
    for user in map(data.user_code, _USERS):
        rows = data.user_rows(user)
        for row in (rows.stop - 1, rows.stop - 2):
            pipeline.predict(pipeline.question(user, int(data.item_index[row]), recipe), recipe)


def log_in(page: Any, site: str, name: str) -> None:
    """In this browser, as the page does it."""
    told = page.request.post(f"{site}/labels/login", data={"name": name, "password": PASSWORD})
    assert told.ok, told.text()


def open_task(page: Any, site: str, key: str) -> str:
    """The next task of the project; its id."""
    page.goto(f"{site}/label?project={key}&view=work")
    return task_of(page)


def task_of(page: Any) -> str:
    page.wait_for_selector(".work[data-task]")
    return str(page.get_attribute(".work", "data-task"))


def next_after(page: Any, task: str) -> None:
    """Until another task, or none, is shown."""
    page.wait_for_selector(f".work[data-task]:not([data-task='{task}']), .nothing")


def say_all(page: Any, step: str = "g", number: str = "4") -> None:
    """Everything that is asked of a chain, by keys, from the first question on."""
    for _ in range(page.locator(".row.step").count()):
        page.keyboard.press(step)
    for _ in range(5):
        page.keyboard.press(number)
    page.keyboard.press("y")
    page.keyboard.press("3")


def saved(page: Any) -> str:
    """What the saved state says once all is saved."""
    page.wait_for_selector(".saved[data-state=saved]")
    return str(page.inner_text(".saved"))


def chosen(page: Any, row: str) -> str | None:
    """What is chosen in a row, by its name."""
    element = page.query_selector(f".row[data-row='{row}'] [aria-checked=true]")
    return element and str(element.get_attribute("data-value"))


def steps_of(page: Any) -> list[str]:
    return [str(row) for row in page.eval_on_selector_all(".row.step", "rows => rows.map((row) => row.dataset.row)")]


def begin(
    page: Any, site: LabelSite, name: str, chains: int | None = 1, who: str = "ann", **more: Any
) -> tuple[str, str]:
    """A new project of one chain each of so many samples (None: all that are cached), with its first task open: the
    keys of both.
    """
    key = site.project(name, **({} if chains is None else {"chains": one_chain_of_each(chains)}) | more)
    log_in(page, site.url, who)
    return key, open_task(page, site.url, key)


def tab_to(page: Any, selector: str, key: str = "Tab") -> None:
    """By the Tab key alone, as far as it takes."""
    for _ in range(150):
        if page.evaluate("wanted => document.activeElement?.matches(wanted)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"the Tab key never comes to {selector}")
