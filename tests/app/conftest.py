"""Homes with a prepared dataset, its scripted vectors, and engines that can be held back or made to fail."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.predict.service import PredictService
from app.predict.view import PredictSession, PredictView
from app.server import create_app
from app.shared.address import SampleAddress
from backend import datasets
from backend.engines.scripted import FAIL_MARK, ScriptedEngine
from backend.pipeline import Pipeline
from backend.settings import Settings
from backend.types import Answer
from storage.workspace import Workspace
from tests.conftest import DAY, made_once, small_movies, small_ratings, write_movielens

# Movies that only some are rated, with characters that a search or a pattern could take for more than text.
ODD_MOVIES = [
    (901, "100% Wolf (2020)", "Comedy"),
    (902, "under_score (2001)", "Drama"),
    (903, "Left (paren", "Drama"),
    (904, "[REC] .*+?^$|\\ (2007)", "Horror"),
    (905, "ÉTOILE Straße (1999)", "Drama"),
    (906, f"Fails {FAIL_MARK} (2000)", "Drama"),
]


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with users 0 to 7 (user u rated 2 + 3 u movies), 30 plain and 6 odd movies, and scripted vectors.

    Of the odd ones, 902 was rated by users 2 and 3, 901 by user 2, each after all else; nobody rated the rest.
    """
    extra = [(2, 901, 4.0, 900 * DAY), (2, 902, 1.0, 901 * DAY), (3, 902, 5.0, 902 * DAY)]

    def make(folder: Path) -> None:
        source = write_movielens(folder / "raw", small_movies() + ODD_MOVIES, small_ratings() + extra)
        datasets.prepare("ml-latest-small", folder / "home" / "datasets", source=source)
        workspace = Workspace(settings_of(folder / "home"))
        workspace.precompute().run()
        workspace.close()

    return made_once(tmp_path_factory, "app", make) / "home"


def settings_of(home: Path, **more: Any) -> Settings:
    plain = {"engine": "scripted", "encoder": "scripted", "describer": "scripted", "scripted_delay": 0, "traces": 3}
    # The movie whose title makes the scripted engine fail was rated by nobody: it is not among the first twenty.
    quick = {"describe": {"items": 20}, "collaborative": {"dimensions": 8, "max_epochs": 3}, "align": {"max_epochs": 3}}
    return Settings(**plain | quick | more, home=home)


@pytest.fixture
def home(prepared_home: Path, tmp_path: Path) -> Path:
    """A copy of the prepared home, without a database."""
    return Path(shutil.copytree(prepared_home, tmp_path / "home"))


@pytest.fixture(scope="module")
def client_home(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("server") / "home"))


@pytest.fixture(scope="module")
def client(client_home: Path) -> Iterator[TestClient]:
    """One server for all tests that leave it as it is; an unexpected error is an answer, as it is to a browser."""
    with TestClient(create_app(settings_of(client_home)), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def config(client: TestClient) -> dict[str, Any]:
    """What the server tells a browser of its components and handlers."""
    told: dict[str, Any] = client.get("/config").json()
    return told


@pytest.fixture
def open_workspace(home: Path) -> Iterator[Callable[..., Workspace]]:
    """open_workspace(k=5) opens the home under these settings."""
    opened: list[Workspace] = []

    def open_it(**more: Any) -> Workspace:
        opened.append(Workspace(settings_of(home, **more)))
        return opened[-1]

    yield open_it
    for workspace in opened:
        workspace.close()


@pytest.fixture
def workspace(open_workspace: Callable[..., Workspace]) -> Workspace:
    return open_workspace()


@pytest.fixture
def service(workspace: Workspace) -> PredictService:
    return PredictService(workspace)


@pytest.fixture
def session() -> PredictSession:
    return PredictSession()


@pytest.fixture
def request_of(service: PredictService) -> Callable[..., SampleAddress]:
    return lambda **more: service.request({"user": "7", "item": "901"} | more)


def answered(service: PredictService, request: SampleAddress, session: PredictSession) -> PredictView:
    service.look(request, session)
    *_, last = service.ask(session).watch(0)
    assert last.status == "done"
    return service.watch(session)


class HeldEngine(ScriptedEngine):
    """Answers only once ``gate`` is open; ``started`` tells that it was asked, ``most`` how many asked at once."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.started = threading.Event(), threading.Event()
        self.most = self._now = 0
        self._count = threading.Lock()

    def answer(self, *arguments: Any, **options: Any) -> list[Answer]:
        with self._count:
            self._now += 1
            self.most = max(self.most, self._now)
        self.started.set()
        assert self.gate.wait(30), "nobody opened the gate"
        try:
            return super().answer(*arguments, **options)
        finally:
            with self._count:
                self._now -= 1


class BrokenEngine(ScriptedEngine):
    """Breaks in a way that no engine should."""

    def answer(self, *arguments: Any, **options: Any) -> list[Answer]:
        raise ZeroDivisionError("a bug in the engine")


@pytest.fixture
def held_engine() -> Iterator[HeldEngine]:
    engine = HeldEngine()
    yield engine
    engine.gate.set()


def hold(workspace: Workspace, engine: HeldEngine) -> None:
    """Let this engine, behind the cache as ever, play both roles."""
    workspace.cached_engine("tuned").inner = engine


def over(workspace: Workspace, engine: ScriptedEngine) -> Pipeline:
    """A pipeline of this engine without any cache."""
    ready = workspace.pipeline()
    return Pipeline(ready.dataset, ready.retriever.space, engine, engine)
