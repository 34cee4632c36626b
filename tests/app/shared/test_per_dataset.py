"""Two datasets in one app and one database: every page, export and link is of the dataset that its address names."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from app.evaluate.address import EvaluateQuery
from app.evaluate.service import EvaluateService
from app.library import drawing as library
from app.library.service import LibraryService
from app.predict.drawing import retrieve_panel, target_card
from app.predict.service import PredictServices
from app.predict.view import PredictSession, PredictView
from app.server import create_app
from app.shared.address import SampleAddress
from app.shared.frame import header, notice
from app.shared.jobs import JobsService
from app.shared.per_dataset import PerDataset
from app.shared.picker import join_within, split_within
from app.shared.runs import RunQueue
from app.users.address import UsersQuery
from app.users.service import UsersService
from app.what_if.service import WhatIfService
from backend import datasets
from backend.errors import UnknownNameError
from backend.settings import Settings
from storage.jobs.kinds import PredictParams
from storage.precompute.graph import STAGES
from storage.workspace import Workspace
from tests.app.shared.test_jobs import wait
from tests.app.views import PANELS
from tests.backend.datasets.made import write_amazon, write_bookcrossing, write_custom
from tests.conftest import small_movies, small_ratings, write_movielens

QUICK = Settings(
    engine="scripted", encoder="scripted", describer="scripted", scripted_delay=0, k=4, traces=2,
    collaborative={"max_epochs": 2}, align={"max_epochs": 2},
)  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a small set of movies, the settings' own, and a BookCrossing-like one without times."""
    home = tmp_path_factory.mktemp("side") / "home"
    datasets.prepare(
        "ml-latest-small", home / "datasets",
        source=write_movielens(home.parent / "raw", small_movies(), small_ratings()),
    )  # fmt: skip
    datasets.import_data(write_bookcrossing(home.parent / "bx"), "books", "bookcrossing", home / "datasets")
    made = QUICK.model_copy(update={"home": home})
    for name in ("ml-latest-small", "books"):
        Workspace(made.model_copy(update={"dataset": name}), home.parent / "no bundle").precompute().run("mix")
    return made


