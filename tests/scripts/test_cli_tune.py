"""``rallrec tune``: a plan, an adapter, the same one again, and a run that was interrupted; the last as a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.backend.training.tiny_models import save_tiny
from tests.conftest import small_movies, small_ratings, write_movielens
from tests.scripts.cli_process import Rallrec, as_json, done_here, interrupted, one_line_error
from tests.scripts.test_cli_precompute import SMALL

LITTLE = {
    "samples": 8, "held_out": 4, "k": 2, "epochs": 1, "orders": 1, "batch_size": 4, "rounds": 2, "base": "float32",
    "layers": 0, "targets": ["q_proj"],
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="module")
def settings(tiny: Path) -> dict[str, str]:
    """The tiny model as M_G and M_R; items are still described and encoded by the scripted engine."""
    tables = {f"RALLREC_{name}": json.dumps(LITTLE) for name in ("TUNE", "REASONER")}
    models = {f"RALLREC_{role}_MODEL": str(tiny) for role in ("TUNED", "REASONING")}
    return SMALL | tables | models | {"RALLREC_ENGINE": "transformers", "RALLREC_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Path:
    """A home with item vectors and a tuned expert."""
    folder = tmp_path_factory.mktemp("tune")
    raw = write_movielens(folder / "raw", small_movies(), small_ratings())
    for arguments in (("prepare", "--source", raw), ("tune",)):
        done_here(*arguments, cwd=folder, environment=settings | {"RALLREC_HOME": folder / "home"})
    return folder / "home"


def _last(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What is said of the adapter, the last one of the plan."""
    row: dict[str, Any] = as_json(done)["artifacts"][-1]
    return row


def test_a_tuned_expert_is_there_and_is_not_tuned_again(rallrec: Rallrec, ready: Path, settings: Any) -> None:
    row = _last(rallrec("tune", "--json", RALLREC_HOME=ready, **settings))
    assert (row["stage"], row["artifact"], row["state"]) == ("tune-rallrec", "rallrec", "ready")
    assert row["why"].startswith("made 2")
    assert row["facts"]["recipe"]["config"]["samples"] == 8
    assert set(row["facts"]["scores"]) == {"auc", "log_loss", "accuracy"}
    assert (Path(row["folder"]) / "adapter_model.safetensors").is_file()
    assert not [row for row in as_json(rallrec("precompute", "--dry-run", "--json", RALLREC_HOME=ready, **settings))[
        "artifacts"] if row["stage"].startswith("tune")]  # fmt: skip


@pytest.mark.parametrize("recipe", ["rella", "reasoner"])
def test_a_dry_run_says_what_would_be_tuned_and_makes_nothing(
    recipe: str, rallrec: Rallrec, ready: Path, settings: Any
) -> None:
    before = sorted(ready.rglob("*"))
    row = _last(rallrec("tune", "--recipe", recipe, "--dry-run", "--json", RALLREC_HOME=ready, **settings))
    assert (row["stage"], row["state"]) == (f"tune-{recipe}", "missing")
    # "never made", or what differs from one that ships with the program
    assert row["why"].endswith("; it is made only when asked for")
    other_rank = settings | {"RALLREC_TUNE__RANK": "3"}
    text = rallrec("tune", "--dry-run", RALLREC_HOME=ready, **other_rank).stdout
    assert "config.rank: 8 -> 3" in text
    assert "to be made" in text.splitlines()[-1]
    assert sorted(ready.rglob("*")) == before


def test_fresh_tunes_anew_with_the_same_outcome(rallrec: Rallrec, ready: Path, settings: Any, tmp_path: Path) -> None:
    home = Path(shutil.copytree(ready, tmp_path / "home"))
    old = _last(rallrec("tune", "--dry-run", "--json", RALLREC_HOME=home, **settings))
    done = rallrec("tune", "--fresh", "--json", RALLREC_HOME=home, **settings)
    new = _last(done)
    assert new["why"] == "made now"
    assert new["facts"]["files"] == old["facts"]["files"]
    assert "made rallrec in " in done.stderr
    assert "Loading weights" not in done.stderr, "no bar but the program's own"


def test_ctrl_c_keeps_finished_rounds_and_the_next_run_goes_on(
    rallrec: Rallrec, ready: Path, settings: Any, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(ready, tmp_path / "home"))
    longer = settings | {"RALLREC_TUNE": json.dumps(LITTLE | {"epochs": 400, "rounds": 400, "patience": 400})}
    environment = os.environ | longer | {"RALLREC_HOME": str(home)}
    code, stderr = interrupted(
        ("tune",), environment, lambda: list(home.glob("artifacts/.rallrec-*.part/scratch/checkpoint.pt"))
    )
    assert code == 1
    assert stderr.splitlines()[-1] == "rallrec: stopped; what was finished is kept"
    assert "Traceback" not in stderr
    assert _last(rallrec("tune", "--dry-run", "--json", RALLREC_HOME=home, **longer))["state"] == "begun"


def test_an_adapter_that_is_tuned_answers_in_a_prediction(rallrec: Rallrec, ready: Path, settings: Any) -> None:
    predict_command = ("predict", "--user", 7, "--item", 2, "--traces", 1, "--max-tokens", 4, "--json")
    done = as_json(rallrec(*predict_command, RALLREC_HOME=ready, **settings))
    text = json.dumps(done)
    assert '"rallrec-' in text, "the expert is named by the hash of its weights"
    assert '"reasoner' not in text, "none was tuned: the base reasons"


@pytest.mark.parametrize(
    ("arguments", "changed", "code", "said"),
    [
        (("--recipe", "best"), {}, 2, "hybrid, rallrec, reasoner, recent, rella"),
        (("--dry-run",), {"RALLREC_TUNE__RANK": "0"}, 2, "tune.rank"),
        (("--dry-run",), {"RALLREC_TUNE__BASE": "4bit"}, 2, "tune.base"),
        ((), {"RALLREC_ENGINE": "scripted"}, 2, "no weights to tune"),
        ((), {"RALLREC_TUNED_MODEL": "/nowhere/at-all"}, 1, "could not be loaded to be tuned"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: Any, changed: Any, code: int, said: str, rallrec: Rallrec, ready: Path, settings: Any
) -> None:
    done = rallrec("tune", *arguments, RALLREC_HOME=ready, **settings | changed)
    assert said in one_line_error(done, code)
