"""A Chromium, and servers over the real dataset and over one with hostile titles."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend import datasets
from scripts.cli import app
from storage.workspace import Workspace
from tests.browser.labelling import LabelSite, fill, label_settings
from tests.browser.serving import CHROMIUM_HINT, SCRIPTED, browser, chromium_path, precompute, server, variables
from tests.conftest import made_once, write_movielens

DESK = {"width": 1280, "height": 900}
HOSTILE = "<img src=x onerror=alert(1)>{{value}}${7*7}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if chromium_path() is None:
        if os.environ.get("CI"):
            pytest.fail(CHROMIUM_HINT)
        pytest.skip(CHROMIUM_HINT)
    with browser() as instance:
        yield instance


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real dataset with all that is made ahead, by stand-ins."""
    made = made_once(tmp_path_factory, "browser", precompute)
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("browser") / "home"))


@pytest.fixture(scope="session")
def site(home: Path) -> Iterator[str]:
    """The real dataset with the scripted engine, quick enough for a test and slow enough to be watched."""
    with server(home, **SCRIPTED, scripted_delay=0.05) as url:
        yield url


@pytest.fixture(scope="session")
def label_site(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelSite]:
    """The same home with a database of its own, in which there are people, and chains to label."""
    url = f"sqlite:///{tmp_path_factory.mktemp('labels') / 'labels.db'}"
    workspace = Workspace(label_settings(home, url))
    fill(workspace)
    with server(home, **SCRIPTED, traces=3, database_url=url) as site:
        yield LabelSite(site, workspace)
    workspace.close()


class Tab:
    """A page that tests use one after the other: opening the app in one of its own costs each of them a second.

    What a test left behind is cleared: cookies, what is stored, permissions, routes, other pages.
    """

    def __init__(self, chromium: Any) -> None:
        self._context = chromium.new_context(viewport=DESK)
        self.page = self._context.new_page()
        self._session = self._context.new_cdp_session(self.page)

    def clear(self, hosts: set[str]) -> None:
        for other in self._context.pages:
            if other != self.page:
                other.close()
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.goto("about:blank")
        self._context.clear_cookies()
        self._context.clear_permissions()
        for host in hosts:
            self._session.send("Storage.clearDataForOrigin", {"origin": host, "storageTypes": "local_storage"})
        self.page.set_viewport_size(DESK)
        self.page.emulate_media(media=None, color_scheme="light")


@pytest.fixture(scope="session")
def tab(chromium: Any) -> Tab:
    return Tab(chromium)


@pytest.fixture
def page(tab: Tab) -> Iterator[Any]:
    """An empty page without a memory; afterwards: no script error, no console error, no request to another host."""
    hosts: set[str] = set()
    problems: list[str] = []

    def requested(request: Any) -> None:
        if _off_host(request.url):
            problems.append(f"off-host: {request.url}")
        elif request.url.startswith("http:"):
            hosts.add("/".join(request.url.split("/")[:3]))

    listeners = {
        "pageerror": lambda error: problems.append(f"script error: {error}"),
        "console": lambda message: problems.append(message.text) if message.type == "error" else None,
        "dialog": lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        "request": requested,
    }
    for event, listener in listeners.items():
        tab.page.on(event, listener)
    yield tab.page
    for event, listener in listeners.items():
        tab.page.remove_listener(event, listener)
    tab.clear(hosts)
    assert problems == []


@pytest.fixture
def command(home: Path) -> Callable[..., dict[str, Any]]:
    """``rallrec ... --json`` over the same home as the site; in this process, since starting another takes seconds."""
    overrides = variables(home, **SCRIPTED, scripted_delay=0)
    environment = {name: overrides.get(name) for name in (*os.environ, *overrides) if name.startswith("RALLREC_")}

    def run(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*arguments, "--json"], env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        record: dict[str, Any] = json.loads(done.stdout)
        return record

    return run


@pytest.fixture(scope="session")
def hostile_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A small dataset whose titles try to be markup, a template and a formula."""
    made = made_once(tmp_path_factory, "hostile", _make_hostile)
    own_home = Path(shutil.copytree(made, tmp_path_factory.mktemp("hostile") / "home"))
    with server(own_home, **SCRIPTED, scripted_delay=0) as url:
        yield url


def _make_hostile(folder: Path) -> None:
    movies = [(n, f"{HOSTILE} {n} (199{n % 10})", "<b>Drama</b>|Comedy") for n in range(1, 13)]
    ratings = [(u, m, (u + m) % 5 + 1.0, 1_000_000 + 60 * m) for u in (1, 2) for m in range(1, 12)]
    source = write_movielens(folder / "raw", movies, ratings)
    datasets.prepare("ml-latest-small", folder / "datasets", source=source)
    precompute(folder)


def _off_host(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))
