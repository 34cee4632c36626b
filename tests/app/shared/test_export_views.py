"""The views of the other pages as files: each holds what its page shows, asks for nothing, and is the same in JSON."""

from __future__ import annotations

import json
import re

import pytest
from fastapi.testclient import TestClient

from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.shared.export import safe_name, still
from app.shared.frame import Players, players_of
from app.stories.export import stories_record, story_page, story_record
from app.stories.service import StoryEntry
from app.users.address import UsersQuery
from app.users.export import users_page, users_record
from app.users.service import UsersService
from app.what_if.export import what_if_page, what_if_record
from app.what_if.service import WhatIfService
from app.what_if.view import WhatIfSession
from backend.record import prediction_record
from backend.stories import Story, StoryStep
from storage.workspace import Workspace
from tests.app.conftest import answered
from tests.app.views import HOSTILE, fetched_by, words

MADE = "2026-01-01 00:00 UTC"
# By view: a query that is answered, and one that is wrong with what is said of it.
VIEWS = {
    "users": ({"user": "7", "gamma": "0.4"}, {"user": "nobody"}, "No user 'nobody'"),
    "what-if": ({"user": "7", "item": "22", "edits": '{"hint": "none"}'}, {"edits": "{"}, "edits"),
    "evaluate": ({"samples": "test", "view": "table-4"}, {"view": "no"}, "Unknown view"),
    "library": ({}, {"dataset": "nope"}, "Unknown dataset 'nope'"),
    "stories": ({}, {"story": "no"}, "Unknown story 'no'"),
}


def is_alone(html: str) -> None:
    """The document makes a browser fetch nothing and run nothing."""
    assert fetched_by(html) == []
    for sign in ("url(", "@import", "data-go", "data-export", "NaN"):
        assert sign not in html
    assert not re.search(r"\b(nan|None)\b(?! yet)", words(html))


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_is_two_files_or_a_problem(client: TestClient, view: str) -> None:
    query, wrong, said = VIEWS[view]
    page, record = (client.get(f"/export/{view}.{ending}", params=query) for ending in ("html", "json"))
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    is_alone(page.text)
    assert "Scripted engine." in words(page.text)
    assert record.headers["content-type"] == "application/json"
    assert json.dumps(record.json(), allow_nan=False)
    for answer, ending in ((page, "html"), (record, "json")):
        assert answer.headers["cache-control"] == "no-store"
        assert re.fullmatch(rf'attachment; filename="rallrec-[\w-]+\.{ending}"', answer.headers["content-disposition"])
        refused = client.get(f"/export/{view}.{ending}", params=query | wrong)
        assert refused.status_code == 400
        assert said in refused.json()["problem"]
        if view != "stories":
            assert client.get(f"/export/{view}.{ending}", params=query | {"dataset": "../x"}).status_code == 400


def test_a_user_is_whole_in_both_files(workspace: Workspace, service: PredictService, session: PredictSession) -> None:
    done = answered(service, service.request({"user": "7", "item": "22"}), session).prediction
    users, query = UsersService(workspace), UsersQuery(user="7")
    record = json.loads(json.dumps(users_record(users, query), allow_nan=False))
    html = users_page(users, query, players_of(workspace), MADE)
    is_alone(html)
    said = words(html)
    [row] = record["predictions"]
    assert row["item"] == record["selected"] == "22"
    assert (row["p_g"], row["p_r"], row["p_final"]) == (done.p_g, done.p_r, done.p_final)
    shown = f"{done.p_g:.2f} {done.p_r:.2f} {done.p_final:.2f} {row['error']:.2f}"
    assert shown in said
    assert [one["item"] for one in record["picks"]] == row["picked"]
    for pick in record["picks"]:
        assert pick["title"] in said
    profile = record["profile"]
    assert f"Mean {profile['habit']['mean']:.2f}" in said
    assert len(record["timeline"]) == profile["habit"]["ratings"]
    assert f"{profile['habit']['ratings']} ratings" in said
    assert html.count('class="timeline"') == 1
    assert record["recipe"] in said
    assert done.recipe.hash == record["recipe"]


def test_a_what_if_is_whole_in_both_files(workspace: Workspace, service: PredictService) -> None:
    asking = WhatIfService(workspace, service)
    link = {"user": "7", "item": "22", "k": "4", "edits": json.dumps({"hint": "own", "sentence": HOSTILE[0]})}
    session = WhatIfSession()
    asking.look(asking.open(link), session)
    *_, _last = asking.follow(session)
    view = asking.look(asking.open(link), WhatIfSession())
    record = json.loads(json.dumps(what_if_record(service.pipeline, view), allow_nan=False))
    assert record["edits"] == json.loads(link["edits"])
    for name, side in (("before", view.before), ("after", view.after)):
        expected = prediction_record(service.pipeline, side.prediction, cached=True)
        assert record[name] == {key: value for key, value in expected.items() if key != "label"}
    assert record["differences"]["p_r"] == record["after"]["p_r"] - record["before"]["p_r"]
    html = what_if_page(view, record, MADE)
    is_alone(html)
    said = words(html)
    for name in ("p_g", "p_r", "p_final"):
        assert f"{record['before'][name]:.2f} {record['after'][name]:.2f}" in said
    assert html.count('<article class="chain') == 6
    assert HOSTILE[0] in said
    assert "Not everything was asked" not in said
    for shown_side in (view.before, view.after):
        assert shown_side.prediction.recipe.hash in said
    undone = asking.look(asking.open(link | {"item": "901"}), WhatIfSession())
    html = what_if_page(undone, what_if_record(service.pipeline, undone), MADE)
    is_alone(html)
    assert "Not everything was asked" in words(html)


