"""``rallrec prepare`` and ``doctor`` on small folders in MovieLens' format."""

from __future__ import annotations

from pathlib import Path

from tests.scripts.cli_process import Rallrec, as_json, one_line_error

MOVIES = "movieId,title,genres\n" + "".join(f"{n},Film {n} (1999),Drama\n" for n in range(1, 9))
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(f"1,{n},4.0,{n}\n" for n in range(1, 9))


def _raw(folder: Path, movies: str = MOVIES, ratings: str = RATINGS) -> Path:
    folder.mkdir()
    (folder / "movies.csv").write_text(movies, "utf-8")
    (folder / "ratings.csv").write_text(ratings, "utf-8")
    return folder


def test_prepare_reports_what_it_read(rallrec: Rallrec, tmp_path: Path) -> None:
    report = as_json(rallrec("prepare", "--source", _raw(tmp_path / "raw"), "--json", RALLREC_HOME=tmp_path / "home"))
    assert (report["users"], report["items"], report["interactions"], report["samples"]) == (1, 8, 8, 3)
    assert report["split"] == {"how": "chronological", "train": 2, "validation": 0, "test": 1}
    assert report["skipped"] == {}
    assert report["models"] == []


def test_a_broken_row_is_one_line_with_file_and_line_and_nothing_is_written(rallrec: Rallrec, tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw", ratings=RATINGS.replace("1,3,4.0,3", "1,3,great,3"))
    line = one_line_error(rallrec("prepare", "--source", raw, "--json", RALLREC_HOME=tmp_path / "home"), 1)
    assert "ratings.csv" in line
    assert "line 4" in line
    assert "great" in line
    assert "--skip-bad-rows" in line
    assert not (tmp_path / "home" / "datasets" / "ml-latest-small").exists()


def test_bad_rows_can_be_skipped_and_are_counted_and_shown(rallrec: Rallrec, tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw", ratings=RATINGS.replace("1,3,4.0,3", "1,3,great,3"))
    done = rallrec("prepare", "--source", raw, "--skip-bad-rows", "--json", RALLREC_HOME=tmp_path / "home")
    report = as_json(done)
    assert sum(report["skipped"].values()) == 1
    assert report["interactions"] == 7
    assert "left out: " in done.stderr
    assert "line 4" in done.stderr


def test_a_source_that_is_not_there_is_one_line(rallrec: Rallrec, tmp_path: Path) -> None:
    assert "nowhere" in one_line_error(rallrec("prepare", "--source", "nowhere", RALLREC_HOME=tmp_path / "home"), 1)


def test_doctor_reports_every_part_with_a_state(rallrec: Rallrec, tmp_path: Path) -> None:
    done = rallrec("doctor", "--json", RALLREC_HOME=tmp_path / "new", RALLREC_ENGINE="scripted")
    findings = {finding["name"]: finding for finding in as_json(done)["findings"]}
    assert {"python", "processor", "disk", "gpu", "torch", "dataset", "vectors", "database"} <= set(findings)
    assert {finding["state"] for finding in findings.values()} <= {"ok", "optional"}
    assert findings["dataset"]["fix"] == "rallrec prepare --dataset ml-latest-small"
    assert not (tmp_path / "new").exists(), "the doctor only looks"


def test_doctor_fails_where_something_is_missing_and_says_what_mends_it(rallrec: Rallrec, tmp_path: Path) -> None:
    environment = {"RALLREC_HOME": tmp_path / "home", "RALLREC_ENCODER": "scripted"}
    as_json(rallrec("prepare", "--source", _raw(tmp_path / "raw"), "--json", **environment))
    done = rallrec("doctor", **environment)
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("missing")]
    assert "vectors" in line
    assert "rallrec precompute" in line


def test_doctor_does_not_make_the_database_that_it_looks_for(rallrec: Rallrec, tmp_path: Path) -> None:
    database = tmp_path / "elsewhere.db"
    rallrec("doctor", "--json", RALLREC_ENGINE="scripted", RALLREC_DATABASE_URL=f"sqlite:///{database}")
    assert not database.exists()


def test_serving_where_something_listens_already_is_one_line(rallrec: Rallrec) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = one_line_error(rallrec("serve", "--port", port, "--engine", "scripted"), 2)
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line
