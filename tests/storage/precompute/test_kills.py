"""``precompute`` killed in every stage ends in the very bytes of an undisturbed run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from backend import datasets
from storage.precompute.artifacts import META
from storage.precompute.graph import STAGES
from tests.conftest import ROOT, small_movies, small_ratings, write_movielens

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


def test_kills_in_every_stage_change_no_byte(tmp_path: Path) -> None:
    raw = write_movielens(tmp_path / "raw", small_movies(32), small_ratings())
    datasets.prepare("ml-latest-small", tmp_path / "home" / "datasets", source=raw)
    command = [sys.executable, "-m", "tests.storage.precompute.kill_runner", str(tmp_path), "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    undisturbed = _contents(tmp_path / "calm")
    stages = [stage for stage in STAGES if not stage.extra]
    assert sum(name.endswith(META) for name in undisturbed) == len(stages)
    # Some stages are over so soon that the kill may fall behind them.
    assert len(report["places"]) >= 2 * len(stages) - 4, report
    assert len({place.rpartition("-")[0] for place in report["places"]}) >= len(stages) - 4, report
    for home in report["homes"]:
        killed = _contents(Path(home))
        assert killed.keys() == undisturbed.keys()
        for name, content in killed.items():
            assert content == undisturbed[name], name
