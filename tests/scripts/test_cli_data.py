"""``rallrec prepare``, ``embed`` and ``doctor`` on small folders in MovieLens' format."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_process import Rallrec, as_json, command, one_line_error

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


def test_what_is_generated_lies_in_home_alone(rallrec: Rallrec, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    home = tmp_path / "home"
    environment = {"RALLREC_HOME": home, "RALLREC_ENCODER": "scripted", "RALLREC_SCRIPTED_DELAY": 0}
    raw = _raw(tmp_path / "raw")
    as_json(rallrec("prepare", "--source", raw, "--json", cwd=work, **environment))
    as_json(rallrec("embed", "--json", cwd=work, **environment))
    ask = ("predict", "--user", 1, "--item", 8, "--engine", "scripted", "--json")
    assert len(as_json(rallrec(*ask, cwd=work, **environment))["history"]) == 7
    assert list(work.iterdir()) == []
    assert sorted(path.name for path in raw.iterdir()) == ["movies.csv", "ratings.csv"]
    assert {path.name.split("-")[0].split(".")[0] for path in home.iterdir()} == {"artifacts", "datasets", "rallrec"}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files with 2,500 films: some seconds of embedding by the scripted encoder."""
    films = "".join(f"{n},{' '.join(f'w{n}x{i}' for i in range(40))} (1999),Drama\n" for n in range(1, 2501))
    return _raw(tmp_path_factory.mktemp("many") / "raw", "movieId,title,genres\n" + films)


def _embedding(home: Path, raw: Path, rallrec: Rallrec) -> dict[str, str]:
    environment = {"RALLREC_HOME": str(home), "RALLREC_ENCODER": "scripted"}
    as_json(rallrec("prepare", "--source", raw, "--json", **environment))
    return environment


def _interrupted(environment: dict[str, str], how: signal.Signals) -> tuple[Path, int, str]:
    """Start ``rallrec embed``, send the signal after its first chunk; the unfinished folder, exit code and stderr."""
    with subprocess.Popen(command("embed"), env=os.environ | environment, stderr=subprocess.PIPE, text=True) as process:
        artifacts = Path(environment["RALLREC_HOME"]) / "artifacts"
        while not list(artifacts.glob(".*.part/done.json")):
            assert process.poll() is None, "it ended before it could be interrupted"
            time.sleep(0.01)
        process.send_signal(how)
        _, stderr = process.communicate(timeout=30)
    [part] = artifacts.iterdir()
    assert part.name.endswith(".part")
    return part, process.returncode, stderr


def test_embedding_killed_midway_goes_on_and_ends_in_the_same_bytes(
    rallrec: Rallrec, many: Path, tmp_path: Path
) -> None:
    undisturbed = _embedding(tmp_path / "one", many, rallrec)
    expected = as_json(rallrec("embed", "--json", **undisturbed))
    killed = _embedding(tmp_path / "two", many, rallrec)
    part, code, _ = _interrupted(killed, signal.SIGKILL)
    assert code == -signal.SIGKILL
    (part / "chunk-000002304.npy").write_bytes(b"half a chunk, its note never written")
    resumed = as_json(rallrec("embed", "--json", **killed))
    assert resumed["rows"] == expected["rows"] == 2500
    ends = [Path(report["folder"]) for report in (expected, resumed)]
    assert (ends[0] / "vectors.npy").read_bytes() == (ends[1] / "vectors.npy").read_bytes()
    assert [sorted(path.name for path in end.iterdir()) for end in ends] == [["meta.json", "vectors.npy"]] * 2
    assert not list((tmp_path / "two" / "artifacts").glob(".*"))


def test_ctrl_c_while_embedding_says_that_what_was_finished_is_kept(
    rallrec: Rallrec, many: Path, tmp_path: Path
) -> None:
    environment = _embedding(tmp_path / "home", many, rallrec)
    part, code, stderr = _interrupted(environment, signal.SIGINT)
    assert code == 1
    assert stderr.splitlines()[-1] == "rallrec: stopped; what was finished is kept"
    assert "Traceback" not in stderr
    assert (part / "done.json").exists()


def test_finished_vectors_are_found_and_made_anew_only_on_request(rallrec: Rallrec, tmp_path: Path) -> None:
    environment = _embedding(tmp_path / "home", _raw(tmp_path / "raw"), rallrec)
    one = as_json(rallrec("embed", "--json", **environment))
    vectors = Path(one["folder"]) / "vectors.npy"
    before = vectors.stat().st_ino
    assert as_json(rallrec("embed", "--json", **environment)) == one
    assert vectors.stat().st_ino == before
    content = vectors.read_bytes()
    assert as_json(rallrec("embed", "--fresh", "--json", **environment))["folder"] == one["folder"]
    assert vectors.stat().st_ino != before
    assert vectors.read_bytes() == content


def test_the_shipped_dataset_finds_its_shipped_vectors(rallrec: Rallrec) -> None:
    report = as_json(rallrec("embed", "--json"))
    assert report["bundled"] is True
    assert (report["rows"], report["dimensions"]) == (9125, 576)


def test_doctor_reports_every_part_with_a_state(rallrec: Rallrec, tmp_path: Path) -> None:
    done = rallrec("doctor", "--json", RALLREC_HOME=tmp_path / "new", RALLREC_ENGINE="scripted")
    findings = {finding["name"]: finding for finding in as_json(done)["findings"]}
    assert {"python", "processor", "disk", "gpu", "torch", "dataset", "vectors", "database"} <= set(findings)
    assert {finding["state"] for finding in findings.values()} <= {"ok", "optional"}
    assert findings["dataset"]["fix"] == "rallrec prepare --dataset ml-latest-small"
    assert not (tmp_path / "new").exists(), "the doctor only looks"


def test_doctor_fails_where_something_is_missing_and_says_what_mends_it(rallrec: Rallrec, tmp_path: Path) -> None:
    environment = _embedding(tmp_path / "home", _raw(tmp_path / "raw"), rallrec)
    done = rallrec("doctor", **environment)
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("missing")]
    assert "vectors" in line
    assert "rallrec embed --dataset ml-latest-small" in line


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