def test_an_evaluation_is_what_its_data_say(client: TestClient) -> None:
    for view in ("table-4", "figure-9", "calibration", "pair"):
        page = client.get("/export/evaluate.html", params={"samples": "test", "view": view}).text
        is_alone(page)
        assert "whole test part" in words(page)
    query = {"samples": "test", "view": "table-4"}
    records = client.get("/export/evaluate.json", params=query).json()
    said = words(client.get("/export/evaluate.html", params=query).text)
    known_values = [one for one in records if one["column"] == "auc" and one["value"] is not None]
    assert known_values
    for one in known_values:
        assert f"{one['name']} " in said
        assert f"{one['value']:.3f}" in said


def test_the_samples_behind_a_side_are_on_the_page(client: TestClient) -> None:
    query = {"samples": "test", "view": "pair", "first": "UserMean", "second": "ItemMean", "show": "both"}
    page = client.get("/export/evaluate.html", params=query).text
    is_alone(page)
    records = client.get("/export/evaluate.json", params=query).json()
    both = [one for one in records if all((one[name] > 0.5) == one["liked"] for name in ("UserMean", "ItemMean"))]
    assert both
    said = words(page)
    assert f"{len(both)} samples both are right" in said
    for one in both[:25]:
        assert f"{one['user']} {'liked' if one['liked'] else 'not liked'} {one['UserMean']:.2f} right" in said


def test_a_story_is_told_with_links_that_lead_back() -> None:
    steps = tuple(StoryStep(view=view, sentence=f"Look {n}") for n, view in enumerate(("/?user=7", "/users?user=7")))
    listed = StoryEntry("k", Story(title="T", about="A", steps=steps), "2026-01-01 00:00 UTC")
    record = story_record(listed, "http://here")
    assert [step["link"] for step in record["steps"]] == ["http://here/?user=7", "http://here/users?user=7"]
    html = story_page(listed, "http://here", Players("made up", "one", "other", {}), MADE)
    # Links to follow, and nothing else that leads out.
    assert fetched_by(html) == [f"a href={step['link']}" for step in record["steps"]]
    assert "Look 0" in words(html)
    assert stories_record([listed], [])["shipped"][0]["steps"] == 2


def test_a_kept_story_is_found_by_its_link(client: TestClient) -> None:
    body = {"title": "Mine", "steps": [{"view": "/?user=7", "sentence": "Look."}]}
    key = client.post("/story", json=body).json()["story"]
    record = client.get("/export/stories.json", params={"story": key}).json()
    assert record["steps"][0]["link"] == "http://testserver/?user=7"
    assert "Look." in words(client.get("/export/stories.html", params={"story": key}).text)
    assert client.get("/export/stories.json").json()["told"][0]["story"] == key


def test_the_list_keeps_its_order_its_filter_and_its_page(workspace: Workspace) -> None:
    users, query = UsersService(workspace), UsersQuery(sort="-ratings", find="7")
    record, said = (
        users_record(users, query),
        words(users_page(UsersService(workspace), query, players_of(workspace), MADE)),
    )
    assert [row["user"] for row in record["users"]] == ["7"]
    every = users_record(users, UsersQuery(sort="-ratings"))
    counts = [row["ratings"] for row in every["users"]]
    assert counts == sorted(counts, reverse=True)
    assert (every["total"], record["found"]) == (8, 1)
    assert f"User 7 {record['users'][0]['ratings']} {record['users'][0]['mean']:.2f}" in said
    assert "sorted by ratings, largest first, ids with 7" in said


def test_what_needs_the_app_is_left_out_and_all_text_is_escaped() -> None:
    html = (
        '<nav class="chips"><a href="/a" data-go="x">other</a><a href="/b" aria-current="true">this one</a></nav>'
        '<p>Read <a class="open" href="/c">the words</a> and <a href="#past-3">its row</a><button>Press</button></p>'
        "<p data-control>Only here <b>and</b> inside</p><br><details><summary>More</summary>told</details>"
        '<svg viewBox="0 0 1 1"><a href="/d"><title>a point</title><path d="M0 0"/></a></svg>'
        '<i onclick="x()" tabindex="0" title="&quot;a&quot;">&lt;b&gt; &amp;amp;</i>'
    )
    assert still(html) == (
        '<nav class="chips"><b>this one</b></nav>'
        '<p>Read <span class="open">the words</span> and <a href="#past-3">its row</a></p>'
        "<br><details open><summary>More</summary>told</details>"
        '<svg viewbox="0 0 1 1"><g><title>a point</title><path d="M0 0"></path></g></svg>'
        '<i title="&quot;a&quot;">&lt;b&gt; &amp;amp;</i>'
    )


def test_names_are_plain() -> None:
    assert safe_name("a/b", '"\r\n', "电影", "x" * 400).startswith("rallrec-a-b-xxx")
    assert len(safe_name("x" * 400)) == 120
