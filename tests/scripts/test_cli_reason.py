"""``rallrec reason`` on the shipped dataset, with the scripted engine, as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from backend.batch import Count
from backend.datasets import Dataset
from backend.engines.scripted import FAIL_MARK
from backend.errors import UsageError
from backend.settings import Settings
from scripts import reason
from storage import open_database
from storage.database.tables import AnswerRow, TraceRow
from storage.jobs.pace import duration
from storage.kept.sample_list import read_samples
from storage.workspace import Workspace
from tests.conftest import small_movies, small_ratings, write_movielens
from tests.scripts.cli_process import Rallrec, as_json, command, one_line_error
from tests.scripts.test_cli_precompute import SMALL

FAST: dict[str, Any] = {"RALLREC_SCRIPTED_DELAY": 0, "RALLREC_ENGINE": "scripted"}
SOME = ("reason", "--limit", 6, "--users", 3, "--traces", 3)
EACH = ("--gamma", 0, "--gamma", 1, "--knowledge", "paper", "--knowledge", "none")


@pytest.fixture
def database(tmp_path: Path) -> dict[str, Any]:
    """A database of its own in the shared home."""
    return FAST | {"RALLREC_DATABASE_URL": f"sqlite:///{tmp_path / 'own.db'}"}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _stored(environment: dict[str, Any]) -> tuple[int, int]:
    opened = open_database(environment["RALLREC_DATABASE_URL"])
    with opened.session(read_only=True) as session:
        counts = [session.execute(select(func.count()).select_from(row)).scalar_one() for row in (AnswerRow, TraceRow)]
    opened.close()
    return counts[0], counts[1]


def test_all_combinations_are_asked_kept_and_written_and_the_second_time_nothing_runs(
    rallrec: Rallrec, database: dict[str, Any], tmp_path: Path
) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    first = as_json(rallrec(*SOME, *EACH, "--out", one, "--json", **database))
    assert (first["samples"], first["users"], first["complete"], first["failures"]) == (6, 3, 24, [])
    assert [(way["gamma"], way["knowledge"]) for way in first["recipes"]] == [
        (0.0, "paper"), (0.0, "none"), (1.0, "paper"), (1.0, "none"),
    ]  # fmt: skip
    assert (first["answers"]["run"], first["chains"]["run"]) == _stored(database)
    assert first["chains"]["wanted"] == 3 * first["chains"]["prompts"]
    assert first["chains"]["tokens_per_second"] > 0
    second = as_json(rallrec(*SOME, *EACH, "--out", two, "--json", **database))
    assert (second["answers"]["run"], second["chains"]["run"]) == (0, 0)
    assert second["answers"]["cached"] == first["answers"]["run"]
    assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["one.jsonl", "two.jsonl"]
    more = as_json(rallrec(*SOME[:-1], 4, *EACH, "--json", **database))
    assert (more["answers"]["run"], more["chains"]["run"]) == (0, first["chains"]["prompts"])


def test_a_line_says_what_predict_says(rallrec: Rallrec, database: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    as_json(rallrec(*SOME, *EACH, "--out", out, "--json", **database))
    lines = _lines(out)
    assert len(lines) == 24
    line = lines[6]
    options = ("--gamma", line["gamma"], "--knowledge", line["knowledge"], "--traces", 3)
    alone = as_json(rallrec("predict", "--user", line["user"], "--item", line["item"], *options, "--json", **database))
    assert alone["cached"] is True
    for name in ("user", "item", "label", "p_g", "var_g", "p_r", "var_r", "p_final", "gamma", "recipe"):
        assert line[name] == alone[name], name
    assert line["verdicts"] == sum(trace["verdict"] != "no_answer" for trace in alone["traces"])
    assert line["traces"] == 3
    assert line["row"] >= 0


def test_the_tuned_model_alone(rallrec: Rallrec, database: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    report = as_json(rallrec(*SOME[:-2], "--answers-only", "--out", out, "--json", **database))
    assert (report["chains"]["wanted"], _stored(database)[1]) == (0, 0)
    for line in _lines(out):
        assert line["p_final"] == line["p_g"]
        assert (line["p_r"], line["traces"]) == (None, 0)
    said = one_line_error(rallrec(*SOME, "--answers-only", **database), 2)
    assert "--traces" in said


def test_a_list_of_samples_and_the_earliest_of_a_part(
    rallrec: Rallrec, database: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    sample_list = tmp_path / "list.csv"
    sample_list.write_text("\ufeffitem,note,user\n1,x,15\n2,y,15\n\n1,again,15\n", "utf-8")
    quick = ("--traces", 1, "--out", out, "--json")
    as_json(rallrec("reason", "--samples", sample_list, *quick, **database))
    assert [(line["user"], line["item"]) for line in _lines(out)] == [("15", "1"), ("15", "2"), ("15", "1")]
    assert _lines(out)[0] == _lines(out)[2]
    as_json(rallrec("reason", "--part", "validation", "--limit", 2, *quick, **database))
    assert len(_lines(out)) == 2
    assert all(line["label"] in (0, 1) for line in _lines(out))


def test_the_report_for_people_and_the_lines_of_a_run_in_the_background(
    rallrec: Rallrec, database: dict[str, Any]
) -> None:
    done = rallrec(*SOME, **database)
    assert done.returncode == 0, done.stderr
    assert "6 samples of 3 users, 1 recipes: 6 of 6 predictions are complete." in done.stdout
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[2:]}
    assert rows["answers"][:5] == ["18", "18", "0", "18", "0"]
    assert rows["chains"][:5] == ["6", "18", "0", "18", "0"]
    said = done.stderr.splitlines()
    assert said[0] == "answers: 0 of 18 (0 from the cache)"
    assert said[-1].startswith("chains: 18 of 18 (0 from the cache), ")
    assert rallrec(*SOME, **database).stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_keeps_what_is_done_says_how_much_and_the_same_command_goes_on(
    rallrec: Rallrec, home: Path, database: dict[str, Any], tmp_path: Path, number: int
) -> None:
    out = tmp_path / "out.jsonl"
    ask = (*SOME, "--out", out)
    slow = {**database, "RALLREC_SCRIPTED_DELAY": 0.05, "RALLREC_HOME": home}
    environment = os.environ | {name: str(value) for name, value in slow.items()}
    with subprocess.Popen(command(*ask), env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        while not (tmp_path / "own.db").exists() or not _stored(database)[1]:
            assert process.poll() is None, "it ended before it could be interrupted"
            time.sleep(0.05)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    answers, chains = _stored(database)
    assert 0 < chains < 18
    last = stderr.splitlines()[-1]
    assert last.startswith(f"rallrec: Stopped; {answers} of 18 answers and {chains} of 18 chains are kept")
    assert not out.exists()
    report = as_json(rallrec(*ask, "--json", **database))
    assert (report["answers"]["run"], report["answers"]["cached"]) == (18 - answers, answers)
    assert (report["chains"]["run"], report["chains"]["cached"]) == (18 - chains, chains)
    assert len(_lines(out)) == 6


def test_prompts_that_fail_are_counted_and_named_and_the_others_are_there(rallrec: Rallrec, tmp_path: Path) -> None:
    movies = [(n, f"{FAIL_MARK} {title}" if n == 30 else title, genres) for n, title, genres in small_movies()]
    raw = write_movielens(tmp_path / "raw", movies, small_ratings())
    variables = SMALL | {"RALLREC_HOME": str(tmp_path / "home"), "RALLREC_DESCRIBE__ITEMS": "1"}
    assert rallrec("prepare", "--source", raw, **variables).returncode == 0
    assert rallrec("precompute", "--until", "mix", **variables).returncode == 0
    out = tmp_path / "out.jsonl"
    done = rallrec("reason", "--part", "train", "--traces", 2, "--k", 3, "--out", out, "--json", **variables)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    lines = _lines(out)
    broken = [line for line in lines if line["p_final"] is None]
    assert 0 < len(broken) == len(report["failures"]) < len(lines) == report["samples"]
    assert report["complete"] == len(lines) - len(broken)
    assert report["answers"]["failed_prompts"] >= len(broken)
    assert {failure["problem"] for failure in report["failures"]} == {f"The prompt contains {FAIL_MARK}"}
    assert report["failures"][0]["sample"] == f"user {broken[0]['user']}, item {broken[0]['item']}"
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"rallrec: {report['answers']['failed_prompts']} prompts failed; user ")
    assert "only what is missing" in last
    again = rallrec("reason", "--part", "train", "--traces", 2, "--k", 3, "--json", **variables)
    assert (json.loads(again.stdout)["answers"]["run"], json.loads(again.stdout)["chains"]["run"]) == (0, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--part", "all"), "train"),
        (("--users", 9_000, "--limit", 3), "users were asked for"),
        (("--gamma", 0.5, "--gamma", 7), "gamma is 7"),
        (("--knowledge", "loud"), "knowledge is 'loud'"),
        (("--out", "nowhere/x.jsonl"), "folder that exists"),
        (("--samples", "missing.csv"), "missing.csv cannot be read"),
        (("--samples", "list.csv", "--part", "test"), "together with --part"),
    ],
)
def test_wrong_use_is_one_line(rallrec: Rallrec, options: tuple[Any, ...], said: str) -> None:
    assert said in one_line_error(rallrec("reason", *options, **FAST), 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"user,item\n5,1\n5,nothing\n", ", line 3: .*'nothing'"),
        (b"user,item\n\nnobody,1\n", ", line 3: .*No user 'nobody'"),
        (b"user,item\n5\n", ", line 2: .*1 values"),
        (b"user;item\n5;1\n", ", line 1: .*the columns user,item"),
        (b"", ", line 1: .*the columns user,item"),
        (b"user,item\n", ".*lists no sample"),
        (b"user,item\n\xff\xfe,1\n", " cannot be read"),
    ],
)
def test_a_list_that_cannot_be_asked_is_refused_with_its_line(
    small: Dataset, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"{re.escape(str(path))}{said}"):
        read_samples(path, small)


def test_a_sample_with_too_short_a_past_is_refused_with_its_line(rallrec: Rallrec, home: Path, tmp_path: Path) -> None:
    data = Workspace(Settings(home=home, engine="scripted")).dataset()
    first = data.item_ids[data.item_index[data.user_rows(data.user_code("15")).start]]
    (tmp_path / "list.csv").write_text(f"user,item\n15,1\n15,{first}\n", "utf-8")
    message = one_line_error(rallrec("reason", "--samples", "list.csv", **FAST), 2)
    assert "list.csv, line 3: User 15 has 0 ratings before" in message


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (9000, "2.5 h")])
def test_how_long_it_takes_is_said_in_a_unit_that_fits(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_log_says_how_far_it_is_and_how_long_it_takes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(reason.time, "monotonic", lambda: clock[0])
    log = reason.CountLog(lambda what, fraction: None)
    count = Count("chains", prompts=200, wanted=1200, known=200)
    for seconds in range(0, 100, 10):
        clock[0] = 100.0 + seconds
        count.made, count.seconds = seconds, float(seconds)
        log(count)
    count.failed, count.lost, count.made = 1, 10, 990
    log(count)
    assert capsys.readouterr().err.splitlines() == [
        "chains: 200 of 1,200 (200 from the cache)",
        "chains: 230 of 1,200 (200 from the cache), 1.0 per second, about 16 min left",
        "chains: 260 of 1,200 (200 from the cache), 1.0 per second, about 16 min left",
        "chains: 290 of 1,200 (200 from the cache), 1.0 per second, about 15 min left",
        "chains: 1,190 of 1,200 (200 from the cache), 1 prompts failed, 11.0 per second",
    ]
    log(Count("answers", prompts=3, wanted=3, known=3))
    assert capsys.readouterr().err == ""


def test_results_of_unknown_precision_are_asked_again_and_nothing_else(
    rallrec: Rallrec, database: dict[str, Any]
) -> None:
    """Made-up answers have no precision that could be unknown."""
    again = ("reason", "--again", "unknown")
    assert as_json(rallrec(*again, "--json", **database)) == {"asked": 0, "cut": 0, "not_here": {}}
    assert "0 answers and chains were asked again" in rallrec(*again, **database).stdout
    assert "leave them out" in one_line_error(rallrec(*again, "--limit", 3, **database), 2)
    assert "'everything'" in one_line_error(rallrec("reason", "--again", "everything", **database), 2)
