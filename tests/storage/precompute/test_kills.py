"""``precompute`` killed twenty times at random moments ends in the very bytes of an undisturbed run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend import datasets
from storage.precompute.artifacts import META
from storage.precompute.graph import STAGES
from tests.conftest import ROOT, small_movies, small_ratings, write_movielens

KILLS = 20
# What says when and for how long: all else must be the same.
_TIMES = ("made", "seconds")


def _contents(home: Path) -> dict[str, Any]:
    """Every file of the finished artifacts; of a meta.json, all but the times."""
    contents: dict[str, Any] = {}
    for path in sorted((home / "artifacts").rglob("*")):
        name = str(path.relative_to(home))
        if path.is_file() and path.name == META:
            contents[name] = {key: value for key, value in json.loads(path.read_bytes()).items() if key not in _TIMES}
        elif path.is_file() and path.parent.name != ".locks":
            contents[name] = path.read_bytes()
    return contents


def _runs(folder: Path, kills: int) -> dict[str, Any]:
    """What the kill runner reports over its own copy of a prepared home."""
    raw = write_movielens(folder / "raw", small_movies(32), small_ratings())
    datasets.prepare("ml-latest-small", folder / "home" / "datasets", source=raw)
    command = [sys.executable, "-m", "tests.storage.precompute.kill_runner", str(folder), str(kills), "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.timeout(900)
def test_twenty_kills_at_random_moments_change_no_byte(tmp_path: Path) -> None:
    [calm] = _runs(tmp_path / "calm", 0)["homes"]
    undisturbed = _contents(Path(calm))
    assert sum(name.endswith(META) for name in undisturbed) == sum(not stage.extra for stage in STAGES)
    report = _runs(tmp_path / "killed", KILLS)
    assert len(report["places"]) == KILLS
    # The kills fell into several stages, so that the test says something about each.
    assert len({place.split("-")[0] for place in report["places"]}) >= 4, report
    for home in report["homes"]:
        killed = _contents(Path(home))
        assert killed.keys() == undisturbed.keys()
        for name, content in killed.items():
            assert content == undisturbed[name], name
