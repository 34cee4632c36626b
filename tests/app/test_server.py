"""The FastAPI application: health, readiness, the page's HTML, and what a stranger gets who sends junk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio
import pytest
from fastapi.testclient import TestClient

import app
from app.server import create_app
from app.shared.address import SampleAddress
from tests.app.conftest import settings_of
from tests.app.views import ParsedHtml

JUNK: list[Any] = [
    None, [], {}, 7, "text", {"text": None}, {"text": ["a"], "within": {}}, {"text": "x" * 1_000_000, "within": "7"},
    {"text": "%", "within": "nobody"}, {"text": "\x00", "within": "\x00"}, {"unknown": 1},
]  # fmt: skip
INTERNALS = ("Traceback", 'File "', 'File \\"', "site-packages", "sqlalchemy", str(Path(app.__file__).parent))


def picker_of(config: dict[str, Any], name: str) -> int:
    [ids] = [c["id"] for c in config["components"] if c["props"].get("elem_id") == name]
    return int(ids)


def search(client: TestClient, component: Any, data: Any, name: Any = "search") -> Any:
    body = {"data": data, "component_id": component, "session_hash": "abc", "fn_name": name}
    return client.post("/gradio_api/component_server", json=body)


def is_clean(text: str) -> bool:
    return not any(word in text for word in INTERNALS)


def test_build_gives_blocks_and_opens_nothing(tmp_path: Path) -> None:
    assert isinstance(app.build(settings_of(tmp_path / "nowhere")), gradio.Blocks)
    assert not (tmp_path / "nowhere").exists()


def test_a_ready_server_says_so_and_health_opens_nothing(home: Path) -> None:
    application = create_app(settings_of(home))
    healthy = TestClient(application).get("/healthz")  # without the start, which opens all in the background
    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    assert not (home / "rallrec.db").exists()
    with TestClient(application) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "problems": {}})


def test_missing_vectors_are_named_with_their_command(home: Path) -> None:
    with TestClient(create_app(settings_of(home, encoder="org/another"))) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, list(ready.json()["problems"])) == (503, ["predictions"])
        problem = ready.json()["problems"]["predictions"]
        assert "missing: embed" in problem
        assert "rallrec precompute --until mix" in problem
        assert client.get("/healthz").status_code == 200
        assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///{home}/artifacts",
        "nonsense",
        "postgresql+psycopg://u:secret@127.0.0.1:1/none",
        "nosuchdb://u:secret@x/y",
    ],
)
def test_a_database_that_cannot_be_opened_is_named(home: Path, url: str) -> None:
    with TestClient(create_app(settings_of(home, database_url=url.format(home=home)))) as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["ready"] is False
        assert "To fix it" in ready.json()["problems"]["database"]
        assert is_clean(ready.text)
        assert "secret" not in ready.text
        assert client.get("/healthz").status_code == 200


def test_it_gets_ready_once_the_problem_is_mended(home: Path, tmp_path: Path) -> None:
    (home / "artifacts").rename(tmp_path / "away")
    with TestClient(create_app(settings_of(home))) as client:
        assert client.get("/readyz").status_code == 503
        (tmp_path / "away").rename(home / "artifacts")
        assert client.get("/readyz").status_code == 200


def test_the_pages_html_loads_nothing_from_another_host(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert client.get("/config").json()["title"] == "RALLRec+"
    loaded = []
    for tag, attributes in ParsedHtml(page.text).elements:
        values = dict(attributes)
        if tag in ("script", "link", "img", "iframe", "source") and values.get("rel") not in ("canonical",):
            loaded += [values[name] for name in ("src", "href") if values.get(name)]
    assert loaded
    assert [url for url in loaded if re.match(r"(https?:)?//", url) and not url.startswith("http://testserver/")] == []
    styles = " ".join(re.findall(r"<style[^>]*>(.*?)</style>", page.text, re.DOTALL))
    assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", styles)


def test_the_own_assets_name_no_other_host() -> None:
    for path in Path(app.__file__).parent.glob("*/assets/*"):
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", path.read_text("utf-8")), path


def test_no_handler_is_listed_as_an_api(client: TestClient, config: dict[str, Any]) -> None:
    listed = client.get("/gradio_api/info").json()
    assert (listed["named_endpoints"], listed["unnamed_endpoints"]) == ({}, {})
    assert {d["api_visibility"] for d in config["dependencies"] if d["backend_fn"]} == {"private"}


@pytest.mark.parametrize("name", ["opened", "move", "asked", "search", "predict", "", "../config"])
def test_junk_to_a_handler_by_its_name_gets_no_internals(client: TestClient, name: str) -> None:
    for data in JUNK[:6]:
        answer = client.post(f"/gradio_api/call/{name}", json={"data": data})
        assert is_clean(answer.text)
        if answer.status_code == 200:
            assert is_clean(client.get(f"/gradio_api/call/{name}/{answer.json()['event_id']}").text)


def test_search_finds_what_the_service_finds(client: TestClient, config: dict[str, Any]) -> None:
    users = search(client, picker_of(config, "user"), {"text": " 6 ", "within": ""})
    assert users.json() == [["User 6 · 20 ratings", "6"]]
    items = search(client, picker_of(config, "item"), {"text": "100%", "within": "7"})
    assert items.json() == [["100% Wolf (2020)", "901"]]


@pytest.mark.parametrize("data", JUNK, ids=[json.dumps(data)[:40] for data in JUNK])
@pytest.mark.parametrize("name", ["user", "item"])
def test_junk_to_a_search_is_a_clean_answer(client: TestClient, config: dict[str, Any], name: str, data: Any) -> None:
    answer = search(client, picker_of(config, name), data)
    assert answer.status_code == 200
    assert all(isinstance(label, str) and isinstance(key, str) for label, key in answer.json())
    if data and isinstance(data, dict) and data.get("text"):
        assert answer.json() == []


def test_no_other_function_of_a_component_can_be_called(client: TestClient, config: dict[str, Any]) -> None:
    for name in ("__init__", "get_config", "postprocess", "__class__", "", None, 7):
        answer = search(client, picker_of(config, "user"), {}, name)
        assert answer.status_code in (400, 404)
        assert is_clean(answer.text)
    for component in (-1, 10**9, "x", None):
        answer = search(client, component, {})
        assert answer.status_code >= 400  # 500 for unknown numbers is Gradio's own
        assert is_clean(answer.text)


def test_files_of_the_home_are_not_handed_out(client: TestClient, client_home: Path) -> None:
    assert client.get("/readyz").status_code == 200
    assert (client_home / "rallrec.db").is_file()
    for path in (client_home / "rallrec.db", Path("/etc/passwd"), Path(app.__file__), Path("pyproject.toml").resolve()):
        for prefix in ("/gradio_api/file=", "/file="):
            answer = client.get(prefix + quote(str(path)))
            assert answer.status_code in (403, 404), path
            assert b"SQLite" not in answer.content


def run_handler(
    client: TestClient, config: dict[str, Any], name: str, data: list[Any], session: str = "stranger", event: Any = None
) -> list[dict[str, Any]]:
    """What the page would be told, were this handler called with this data."""
    [index] = [d["id"] for d in config["dependencies"] if d["api_name"] == name]
    body = {"data": data, "fn_index": index, "session_hash": session, "event_data": event, "trigger_id": None}
    joined = client.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        assert is_clean(joined.text)
        return []
    stream = client.get("/gradio_api/queue/data", params={"session_hash": session}).text
    return [json.loads(line[5:]) for line in stream.splitlines() if line.startswith("data:")]


def told(client: TestClient, config: dict[str, Any], name: str, data: list[Any], event: Any = None) -> list[Any]:
    """What a handler that ends well gives the page, by its outputs."""
    [done] = [m for m in run_handler(client, config, name, data, event=event) if m["msg"] == "process_completed"]
    assert done["success"] is True
    return list(done["output"]["data"])


def moved(
    client: TestClient, config: dict[str, Any], values: list[Any], page: str = "stranger", **more: Any
) -> dict[str, str]:
    """The panels that a page is sent after a move to these values."""
    move = {"page": page, "values": dict(zip(SampleAddress.names(), values, strict=True)), "truth": False} | more
    answer = search(client, picker_of(config, "live"), move, "move")
    assert answer.status_code == 200, answer.text
    panels: dict[str, str] = answer.json()
    return panels


CONTROLS = ["7", "901", "concat+ssl", "rerank", 0.5, 1.0, 4, "paper", 2, 32, 0, 0.1, -3.0, "", ""]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [(1, "nobody", "No user"), (2, "nothing", "No item"), (3, "words", "words"), (4, [1], ""),
     (5, 7, "7"), (5, None, ""), (7, 1e6, "1000000"), (8, "<b>", ""), (11, -1, "-1"), (11, None, ""), (13, 400, ""),
     (13, None, ""), (13, -400, ""), (11, 2**70, "seed"), (12, "text", ""), (14, "nowhere", "No item"),
     (15, "nowhere", "Unknown dataset"), (15, [1], "Unknown dataset"), (15, "../up", "Unknown dataset")],
)  # fmt: skip
@pytest.mark.parametrize("handler", ["move", "asked", "looked_near"])
def test_what_no_control_can_send_is_told_without_internals(
    client: TestClient, config: dict[str, Any], handler: str, place: int, value: Any, said: str
) -> None:
    data = [False, *CONTROLS]
    data[place] = value
    if handler == "move":
        told = json.dumps(moved(client, config, data[1:]))
    else:
        told = json.dumps(run_handler(client, config, handler, data[handler == "looked_near" :]))
    assert is_clean(told)
    assert said in told


@pytest.mark.parametrize("data", JUNK, ids=[json.dumps(data)[:40] for data in JUNK])
def test_junk_instead_of_a_move_is_a_clean_answer(client: TestClient, config: dict[str, Any], data: Any) -> None:
    for move in (data, {"page": data, "values": data, "truth": data, "anew": data}):
        answer = search(client, picker_of(config, "live"), move, "move")
        assert answer.status_code == 200
        assert is_clean(answer.text)


def test_a_move_sends_what_it_changes_and_all_to_a_page_that_lost_it(
    client: TestClient, config: dict[str, Any]
) -> None:
    every = set(moved(client, config, CONTROLS, "mover"))
    assert every == {"status", "retrieve", "nearest", "map", "rerank", "ask-panel", "reason", "merge"}
    assert moved(client, config, CONTROLS, "mover") == {}
    gamma = [*CONTROLS[:4], 0.1, *CONTROLS[5:]]
    assert "rerank" in moved(client, config, gamma, "mover")
    assert set(moved(client, config, gamma, "mover", anew=True)) == every
    wrong = [*CONTROLS[:10], -4, *CONTROLS[11:]]
    assert "seed" in moved(client, config, wrong, "mover")["status"]
    assert list(moved(client, config, gamma, "mover")) == ["status"], "the error goes when the setting is mended"


@pytest.mark.parametrize("event", [None, {}, [], "text", {"code": -1}, {"code": "1"}, {"code": 10**9}, {"code": True}])
def test_what_is_no_item_opens_no_neighbourhood(client: TestClient, config: dict[str, Any], event: Any) -> None:
    told = run_handler(client, config, "picked_near", ["901", ""], event=event)
    assert is_clean(json.dumps(told))
    assert not [message for message in told if message.get("success")]
    [done] = [m for m in run_handler(client, config, "picked_near", ["901", ""], event={"code": 2}) if m.get("success")]
    assert done["output"]["data"][0] == "3"


def test_asking_through_the_queue_ends_in_a_drawn_prediction(client: TestClient, config: dict[str, Any]) -> None:
    messages = run_handler(client, config, "asked", [False, *CONTROLS])
    assert messages[-1]["msg"] in ("process_completed", "close_stream")
    [done] = [m for m in messages if m["msg"] == "process_completed"]
    assert done["success"] is True
    again = json.dumps(moved(client, config, CONTROLS, "another"))
    assert "p-final" in again