@pytest.fixture
def workspace(settings: Settings, tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(settings, tmp_path / "no bundle")
    yield opened
    opened.close()


def look(services: PredictServices, request: SampleAddress, session: PredictSession) -> PredictView:
    return services.of(request.dataset).look(request, session)


def test_a_view_of_a_workspace_shares_all_but_the_dataset(workspace: Workspace) -> None:
    books = workspace.over("books")
    assert books.dataset().meta.name == "books"
    assert workspace.dataset().meta.name == "ml-latest-small"
    assert (books.other, workspace.other) == ("books", "")
    assert books.database is workspace.database
    assert books.worker is workspace.worker
    assert books.over("ml-latest-small") is workspace
    assert workspace.over("books") is books
    assert workspace.dataset("books") is books.dataset()
    assert books.prepared_samples() == []


def test_an_address_names_its_dataset_and_the_settings_own_needs_no_name(workspace: Workspace) -> None:
    services = PredictServices(workspace)
    default, books = services.request({}), services.request({"dataset": "books"})
    assert (default.dataset, books.dataset) == ("", "books")
    assert "dataset" not in default.query()
    assert parse_qs(books.query())["dataset"] == ["books"]
    assert services.request({"dataset": "ml-latest-small"}) == default
    for request, noun in ((default, "movie"), (books, "book")):
        view = look(services, request, PredictSession())
        assert view.data.meta.item_noun == noun
        assert noun in view.prediction.question.prompts[0].text
    with pytest.raises(UnknownNameError, match="books, ml-latest-small"):
        services.request({"dataset": "nope"})


def test_answers_of_both_are_kept_in_one_database_and_never_mixed(workspace: Workspace) -> None:
    services = PredictServices(workspace)
    jobs = []
    for name in ("", "books"):
        session = PredictSession()
        view = look(services, services.request({"dataset": name}), session)
        for snapshot in services.shown(session).ask(session).watch():
            assert not snapshot.error
        assert services.shown(session).watch(session).prediction.complete
        question = view.prediction.question
        jobs.append(services.runs.last_job(services.of(name).pipeline, question, view.prediction.recipe))
    params = [job.params for job in jobs if job]
    assert all(isinstance(job_params, PredictParams) for job_params in params)
    assert [job_params.dataset for job_params in params] == ["ml-latest-small", "books"]
    users = PerDataset(workspace, UsersService)
    for name in ("", "books"):
        counted = users.of(name).users(UsersQuery(dataset=name, show="predicted"))
        assert len(counted.rows) == 1


def test_links_of_every_page_keep_to_the_dataset(workspace: Workspace) -> None:
    services = PredictServices(workspace)
    view = look(services, services.request({"dataset": "books"}), PredictSession())
    hrefs = re.findall(r'href="([^"]+)"', html.unescape(target_card(view)))
    assert parse_qs(urlsplit(next(h for h in hrefs if h.startswith("/users"))).query)["dataset"] == ["books"]
    assert all("dataset=books" in href for href in hrefs if href.startswith("export/"))
    query = UsersQuery.parse("?dataset=books&user=3")
    assert query.link(item="7") == "/users?user=3&item=7&dataset=books"
    what_ifs = WhatIfService(workspace.over("books"), services.of("books"))
    opened = what_ifs.open({"user": view.request.user, "item": view.request.item})
    assert opened.dataset == "books"
    assert parse_qs(what_ifs.link(opened))["dataset"] == ["books"]
    assert split_within(join_within("books", "3")) == ("books", "3")
    assert split_within(join_within("", "3")) == ("", "3")


def test_the_header_offers_the_datasets_and_its_pages_keep_to_the_one_shown(workspace: Workspace) -> None:
    choices = PredictServices(workspace).choices("books")
    assert [(one.name, one.query, one.current) for one in choices] == [
        ("ml-latest-small", "", False), ("books", "dataset=books", True),
    ]  # fmt: skip
    drawn = header("/users", "BookCrossing", "", choices)
    assert 'href="/users?dataset=books" title' in drawn
    assert 'href="/library?dataset=books"' in drawn
    assert 'href="/users"' in drawn, "the settings' own needs no name"
    alone = header("/users", "MovieLens", "", choices[:1])
    assert "<details" not in alone


def test_what_is_evaluated_is_of_the_dataset_that_the_address_names(workspace: Workspace) -> None:
    jobs = JobsService(workspace, RunQueue(workspace.worker))
    services = PerDataset(workspace, lambda dataset_workspace: EvaluateService(dataset_workspace, jobs))
    service = services.of("books")
    assert service.lists == ("test", "validation")
    query = EvaluateQuery.parse("/evaluate?dataset=books&limit=3")
    assert "dataset=books" in query.viewing("figure-2")
    state = service.look(query)
    assert state is not None
    assert state.data.meta.name == "books"
    assert "--dataset books" in state.evaluation.systems["DeepFM"].run
    started = service.start(query, "ann")
    assert started.params.dataset == "books"
    # The job goes on meanwhile: what it reports may differ between two looks.
    seen = [service.job(query), jobs.evaluating("test", 3, "books")]
    assert [job.number for job in seen if job] == [started.number] * 2
    assert services.of("").job(query) is None


def test_the_library_is_of_the_dataset_that_the_address_names(workspace: Workspace) -> None:
    libraries = PerDataset(workspace, LibraryService)
    default, books = (libraries.of(name).shelf() for name in ("", "books"))
    assert (default.dataset, default.command) == ("", "RALLREC_ENGINE=scripted rallrec precompute")
    assert (books.dataset, books.command) == ("books", "RALLREC_ENGINE=scripted rallrec precompute --dataset books")
    states = {entry.kind: entry.state for entry in books.own}
    assert (states["space"], states["map"]) == ("ready", "missing")
    assert {entry.recipe["data"]["name"] for entry in books.own} == {"books"}
    assert [entry.command for entry in books.own if entry.kind == "map"] == [f"{books.command} --until map"]
    there = {(entry.dataset, entry.reader, entry.place) for entry in books.others if entry.kind == "space"}
    assert there == {("ml-latest-small", "ml-latest-small", "space")}
    assert {entry.reader for entry in default.others} == {"books"}
    assert [entry.name for entry in libraries.of("books").datasets() if entry.current] == ["books"]
    drawn = library.own_artifacts(books, "space")
    assert "rallrec precompute --dataset books" in drawn
    assert 'href="?dataset=books&amp;artifact=collaborative"' in drawn
    assert 'href="?dataset=ml-latest-small&amp;artifact=space"' in library.other_artifacts(books, "")


def test_an_artifact_that_nobody_reads_says_what_it_was_made_under(workspace: Workspace, settings: Settings) -> None:
    changed = Workspace(settings.model_copy(update={"align": {"max_epochs": 1}}), Path("no bundle"))
    whys = {entry.kind: entry.why for entry in LibraryService(changed).shelf().others if not entry.reader}
    assert {"aligned", "space"} <= set(whys)
    assert "collaborative" not in whys, "it is read under these settings too"
    assert all("the pages of" in why for why in whys.values())


def test_jobs_are_of_the_dataset_that_the_page_is_about(workspace: Workspace) -> None:
    jobs = JobsService(workspace, RunQueue(workspace.worker))
    assert {item.node.recipe["data"]["name"] for item in jobs.plan("index", "books")} == {"books"}
    fields = {"samples": "test", "limit": 1, "gammas": "0.5", "knowledge": ["none"], "traces": 1}
    started = [
        jobs.reason(fields, "ann", "books"),
        jobs.reason(fields, "ann"),
        jobs.precompute("index", "ann", "books"),
    ]
    assert [job.params.dataset for job in started] == ["books", "ml-latest-small", "books"]
    wait(lambda: not any(entry.job.live for entry in jobs.jobs("ann")), 120)
    entries = {entry.job.number: entry for entry in jobs.jobs("ann")}
    assert [entries[job.number].job.state for job in started] == ["done"] * 3
    assert [entries[job.number].dataset for job in started] == ["books", "", "books"]
    assert not any(item.will_run for item in jobs.plan("index", "books"))
    scored = jobs.evaluate("test", 5, "books", "ann")
    wait(lambda: not any(entry.job.live for entry in jobs.jobs("ann")), 120)
    [entry] = [entry for entry in jobs.jobs("ann") if entry.job.number == scored.number]
    assert (entry.job.state, entry.job.error, entry.dataset) == ("done", "", "books")
    assert "on 5 samples" in entry.job.report.stage
    with pytest.raises(UnknownNameError):
        jobs.plan("", "../books")
    jobs.close()


def test_without_times_every_place_that_speaks_of_time_says_so(workspace: Workspace) -> None:
    services = PredictServices(workspace)
    view = look(services, services.request({"dataset": "books"}), PredictSession())
    timed = look(services, services.request({}), PredictSession())
    panels = {name: PANELS[name] for name in ("retrieve_panel", "rerank_panel", "ask_panel")}
    for name, draw in panels.items():
        assert "order is arbitrary here" in draw(view).lower(), name
        assert "arbitrary" not in draw(timed), name
    note = notice("", "a", "b", order_note=view.data.meta.order_note)
    assert "a shuffle (seed 0) stands in for them" in note
    recent = look(services, services.request({"dataset": "books", "strategy": "recent"}), PredictSession())
    assert "Order is arbitrary here." in retrieve_panel(recent)


def test_what_is_beside_the_page_is_of_its_dataset_too(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        record = client.get("/export/predict.json", params={"dataset": "books"}).json()
        assert record["dataset"] == "books"
        assert client.get("/export/predict.json").json()["dataset"] == "ml-latest-small"
        page = client.get("/export/predict.html", params={"dataset": "books"})
        assert "Order is arbitrary here" in page.text
        assert "--dataset books" in client.get("/aside", params={"dataset": "books"}).json()["command"]
        wrong = client.get("/export/predict.json", params={"dataset": "../books"})
        assert wrong.status_code == 400
        assert "Unknown dataset" in wrong.json()["problem"]


def test_a_running_app_shows_nothing_of_data_that_was_replaced(settings: Settings, tmp_path: Path) -> None:
    """Not with the vectors of the old: it says what happened. The same data read again changes nothing."""
    home = shutil.copytree(settings.home, tmp_path / "home")
    raw = tmp_path / "bx"
    with TestClient(create_app(settings.model_copy(update={"home": home}))) as client:
        assert client.get("/export/predict.json", params={"dataset": "books"}).status_code == 200
        datasets.import_data(write_bookcrossing(raw), "books", "bookcrossing", home / "datasets")
        assert client.get("/export/predict.json", params={"dataset": "books"}).status_code == 200
        datasets.import_data(raw, "books", "bookcrossing", home / "datasets", rules={"seed": 9})
        said = client.get("/export/predict.json", params={"dataset": "books"})
        assert said.status_code == 503
        assert "Other data was imported as books" in said.json()["problem"]
        assert client.get("/export/predict.json").status_code == 200


@pytest.mark.parametrize("name", ["bookcrossing", "amazon-2023", "custom"])
def test_what_two_commands_make_is_all_that_the_app_needs(name: str, tmp_path: Path) -> None:
    """Import and precompute (all stages), then a prediction on the page, asked and kept."""
    writers = {
        "bookcrossing": lambda folder: write_bookcrossing(folder, users=20, books=20, ratings=200),
        "amazon-2023": lambda folder: write_amazon(folder, 2023, users=20, products=20, reviews=250),
        "custom": lambda folder: write_custom(folder, players=20, games=20, plays=250),
    }
    raw, home = writers[name](tmp_path / "raw"), tmp_path / "home"
    mapping = raw / "mapping.toml" if name == "custom" else None
    data = datasets.import_data(raw, "mine", name, home / "datasets", mapping=mapping)
    workspace = Workspace(QUICK.model_copy(update={"home": home, "dataset": "mine"}), tmp_path / "no bundle")
    made = workspace.precompute().run()
    assert len(made) == len([stage for stage in STAGES if not stage.extra])
    assert {artifact.meta["recipe"]["data"]["hash"] for artifact in made} == {data.meta.data_hash}
    services, session = PredictServices(workspace), PredictSession()
    view = look(services, services.request({}), session)
    assert data.meta.item_noun_plural in view.prediction.question.prompts[0].text
    for snapshot in services.shown(session).ask(session).watch():
        assert not snapshot.error
    assert services.shown(session).watch(session).prediction.complete
    assert len(PerDataset(workspace, UsersService).of("").users(UsersQuery(show="predicted")).rows) == 1
    workspace.close()
