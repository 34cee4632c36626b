"""The item map's dots: what is sent, to whom, and what is said where there is no map."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from app.predict.map_data import ItemMaps, map_content
from app.server import create_app
from app.shared.genres import GENRES
from backend.datasets import Dataset
from backend.errors import NotPreparedError, UnknownNameError
from backend.representation import VARIANTS
from storage.workspace import Workspace
from tests.app.conftest import settings_of


@pytest.fixture(scope="module")
def client(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("map") / "home"))
    with TestClient(create_app(settings_of(home)), raise_server_exceptions=False) as opened:
        yield opened


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_item_has_a_place_a_genre_and_a_title(workspace: Workspace, variant: str) -> None:
    data, flat = workspace.dataset(), workspace.flat_map(variant)
    told = json.loads(ItemMaps(workspace).body(data.meta.name, variant).plain)
    assert {len(told[name]) for name in ("x", "y", "genre", "titles")} == {data.n_items}
    assert told["titles"] == [data.item_label(code) for code in range(data.n_items)]
    for code in range(data.n_items):
        at = told["x"][code], told["y"][code]
        if flat[code].any():
            assert np.array(at) / told["steps"] == pytest.approx(flat[code], abs=0.51 / told["steps"])
        else:
            assert at == (None, None)
        first = data.categories[code][0] if data.categories[code] else "other"
        assert told["genres"][told["genre"][code]] == first
    assert told["unplaced"] == told["x"].count(None)
    assert told["counts"] == [told["genre"].count(place) for place in range(len(told["genres"]))]


def test_the_commonest_genres_have_a_colour_and_the_rest_share_one(small: Dataset) -> None:
    # Item i's genre is "g<n>", n falling with i: the lower, the more common.
    names = [(f"g{int(np.sqrt(code) * 3)}",) for code in range(small.n_items)]
    items = small.items.assign(categories=pd.Series(names, index=small.items.index))
    told = map_content(replace(small, items=items), np.ones((small.n_items, 2)))
    assert len(told["genres"]) == GENRES + 1
    assert told["genres"][-1] == "other"
    assert told["counts"][:-1] == sorted(told["counts"][:-1], reverse=True)
    assert sum(told["counts"]) == small.n_items
    nothing = small.items.assign(categories=pd.Series([()] * small.n_items, index=small.items.index))
    assert map_content(replace(small, items=nothing), np.ones((small.n_items, 2)))["genres"] == ["other"]


def test_it_is_sent_zipped_and_not_twice(client: TestClient) -> None:
    url = "/map/ml-latest-small/concat%2Bssl"
    first = client.get(url)
    assert (first.status_code, first.headers["content-encoding"]) == (200, "gzip")
    assert first.headers["content-type"] == "application/json"
    plain = client.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == first.json()
    again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/map/ml-latest-small/text").headers["etag"] != first.headers["etag"]


def test_the_same_map_is_made_once_and_the_same_bytes_each_time(workspace: Workspace) -> None:
    maps = ItemMaps(workspace)
    body = maps.body("ml-latest-small", "text")
    assert maps.body("ml-latest-small", "text") is body
    assert ItemMaps(workspace).body("ml-latest-small", "text") == body
    assert gzip.decompress(body.zipped) == body.plain


@pytest.mark.parametrize(
    "path", ["nothing/text", "ml-latest-small/nothing", "../text", "%2e%2e/text", "..%2f..%2fetc/passwd", "%00/text"]
)
def test_an_unknown_map_is_not_found_without_internals(client: TestClient, path: str) -> None:
    answer = client.get(f"/map/{path}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text
    assert "site-packages" not in answer.text


def test_a_map_that_was_never_made_is_said_with_its_command(home: Path) -> None:
    for folder in (home / "artifacts").glob("map-*"):
        shutil.rmtree(folder)
    with TestClient(create_app(settings_of(home))) as client:
        answer = client.get("/map/ml-latest-small/text")
        assert answer.status_code == 503
        assert answer.headers["cache-control"] == "no-store"
        told: dict[str, Any] = answer.json()
        assert "rallrec precompute --until map" in told["problem"]
        workspace = Workspace(settings_of(home))
        with pytest.raises(NotPreparedError):
            ItemMaps(workspace).body("ml-latest-small", "text")
        workspace.precompute().run(until="map")
        assert client.get("/map/ml-latest-small/text").status_code == 200
        with pytest.raises(UnknownNameError):
            ItemMaps(workspace).body("ml-latest-small", "texts")
