"""Settings: where each value comes from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.settings import Settings
from tests.scripts.cli_process import Rallrec, as_json, one_line_error


def test_every_setting_is_shown_with_value_source_variable_and_meaning(rallrec: Rallrec, tmp_path: Path) -> None:
    (tmp_path / "rallrec.toml").write_text("gamma = 0.25\nk = 7\n", "utf-8")
    rows = as_json(rallrec("settings", "--json", RALLREC_K=9, RALLREC_HOME=tmp_path))
    assert list(rows) == list(Settings.model_fields)
    assert (rows["gamma"]["value"], rows["gamma"]["from"]) == (0.25, "rallrec.toml")
    assert (rows["k"]["value"], rows["k"]["from"]) == (9, "RALLREC_K")
    assert (rows["beta"]["value"], rows["beta"]["from"]) == (1.0, "default")
    assert rows["home"]["from"] == "RALLREC_HOME"
    for name, row in rows.items():
        assert list(row) == ["value", "from", "variable", "meaning"]
        assert row["variable"] == f"RALLREC_{name.upper()}"
        assert row["meaning"]


def test_the_table_of_a_stage_is_shown_with_its_defaults_filled_in(rallrec: Rallrec) -> None:
    row = as_json(rallrec("settings", "--json", RALLREC_DESCRIBE__ITEMS=7))["describe"]
    assert (row["value"]["items"], row["value"]["attempts"], row["from"]) == (7, 3, "RALLREC_DESCRIBE__ITEMS")
    assert "attempts = 3" in rallrec("settings").stdout
    assert "describe.item" in one_line_error(rallrec("settings", RALLREC_DESCRIBE__ITEM=7), 2)


def test_the_table_for_people_says_the_same(rallrec: Rallrec) -> None:
    done = rallrec("settings", RALLREC_SEED=41, COLUMNS=200)
    [seed] = [line for line in done.stdout.splitlines() if " seed " in line]
    assert "41" in seed
    assert "RALLREC_SEED" in seed


def test_the_settings_file_can_lie_elsewhere(rallrec: Rallrec, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("traces = 2\n", "utf-8")
    rows = as_json(rallrec("settings", "--json", RALLREC_CONFIG=file))
    assert (rows["traces"]["value"], rows["traces"]["from"]) == (2, str(file))


def test_an_empty_variable_is_no_setting(rallrec: Rallrec) -> None:
    rows = as_json(rallrec("settings", "--json", RALLREC_GAMMA=""))
    assert (rows["gamma"]["value"], rows["gamma"]["from"]) == (pytest.approx(2 / 3), "default")


def test_an_unknown_variable_is_an_error_that_lists_the_known(rallrec: Rallrec) -> None:
    line = one_line_error(rallrec("settings", RALLREC_GAMA=1), 2)
    assert "RALLREC_GAMA" in line
    assert "RALLREC_GAMMA" in line


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("gama = 1", ["gama", "rallrec.toml"]),
        ("gamma = 'much'", ["gamma", "rallrec.toml", "'much'"]),
        ("[retrieval]\ngamma = 1", ["retrieval", "rallrec.toml"]),
        ("gamma = ", ["rallrec.toml", "not valid TOML"]),
        ("device = 'tpu'", ["device", "'tpu'", "'cpu'"]),
    ],
)
def test_a_wrong_line_in_the_file_is_an_error_that_names_key_file_and_value(
    rallrec: Rallrec, tmp_path: Path, toml: str, said: list[str]
) -> None:
    (tmp_path / "rallrec.toml").write_text(toml, "utf-8")
    line = one_line_error(rallrec("settings"), 2)
    assert all(part in line for part in said), line


def test_a_file_that_is_no_text_is_an_error(rallrec: Rallrec, tmp_path: Path) -> None:
    (tmp_path / "rallrec.toml").write_bytes(b"home = '\xff'")
    assert "not valid TOML" in one_line_error(rallrec("settings"), 2)


@pytest.mark.parametrize(("name", "value"), [("PORT", "many"), ("PORT", 70000), ("K", 2.5), ("SPLIT", "random")])
def test_a_wrong_value_in_the_environment_names_its_variable(rallrec: Rallrec, name: str, value: object) -> None:
    line = one_line_error(rallrec("settings", **{f"RALLREC_{name}": value}), 2)
    assert f"RALLREC_{name}" in line
    assert str(value) in line


def test_a_named_file_that_is_missing_is_an_error(rallrec: Rallrec) -> None:
    assert "nowhere.toml" in one_line_error(rallrec("settings", RALLREC_CONFIG="nowhere.toml"), 2)


def test_a_stages_range_is_checked_when_the_stage_is_used(rallrec: Rallrec) -> None:
    done = rallrec("predict", "--user", 15, "--item", 1, "--engine", "scripted", RALLREC_EPSILON=0)
    assert "epsilon is 0" in one_line_error(done, 2)
