"""``rallrec data`` as people run it, on made-up sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.datasets.made import write_bookcrossing, write_custom
from tests.scripts.cli_process import Rallrec, as_json, one_line_error


def test_import_and_stats_tell_the_same(rallrec: Rallrec, tmp_path: Path) -> None:
    home = tmp_path / "home"
    raw = write_bookcrossing(tmp_path / "raw")
    done = as_json(
        rallrec("data", "import", raw, "--name", "bx", "--format", "bookcrossing", "--json", RALLREC_HOME=home)
    )
    told = as_json(rallrec("data", "stats", "--dataset", "bx", "--json", RALLREC_HOME=home))
    assert {name: done[name] for name in told} == told
    assert set(told) >= {"users", "items", "samples", "train", "valid", "test", "fields", "features", "order"}
    assert (told["users"], told["samples"], told["train"], told["valid"], told["test"]) == (60, 60, 54, 0, 6)
    assert (told["fields"], told["features"]) == (8, sum(told["cardinalities"].values()))
    assert told["order"] == "arbitrary"
    said = rallrec("data", "stats", "--dataset", "bx", RALLREC_HOME=home).stdout
    assert "Order is arbitrary here" in said
    assert "a book or user that is not listed" in said
    more = as_json(
        rallrec(
            "data", "import", raw, "--name", "bx", "--format", "bookcrossing", "--samples", "all", "--split",
            "per-user", "--train", 0.8, "--validation", 0.1, "--k-core", 8, "--implicit", "drop", "--json",
            RALLREC_HOME=home,
        )
    )  # fmt: skip
    assert more["samples"] > told["samples"]
    assert more["valid"] > 0
    assert more["data_hash"] != told["data_hash"]


def test_a_dataset_that_ships_cannot_be_replaced_and_an_unknown_one_is_told(rallrec: Rallrec, tmp_path: Path) -> None:
    said = one_line_error(rallrec("data", "import", ".", "--name", "ml-latest-small", "--format", "ml-csv"), 2)
    assert "take another name" in said
    assert "rallrec data import" in one_line_error(rallrec("data", "stats", "--dataset", "nope"), 2)
    assert "needs a mapping file" in one_line_error(
        rallrec("data", "import", tmp_path, "--name", "mine", "--format", "custom"), 2
    )


def test_describe_guesses_and_import_reads_by_it(rallrec: Rallrec, tmp_path: Path) -> None:
    raw = write_custom(tmp_path / "raw")
    told = as_json(rallrec("data", "describe", raw / "plays.csv", "--yes", "--json", RALLREC_HOME=tmp_path))
    assert told["columns"] == {
        "user": "player", "item": "game", "rating": "stars", "timestamp": "when", "title": "", "year": "",
        "categories": "",
    }  # fmt: skip
    words = told["command"].replace("--name NAME", "--name games").split()[1:]
    done = as_json(rallrec(*words, "--json", RALLREC_HOME=tmp_path))
    assert (done["users"], done["items"], done["interactions"]) == (40, 30, 700)
    assert done["cardinalities"]["sex"] == 2


def test_describe_asks_until_the_answers_fit(rallrec: Rallrec, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("who,what,mark,called\na,1,2,One\nb,2,4,Two\n")
    # after the columns: the scale, what it counts, the label rule, the domain, three words (the second is its own)
    answers = "nobody\nwho\nwhat\nmark\n\ncalled\n\n\n0\n10\n\n2\ny\nbooks\n\nnovels\n\n"
    done = rallrec("data", "describe", file, typed=answers)
    assert done.returncode == 0, done.stderr
    assert "There is no column 'nobody'" in done.stderr
    written = (tmp_path / "mine.csv.mapping.toml").read_text("utf-8")
    for line in ('user = "who"', 'title = "called"', "min = 0.0", "max = 10.0", "threshold = 2.0", 'domain = "books"'):
        assert line in written
    for line in ('unit = "points"', "inclusive = true", 'items = "novels"'):
        assert line in written
    assert "item =" not in written.split("[words]")[1]
    assert "timestamp =" not in written
    (tmp_path / "mine.csv.mapping.toml").write_text(f"{written}# corrected by hand\n")
    said = one_line_error(rallrec("data", "describe", file, "--yes"), 2)
    assert "--force" in said
    assert "corrected by hand" in (tmp_path / "mine.csv.mapping.toml").read_text("utf-8")


def test_data_that_takes_the_place_of_other_data_is_told(rallrec: Rallrec, tmp_path: Path) -> None:
    raw = write_custom(tmp_path / "raw")
    words = ("data", "import", raw / "plays.csv", "--name", "games", "--format", "custom", "--json")
    words = (*words, "--mapping", as_json(rallrec("data", "describe", raw / "plays.csv", "--yes", "--json"))["mapping"])
    first, again = (as_json(rallrec(*words, RALLREC_HOME=tmp_path)) for _ in range(2))
    assert (first["replaced"], again["replaced"]) == (False, False)
    third = rallrec(*words, "--k-core", "2", "--min-history", "3", RALLREC_HOME=tmp_path)
    assert as_json(third)["replaced"]
    assert "Other data was called games" in third.stderr


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (("--min-history", "50"), "0 samples"),
        (("--train", "0.001"), "leaves none to learn from"),
    ],
)
def test_data_without_a_sample_to_learn_from_is_refused_and_replaces_nothing(
    rallrec: Rallrec, small_source: Path, tmp_path: Path, rules: tuple[str, ...], said: str
) -> None:
    words = ("data", "import", small_source, "--name", "short", "--format", "ml-csv")
    as_json(rallrec(*words, "--json", RALLREC_HOME=tmp_path))
    line = one_line_error(rallrec(*words, *rules, RALLREC_HOME=tmp_path), 1)
    assert "no training sample" in line
    assert said in line
    assert "--min-history" in line
    assert as_json(rallrec("data", "stats", "--dataset", "short", "--json", RALLREC_HOME=tmp_path))["train"]


def test_fetch_asks_for_the_licence_and_knows_its_names(rallrec: Rallrec, tmp_path: Path) -> None:
    said = rallrec("data", "fetch", "ml-1m", RALLREC_HOME=tmp_path / "home")
    assert said.returncode == 2
    assert "GroupLens" in said.stderr
    assert "--accept-licence" in said.stderr
    assert not (tmp_path / "home").exists()
    assert "bookcrossing" in one_line_error(rallrec("data", "fetch", "netflix"), 2)
